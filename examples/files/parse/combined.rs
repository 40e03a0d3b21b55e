//! The combined log format of Apache and nginx, and the common one, which is its beginning:
//!
//! ```text
//! address ident user [time] "request" status bytes "referrer" "agent"
//! ```
//!
//! Fields come as they are logged, escapes included. `request` is the request line without its
//! protocol; `method`, `path` and `protocol` are its parts, missing where the request line does not
//! have them (as in a scan of the port). More fields after the agent are ignored.

use super::{Field, Parser, Record, Reject, Wanted};

/// The names that fields can be chosen by.
pub(crate) const FIELDS: [&str; 12] = [
    "address", "ident", "user", "time", "method", "path", "protocol", "request", "status", "bytes", "referrer", "agent",
];

pub(crate) struct Combined {
    wanted: Wanted,
    /// Which of [`FIELDS`] each wanted field is.
    indices: Vec<usize>,
    joined: String,
}

impl Combined {
    /// Fails with the first wanted name that the format does not have.
    pub(crate) fn new(wanted: Wanted) -> Result<Self, String> {
        let index = |name: &String| FIELDS.iter().position(|field| field == name).ok_or_else(|| name.clone());
        let indices = wanted.names.iter().map(index).collect::<Result<_, _>>()?;
        Ok(Self { wanted, indices, joined: String::new() })
    }
}

impl Parser for Combined {
    fn parse<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Record<'a>, Reject> {
        let line = split(bytes).map_err(|what| Reject::NotCombined { what })?;
        self.wanted
            .record(&mut self.joined, |index| line.field(self.indices[index]).map_or(Field::Missing, Field::from_bytes))
    }
}

/// A line taken apart.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    address: &'a [u8],
    ident: &'a [u8],
    user: &'a [u8],
    time: &'a [u8],
    request: Request<'a>,
    status: &'a [u8],
    bytes: &'a [u8],
    referrer: Option<&'a [u8]>,
    agent: Option<&'a [u8]>,
}

#[derive(Debug)]
struct Request<'a> {
    /// Everything but the protocol.
    action: &'a [u8],
    method: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    protocol: Option<&'a [u8]>,
}

impl<'a> Line<'a> {
    /// The field with an index of [`FIELDS`].
    fn field(&self, index: usize) -> Option<&'a [u8]> {
        match FIELDS[index] {
            "address" => Some(self.address),
            "ident" => Some(self.ident),
            "user" => Some(self.user),
            "time" => Some(self.time),
            "method" => self.request.method,
            "path" => self.request.path,
            "protocol" => self.request.protocol,
            "request" => Some(self.request.action),
            "status" => Some(self.status),
            "bytes" => Some(self.bytes),
            "referrer" => self.referrer,
            _ => self.agent,
        }
    }
}

/// Takes a line apart, or says what is missing.
pub(crate) fn split(line: &[u8]) -> Result<Line<'_>, &'static str> {
    let (address, rest) = until(line, b" ").ok_or("no client address")?;
    let (ident, rest) = until(rest, b" ").ok_or("no identity after the address")?;
    let (user, rest) = until(rest, b" [").ok_or("no time in brackets")?;
    let (time, rest) = until(rest, b"] \"").ok_or("no request in quotes after the time")?;
    let (request, rest) = quoted(rest).ok_or("the request has no closing quote")?;
    let rest = rest.strip_prefix(b" ").ok_or("no status after the request")?;
    let (status, rest) = until(rest, b" ").ok_or("no size after the status")?;
    if status.len() != 3 || !status.iter().all(u8::is_ascii_digit) {
        return Err("the status is not a number of three digits");
    }
    let (bytes, rest) = until(rest, b" ").map_or((rest, None), |(bytes, rest)| (bytes, Some(rest)));
    let more = rest.map(tail).transpose()?;
    let (referrer, agent) = (more.map(|[referrer, _]| referrer), more.map(|[_, agent]| agent));
    Ok(Line { address, ident, user, time, request: Request::new(request), status, bytes, referrer, agent })
}

/// What the combined format has more than the common one: referrer and agent.
fn tail(rest: &[u8]) -> Result<[&[u8]; 2], &'static str> {
    let rest = rest.strip_prefix(b"\"").ok_or("no referrer in quotes after the size")?;
    let (referrer, rest) = quoted(rest).ok_or("the referrer has no closing quote")?;
    let rest = rest.strip_prefix(b" \"").ok_or("no user agent in quotes after the referrer")?;
    let (agent, _) = quoted(rest).ok_or("the user agent has no closing quote")?;
    Ok([referrer, agent])
}

impl<'a> Request<'a> {
    fn new(line: &'a [u8]) -> Self {
        let (action, protocol) = match line.iter().rposition(|b| *b == b' ') {
            Some(blank) if line[blank + 1..].starts_with(b"HTTP/") => (&line[..blank], Some(&line[blank + 1..])),
            _ => (line, None),
        };
        let parts = until(action, b" ");
        Self { action, protocol, method: parts.map(|(method, _)| method), path: parts.map(|(_, path)| path) }
    }
}

/// What is before and after the first `mark`.
fn until<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).position(|window| window == mark)?;
    Some((&text[..at], &text[at + mark.len()..]))
}

/// What is before and after the closing quote. A quote after a backslash does not close.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut escaped = false;
    let at = text.iter().position(|b| {
        let closing = *b == b'"' && !escaped;
        escaped = *b == b'\\' && !escaped;
        closing
    })?;
    Some((&text[..at], &text[at + 1..]))
}
