//! Placing an event in windows whose bounds are known when they open.

use core::ops::RangeInclusive;

use super::{Engine, Out, Plan};
use crate::aggregate::Aggregate;
use crate::config::WhenFull;
use crate::data::{Key, Value};
use crate::event::Lent;
use crate::id::SessionId;
use crate::session::{Opening, Session};
use crate::sessionizer::{Pushed, Refusal};
use crate::strategy::Hops;
use crate::summary::{CloseReason, Identity};
use crate::time::Timestamp;
use crate::window::Window;

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// STEP and FLOOR on the event clock: one window.
    #[inline]
    pub(super) fn push_to_bucket<'e>(
        &mut self,
        event: Lent<'e, K, V>,
        window: Window,
        out: Out<'_, K, V, A>,
    ) -> Pushed<Lent<'e, K, V>> {
        if self.is_over(window.end) {
            return self.late(event);
        }
        let bucket = window.start.as_micros();
        let hash = self.table.hash(&event.key, bucket);
        if self.extend_in(hash, &event, bucket, out) {
            return Pushed::Extended;
        }
        if !self.make_room(1, out) {
            return self.full(event);
        }
        self.open_window(hash, &event, bucket, window.end, out);
        Pushed::Opened
    }

    /// The arrival clock: one window, which is never over.
    #[inline]
    pub(super) fn push_to_part<'e>(
        &mut self,
        event: Lent<'e, K, V>,
        bucket: i64,
        out: Out<'_, K, V, A>,
    ) -> Pushed<Lent<'e, K, V>> {
        let hash = self.table.hash(&event.key, bucket);
        if self.extend_in(hash, &event, bucket, out) {
            return Pushed::Extended;
        }
        if !self.make_room(1, out) {
            return self.full(event);
        }
        self.forget_parts();
        let part = self.parts.next(|| partition(&K::keep(event.key), bucket));
        // At the end of time the clock stands still, and a key may open twice at the same instant.
        let again = self.now == Timestamp::MAX;
        let opening = Opening { bucket, end: self.now, opened: self.arrivals, part, again };
        self.open(hash, &event, opening);
        Pushed::Opened
    }

    /// Sliding windows: each that holds the event.
    pub(super) fn push_to_windows<'e>(
        &mut self,
        event: Lent<'e, K, V>,
        hops: Hops,
        out: Out<'_, K, V, A>,
    ) -> Pushed<Lent<'e, K, V>> {
        let indices = hops.indices_of(event.event_time);
        if indices.is_empty() {
            self.counters.between_windows += 1;
            return Pushed::Refused(event, Refusal::BetweenWindows);
        }
        // Ends grow with the index: the windows that are over come first.
        let past = indices.clone().take_while(|&index| self.is_over(hops.window(index).end)).count();
        let (first, last) = indices.into_inner();
        let open = (last - first) as u64 + 1 - past as u64;
        if open == 0 {
            return self.late(event);
        }
        let windows = first + past as i128..=last;
        if !self.make_room_for_windows(&event, windows.clone(), out) {
            return self.full(event);
        }
        let mut opened = false;
        self.counters.late_windows += past as u64;
        self.counters.extra_windows += open - 1;
        for index in windows {
            let hash = self.table.hash(&event.key, index as i64);
            if !self.extend_in(hash, &event, index as i64, out) {
                self.arrivals += u64::from(opened);
                opened = true;
                self.open_window(hash, &event, index as i64, hops.window(index).end, out);
            }
        }
        if opened { Pushed::Opened } else { Pushed::Extended }
    }

    fn make_room_for_windows(
        &mut self,
        event: &Lent<'_, K, V>,
        windows: RangeInclusive<i128>,
        out: Out<'_, K, V, A>,
    ) -> bool {
        if self.table.len() + ((windows.end() - windows.start()) as usize) < self.rules.most {
            return true;
        }
        // Making room may close a window that the event would have joined: count again.
        loop {
            let is_new = |&index: &i128| {
                let hash = self.table.hash(&event.key, index as i64);
                self.table.find_one(hash, &event.key, index as i64).is_none()
            };
            let new = windows.clone().filter(is_new).count();
            if self.table.len() + new <= self.rules.most {
                return true;
            }
            if self.rules.when_full == WhenFull::Refuse || !self.evict(out) {
                return false;
            }
        }
    }

    /// Adds the event to the session of its partition, if one is open.
    #[inline]
    fn extend_in(&mut self, hash: u32, event: &Lent<'_, K, V>, bucket: i64, out: Out<'_, K, V, A>) -> bool {
        let Some(slot) = self.table.find_one(hash, &event.key, bucket) else { return false };
        self.table.get_mut(slot).extend(event, self.rules.first_last, &self.aggregate);
        self.counters.placed += 1;
        self.after_change(slot, out);
        true
    }

    fn open_window(&mut self, hash: u32, event: &Lent<'_, K, V>, bucket: i64, end: Timestamp, out: Out<'_, K, V, A>) {
        // Its window was reported, and then had to go to make room: it opens again.
        let again = end <= self.now && self.rules.when_full == WhenFull::CloseOldest;
        let slot = self.open(hash, event, Opening { bucket, end, opened: self.arrivals, part: 1, again });
        self.after_change(slot, out);
    }

    #[inline]
    pub(super) fn forget_parts(&mut self) {
        if let Plan::Arrival { range, remember, .. } = self.rules.plan {
            self.parts.forget(self.now, range, remember);
        }
    }

    /// On the arrival clock a straggler may open the same partition again: as the next part.
    pub(super) fn remember_part(&mut self, session: &Session<K, V, A::State>, early: Option<CloseReason>) {
        let Plan::Arrival { remember, .. } = self.rules.plan else { return };
        if remember > 0 || early.is_some() {
            self.parts.remember(partition(&session.key, session.bucket), session.part, session.end);
        }
    }
}

/// What tells one partition from another.
fn partition<K: Key>(key: &K, bucket: i64) -> SessionId {
    let identity = Identity { anchor: Timestamp::EPOCH, flushes: 0, opened: 0 };
    SessionId::of(key, Some(Timestamp::from_micros(bucket)), 0, identity)
}
