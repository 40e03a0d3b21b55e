//! The sums as the page carries them: an object of JSON, in which long lists of numbers are bytes in
//! base64.
//!
//! A number takes as many bytes as it needs, seven bits in each, the lowest first; the eighth bit says
//! that more follow. Tables are written as their filled cells, each with its distance from the one
//! before.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cube::{Cube, Ranking, Sums};
use crate::longest::Longest;
use crate::names::Names;
use crate::sessions::{Session, Sessions};

/// Names are shown up to here.
const LONGEST_NAME: usize = 100;

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
    Ok(json!({
        "title": title,
        "group": texts.group_column()?,
        "user": texts.user_columns.join(" · "),
        "total": { "sessions": sessions, "events": events, "seconds": seconds },
        "groups": ranking(&cube.groups),
        "firsts": ranking(&cube.firsts),
        "lasts": ranking(&cube.lasts),
        "times": { "origin": cube.times.origin, "width": cube.times.width, "count": cube.times.count },
        "lengths": cube.lengths.edges,
        "cells": cells(&cube.cells).text(),
        "flows": flows(&cube.flows).text(),
        "longest": rows.text(),
        "missing": missing(&longest.missing).text(),
        "users": users.texts(&texts.users),
        "events": named.texts(&texts.events),
        "names": names.texts(&texts.groups),
    }))
}

fn ranking(ranking: &Ranking) -> Value {
    let names: Vec<String> = ranking.names.iter().map(|name| shortened(name)).collect();
    json!({ "names": names, "others": ranking.others })
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
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

/// Times are seconds since the row before, the first since the origin of all buckets. Texts are those of
/// users, events and groups.
fn rows(kept: &[Session], cube: &Cube, [users, events, names]: [&mut Renumbered; 3]) -> Numbers {
    let mut numbers = Numbers::default();
    let mut before = cube.times.origin;
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

    fn texts(&self, all: &Names) -> Vec<String> {
        self.used.iter().map(|text| shortened(all.text(*text))).collect()
    }
}
