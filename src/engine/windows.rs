//! Placing an event in windows on the event clock, whose bounds are known before they open.

use core::ops::RangeInclusive;

use super::{Engine, Out, Placed};
use crate::aggregate::Aggregate;
use crate::config::WhenFull;
use crate::data::{Key, Value};
use crate::event::Lent;
use crate::session::{Mark, Opening};
use crate::sessionizer::Refusal;
use crate::strategy::Hops;
use crate::time::Timestamp;

/// A window as its group is known: by start or index, and by its end.
#[derive(Clone, Copy)]
pub(super) struct WindowPlace {
    pub(super) place: Timestamp,
    pub(super) end: Timestamp,
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// STEP and FLOOR: one window.
    pub(super) fn push_to_bucket(
        &mut self,
        event: &Lent<'_, K, V>,
        hash: u32,
        window: WindowPlace,
        out: Out<'_, K, V, A>,
    ) -> Placed {
        if self.extend_in_window(event, hash, window.place, out) {
            return Placed::Extended;
        }
        self.open_bucket(event, hash, window, out)
    }

    #[inline(always)]
    pub(super) fn open_bucket(
        &mut self,
        event: &Lent<'_, K, V>,
        hash: u32,
        window: WindowPlace,
        out: Out<'_, K, V, A>,
    ) -> Placed {
        if self.is_over(window.end) {
            return self.late();
        }
        if !self.make_room(1, out) {
            return self.full();
        }
        self.open_window(event, hash, window, out);
        Placed::Opened
    }

    /// Sliding windows: each that holds the event.
    #[inline(never)]
    pub(super) fn push_to_windows(
        &mut self,
        event: &Lent<'_, K, V>,
        hash: u32,
        hops: Hops,
        out: Out<'_, K, V, A>,
    ) -> Placed {
        let indices = hops.indices_of(event.event_time);
        if indices.is_empty() {
            self.counters.between_windows += 1;
            return Placed::Refused(Refusal::BetweenWindows);
        }
        // Ends grow with the index: the windows that are over come first.
        let past = indices.clone().take_while(|&index| self.is_over(hops.window(index).end)).count();
        let (first, last) = indices.into_inner();
        let open = (last - first) as u64 + 1 - past as u64;
        if open == 0 {
            return self.late();
        }
        let windows = first + past as i128..=last;
        if !self.make_room_for_windows(event, hash, windows.clone(), out) {
            return self.full();
        }
        let mut opened = false;
        self.counters.late_windows += past as u64;
        self.counters.extra_windows += open - 1;
        for index in windows {
            let place = Timestamp::from_micros(index as i64);
            if !self.extend_in_window(event, hash, place, out) {
                self.arrivals += u64::from(opened);
                opened = true;
                self.open_window(event, hash, WindowPlace { place, end: hops.window(index).end }, out);
            }
        }
        if opened { Placed::Opened } else { Placed::Extended }
    }

    fn make_room_for_windows(
        &mut self,
        event: &Lent<'_, K, V>,
        hash: u32,
        windows: RangeInclusive<i128>,
        out: Out<'_, K, V, A>,
    ) -> bool {
        if self.table.len() + ((windows.end() - windows.start()) as usize) < self.rules.most {
            return true;
        }
        if self.has_waiting() {
            self.hand_out_waiting(out);
        }
        // Making room may close a window that the event would have joined: count again.
        loop {
            let new = windows.clone().filter(|index| !self.is_in_window(event, hash, *index as i64)).count();
            if self.table.len() + new <= self.rules.most {
                return true;
            }
            if self.rules.when_full == WhenFull::Refuse || !self.evict(out) {
                return false;
            }
        }
    }

    fn is_in_window(&mut self, event: &Lent<'_, K, V>, hash: u32, place: i64) -> bool {
        let Some(group) = self.groups.find(place) else { return false };
        let same = |slot| self.table.get(slot).key.is(event.key);
        self.groups.get(group).find(hash, same).is_some()
    }

    /// Adds the event to the session of its key in a window, if one is open.
    #[inline]
    fn extend_in_window(&mut self, event: &Lent<'_, K, V>, hash: u32, place: Timestamp, out: Out<'_, K, V, A>) -> bool {
        let Some(group) = self.groups.find(place.as_micros()) else { return false };
        let (table, order, aggregate) = (&mut self.table, self.rules.first_last, &self.aggregate);
        let mut has_extra = false;
        let found = self.groups.get(group).find(hash, |slot| {
            let session = table.get_mut(slot);
            let same = session.key.is(event.key);
            if same {
                session.extend(event, order, aggregate);
                has_extra = session.is(Mark::Extra);
            }
            same
        });
        let Some(slot) = found else { return false };
        self.counters.placed += 1;
        if has_extra {
            // It has been handed out: this is a correction.
            self.table.outdate(slot);
            self.report(slot, out);
        }
        true
    }

    #[inline(always)]
    fn open_window(&mut self, event: &Lent<'_, K, V>, hash: u32, window: WindowPlace, out: Out<'_, K, V, A>) {
        // Its window was reported, and then had to go to make room: it opens again.
        let is_over = window.end <= self.now;
        let again = is_over && self.rules.when_full == WhenFull::CloseOldest;
        let slot = self.open(event, Opening { place: window.place, opened: self.arrivals, part: 1, again });
        self.make_known_in_window(hash, slot, window, is_over);
        if is_over {
            self.report(slot, out);
        }
    }
}
