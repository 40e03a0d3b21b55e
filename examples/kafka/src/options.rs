//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use events::lengths;
use events::rules::Strategies;
use events::stream::{EventTiming, RecordFields, time};
use stagger::Timestamp;

/// Turns a Kafka topic into sessions, each exactly once, on any number of processes
#[derive(Debug, Parser)]
#[command(name = "kafka", version, max_term_width = 100)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put generated clicks of a beer shop on a topic
    Produce(Produce),
    /// Find sessions, as one of the processes of a group
    Run(Box<Run>),
    /// Write a topic again under the key that sessions need, as one of the processes of a group
    Repartition(Repartition),
    /// Show it all: a broker, clicks, three processes, one of them killed, one added
    Demo(Demo),
    /// Print sessions as they come
    Watch(Watch),
    /// Print lag, open sessions, size of the state and latest commit of each partition
    Report(Report),
    /// Serve a Kafka broker in memory, on this machine only: for tests and for trying things out
    Serve(Serve),
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Kafka")]
pub(crate) struct Connection {
    /// Brokers to ask first
    #[arg(long, value_name = "HOST:PORT[,...]", env = "KAFKA_BOOTSTRAP", default_value = "127.0.0.1:9092")]
    pub(crate) bootstrap: String,

    /// File with settings of librdkafka, NAME=VALUE in each line: the place for passwords
    #[arg(long, value_name = "FILE", env = "KAFKA_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Any setting of librdkafka, such as security.protocol=ssl; may be given several times. Others on this machine
    /// see it: passwords belong into --config
    #[arg(short = 'X', long = "property", value_name = "NAME=VALUE", value_parser = property)]
    pub(crate) properties: Vec<(String, String)>,
}

impl Connection {
    /// To a broker that asks for nothing else.
    pub(crate) fn to(bootstrap: String) -> Self {
        Self { bootstrap, config: None, properties: Vec::new() }
    }
}

/// A setting, which may hold a password: so no message repeats its value.
pub(crate) fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give NAME=VALUE, such as security.protocol=ssl")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl Command {
    /// For commands that reach a broker as they are told.
    pub(crate) fn connection(&mut self) -> Option<&mut Connection> {
        Some(match self {
            Self::Produce(options) => &mut options.connection,
            Self::Run(options) => &mut options.connection,
            Self::Repartition(options) => &mut options.connection,
            Self::Watch(options) => &mut options.connection,
            Self::Report(options) => &mut options.connection,
            Self::Demo(_) | Self::Serve(_) => return None,
        })
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Produce {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Topic to write to; made if it is not there
    #[arg(long, value_name = "TOPIC", default_value = "clicks")]
    pub(crate) topic: String,
    /// Partitions of a topic that is made
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) partitions: i32,
    /// Copies of each partition of a topic that is made; -1 for the broker's default
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true)]
    pub(crate) replication: i32,
    /// Write as fast as the broker takes it, instead of at --rate by the clock of this machine
    #[arg(long)]
    pub(crate) at_once: bool,
    /// Time of the first click: now, unless it is given
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) start: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) plan: generate::Plan,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Topics and group")]
pub(crate) struct GroupOptions {
    /// Topic to read, keyed by what --key names
    #[arg(long, value_name = "TOPIC", default_value = "clicks")]
    pub(crate) input: String,

    /// Topic for sessions; NAME-late, NAME-refused and NAME-unreadable get the records that are in none [default: the
    /// name of the group]
    #[arg(long, value_name = "NAME")]
    output: Option<String>,

    /// Processes of one group share the partitions; NAME-state is the topic for their state
    #[arg(long, value_name = "NAME", default_value = "sessions")]
    pub(crate) group: String,
}

impl GroupOptions {
    /// A group of this name, whose output has it, too.
    pub(crate) fn of(input: &str, name: &str) -> Self {
        Self { input: input.to_owned(), output: None, group: name.to_owned() }
    }

    pub(crate) fn output(&self) -> &str {
        self.output.as_deref().unwrap_or(&self.group)
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) group: GroupOptions,
    #[command(flatten)]
    pub(crate) fields: RecordFields,
    #[command(flatten)]
    pub(crate) strategies: Strategies,
    #[command(flatten)]
    pub(crate) timing: EventTiming,
    #[command(flatten)]
    pub(crate) working: WorkingOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Repartition {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) group: GroupOptions,
    /// Partitions of the output, if it is made [default: as many as the input has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: Option<i32>,
    #[command(flatten)]
    pub(crate) fields: RecordFields,
    #[command(flatten)]
    pub(crate) working: WorkingOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Demo {
    /// Another Kafka than a broker of its own
    #[arg(long, value_name = "HOST:PORT[,...]")]
    pub(crate) bootstrap: Option<String>,
    /// How many clicks
    #[arg(long, value_name = "N", default_value_t = 40_000)]
    pub(crate) events: u64,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Working in a group")]
pub(crate) struct WorkingOptions {
    /// How often to commit: sessions appear with a commit
    #[arg(long, value_name = "LENGTH", default_value = "1s", value_parser = lengths::parse)]
    pub(crate) commit_every: Duration,

    /// A process that is silent for this time loses its partitions to others
    #[arg(long, value_name = "LENGTH", default_value = "10s", value_parser = lengths::parse)]
    pub(crate) session_timeout: Duration,

    /// Copies of each partition of topics that are made; -1 for the broker's default
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true)]
    pub(crate) replication: i32,

    /// Serve /metrics (Prometheus) and /healthz over HTTP on this address, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,

    /// Go on though the group's records or its state are no longer there, and sessions are lost or come in two parts; without
    /// it a process says what is missing, and stops
    #[arg(long)]
    pub(crate) allow_loss: bool,

    /// End when all records have been read and no other has come for this time
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub(crate) stop_when_idle: Option<Duration>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Topic to print: sessions, or those for records that are in none
    #[arg(long, value_name = "TOPIC", default_value = "sessions")]
    pub(crate) topic: String,
    /// Begin with the oldest row, instead of with those that come from now on
    #[arg(long)]
    pub(crate) all: bool,
    /// End with the last row that is there
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) group: GroupOptions,
    /// Print JSON lines, with all counts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// Port on this machine
    #[arg(long, value_name = "PORT", default_value_t = 9092)]
    pub(crate) port: u16,

    /// Keep everything in this file, too, and go on from it: the broker may be killed and started again. The file only
    /// grows
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
}
