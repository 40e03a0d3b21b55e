//! What the engine asks of a strategy's storage.

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::shared::{Out, Shared};
use crate::summary::CloseReason;
use crate::time::Timestamp;

/// The open sessions of a strategy. Each implementation has a file of its own.
pub(crate) trait Store<K: Key, V: Value, A: Aggregate<K, V>> {
    /// How many sessions are open, those included that are kept for corrections or pending.
    fn len(&self) -> usize;

    /// How many events take room in it: held ones count as a session each.
    fn occupied(&self) -> usize {
        self.len()
    }

    /// Nothing must be done before this; it may be a little early. O(1).
    fn next_due(&self) -> Timestamp;

    /// Closes what the clock has passed, as far as the quota of the call reaches.
    fn close_due(&mut self, shared: &mut Shared<A>, out: Out<'_, K, V, A>);

    /// Closes everything in order, and gives the memory back.
    fn close_all(&mut self, shared: &mut Shared<A>, reason: CloseReason, out: Out<'_, K, V, A>);

    /// Closes the session that opened first. False: there is none.
    fn evict_oldest(&mut self, shared: &mut Shared<A>, out: Out<'_, K, V, A>) -> bool;

    /// Gives back memory that a peak has left.
    fn shrink_to_fit(&mut self, shared: &mut Shared<A>);

    /// Closes what is due, and notes when something is due next.
    fn advance(&mut self, shared: &mut Shared<A>, out: Out<'_, K, V, A>) {
        self.close_due(shared, out);
        shared.clock.reschedule(self.next_due());
    }

    /// Emits all sessions that are pending.
    #[cold]
    fn drain_pending(&mut self, shared: &mut Shared<A>, out: Out<'_, K, V, A>) {
        shared.lift_quota();
        self.advance(shared, out);
    }

    /// Makes room for `more` sessions, as the configuration wants. False: refuse.
    #[inline]
    fn make_room(&mut self, more: usize, shared: &mut Shared<A>, out: Out<'_, K, V, A>) -> bool {
        while !shared.has_room(self.occupied(), more) {
            if shared.has_pending() {
                self.drain_pending(shared, out);
            } else if !shared.may_evict() || !self.evict_oldest(shared, out) {
                return false;
            }
        }
        true
    }
}
