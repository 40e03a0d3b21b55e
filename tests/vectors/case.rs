//! A case as it is written in the files. A field or step that is not known here is an error, so
//! that nothing of a case can be overlooked.

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) dialect: Dialect,
    pub(crate) config: Settings,
    pub(crate) steps: Vec<Step>,
    pub(crate) expect: Expect,
    #[serde(rename = "title")]
    _title: String,
    #[serde(rename = "tags")]
    _tags: Vec<String>,
    #[serde(rename = "provenance")]
    _provenance: Value,
    #[serde(rename = "why_it_matters")]
    _why_it_matters: String,
    #[serde(rename = "partial")]
    _partial: Option<String>,
}

/// Which part of the library is asked.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Stream,
    Call,
    Assign,
    IntervalSet,
    Overlap,
    InvalidConfig,
    OverRange,
    Watermark,
    Combine,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dialect {
    Kda,
    Flink,
    Beam,
    Kafka,
    Spark,
    Bytewax,
    Renoir,
    Azure,
    Arroyo,
    DbtSegment,
}

impl Dialect {
    /// Whether two events exactly one gap apart are one session.
    pub(crate) fn is_inclusive(self) -> bool {
        self != Self::Beam
    }

    /// Whether a watermark W says "no more events at W or before", instead of "before W".
    pub(crate) fn is_watermark_inclusive(self) -> bool {
        self == Self::Flink
    }

    /// The first instant, in the units of the case, at which events are expected under a watermark.
    pub(crate) fn first_open_instant(self, watermark: i64) -> i64 {
        watermark + i64::from(self.is_watermark_inclusive())
    }

    /// Whether a session is reported to end with its last event, instead of one gap later.
    pub(crate) fn ends_at_last_event(self) -> bool {
        !matches!(self, Self::Flink | Self::Beam | Self::Spark)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) strategy: Strategy,
    pub(crate) gap_ms: Option<i64>,
    pub(crate) gap: Option<PerEvent>,
    pub(crate) max_duration_ms: Option<i64>,
    pub(crate) size_ms: Option<i64>,
    pub(crate) slide_ms: Option<i64>,
    pub(crate) offset_ms: Option<i64>,
    pub(crate) align: Option<Align>,
    pub(crate) bucket: Option<Bucketing>,
    pub(crate) range_ms: Option<i64>,
    pub(crate) rowtime_step_ms: Option<i64>,
    pub(crate) event_step_ms: Option<i64>,
    pub(crate) allowed_lateness_ms: Option<Lateness>,
    pub(crate) grace_ms: Option<i64>,
    pub(crate) trigger: Option<Trigger>,
    pub(crate) watermark: Option<Watermark>,
    pub(crate) generator: Option<Generator>,
    pub(crate) bound_ms: Option<i64>,
    pub(crate) minus_one: Option<bool>,
    pub(crate) wait_ms: Option<i64>,
    pub(crate) timeout_ms: Option<i64>,
    pub(crate) sources: Option<usize>,
    /// In both domains `ts` is the time that counts.
    #[serde(rename = "time_domain")]
    _time_domain: Option<String>,
    /// Remarks on a rule that the strategy or the dialect already says.
    #[serde(rename = "rowtime_boundary")]
    _rowtime_boundary: Option<String>,
    #[serde(rename = "window")]
    _window: Option<String>,
    #[serde(rename = "max_duration_check")]
    _max_duration_check: Option<String>,
    #[serde(rename = "datediff")]
    _datediff: Option<String>,
    /// Both models follow the same rules but for the part that the library leaves out: see the table.
    #[serde(rename = "model")]
    _model: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strategy {
    Session,
    Tumbling,
    Sliding,
    Stagger,
    KdaTumbling,
    OverRange,
    Scalar,
    IntervalSet,
    Overlap,
    Watermark,
    Combine,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PerEvent {
    PerEvent,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Align {
    FirstEvent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bucketing {
    pub(crate) floor: Option<String>,
    pub(crate) step_ms: Option<i64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(crate) enum Lateness {
    Millis(i64),
    Unlimited(Infinite),
}

#[derive(Clone, Copy, Deserialize)]
pub(crate) enum Infinite {
    #[serde(rename = "inf")]
    Inf,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
pub(crate) enum Trigger {
    #[serde(rename = "on_close")]
    Close,
    #[serde(rename = "on_close_purging")]
    ClosePurging,
    #[serde(rename = "on_update")]
    Update,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Watermark {
    None,
    StreamTime,
    Bounded { bound_ms: i64, minus_one: bool },
    BatchBounded { bound_ms: i64 },
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Generator {
    BoundedOutOfOrderness,
    EventClockWithSystemTime,
    BatchBounded,
    IdleTimer,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    Event(Input),
    Watermark { ts: i64 },
    Clock { ts: i64 },
    BatchEnd {},
    Flush {},
    Assign { ts: i64 },
    Call(Call),
    AddWindow { start: i64, end: i64 },
    Overlap { a: (i64, i64), b: (i64, i64) },
    Config { gap_ms: i64, grace_ms: Option<i64> },
    Probe {},
    CheckIdle {},
    SourceWatermark { source: usize, ts: i64 },
    SourceIdle { source: usize },
    SourceActive { source: usize },
    SourceRemove { source: usize },
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    pub(crate) id: String,
    pub(crate) key: Option<String>,
    pub(crate) ts: i64,
    pub(crate) value: Option<i64>,
    pub(crate) gap: Option<i64>,
    pub(crate) arrival: Option<i64>,
    /// A time that is to be ignored.
    #[serde(rename = "payload_ts")]
    _payload_ts: Option<i64>,
}

#[derive(Deserialize)]
#[serde(tag = "fn", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Call {
    StepInt { x: i64, by: i64 },
    StepTs { ts: Option<i64>, n: u64, unit: String },
    FloorTs { ts: Option<i64>, unit: String },
    CeilTs { ts: Option<i64>, unit: String },
    CeilNum { x: f64 },
    Substring { s: String, start: i64, length: i64, form: String },
    UnixTimestamp { ts: i64 },
    Tsdiff { a: i64, b: i64 },
    DurationSec { first: i64, last: i64 },
    SessionId { user_id: i64, device_id: String, ts: i64, step_ms: i64 },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) emissions: Option<Vec<Expected>>,
    #[serde(default = "yes")]
    pub(crate) emissions_complete: bool,
    #[serde(rename = "final")]
    pub(crate) at_last: Option<Vec<Expected>>,
    #[serde(rename = "final_complete", default = "yes")]
    pub(crate) at_last_complete: bool,
    pub(crate) late: Option<Vec<String>>,
    #[serde(default = "yes")]
    pub(crate) late_complete: bool,
    #[serde(default)]
    pub(crate) values: Vec<ExpectedValue>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) key: Option<String>,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) step: Option<usize>,
    pub(crate) ids: Option<Vec<String>>,
    pub(crate) count: Option<u64>,
    pub(crate) first_ts: Option<i64>,
    pub(crate) last_ts: Option<i64>,
    pub(crate) sum: Option<i64>,
    pub(crate) opened_at: Option<i64>,
    pub(crate) emitted_at: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedValue {
    pub(crate) step: usize,
    pub(crate) value: Value,
}
