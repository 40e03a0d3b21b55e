//! The sessions that the table can show.
//!
//! All do not fit into a page. Kept are the longest of all, of each group, of each bucket of time and
//! of each group in each bucket, so that any choice finds some; and for each group in each bucket is
//! noted how long its longest session is that was not kept. Of any choice, the kept sessions that are
//! at least as long as the longest one missing are then its longest sessions, without gaps.

use std::cmp::Reverse;

use crate::cube::Cube;
use crate::sessions::Session;

const OF_ALL: u32 = 200;
const OF_EACH_GROUP: u32 = 30;
const OF_EACH_TIME: u32 = 30;
const OF_EACH_PLACE: u32 = 2;

#[derive(Debug)]
pub(crate) struct Longest {
    /// In order of their time.
    pub(crate) kept: Vec<Session>,
    /// By time, then group: one more than the seconds of the longest session that is missing, or 0.
    pub(crate) missing: Vec<u64>,
}

impl Longest {
    pub(crate) fn of(list: &[Session], cube: &Cube) -> Self {
        let mut order: Vec<&Session> = list.iter().collect();
        order.sort_by_key(|session| (Reverse(session.measures.seconds), session.measures.begin));
        let groups = cube.groups.count();
        let places = cube.times.count * groups;
        let (mut in_group, mut in_time, mut in_place) = (vec![0; groups], vec![0; cube.times.count], vec![0; places]);
        let mut longest = Self { kept: Vec::new(), missing: vec![0; places] };
        for (rank, session) in order.into_iter().enumerate() {
            let place = cube.place(session);
            let is_kept = [
                (rank as u32) < OF_ALL,
                next(&mut in_group[place % groups]) < OF_EACH_GROUP,
                next(&mut in_time[place / groups]) < OF_EACH_TIME,
                next(&mut in_place[place]) < OF_EACH_PLACE,
            ];
            if is_kept.contains(&true) {
                longest.kept.push(*session);
            } else {
                let missing = &mut longest.missing[place];
                *missing = (*missing).max(session.measures.seconds + 1);
            }
        }
        longest.kept.sort_by_key(|session| session.measures.begin);
        longest
    }
}

/// How many there were before.
fn next(counter: &mut u32) -> u32 {
    let before = *counter;
    *counter = before.saturating_add(1);
    before
}
