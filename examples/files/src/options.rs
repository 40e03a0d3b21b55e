//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use events::failure::{Failure, Outcome};
use events::fields::{self, Fields};
use events::lengths::{self, unit};
use events::parse::condition::{self, Condition};
use events::parse::more::MoreFields;
use events::zones::{self, AnyZone};
use program::say::say;
use program::share::Share;
use program::{command, endings};
use stagger::{Clock, Unit};

use crate::facts::Measures;

/// Turns events in files into sessions.
///
/// Reads JSON lines, CSV and web server logs, and writes one row for each session. Without any
/// argument it shows the sessions of a day of bundled clicks.
#[derive(Debug, Parser)]
#[command(name = "files", after_help = EXAMPLES, max_term_width = 100, version)]
pub(crate) struct Options {
    /// Files to read, `-` for standard input; gzip, zstd, bzip2 and xz are unpacked; Parquet with
    /// --features parquet. None: the bundled clicks
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) fields: Fields,

    #[command(flatten)]
    pub(crate) strategy: StrategyOptions,

    #[command(flatten)]
    pub(crate) results: Results,

    #[command(flatten)]
    pub(crate) streaming: Streaming,

    #[command(flatten)]
    pub(crate) going_on: GoingOn,
}

impl Options {
    /// The files to write, but for the state.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.results.files().chain(self.going_on.state.as_deref())
    }

    /// Options that must be the same in every run with one `--state`, beside the settings of the library.
    pub(crate) fn echo(&self) -> Vec<(String, String)> {
        let more = [
            ("the rules on events", condition::list(self.strategy.marks())),
            ("--unique", self.strategy.unique.clone().unwrap_or_default()),
            ("the further columns", self.results.measures.columns().join(",")),
            ("--events", self.results.events.is_some().to_string()),
            ("--visit-number", self.results.visit_number.to_string()),
        ];
        let more = more.map(|(name, value)| (name.to_owned(), value));
        self.fields.echo().into_iter().chain(more).collect()
    }
}

/// At most one of step, floor, gap, sliding, stagger.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sessions: one of these rules [default: --gap 30m]")]
pub(crate) struct StrategyOptions {
    /// Windows of a fixed length, per key, on the event clock: 30s
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse, group = "strategy")]
    pub(crate) step: Option<Duration>,

    /// Windows of a calendar unit: second, minute, hour, day, week, month, quarter, year
    #[arg(long, value_name = "UNIT", value_parser = unit, group = "strategy")]
    pub(crate) floor: Option<Unit>,

    /// Gap: the time without an event that ends a session, such as 30m
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse, group = "strategy")]
    pub(crate) gap: Option<Duration>,

    /// Windows of one size at regular distances: 10m/1m
    #[arg(long, value_name = "SIZE/SLIDE", value_parser = lengths::parse_pair, group = "strategy")]
    pub(crate) sliding: Option<(Duration, Duration)>,

    /// Kinesis SQL's stagger windows, on the arrival clock: step=30s, floor=minute or none. First and last
    /// event go by arrival, as FIRST_VALUE and LAST_VALUE do
    #[arg(long, value_name = "BUCKET", value_parser = stagger_bucket, group = "strategy")]
    pub(crate) stagger: Option<StaggerBucket>,

    /// With --stagger: how long a window stays open
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub(crate) range: Option<Duration>,

    /// With --gap: two events exactly the gap apart are one session
    #[arg(long)]
    pub(crate) inclusive: bool,

    /// With --gap: maximum session length, measured from the first event
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub(crate) max_duration: Option<Duration>,

    /// With --gap: a new session starts at midnight
    #[arg(long)]
    pub(crate) cut_daily: bool,

    /// With --gap: an event for which the condition holds (as of --where) ends its session
    #[arg(long, value_name = "CONDITION")]
    pub(crate) end_at: Option<Condition>,

    /// With --gap: events for which the condition holds belong to a session that is open, but open none. They do not
    /// prolong it
    #[arg(long, value_name = "CONDITION")]
    pub(crate) heartbeat: Option<Condition>,

    /// The same, but they prolong it
    #[arg(long, value_name = "CONDITION")]
    pub(crate) join_only: Option<Condition>,

    /// Take each event once for a session: leave out events whose value in this field the session has already, as
    /// retries and replays make them. Events without a value are all taken
    #[arg(long, value_name = "F", value_parser = fields::name)]
    pub(crate) unique: Option<String>,

    /// Zone of the results: days and hours of --floor, --cut-daily and --report, such as Europe/Berlin or +05:45; UTC if
    /// not given. (--input-zone is that of the times that are read)
    #[arg(long, value_name = "ZONE", value_parser = zones::parse)]
    pub(crate) zone: Option<AnyZone>,
}

impl StrategyOptions {
    /// The conditions of its rules. The place of each is its bit.
    fn marks(&self) -> impl Iterator<Item = &Condition> {
        self.end_at.iter().chain(&self.heartbeat).chain(&self.join_only)
    }

    /// The bits of `--end-at`, `--heartbeat` and `--join-only`, zero for those that are not given.
    pub(crate) fn bits(&self) -> [u8; 3] {
        let mut next = 1;
        [&self.end_at, &self.heartbeat, &self.join_only].map(|condition| {
            let bit = if condition.is_some() { next } else { 0 };
            next <<= u8::from(condition.is_some());
            bit
        })
    }

    /// Says what becomes of events between windows: size and slide may have been swapped.
    fn note_swapped(&self) {
        let Some((size, slide)) = self.sliding.filter(|(size, slide)| size < slide) else { return };
        let (size, slide) = (lengths::compact(size), lengths::compact(slide));
        say(format_args!(
            "note: a window of {size} begins every {slide}, and events between two windows are left out; for windows that \
             overlap the size comes first: --sliding {slide}/{size}"
        ));
    }

    /// The clock that closes sessions. It also orders first and last event.
    pub(crate) fn clock(&self) -> Clock {
        if self.stagger.is_some() { Clock::Arrival } else { Clock::Event }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Streaming")]
pub(crate) struct Streaming {
    /// Read as a stream, in memory that does not grow with the input. Exact while no event is
    /// further behind the latest than this. Without it the whole input is one set in any order.
    /// With --arrival an event that claims to be ahead of its arrival makes no other late
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub(crate) out_of_order: Option<Duration>,

    /// Allowed lateness: correct sessions for this time after their end. Rows get a revision, and the ids it replaces
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub(crate) allowed_lateness: Option<Duration>,

    /// Maximum delay between an event and its arrival: while the input is silent, time goes on, this far
    /// behind, and closes sessions
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub(crate) max_delay: Option<Duration>,

    /// Show sessions that are open, and have changed, each time that this much of the stream's time has gone by. The
    /// reason is update; the next row of the session has a higher revision, and names the one it replaces
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub(crate) update_every: Option<Duration>,

    /// The same each time that a session has this number of new events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) update_every_events: Option<u64>,

    /// Leave out events with a time more than LENGTH after their arrival (without --arrival: after the
    /// latest earlier event, so choose it longer than any silence in the input)
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub(crate) max_future: Option<Duration>,
}

impl Streaming {
    /// Whether sessions are shown while they are open.
    fn updates(&self) -> bool {
        self.update_every.is_some() || self.update_every_events.is_some()
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Going on where a run ended")]
pub(crate) struct GoingOn {
    /// Keep open sessions, and where each input ended, in this file; the next run with it goes on from there, in
    /// the same inputs or in others. Rows are of the sessions that have closed by now. A run that is killed leaves
    /// nothing, and can be started again
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,

    /// With --state: the last run. Sessions that are open are written too
    #[arg(long)]
    pub(crate) end: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Results")]
pub(crate) struct Results {
    /// Where the rows go; `-` is standard output; for Parquet, a new folder [-]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Form of the rows; csv if not given
    #[arg(long, value_name = "FORMAT")]
    pub(crate) output_format: Option<OutputFormat>,

    /// Show a report for people instead of rows
    #[arg(long, conflicts_with = "allowed_lateness")]
    pub(crate) report: bool,

    /// Write each event with the id of its session, as JSON lines; of a stream as soon as the id is final. Takes about 60 bytes of memory
    /// for each event of an open session
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,

    /// Write the lines that cannot be used, with line number and reason, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,

    /// Write the events that came too late or were refused, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) late: Option<PathBuf>,

    /// Share of the lines that may be unusable, such as 1% or 0.01; beyond it the exit status is 1 [1%]
    #[arg(long, value_name = "SHARE", default_value = "1%", hide_default_value = true)]
    pub(crate) max_rejected: Share,

    #[command(flatten)]
    pub(crate) measures: Measures,

    /// A column visit: the number of the session among those of its key, from 1. Takes memory for each key
    #[arg(long, conflicts_with = "allowed_lateness", help_heading = "Columns of the rows")]
    pub(crate) visit_number: bool,

    /// Stop at the first line that cannot be used, with exit status 1
    #[arg(long)]
    pub(crate) strict: bool,
}

impl Results {
    /// The files to write.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let output = self.output.as_deref().filter(|path| *path != Path::new("-"));
        output.into_iter().chain(self.side_files())
    }

    /// The files beside the rows.
    fn side_files(&self) -> impl Iterator<Item = &Path> {
        [&self.events, &self.rejects, &self.late].into_iter().flatten().map(PathBuf::as_path)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// A header line and one line for each session
    Csv,
    /// One object for each session; has the bucket too
    #[value(aliases = ["json", "ndjson"])]
    Jsonl,
    /// The columns of the SQL in AWS's clickstream article; the key is user and device
    KinesisSql,
    /// The columns that `kinesis` writes (its README lists them), for `query`, `picture`, Athena, DuckDB and
    /// others: a folder for each hour of first events (YYYY/MM/DD/HH), all of which appear when everything
    /// is written. Needs a build with `--features parquet`
    Parquet,
}

/// What `--stagger` rounds event times to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StaggerBucket {
    Step(Duration),
    Floor(Unit),
    None,
}

const EXAMPLES: &str = "\
Examples:
  files                                              the bundled clicks
  files access.log.gz --report                       a web server log, for reading
  files access.log.gz --gap 30m --output visits.csv  the same as rows
  files access.log.gz --output-format parquet --output visits  a folder to query
  files clicks.jsonl --key user_id,device_id --time client_timestamp --value client_event \\
        --stagger step=30s --range 30s --output-format kinesis-sql
  zcat -f log/* | files - --format combined --out-of-order 1m --late late.jsonl

Exit status: 0 if all lines were used but the share that --max-rejected allows; 1 if more could not be used,
or none could; 2 if the command or its files cannot work; 130 after SIGINT, SIGTERM or SIGHUP; 141 if the
reader of an output went away. Outputs appear under their names when they are complete: a run that fails
leaves earlier ones as they were.";

fn stagger_bucket(text: &str) -> Result<StaggerBucket, String> {
    match text.split_once('=') {
        Some(("step", width)) => lengths::parse(width).map(StaggerBucket::Step),
        Some(("floor", name)) => unit(name).map(StaggerBucket::Floor),
        None if text == "none" => Ok(StaggerBucket::None),
        None if unit(text).is_ok() => Err(format!("say floor={text}")),
        None if lengths::parse(text).is_ok() => Err(format!("say step={text}")),
        _ => Err("say step=LENGTH, floor=UNIT or none".to_owned()),
    }
}

/// Reads the command line, the program's name first. None if it asked for help, which is written.
pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Outcome<Option<Options>> {
    let options: Option<Options> = command::parse(arguments)?;
    let Some(mut options) = options else { return Ok(None) };
    options.check()?;
    options.strategy.note_swapped();
    options.fields.more = options.more();
    Ok(Some(options))
}

impl Options {
    /// Refuses what would have no effect, or cannot work together.
    fn check(&self) -> Outcome<()> {
        let Self { strategy, streaming, results, .. } = self;
        let unless = |fine: bool, message: &str| if fine { Ok(()) } else { Err(Failure::usage(message)) };
        let is_gap = !(strategy.step.is_some()
            || strategy.floor.is_some()
            || strategy.sliding.is_some()
            || strategy.stagger.is_some());
        let state = self.going_on.state.as_deref();
        unless(
            results.side_files().chain(state).all(|path| path != Path::new("-")),
            "only the rows go to standard output by `-`: name a file for --events, --rejects, --late and --state, \
             such as /dev/stdout for events with the rows in an --output",
        )?;
        unless(strategy.stagger.is_some() || strategy.range.is_none(), "--range is for --stagger only")?;
        unless(
            strategy.stagger.is_none() || strategy.range.is_some(),
            "--stagger needs a --range: how long a window stays open, such as --range 30s",
        )?;
        for (name, is_given) in [
            ("--allowed-lateness", streaming.allowed_lateness.is_some()),
            ("--max-delay", streaming.max_delay.is_some()),
            ("--state", self.going_on.state.is_some()),
            ("--update-every", streaming.update_every.is_some()),
            ("--update-every-events", streaming.update_every_events.is_some()),
        ] {
            let message = format!("{name} is for streams only: say --out-of-order too");
            unless(self.streams() || !is_given, &message)?;
        }
        unless(is_gap || !strategy.inclusive, "--inclusive is for --gap only")?;
        unless(is_gap || strategy.max_duration.is_none(), "--max-duration is for --gap only")?;
        unless(is_gap || !strategy.cut_daily, "--cut-daily is for --gap only")?;
        unless(is_gap || strategy.end_at.is_none(), "--end-at is for --gap only")?;
        unless(is_gap || strategy.heartbeat.is_none(), "--heartbeat is for --gap only")?;
        unless(is_gap || strategy.join_only.is_none(), "--join-only is for --gap only")?;
        let form = results.output_format.unwrap_or(OutputFormat::Csv);
        let has_columns = form != OutputFormat::KinesisSql && !self.shows_report();
        unless(!streaming.updates() || !results.visit_number, "--visit-number is for sessions that are written once")?;
        unless(
            !streaming.updates() || (!self.shows_report() && form != OutputFormat::KinesisSql),
            "--update-every needs rows with a revision: --output-format csv, jsonl or parquet",
        )?;
        let message = "--visit-number is a column of csv, jsonl and parquet only";
        unless(has_columns || !results.visit_number, message)?;
        unless(self.going_on.state.is_some() || !self.going_on.end, "--end is for --state only")?;
        unless(
            self.going_on.state.is_none() || !self.shows_report(),
            "--state keeps sessions for later rows: --report has none",
        )?;
        unless(
            has_columns || results.measures.is_empty(),
            "--sum, --list and the like are columns of csv, jsonl and parquet only",
        )?;
        let columns = results.measures.columns();
        if let Some((_, twice)) = columns.iter().enumerate().find(|(index, column)| columns[..*index].contains(column))
        {
            return Err(Failure::usage(format_args!("the column {twice} is given twice: leave one out")));
        }
        let stagger_floor = matches!(strategy.stagger, Some(StaggerBucket::Floor(_)));
        let has_calendar = strategy.floor.is_some() || stagger_floor || strategy.cut_daily || self.shows_report();
        unless(
            has_calendar || strategy.zone.is_none(),
            "--zone is for --floor, --cut-daily and --report only; the zone of the times that are read is --input-zone",
        )?;
        unless(
            strategy.stagger.is_none() || streaming.allowed_lateness.is_none(),
            "--allowed-lateness has no meaning with --stagger, where nothing is late",
        )?;
        let has_arrival = self.fields.arrival.is_some();
        let can_compare = has_arrival || (streaming.out_of_order.is_some() && strategy.stagger.is_none());
        unless(
            can_compare || streaming.max_future.is_none(),
            "--max-future needs --arrival, or --out-of-order on the event clock, to tell what the future is",
        )?;
        let rows = results.output.is_some() || results.output_format.is_some();
        unless(
            !(results.report && rows),
            "--report takes the place of the rows: leave out --output and --output-format",
        )?;
        self.check_kinesis_sql()
    }

    /// Refuses outputs whose names promise another form than they would have.
    pub(crate) fn check_names(&self) -> Outcome<()> {
        endings::check_packed(self.files())?;
        let rows = self.results.output.as_deref().filter(|path| *path != Path::new("-"));
        match (self.results.output_format, rows) {
            (Some(OutputFormat::Parquet), None) => {
                Err(Failure::usage("--output-format parquet needs a folder to write: --output FOLDER"))
            }
            (None, Some(path)) => endings::check_csv(path),
            _ => Ok(()),
        }
    }

    fn check_kinesis_sql(&self) -> Outcome<()> {
        if self.results.output_format != Some(OutputFormat::KinesisSql) {
            return Ok(());
        }
        if self.fields.key.len() != 2 {
            return Err(Failure::usage(
                "--output-format kinesis-sql needs two key fields, the user and the device: --key user_id,device_id",
            ));
        }
        let bucketed = match self.strategy.stagger {
            Some(bucket) => !matches!(bucket, StaggerBucket::None),
            None => self.strategy.step.is_some() || self.strategy.floor.is_some(),
        };
        if !bucketed {
            return Err(Failure::usage(
                "--output-format kinesis-sql needs a rounded time: --stagger step=30s or floor=minute, --step or --floor",
            ));
        }
        Ok(())
    }

    /// The bound on disorder where arrivals tell which events are ahead: the program moves the watermark then.
    pub(crate) fn bound_by_arrival(&self) -> Option<Duration> {
        let is_told = self.fields.arrival.is_some() && self.strategy.clock() == Clock::Event;
        self.streaming.out_of_order.filter(|_| is_told)
    }

    /// Whether rows, or a report, go to standard output.
    pub(crate) fn writes_stdout(&self) -> bool {
        self.shows_report() || self.results.output.as_deref().is_none_or(|path| path == Path::new("-"))
    }

    /// Whether something depends on where the clock stands, or which sessions are open, behind each single event.
    pub(crate) fn looks_at_each_event(&self) -> bool {
        let needs_clock = self.results.late.is_some() || self.streaming.max_future.is_some();
        needs_clock || self.bound_by_arrival().is_some() || self.writes_events_early()
    }

    /// Whether a report takes the place of the rows.
    pub(crate) fn shows_report(&self) -> bool {
        let Results { output, output_format, report, .. } = &self.results;
        *report || (self.inputs.is_empty() && output.is_none() && output_format.is_none())
    }

    /// The fields and conditions that each record needs.
    fn more(&self) -> MoreFields {
        let mut names = self.results.measures.fields();
        names.extend(self.strategy.unique.clone().filter(|field| !names.contains(field)));
        MoreFields { names, marks: self.strategy.marks().cloned().collect() }
    }

    /// Whether sessions keep more of their events than the first and the last.
    pub(crate) fn keeps_facts(&self) -> bool {
        self.results.events.is_some()
            || !self.results.measures.is_empty()
            || self.strategy.marks().next().is_some()
            || self.strategy.unique.is_some()
    }

    /// Whether events are written before their session closes: where its id is final by then, and written once.
    pub(crate) fn writes_events_early(&self) -> bool {
        self.results.events.is_some()
            && self.streams()
            && self.strategy.clock() == Clock::Event
            && self.strategy.sliding.is_none()
            && !self.has_revisions()
            && self.going_on.state.is_none()
    }

    /// Whether the input is a stream, of which sessions are shown as they close.
    pub(crate) fn streams(&self) -> bool {
        self.streaming.out_of_order.is_some()
    }

    /// Whether a session may have several rows.
    pub(crate) fn has_revisions(&self) -> bool {
        self.streaming.allowed_lateness.is_some() || self.streaming.updates()
    }

    pub(crate) fn output_format(&self) -> OutputFormat {
        self.results.output_format.unwrap_or(OutputFormat::Csv)
    }
}
