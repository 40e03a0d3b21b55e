//! Events of sessions that are still open, written as soon as the id of their session is final: when the watermark
//! has passed them, and with them the start of their session.

use std::collections::{BTreeMap, HashSet};

use stagger::{SessionId, Timestamp};

use crate::facts::{Kept, Member};
use crate::text::{EventRef, Origin, Place, Summary, Text};

/// An event on its way to the file of `--events`.
pub(crate) struct EarlyEvent {
    pub(crate) session_id: SessionId,
    pub(crate) key: Text,
    pub(crate) member: Member,
}

/// Which events wait for the watermark, and which of open sessions are written.
#[derive(Default)]
pub(crate) struct Early {
    waiting: BTreeMap<(Timestamp, Place), (Text, Text)>,
    written: HashSet<Place>,
}

impl Early {
    /// An event that belongs to a session, or waits to.
    pub(crate) fn add(&mut self, event: &EventRef<'_>) {
        let (value, Origin { place, .. }) = event.value;
        self.waiting.insert((event.event_time, place), (event.key.into(), value.into()));
    }

    /// An event that was handed back after all.
    pub(crate) fn forget(&mut self, time: Timestamp, place: Place) {
        self.waiting.remove(&(time, place));
    }

    /// The events before the watermark, with the ids of their sessions as `id_of` finds them.
    pub(crate) fn due(
        &mut self,
        watermark: Timestamp,
        id_of: impl Fn(&str, Timestamp) -> Option<SessionId>,
    ) -> Vec<EarlyEvent> {
        let mut due = Vec::new();
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 < watermark) {
            let ((time, place), (key, value)) = first.remove_entry();
            if let Some(session_id) = id_of(key.as_str(), time) {
                self.written.insert(place);
                due.push(EarlyEvent { session_id, key, member: Member { time, place, value } });
            }
        }
        due
    }

    /// Leaves to a session that closes the events that are not written yet.
    pub(crate) fn close<O: Kept>(&mut self, session: &mut Summary<O>) {
        session.aggregate.retain_members(|member| {
            self.waiting.remove(&(member.time, member.place));
            !self.written.remove(&member.place)
        });
    }
}
