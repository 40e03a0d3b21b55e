//! The sums that the picture shows: sessions, events and seconds by time, group and kind of duration,
//! and sessions by time, group, first and last event.
//!
//! Every session is in exactly one cell of either table, so all sums over cells are exact, and so is
//! any choice of groups and whole buckets of time. The size depends on the numbers of buckets and
//! names, which are bounded, and not on the number of sessions.

use crate::names::Names;
use crate::scale::{Lengths, Times};
use crate::sessions::{Session, Sessions};

/// The number of groups with names; all others are one group.
pub(crate) const MOST_GROUPS: usize = 48;
/// The number of first and last events with names.
pub(crate) const MOST_EVENTS: usize = 8;

/// Sessions with one event come first, then those with several events in one instant, then the
/// buckets of durations.
const ONE_EVENT: usize = 0;
const ONE_INSTANT: usize = 1;
const DURATIONS: usize = 2;

/// A sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) sessions: u64,
    pub(crate) events: u64,
    pub(crate) seconds: u64,
}

impl Sums {
    fn add(&mut self, session: &Session) {
        self.sessions += 1;
        self.events = self.events.saturating_add(session.measures.events);
        self.seconds = self.seconds.saturating_add(session.measures.seconds);
    }
}

/// The names that are shown, the most important first, and which place each text has among them.
#[derive(Debug)]
pub(crate) struct Ranking {
    pub(crate) names: Vec<String>,
    /// How many texts share the place after the last name.
    pub(crate) others: usize,
    places: Vec<usize>,
}

impl Ranking {
    /// The `most` texts with the highest weights, those with none at all left out of account. One text
    /// more is shown rather than put under "others" alone.
    fn of(weights: &[(u64, u64)], texts: &Names, most: usize) -> Self {
        let mut order: Vec<usize> = (0..weights.len()).filter(|text| weights[*text] != (0, 0)).collect();
        order.sort_by(|a, b| {
            let name = |text: &usize| texts.text(*text as u32);
            weights[*b].cmp(&weights[*a]).then_with(|| name(a).cmp(name(b)))
        });
        let shown = if order.len() <= most + 1 { order.len() } else { most };
        let mut places = vec![shown; weights.len()];
        for (place, text) in order[..shown].iter().enumerate() {
            places[*text] = place;
        }
        let names = order[..shown].iter().map(|text| texts.text(*text as u32).to_owned()).collect();
        Self { names, others: order.len() - shown, places }
    }

    /// With that of the others.
    pub(crate) fn count(&self) -> usize {
        self.names.len() + usize::from(self.others > 0)
    }

    pub(crate) fn place(&self, text: u32) -> usize {
        self.places[text as usize]
    }
}

#[derive(Debug)]
pub(crate) struct Cube {
    pub(crate) times: Times,
    pub(crate) lengths: Lengths,
    pub(crate) groups: Ranking,
    pub(crate) firsts: Ranking,
    pub(crate) lasts: Ranking,
    pub(crate) total: Sums,
    /// By time, then group, then kind.
    pub(crate) cells: Vec<Sums>,
    /// Sessions by time, then group, then first event, then last event.
    pub(crate) flows: Vec<u64>,
}

impl Cube {
    pub(crate) fn of(list: &[Session], texts: &Sessions) -> Self {
        let mut cube = Self {
            times: Times::of_all(list.iter().map(|session| session.measures.begin).collect()),
            lengths: lengths(list),
            groups: groups(list, &texts.groups),
            firsts: events(list, &texts.events, |session| session.first),
            lasts: events(list, &texts.events, |session| session.last),
            total: Sums::default(),
            cells: Vec::new(),
            flows: Vec::new(),
        };
        let places = cube.times.count * cube.groups.count();
        cube.cells = vec![Sums::default(); places * cube.kinds()];
        cube.flows = vec![0; places * cube.firsts.count() * cube.lasts.count()];
        list.iter().for_each(|session| cube.add(session));
        cube
    }

    fn add(&mut self, session: &Session) {
        let place = self.place(session);
        let kind = place * self.kinds() + self.kind(session);
        let flow = place * self.firsts.count() + self.firsts.place(session.first);
        let flow = flow * self.lasts.count() + self.lasts.place(session.last);
        self.total.add(session);
        self.cells[kind].add(session);
        self.flows[flow] += 1;
    }

    /// The number of kinds of durations.
    pub(crate) fn kinds(&self) -> usize {
        DURATIONS + self.lengths.count()
    }

    fn kind(&self, session: &Session) -> usize {
        match session.measures {
            measures if measures.events == 1 => ONE_EVENT,
            measures if measures.is_instant => ONE_INSTANT,
            measures => DURATIONS + self.lengths.bucket(measures.seconds),
        }
    }

    /// Which of all places in time and group.
    pub(crate) fn place(&self, session: &Session) -> usize {
        self.times.bucket(session.measures.begin) * self.groups.count() + self.groups.place(session.group)
    }
}

/// Buckets of durations for all sessions that have one.
fn lengths(list: &[Session]) -> Lengths {
    let measures = list.iter().map(|session| session.measures);
    let seconds = measures.filter(|measures| measures.events > 1 && !measures.is_instant).map(|it| it.seconds);
    let (shortest, longest) = seconds.fold((u64::MAX, 0), |(low, high), it| (low.min(it), high.max(it)));
    Lengths::over(shortest.min(longest), longest)
}

/// By their time in sessions, and then by their sessions.
fn groups(list: &[Session], texts: &Names) -> Ranking {
    let mut weights = vec![(0u64, 0); texts.len()];
    for session in list {
        let weight = &mut weights[session.group as usize];
        weight.0 = weight.0.saturating_add(session.measures.seconds);
        weight.1 += 1;
    }
    Ranking::of(&weights, texts, MOST_GROUPS)
}

fn events(list: &[Session], texts: &Names, event: fn(&Session) -> u32) -> Ranking {
    let mut weights = vec![(0, 0); texts.len()];
    list.iter().for_each(|session| weights[event(session) as usize].0 += 1);
    Ranking::of(&weights, texts, MOST_EVENTS)
}
