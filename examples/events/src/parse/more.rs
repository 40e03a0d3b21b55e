//! What records are asked for beside key, times and value: conditions, and further fields.

use std::cell::{Cell, RefCell};

use super::condition::Condition;
use super::times::{TimeMeaning, TimeReader};
use super::{Field, NOTHING, keys, start_of};
use crate::columns::KeyKind;

/// Fields and conditions that a program needs.
#[derive(Clone, Debug, Default)]
pub struct MoreFields {
    /// Fields whose values go along, in this order; see [`values`].
    pub names: Vec<String>,
    /// Conditions of which each record says whether it holds: bit by bit, in this order. Eight at most.
    pub marks: Vec<Condition>,
}

/// The further values of a record, each empty where there is none.
pub fn values(more: &str, count: usize) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
    keys::split(more, count)
}

/// The same with the places of the fields.
#[derive(Clone, Debug)]
pub(super) struct More {
    /// Conditions that must hold, and those that must not.
    filters: Vec<Filter>,
    marks: Vec<(Check, Cell<bool>)>,
    fields: Vec<usize>,
    /// A buffer for keys.
    pub(super) spare: Spare,
}

/// A condition on a field.
#[derive(Clone, Debug)]
struct Check {
    index: usize,
    condition: Condition,
    /// Reads times as the field has them.
    times: TimeReader,
    /// The first value that cannot be compared, and what it should be.
    other: RefCell<Option<(String, &'static str)>>,
}

impl Check {
    fn new(index: usize, condition: &Condition, meaning: TimeMeaning) -> Self {
        let condition = condition.clone().in_zone(meaning.zone);
        Self { index, condition, times: TimeReader::new(meaning), other: RefCell::default() }
    }

    fn holds<'a>(&self, field: &impl Fn(usize) -> Field<'a>) -> bool {
        let value = text_of(field(self.index));
        let holds = self.condition.holds_at(value, &self.times);
        if !holds {
            self.note_other(value);
        }
        holds
    }

    fn note_other(&self, value: &str) {
        if self.other.borrow().is_none()
            && let Some(what) = self.condition.lacks(value, &self.times)
        {
            self.other.replace(Some((start_of(value), what)));
        }
    }

    fn note(&self) -> Option<String> {
        let (field, condition) = (self.condition.field(), self.condition.text());
        let (value, what) = self.other.borrow().clone()?;
        Some(format!("`{field}` has values that are no {what}, such as {value}: {condition} does not hold for them"))
    }
}

#[derive(Clone, Debug)]
struct Filter {
    check: Check,
    /// Whether it must hold.
    holds: bool,
    /// Whether it left a record out.
    has_left_out: Cell<bool>,
}

impl Filter {
    fn admits<'a>(&self, field: &impl Fn(usize) -> Field<'a>) -> bool {
        let admits = self.check.holds(field) == self.holds;
        if !admits {
            self.has_left_out.set(true);
        }
        admits
    }
}

#[derive(Default)]
pub(super) struct Spare(pub(super) Cell<String>);

impl std::fmt::Debug for Spare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spare")
    }
}

impl Clone for Spare {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl More {
    /// None if nothing is asked for. `index_of` gives the place of a field, and `meaning_of` that of the times there.
    pub(super) fn new(
        only: &[Condition],
        except: &[Condition],
        more: &MoreFields,
        mut index_of: impl FnMut(&str) -> usize,
        meaning_of: impl Fn(usize) -> TimeMeaning,
    ) -> Option<Box<Self>> {
        let mut check = |condition: &Condition| {
            let index = index_of(condition.field());
            Check::new(index, condition, meaning_of(index))
        };
        let mut filter =
            |condition: &Condition, holds| Filter { check: check(condition), holds, has_left_out: Cell::new(false) };
        let filters: Vec<_> = only.iter().map(|condition| filter(condition, true)).collect();
        let filters: Vec<_> =
            filters.into_iter().chain(except.iter().map(|condition| filter(condition, false))).collect();
        let marks: Vec<_> = more.marks.iter().map(|mark| (check(mark), Cell::new(false))).collect();
        let fields: Vec<_> = more.names.iter().map(|name| index_of(name)).collect();
        let is_empty = filters.is_empty() && marks.is_empty() && fields.is_empty();
        (!is_empty).then(|| Box::new(Self { filters, marks, fields, spare: Spare::default() }))
    }

    /// The fields that decide whether a record is left out.
    pub(super) fn filters(&self) -> impl Iterator<Item = usize> + '_ {
        self.filters.iter().map(|filter| filter.check.index)
    }

    /// The fields that are looked at in the other records.
    pub(super) fn further(&self) -> impl Iterator<Item = usize> + '_ {
        self.marks.iter().map(|(check, _)| check.index).chain(self.fields.iter().copied())
    }

    pub(super) fn admits<'a>(&self, field: &impl Fn(usize) -> Field<'a>) -> bool {
        self.filters.iter().all(|filter| filter.admits(field))
    }

    /// What is to be told of each condition if it made no difference, and whether it made none.
    pub(super) fn idle(&self) -> impl Iterator<Item = (String, bool)> + '_ {
        let filters = self.filters.iter().map(|filter| {
            let text = filter.check.condition.text();
            let note = match filter.holds {
                true => format!("--where {text} held for every line"),
                false => format!("--not {text} left no line out"),
            };
            (note, !filter.has_left_out.get())
        });
        let marks = self.marks.iter().map(|(mark, has_held)| {
            (format!("no event fulfils {}, the condition of a rule", mark.condition.text()), !has_held.get())
        });
        let checks = self.filters.iter().map(|filter| &filter.check).chain(self.marks.iter().map(|(check, _)| check));
        filters.chain(marks).chain(checks.filter_map(Check::note).map(|note| (note, true)))
    }

    pub(super) fn marks<'a>(&self, field: &impl Fn(usize) -> Field<'a>) -> u8 {
        let bit = |(place, (mark, has_held)): (usize, &(Check, Cell<bool>))| {
            let holds = mark.holds(field);
            has_held.set(has_held.get() || holds);
            u8::from(holds) << place
        };
        self.marks.iter().enumerate().map(bit).sum()
    }

    /// Appends the values, as [`values`] takes them apart.
    pub(super) fn push<'a>(&self, text: &mut String, field: &impl Fn(usize) -> Field<'a>) {
        match self.fields[..] {
            [only] => text.push_str(value_of(field(only))),
            _ => {
                for (place, index) in self.fields.iter().enumerate() {
                    // Only an integer could be wrong.
                    let _ = keys::push(text, place, value_of(field(*index)), KeyKind::Text);
                }
            }
        }
    }
}

/// A value, or nothing.
fn text_of(field: Field<'_>) -> &str {
    match field {
        Field::Text(text) | Field::Number(text) | Field::Not(text, _) => text,
        _ => "",
    }
}

/// The same; a dash of a log is nothing.
fn value_of(field: Field<'_>) -> &str {
    match text_of(field) {
        NOTHING => "",
        text => text,
    }
}
