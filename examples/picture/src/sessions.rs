//! The sessions of all files: each once, in its latest revision, and small.
//!
//! A corrected row takes the place of the revisions of its own id before it, and of all sessions that
//! it names in `supersedes`, whatever the order of the rows. The same revision read twice counts once.
//! Each table is taken for itself.
//! Rows whose id is not one of the library's (those of `kinesis-sql`, which are not unique) are all
//! different sessions.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use rows::visible::visible;
use stagger::SessionId;

use crate::names::Names;
use crate::row::{Draft, Measures};

/// One session. Texts are numbers of [`Sessions::groups`], [`Sessions::events`] and [`Sessions::users`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) measures: Measures,
    pub(crate) group: u32,
    pub(crate) user: u32,
    pub(crate) first: u32,
    pub(crate) last: u32,
}

/// The number of a table, and the id of a session in it: tables of one stream have ids in common.
type Id = (u32, SessionId);

/// How many rows there were of each kind that is no session of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Rows whose place a corrected row took.
    pub(crate) superseded: u64,
    /// Rows that were there before.
    pub(crate) repeated: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    list: Vec<(Session, Option<Id>)>,
    latest: HashMap<Id, (u32, usize)>,
    superseded: HashSet<Id>,
    /// That of the rows that come next.
    table: u32,
    passed: Passed,
    /// The column whose values are the groups.
    group: Option<String>,
    has_group: bool,
    pub(crate) groups: Names,
    pub(crate) users: Names,
    pub(crate) events: Names,
    /// The key fields apart from that of the groups.
    pub(crate) user_columns: Vec<String>,
}

impl Sessions {
    /// `group`: the column whose values are the groups; without it `device_id`, or else the first
    /// key field of the first row.
    pub(crate) fn new(group: Option<String>) -> Self {
        Self { group, ..Self::default() }
    }

    /// Says which table the rows that follow are of.
    pub(crate) fn of_table(&mut self, table: u32) {
        self.table = table;
    }

    pub(crate) fn add(&mut self, row: &Draft) -> Result<(), String> {
        let measures = row.measures()?;
        if self.group.is_none() {
            self.group = Some(usual_group(row));
        }
        let session = self.session(row, measures);
        let others = row.supersedes.iter().filter(|old| Some(**old) != row.id);
        self.superseded.extend(others.map(|old| (self.table, *old)));
        let Some(id) = row.id.map(|id| (self.table, id)) else {
            self.list.push((session, None));
            return Ok(());
        };
        match self.latest.entry(id) {
            Entry::Vacant(place) => {
                place.insert((row.revision, self.list.len()));
                self.list.push((session, Some(id)));
            }
            Entry::Occupied(mut place) => {
                let (revision, index) = *place.get();
                if row.revision == revision {
                    self.passed.repeated += 1;
                    return Ok(());
                }
                self.passed.superseded += 1;
                if row.revision > revision {
                    place.insert((row.revision, index));
                    self.list[index].0 = session;
                }
            }
        }
        Ok(())
    }

    fn session(&mut self, row: &Draft, measures: Measures) -> Session {
        let column = self.group.as_deref().unwrap_or_default();
        let group = row.value_of(column);
        self.has_group |= group.is_some();
        let others = row.keys.iter().filter(|(name, _)| name != column);
        let users: Vec<Cow<'_, str>> = others.map(|(_, value)| visible(value)).collect();
        for (name, _) in row.keys.iter().filter(|(name, _)| name != column) {
            if !self.user_columns.contains(name) {
                self.user_columns.push(name.clone());
            }
        }
        let event = |event: &Option<String>| named(event.as_deref()).into_owned();
        Session {
            measures,
            group: self.groups.number(&named(group)),
            user: self.users.number(&users.join(" · ")),
            first: self.events.number(&event(&row.first)),
            last: self.events.number(&event(&row.last)),
        }
    }

    /// The column of the groups, if any row had it.
    pub(crate) fn group_column(&self) -> Result<&str, String> {
        let column = self.group.as_deref().unwrap_or_default();
        if self.has_group || self.list.is_empty() || column.is_empty() {
            return Ok(column);
        }
        let known = if self.user_columns.is_empty() { "reason".to_owned() } else { self.user_columns.join(", ") };
        Err(format!("no row has a column `{column}` to group by: choose --group from {known}"))
    }

    /// The sessions that count, and how many rows do not.
    pub(crate) fn finish(&mut self) -> (Vec<Session>, Passed) {
        let before = self.list.len();
        let superseded = &self.superseded;
        self.list.retain(|(_, id)| id.is_none_or(|id| !superseded.contains(&id)));
        let mut passed = self.passed;
        passed.superseded += (before - self.list.len()) as u64;
        self.latest = HashMap::new();
        (std::mem::take(&mut self.list).into_iter().map(|(session, _)| session).collect(), passed)
    }
}

fn usual_group(row: &Draft) -> String {
    let device = row.keys.iter().find(|(name, _)| name == "device_id");
    device.or(row.keys.first()).map(|(name, _)| name.clone()).unwrap_or_default()
}

/// A text to show where there may be none.
fn named(text: Option<&str>) -> Cow<'_, str> {
    match text {
        None => "(none)".into(),
        Some("") => "(empty)".into(),
        Some(text) => visible(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Cell, Role};
    use events::parse::times::Recent;

    fn id(number: u32) -> String {
        format!("{number:032x}")
    }

    fn row(number: &str, revision: u32, supersedes: &[u32], events: u32) -> Draft {
        let mut draft = Draft::default();
        let supersedes = supersedes.iter().map(|old| id(*old)).collect::<Vec<_>>().join(",");
        let cells = [
            ("session_id", number.to_owned()),
            ("user_id", "7".to_owned()),
            ("device_id", "mobile".to_owned()),
            ("events", events.to_string()),
            ("beginsession", "2018-11-29T23:35:10Z".to_owned()),
            ("duration_sec", "1".to_owned()),
            ("revision", revision.to_string()),
            ("supersedes", supersedes),
        ];
        for (name, text) in cells {
            draft.set(name, Role::of(name), &Cell::Text(text.into()), &Recent::default()).unwrap();
        }
        draft
    }

    /// The numbers of events of the remaining sessions, and the number of rows passed over.
    fn left(rows: &[Draft]) -> (Vec<u64>, Passed) {
        let mut sessions = Sessions::new(None);
        rows.iter().for_each(|row| sessions.add(row).unwrap());
        let (list, passed) = sessions.finish();
        let mut events: Vec<u64> = list.iter().map(|session| session.measures.events).collect();
        events.sort_unstable();
        (events, passed)
    }

    #[test]
    fn corrected_rows_take_the_place_of_others_in_any_order() {
        let rows =
            || vec![row(&id(1), 0, &[], 1), row(&id(2), 0, &[], 2), row(&id(1), 1, &[1, 2], 4), row(&id(3), 0, &[], 8)];
        let passed = Passed { superseded: 2, repeated: 0 };
        assert_eq!(left(&rows()), (vec![4, 8], passed));
        let mut backwards = rows();
        backwards.reverse();
        assert_eq!(left(&backwards), (vec![4, 8], passed));
    }

    #[test]
    fn a_row_read_twice_counts_once() {
        let rows = [row(&id(1), 0, &[], 1), row(&id(1), 0, &[], 1), row(&id(1), 1, &[1], 3), row(&id(1), 1, &[1], 3)];
        assert_eq!(left(&rows), (vec![3], Passed { superseded: 1, repeated: 2 }));
    }

    #[test]
    fn tables_with_the_same_ids_do_not_replace_each_other() {
        let mut sessions = Sessions::new(None);
        for table in [0, 1, 0] {
            sessions.of_table(table);
            sessions.add(&row(&id(1), 0, &[], 1)).unwrap();
        }
        let (list, passed) = sessions.finish();
        assert_eq!((list.len(), passed), (2, Passed { superseded: 0, repeated: 1 }));
    }

    #[test]
    fn ids_that_are_not_unique_are_different_sessions() {
        let rows = [row("7_mob_20181129", 0, &[], 1), row("7_mob_20181129", 0, &[], 1)];
        assert_eq!(left(&rows), (vec![1, 1], Passed::default()));
    }

    #[test]
    fn groups_are_devices_unless_another_column_is_named() {
        let mut usual = Sessions::new(None);
        usual.add(&row(&id(1), 0, &[], 1)).unwrap();
        assert_eq!((usual.group_column(), usual.groups.text(0), usual.users.text(0)), (Ok("device_id"), "mobile", "7"));
        assert_eq!(usual.user_columns, ["user_id"]);
        let mut users = Sessions::new(Some("user_id".to_owned()));
        users.add(&row(&id(1), 0, &[], 1)).unwrap();
        assert_eq!((users.groups.text(0), users.users.text(0)), ("7", "mobile"));
        let mut wrong = Sessions::new(Some("colour".to_owned()));
        wrong.add(&row(&id(1), 0, &[], 1)).unwrap();
        let reason = wrong.group_column().unwrap_err();
        assert_eq!(reason, "no row has a column `colour` to group by: choose --group from user_id, device_id");
    }
}
