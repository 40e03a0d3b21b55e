//! The combined log format of Apache and nginx, and the common one, which is its beginning:
//!
//! ```text
//! address ident user [time] "request" status bytes "referrer" "agent"
//! ```
//!
//! Fields come as they are logged, escapes included. `request` is the request line without its
//! protocol; `method`, `path` and `protocol` are its parts, missing where the request line does not
//! have them (as in a scan of the port). More fields after the agent are ignored.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2, memrchr};

use super::{Field, Line, Parser, Record, Reject, Wanted};

/// The names that fields can be chosen by.
pub const FIELDS: [&str; 12] = [
    "address", "ident", "user", "time", "method", "path", "protocol", "request", "status", "bytes", "referrer", "agent",
];

pub struct Combined {
    wanted: Wanted,
    /// Which of [`FIELDS`] each wanted field is.
    indices: Vec<usize>,
    joined: String,
}

impl Combined {
    /// Fails with the first wanted name that the format does not have.
    pub fn new(wanted: Wanted) -> Result<Self, String> {
        let index = |name: &String| FIELDS.iter().position(|field| field == name).ok_or_else(|| name.clone());
        let indices = wanted.names.iter().map(index).collect::<Result<_, _>>()?;
        Ok(Self { wanted, indices, joined: String::new() })
    }
}

impl Parser for Combined {
    fn parse_line<'a>(&'a mut self, line: Line<'a>) -> Result<Record<'a>, Reject> {
        let parts = split(line.bytes()).map_err(|what| Reject::NotCombined { what })?;
        self.wanted.record(&mut self.joined, |index| {
            parts.field(self.indices[index]).map_or(Field::Missing, |part| line.field(part))
        })
    }
}

/// Where the parts of a line are.
#[derive(Debug)]
pub struct Parts {
    address: Range<usize>,
    ident: Range<usize>,
    user: Range<usize>,
    time: Range<usize>,
    request: Request,
    status: Range<usize>,
    bytes: Range<usize>,
    referrer: Option<Range<usize>>,
    agent: Option<Range<usize>>,
}

#[derive(Debug)]
struct Request {
    /// Everything but the protocol.
    action: Range<usize>,
    method: Option<Range<usize>>,
    path: Option<Range<usize>>,
    protocol: Option<Range<usize>>,
}

impl Parts {
    /// The field with an index of [`FIELDS`].
    fn field(&self, index: usize) -> Option<Range<usize>> {
        match FIELDS[index] {
            "address" => Some(self.address.clone()),
            "ident" => Some(self.ident.clone()),
            "user" => Some(self.user.clone()),
            "time" => Some(self.time.clone()),
            "method" => self.request.method.clone(),
            "path" => self.request.path.clone(),
            "protocol" => self.request.protocol.clone(),
            "request" => Some(self.request.action.clone()),
            "status" => Some(self.status.clone()),
            "bytes" => Some(self.bytes.clone()),
            "referrer" => self.referrer.clone(),
            _ => self.agent.clone(),
        }
    }
}

/// Takes a line apart, or says what is missing.
pub fn split(line: &[u8]) -> Result<Parts, &'static str> {
    let mut rest = Rest { line, at: 0 };
    let address = rest.until(b" ").ok_or("no client address")?;
    let ident = rest.until(b" ").ok_or("no identity after the address")?;
    let user = rest.until(b" [").ok_or("no time in brackets")?;
    let time = rest.until(b"] \"").ok_or("no request in quotes after the time")?;
    let request = rest.quoted().ok_or("the request has no closing quote")?;
    rest.expect(b" ").ok_or("no status after the request")?;
    let status = rest.until(b" ").ok_or("no size after the status")?;
    if status.len() != 3 || !line[status.clone()].iter().all(u8::is_ascii_digit) {
        return Err("the status is not a number of three digits");
    }
    let bytes = rest.until(b" ");
    let (referrer, agent) = match bytes {
        Some(_) => rest.tail().map(|(referrer, agent)| (Some(referrer), Some(agent)))?,
        None => (None, None),
    };
    let bytes = bytes.unwrap_or(rest.at..line.len());
    Ok(Parts { address, ident, user, time, request: Request::new(line, request), status, bytes, referrer, agent })
}

impl Request {
    fn new(line: &[u8], all: Range<usize>) -> Self {
        let (start, end) = (all.start, all.end);
        let (action, protocol) = match memrchr(b' ', &line[all.clone()]) {
            Some(blank) if line[start + blank + 1..end].starts_with(b"HTTP/") => {
                (start..start + blank, Some(start + blank + 1..end))
            }
            _ => (all, None),
        };
        let blank = memchr(b' ', &line[action.clone()]).map(|blank| start + blank);
        let (method, path) = (blank.map(|blank| start..blank), blank.map(|blank| blank + 1..action.end));
        Self { action, method, path, protocol }
    }
}

/// What has not been taken apart yet.
struct Rest<'a> {
    line: &'a [u8],
    at: usize,
}

impl Rest<'_> {
    fn rest(&self) -> &[u8] {
        &self.line[self.at..]
    }

    fn expect(&mut self, text: &[u8]) -> Option<()> {
        let is_there = self.rest().starts_with(text);
        self.at += if is_there { text.len() } else { 0 };
        is_there.then_some(())
    }

    /// What comes before a mark; goes on behind it.
    fn until(&mut self, mark: &[u8]) -> Option<Range<usize>> {
        let rest = self.rest();
        let length = memchr_iter(mark[0], rest).find(|at| rest[*at..].starts_with(mark))?;
        let start = self.at;
        self.at += length + mark.len();
        Some(start..start + length)
    }

    /// What comes before the closing quote. A quote after a backslash does not close.
    fn quoted(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        loop {
            let at = self.at + memchr2(b'"', b'\\', self.rest())?;
            if self.line[at] == b'"' {
                self.at = at + 1;
                return Some(start..at);
            }
            self.at = (at + 2).min(self.line.len());
        }
    }

    /// What the combined format has more than the common one: referrer and agent.
    fn tail(&mut self) -> Result<(Range<usize>, Range<usize>), &'static str> {
        self.expect(b"\"").ok_or("no referrer in quotes after the size")?;
        let referrer = self.quoted().ok_or("the referrer has no closing quote")?;
        self.expect(b" \"").ok_or("no user agent in quotes after the referrer")?;
        let agent = self.quoted().ok_or("the user agent has no closing quote")?;
        Ok((referrer, agent))
    }
}
