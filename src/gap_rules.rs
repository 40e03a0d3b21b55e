//! The caller's rules about gap sessions, together.

use alloc::sync::Arc;

use crate::data::{Key, Value};
use crate::event::EventRef;
use crate::open::OpenSession;
use crate::rules::{CutRule, GapRule, IdRule, TimedValue};

/// Whether a new session starts before an event. Arguments: the session, its latest event, the next event.
pub(crate) type CutWithRule<K, V, S> = Arc<
    dyn for<'s, 'n> Fn(
            &OpenSession<'s, K, V, S>,
            TimedValue<<V as Value>::Ref<'s>>,
            TimedValue<<V as Value>::Ref<'n>>,
        ) -> bool
        + Send
        + Sync,
>;

/// Whether an event ends its session.
pub(crate) type EndRule<K, V> = Arc<dyn for<'e> Fn(&EventRef<'e, K, V>) -> bool + Send + Sync>;

/// Whether an event may only join a session.
pub(crate) type JoinRule<K, V> = Arc<dyn for<'e> Fn(&EventRef<'e, K, V>) -> JoinOnly + Send + Sync>;

/// Whether an event may only join a session that is there, as [`Config::join_only`](crate::Config::join_only)
/// decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum JoinOnly {
    /// It opens a session if there is none, as usual.
    #[default]
    No,
    /// It never opens a session. The one that it joins lasts until the gap after it.
    Prolongs,
    /// It never opens a session, and the one that it joins ends when it would have ended without it.
    DoesNotProlong,
}

/// The caller's own rules about gap sessions.
pub(crate) struct Rules<K: Key, V: Value, S> {
    pub(crate) gap: Option<GapRule<K, V>>,
    pub(crate) cut: Option<CutRule<V>>,
    pub(crate) cut_with: Option<CutWithRule<K, V, S>>,
    pub(crate) end_at: Option<EndRule<K, V>>,
    pub(crate) join_only: Option<JoinRule<K, V>>,
    /// For every strategy. In gap sessions the order of time says which event of an id comes first.
    pub(crate) unique: Option<IdRule<K, V>>,
}

impl<K: Key, V: Value, S> Rules<K, V, S> {
    /// The setting of a rule that only gap sessions have, if one is there.
    pub(crate) fn of_gap_sessions(&self) -> Option<&'static str> {
        let Self { gap, cut, cut_with, end_at, join_only, unique: _ } = self;
        let all = [
            (gap.is_some(), "gap_per_event"),
            (cut.is_some(), "cut"),
            (cut_with.is_some(), "cut_with"),
            (end_at.is_some(), "end_at"),
            (join_only.is_some(), "join_only"),
        ];
        all.into_iter().find_map(|(is_there, name)| is_there.then_some(name))
    }

    /// Whether there is one that looks at events in order of time.
    pub(crate) const fn need_order(&self) -> bool {
        let cuts = self.cut.is_some() || self.cut_with.is_some() || self.end_at.is_some();
        cuts || self.join_only.is_some() || self.unique.is_some()
    }
}
