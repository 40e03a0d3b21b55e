//! Messages on standard error, chosen by level. On a terminal they are written above the line of figures.

use std::io::{self, Write, stderr};

use indicatif::ProgressBar;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

/// Reads a level, or levels by target as in `info,hyper=debug`.
pub(crate) fn filter(text: &str) -> Result<Targets, String> {
    let told = || format!("{text:?} is no level: give off, error, warn, info, debug or trace, or TARGET=LEVEL,...");
    match text.trim() {
        "" => filter("info"), // RUST_LOG is often set to nothing
        level if !level.contains('=') => {
            let level: LevelFilter = level.parse().map_err(|_| told())?;
            // What other crates tell at lower levels is of use to those who work on them.
            let others = level.min(LevelFilter::WARN);
            Ok(Targets::new().with_default(others).with_target(env!("CARGO_CRATE_NAME"), level))
        }
        by_target => by_target.parse().map_err(|_| told()),
    }
}

/// Starts to write messages, above `figures` where they are drawn.
pub(crate) fn start(filter: Targets, figures: &ProgressBar) {
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .log_internal_errors(false) // it would panic where standard error is closed
        .with_target(false)
        .with_writer(Above(figures.clone()));
    // Another subscriber is there only where a test has made one.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}

/// Standard error, above a line that is drawn again after each message.
#[derive(Clone)]
struct Above(ProgressBar);

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

impl MakeWriter<'_> for Above {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_level_is_that_of_the_program_and_others_only_warn() {
        let debug = filter("debug").unwrap();
        assert!(debug.would_enable("kinesis::consume", &Level::DEBUG));
        assert!(debug.would_enable("hyper", &Level::WARN) && !debug.would_enable("hyper", &Level::INFO));
        let error = filter("error").unwrap();
        assert!(!error.would_enable("kinesis", &Level::WARN) && !error.would_enable("hyper", &Level::WARN));
        assert!(filter("").unwrap().would_enable("kinesis", &Level::INFO));
    }

    #[test]
    fn levels_are_given_by_target_too() {
        let given = filter("warn,kinesis::sink=trace").unwrap();
        assert!(given.would_enable("kinesis::sink::alerts", &Level::TRACE));
        assert!(!given.would_enable("kinesis::consume", &Level::INFO));
    }

    #[test]
    fn a_word_that_is_no_level_is_told() {
        assert!(filter("loud").unwrap_err().contains("give off, error, warn"));
        assert!(filter("kinesis=loud").is_err());
    }
}
