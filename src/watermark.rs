//! One watermark from several sources.

use alloc::vec::Vec;
use core::time::Duration;

use crate::time::{Timestamp, micros};

/// Combines the watermarks of several sources, such as the shards of a stream: the result is the
/// least of the sources that are not idle, and never goes back.
///
/// - A source added later starts at the combined watermark: it holds it there until it reports or is
///   declared idle. It cannot pull the watermark back. So add a source before the watermark passes its
///   first event: the children of a shard that was split before their parent is removed, or all at once
///   with [`replace`](Self::replace).
/// - An idle source holds nothing back. When it comes back behind the others it must catch up: until
///   then it neither pulls the watermark back nor blocks it (as in Flink's watermark valve).
/// - When all sources are idle, nothing holds the watermark back: it goes to the greatest of theirs.
/// - Without sources it stays where it is.
///
/// No clock is read: idleness is judged at the times given to [`check_idle`](Self::check_idle), or
/// declared by [`set_idle`](Self::set_idle).
///
/// ```
/// use core::time::Duration;
/// use stagger::{WatermarkMerger, Timestamp};
///
/// let at = Timestamp::from_secs;
/// let mut shards = WatermarkMerger::new(Duration::from_secs(10));
/// let (a, b) = (shards.add(), shards.add());
/// shards.observe(a, at(100), at(100));
/// assert_eq!(shards.watermark(), Timestamp::MIN); // nothing from b yet
/// shards.observe(b, at(60), at(100));
/// assert_eq!(shards.watermark(), at(50));
/// shards.set_idle(b);
/// assert_eq!(shards.watermark(), at(90)); // hand it to `advance_to`
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WatermarkMerger {
    bound: i64,
    combined: Timestamp,
    sources: Vec<Option<Source>>,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Source {
    watermark: Timestamp,
    last_seen: Timestamp,
    idle: bool,
    /// It came back from idleness and is still behind.
    behind: bool,
}

impl Source {
    const fn is_holding(&self) -> bool {
        !self.idle && !self.behind
    }
}

/// A source of a [`WatermarkMerger`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SourceId(usize);

impl WatermarkMerger {
    /// No source yet. `out_of_order` is how far the events within one source may be out of order.
    #[must_use]
    pub fn new(out_of_order: Duration) -> Self {
        Self { bound: micros(out_of_order), combined: Timestamp::MIN, sources: Vec::new() }
    }

    /// Adds a source, which holds the combined watermark where it stands until it reports.
    ///
    /// Add the successors of a source before it is [removed](Self::remove), or use
    /// [`replace`](Self::replace): once the source is gone the watermark may pass their first events.
    pub fn add(&mut self) -> SourceId {
        let (watermark, last_seen) = (self.combined, Timestamp::MIN);
        self.sources.push(Some(Source { watermark, last_seen, idle: false, behind: false }));
        SourceId(self.sources.len() - 1)
    }

    /// Sources follow others, such as the children of a shard that was split, or the one that two were
    /// merged into: adds `count` sources in their place. The new ones hold the combined watermark
    /// where it stands, so that it does not move until they report or are declared idle.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Timestamp, WatermarkMerger};
    ///
    /// let at = Timestamp::from_secs;
    /// let mut shards = WatermarkMerger::new(Duration::ZERO);
    /// let (parent, other) = (shards.add(), shards.add());
    /// shards.report(parent, at(10), at(0));
    /// shards.report(other, at(50), at(0));
    /// let children = shards.replace(&[parent], 2);
    /// assert_eq!(shards.watermark(), at(10)); // with `remove` first it would be at 50
    /// shards.report(children[0], at(12), at(1));
    /// shards.report(children[1], at(11), at(1));
    /// assert_eq!((shards.watermark(), shards.slowest()), (at(11), Some(children[1])));
    /// ```
    pub fn replace(&mut self, parents: &[SourceId], count: usize) -> Vec<SourceId> {
        let children = (0..count).map(|_| self.add()).collect();
        for parent in parents {
            if let Some(place) = self.sources.get_mut(parent.0) {
                *place = None;
            }
        }
        self.combine();
        children
    }

    /// Removes a source that has ended. It no longer holds the watermark back. If others follow it, add
    /// them first, or use [`replace`](Self::replace).
    pub fn remove(&mut self, source: SourceId) {
        if let Some(place) = self.sources.get_mut(source.0) {
            *place = None;
        }
        self.combine();
    }

    /// An event of a source, received at `now`: the source's watermark is its greatest event time
    /// minus the bound.
    pub fn observe(&mut self, source: SourceId, event_time: Timestamp, now: Timestamp) {
        let watermark = event_time.shift(-self.bound);
        self.report(source, watermark, now);
    }

    /// A source says that no events before `watermark` are to come from it. An idle source is active
    /// again.
    pub fn report(&mut self, source: SourceId, watermark: Timestamp, now: Timestamp) {
        let combined = self.combined;
        self.change(source, |source| {
            source.behind |= source.idle;
            source.idle = false;
            source.last_seen = source.last_seen.max(now);
            source.watermark = source.watermark.max(watermark);
            source.behind &= source.watermark < combined;
        });
    }

    /// Declares a source idle: it is known to have nothing at the moment.
    pub fn set_idle(&mut self, source: SourceId) {
        self.change(source, |source| source.idle = true);
    }

    /// Declares a source active without an event of it.
    pub fn set_active(&mut self, source: SourceId, now: Timestamp) {
        self.report(source, Timestamp::MIN, now);
    }

    /// Declares all sources idle that were last seen `idle_after` or more before `now`. A source that
    /// has never shown itself counts from the first check on.
    pub fn check_idle(&mut self, now: Timestamp, idle_after: Duration) {
        for source in self.sources.iter_mut().flatten() {
            if source.last_seen == Timestamp::MIN {
                source.last_seen = now;
            }
            source.idle |= now >= source.last_seen + idle_after;
        }
        self.combine();
    }

    /// Whether there are sources, and all are idle.
    #[must_use]
    pub fn all_idle(&self) -> bool {
        let mut sources = self.sources.iter().flatten().peekable();
        sources.peek().is_some() && sources.all(|source| source.idle)
    }

    /// The watermark of one source, if it is there. A source that has not reported stands where the
    /// combined watermark stood when it was added.
    #[must_use]
    pub fn watermark_of(&self, source: SourceId) -> Option<Timestamp> {
        self.get(source).map(|source| source.watermark)
    }

    /// Whether a source is idle: it holds nothing back. False for one that was removed.
    #[must_use]
    pub fn is_idle(&self, source: SourceId) -> bool {
        self.get(source).is_some_and(|source| source.idle)
    }

    /// The source that holds the combined watermark back: the one with the least watermark of those
    /// that are neither idle nor catching up; of several, the one added first.
    #[must_use]
    pub fn slowest(&self) -> Option<SourceId> {
        let sources = self.sources.iter().enumerate().filter_map(|(i, source)| Some((i, source.as_ref()?)));
        let holding = sources.filter(|(_, source)| source.is_holding());
        holding.min_by_key(|(i, source)| (source.watermark, *i)).map(|(i, _)| SourceId(i))
    }

    /// The combined watermark; [`Timestamp::MIN`] in the beginning.
    #[must_use]
    pub fn watermark(&self) -> Timestamp {
        self.combined
    }

    fn get(&self, source: SourceId) -> Option<&Source> {
        self.sources.get(source.0)?.as_ref()
    }

    fn change(&mut self, source: SourceId, change: impl FnOnce(&mut Source)) {
        if let Some(Some(source)) = self.sources.get_mut(source.0) {
            change(source);
            self.combine();
        }
    }

    fn combine(&mut self) {
        let sources = || self.sources.iter().flatten();
        let holding = sources().filter(|source| source.is_holding());
        let combined = match holding.map(|source| source.watermark).min() {
            None if self.all_idle() => sources().map(|source| source.watermark).max(),
            least => least,
        };
        self.combined = self.combined.max(combined.unwrap_or(Timestamp::MIN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn three(watermarks: [i64; 3]) -> (WatermarkMerger, [SourceId; 3]) {
        let mut sources = WatermarkMerger::new(Duration::ZERO);
        let ids = [(); 3].map(|()| sources.add());
        for (id, watermark) in ids.into_iter().zip(watermarks) {
            sources.report(id, at(watermark), at(0));
        }
        (sources, ids)
    }

    #[test]
    fn without_sources_it_stays_where_it_is() {
        let mut sources = WatermarkMerger::new(Duration::ZERO);
        assert_eq!((sources.watermark(), sources.all_idle()), (Timestamp::MIN, false));
        let only = sources.add();
        sources.report(only, at(7), at(0));
        sources.remove(only);
        assert_eq!((sources.watermark(), sources.all_idle()), (at(7), false));
    }

    #[test]
    fn a_source_that_comes_back_neither_pulls_back_nor_blocks() {
        let (mut sources, [a, b, c]) = three([10, 5, 10]);
        sources.set_idle(b);
        assert_eq!(sources.watermark(), at(10));
        sources.report(b, at(6), at(1));
        assert_eq!(sources.watermark(), at(10));
        sources.report(a, at(20), at(1));
        sources.report(c, at(30), at(1));
        assert_eq!(sources.watermark(), at(20), "b is behind and does not block");
        sources.report(b, at(25), at(2));
        sources.report(a, at(40), at(2));
        assert_eq!(sources.watermark(), at(25), "b has caught up and holds again");
    }

    #[test]
    fn a_new_source_holds_until_it_reports() {
        let (mut sources, [a, b, c]) = three([10, 10, 10]);
        let new = sources.add();
        for id in [a, b, c] {
            sources.report(id, at(50), at(1));
        }
        assert_eq!(sources.watermark(), at(10));
        sources.report(new, at(45), at(2));
        assert_eq!(sources.watermark(), at(45));
    }

    #[test]
    fn children_hold_the_watermark_where_their_parent_stood() {
        let (mut sources, [a, b, c]) = three([5, 20, 30]);
        let children = sources.replace(&[a], 2);
        assert_eq!(sources.watermark(), at(5));
        assert_eq!(children.iter().map(|id| sources.watermark_of(*id)).collect::<Vec<_>>(), [Some(at(5)); 2]);
        sources.report(children[0], at(8), at(1));
        sources.report(children[1], at(7), at(1));
        assert_eq!(sources.watermark(), at(7));
        let merged = sources.replace(&[b, c], 1);
        sources.report(children[0], at(50), at(2));
        sources.report(children[1], at(50), at(2));
        assert_eq!((sources.watermark(), sources.slowest()), (at(7), Some(merged[0])));
    }

    #[test]
    fn who_holds_back_and_who_is_idle() {
        let (mut sources, [a, b, c]) = three([10, 5, 7]);
        assert_eq!((sources.slowest(), sources.watermark_of(b)), (Some(b), Some(at(5))));
        sources.set_idle(b);
        assert!(sources.is_idle(b) && !sources.is_idle(a));
        assert_eq!(sources.slowest(), Some(c));
        sources.report(b, at(6), at(1));
        assert_eq!(sources.slowest(), Some(c), "b catches up and does not hold back");
        [a, c].iter().for_each(|id| sources.set_idle(*id));
        sources.remove(b);
        assert_eq!((sources.slowest(), sources.watermark_of(b), sources.is_idle(b)), (None, None, false));
    }

    #[test]
    fn silence_makes_a_source_idle() {
        let (mut sources, [a, ..]) = three([3, 5, 8]);
        sources.check_idle(at(1), Duration::from_secs(10));
        sources.report(a, at(3), at(9));
        sources.check_idle(at(10), Duration::from_secs(10)); // b and c were last seen at 0
        assert_eq!((sources.watermark(), sources.all_idle()), (at(3), false));
        sources.check_idle(at(19), Duration::from_secs(10));
        assert_eq!((sources.watermark(), sources.all_idle()), (at(8), true), "nothing holds it back");
    }

    #[test]
    fn what_a_removed_source_held_back_is_free() {
        let (mut sources, [_, b, _]) = three([10, 5, 12]);
        assert_eq!(sources.watermark(), at(5));
        sources.remove(b);
        assert_eq!(sources.watermark(), at(10));
    }

    #[test]
    fn an_event_says_that_none_more_than_the_bound_before_it_will_come() {
        let mut sources = WatermarkMerger::new(Duration::from_secs(3));
        let only = sources.add();
        sources.observe(only, at(10), at(0));
        assert_eq!(sources.watermark(), at(7));
        sources.observe(only, at(9), at(0));
        assert_eq!(sources.watermark(), at(7));
    }

    #[test]
    fn a_source_that_comes_back_exactly_at_the_watermark_holds_again() {
        let (mut sources, [a, b, c]) = three([10, 5, 10]);
        sources.set_idle(b);
        sources.report(b, at(10), at(1));
        [a, c].into_iter().for_each(|id| sources.report(id, at(20), at(1)));
        assert_eq!(sources.watermark(), at(10));
    }

    #[test]
    fn while_the_only_active_source_is_behind_the_watermark_stays() {
        let (mut sources, [a, b, c]) = three([50, 5, 10]);
        sources.set_idle(b);
        sources.report(b, at(6), at(1));
        [a, c].into_iter().for_each(|id| sources.set_idle(id));
        assert_eq!((sources.watermark(), sources.all_idle()), (at(10), false));
        sources.set_idle(b);
        assert_eq!((sources.watermark(), sources.all_idle()), (at(50), true));
        sources.set_active(c, at(2));
        assert_eq!((sources.watermark(), sources.all_idle()), (at(50), false));
    }
}
