//! Keys and values: the form that a session keeps, and the borrowed form that events carry.

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
/// | kept | carried by each event |
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
///     fn key_from(borrowed: Meter) -> Meter { borrowed }
///     fn key_ref(&self) -> Meter { *self }
///     fn key_eq(&self, borrowed: Meter) -> bool { *self == borrowed }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a session as it is",
    label = "not a `stagger::Key`",
    note = "text: keep `String` and push `&str`",
    note = "floating-point numbers are not equal to themselves and cannot be keys: keep an integer, such as `to_bits()`",
    note = "a type that is `Clone + Eq + Hash`: wrap it as `stagger::ByRef<…>` and push `&key`, or implement `stagger::Key` (a line for each method)"
)]
pub trait Key: 'static {
    /// The form that an event carries: cheap to copy, compared and hashed at each push.
    type Ref<'a>: Copy + Eq + Hash
    where
        Self: 'a;

    /// Makes the owned key. Called when a session opens.
    fn key_from(borrowed: Self::Ref<'_>) -> Self;

    /// The borrowed form of this key; `Self::key_from(key.key_ref())` must equal `key`.
    fn key_ref(&self) -> Self::Ref<'_>;

    /// Whether `borrowed` is a borrowed form of this key.
    fn key_eq(&self, borrowed: Self::Ref<'_>) -> bool;

    /// Replaces this key. Override it to reuse memory: a `String` keeps its buffer.
    fn set_key(&mut self, borrowed: Self::Ref<'_>)
    where
        Self: Sized,
    {
        *self = Self::key_from(borrowed);
    }
}

/// A type of payload, reported for the first and the last event of a session.
///
/// The same types as for [`Key`] serve, and floating-point numbers too. Use `()` when only counts
/// and times matter.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of an event as it is",
    label = "not a `stagger::Value`",
    note = "text: keep `String` and push `&str`; for no value keep `()`",
    note = "a type that is `Clone`: wrap it as `stagger::ByRef<…>` and push `&value`, or implement `stagger::Value` (a line for each method)"
)]
pub trait Value: 'static {
    /// The form that an event carries: cheap to copy.
    type Ref<'a>: Copy
    where
        Self: 'a;

    /// Makes the owned value. Called when a session opens.
    fn value_from(borrowed: Self::Ref<'_>) -> Self;

    /// The borrowed form of this value.
    fn value_ref(&self) -> Self::Ref<'_>;

    /// Replaces this value. Override it to reuse memory: a `String` keeps its buffer.
    fn set_value(&mut self, borrowed: Self::Ref<'_>)
    where
        Self: Sized,
    {
        *self = Self::value_from(borrowed);
    }

    /// Replaces this value if `is` says so. Values of a few bytes override it to choose without a
    /// branch: whether an event is the latest of its session is hard to foresee.
    #[inline]
    fn set_value_if(&mut self, is: bool, borrowed: Self::Ref<'_>)
    where
        Self: Sized,
    {
        if is {
            self.set_value(borrowed);
        }
    }
}

/// Keeps any cloneable `T`, borrowed as `&T`: for types that cannot implement [`Key`] or
/// [`Value`] themselves because they come from another crate, or when that is too much ceremony.
///
/// ```
/// use stagger::{ByRef, Config, Event, Gap, Timestamp};
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

    fn key_from(borrowed: &T) -> Self {
        Self(borrowed.clone())
    }

    fn key_ref(&self) -> &T {
        &self.0
    }

    fn key_eq(&self, borrowed: &T) -> bool {
        self.0 == *borrowed
    }
}

impl<T: Clone + 'static> Value for ByRef<T> {
    type Ref<'a> = &'a T;

    fn value_from(borrowed: &T) -> Self {
        Self(borrowed.clone())
    }

    fn value_ref(&self) -> &T {
        &self.0
    }

    fn set_value(&mut self, borrowed: &T) {
        self.0.clone_from(borrowed);
    }
}

macro_rules! key_by_value {
    ($($type:ty),*) => {$(
        impl Key for $type {
            type Ref<'a> = $type;

            #[inline]
            fn key_from(borrowed: $type) -> $type {
                borrowed
            }

            #[inline]
            fn key_ref(&self) -> $type {
                *self
            }

            #[inline]
            fn key_eq(&self, borrowed: $type) -> bool {
                *self == borrowed
            }
        }
    )*};
}

macro_rules! value_by_value {
    ($($type:ty),*) => {$(
        impl Value for $type {
            type Ref<'a> = $type;

            #[inline]
            fn value_from(borrowed: $type) -> $type {
                borrowed
            }

            #[inline]
            fn value_ref(&self) -> $type {
                *self
            }

            #[inline]
            fn set_value_if(&mut self, is: bool, borrowed: $type) {
                *self = if is { borrowed } else { *self };
            }
        }
    )*};
}

key_by_value!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
key_by_value!((), bool, char, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, crate::Timestamp);
value_by_value!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64);
value_by_value!((), bool, char, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, crate::Timestamp);

impl<const N: usize> Key for [u8; N] {
    type Ref<'a> = [u8; N];

    fn key_from(borrowed: [u8; N]) -> Self {
        borrowed
    }

    fn key_ref(&self) -> [u8; N] {
        *self
    }

    fn key_eq(&self, borrowed: [u8; N]) -> bool {
        *self == borrowed
    }
}

impl<const N: usize> Value for [u8; N] {
    type Ref<'a> = [u8; N];

    fn value_from(borrowed: [u8; N]) -> Self {
        borrowed
    }

    fn value_ref(&self) -> [u8; N] {
        *self
    }
}

macro_rules! by_text {
    ($($type:ty),*) => {$(
        impl Key for $type {
            type Ref<'a> = &'a str;

            fn key_from(borrowed: &str) -> Self {
                borrowed.into()
            }

            fn key_ref(&self) -> &str {
                self
            }

            fn key_eq(&self, borrowed: &str) -> bool {
                **self == *borrowed
            }
        }
    )*};
}

by_text!(Box<str>, Rc<str>, Arc<str>);

impl Key for String {
    type Ref<'a> = &'a str;

    fn key_from(borrowed: &str) -> Self {
        borrowed.into()
    }

    fn key_ref(&self) -> &str {
        self
    }

    fn key_eq(&self, borrowed: &str) -> bool {
        **self == *borrowed
    }

    fn set_key(&mut self, borrowed: &str) {
        borrowed.clone_into(self);
    }
}

impl Value for String {
    type Ref<'a> = &'a str;

    fn value_from(borrowed: &str) -> Self {
        borrowed.into()
    }

    fn value_ref(&self) -> &str {
        self
    }

    fn set_value(&mut self, borrowed: &str) {
        borrowed.clone_into(self);
    }
}

/// Replaces shared or exactly sized text, keeping it where it is equal already.
macro_rules! value_by_text {
    ($($type:ty),*) => {$(
        impl Value for $type {
            type Ref<'a> = &'a str;

            fn value_from(borrowed: &str) -> Self {
                borrowed.into()
            }

            fn value_ref(&self) -> &str {
                self
            }

            fn set_value(&mut self, borrowed: &str) {
                if **self != *borrowed {
                    *self = borrowed.into();
                }
            }
        }
    )*};
}

value_by_text!(Box<str>, Rc<str>, Arc<str>);

impl<T: Clone + Eq + Hash + 'static> Key for Vec<T> {
    type Ref<'a> = &'a [T];

    fn key_from(borrowed: &[T]) -> Self {
        borrowed.to_vec()
    }

    fn key_ref(&self) -> &[T] {
        self
    }

    fn key_eq(&self, borrowed: &[T]) -> bool {
        **self == *borrowed
    }
}

impl<T: Clone + 'static> Value for Vec<T> {
    type Ref<'a> = &'a [T];

    fn value_from(borrowed: &[T]) -> Self {
        borrowed.to_vec()
    }

    fn value_ref(&self) -> &[T] {
        self
    }

    fn set_value(&mut self, borrowed: &[T]) {
        borrowed.clone_into(self);
    }
}

impl<T: Clone + Eq + Hash + 'static> Key for Box<[T]> {
    type Ref<'a> = &'a [T];

    fn key_from(borrowed: &[T]) -> Self {
        borrowed.into()
    }

    fn key_ref(&self) -> &[T] {
        self
    }

    fn key_eq(&self, borrowed: &[T]) -> bool {
        **self == *borrowed
    }
}

impl<A: Key> Key for Option<A> {
    type Ref<'a> = Option<A::Ref<'a>>;

    fn key_from(borrowed: Self::Ref<'_>) -> Self {
        borrowed.map(A::key_from)
    }

    fn key_ref(&self) -> Self::Ref<'_> {
        self.as_ref().map(A::key_ref)
    }

    fn key_eq(&self, borrowed: Self::Ref<'_>) -> bool {
        match (self, borrowed) {
            (Some(kept), Some(borrowed)) => kept.key_eq(borrowed),
            (kept, borrowed) => kept.is_none() && borrowed.is_none(),
        }
    }
}

impl<A: Value> Value for Option<A> {
    type Ref<'a> = Option<A::Ref<'a>>;

    fn value_from(borrowed: Self::Ref<'_>) -> Self {
        borrowed.map(A::value_from)
    }

    fn value_ref(&self) -> Self::Ref<'_> {
        self.as_ref().map(A::value_ref)
    }

    fn set_value(&mut self, borrowed: Self::Ref<'_>) {
        match (self.as_mut(), borrowed) {
            (Some(kept), Some(borrowed)) => kept.set_value(borrowed),
            (_, borrowed) => *self = Self::value_from(borrowed),
        }
    }
}

macro_rules! by_parts {
    ($($part:ident.$index:tt),*) => {
        impl<$($part: Key),*> Key for ($($part,)*) {
            type Ref<'a> = ($($part::Ref<'a>,)*);

            #[inline]
            fn key_from(borrowed: Self::Ref<'_>) -> Self {
                ($($part::key_from(borrowed.$index),)*)
            }

            #[inline]
            fn key_ref(&self) -> Self::Ref<'_> {
                ($(self.$index.key_ref(),)*)
            }

            #[inline]
            fn key_eq(&self, borrowed: Self::Ref<'_>) -> bool {
                $(self.$index.key_eq(borrowed.$index))&&*
            }

            fn set_key(&mut self, borrowed: Self::Ref<'_>) {
                $(self.$index.set_key(borrowed.$index);)*
            }
        }

        impl<$($part: Value),*> Value for ($($part,)*) {
            type Ref<'a> = ($($part::Ref<'a>,)*);

            #[inline]
            fn value_from(borrowed: Self::Ref<'_>) -> Self {
                ($($part::value_from(borrowed.$index),)*)
            }

            #[inline]
            fn value_ref(&self) -> Self::Ref<'_> {
                ($(self.$index.value_ref(),)*)
            }

            #[inline]
            fn set_value(&mut self, borrowed: Self::Ref<'_>) {
                $(self.$index.set_value(borrowed.$index);)*
            }

            #[inline]
            fn set_value_if(&mut self, is: bool, borrowed: Self::Ref<'_>) {
                $(self.$index.set_value_if(is, borrowed.$index);)*
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
