//! The sums as the page carries them: an object of JSON, in which long lists of numbers are bytes in
//! base64.
//!
//! A number takes as many bytes as it needs, seven bits in each, the lowest first; the eighth bit says
//! that more follow. Tables are written as their filled cells, each with its distance from the one
//! before.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rows::visible::visible;
use serde_json::{Value, json};

use crate::cube::{Cube, Ranking, Sums};
use crate::longest::Longest;
use crate::names::Names;
use crate::scale::Times;
use crate::sessions::{Session, Sessions};

/// Names are shown up to the first of these letters with which those of the table fit into [`ROOM`].
const LONGEST_NAMES: [usize; 5] = [100, 80, 60, 40, 24];
/// In letters, for all names of the table: the rows without names take less than that.
const ROOM: usize = 600_000;

/// The largest whole number that JavaScript counts to without gaps.
const MOST: u64 = (1 << 53) - 1;

#[derive(Debug, Default)]
pub(crate) struct Numbers(Vec<u8>);

impl Numbers {
    fn push(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(crate) fn extend(&mut self, numbers: impl IntoIterator<Item = u64>) {
        numbers.into_iter().for_each(|number| self.push(number));
    }

    pub(crate) fn text(&self) -> String {
        STANDARD.encode(&self.0)
    }
}

/// Puts everything together. Fails if the sums are too large to be exact.
pub(crate) fn pack(list: &[Session], texts: &Sessions, title: &str) -> Result<Value, String> {
    let cube = Cube::of(list, texts);
    let Sums { sessions, events, seconds } = cube.total;
    if events.max(seconds) > MOST {
        return Err("the events or seconds of all sessions are more than 2^53: make pictures of fewer sessions".into());
    }
    let longest = Longest::of(list, &cube);
    let mut users = Renumbered::default();
    let mut named = Renumbered::default();
    let mut names = Renumbered::default();
    let rows = rows(&longest.kept, &cube, [&mut users, &mut named, &mut names]);
    let kinds = [(&users, &texts.users), (&named, &texts.events), (&names, &texts.groups)];
    let fits = |most: &usize| kinds.iter().map(|(used, all)| used.room(all, *most)).sum::<usize>() <= ROOM;
    let most = LONGEST_NAMES.into_iter().find(fits).unwrap_or(LONGEST_NAMES[LONGEST_NAMES.len() - 1]);
    let in_table = |used: &Renumbered, all: &Names| used.texts(all, most);
    Ok(json!({
        "title": title,
        "group": visible(texts.group_column()?),
        "user": texts.user_columns.iter().map(|name| visible(name)).collect::<Vec<_>>().join(" · "),
        "total": { "sessions": sessions, "events": events, "seconds": seconds },
        "groups": ranking(&cube.groups),
        "firsts": ranking(&cube.firsts),
        "lasts": ranking(&cube.lasts),
        "times": times(&cube.times),
        "lengths": cube.lengths.edges,
        "cells": cells(&cube.cells).text(),
        "flows": flows(&cube.flows).text(),
        "longest": rows.text(),
        "missing": missing(&longest.missing).text(),
        "users": in_table(&users, &texts.users),
        "events": in_table(&named, &texts.events),
        "names": in_table(&names, &texts.groups),
    }))
}

/// `earlier` and `later` are there only if the first or the last bucket has sessions from outside.
fn times(times: &Times) -> Value {
    let mut packed = json!({ "origin": times.origin, "width": times.width, "count": times.count });
    let outside = [("earlier", times.earlier), ("later", times.later)];
    for (name, time) in outside.into_iter().filter_map(|(name, time)| Some((name, time?))) {
        packed[name] = time.into();
    }
    packed
}

fn ranking(ranking: &Ranking) -> Value {
    let names: Vec<String> = ranking.names.iter().map(|name| shortened(name, LONGEST_NAMES[0])).collect();
    json!({ "names": names, "others": ranking.others })
}

fn shortened(name: &str, most: usize) -> String {
    match name.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn cells(cells: &[Sums]) -> Numbers {
    let mut numbers = Numbers::default();
    let filled = cells.iter().enumerate().filter(|(_, sums)| sums.sessions > 0);
    let mut next = 0;
    for (index, sums) in filled {
        numbers.extend([(index - next) as u64, sums.sessions, sums.events, sums.seconds]);
        next = index + 1;
    }
    numbers
}

fn flows(flows: &[u64]) -> Numbers {
    let mut numbers = Numbers::default();
    let mut next = 0;
    for (index, sessions) in flows.iter().enumerate().filter(|(_, sessions)| **sessions > 0) {
        numbers.extend([(index - next) as u64, *sessions]);
        next = index + 1;
    }
    numbers
}

/// Times are seconds since the row before, the first since the earliest time, or else the origin of all
/// buckets. Texts are those of users, events and groups.
fn rows(kept: &[Session], cube: &Cube, [users, events, names]: [&mut Renumbered; 3]) -> Numbers {
    let mut numbers = Numbers::default();
    let mut before = cube.times.earlier.unwrap_or(cube.times.origin);
    for session in kept {
        let begin = session.measures.begin.div_euclid(1_000_000);
        numbers.extend([
            (begin - before).unsigned_abs(), // they are in order of time
            cube.groups.place(session.group) as u64,
            session.measures.seconds,
            session.measures.events,
            users.number(session.user),
            events.number(session.first),
            events.number(session.last),
            names.number(session.group),
        ]);
        before = begin;
    }
    numbers
}

fn missing(missing: &[u64]) -> Numbers {
    let mut numbers = Numbers::default();
    numbers.extend(missing.iter().copied());
    numbers
}

/// Only the texts that are used, with numbers of their own.
#[derive(Debug, Default)]
struct Renumbered {
    numbers: HashMap<u32, u64>,
    used: Vec<u32>,
}

impl Renumbered {
    fn number(&mut self, text: u32) -> u64 {
        *self.numbers.entry(text).or_insert_with(|| {
            self.used.push(text);
            self.used.len() as u64 - 1
        })
    }

    fn texts(&self, all: &Names, most: usize) -> Vec<String> {
        self.used.iter().map(|text| shortened(all.text(*text), most)).collect()
    }

    /// Letters of all of them together.
    fn room(&self, all: &Names, most: usize) -> usize {
        self.used.iter().map(|text| all.text(*text).chars().count().min(most)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Cell, Draft, Role};
    use events::parse::times::Recent;

    /// Sessions whose every text is long and unlike all others.
    fn wordy(number: u32) -> Value {
        let mut sessions = Sessions::new(None);
        for one in 0..number {
            let mut draft = Draft::default();
            let text = |what: &str| Cell::Text(format!("{one} {what} {}", "ä".repeat(300)).into());
            let cells = [
                ("user_id", text("user")),
                ("device_id", Cell::Whole(i64::from(one % 49))),
                ("events", Cell::Whole(2)),
                ("beginsession", Cell::Time(i64::from(one % 72) * 1_000_000)),
                ("duration_sec", Cell::Whole(i64::from(one * 7919 % 9973))),
                ("beginnavigation", text("first")),
                ("endnavigation", text("last")),
            ];
            for (name, cell) in &cells {
                draft.set(name, Role::of(name), cell, &Recent::default()).unwrap();
            }
            sessions.add(&draft).unwrap();
        }
        let (list, _) = sessions.finish();
        pack(&list, &sessions, "t").unwrap()
    }

    #[test]
    fn names_are_cut_shorter_where_there_are_many_long_ones() {
        let longest = |data: &Value| data["users"][0].as_str().map_or(0, |name| name.chars().count());
        assert_eq!(longest(&wordy(500)), 101, "with the sign that it is cut");
        let many = wordy(20_000);
        assert!(longest(&many) < 50);
        assert!(many.to_string().len() < 2_000_000, "{}", many.to_string().len());
    }
}
