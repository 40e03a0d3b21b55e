//! The command line.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};
use events::fields::Fields;
use events::lengths::{self, unit};
use program::share::Share;
use stagger::{Bucket, Config, Gap, Stagger, Strategy, Unit};

/// Sessions from files, on several threads and machines, by timely dataflow.
#[derive(Debug, Parser)]
#[command(name = "timely-sessions", max_term_width = 100, version)]
pub struct Options {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read files and write sessions. After a kill: the same command goes on from the newest checkpoint
    Run(Box<Run>),
    /// Print the final rows of a state folder, as JSON lines
    Rows {
        /// The folder that `run` was given
        state: PathBuf,
        /// Print the events and lines that are in no session instead
        #[arg(long)]
        unused: bool,
    },
}

#[derive(Debug, Args)]
pub struct Run {
    /// Files to read, each in order of time up to --out-of-order; gzip included
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub fields: Fields,

    #[command(flatten)]
    pub rule: Rule,

    /// How far an event may be behind the latest event of its file
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse, default_value = "10s")]
    pub out_of_order: Duration,

    /// Step of the watermark: a longer one costs less and holds more events in memory
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse, default_value = "10s")]
    pub epoch: Duration,

    /// Event time between two checkpoints; at least --epoch
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse, default_value = "1h")]
    pub checkpoint: Duration,

    /// Folder for checkpoints and rows; all processes must see it
    #[arg(long, value_name = "FOLDER")]
    pub state: PathBuf,

    /// Worker threads of each process
    #[arg(short, long, value_name = "N", default_value_t = 1,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=MOST_WORKERS))]
    pub workers: usize,

    /// Share of the lines that may be unusable, such as 1% or 0.01; beyond it the exit status is 1
    #[arg(long, value_name = "SHARE", default_value = "1%")]
    pub max_rejected: Share,

    /// The addresses of all processes, the same list for each of them: 10.0.0.1:2101,10.0.0.2:2101
    #[arg(long, value_name = "ADDRESS,…", value_delimiter = ',', value_parser = address, requires = "process")]
    pub addresses: Vec<SocketAddr>,

    /// Which of the addresses is this process, from 0
    #[arg(long, value_name = "I", requires = "addresses")]
    pub process: Option<usize>,

    /// How long to wait for the other processes at the start
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse, default_value = "5m", requires = "addresses")]
    pub connect_timeout: Duration,
}

/// At most one; 30 minutes of inactivity if none is given.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sessions")]
pub struct Rule {
    /// Gap: the time without an event that ends a session [default: 30m]
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse, group = "rule")]
    pub gap: Option<Duration>,

    /// Windows of a fixed length: 30s
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse, group = "rule")]
    pub step: Option<Duration>,

    /// Windows of a calendar unit in UTC: second, minute, hour, day, week, month, quarter, year
    #[arg(long, value_name = "UNIT", value_parser = unit, group = "rule")]
    pub floor: Option<Unit>,
}

/// Each has a connection to every other.
const MOST_WORKERS: u64 = 1_024;

/// Reads an address, or a name that has one.
fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| "give the address of a machine, or its name, and a port, such as 10.0.0.1:2101".to_owned())
}

const DEFAULT_GAP: Duration = Duration::from_secs(30 * 60);

impl Rule {
    /// The rule as an option.
    pub fn text(&self) -> String {
        match (self.step, self.floor) {
            (Some(width), _) => format!("--step {}", lengths::compact(width)),
            (None, Some(unit)) => format!("--floor {unit:?}").to_lowercase(),
            (None, None) => format!("--gap {}", lengths::compact(self.gap.unwrap_or(DEFAULT_GAP))),
        }
    }

    /// The configuration of each engine. The watermark comes from the frontier.
    pub fn config(&self) -> Config<String, String> {
        let strategy: Strategy = match (self.step, self.floor) {
            (Some(width), _) => Stagger::on_event_time(Bucket::step(width)).into(),
            (None, Some(unit)) => Stagger::on_event_time(Bucket::floor(unit)).into(),
            (None, None) => Gap::new(self.gap.unwrap_or(DEFAULT_GAP)).into(),
        };
        Config::new(strategy)
    }
}
