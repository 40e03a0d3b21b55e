//! The combined log format of Apache and nginx, and the common one, which is its beginning:
//!
//! ```text
//! [prefix] [host] address ident user [time] "request" status bytes "referrer" "agent"
//! ```
//!
//! The address is that of the client, or its host name; see [`super::client`]. Before it there may be the virtual
//! host, as in `vhost_combined`, and before that what syslog, docker or Kubernetes put there. It is told by each line
//! on its own: the client is the last address that is followed by two more words before the time. A line may also lie
//! in an object of JSON, as docker keeps it: `{"log":"…\\n","stream":"stdout","time":"…"}`.
//!
//! Fields come as they are logged, escapes included. `request` is the request line without its
//! protocol; `method`, `path` and `protocol` are its parts, missing where the request line does not
//! have them (as in a scan of the port). More fields after the agent are ignored, and so are words after the size of the common format.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2, memrchr};

use super::client::{self, Addresses, Client, Forwarded};
use super::json;
use super::seen::Seen;
use super::{Field, Line, Parser, Record, Reject, Wanted, start_of};
use crate::lines::BYTE_ORDER_MARK;

/// The names that fields can be chosen by.
pub const FIELDS: [&str; 13] = [
    "address", "ident", "user", "time", "method", "path", "protocol", "request", "status", "bytes", "referrer",
    "agent", "host",
];

const ADDRESS: usize = 0;

/// For the format of nginx's `main`.
const BEHIND_PROXY: &str = "--key forwarded_for --log-format '$remote_addr - $remote_user [$time_local] \"$request\" \
    $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\" \"$http_x_forwarded_for\"'";

pub struct Combined {
    wanted: Wanted,
    /// Which of [`FIELDS`] each wanted field is.
    indices: Vec<usize>,
    forwarded: Forwarded,
    client: Client,
    /// Whether the address is a part of the key.
    counts_addresses: bool,
    addresses: Addresses,
    /// A line that lay in an object of JSON.
    message: String,
    joined: String,
}

impl Combined {
    /// Fails with the first wanted name that the format does not have.
    pub fn new(wanted: Wanted, forwarded: Forwarded) -> Result<Self, String> {
        let index = |name: &String| FIELDS.iter().position(|field| field == name).ok_or_else(|| name.clone());
        let indices = wanted.names.iter().map(index).collect::<Result<_, _>>()?;
        let (message, joined) = (String::new(), String::new());
        let counts_addresses = wanted.has_key(FIELDS[ADDRESS]);
        Ok(Self {
            wanted,
            indices,
            forwarded,
            client: Client::None,
            counts_addresses,
            addresses: Addresses::default(),
            message,
            joined,
        })
    }
}

impl Parser for Combined {
    fn parse_line<'a>(&'a mut self, line: Line<'a>) -> Result<Record<'a>, Reject> {
        let Self { wanted, indices, forwarded, client, counts_addresses, addresses, message, joined } = self;
        let line = match line.bytes() {
            [b'{', ..] => {
                *message = in_object(line.bytes()).ok_or(Reject::NotCombined { what: "no line in this object" })?;
                Line::Text(message)
            }
            _ => line,
        };
        let parts = split(line.bytes(), *forwarded)?;
        *client = Client::new(line.bytes(), Some(parts.address.clone()));
        if *counts_addresses {
            note_clients(addresses, line.bytes(), &parts, *forwarded);
        }
        wanted.record(joined, |index| match indices[index] {
            ADDRESS => client.field(line),
            index => parts.field(index).map_or(Field::Missing, |part| line.log_field(part)),
        })
    }

    fn seen(&self) -> Seen {
        Seen { addresses: self.addresses.clone(), instead: BEHIND_PROXY, ..self.wanted.seen() }
    }
}

/// Notes the client of a line, and an address beside it that may be the client's: behind the agent, or anywhere if the
/// address is not public.
#[inline]
fn note_clients(addresses: &mut Addresses, line: &[u8], parts: &Parts, forwarded: Forwarded) {
    let address = &line[parts.address.clone()];
    addresses.note(address);
    let behind = &line[parts.end..];
    if let [b' ', b'"', list @ ..] = behind
        && !list.starts_with(b"-")
        && addresses.note_beside(forwarded, &list[..memchr(b'"', list).unwrap_or(list.len())])
    {
        return;
    }
    let beginnings = [&b"10."[..], b"127.", b"172.", b"192.168.", b"0.0", b":", b"f"];
    let may_be_private = beginnings.iter().any(|beginning| address.starts_with(beginning));
    if may_be_private && client::is_private(address) {
        let (before, between) = (&line[..parts.address.start], &line[parts.address.end..parts.time.start]);
        addresses.note_public(&[before, between, behind].join(&b' '));
    }
}

/// Where the parts of a line are.
#[derive(Debug)]
pub struct Parts {
    host: Option<Range<usize>>,
    address: Range<usize>,
    ident: Range<usize>,
    user: Range<usize>,
    time: Range<usize>,
    request: Request,
    status: Range<usize>,
    bytes: Range<usize>,
    referrer: Option<Range<usize>>,
    agent: Option<Range<usize>>,
    /// Where the line goes on behind them.
    end: usize,
}

#[derive(Debug)]
pub(super) struct Request {
    /// Everything but the protocol.
    pub(super) action: Range<usize>,
    pub(super) method: Option<Range<usize>>,
    pub(super) path: Option<Range<usize>>,
    pub(super) protocol: Option<Range<usize>>,
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
            "agent" => self.agent.clone(),
            _ => self.host.clone(),
        }
    }
}

/// Whether a line is of this format, as it is or in an object.
pub fn fits(line: &[u8]) -> bool {
    match line {
        [b'{', ..] => in_object(line).is_some_and(|line| split(line.as_bytes(), Forwarded::First).is_ok()),
        _ => split(line, Forwarded::First).is_ok(),
    }
}

/// The line in an object of docker.
#[cold]
pub(super) fn in_object(object: &[u8]) -> Option<String> {
    let mut found = [None; 2];
    json::pick(std::str::from_utf8(object).ok()?, &["log", "stream"].map(str::to_owned), &mut found).ok()?;
    let [log, stream] = found;
    let text = json::unquoted(stream.and(log)?).ok()?;
    Some(text.trim_end().to_owned())
}

/// Takes a line apart, or names the missing part.
pub fn split(line: &[u8], forwarded: Forwarded) -> Result<Parts, Reject> {
    let head = head(line, forwarded)?;
    let mut rest = Rest { line, at: head.end };
    tail(&mut rest, head).map_err(|what| Reject::NotCombined { what })
}

/// The text before the time.
struct Head {
    host: Option<Range<usize>>,
    address: Range<usize>,
    ident: Range<usize>,
    user: Range<usize>,
    /// Where the time begins.
    end: usize,
}

fn head(line: &[u8], forwarded: Forwarded) -> Result<Head, Reject> {
    let mut rest = Rest { line, at: 0 };
    let not = |what| Reject::NotCombined { what };
    let first = rest.until(b" ").ok_or_else(|| not("no client address"))?;
    let second = rest.until(b" ").ok_or_else(|| not("no identity after the address"))?;
    if &line[second.clone()] == b"-"
        && let Some(address) = client::address(&line[first.clone()]).or_else(|| client::behind_name(&line[first]))
    {
        let mut user = rest.until(b" [").ok_or_else(|| not("no time in brackets"))?;
        // A user name may have brackets itself.
        if !rest.rest().first().is_some_and(u8::is_ascii_digit)
            && let Some(time) = time(line)
        {
            (user.end, rest.at) = (time, time + 2);
        }
        return Ok(Head { host: None, address, ident: second, user, end: rest.at });
    }
    let time = time(line).ok_or_else(|| not("no time in brackets"))?;
    unusual_head(line, time, forwarded)
        .ok_or_else(|| Reject::NoClient { found: start_of(&String::from_utf8_lossy(&line[..time])) })
}

/// Where the blank before a time in brackets is; a word in brackets before it may be something else.
fn time(line: &[u8]) -> Option<usize> {
    let brackets = || memchr_iter(b'[', line).filter(|at| *at > 0 && line[at - 1] == b' ');
    // `04/Mar/2024` or `2024-03-04`, but not an address of version 6.
    let is_date = |at: &usize| match line.get(at + 1..at + 6) {
        Some([a, b, b'/', ..]) => a.is_ascii_digit() && b.is_ascii_digit(),
        Some([year @ .., b'-']) => year.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    brackets().find(is_date).or_else(|| brackets().next()).map(|at| at - 1)
}

/// The head of a line that does not begin with an address and a dash: with a virtual host, a prefix, or a list.
#[cold]
fn unusual_head(line: &[u8], time: usize, forwarded: Forwarded) -> Option<Head> {
    let words = words(&line[..time]);
    let word = |index: usize| words.get(index).map(|word: &Range<usize>| &line[word.clone()]);
    // Two more words must follow, and a user name may hold blanks.
    let last = words.len().checked_sub(3)?;
    let is_dash = |index: usize| word(index) == Some(b"-");
    let is_client = |index: &usize| {
        let this = word(*index).unwrap_or_default();
        let follows_host = *index == 1 && word(0).is_some_and(client::is_host);
        let is_name = client::is_name(this) || ((*index == 0 || follows_host) && client::is_label_or_name(this));
        forwarded.client(this).is_some_and(|part| client::address(&this[part]).is_some())
            || (is_dash(index + 1) && (is_name || (this == b"-" && (*index == 0 || follows_host))))
    };
    let client = (0..=last).rev().find(is_client)?;
    // A name before an address is that of a host, and the form is another one: `shop.example - 192.0.2.1 [`.
    let has_address = |word: &Range<usize>| {
        line[word.clone()].split(|byte| matches!(byte, b' ' | b'"' | b',')).any(|part| client::address(part).is_some())
    };
    let is_named = forwarded
        .client(&line[words[client].clone()])
        .is_none_or(|found| client::address(&line[words[client].clone()][found]).is_none());
    if is_named && words[client + 1..].iter().any(has_address) {
        return None;
    }
    let word = &line[words[client].clone()];
    let found = forwarded.client(word).or_else(|| client::is_label_or_name(word).then_some(0..word.len()))?;
    let start = words[client].start;
    let is_host = |word: &[u8]| client::is_host(word) && (client == 1 || word.contains(&b'.'));
    let host = client.checked_sub(1).filter(|before| is_host(&line[words[*before].clone()]));
    Some(Head {
        host: host.map(|host| words[host].clone()),
        address: start + found.start..start + found.end,
        ident: words[client + 1].clone(),
        user: words[client + 2].start..time,
        end: time + 2,
    })
}

/// The words between blanks. A text in quotes is one word, and so are parts joined by a comma.
fn words(text: &[u8]) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut in_quotes = false;
    for (at, byte) in text.iter().enumerate() {
        in_quotes ^= *byte == b'"' && !text[..at].ends_with(b"\\");
        let is_end = *byte == b' ' && !in_quotes && (at == 0 || text[at - 1] != b',');
        match (is_end, start) {
            (true, Some(from)) => {
                words.push(from..at);
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
    }
    words.extend(start.map(|from| from..text.len()));
    // Syslog may put a mark of byte order before the message.
    for word in words.iter_mut().filter(|word| text[word.start..].starts_with(BYTE_ORDER_MARK)) {
        word.start += BYTE_ORDER_MARK.len();
    }
    words
}

/// The text after the beginning of the time.
fn tail(rest: &mut Rest<'_>, head: Head) -> Result<Parts, &'static str> {
    let line = rest.line;
    let usual = rest.until(b"] \"");
    // API Gateway has no blank between them, and an identifier after the size.
    let is_gateway = usual.is_none();
    let time = usual.or_else(|| rest.until(b"]\"")).ok_or("no request in quotes after the time")?;
    let request = rest.quoted().ok_or("the request has no closing quote")?;
    rest.expect(b" ").ok_or("no status after the request")?;
    let status = rest.until(b" ").ok_or("no size after the status")?;
    if status.len() != 3 || !line[status.clone()].iter().all(u8::is_ascii_digit) {
        return Err("the status is not a number of three digits");
    }
    let bytes = rest.until(b" ");
    let behind = rest.at;
    let (referrer, agent) = match bytes {
        Some(_) if !is_gateway => match rest.tail() {
            Ok((referrer, agent)) => (Some(referrer), Some(agent)),
            Err(_) if is_common(&line[behind..]) => (None, None),
            Err(what) => return Err(what),
        },
        _ => (None, None),
    };
    let bytes = bytes.unwrap_or(rest.at..line.len());
    let Head { host, address, ident, user, .. } = head;
    let request = Request::new(line, request);
    Ok(Parts { host, address, ident, user, time, request, status, bytes, referrer, agent, end: rest.at })
}

/// Whether words behind the size are not of the combined format, such as a duration. With a quote or a bracket they are
/// another order of fields, or another line.
#[cold]
fn is_common(behind: &[u8]) -> bool {
    memchr2(b'"', b'[', behind).is_none()
}

impl Request {
    pub(super) fn new(line: &[u8], all: Range<usize>) -> Self {
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

/// The rest, which has not been taken apart yet.
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

    /// The text before a mark; goes on behind it.
    fn until(&mut self, mark: &[u8]) -> Option<Range<usize>> {
        let rest = self.rest();
        let length = memchr_iter(mark[0], rest).find(|at| rest[*at..].starts_with(mark))?;
        let start = self.at;
        self.at += length + mark.len();
        Some(start..start + length)
    }

    /// The text before the closing quote. A quote after a backslash does not close.
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

    /// The fields that only the combined format has: referrer and agent.
    fn tail(&mut self) -> Result<(Range<usize>, Range<usize>), &'static str> {
        self.expect(b"\"").ok_or("no referrer in quotes after the size")?;
        let referrer = self.quoted().ok_or("the referrer has no closing quote")?;
        self.expect(b" \"").ok_or("no user agent in quotes after the referrer")?;
        let agent = self.quoted().ok_or("the user agent has no closing quote")?;
        if self.rest().first().is_some_and(u8::is_ascii_alphanumeric) {
            return Err("another line begins right behind the user agent: a line end is missing");
        }
        Ok((referrer, agent))
    }
}
