//! The command line of `consume`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use events::lengths;
use events::parse::times::TimeFormat;
use stagger::Timestamp;
use tracing_subscriber::filter::Targets;

use crate::output::{Compression, Format, Target, prefix};
use crate::pipeline::Timing;
use events::rules::Strategies;
use events::stream::RecordFields;

const MEGABYTE: u64 = 1024 * 1024;

/// Turns the events of a stream into sessions.
///
/// Reads all shards, goes on where the last run has stopped, and writes each session to every place
/// that is named; without any, to standard output.
#[derive(Clone, Debug, Parser)]
#[command(after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) source: SourceOptions,
    #[command(flatten)]
    pub(crate) fields: RecordFields,
    #[command(flatten)]
    pub(crate) strategies: Strategies,
    #[command(flatten)]
    pub(crate) sql: SqlOptions,
    #[command(flatten)]
    pub(crate) timing: Timing,
    #[command(flatten)]
    pub(crate) state: StateOptions,
    #[command(flatten)]
    pub(crate) files: FileOptions,
    #[command(flatten)]
    pub(crate) sinks: SinkOptions,
    #[command(flatten)]
    pub(crate) watch: WatchOptions,
    #[command(flatten)]
    pub(crate) end: EndOptions,
}

const EXAMPLES: &str = "\
Examples:
  kinesis consume --stream clicks                                 the article's sessions, on the screen
  kinesis consume --stream clicks --state state --output sessions  into files, each session once
  kinesis consume --stream clicks --gap 30m --out-of-order 1m --state s3://bucket/state --output s3://bucket/sessions
  kinesis consume --stream clicks --alert 'duration < 20s' --alert 'events > 500' --webhook http://localhost:8080/";

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct SourceOptions {
    /// Name of the stream
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: String,

    /// Endpoint of Kinesis [default: AWS_ENDPOINT_URL, else AWS]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,

    /// Where to begin if there is no checkpoint: trim-horizon (the oldest record), latest, or a time
    #[arg(long, value_name = "WHERE", default_value = "trim-horizon", value_parser = beginning)]
    pub(crate) start: Beginning,

    /// How long to wait at the tip of a shard before asking again
    #[arg(long, value_name = "LENGTH", default_value = "1s", value_parser = lengths::parse)]
    pub(crate) poll_every: Duration,

    /// Do not keep to AWS's limits on reading (five calls and 2 MB a second and shard): local servers have none
    #[arg(long)]
    pub(crate) unpaced: bool,

    /// Maximum number of records in one request
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub(crate) page: i32,

    /// How far a record's arrival time may be behind the clock of Kinesis when the record can be read:
    /// its resolution, differences between shards, and the time to store it
    #[arg(long, value_name = "LENGTH", default_value = "2s", value_parser = lengths::parse)]
    pub(crate) arrival_slack: Duration,

    /// Treatment of KPL records with parts for another shard, as after a split. The KPL sends these parts
    /// again; other programs that aggregate do not
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Misplaced::Drop)]
    pub(crate) misplaced: Misplaced,

    /// How long to retry before giving up
    #[arg(long, value_name = "LENGTH", default_value = "5m", value_parser = lengths::parse)]
    pub(crate) give_up_after: Duration,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    TrimHorizon,
    Latest,
    At(Timestamp),
}

fn beginning(text: &str) -> Result<Beginning, String> {
    match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "trim-horizon" => Ok(Beginning::TrimHorizon),
        "latest" => Ok(Beginning::Latest),
        _ => TimeFormat::Auto
            .parse(text)
            .map(Beginning::At)
            .ok_or_else(|| "choose trim-horizon or latest, or give a time such as 2026-11-24T08:00:00Z".to_owned()),
    }
}

/// What to do with an aggregated record on a wrong shard; see [`crate::kpl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Misplaced {
    /// Put the part among the errors, as the consumer library drops it
    Drop,
    /// Use the part
    Keep,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Kinesis Data Analytics SQL, in the place of rules and fields")]
pub(crate) struct SqlOptions {
    /// The text of the application; its windows go by the arrival of records
    #[arg(long, value_name = "APP.SQL", conflicts_with_all = ["stagger", "step", "floor", "gap"])]
    pub(crate) sql: Option<PathBuf>,

    /// Columns of its source as CREATE STREAM has them: '"user_id" INTEGER, "at" TIMESTAMP'. By default the types
    /// are taken from what the text does with the columns
    #[arg(long, value_name = "COLUMNS", requires = "sql")]
    pub(crate) sql_schema: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Restart")]
pub(crate) struct StateOptions {
    /// Where checkpoints are kept: a directory, or s3://BUCKET/PREFIX. Without it each run begins at
    /// --start, and sessions cannot go to files (--output needs it)
    #[arg(long, value_name = "PLACE")]
    pub(crate) state: Option<String>,

    /// How often to make a checkpoint; files appear with one
    #[arg(long, value_name = "LENGTH", default_value = "10s", value_parser = lengths::parse)]
    pub(crate) checkpoint_every: Duration,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Files, in the layout of Firehose (PREFIX/SESSIONS/YYYY/MM/DD/HH/)")]
pub(crate) struct FileOptions {
    /// Where files appear: a directory, or s3://BUCKET. Needs --state, where rows wait until their
    /// file is written
    #[arg(long, value_name = "PLACE", requires = "state")]
    pub(crate) output: Option<String>,

    /// Prefix of their names; end it with / for a folder
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = prefix)]
    pub(crate) prefix: String,

    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub(crate) format: Format,

    /// Compression of JSON lines; Parquet is always compressed
    #[arg(long, value_enum, default_value_t = Compression::Gzip)]
    pub(crate) compression: Compression,

    /// A file is written once its rows have waited for this time (the article's buffer interval, 60 to 900
    /// seconds there)
    #[arg(long, value_name = "LENGTH", default_value = "60s", value_parser = lengths::parse)]
    pub(crate) buffer_interval: Duration,

    /// or once they take this size as JSON (the article's buffer size)
    #[arg(long, value_name = "MB", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=128))]
    pub(crate) buffer_size: u64,
}

impl FileOptions {
    /// Where files go, if they are asked for. A directory is named by its whole path, so that a run in
    /// another directory finds it.
    pub(crate) fn target(&self) -> anyhow::Result<Option<Target>> {
        let Some(place) = &self.output else { return Ok(None) };
        let output = match place.starts_with("s3://") {
            true => place.clone(),
            false => std::path::absolute(place)?.into_os_string().into_string().map_err(|path| {
                anyhow::anyhow!("--output {}: the path must be Unicode, since checkpoints hold it", path.display())
            })?,
        };
        let Self { prefix, format, compression, .. } = self;
        Ok(Some(Target { output, prefix: prefix.clone(), format: *format, compression: *compression }))
    }

    pub(crate) fn roll(&self) -> crate::output::Roll {
        crate::output::Roll { bytes: self.buffer_size * MEGABYTE, interval: self.buffer_interval }
    }
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Other outputs; after a restart a session may reach them again, with the same id")]
pub(crate) struct SinkOptions {
    /// Print each session as a line of JSON
    #[arg(long)]
    pub(crate) print: bool,

    /// Send rows to this delivery stream of Firehose
    #[arg(long, value_name = "NAME")]
    pub(crate) firehose: Option<String>,

    /// Send metrics to CloudWatch, in this namespace
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) metrics: Option<String>,

    /// Alert on sessions such as 'duration < 20s' or 'events > 500 and device_id = mobile'
    #[arg(long, value_name = "RULE")]
    pub(crate) alert: Vec<String>,

    /// Post alerts to this address as well
    #[arg(long, value_name = "URL", requires = "alert")]
    pub(crate) webhook: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Monitoring")]
pub(crate) struct WatchOptions {
    /// Serve /metrics (Prometheus) and /healthz over HTTP on this address, such as 127.0.0.1:9464;
    /// `kinesis health` asks the latter
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,

    /// How often to report lag, watermarks, open sessions, rows, late events and the age of the
    /// checkpoint on standard error; 0s for never
    #[arg(long, value_name = "LENGTH", default_value = "1m", value_parser = lengths::parse)]
    pub(crate) report_every: Duration,

    /// Which messages to write to standard error: off, error, warn, info, debug, trace, or by target
    /// such as info,kinesis::sink=debug
    #[arg(long, value_name = "LEVEL", env = "RUST_LOG", default_value = "info", value_parser = crate::log::filter)]
    pub(crate) log_level: Targets,
}

#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "End (without these: at Ctrl-C)")]
pub(crate) struct EndOptions {
    /// End when nothing has arrived for this time
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub(crate) stop_when_idle: Option<Duration>,

    /// Close all sessions at the end, instead of keeping them open in the checkpoint
    #[arg(long)]
    pub(crate) flush: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// README.md says of every option what happens if it changes between two runs on one state.
    #[test]
    fn the_table_of_changes_has_every_option() {
        let readme = include_str!("../../README.md");
        let (_, table) = readme.split_once("## Changing options between two runs").unwrap();
        let table = table.split("\n## ").next().unwrap();
        for option in Options::command().get_arguments().filter_map(|argument| argument.get_long()) {
            assert!(option == "help" || table.contains(&format!("`--{option}`")), "--{option}");
        }
    }
}
