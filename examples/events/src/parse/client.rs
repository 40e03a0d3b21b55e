//! Who made a request, by the words of an access log: an address, or a host name.
//!
//! | words | client |
//! |---|---|
//! | `192.0.2.10`, `2001:db8::1`, `[2001:db8::1]:443`, `192.0.2.10:4711` | the address, without a port |
//! | `2001:db8::1:2817` in a field of address and port | the address: `2001:db8::1` |
//! | `crawler.example.org` | the host name |
//! | `198.51.100.7, 10.0.0.1`, quoted or not | the first or the last, by [`Forwarded`]; `unknown` and `-` are none |
//! | `-` | nobody: see [`super::NoUser`] |
//!
//! Anything else is no client, and the line is refused.
//!
//! However it is written, a client is one: addresses of version 6 in the form of RFC 5952, those that hold one of version
//! 4 (`::ffff:192.0.2.10`) as that, numbers without zeros before them, names in small letters without a point at the
//! end. The zone behind a `%` stays: one address may be two neighbors on two interfaces. In JSON and CSV no field is
//! known to be an address: texts count as they are written.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;

use super::odd::Example;
use super::{Field, Line};

/// Which address of an `X-Forwarded-For` list is the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Forwarded {
    /// The one that the first proxy saw: the client, if no client writes the header itself
    #[default]
    First,
    /// The one that the last proxy saw
    Last,
}

impl Forwarded {
    /// Where the client is in a text that may be a list, or none if there is no address in it. A `-` alone is
    /// given back as it is.
    pub fn client(self, text: &[u8]) -> Option<Range<usize>> {
        let whole = without_quotes(text);
        if &text[whole.clone()] == b"-" {
            return Some(whole);
        }
        let mut clients = parts(text, whole).filter_map(|part| {
            let host = host(&text[part.clone()])?;
            Some(part.start + host.start..part.start + host.end)
        });
        match self {
            Self::First => clients.next(),
            Self::Last => clients.last(),
        }
    }
}

/// The client of a line, by the one spelling of it.
#[derive(Clone, Debug, Default)]
pub(super) enum Client {
    #[default]
    None,
    /// As it stands in the line.
    At(Range<usize>),
    Spelled(String),
}

impl Client {
    pub(super) fn new(line: &[u8], found: Option<Range<usize>>) -> Self {
        let Some(range) = found else { return Self::None };
        let text = &line[range.clone()];
        let is_usual = text.iter().all(|byte| !matches!(byte, b':' | b'A'..=b'Z')) && !has_zeros(text);
        match std::str::from_utf8(text) {
            Ok(text) if !is_usual => Self::Spelled(spelled(text)),
            _ => Self::At(range),
        }
    }

    /// The client in a part of a line, found there by its place in that part.
    pub(super) fn within(line: &[u8], part: Range<usize>, find: impl FnOnce(&[u8]) -> Option<Range<usize>>) -> Self {
        let start = part.start;
        Self::new(line, find(&line[part]).map(|found| start + found.start..start + found.end))
    }

    pub(super) fn field<'a>(&'a self, line: Line<'a>) -> Field<'a> {
        match self {
            Self::None => Field::Bad("no address or host name of a client"),
            Self::At(range) => line.log_field(range.clone()),
            Self::Spelled(text) => Field::Text(text),
        }
    }
}

/// What the addresses of a log show about its clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    /// Clients that lines name beside the address.
    proxied: Example,
    /// Addresses that end in zero, as they do where parts of them are masked.
    masked: Example,
    is_any_whole: bool,
    /// Addresses of a network of one's own, until one is public.
    private: Example,
    is_any_public: bool,
}

impl Addresses {
    /// Notes the address of a line.
    #[inline]
    pub(super) fn note(&mut self, address: &[u8]) {
        if matches!(address, [.., b'.', b'0'] | [.., b':', b':']) {
            self.masked.count(&String::from_utf8_lossy(address));
        } else {
            self.is_any_whole = true;
        }
        if !self.is_any_public {
            self.note_private(address);
        }
    }

    #[cold]
    fn note_private(&mut self, address: &[u8]) {
        if is_private(address) {
            self.private.count(&String::from_utf8_lossy(address));
        } else {
            self.is_any_public = true;
        }
    }

    /// Notes an address that stands beside the client's, as behind a proxy. `false` if there is none.
    #[cold]
    pub(super) fn note_beside(&mut self, forwarded: Forwarded, list: &[u8]) -> bool {
        let Some(found) = forwarded.client(list) else { return false };
        // One with a port is rather a server that nginx asked.
        let has_port = list.get(found.end) == Some(&b':');
        let client = &list[found];
        let is_client = !has_port && address(client).is_some();
        if is_client {
            self.proxied.count(&String::from_utf8_lossy(client));
        }
        is_client
    }

    /// Notes the first public address among words beside one that is not public.
    #[cold]
    pub(super) fn note_public(&mut self, words: &[u8]) {
        let is_between = |byte: &u8| matches!(byte, b' ' | b'"' | b',' | b'=' | b';' | b'(' | b')');
        let is_public = |word: &&[u8]| address(word) == Some(0..word.len()) && !is_private(word);
        if let Some(client) = words.split(is_between).find(is_public) {
            self.proxied.count(&String::from_utf8_lossy(client));
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.proxied.merge(other.proxied);
        self.masked.merge(other.masked);
        self.private.merge(other.private);
        self.is_any_whole |= other.is_any_whole;
        self.is_any_public |= other.is_any_public;
    }

    /// Sentences for people; `instead` has the options that count the clients beside the address.
    pub(super) fn notes(&self, instead: &str, notes: &mut Vec<String>) {
        if let Some((count, example)) = self.proxied.get() {
            let lines = if count == 1 { "line names" } else { "lines name" };
            notes.push(format!(
                "{count} {lines} another client beside `address`, such as {example}: `address` may be that of a proxy. To \
                 count the others, pass {instead}"
            ));
        }
        if let (None, Some((_, example))) = (self.proxied.get(), self.private.get().filter(|_| !self.is_any_public)) {
            notes.push(format!(
                "no `address` is public, all are such as {example}: if it is that of a proxy, its visitors count as one"
            ));
        }
        if let Some((_, example)) = self.masked.get().filter(|_| !self.is_any_whole) {
            notes.push(format!(
                "every `address` ends in zero, such as {example}: if addresses are masked, several visitors count as one"
            ));
        }
    }
}

/// Whether an address is of a network of one's own, or of this machine: that of a proxy rather than of a client.
pub(super) fn is_private(address: &[u8]) -> bool {
    match std::str::from_utf8(address).ok().and_then(|address| address.parse::<IpAddr>().ok()) {
        Some(IpAddr::V4(address)) => address.is_private() || address.is_loopback() || address.is_unspecified(),
        Some(IpAddr::V6(address)) => address.is_unique_local() || address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}

/// Whether a number of an address of version 4 has zeros before it, or a name ends with a point.
fn has_zeros(text: &[u8]) -> bool {
    let has_zero = |part: &[u8]| part.len() > 1 && part[0] == b'0';
    text.ends_with(b".") || (text.split(|byte| *byte == b'.').any(has_zero) && is_v4(text))
}

/// The one spelling of an address or a host name.
#[cold]
fn spelled(text: &str) -> String {
    let (address, zone) = text.find('%').map_or((text, ""), |at| text.split_at(at));
    if let Ok(address) = address.parse::<Ipv6Addr>() {
        return format!("{}{zone}", address.to_canonical());
    }
    if is_v4(text.as_bytes()) {
        let number = |part: &str| part.parse().unwrap_or(0_u8).to_string();
        return text.split('.').map(number).collect::<Vec<_>>().join(".");
    }
    text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()
}

fn without_quotes(text: &[u8]) -> Range<usize> {
    match text {
        [b'"', inside @ .., b'"'] => 1..inside.len() + 1,
        _ => 0..text.len(),
    }
}

/// The parts between commas, without the blanks around them, which logs of the W3C write as `+` or `%20`.
fn parts(text: &[u8], range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut rest = Some(range);
    std::iter::from_fn(move || {
        let range = rest.take()?;
        let comma = text[range.clone()].iter().position(|byte| *byte == b',');
        let end = comma.map_or(range.end, |comma| range.start + comma);
        rest = comma.map(|_| end + 1..range.end);
        let part = text[range.start..end].trim_ascii_end();
        Some(range.start + blanks_before(part)..range.start + part.len())
    })
}

/// The length of the blanks that begin a part of a list.
fn blanks_before(part: &[u8]) -> usize {
    let mut rest = part;
    while let [b' ' | b'\t' | b'+', after @ ..] | [b'%', b'2', b'0', after @ ..] = rest {
        rest = after;
    }
    part.len() - rest.len()
}

/// The address or the host name that a word is, without a port.
fn host(word: &[u8]) -> Option<Range<usize>> {
    address(word).or_else(|| is_name(word).then_some(0..word.len()))
}

/// The address that a word is, without a port.
pub(super) fn address(word: &[u8]) -> Option<Range<usize>> {
    if is_v4(word) {
        return Some(0..word.len());
    }
    let text = std::str::from_utf8(word).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, port) = rest.split_once(']')?;
        let is_whole = port.is_empty() || port.strip_prefix(':').is_some_and(|port| is_port(port.as_bytes()));
        return (is_whole && without_zone(inside).parse::<Ipv6Addr>().is_ok()).then_some(1..inside.len() + 1);
    }
    if without_zone(text).parse::<IpAddr>().is_ok() {
        return Some(0..word.len());
    }
    without_port(text)
}

/// The address behind the name of a file and a colon, as `grep` writes them for several files.
#[cold]
pub(super) fn behind_name(word: &[u8]) -> Option<Range<usize>> {
    let colon = word.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0)?;
    let address = address(&word[colon + 1..])?;
    Some(colon + 1 + address.start..colon + 1 + address.end)
}

/// The address in a text of an address and a port. An address of version 6 may stand there without brackets.
fn without_port(text: &str) -> Option<Range<usize>> {
    let (address, port) = text.rsplit_once(':')?;
    let is_address = address.parse::<IpAddr>().is_ok() && is_port(port.as_bytes());
    is_address.then_some(0..address.len())
}

/// The same as [`Forwarded::client`] for a field that always has a port, as load balancers write it.
pub(super) fn with_port(text: &[u8]) -> Option<Range<usize>> {
    let address = std::str::from_utf8(text).ok().and_then(without_port);
    address.or_else(|| Forwarded::First.client(text))
}

/// An address of version 6 without the name of its interface.
fn without_zone(address: &str) -> &str {
    address.split_once('%').map_or(address, |(address, _)| address)
}

/// Most addresses are of this kind.
fn is_v4(word: &[u8]) -> bool {
    let (mut parts, mut digits, mut number) = (1, 0, 0);
    for byte in word {
        match byte {
            b'0'..=b'9' if digits < 3 => (digits, number) = (digits + 1, number * 10 + u32::from(byte - b'0')),
            b'.' if digits > 0 && number < 256 => (parts, digits, number) = (parts + 1, 0, 0),
            _ => return false,
        }
    }
    parts == 4 && digits > 0 && number < 256
}

fn is_port(text: &[u8]) -> bool {
    (1..=5).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

/// Whether a word is a host name of several labels, or `localhost`.
pub(super) fn is_name(word: &[u8]) -> bool {
    is_label_or_name(word) && (word == b"localhost" || word.contains(&b'.'))
}

/// Whether a word could be a host name, perhaps of one label.
pub(super) fn is_label_or_name(word: &[u8]) -> bool {
    let is_label = |label: &[u8]| {
        !label.is_empty() && label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let name = word.strip_suffix(b".").unwrap_or(word);
    name.split(|byte| *byte == b'.').all(is_label)
        && name.iter().any(u8::is_ascii_alphabetic)
        && name != b"unknown"
        && name.len() < 254
}

/// Whether a word names a virtual host, perhaps with a port: a name or an address.
pub(super) fn is_host(word: &[u8]) -> bool {
    let name = match word.iter().rposition(|byte| *byte == b':') {
        Some(colon) if is_port(&word[colon + 1..]) => &word[..colon],
        _ => word,
    };
    is_label_or_name(name) || address(word).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_numbers_below_256_are_an_address() {
        for word in ["0.0.0.0", "192.0.2.10", "255.255.255.255", "010.001.000.7"] {
            assert!(is_v4(word.as_bytes()), "{word}");
        }
        let others =
            ["", ".", "1.2.3", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4.", "1.2.3.4.5", "1.2.3.256", "256.1.1.1"];
        for word in others.into_iter().chain(["1.2.3.0004", "1.2.3.x", "1.2.3.4:80", "1.2.3.4 ", "1234", "1.2.3.+4"]) {
            assert!(!is_v4(word.as_bytes()), "{word}");
        }
    }
}
