//! Session ids: the default, unique one, and the one that Kinesis SQL users know.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::data::Key;
use crate::time::Timestamp;

/// A session id of 128 bits, printed as 32 hexadecimal digits.
///
/// It is a hash (SipHash-1-3-128 with a fixed key) of the session's key and of its place among the
/// sessions of that key: the bucket or sliding window, the first event of a gap session, or the arrival
/// that opened a window on the arrival clock. Events of other keys, the number of events, shards, splits,
/// restarts and the order of arrival within the out-of-orderness bound do not show in it, and it costs
/// nothing until it is asked for. With a billion sessions the chance that any two ids are equal is below
/// 1e-20.
///
/// Integers are hashed in little-endian order and `usize` as 64 bits, so that ids agree between
/// platforms. Key types with a hand-written or derived `Hash` are hashed as that feeds them; the
/// standard library does not promise that this never changes between Rust versions.
///
/// # What tells sessions of one place apart
///
/// | sessions of one key | told apart by |
/// |---|---|
/// | gap sessions that rules start at one instant | their number among those, [`part`](crate::SessionSummary::part) |
/// | a gap session that begins behind the watermark, with a gap per event, a changed gap, or rules | the instant after which its first event alone would be late, and the number |
/// | before and after a [`flush`](crate::Sessionizer::flush), or an `advance_to(Timestamp::MAX)` | the number of such calls: the caller's own act |
/// | a session closed early to make room, and its successor | the number of sessions closed early, which depends on other keys by nature |
///
/// The first event of a gap session is the earliest of those that were not late by themselves: a
/// straggler that only an open session saves does not change the id. With a maximum duration or rules it
/// is the event that opened the session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u128);

/// What tells the usual sessions of one key apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Identity {
    /// The first event time, the end of its bucket or window, or the arrival that opened it.
    pub(crate) anchor: Timestamp,
    /// Its number among gap sessions that begin at one instant.
    pub(crate) part: u32,
    /// Flushes before it: after one, a key may begin again at the same instant.
    pub(crate) flushes: u32,
}

/// What tells other sessions apart besides: one of their key with the same [`Identity`] may be gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Distinction {
    /// It began behind the watermark, with an event that alone would be late after this.
    pub(crate) reach: Option<Timestamp>,
    /// How many sessions had been closed early when it began: several sessions may share this.
    pub(crate) after: u64,
    /// It was closed early as this one in a row, or ended without room to remember it: no other shares this.
    pub(crate) early: u64,
}

/// How a summary knows its id.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum SummaryId {
    /// It is hashed when it is asked for.
    Of(Identity),
    /// It was read, chosen by the caller, or is not a usual one. In halves, which need no wider alignment
    /// than the rest.
    Known { high: u64, low: u64 },
}

impl Identity {
    /// That of a session whose anchor alone tells it apart.
    pub(crate) const fn of(anchor: Timestamp) -> Self {
        Self { anchor, part: 1, flushes: 0 }
    }
}

impl Distinction {
    /// Whether there is nothing to tell.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for SummaryId {
    /// That of a summary without one.
    fn default() -> Self {
        Self::Known { high: 0, low: 0 }
    }
}

impl SummaryId {
    pub(crate) fn new<K: Key>(key: &K, bucket: Option<Timestamp>, identity: Identity, besides: Distinction) -> Self {
        if besides.is_none() { Self::Of(identity) } else { Self::known(SessionId::of(key, bucket, identity, besides)) }
    }

    pub(crate) const fn known(SessionId(id): SessionId) -> Self {
        Self::Known { high: (id >> 64) as u64, low: id as u64 }
    }

    pub(crate) fn of<K: Key>(self, key: &K, bucket: Option<Timestamp>) -> SessionId {
        match self {
            Self::Of(identity) => SessionId::of(key, bucket, identity, Distinction::default()),
            Self::Known { high, low } => SessionId(u128::from(high) << 64 | u128::from(low)),
        }
    }
}

impl SessionId {
    pub(crate) fn of<K: Key>(key: &K, bucket: Option<Timestamp>, identity: Identity, besides: Distinction) -> Self {
        let mut hasher = Portable::new();
        key.key_ref().hash(&mut hasher);
        (bucket, identity.part, identity.anchor, identity.flushes).hash(&mut hasher);
        u64::from(!besides.is_none()).hash(&mut hasher);
        if !besides.is_none() {
            (besides.reach, besides.after, besides.early).hash(&mut hasher);
        }
        Self(hasher.finish128())
    }

    /// The id with this number.
    #[must_use]
    pub const fn from_u128(id: u128) -> Self {
        Self(id)
    }

    /// The id as a number.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session id is 32 hexadecimal digits, such as 0123456789abcdef0123456789abcdef")]
#[non_exhaustive]
pub struct SessionIdError;

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, SessionIdError> {
        if text.len() != 32 || text.starts_with('+') {
            return Err(SessionIdError);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| SessionIdError)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for SessionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for SessionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = alloc::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Feeds a hasher the same bytes on every platform. The bytes come in many small parts; they
/// are gathered, since hashing once is far cheaper than hashing part by part.
struct Portable {
    /// Has the bytes that left the room, once some have.
    hasher: Option<SipHasher13>,
    gathered: [u8; ROOM],
    length: usize,
}

/// Enough for a key of 50 bytes and all that goes with it.
const ROOM: usize = 104;

impl Portable {
    #[inline]
    fn new() -> Self {
        Self { hasher: None, gathered: [0; ROOM], length: 0 }
    }

    #[cold]
    fn write_through(&mut self, bytes: &[u8]) {
        let hasher = self.hasher.get_or_insert_default();
        hasher.write(&self.gathered[..self.length]);
        hasher.write(bytes);
        self.length = 0;
    }

    #[inline]
    fn finish128(self) -> u128 {
        let hash = match self.hasher {
            None => SipHasher13::new().hash(&self.gathered[..self.length]),
            Some(_) => self.hasher_of_all().finish128(),
        };
        hash.as_u128()
    }

    fn hasher_of_all(&self) -> SipHasher13 {
        let mut hasher = self.hasher.unwrap_or_default();
        hasher.write(&self.gathered[..self.length]);
        hasher
    }
}

impl Hasher for Portable {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) {
        if let Some(room) = self.gathered.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
        } else {
            self.write_through(bytes);
        }
    }

    #[inline]
    fn write_u16(&mut self, n: u16) {
        self.write(&n.to_le_bytes());
    }

    #[inline]
    fn write_u32(&mut self, n: u32) {
        self.write(&n.to_le_bytes());
    }

    #[inline]
    fn write_u64(&mut self, n: u64) {
        self.write(&n.to_le_bytes());
    }

    #[inline]
    fn write_u128(&mut self, n: u128) {
        self.write(&n.to_le_bytes());
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    #[inline]
    fn write_isize(&mut self, n: isize) {
        self.write_u64(n as i64 as u64);
    }

    fn finish(&self) -> u64 {
        self.hasher_of_all().finish()
    }
}

/// The partition of a key, out of a number of partitions: the same in every run, process and release, and on
/// every platform. A key and its borrowed form agree: `"ann"` and `String::from("ann")`.
///
/// For events that are shared out over several machines, and for [`Snapshot::split`](crate::Snapshot::split).
/// It is part 0 of 0 or 1.
#[must_use]
pub fn partition_of(key: impl Hash, partitions: usize) -> usize {
    let mut hasher = Portable::new();
    key.hash(&mut hasher);
    let upper = (hasher.finish128() >> 64) * partitions as u128;
    (upper >> 64) as usize
}

/// A number of 128 bits for a value: the same in every run, process and release, and on every platform. For
/// ids of events that are text, or of several parts: see [`Config::unique_by`](crate::Config::unique_by).
///
/// It is a hash (SipHash-1-3-128 with a fixed key): of a million values, the chance that any two have one
/// number is below 1e-26. It is no defence against values made to collide.
///
/// ```
/// use stagger::fingerprint;
///
/// assert_eq!(fingerprint("order 7"), fingerprint(String::from("order 7")));
/// assert_ne!(fingerprint("order 7"), fingerprint("order 8"));
/// ```
#[must_use]
pub fn fingerprint(value: impl Hash) -> u128 {
    let mut hasher = Portable::new();
    value.hash(&mut hasher);
    hasher.finish128()
}

/// The session id of AWS's clickstream article, as Kinesis SQL computed it:
/// `UPPER(user || '_' || SUBSTRING(device, 1, 3) || bucket in epoch seconds)`.
///
/// It is **not unique**: devices that share their first three characters collide (`tablet` and
/// `tab-2`), user and device run into the digits of the time when a device name is short, and every
/// part of a window that was opened again has the same id. The article also cast the user to three
/// characters, which made rows of longer users disappear; this does not.
///
/// Seconds are rounded down, also before 1970.
///
/// ```
/// use stagger::{kinesis_sql_id, Timestamp};
///
/// let bucket = Timestamp::from_secs(1_543_534_500);
/// assert_eq!(kinesis_sql_id(20, "computer", bucket), "20_COM1543534500");
/// ```
#[must_use]
pub fn kinesis_sql_id(user: impl fmt::Display, device: &str, bucket: Timestamp) -> String {
    let prefix = device.char_indices().nth(3).map_or(device, |(end, _)| &device[..end]);
    let seconds = bucket.as_micros().div_euclid(1_000_000);
    format!("{user}_{prefix}{seconds}").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn id<K: Key>(key: &K, bucket: Option<Timestamp>, part: u32, anchor: i64, flushes: u32) -> SessionId {
        let identity = Identity { anchor: Timestamp::from_micros(anchor), part, flushes };
        SessionId::of(key, bucket, identity, Distinction::default())
    }

    fn special(besides: Distinction) -> SessionId {
        SessionId::of(&String::from("alice"), None, Identity::of(Timestamp::from_micros(5)), besides)
    }

    #[test]
    fn every_part_of_the_identity_counts() {
        let key = String::from("alice");
        let ids = [
            id(&key, None, 1, 5, 0),
            id(&String::from("alicf"), None, 1, 5, 0),
            id(&key, Some(Timestamp::EPOCH), 1, 5, 0),
            id(&key, None, 2, 5, 0),
            id(&key, None, 1, 6, 0),
            id(&key, None, 1, 5, 1),
            special(Distinction { reach: Some(Timestamp::from_micros(1)), ..Distinction::default() }),
            special(Distinction { reach: Some(Timestamp::EPOCH), ..Distinction::default() }),
            special(Distinction { after: 1, ..Distinction::default() }),
            special(Distinction { early: 1, ..Distinction::default() }),
            id(&(String::from("alice"), String::new()), None, 1, 5, 0),
        ];
        for (i, a) in ids.iter().enumerate() {
            assert_eq!(ids.iter().filter(|b| *b == a).count(), 1, "{i}");
        }
    }

    #[test]
    fn ids_are_the_same_in_every_release_and_on_every_platform() {
        // Changing these is a breaking change: ids of stored sessions would no longer match.
        assert_eq!(id(&String::from("alice"), None, 1, 1_000_000, 0).to_string(), GOLDEN_TEXT);
        assert_eq!(id(&7_usize, None, 1, 0, 0), id(&7_u64, None, 1, 0, 0));
        assert_eq!(id(&7_u64, Some(Timestamp::EPOCH), 1, 0, 0).to_string(), GOLDEN_NUMBER);
    }

    const GOLDEN_TEXT: &str = "7e8c35862e9722cdb2d55f471d2b7e3c";
    const GOLDEN_NUMBER: &str = "ea380a5cfee7a20f5884c83b846896cd";

    #[test]
    fn long_keys_are_hashed_whole() {
        // However the parts fall on the room for them, the bytes are the same: one by one they agree.
        let by_parts = |text: &str| {
            let mut hasher = SipHasher13::new();
            hasher.write(text.as_bytes());
            hasher.write(&[0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
            for part in [&1_u32.to_le_bytes()[..], &5_i64.to_le_bytes(), &0_u32.to_le_bytes(), &0_u64.to_le_bytes()] {
                hasher.write(part);
            }
            hasher.finish128().as_u128()
        };
        for length in 0..300 {
            let key = "x".repeat(length);
            assert_eq!(id(&key, None, 1, 5, 0).as_u128(), by_parts(&key), "{length}");
        }
    }

    #[test]
    fn partitions_are_the_same_for_both_forms_of_a_key() {
        let keys = || (0..1_000_u32).map(|n| (alloc::format!("user {n}"), n));
        let mut sizes = [0; 7];
        for (name, n) in keys() {
            let partition = partition_of((name.as_str(), n), 7);
            assert_eq!(partition, partition_of((name, n), 7));
            sizes[partition] += 1;
        }
        assert!(sizes.iter().all(|size| (100..200).contains(size)), "{sizes:?}");
        assert_eq!((partition_of(5, 0), partition_of(5, 1)), (0, 0));
    }

    #[test]
    fn ids_can_be_read_back() {
        let id = id(&1_u8, None, 1, 0, 0);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "0", "+123456789abcdef0123456789abcdef0", "g123456789abcdef0123456789abcdef"] {
            assert_eq!(bad.parse::<SessionId>(), Err(SessionIdError), "{bad}");
        }
    }

    #[test]
    fn the_id_of_the_article() {
        let bucket = Timestamp::from_secs(1_542_215_130);
        assert_eq!(kinesis_sql_id(7, "mobile", bucket), "7_MOB1542215130");
        assert_eq!(kinesis_sql_id("x", "é", bucket), "X_É1542215130");
        assert_eq!(kinesis_sql_id(1, "", Timestamp::from_micros(-1)), "1_-1");
    }
}
