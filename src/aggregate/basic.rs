//! The aggregates that come with the crate.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use super::Aggregate;
use crate::data::{Key, Value};
use crate::event::EventRef;
use crate::time::Timestamp;

/// How many events; the same as [`SessionSummary::count`](crate::SessionSummary), to build on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count;

impl<K: Key, V: Value> Aggregate<K, V> for Count {
    type State = u64;
    type Output = u64;

    fn open(&self, _: &EventRef<'_, K, V>) -> u64 {
        1
    }

    fn add(&self, state: &mut u64, _: &EventRef<'_, K, V>) {
        *state += 1;
    }

    fn merge(&self, state: &mut u64, other: u64) {
        *state += other;
    }

    fn finish(&self, state: u64) -> u64 {
        state
    }
}

/// A number that can be added up without overflow.
pub trait Number: Copy {
    /// What sums are kept in: `i128` for integers up to 64 bits, where no sum of fewer than 2^64
    /// events overflows, and `f64` for floating-point numbers.
    type Total: Clone;

    /// This number as a total.
    fn total(self) -> Self::Total;

    /// Adds another total.
    fn plus(total: &mut Self::Total, other: Self::Total);
}

macro_rules! number {
    ($total:ty: $($type:ty),*) => {$(
        impl Number for $type {
            type Total = $total;

            fn total(self) -> $total {
                self.into()
            }

            fn plus(total: &mut $total, other: $total) {
                *total += other;
            }
        }
    )*};
}

number!(i128: u8, u16, u32, u64, i8, i16, i32, i64);
number!(f64: f32, f64);

/// Adds up one number per event.
///
/// Integers are summed exactly. Sums of floating-point numbers depend in their last digits on the
/// order of events; where that matters, sum integers, such as cents.
///
/// ```
/// use stagger::{aggregate::Sum, Config, Event, Gap, EventRef, Timestamp};
/// use core::time::Duration;
///
/// let paid = Sum::of(|event: &EventRef<'_, String, u32>| event.value);
/// let mut sessions = Config::<String, u32>::new(Gap::new(Duration::from_secs(60))).aggregate(paid).build()?;
/// for price in [300, 250] {
///     let _ = sessions.push(Event::new("alice", Timestamp::EPOCH, price), &mut |_| {});
/// }
/// sessions.flush(&mut |session| assert_eq!(session.aggregate, 550));
/// # Ok::<(), stagger::ConfigError>(())
/// ```
pub struct Sum<F, N> {
    of: F,
    number: PhantomData<fn() -> N>,
}

impl<F, N> Sum<F, N> {
    /// The sum of `of(event)`.
    pub const fn of(of: F) -> Self {
        Self { of, number: PhantomData }
    }
}

impl<K: Key, V: Value, F, N: Number> Aggregate<K, V> for Sum<F, N>
where
    F: for<'a> Fn(&EventRef<'a, K, V>) -> N,
{
    type State = N::Total;
    type Output = N::Total;

    fn open(&self, event: &EventRef<'_, K, V>) -> N::Total {
        (self.of)(event).total()
    }

    fn add(&self, state: &mut N::Total, event: &EventRef<'_, K, V>) {
        N::plus(state, (self.of)(event).total());
    }

    fn merge(&self, state: &mut N::Total, other: N::Total) {
        N::plus(state, other);
    }

    fn finish(&self, state: N::Total) -> N::Total {
        state
    }
}

macro_rules! extreme {
    ($(#[$doc:meta])* $name:ident, $better:tt) => {
        $(#[$doc])*
        pub struct $name<F, T> {
            of: F,
            item: PhantomData<fn() -> T>,
        }

        impl<F, T> $name<F, T> {
            /// Over `of(event)`. Of values that are equal or cannot be compared, such as NaN, the
            /// one seen first stays.
            pub const fn of(of: F) -> Self {
                Self { of, item: PhantomData }
            }
        }

        impl<K: Key, V: Value, F, T: PartialOrd + Clone> Aggregate<K, V> for $name<F, T>
        where
            F: for<'a> Fn(&EventRef<'a, K, V>) -> T,
        {
            type State = T;
            type Output = T;

            fn open(&self, event: &EventRef<'_, K, V>) -> T {
                (self.of)(event)
            }

            fn add(&self, state: &mut T, event: &EventRef<'_, K, V>) {
                <Self as Aggregate<K, V>>::merge(self, state, (self.of)(event));
            }

            fn merge(&self, state: &mut T, other: T) {
                if other $better *state {
                    *state = other;
                }
            }

            fn finish(&self, state: T) -> T {
                state
            }
        }
    };
}

extreme!(
    /// The least of one value per event.
    Min, <
);
extreme!(
    /// The greatest of one value per event.
    Max, >
);

/// The different values among the events, in order.
///
/// Grows with the number of different values.
pub struct Set<F, T> {
    of: F,
    item: PhantomData<fn() -> T>,
}

impl<F, T> Set<F, T> {
    /// The set of `of(event)`.
    pub const fn of(of: F) -> Self {
        Self { of, item: PhantomData }
    }
}

impl<K: Key, V: Value, F, T: Ord + Clone> Aggregate<K, V> for Set<F, T>
where
    F: for<'a> Fn(&EventRef<'a, K, V>) -> T,
{
    type State = BTreeSet<T>;
    type Output = BTreeSet<T>;

    fn open(&self, event: &EventRef<'_, K, V>) -> BTreeSet<T> {
        BTreeSet::from([(self.of)(event)])
    }

    fn add(&self, state: &mut BTreeSet<T>, event: &EventRef<'_, K, V>) {
        state.insert((self.of)(event));
    }

    fn merge(&self, state: &mut BTreeSet<T>, other: BTreeSet<T>) {
        state.extend(other);
    }

    fn finish(&self, state: BTreeSet<T>) -> BTreeSet<T> {
        state
    }
}

/// One value per event, in order of event time; within one time in order of arrival.
///
/// Grows with the number of events.
pub struct List<F, T> {
    of: F,
    item: PhantomData<fn() -> T>,
}

impl<F, T> List<F, T> {
    /// The list of `of(event)`.
    pub const fn of(of: F) -> Self {
        Self { of, item: PhantomData }
    }
}

impl<K: Key, V: Value, F, T: Clone> Aggregate<K, V> for List<F, T>
where
    F: for<'a> Fn(&EventRef<'a, K, V>) -> T,
{
    type State = Vec<(Timestamp, T)>;
    type Output = Vec<T>;

    fn open(&self, event: &EventRef<'_, K, V>) -> Self::State {
        alloc::vec![(event.event_time, (self.of)(event))]
    }

    fn add(&self, state: &mut Self::State, event: &EventRef<'_, K, V>) {
        state.push((event.event_time, (self.of)(event)));
    }

    fn merge(&self, state: &mut Self::State, other: Self::State) {
        state.extend(other);
    }

    fn finish(&self, mut state: Self::State) -> Vec<T> {
        state.sort_by_key(|(time, _)| *time);
        state.into_iter().map(|(_, item)| item).collect()
    }
}

/// An aggregate from three closures.
///
/// ```
/// use stagger::{aggregate::Fold, EventRef};
///
/// type Click<'a> = EventRef<'a, String, String>;
/// let checkouts = Fold::new(
///     |first: &Click<'_>| u32::from(first.value == "beer_checkout"),
///     |state: &mut u32, next: &Click<'_>| *state += u32::from(next.value == "beer_checkout"),
///     |state: &mut u32, other: u32| *state += other,
/// );
/// # fn is_aggregate<A: stagger::Aggregate<String, String>>(_: A) {}
/// # is_aggregate(checkouts);
/// ```
pub struct Fold<S, Open, Add, Merge> {
    open: Open,
    add: Add,
    merge: Merge,
    state: PhantomData<fn() -> S>,
}

impl<S, Open, Add, Merge> Fold<S, Open, Add, Merge> {
    /// `open` makes a state of the first event, `add` adds another, `merge` joins two states.
    pub const fn new(open: Open, add: Add, merge: Merge) -> Self {
        Self { open, add, merge, state: PhantomData }
    }
}

impl<K: Key, V: Value, S: Clone, Open, Add, Merge> Aggregate<K, V> for Fold<S, Open, Add, Merge>
where
    Open: for<'a> Fn(&EventRef<'a, K, V>) -> S,
    Add: for<'a> Fn(&mut S, &EventRef<'a, K, V>),
    Merge: Fn(&mut S, S),
{
    type State = S;
    type Output = S;

    fn open(&self, event: &EventRef<'_, K, V>) -> S {
        (self.open)(event)
    }

    fn add(&self, state: &mut S, event: &EventRef<'_, K, V>) {
        (self.add)(state, event);
    }

    fn merge(&self, state: &mut S, other: S) {
        (self.merge)(state, other);
    }

    fn finish(&self, state: S) -> S {
        state
    }
}

macro_rules! opaque_debug {
    ($($name:ident<$($param:ident),*>),*) => {$(
        impl<$($param),*> fmt::Debug for $name<$($param),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

opaque_debug!(Sum<F, N>, Min<F, T>, Max<F, T>, Set<F, T>, List<F, T>, Fold<S, O, A, M>);
