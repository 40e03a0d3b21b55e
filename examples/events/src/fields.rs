//! The options of the command line for what the input means.

use clap::Args;

use crate::formats::Format;
use crate::parse::condition::Condition;
use crate::parse::more::MoreFields;
use crate::parse::times::TimeFormat;

/// The format of the inputs, and which fields of a record make an event.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "What the input means")]
pub struct Fields {
    /// Format of the inputs; by default told by name and content
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,

    /// Key fields: who the event belongs to; nested ones as a.b. An integer may be declared as F:int, which
    /// counts for JSON lines and Parquet [combined: address]
    #[arg(long, value_name = "F[,F...]", value_delimiter = ',')]
    pub key: Vec<String>,

    /// Field with the time of the event [combined: time]
    #[arg(long, value_name = "F")]
    pub time: Option<String>,

    /// Field that first and last event report [combined: request, without its protocol]
    #[arg(long, value_name = "F")]
    pub value: Option<String>,

    /// Field with the arrival time; by default events arrive when they happen
    #[arg(long, value_name = "F")]
    pub arrival: Option<String>,

    /// How times are written: auto, iso, seconds, millis, micros, nanos, log, or a pattern such as
    /// "%d.%m.%Y %H:%M:%S". auto reads ISO 8601 and RFC 3339, Unix times by their number of digits
    /// (11 seconds, 14 milliseconds, 17 microseconds at most), and the log's form
    #[arg(long, value_name = "FORMAT", default_value = "auto", hide_default_value = true)]
    pub time_format: TimeFormat,

    /// Use only records for which all such conditions hold: a field, an operator (= != < <= > >=, ~ and !~ for a
    /// pattern) and a value, such as status>=400 or path~^/api; or bots, static-files (of the fields agent and
    /// path; bots:FIELD names another). A field that is missing is the empty text
    #[arg(long = "where", value_name = "CONDITION")]
    pub only: Vec<Condition>,

    /// Leave out records for which such a condition holds: bots, static-files, method=OPTIONS
    #[arg(long = "not", value_name = "CONDITION")]
    pub except: Vec<Condition>,

    /// What the program wants to know beside.
    #[arg(skip)]
    pub more: MoreFields,
}
