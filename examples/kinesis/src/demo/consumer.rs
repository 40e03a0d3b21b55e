//! The consumer, as the demonstration starts it: with the command line that anybody could give.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use events::lengths;
use tokio_util::sync::CancellationToken;

use super::STREAM;
use crate::aws::Aws;
use crate::consume;
use crate::status::Status;

/// How long the windows of the first rule stay open: the first sessions close this long after their first event.
pub(super) const WINDOW: Duration = Duration::from_secs(30);

/// Arguments of `kinesis consume`: the article's two queries at once, and its alert.
pub(super) fn arguments(folder: &Path) -> Vec<String> {
    let place = |name: &str| folder.join(name).display().to_string();
    let (state, output) = (place("state"), place("sessions"));
    let step = format!("step={}", lengths::compact(WINDOW));
    let arguments = [
        ["--stream", STREAM],
        ["--stagger", &step],
        ["--stagger", "floor=minute"],
        ["--alert", "duration < 20s and events > 30"],
        ["--state", &state],
        ["--output", &output],
        ["--compression", "none"],
        ["--buffer-interval", "20s"],
        ["--checkpoint-every", "5s"],
        ["--poll-every", "200ms"],
    ];
    arguments.as_flattened().iter().map(ToString::to_string).chain(["--flush".to_owned()]).collect()
}

/// Reads until asked to stop, then closes open sessions.
pub(super) async fn start(
    arguments: Vec<String>,
    aws: Aws,
    status: Arc<Status>,
    stop: CancellationToken,
) -> Result<()> {
    let options = consume::Options::try_parse_from(std::iter::once("consume".to_owned()).chain(arguments))?;
    consume::run(options, aws, status, stop, true).await
}
