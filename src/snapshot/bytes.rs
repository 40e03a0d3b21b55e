//! Snapshots and changes as bytes: the layout that [`Snapshot::to_bytes`] describes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use crate::codec::{Failure, Reader, Writer};
use crate::error::{RestoreError, WriteError};
use crate::event::Event;
use crate::id::SessionId;
use crate::session::RareState;
use crate::snapshot::{Changes, RememberedPart, Saved, SavedEvent, Snapshot, VERSION};
use crate::time::Timestamp;

/// The layout that this release writes and reads.
const LAYOUT: u8 = 1;
const MAGIC: [u8; 4] = *b"STGR";
/// Magic, layout, kind, length of the content.
const HEAD: usize = 4 + 1 + 1 + 8;
const CHECKSUM: usize = 8;

/// The kind of content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Snapshot = 0,
    Changes = 1,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "a snapshot",
            Self::Changes => "changes",
        }
    }
}

impl<K: Serialize, V: Serialize, S: Serialize> Snapshot<K, V, S> {
    /// Writes it in a compact binary form, with a version and a checksum. It needs no crate of a serde format.
    ///
    /// Keys, values and states of aggregates may be of any type with `Serialize` and `Deserialize`, except those
    /// that ask a format which type comes next or leave fields out (untagged enums, `flatten`,
    /// `skip_serializing_if`).
    ///
    /// Time and memory are linear in the sessions and held events.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use stagger::{Config, Event, Gap, Snapshot, Timestamp};
    /// # let config = || Config::<String, u32>::new(Gap::new(Duration::from_secs(60)));
    /// # let mut engine = config().build()?;
    /// # let _ = engine.push(Event::new("alice", Timestamp::from_secs(1), 7), &mut |_| {});
    /// let bytes = engine.snapshot().to_bytes().expect("text and integers can be written");
    /// let again = config().restore(Snapshot::from_bytes(&bytes)?)?;
    /// assert_eq!(again.snapshot(), engine.snapshot());
    /// # Ok::<(), stagger::RestoreError>(())
    /// ```
    ///
    /// # Layout
    /// | bytes | content |
    /// |---|---|
    /// | 0 to 3 | the letters `STGR` |
    /// | 4 | the version of the layout: 1 |
    /// | 5 | 0: a snapshot, 1: [`Changes`] |
    /// | 6 to 13 | the length of the content, little endian |
    /// | from 14 | the content |
    /// | the last 8 | SipHash-1-3 with key 0 of all bytes before, little endian |
    ///
    /// The *layout* says how values are written. The first value of the content is the version of the *snapshot*, which
    /// says what they mean. A release raises the one or the other when it changes, and refuses what it does not
    /// read. Within one version nothing changes.
    ///
    /// | value | written as |
    /// |---|---|
    /// | number | seven bits to a byte, the lowest first; bit 7: more follow |
    /// | signed | zigzag (0, -1, 1, -2 as 0, 1, 2, 3), then as a number |
    /// | `bool`, `u8`, `i8` | one byte |
    /// | other integers, `char` | a number, or signed |
    /// | `f32`, `f64` | little endian |
    /// | text, bytes | its length as a number, then its bytes |
    /// | option | 0, or 1 and the value |
    /// | list, map | its length, then its elements; after `n` elements that take fewer than `n` bytes, zeros up to `n` bytes |
    /// | tuple, struct | its fields |
    /// | enum | the number of the variant, then its fields |
    ///
    /// The content of a snapshot:
    ///
    /// | field | written as |
    /// |---|---|
    /// | version of the snapshot | number |
    /// | settings | their number; of each name and value as text |
    /// | clock | signed, in microseconds since 1970 |
    /// | flushes, early closings, pushes | numbers |
    /// | up to where windows were given up | option of signed |
    /// | whether the gap has changed, whether updates are due | two bytes |
    /// | [`Counters`](crate::Counters) | struct, as serde has it |
    /// | sessions | their number; each as below |
    /// | held events, then events without a session | their number; of each the push as a number, the event time as the difference to that of the one before, the arrival time as the difference to the event time, both signed, whether it is a duplicate as a byte, the key, the value |
    /// | remembered parts | their number; of each the id in 16 bytes, little endian, the part as a number, the opening as the signed difference to the one before |
    ///
    /// A session is written as differences to the session before it, or to one of zeros; all differences wrap:
    ///
    /// | field | written as |
    /// |---|---|
    /// | marks | a byte of bits: 1 cut, 2 a part above 1, 4 a rare state, 8 the bucket of the one before, 16 the end of the one before, 32 as long from its last event to its end as the one before |
    /// | push that opened it | signed difference |
    /// | first event time | signed difference |
    /// | last event time | difference to the first event time, as a number |
    /// | bucket, unless marked 8 | signed difference |
    /// | end, unless marked 16 or 32 | signed difference |
    /// | count of events | number |
    /// | part, if marked 2 | number |
    /// | key, first value, last value, state | as serde has them |
    /// | rare state, if marked 4 | struct: origin, last summary, ids that it supersedes, and so on, as serde has them |
    ///
    /// The content of changes is the number of their keys, each key, and then the content of a snapshot.
    ///
    /// # Errors
    /// [`WriteError`] if a key, value or state cannot be written: it says so itself, or lies more than 128 values
    /// deep.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        framed(Kind::Snapshot, |writer| self.write(writer))
    }

    fn write(&self, writer: &mut Writer) -> Result<(), Failure> {
        writer.number(self.version.into());
        writer.list(&self.settings, |writer, setting| writer.value(setting))?;
        writer.value(&self.now)?;
        writer.number(self.flushes.into());
        writer.number(self.early_closings);
        writer.number(self.arrivals);
        writer.value(&self.given_up)?;
        writer.byte(self.gap_changed.into());
        writer.byte(self.has_updates_due.into());
        writer.value(&self.counters)?;
        let mut before = Frame::default();
        writer.list(&self.sessions, |writer, session| session.write(writer, &mut before))?;
        for events in [&self.held, &self.orphans] {
            let mut before = Timestamp::EPOCH;
            writer.list(events, |writer, held| held.write(writer, &mut before))?;
        }
        let mut before = Timestamp::EPOCH;
        writer.list(&self.parts, |writer, part| {
            part.write(writer, &mut before);
            Ok(())
        })
    }
}

impl<'b, K: Deserialize<'b>, V: Deserialize<'b>, S: Deserialize<'b>> Snapshot<K, V, S> {
    /// Reads what [`to_bytes`](Self::to_bytes) has written.
    ///
    /// No bytes make it panic, and it allocates in proportion to their number. Whether the content makes sense
    /// is found when the snapshot is restored. Time is linear.
    ///
    /// # Errors
    /// [`RestoreError::Damaged`] says what is wrong with the bytes; [`RestoreError::Layout`] and
    /// [`RestoreError::Version`] say which version they have.
    pub fn from_bytes(bytes: &'b [u8]) -> Result<Self, RestoreError> {
        unframed(Kind::Snapshot, bytes, Self::read)
    }

    fn read(reader: &mut Reader<'b>) -> Result<Self, RestoreError> {
        let version = reader.fitting()?;
        if version != VERSION {
            return Err(RestoreError::Version { found: version, expected: VERSION });
        }
        let settings = reader.list(2, Reader::value)?;
        let now = reader.value()?;
        let (flushes, early_closings, arrivals) = (reader.fitting()?, reader.number()?, reader.number()?);
        let given_up = reader.value()?;
        let (gap_changed, has_updates_due) = (reader.bool()?, reader.bool()?);
        let counters = reader.value()?;
        let mut before = Frame::default();
        let sessions = reader.list(5, |reader| Saved::read(reader, &mut before))?;
        let [held, orphans] = [(); 2].map(|()| {
            let mut before = Timestamp::EPOCH;
            reader.list(4, |reader| SavedEvent::read(reader, &mut before))
        });
        let mut before = Timestamp::EPOCH;
        let parts = reader.list(18, |reader| RememberedPart::read(reader, &mut before))?;
        Ok(Self {
            version,
            settings,
            now,
            flushes,
            early_closings,
            given_up,
            gap_changed,
            arrivals,
            counters,
            sessions,
            held: held?,
            parts,
            orphans: orphans?,
            has_updates_due,
        })
    }
}

impl<K: Serialize, V: Serialize, S: Serialize> Changes<K, V, S> {
    /// Writes them like a [snapshot](Snapshot::to_bytes), which describes the layout. Time and memory are linear in
    /// their keys.
    ///
    /// # Errors
    /// As for a snapshot.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        framed(Kind::Changes, |writer| {
            writer.value(&self.keys)?;
            self.state.write(writer)
        })
    }
}

impl<'b, K: Deserialize<'b>, V: Deserialize<'b>, S: Deserialize<'b>> Changes<K, V, S> {
    /// Reads what [`to_bytes`](Self::to_bytes) has written, like a [snapshot](Snapshot::from_bytes).
    ///
    /// # Errors
    /// As for a snapshot.
    pub fn from_bytes(bytes: &'b [u8]) -> Result<Self, RestoreError> {
        unframed(Kind::Changes, bytes, |reader| {
            let keys = reader.value()?;
            Ok(Self { keys, state: Snapshot::read(reader)? })
        })
    }
}

impl From<Failure> for RestoreError {
    fn from(Failure(what): Failure) -> Self {
        Self::Damaged { what }
    }
}

fn framed(kind: Kind, write: impl FnOnce(&mut Writer) -> Result<(), Failure>) -> Result<Vec<u8>, WriteError> {
    let mut writer = Writer::default();
    writer.bytes.extend(MAGIC);
    writer.bytes.extend([LAYOUT, kind as u8]);
    writer.bytes.extend([0; 8]);
    write(&mut writer).map_err(|Failure(what)| WriteError { what })?;
    let mut bytes = writer.bytes;
    let length = (bytes.len() - HEAD) as u64;
    bytes[HEAD - 8..HEAD].copy_from_slice(&length.to_le_bytes());
    let checksum = checksum_of(&bytes);
    bytes.extend(checksum);
    Ok(bytes)
}

fn unframed<'b, T>(
    kind: Kind,
    bytes: &'b [u8],
    read: impl FnOnce(&mut Reader<'b>) -> Result<T, RestoreError>,
) -> Result<T, RestoreError> {
    let damaged = |what: String| RestoreError::Damaged { what };
    let is_ours = bytes.len() >= HEAD && bytes.starts_with(&MAGIC);
    if !is_ours {
        return Err(damaged(String::from("its bytes do not begin like those of `to_bytes`")));
    }
    let mut head = Reader::new(&bytes[MAGIC.len()..HEAD]);
    let (layout, of_kind, length) = (head.byte()?, head.byte()?, u64::from_le_bytes(head.array()?));
    if layout != LAYOUT {
        return Err(RestoreError::Layout { found: layout, expected: LAYOUT });
    }
    let whole = length.saturating_add((HEAD + CHECKSUM) as u64);
    if bytes.len() as u64 != whole {
        return Err(damaged(format!("it has {} bytes and says that it has {whole}", bytes.len())));
    }
    let (checked, checksum) = bytes.split_at(bytes.len() - CHECKSUM);
    if checksum_of(checked) != checksum {
        return Err(damaged(String::from("its bytes do not agree with their checksum")));
    }
    if of_kind != kind as u8 {
        let other = if kind == Kind::Snapshot { Kind::Changes } else { Kind::Snapshot };
        return Err(damaged(format!("its bytes are {}, and {} was expected", other.name(), kind.name())));
    }
    let mut reader = Reader::new(&checked[HEAD..]);
    let content = read(&mut reader)?;
    match reader.left() {
        0 => Ok(content),
        left => Err(damaged(format!("{left} bytes follow its content"))),
    }
}

fn checksum_of(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish().to_le_bytes()
}

/// The fields of a session by which the next one is written.
#[derive(Clone, Copy, Default)]
struct Frame {
    opened: u64,
    first: i64,
    last: i64,
    bucket: i64,
    end: i64,
}

impl Frame {
    const fn reach(&self) -> i64 {
        self.end.wrapping_sub(self.last)
    }
}

const CUT: u8 = 1;
const PART: u8 = 2;
const RARE: u8 = 4;
const SAME_BUCKET: u8 = 8;
const SAME_END: u8 = 16;
const SAME_REACH: u8 = 32;
const ALL_MARKS: u8 = 63;

impl<K, V, S> Saved<K, V, S> {
    fn frame(&self) -> Frame {
        let [first, last, end] = [self.first, self.last, self.end].map(Timestamp::as_micros);
        Frame { opened: self.opened, first, last, bucket: self.bucket, end }
    }

    fn write(&self, writer: &mut Writer, before: &mut Frame) -> Result<(), Failure>
    where
        K: Serialize,
        V: Serialize,
        S: Serialize,
    {
        let this = self.frame();
        let end = match () {
            () if this.end == before.end => SAME_END,
            () if this.reach() == before.reach() => SAME_REACH,
            () => 0,
        };
        let mark = |is: bool, mark| if is { mark } else { 0 };
        let bucket = mark(this.bucket == before.bucket, SAME_BUCKET);
        writer.byte(end | bucket | mark(self.cut, CUT) | mark(self.part != 1, PART) | mark(self.extra.is_some(), RARE));
        writer.signed(this.opened.wrapping_sub(before.opened) as i64);
        writer.signed(this.first.wrapping_sub(before.first));
        writer.number(this.last.wrapping_sub(this.first) as u64);
        if bucket == 0 {
            writer.signed(this.bucket.wrapping_sub(before.bucket));
        }
        if end == 0 {
            writer.signed(this.end.wrapping_sub(before.end));
        }
        writer.number(self.count);
        if self.part != 1 {
            writer.number(self.part.into());
        }
        writer.value(&self.key)?;
        writer.value(&self.first_value)?;
        writer.value(&self.last_value)?;
        writer.value(&self.state)?;
        *before = this;
        self.extra.as_ref().map_or(Ok(()), |extra| writer.value(extra))
    }

    fn read<'b>(reader: &mut Reader<'b>, before: &mut Frame) -> Result<Self, Failure>
    where
        K: Deserialize<'b>,
        V: Deserialize<'b>,
        S: Deserialize<'b>,
    {
        let marks = reader.byte()?;
        let has = |mark| marks & mark != 0;
        if marks > ALL_MARKS || has(SAME_END) && has(SAME_REACH) {
            return Err(Failure::new("a session has impossible marks"));
        }
        let opened = before.opened.wrapping_add(reader.signed()? as u64);
        let first = before.first.wrapping_add(reader.signed()?);
        let last = first.wrapping_add(reader.number()? as i64);
        let bucket = if has(SAME_BUCKET) { before.bucket } else { before.bucket.wrapping_add(reader.signed()?) };
        let end = match () {
            () if has(SAME_END) => before.end,
            () if has(SAME_REACH) => last.wrapping_add(before.reach()),
            () => before.end.wrapping_add(reader.signed()?),
        };
        *before = Frame { opened, first, last, bucket, end };
        let [first, last, end] = [first, last, end].map(Timestamp::from_micros);
        let count = reader.number()?;
        let part = if has(PART) { reader.fitting()? } else { 1 };
        let (key, first_value, last_value, state) =
            (reader.value()?, reader.value()?, reader.value()?, reader.value()?);
        let extra = if has(RARE) { Some(RareState { part, ..reader.value()? }) } else { None };
        let cut = has(CUT);
        Ok(Self { key, first_value, last_value, state, bucket, first, last, end, opened, count, part, cut, extra })
    }
}

impl<K, V> SavedEvent<K, V> {
    fn write(&self, writer: &mut Writer, before: &mut Timestamp) -> Result<(), Failure>
    where
        K: Serialize,
        V: Serialize,
    {
        let Event { key, event_time, arrival_time, value } = &self.event;
        writer.number(self.arrival);
        writer.signed(event_time.as_micros().wrapping_sub(before.as_micros()));
        writer.signed(arrival_time.as_micros().wrapping_sub(event_time.as_micros()));
        writer.byte(self.is_duplicate.into());
        *before = *event_time;
        writer.value(key)?;
        writer.value(value)
    }

    fn read<'b>(reader: &mut Reader<'b>, before: &mut Timestamp) -> Result<Self, Failure>
    where
        K: Deserialize<'b>,
        V: Deserialize<'b>,
    {
        let arrival = reader.number()?;
        let event_time = before.as_micros().wrapping_add(reader.signed()?);
        let arrival_time = Timestamp::from_micros(event_time.wrapping_add(reader.signed()?));
        let event_time = Timestamp::from_micros(event_time);
        *before = event_time;
        let is_duplicate = reader.bool()?;
        let (key, value) = (reader.value()?, reader.value()?);
        Ok(Self { arrival, event: Event { key, event_time, arrival_time, value }, is_duplicate })
    }
}

impl RememberedPart {
    fn write(&self, writer: &mut Writer, before: &mut Timestamp) {
        writer.bytes.extend(self.partition.as_u128().to_le_bytes());
        writer.number(self.part.into());
        writer.signed(self.opened.as_micros().wrapping_sub(before.as_micros()));
        *before = self.opened;
    }

    fn read(reader: &mut Reader<'_>, before: &mut Timestamp) -> Result<Self, Failure> {
        let partition = SessionId::from_u128(u128::from_le_bytes(reader.array()?));
        let part = reader.fitting()?;
        let opened = Timestamp::from_micros(before.as_micros().wrapping_add(reader.signed()?));
        *before = opened;
        Ok(Self { partition, part, opened })
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::collections::{BTreeMap, BTreeSet};
    use alloc::string::ToString;

    use super::*;
    use crate::aggregate::{Count, List};
    use crate::config::Config;
    use crate::rules::FirstLast;
    use crate::strategy::{Bucket, Gap, Sliding, Stagger};
    use crate::testing::{Run, Settings, at, config, us};

    type Small = Snapshot<u8, i64>;

    fn settings() -> [Settings; 8] {
        let gap = || config(Gap::new(us(10)));
        let ordered = || config(Gap::new(us(10)).max_duration(us(20))).out_of_order(us(5));
        [
            gap(),
            gap().allowed_lateness(us(50)).update_every_events(1),
            gap().unique_by("the time", |event| event.value as u128),
            ordered(),
            ordered().first_last_by(FirstLast::Arrival),
            config(Stagger::on_event_time(Bucket::step(us(10)))),
            config(Stagger::on_arrival(Bucket::step(us(10)), us(5))),
            config(Sliding::new(us(10), us(5))),
        ]
    }

    fn taken() -> [Small; 8] {
        settings().map(|config| {
            let mut run = Run::new(config);
            run.advance(3);
            for (key, time) in [(1, 3), (1, 5), (2, 6), (3, -40), (1, 17), (1, 29), (2, 30), (2, 30)] {
                let _ = run.push(key, time);
            }
            run.engine.snapshot()
        })
    }

    fn read(bytes: &[u8]) -> Result<Small, RestoreError> {
        Snapshot::from_bytes(bytes)
    }

    fn bytes_of(snapshot: &Small) -> Vec<u8> {
        snapshot.to_bytes().expect("integers can be written")
    }

    /// A content with a checksum that fits, so that it is looked at.
    fn sealed(content: &[u8]) -> Vec<u8> {
        let write = |writer: &mut Writer| {
            writer.bytes.extend(content);
            Ok(())
        };
        framed(Kind::Snapshot, write).expect("it is written already")
    }

    #[test]
    fn bytes_are_read_as_they_were_written() {
        for snapshot in taken() {
            assert_eq!(read(&bytes_of(&snapshot)).as_ref(), Ok(&snapshot));
            let changes = Changes { keys: [1, 2].into(), state: snapshot };
            let bytes = changes.to_bytes().expect("integers can be written");
            assert_eq!(Changes::from_bytes(&bytes), Ok(changes));
            assert!(matches!(read(&bytes), Err(RestoreError::Damaged { .. })), "changes are no snapshot");
        }
    }

    #[test]
    fn the_layout_stays_as_it_is() {
        // Changing these bytes takes another `LAYOUT` or `VERSION`: stored snapshots would no longer be read.
        let written = taken().map(|mut snapshot| {
            snapshot.settings = [(String::from("gap"), String::from("10"))].into();
            bytes_of(&snapshot)
        });
        let hex: String = written[0].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GAP_SESSIONS);
        assert_eq!(u64::from_le_bytes(checksum_of(&written.concat())), EVERY_STRATEGY);
    }

    const GAP_SESSIONS: &str = "5354475201005300000000000000020103676170023130060000080000000801000000000700000005000000\
        000000000001000005080206021e0201060a2804060001020c0c28041600010122222802180001013a3a2802020002023c3c0000003f522a\
        e06c98c680";
    const EVERY_STRATEGY: u64 = 7_672_539_274_186_517_080;

    #[test]
    fn any_bit_that_is_flipped_and_any_cut_is_refused() {
        for snapshot in taken() {
            let whole = bytes_of(&snapshot);
            for bit in 0..8 * whole.len() {
                let mut bytes = whole.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(read(&bytes).is_err(), "bit {bit}");
            }
            for end in 0..whole.len() {
                assert!(read(&whole[..end]).is_err(), "{end} bytes");
            }
            assert!(read(&[&whole[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn damage_with_a_checksum_that_fits_is_refused_or_restored_and_never_panics() {
        let mut let_in = 0;
        for (i, snapshot) in taken().iter().enumerate() {
            let whole = bytes_of(snapshot);
            let content = &whole[HEAD..whole.len() - CHECKSUM];
            for place in 0..content.len() {
                for byte in [0, 1, 0x7f, 0x80, 0xff, content[place] ^ 1, content[place].wrapping_add(1)] {
                    let mut content = content.to_vec();
                    content[place] = byte;
                    let Ok(damaged) = read(&sealed(&content)) else { continue };
                    let config = settings().into_iter().nth(i).expect("there is one for each");
                    if let Ok(mut engine) = config.restore(damaged) {
                        let_in += 1;
                        let _ = engine.push(Event::new(1, at(40), 40), &mut |_| {});
                        engine.flush(&mut |_| {});
                    }
                }
                assert!(read(&sealed(&content[..place])).is_err(), "cut at {place}");
            }
        }
        assert!(let_in > 0, "values of the caller may be any");
    }

    #[test]
    fn versions_are_named() {
        let mut snapshot = taken()[0].clone();
        let mut bytes = bytes_of(&snapshot);
        bytes[4] = LAYOUT + 1;
        assert_eq!(read(&bytes), Err(RestoreError::Layout { found: LAYOUT + 1, expected: LAYOUT }));
        snapshot.version = VERSION + 1;
        let expected = Err(RestoreError::Version { found: VERSION + 1, expected: VERSION });
        assert_eq!(read(&bytes_of(&snapshot)), expected);
    }

    /// Every kind of value that serde knows.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Any {
        Nothing,
        Numbers(i8, i16, i64, i128, u16, u128),
        Named { real: f64, small: f32, letter: char, text: Option<String> },
        Lists(Vec<()>, Vec<u8>, [bool; 3], BTreeMap<String, BTreeSet<i32>>),
        Deep(Box<Self>),
    }

    fn any() -> [Any; 5] {
        let set = (0..3).map(|i| i - 2).collect();
        [
            Any::Nothing,
            Any::Numbers(-1, i16::MIN, i64::MIN, i128::MIN, u16::MAX, u128::MAX),
            Any::Named { real: -0.5, small: f32::MAX, letter: 'ß', text: Some("naïve".to_string()) },
            Any::Lists([(); 300].into(), [0, 255].into(), [true, false, true], [("a".to_string(), set)].into()),
            Any::Deep(Box::new(Any::Numbers(0, 0, 0, i128::MAX, 0, 0))),
        ]
    }

    fn written<T: Serialize>(value: &T) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.value(value).expect("all of it can be written");
        writer.bytes
    }

    #[test]
    fn every_kind_of_value_can_be_written() {
        let bytes = written(&Vec::from(any()));
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.value::<Vec<Any>>().expect("they are read"), any());
        assert_eq!(reader.left(), 0);
        for end in 0..bytes.len() {
            assert!(Reader::new(&bytes[..end]).value::<Vec<Any>>().is_err(), "{end}");
        }
        for place in 0..bytes.len() {
            for byte in 0..=255 {
                let mut bytes = bytes.clone();
                bytes[place] = byte;
                let _ = Reader::new(&bytes).value::<Vec<Any>>();
            }
        }
    }

    #[test]
    fn nothing_repeated_without_end_is_refused() {
        assert!(Reader::new(&written(&u64::MAX)).value::<Vec<()>>().is_err());
    }

    #[test]
    fn values_too_deep_in_each_other_are_refused_in_both_directions() {
        let nest = |depth| (0..depth).fold(Any::Nothing, |inner, _| Any::Deep(Box::new(inner)));
        assert_eq!(Reader::new(&written(&nest(120))).value::<Any>().expect("as it was written"), nest(120));
        assert!(Writer::default().value(&nest(200)).is_err());
        assert!(Reader::new(&[4; 100_000]).value::<Any>().is_err());
    }

    #[test]
    fn a_list_of_unknown_length_can_be_written() {
        struct Unknown;
        impl Serialize for Unknown {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq((0..300_u32).filter(|n| n % 2 == 0))
            }
        }
        let read: Vec<u32> = Reader::new(&written(&Unknown)).value().expect("as it was written");
        assert_eq!(read, (0..300).step_by(2).collect::<Vec<_>>());
    }

    #[test]
    fn keys_and_states_may_be_of_several_parts() {
        let pages = List::of(|event: &crate::event::EventRef<'_, (String, u8), String>| event.value.len());
        let config = Config::<(String, u8), String>::new(Gap::new(us(10)));
        let mut engine = config.aggregate((Count, pages)).build().expect("it is possible");
        let _ = engine.push(Event::new(("ann", 1), at(0), "/"), &mut |_| {});
        let bytes = engine.snapshot().to_bytes().expect("it can be written");
        assert_eq!(Snapshot::from_bytes(&bytes), Ok(engine.snapshot()));
    }

    #[test]
    fn a_type_that_refuses_says_why() {
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        struct Stubborn;
        impl Serialize for Stubborn {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("not me"))
            }
        }
        let mut engine = Config::<crate::ByRef<Stubborn>, ()>::new(Gap::new(us(10))).build().expect("it is possible");
        let _ = engine.push(Event::new(&Stubborn, at(0), ()), &mut |_| {});
        let error = engine.snapshot().to_bytes().expect_err("it refuses");
        assert_eq!(error.to_string(), "a key, a value or the state of an aggregate cannot be written: not me");
    }

    #[test]
    fn a_session_takes_few_bytes() {
        let mut engine = Config::<u64, u64>::new(Gap::new(us(1_800_000_000))).build().expect("it is possible");
        for n in 0..1_000_u64 {
            let time = at(1_543_534_510_000_000 + 1_000 * n as i64);
            let _ = engine.push(Event::new(n, time, n), &mut |_| {});
        }
        let bytes = engine.snapshot().to_bytes().expect("it can be written").len();
        assert!(bytes < 15_000, "{bytes}");
    }
}
