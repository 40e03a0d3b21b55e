//! The plan of an application: streams with types, pumps whose names are column numbers.

use std::time::Duration;

use stagger::{Bucket, Stagger, Unit};

use crate::aggregate::Aggregate;
use crate::expr::Expr;
use crate::types::Type;

/// An expression, and the type of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed {
    pub expr: Expr,
    pub ty: Type,
}

/// An application that can run.
#[derive(Debug)]
pub struct Plan {
    pub streams: Vec<Stream>,
    /// The stream that records are read into.
    pub source: usize,
    /// In the order of the text.
    pub pumps: Vec<Pump>,
    /// The pumps, each behind those that fill the stream it reads.
    pub order: Vec<usize>,
    /// Whether the types of the source were taken from its use.
    pub is_inferred: bool,
    pub text: String,
}

impl Plan {
    /// The parts that a saved state must have in common with this plan: the text, and the types of the source.
    pub fn identity(&self) -> String {
        let columns = &self.streams[self.source].columns;
        let types: Vec<String> = columns.iter().map(|column| format!("{} {}", column.name, column.ty)).collect();
        format!("{}\n-- source: {}", self.text.trim(), types.join(", "))
    }
}

/// A row of it has its columns, then ROWTIME and APPROXIMATE_ARRIVAL_TIME; only a source has the latter.
#[derive(Debug)]
pub struct Stream {
    pub name: String,
    pub columns: Vec<Column>,
    pub is_filled: bool,
    pub is_read: bool,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub ty: Type,
    /// The fields that may hold it, in a record of the source.
    pub fields: Vec<String>,
}

#[derive(Debug)]
pub struct Pump {
    pub name: String,
    pub from: usize,
    pub into: usize,
    pub filter: Option<Expr>,
    pub work: Work,
    pub having: Option<Expr>,
    /// The columns of the stream that it fills.
    pub outputs: Vec<Expr>,
    pub sql: Texts,
}

/// The parts of a pump as they stand in the text, each on one line.
#[derive(Debug, Default)]
pub struct Texts {
    pub filter: Option<String>,
    /// The expressions of PARTITION BY or GROUP BY.
    pub partition: Vec<String>,
    pub having: Option<String>,
    /// For each column that it fills, if the text says what with.
    pub columns: Vec<Option<String>>,
}

#[derive(Debug)]
pub enum Work {
    /// A row for each row.
    Rows,
    Group(Group),
    /// A row for each row, with aggregates over those before it.
    Over(Vec<Over>),
}

/// Rows of it have its keys, then ROWTIME, then its aggregates.
#[derive(Debug)]
pub struct Group {
    pub window: Window,
    pub windows: Stagger,
    pub keys: Vec<Typed>,
    pub arguments: Vec<Expr>,
    pub aggregates: Vec<Aggregate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Opens with its first row, and closes this number of milliseconds later.
    Stagger(i64),
    /// STEP(ROWTIME BY …).
    Step(i64),
    /// FLOOR(ROWTIME TO …).
    Floor(Unit),
}

impl Window {
    /// The windows of the library that do it.
    pub fn stagger(self) -> Stagger {
        let length = |millis: i64| Duration::from_millis(millis.unsigned_abs());
        match self {
            // How often a key opened does not matter.
            Self::Stagger(range) => Stagger::per_key(length(range)).remember_parts(Duration::ZERO),
            Self::Step(step) => Stagger::on_event_time(Bucket::step(length(step))),
            Self::Floor(unit) => Stagger::on_event_time(Bucket::floor(unit)),
        }
    }
}

#[derive(Debug)]
pub struct Over {
    pub partition: Vec<Expr>,
    pub frame: Frame,
    pub arguments: Vec<Expr>,
    pub aggregates: Vec<Aggregate>,
    /// Where the results stand behind the row.
    pub slots: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Rows that are less than this number of milliseconds old.
    Range(i64),
    /// The row and this number of rows before it.
    Rows(usize),
}

impl Stream {
    pub fn rowtime(&self) -> usize {
        self.columns.len()
    }

    /// How many values a row of it has.
    pub fn width(&self) -> usize {
        self.columns.len() + 2
    }

    pub fn column_names(&self) -> String {
        self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect::<Vec<_>>().join(", ")
    }
}

/// The source of a record's arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A field of the record.
    Field(String),
    /// Whoever brought the record knows it.
    Known,
}
