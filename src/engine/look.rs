//! Looking at sessions while they are open.

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::Engine;
use crate::engine::shared::{Ending, Shared};
use crate::open::OpenSession;
use crate::session::{RareState, Session};
use crate::time::Timestamp;

/// A session where its storage has it, and how it would end.
pub(crate) struct Sighting<'e, K, V, S> {
    pub(crate) session: &'e Session<K, V, S>,
    pub(crate) rare: Option<&'e RareState<V>>,
    pub(crate) ending: Ending,
    /// When it is over, as it is now.
    pub(crate) deadline: Timestamp,
    /// What tells its window from others that the same event opened.
    pub(crate) window: i64,
}

impl<'e, K: Key, V: Value, S> Sighting<'e, K, V, S> {
    /// Whether its latest summary holds all of it.
    pub(super) fn is_current(&self) -> bool {
        self.rare.is_some_and(RareState::is_current)
    }

    /// How many of its events no summary has held.
    pub(super) fn fresh(&self) -> u64 {
        let reported = self.rare.and_then(|rare| rare.reported).map_or(0, |reported| reported.count);
        self.session.count().saturating_sub(reported)
    }

    #[inline(always)]
    pub(crate) fn view<A>(&self, shared: &Shared<K, A>) -> OpenSession<'e, K, V, S> {
        let Self { session, rare, ending, .. } = self;
        OpenSession::new(session, *rare, ending.window, ending.bucket, shared.id_parts(ending, 0))
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// The open sessions of a key, those included that are kept for corrections: gap sessions in
    /// order of their first event, windows in order of their start.
    ///
    /// O(1) expected for each session of the key; with windows, for each window in which any key has
    /// a session. Events that wait for the watermark are not in a session yet.
    pub fn sessions_of(&self, key: K::Ref<'_>) -> impl Iterator<Item = OpenSession<'_, K, V, A::State>> {
        self.state.plan.sightings_of(key, &self.state.shared).map(|sighting| sighting.view(&self.state.shared))
    }

    /// The open session of a key whose present [window](OpenSession::window) holds an instant. Where
    /// several do (sliding windows, buckets on the arrival clock), the first of
    /// [`sessions_of`](Self::sessions_of). Costs as much as that.
    pub fn session_at(&self, key: K::Ref<'_>, instant: Timestamp) -> Option<OpenSession<'_, K, V, A::State>> {
        let mut sightings = self.state.plan.sightings_of(key, &self.state.shared);
        sightings
            .find(|sighting| sighting.ending.window.contains(instant))
            .map(|sighting| sighting.view(&self.state.shared))
    }

    /// All open sessions, those included that are kept for corrections, in no particular order.
    pub fn open(&self) -> impl Iterator<Item = OpenSession<'_, K, V, A::State>> {
        self.state.plan.sightings().map(|sighting| sighting.view(&self.state.shared))
    }
}
