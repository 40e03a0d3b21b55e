//! The options of the command line about the format and the fields of the input.

#![allow(rustdoc::broken_intra_doc_links, reason = "help texts of the command line: `a[0]` and `[auto]` are no links")]

use clap::Args;
use stagger::calendar::Zone;

use crate::formats::Format;
use crate::parse::NoUser;
use crate::parse::client::Forwarded;
use crate::parse::condition::{self, Condition};
use crate::parse::layout::Layout;
use crate::parse::more::MoreFields;
use crate::parse::times::{Span, TimeFormat, TimeMeaning};
use crate::zones::{self, AnyZone};

/// The format of the inputs, and which fields of a record make an event.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Input")]
pub struct Fields {
    /// Key fields: who the event belongs to; nested ones as a.b, elements of lists as a[0]. An integer may be
    /// declared as F:int, which counts for JSON lines and Parquet [logs: address]
    #[arg(long, value_name = "F[,F...]", value_delimiter = ',', value_parser = name)]
    pub key: Vec<String>,

    /// Field with the time of the event [logs: time]
    #[arg(long, value_name = "F", value_parser = name)]
    pub time: Option<String>,

    /// Field that first and last event report [logs: request, without its protocol]
    #[arg(long, value_name = "F", value_parser = name)]
    pub value: Option<String>,

    /// Format of the inputs; by default told by name and content
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,

    /// Access logs in a form of their own: the format string of nginx or Apache as it stands in the configuration,
    /// such as '$remote_addr [$time_local] "$request"' or '%h %t \"%r\" %>s'
    #[arg(long, value_name = "FORMAT", conflicts_with = "format")]
    pub log_format: Option<Layout>,

    /// Which address of an X-Forwarded-For list is the client
    #[arg(long, value_enum, value_name = "WHICH", default_value_t)]
    pub forwarded: Forwarded,

    /// With CSV: the character between two cells, or tab; by default told by name (.tsv) and first line
    #[arg(long, value_name = "C", value_parser = delimiter)]
    pub delimiter: Option<u8>,

    /// With CSV: the first line is a row already; fields are named by their number, from 1
    #[arg(long)]
    pub no_header: bool,

    /// Field with the arrival time; by default events arrive when they happen
    #[arg(long, value_name = "F", value_parser = name)]
    pub arrival: Option<String>,

    #[command(flatten)]
    pub meaning: Meaning,

    /// How times of arrival are written, if in another way than --time-format says
    #[arg(long, value_name = "FORMAT", requires = "arrival")]
    pub arrival_format: Option<TimeFormat>,

    /// Use only records for which all such conditions hold: a field, an operator (= != < <= > >=, ~ and !~ for a
    /// pattern) and a value, such as status>=400 or path~^/api; or bots, static-files (of the fields agent and
    /// path; bots:FIELD names another). A field that is missing, or -, is the empty text
    #[arg(long = "where", value_name = "CONDITION")]
    pub only: Vec<Condition>,

    /// Leave out records for which such a condition holds: bots, static-files, method=OPTIONS
    #[arg(long = "not", value_name = "CONDITION")]
    pub except: Vec<Condition>,

    /// Further fields that the program needs.
    #[arg(skip)]
    pub more: MoreFields,
}

/// The meaning of field values, in any format.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Input")]
pub struct Meaning {
    /// How times are written: auto, iso, seconds, millis, micros, nanos, excel (days of a spreadsheet), log, or a
    /// pattern such as "%d.%m.%Y %H:%M:%S%.f". auto reads ISO 8601 and RFC 3339, Unix times in the unit that is
    /// plausible, 14 or 12 digits of date and time, and the log's form [auto]
    #[arg(long, value_name = "FORMAT")]
    pub time_format: Option<TimeFormat>,

    /// Zone of times that name none, such as Europe/Berlin or +05:45; UTC if not given. A time that the clocks
    /// show twice is the earlier one; one that they skip is moved forward. (--zone is another zone: that of days and
    /// hours in the results)
    #[arg(long, value_name = "ZONE", value_parser = zones::parse)]
    pub input_zone: Option<AnyZone>,

    /// Times that auto takes; any other is refused, as is a number that is none of them in any unit
    #[arg(long, value_name = "FROM..TO", default_value = "1990..2100")]
    pub plausible: Span,

    /// What to do with a record whose first key field is null, missing, an empty cell or -
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub no_user: NoUser,
}

impl Default for Meaning {
    fn default() -> Self {
        Self { time_format: None, input_zone: None, plausible: Span::PLAUSIBLE, no_user: NoUser::Refuse }
    }
}

impl Meaning {
    /// What times mean. `usual` is their format if the options name none.
    pub fn times(&self, usual: TimeFormat) -> TimeMeaning {
        let format = self.time_format.clone().unwrap_or(usual);
        TimeMeaning { format, zone: self.input_zone, span: self.plausible }
    }
}

impl Fields {
    /// Options that must be the same in every run that goes on from a state.
    pub fn echo(&self) -> Vec<(String, String)> {
        let Self { key, time, value, arrival, only, except, meaning, arrival_format, forwarded, .. } = self;
        let Meaning { time_format, input_zone, plausible, no_user } = meaning;
        let given = |field: &Option<String>| field.clone().unwrap_or_default();
        let echo = [
            ("--key", key.join(",")),
            ("--time", given(time)),
            ("--value", given(value)),
            ("--arrival", given(arrival)),
            ("--time-format", format!("{time_format:?}")),
            ("--arrival-format", format!("{arrival_format:?}")),
            ("--input-zone", input_zone.as_ref().map(Zone::name).unwrap_or_default()),
            ("--plausible", plausible.to_string()),
            ("--no-user", format!("{no_user:?}").to_lowercase()),
            ("--forwarded", format!("{forwarded:?}").to_lowercase()),
            ("--where", condition::list(only)),
            ("--not", condition::list(except)),
        ];
        echo.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// What times of arrival mean, if that is not what times of events mean.
    pub fn arrivals(&self) -> Option<TimeMeaning> {
        let format = self.arrival_format.clone()?;
        Some(TimeMeaning { format, ..self.meaning.times(TimeFormat::Auto) })
    }
}

/// Reads the name of a field, trimmed as the names of a header are.
pub fn name(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("it names no field: write its name; names in a list have a comma between them"),
        name => Ok(name.to_owned()),
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "tab" | "\\t" | "\t" => Ok(b'\t'),
        _ => match *text.as_bytes() {
            [byte]
                if byte.is_ascii()
                    && !byte.is_ascii_alphanumeric()
                    && !matches!(byte, b'"' | b'\n' | b'\r' | b'\\') =>
            {
                Ok(byte)
            }
            _ => Err("give one character such as ; or |, or the word tab".to_owned()),
        },
    }
}
