//! Keys and values: what is kept with a session, and the borrowed form in which events lend it.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::Hash;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A type that tells whose session an event belongs to.
///
/// A sessionizer keeps one owned key per open session and looks it up by a borrowed form, so that
/// pushing `&str` keys allocates only when a session opens:
///
/// | kept | lent by each event |
/// |---|---|
/// | integers, `bool`, `char`, `()`, IP addresses, `[u8; N]` | the same, by value |
/// | `String`, `Box<str>`, `Rc<str>`, `Arc<str>` | `&str` |
/// | `Vec<T>`, `Box<[T]>` | `&[T]` |
/// | `Option<A>`, tuples of up to six | the same of the borrowed forms: `(&str, u64)` |
/// | [`ByRef<T>`](ByRef), for any `T: Clone + Eq + Hash` | `&T` |
///
/// For a type of your own, wrap it in [`ByRef`] or implement the trait:
///
/// ```
/// #[derive(Clone, Copy, PartialEq, Eq, Hash)]
/// struct Meter(u32);
///
/// impl stagger::Key for Meter {
///     type Ref<'a> = Meter;
///     fn keep(lent: Meter) -> Meter { lent }
///     fn lend(&self) -> Meter { *self }
///     fn is(&self, lent: Meter) -> bool { *self == lent }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a session as it is",
    label = "not a `stagger::Key`",
    note = "wrap it as `stagger::ByRef<{Self}>` and push `&key`, or implement `stagger::Key` (a line for each method)"
)]
pub trait Key: 'static {
    /// What an event carries: cheap to copy, compared and hashed at each push.
    type Ref<'a>: Copy + Eq + Hash
    where
        Self: 'a;

    /// Makes the owned key. Called when a session opens.
    fn keep(lent: Self::Ref<'_>) -> Self;

    /// The borrowed form of this key; `Self::keep(key.lend())` must equal `key`.
    fn lend(&self) -> Self::Ref<'_>;

    /// Whether `lent` is a borrowed form of this key.
    fn is(&self, lent: Self::Ref<'_>) -> bool;

    /// Replaces this key. Override it to reuse memory: a `String` keeps its buffer.
    fn replace(&mut self, lent: Self::Ref<'_>)
    where
        Self: Sized,
    {
        *self = Self::keep(lent);
    }
}

/// A type of payload: what the first and last event of a session report.
///
/// The same types as for [`Key`] serve, and floating-point numbers too. Use `()` when only counts
/// and times matter.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of an event as it is",
    label = "not a `stagger::Value`",
    note = "wrap it as `stagger::ByRef<{Self}>` and push `&value`, or implement `stagger::Value` (a line for each method)"
)]
pub trait Value: 'static {
    /// What an event carries: cheap to copy.
    type Ref<'a>: Copy
    where
        Self: 'a;

    /// Makes the owned value. Called when a session opens.
    fn keep(lent: Self::Ref<'_>) -> Self;

    /// The borrowed form of this value.
    fn lend(&self) -> Self::Ref<'_>;

    /// Replaces this value. Override it to reuse memory: a `String` keeps its buffer.
    fn replace(&mut self, lent: Self::Ref<'_>)
    where
        Self: Sized,
    {
        *self = Self::keep(lent);
    }

    /// Replaces this value if `is` says so. Values of a few bytes override it to choose without a
    /// branch: whether an event is the latest of its session is hard to foresee.
    #[inline]
    fn replace_if(&mut self, is: bool, lent: Self::Ref<'_>)
    where
        Self: Sized,
    {
        if is {
            self.replace(lent);
        }
    }
}

/// Keeps any cloneable `T` and lends it as `&T`: for types that cannot implement [`Key`] or
/// [`Value`] themselves because they come from another crate, or when that is too much ceremony.
///
/// ```
/// use stagger::{ByRef, Config, Event, Gap, Timestamp, prelude::*};
/// # use core::time::Duration;
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// struct Visitor { address: String, agent: String }
///
/// let mut sessions = Config::<ByRef<Visitor>, ()>::new(Gap::new(Duration::from_secs(1800))).build()?;
/// let visitor = Visitor { address: "::1".into(), agent: "curl".into() };
/// let _ = sessions.push(Event::new(&visitor, Timestamp::from_secs(1), ()), &mut |_| {});
/// sessions.flush(&mut |session| assert_eq!(session.key.0.agent, "curl"));
/// # Ok::<(), stagger::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct ByRef<T>(pub T);

impl<T: Clone + Eq + Hash + 'static> Key for ByRef<T> {
    type Ref<'a> = &'a T;

    fn keep(lent: &T) -> Self {
        Self(lent.clone())
    }

    fn lend(&self) -> &T {
        &self.0
    }

    fn is(&self, lent: &T) -> bool {
        self.0 == *lent
    }
}

impl<T: Clone + 'static> Value for ByRef<T> {
    type Ref<'a> = &'a T;

    fn keep(lent: &T) -> Self {
        Self(lent.clone())
    }

    fn lend(&self) -> &T {
        &self.0
    }

    fn replace(&mut self, lent: &T) {
        self.0.clone_from(lent);
    }
}

macro_rules! by_value {
    ($trait:ident: $($type:ty),*) => {$(
        impl $trait for $type {
            type Ref<'a> = $type;

            #[inline]
            fn keep(lent: $type) -> $type {
                lent
            }

            #[inline]
            fn lend(&self) -> $type {
                *self
            }

            by_value!(@is $trait, $type);
        }
    )*};
    (@is Key, $type:ty) => {
        #[inline]
        fn is(&self, lent: $type) -> bool {
            *self == lent
        }
    };
    (@is Value, $type:ty) => {
        #[inline]
        fn replace_if(&mut self, is: bool, lent: $type) {
            *self = if is { lent } else { *self };
        }
    };
}

by_value!(Key: u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
by_value!(Key: (), bool, char, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, crate::Timestamp);
by_value!(Value: u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64);
by_value!(Value: (), bool, char, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, crate::Timestamp);

impl<const N: usize> Key for [u8; N] {
    type Ref<'a> = [u8; N];

    fn keep(lent: [u8; N]) -> Self {
        lent
    }

    fn lend(&self) -> [u8; N] {
        *self
    }

    fn is(&self, lent: [u8; N]) -> bool {
        *self == lent
    }
}

impl<const N: usize> Value for [u8; N] {
    type Ref<'a> = [u8; N];

    fn keep(lent: [u8; N]) -> Self {
        lent
    }

    fn lend(&self) -> [u8; N] {
        *self
    }
}

macro_rules! by_text {
    ($($type:ty),*) => {$(
        impl Key for $type {
            type Ref<'a> = &'a str;

            fn keep(lent: &str) -> Self {
                lent.into()
            }

            fn lend(&self) -> &str {
                self
            }

            fn is(&self, lent: &str) -> bool {
                **self == *lent
            }
        }
    )*};
}

by_text!(Box<str>, Rc<str>, Arc<str>);

impl Key for String {
    type Ref<'a> = &'a str;

    fn keep(lent: &str) -> Self {
        lent.into()
    }

    fn lend(&self) -> &str {
        self
    }

    fn is(&self, lent: &str) -> bool {
        **self == *lent
    }

    fn replace(&mut self, lent: &str) {
        lent.clone_into(self);
    }
}

impl Value for String {
    type Ref<'a> = &'a str;

    fn keep(lent: &str) -> Self {
        lent.into()
    }

    fn lend(&self) -> &str {
        self
    }

    fn replace(&mut self, lent: &str) {
        lent.clone_into(self);
    }
}

/// Replaces shared or exactly sized text, keeping it where it is equal already.
macro_rules! value_by_text {
    ($($type:ty),*) => {$(
        impl Value for $type {
            type Ref<'a> = &'a str;

            fn keep(lent: &str) -> Self {
                lent.into()
            }

            fn lend(&self) -> &str {
                self
            }

            fn replace(&mut self, lent: &str) {
                if **self != *lent {
                    *self = lent.into();
                }
            }
        }
    )*};
}

value_by_text!(Box<str>, Rc<str>, Arc<str>);

impl<T: Clone + Eq + Hash + 'static> Key for Vec<T> {
    type Ref<'a> = &'a [T];

    fn keep(lent: &[T]) -> Self {
        lent.to_vec()
    }

    fn lend(&self) -> &[T] {
        self
    }

    fn is(&self, lent: &[T]) -> bool {
        **self == *lent
    }
}

impl<T: Clone + 'static> Value for Vec<T> {
    type Ref<'a> = &'a [T];

    fn keep(lent: &[T]) -> Self {
        lent.to_vec()
    }

    fn lend(&self) -> &[T] {
        self
    }

    fn replace(&mut self, lent: &[T]) {
        lent.clone_into(self);
    }
}

impl<T: Clone + Eq + Hash + 'static> Key for Box<[T]> {
    type Ref<'a> = &'a [T];

    fn keep(lent: &[T]) -> Self {
        lent.into()
    }

    fn lend(&self) -> &[T] {
        self
    }

    fn is(&self, lent: &[T]) -> bool {
        **self == *lent
    }
}

impl<A: Key> Key for Option<A> {
    type Ref<'a> = Option<A::Ref<'a>>;

    fn keep(lent: Self::Ref<'_>) -> Self {
        lent.map(A::keep)
    }

    fn lend(&self) -> Self::Ref<'_> {
        self.as_ref().map(A::lend)
    }

    fn is(&self, lent: Self::Ref<'_>) -> bool {
        match (self, lent) {
            (Some(kept), Some(lent)) => kept.is(lent),
            (kept, lent) => kept.is_none() && lent.is_none(),
        }
    }
}

impl<A: Value> Value for Option<A> {
    type Ref<'a> = Option<A::Ref<'a>>;

    fn keep(lent: Self::Ref<'_>) -> Self {
        lent.map(A::keep)
    }

    fn lend(&self) -> Self::Ref<'_> {
        self.as_ref().map(A::lend)
    }

    fn replace(&mut self, lent: Self::Ref<'_>) {
        match (self.as_mut(), lent) {
            (Some(kept), Some(lent)) => kept.replace(lent),
            (_, lent) => *self = Self::keep(lent),
        }
    }
}

macro_rules! by_parts {
    ($($part:ident.$index:tt),*) => {
        impl<$($part: Key),*> Key for ($($part,)*) {
            type Ref<'a> = ($($part::Ref<'a>,)*);

            #[inline]
            fn keep(lent: Self::Ref<'_>) -> Self {
                ($($part::keep(lent.$index),)*)
            }

            #[inline]
            fn lend(&self) -> Self::Ref<'_> {
                ($(self.$index.lend(),)*)
            }

            #[inline]
            fn is(&self, lent: Self::Ref<'_>) -> bool {
                $(self.$index.is(lent.$index))&&*
            }

            fn replace(&mut self, lent: Self::Ref<'_>) {
                $(self.$index.replace(lent.$index);)*
            }
        }

        impl<$($part: Value),*> Value for ($($part,)*) {
            type Ref<'a> = ($($part::Ref<'a>,)*);

            #[inline]
            fn keep(lent: Self::Ref<'_>) -> Self {
                ($($part::keep(lent.$index),)*)
            }

            #[inline]
            fn lend(&self) -> Self::Ref<'_> {
                ($(self.$index.lend(),)*)
            }

            #[inline]
            fn replace(&mut self, lent: Self::Ref<'_>) {
                $(self.$index.replace(lent.$index);)*
            }

            #[inline]
            fn replace_if(&mut self, is: bool, lent: Self::Ref<'_>) {
                $(self.$index.replace_if(is, lent.$index);)*
            }
        }
    };
}

by_parts!(A.0);
by_parts!(A.0, B.1);
by_parts!(A.0, B.1, C.2);
by_parts!(A.0, B.1, C.2, D.3);
by_parts!(A.0, B.1, C.2, D.3, E.4);
by_parts!(A.0, B.1, C.2, D.3, E.4, F.5);
