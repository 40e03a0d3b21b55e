//! Eight bytes at once: tests and sums that need no branch for each byte.

const EACH: u64 = u64::from_le_bytes([1; 8]);
const HIGH: u64 = EACH << 7;

/// The high bit of each byte that is zero. Behind such a byte others may be taken for zero, too.
#[inline]
const fn zeros(bytes: u64) -> u64 {
    bytes.wrapping_sub(EACH) & !bytes
}

/// The high bit of each quote, backslash and control character, right for the first.
#[inline]
pub const fn no_plain(eight: [u8; 8]) -> u64 {
    let bytes = u64::from_le_bytes(eight);
    (quotes_and_controls(bytes) | zeros(bytes ^ (EACH * b'\\' as u64))) & HIGH
}

/// The high bit of each quote and control character. Behind one others may be taken for it, too.
#[inline]
const fn quotes_and_controls(bytes: u64) -> u64 {
    // With one bit turned the quote follows the control characters, and nothing else lies below it.
    let turned = bytes ^ (EACH * 2);
    turned.wrapping_sub(EACH * 0x21) & !turned
}

/// The high bit of each quote, control character and byte that is equal to one. Behind such a byte others may be taken
/// for it, too.
#[inline]
pub const fn marks(eight: [u8; 8], byte: u8) -> u64 {
    let bytes = u64::from_le_bytes(eight);
    (quotes_and_controls(bytes) | zeros(bytes ^ (EACH * byte as u64))) & HIGH
}

/// The high bit of each byte that is no digit.
#[inline]
pub const fn no_digit(eight: [u8; 8]) -> u64 {
    no_digits(u64::from_le_bytes(eight) ^ (EACH * b'0' as u64)) & HIGH
}

/// The high bit of each byte that is above nine.
#[inline]
const fn no_digits(bytes: u64) -> u64 {
    bytes | ((bytes & !HIGH) + EACH * 0x76)
}

/// The number that eight digits are.
#[inline]
pub const fn number(eight: [u8; 8]) -> Option<i64> {
    let digits = u64::from_le_bytes(eight) ^ (EACH * b'0' as u64);
    if no_digits(digits) & HIGH != 0 {
        return None;
    }
    // Neighbours become one number, two times two, four, and eight digits: the first byte weighs most.
    let two = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let four = (two * 100 + (two >> 16)) & 0x0000_ffff_0000_ffff;
    Some(((four * 10_000 + (four >> 32)) & 0xffff_ffff) as i64)
}

/// The high bit of each byte 0x1e or 0x1f, the separators of records and of units, right for the first.
#[inline]
pub const fn separator(eight: [u8; 8]) -> u64 {
    let without_last_bit = u64::from_le_bytes(eight) & (EACH * 0xfe);
    zeros(without_last_bit ^ (EACH * 0x1e)) & HIGH
}

/// Whether there is one.
#[inline]
pub const fn has_separator(eight: [u8; 8]) -> bool {
    separator(eight) != 0
}

/// Whether there is a quote, a comma or a control character.
#[inline]
pub const fn has_mark(eight: [u8; 8]) -> bool {
    marks(eight, b',') != 0
}

/// A text of at most 32 bytes of which some may be any: others are compared with it at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pattern {
    text: [u8; Self::LENGTH],
    /// All bits of each byte that counts.
    counts: [u8; Self::LENGTH],
}

impl Pattern {
    pub const LENGTH: usize = 32;

    /// Of the beginning of a text. The bytes behind it may be any, and those at some places.
    pub fn of(text: &[u8], may_be_any: &[usize]) -> Self {
        let mut pattern = Self::default();
        let length = text.len().min(Self::LENGTH);
        pattern.text[..length].copy_from_slice(&text[..length]);
        pattern.counts[..length].fill(0xff);
        may_be_any.iter().for_each(|place| pattern.counts[*place] = 0);
        pattern
    }

    #[inline(always)]
    pub fn fits(&self, text: &[u8; Self::LENGTH]) -> bool {
        let parts = text.iter().zip(&self.text).zip(&self.counts);
        parts.fold(0, |differences, ((a, b), counts)| differences | ((a ^ b) & counts)) == 0
    }
}

/// The first place, from another one on, of a byte that something holds for, which is found among eight at once, or for
/// one alone.
#[inline(always)]
pub fn first(bytes: &[u8], from: usize, among: fn([u8; 8]) -> u64, holds: fn(u8) -> bool) -> Option<usize> {
    let mut at = from;
    // Twice eight, and no branch between them: most texts are shorter, and how much shorter cannot be foreseen.
    while let Some(&[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]) = bytes.get(at..)?.first_chunk() {
        let (low, high) = (among([a, b, c, d, e, f, g, h]), among([i, j, k, l, m, n, o, p]));
        let marks = u128::from(low) | u128::from(high) << 64;
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize / 8);
        }
        at += 16;
    }
    bytes[at..].iter().position(|byte| holds(*byte)).map(|place| at + place)
}

/// Whether something holds for any byte, which is told of eight at once, or of one alone.
#[inline(always)]
pub fn any(bytes: &[u8], among: fn([u8; 8]) -> bool, holds: fn(u8) -> bool) -> bool {
    match bytes.last_chunk() {
        Some(last) => bytes.as_chunks().0.iter().any(|eight| among(*eight)) || among(*last),
        None => bytes.iter().any(|byte| holds(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight bytes of which one is any, at any place, and the others are of all kinds.
    fn each_byte(mut each: impl FnMut([u8; 8])) {
        for others in [*b"a1 \xff-Z7~", *b"01234567", *b"!#]0/:\x7f\x80", *b"9999\"\\\x1f9"] {
            for place in 0..8 {
                for byte in 0..=255 {
                    let mut eight = others;
                    eight[place] = byte;
                    each(eight);
                }
            }
        }
    }

    #[test]
    fn each_answer_is_that_of_a_loop() {
        each_byte(|eight| {
            let first = |is: fn(u8) -> bool| eight.iter().position(|byte| is(*byte));
            let marked = |marks: u64| (marks != 0).then(|| marks.trailing_zeros() as usize / 8);
            let is_special = |byte| byte < b' ' || byte == b'"' || byte == b'\\';
            assert_eq!(marked(no_plain(eight)), first(is_special), "{eight:?}");
            assert_eq!(marked(no_digit(eight)), first(|byte| !byte.is_ascii_digit()), "{eight:?}");
            let parsed = std::str::from_utf8(&eight).ok().filter(|text| !text.starts_with('+'));
            assert_eq!(
                number(eight),
                parsed.and_then(|text| text.parse().ok()).filter(|_| no_digit(eight) == 0),
                "{eight:?}"
            );
            let is_separator = |byte| matches!(byte, 0x1e | 0x1f);
            assert_eq!(marked(separator(eight)), first(is_separator), "{eight:?}");
            assert_eq!(has_separator(eight), first(is_separator).is_some(), "{eight:?}");
            let is_mark = |byte: u8| byte < b' ' || byte == b'"' || byte == b',';
            assert_eq!(has_mark(eight), first(is_mark).is_some(), "{eight:?}");
            let found = marks(eight, b',').to_le_bytes();
            assert!(eight.iter().zip(found).all(|(byte, mark)| !is_mark(*byte) || mark == 0x80), "{eight:?}");
            assert_eq!(marked(marks(eight, b',')), first(is_mark), "{eight:?}");
        });
    }

    #[test]
    fn a_byte_is_found_at_any_place_of_any_length() {
        let is = |byte: u8| byte == 0x1e;
        for length in 0..40 {
            for place in 0..=length {
                let mut text = vec![b'a'; length];
                text.get_mut(place).into_iter().for_each(|byte| *byte = 0x1e);
                let expected = (place < length).then_some(place);
                for from in 0..=length {
                    let expected = expected.filter(|place| *place >= from);
                    assert_eq!(super::first(&text, from, separator, is), expected, "{text:?} from {from}");
                }
                assert_eq!(any(&text, has_separator, is), expected.is_some(), "{text:?}");
            }
        }
    }

    #[test]
    fn a_pattern_fits_whatever_equals_it_where_it_counts() {
        let text: [u8; Pattern::LENGTH] = std::array::from_fn(|place| b'a' + place as u8 % 3);
        for length in 0..=40 {
            let pattern = Pattern::of(&[&text[..], &[b'a'; 8]].concat()[..length], &[5, 31]);
            assert!(pattern.fits(&text), "{length}");
            for place in 0..Pattern::LENGTH {
                let mut other = text;
                other[place] ^= 0x80;
                assert_eq!(pattern.fits(&other), place >= length || [5, 31].contains(&place), "{length}, {place}");
            }
        }
    }
}
