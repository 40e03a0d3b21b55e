//! The facts that a session keeps of its events beside key, times, first and last: the events themselves, and the columns
//! of `--sum` and its like.

use std::collections::BTreeSet;

use clap::Args;
use events::fields;
use events::parse::more;
use rows::lines::{More, MoreKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stagger::{Aggregate, EventRef, Timestamp, Value};

use crate::decimal::Decimal;
use crate::text::{KeptOrigin, Origin, Payload, Place, Text, Unkept};

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Columns of the rows")]
pub(crate) struct Measures {
    /// Sum of a field as a column sum_F; numbers add up exactly. A value that is no number is not counted, and told
    #[arg(long, value_name = "F[,F...]", value_delimiter = ',', value_parser = fields::name)]
    pub(crate) sum: Vec<String>,

    /// Least number in a field, as a column min_F
    #[arg(long, value_name = "F[,F...]", value_delimiter = ',', value_parser = fields::name)]
    pub(crate) min: Vec<String>,

    /// Greatest number in a field, as a column max_F
    #[arg(long, value_name = "F[,F...]", value_delimiter = ',', value_parser = fields::name)]
    pub(crate) max: Vec<String>,

    /// Average of the numbers in a field, as a column avg_F
    #[arg(long, value_name = "F[,F...]", value_delimiter = ',', value_parser = fields::name)]
    pub(crate) avg: Vec<String>,

    /// How many different values a field has, as a column distinct_F
    #[arg(long, value_name = "F[,F...]", value_delimiter = ',', value_parser = fields::name)]
    pub(crate) distinct: Vec<String>,

    /// The values of a field in order of time, as a column list_F: a JSON array in CSV too, a list in Parquet
    #[arg(long, value_name = "F[,F...]", value_delimiter = ',', value_parser = fields::name)]
    pub(crate) list: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Sum,
    Min,
    Max,
    Avg,
    Distinct,
    List,
}

impl Measure {
    fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Avg => "avg",
            Self::Distinct => "distinct",
            Self::List => "list",
        }
    }

    fn kind(self) -> MoreKind {
        match self {
            Self::Sum | Self::Min | Self::Max | Self::Avg => MoreKind::Number,
            Self::Distinct => MoreKind::Count,
            Self::List => MoreKind::Texts,
        }
    }

    fn is_of_numbers(self) -> bool {
        self.kind() == MoreKind::Number
    }
}

impl Measures {
    fn all(&self) -> impl Iterator<Item = (Measure, &String)> {
        [
            (Measure::Sum, &self.sum),
            (Measure::Min, &self.min),
            (Measure::Max, &self.max),
            (Measure::Avg, &self.avg),
            (Measure::Distinct, &self.distinct),
            (Measure::List, &self.list),
        ]
        .into_iter()
        .flat_map(|(measure, fields)| fields.iter().map(move |field| (measure, field)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// The fields that they need, each once.
    pub(crate) fn fields(&self) -> Vec<String> {
        let mut fields: Vec<String> = Vec::new();
        for (_, field) in self.all() {
            if !fields.contains(field) {
                fields.push(field.clone());
            }
        }
        fields
    }

    /// The names of their columns.
    pub(crate) fn columns(&self) -> Vec<String> {
        self.all().map(|(measure, field)| format!("{}_{field}", measure.name())).collect()
    }

    /// The types of their columns.
    pub(crate) fn kinds(&self) -> Vec<MoreKind> {
        self.all().map(|(measure, _)| measure.kind()).collect()
    }

    /// The places of fields that should be numbers.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        let fields = self.fields();
        let is_number = |field: &&String| self.all().any(|(measure, other)| measure.is_of_numbers() && other == *field);
        (0..fields.len()).filter(|place| is_number(&&fields[*place])).collect()
    }
}

/// The facts in a summary: nothing, or [`Facts`].
pub(crate) trait Kept: Sized + Send + 'static {
    /// What sessions keep of the origin of an event.
    type Origin: for<'a> Value<Ref<'a> = Origin<'a>> + Clone + Send + Serialize + DeserializeOwned;

    fn members(&self) -> &[Member];

    fn retain_members(&mut self, keep: impl FnMut(&Member) -> bool);

    /// The cells of the further columns.
    fn cells(&self) -> &[More];
}

impl Kept for () {
    type Origin = Unkept;

    fn members(&self) -> &[Member] {
        &[]
    }

    fn retain_members(&mut self, _: impl FnMut(&Member) -> bool) {}

    fn cells(&self) -> &[More] {
        &[]
    }
}

#[derive(Debug)]
pub(crate) struct Facts {
    members: Vec<Member>,
    cells: Vec<More>,
}

impl Kept for Facts {
    type Origin = KeptOrigin; // of the events that are held for a while

    fn members(&self) -> &[Member] {
        &self.members
    }

    fn retain_members(&mut self, keep: impl FnMut(&Member) -> bool) {
        self.members.retain(keep);
    }

    fn cells(&self) -> &[More] {
        &self.cells
    }
}

/// An event of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) time: Timestamp,
    pub(crate) place: Place,
    pub(crate) value: Text,
}

/// Makes [`Facts`].
#[derive(Clone, Debug)]
pub(crate) struct Gather {
    has_members: bool,
    /// Each with the place of its field among the further fields.
    measures: Vec<(Measure, usize)>,
    fields: usize,
}

impl Gather {
    /// `fields`: the names of the further fields of an event.
    pub(crate) fn new(has_members: bool, measures: &Measures, fields: &[String]) -> Self {
        let place = |name: &String| fields.iter().position(|field| field == name).unwrap_or_default();
        let measures = measures.all().map(|(measure, field)| (measure, place(field))).collect();
        Self { has_members, measures, fields: fields.len() }
    }
}

/// The facts about the events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Gathered {
    members: Vec<Member>,
    cells: Vec<Cell>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Cell {
    /// None where the sum is too large.
    Sum(Option<Decimal>, u64),
    Least(Option<Decimal>),
    Greatest(Option<Decimal>),
    Different(BTreeSet<Text>),
    All(Vec<Member>),
}

impl Cell {
    fn new(measure: Measure) -> Self {
        match measure {
            Measure::Sum | Measure::Avg => Self::Sum(Decimal::parse("0"), 0),
            Measure::Min => Self::Least(None),
            Measure::Max => Self::Greatest(None),
            Measure::Distinct => Self::Different(BTreeSet::new()),
            Measure::List => Self::All(Vec::new()),
        }
    }

    fn add(&mut self, text: &str, time: Timestamp, place: Place) {
        if text.is_empty() {
            return;
        }
        match self {
            Self::Different(texts) => drop(texts.insert(text.into())),
            Self::All(members) => members.push(Member { time, place, value: text.into() }),
            Self::Sum(..) | Self::Least(_) | Self::Greatest(_) => {
                if let Some(number) = Decimal::parse(text) {
                    self.merge(match self {
                        Self::Sum(..) => Self::Sum(Some(number), 1),
                        Self::Least(_) => Self::Least(Some(number)),
                        _ => Self::Greatest(Some(number)),
                    });
                }
            }
        }
    }

    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Sum(sum, count), Self::Sum(more, others)) => {
                *sum = sum.zip(more).and_then(|(sum, more)| sum.add(more));
                *count += others;
            }
            (Self::Least(least), Self::Least(other)) => *least = (*least).into_iter().chain(other).min(),
            (Self::Greatest(greatest), Self::Greatest(other)) => *greatest = (*greatest).max(other),
            (Self::Different(texts), Self::Different(others)) => texts.extend(others),
            (Self::All(members), Self::All(others)) => members.extend(others),
            _ => {}
        }
    }

    fn finish(self, measure: Measure) -> More {
        let number = |number: Option<Decimal>| number.map_or(More::Null, |number| More::Number(number.to_string()));
        match self {
            Self::Sum(_, 0) => More::Null,
            Self::Sum(sum, count) if measure == Measure::Avg => number(sum.map(|sum| sum.divided_by(count))),
            Self::Sum(sum, _) => number(sum),
            Self::Least(least) => number(least),
            Self::Greatest(greatest) => number(greatest),
            Self::Different(texts) => More::Count(texts.len() as u64),
            Self::All(members) => {
                More::Texts(in_order(members).into_iter().map(|member| member.value.as_str().to_owned()).collect())
            }
        }
    }
}

/// In order of time; those of one time in order of the lines.
fn in_order(mut members: Vec<Member>) -> Vec<Member> {
    members.sort_by_key(|member| (member.time, member.place.input, member.place.line));
    members
}

type In<'e> = EventRef<'e, Text, Payload<Facts>>;

impl Aggregate<Text, Payload<Facts>> for Gather {
    type State = Gathered;
    type Output = Facts;

    fn open(&self, event: &In<'_>) -> Gathered {
        let cells = self.measures.iter().map(|(measure, _)| Cell::new(*measure)).collect();
        let mut gathered = Gathered { members: Vec::new(), cells };
        self.add(&mut gathered, event);
        gathered
    }

    fn add(&self, state: &mut Gathered, event: &In<'_>) {
        let (value, Origin { place, more, .. }) = event.value;
        if self.has_members {
            state.members.push(Member { time: event.event_time, place, value: value.into() });
        }
        for (field, text) in more::values(more, self.fields).enumerate() {
            for ((_, of), cell) in self.measures.iter().zip(&mut state.cells) {
                if *of == field {
                    cell.add(&text, event.event_time, place);
                }
            }
        }
    }

    fn merge(&self, state: &mut Gathered, other: Gathered) {
        state.members.extend(other.members);
        state.cells.iter_mut().zip(other.cells).for_each(|(cell, other)| cell.merge(other));
    }

    fn finish(&self, state: Gathered) -> Facts {
        let cells = state.cells.into_iter().zip(&self.measures).map(|(cell, (measure, _))| cell.finish(*measure));
        Facts { members: in_order(state.members), cells: cells.collect() }
    }
}
