//! The written form of a summary, with times as numbers or as text.

use alloc::vec::Vec;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::data::Key;
use crate::id::{SessionId, SummaryId};
use crate::summary::{CloseReason, Correction, SessionSummary, Superseded};
use crate::time::Timestamp;
use crate::window::Window;

/// Writes times as RFC 3339 text in the place of microseconds, and reads them.
///
/// For a [`Timestamp`], or for all times of a [`SessionSummary`]; the other fields stay as they are. A
/// reference can be written: `Rfc3339(&summary)`.
///
/// ```
/// use stagger::{Rfc3339, Timestamp};
///
/// let json = serde_json::to_string(&Rfc3339(Timestamp::from_millis(1_543_534_510_123)))?;
/// assert_eq!(json, r#""2018-11-29T23:35:10.123000Z""#);
/// let Rfc3339(read) = serde_json::from_str::<Rfc3339<Timestamp>>(&json)?;
/// assert_eq!(read.as_millis(), 1_543_534_510_123);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339<T>(pub T);

impl Serialize for Rfc3339<Timestamp> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Rfc3339<Timestamp> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = alloc::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// A way to write a time.
trait Time: Sized {
    fn of(time: Timestamp) -> Self;
    fn time(self) -> Timestamp;
}

impl Time for Timestamp {
    fn of(time: Timestamp) -> Self {
        time
    }

    fn time(self) -> Timestamp {
        self
    }
}

impl Time for Rfc3339<Timestamp> {
    fn of(time: Timestamp) -> Self {
        Self(time)
    }

    fn time(self) -> Timestamp {
        self.0
    }
}

/// A summary as it is written: a stable form. `V` and `O` are references when it is written.
#[derive(Serialize, Deserialize)]
struct Written<T, K, V, O, Ids> {
    id: SessionId,
    revision: u32,
    supersedes: Ids,
    key: K,
    window: WrittenWindow<T>,
    bucket: Option<T>,
    part: u32,
    count: u64,
    first_time: T,
    last_time: T,
    first_event: V,
    last_event: V,
    reason: CloseReason,
    aggregate: O,
}

#[derive(Serialize, Deserialize)]
struct WrittenWindow<T> {
    start: T,
    end: T,
}

fn write<T: Time + Serialize, K: Key + Serialize, V: Serialize, O: Serialize, S: Serializer>(
    summary: &SessionSummary<K, V, O>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let written = Written {
        id: summary.id(),
        revision: summary.revision(),
        supersedes: summary.supersedes(),
        key: &summary.key,
        window: WrittenWindow { start: T::of(summary.window.start), end: T::of(summary.window.end) },
        bucket: summary.bucket.map(T::of),
        part: summary.part,
        count: summary.count,
        first_time: T::of(summary.first_time),
        last_time: T::of(summary.last_time),
        first_event: &summary.first_event,
        last_event: &summary.last_event,
        reason: summary.reason,
        aggregate: &summary.aggregate,
    };
    written.serialize(serializer)
}

impl<T: Time, K, V, O> Written<T, K, V, O, Vec<Superseded>> {
    fn read(self) -> SessionSummary<K, V, O> {
        let Self { id, revision, supersedes, key, window, bucket, part, count, first_time, last_time, .. } = self;
        SessionSummary {
            key,
            window: Window::new(window.start.time(), window.end.time()),
            bucket: bucket.map(T::time),
            part,
            count,
            first_time: first_time.time(),
            last_time: last_time.time(),
            first_event: self.first_event,
            last_event: self.last_event,
            reason: self.reason,
            aggregate: self.aggregate,
            id: SummaryId::known(id),
            correction: Correction::new(revision, supersedes),
        }
    }
}

impl<K: Key + Serialize, V: Serialize, O: Serialize> Serialize for SessionSummary<K, V, O> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write::<Timestamp, _, _, _, _>(self, serializer)
    }
}

impl<'de, K, V, O> Deserialize<'de> for SessionSummary<K, V, O>
where
    K: Deserialize<'de>,
    V: Deserialize<'de>,
    O: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Written::<Timestamp, K, V, O, _>::deserialize(deserializer).map(Written::read)
    }
}

impl<K: Key + Serialize, V: Serialize, O: Serialize> Serialize for Rfc3339<SessionSummary<K, V, O>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Rfc3339(&self.0).serialize(serializer)
    }
}

impl<K: Key + Serialize, V: Serialize, O: Serialize> Serialize for Rfc3339<&SessionSummary<K, V, O>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write::<Rfc3339<Timestamp>, _, _, _, _>(self.0, serializer)
    }
}

impl<'de, K, V, O> Deserialize<'de> for Rfc3339<SessionSummary<K, V, O>>
where
    K: Deserialize<'de>,
    V: Deserialize<'de>,
    O: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Written::<Rfc3339<Timestamp>, K, V, O, _>::deserialize(deserializer).map(|written| Self(written.read()))
    }
}
