//! An event, with its two times.

use crate::data::{Key, Value};
use crate::time::Timestamp;

/// Something that happened: whose it is, when it happened, when it was received, and a payload.
///
/// Events are pushed in borrowed form: `Event<&str, &str>` into a sessionizer that keeps `String`
/// keys and values. See [`Key`] for the table of forms.
///
/// ```
/// use stagger::{Event, Timestamp};
///
/// let event = Event::new("alice", Timestamp::from_secs(100), "beer_cart");
/// assert_eq!(event.arrival_time, event.event_time);
/// let event = event.arriving_at(Timestamp::from_secs(103));
/// assert_eq!(event.arrival_time, Timestamp::from_secs(103));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Event<K, V> {
    /// Whose event it is.
    pub key: K,
    /// When it happened, by the clock of whoever made it.
    pub event_time: Timestamp,
    /// When it was received: `ROWTIME` in Kinesis SQL, "processing time" in Flink and Beam.
    pub arrival_time: Timestamp,
    /// The value that it carries.
    pub value: V,
}

impl<K, V> Event<K, V> {
    /// An event received when it happened.
    #[inline]
    pub const fn new(key: K, event_time: Timestamp, value: V) -> Self {
        Self { key, event_time, arrival_time: event_time, value }
    }

    /// The same event, received at `arrival_time`.
    #[inline]
    #[must_use]
    pub fn arriving_at(self, arrival_time: Timestamp) -> Self {
        Self { arrival_time, ..self }
    }

    /// The event with an owned key and value, made from its borrowed form: to keep one that was handed
    /// back.
    ///
    /// ```
    /// use stagger::{Event, Timestamp};
    ///
    /// let late = Event::new("alice", Timestamp::from_secs(100), "beer_cart");
    /// let kept: Event<String, String> = late.into_owned();
    /// assert_eq!(kept.as_event_ref(), late);
    /// ```
    pub fn into_owned<'e, OwnedK, OwnedV>(self) -> Event<OwnedK, OwnedV>
    where
        OwnedK: Key<Ref<'e> = K> + 'e,
        OwnedV: Value<Ref<'e> = V> + 'e,
    {
        Event {
            key: OwnedK::key_from(self.key),
            event_time: self.event_time,
            arrival_time: self.arrival_time,
            value: OwnedV::value_from(self.value),
        }
    }
}

impl<K: Key, V: Value> Event<K, V> {
    /// The borrowed form of an event that owns its key and value, ready to be pushed.
    #[inline]
    pub fn as_event_ref(&self) -> EventRef<'_, K, V> {
        Event {
            key: self.key.key_ref(),
            event_time: self.event_time,
            arrival_time: self.arrival_time,
            value: self.value.value_ref(),
        }
    }
}

/// An event as it is pushed into a sessionizer that keeps `K` and `V`: with both borrowed.
pub type EventRef<'a, K, V> = Event<<K as Key>::Ref<'a>, <V as Value>::Ref<'a>>;

/// A function that looks at an event: a type that can be named, for an aggregate in a struct.
///
/// A closure that captures nothing becomes one where the type is written out:
///
/// ```
/// use core::time::Duration;
/// use stagger::{aggregate::Sum, Config, ConfigError, Engine, EventFn, Gap};
///
/// type Cents = Sum<EventFn<String, u32, u32>, u32>;
///
/// struct Shop {
///     visits: Engine<String, u32, Cents>,
/// }
///
/// impl Shop {
///     fn new() -> Result<Self, ConfigError> {
///         let cents: Cents = Sum::of(|event| event.value); // needs no type of its own
///         let visits = Config::new(Gap::new(Duration::from_secs(1800))).aggregate(cents).build()?;
///         Ok(Self { visits })
///     }
/// }
/// # assert_eq!(Shop::new()?.visits.open_sessions(), 0);
/// # Ok::<(), ConfigError>(())
/// ```
pub type EventFn<K, V, T> = for<'e> fn(&EventRef<'e, K, V>) -> T;
