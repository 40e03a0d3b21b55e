//! The caller's own values of a session, besides the built-in summary.
//!
//! A closure given to [`Sum::of`] and the like must have the type of its argument written out: the compiler
//! cannot know the key and value types yet (`E0282`, "type annotations needed"). For an aggregate in a struct,
//! name its type with [`EventFn`](crate::EventFn); then the closure needs no type.
//!
//! ```
//! use stagger::aggregate::{Max, Sum};
//! use stagger::{EventFn, EventRef};
//!
//! let cents = Sum::of(|event: &EventRef<'_, String, u32>| event.value);
//!
//! type Dearest = Max<EventFn<String, u32, u32>, u32>;
//! let dearest: Dearest = Max::of(|event| event.value);
//! # fn are_aggregates(_: impl stagger::Aggregate<String, u32>) {}
//! # are_aggregates((cents, dearest));
//! ```

mod basic;
mod laws;

pub use basic::{Count, Fold, List, Max, Min, Number, Set, Sum};
pub use laws::{LawBroken, check_laws};

use crate::data::{Key, Value};
use crate::event::EventRef;

/// The caller's own summary of the events of a session.
///
/// The aggregate is the configuration; a small [`State`](Self::State) is kept for each open
/// session. A state begins with the first event, so there is no empty one.
///
/// # Laws
/// Events arrive in any order and sessions may be joined by a late one, so the result must not
/// depend on how the events were grouped or ordered:
///
/// 1. merging the states of two groups of events equals adding all of them to one state;
/// 2. the order of events with different times does not matter (within one time they are added in
///    order of arrival).
///
/// [`check_laws`] tries an aggregate on events of yours. Run it in a test.
///
/// ```
/// use stagger::{aggregate::check_laws, Aggregate, Event, EventRef, Timestamp};
///
/// /// The most expensive thing looked at.
/// struct Dearest;
///
/// impl Aggregate<String, u32> for Dearest {
///     type State = u32;
///     type Output = u32;
///
///     fn open(&self, event: &EventRef<'_, String, u32>) -> u32 {
///         event.value
///     }
///     fn add(&self, state: &mut u32, event: &EventRef<'_, String, u32>) {
///         *state = event.value.max(*state);
///     }
///     fn merge(&self, state: &mut u32, other: u32) {
///         *state = other.max(*state);
///     }
///     fn finish(&self, state: u32) -> u32 {
///         state
///     }
/// }
///
/// let events = [3, 1, 4].map(|price| Event::new("k".to_string(), Timestamp::from_secs(price.into()), price));
/// check_laws(&Dearest, &events).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate over events with key `{K}` and value `{V}`",
    note = "a closure given to `Sum::of`, `Fold::new` and the like takes `&EventRef<'_, {K}, {V}>`: write that type out, as in `|event: &EventRef<'_, {K}, {V}>| …`"
)]
pub trait Aggregate<K: Key, V: Value> {
    /// The state of each open session. Cloned only to report revisions and to take snapshots.
    type State: Clone;
    /// The value in the summary.
    type Output;

    /// The state of a session that holds this one event.
    fn open(&self, event: &EventRef<'_, K, V>) -> Self::State;

    /// Adds an event, which may be earlier or later than those before.
    fn add(&self, state: &mut Self::State, event: &EventRef<'_, K, V>);

    /// Adds the events behind another state, whichever of the two is earlier.
    fn merge(&self, state: &mut Self::State, other: Self::State);

    /// The result.
    fn finish(&self, state: Self::State) -> Self::Output;
}

/// Nothing: the built-in summary is enough.
impl<K: Key, V: Value> Aggregate<K, V> for () {
    type State = ();
    type Output = ();

    #[inline]
    fn open(&self, _: &EventRef<'_, K, V>) {}

    #[inline]
    fn add(&self, (): &mut (), _: &EventRef<'_, K, V>) {}

    #[inline]
    fn merge(&self, (): &mut (), (): ()) {}

    #[inline]
    fn finish(&self, (): ()) {}
}

macro_rules! together {
    ($($part:ident.$index:tt),*) => {
        /// Several aggregates over the same events.
        impl<K: Key, V: Value, $($part: Aggregate<K, V>),*> Aggregate<K, V> for ($($part,)*) {
            type State = ($($part::State,)*);
            type Output = ($($part::Output,)*);

            #[inline]
            fn open(&self, event: &EventRef<'_, K, V>) -> Self::State {
                ($(self.$index.open(event),)*)
            }

            #[inline]
            fn add(&self, state: &mut Self::State, event: &EventRef<'_, K, V>) {
                $(self.$index.add(&mut state.$index, event);)*
            }

            #[inline]
            fn merge(&self, state: &mut Self::State, other: Self::State) {
                $(self.$index.merge(&mut state.$index, other.$index);)*
            }

            #[inline]
            fn finish(&self, state: Self::State) -> Self::Output {
                ($(self.$index.finish(state.$index),)*)
            }
        }
    };
}

together!(A.0);
together!(A.0, B.1);
together!(A.0, B.1, C.2);
together!(A.0, B.1, C.2, D.3);
together!(A.0, B.1, C.2, D.3, E.4);
together!(A.0, B.1, C.2, D.3, E.4, F.5);
