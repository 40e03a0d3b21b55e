//! Access logs in a form of their own, by the format strings of nginx and Apache as they stand in a configuration:
//!
//! ```text
//! $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent
//! %h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"
//! ```
//!
//! The whole directive may be given too: `log_format NAME '…' '…';` or `LogFormat "…" NAME`. A field has the name of
//! its variable (`request_time`, `%D`), and the usual ones have a second name ([`ALIASES`]). The log of AWS's
//! application load balancers is such a form, too.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2, memmem};

use super::client::{self, Addresses, Client, Forwarded};
use super::combined::{self, Request};
use super::seen::Seen;
use super::times::TimeFormat;
use super::{Field, Line, Parser, Record, Reject, Wanted, start_of};
use crate::lines::BYTE_ORDER_MARK;

/// A form of lines.
#[derive(Clone, Debug)]
pub struct Layout {
    tokens: Vec<Token>,
    fields: Vec<Variable>,
    /// The field of the client's address.
    client: Option<usize>,
    /// The text after the last token does not matter.
    has_rest: bool,
}

#[derive(Clone, Debug)]
enum Token {
    Literal(Vec<u8>),
    /// The field with this index; in quotes or not.
    Field(usize, bool),
}

#[derive(Clone, Debug)]
struct Variable {
    /// As the format string has it.
    name: String,
    alias: Option<&'static str>,
    /// If it is a time in a form that the format string says.
    time: Option<TimeFormat>,
}

/// The usual names of fields: of nginx's variables and Apache's directives.
pub const ALIASES: [(&str, &[&str]); 14] = [
    ("address", &["remote_addr", "%h", "%a", "%{c}a", "client", "realip_remote_addr"]),
    ("forwarded_for", &["http_x_forwarded_for", "%{x-forwarded-for}i", "proxy_add_x_forwarded_for"]),
    ("ident", &["%l"]),
    ("user", &["remote_user", "%u"]),
    ("time", &["msec", "time_iso8601", "time_local", "%t"]),
    ("request", &["%r"]),
    ("status", &["%s", "%>s", "%<s", "elb_status_code"]),
    ("bytes", &["body_bytes_sent", "bytes_sent", "%b", "%B", "%O", "sent_bytes"]),
    ("referrer", &["http_referer", "%{referer}i"]),
    ("agent", &["http_user_agent", "%{user-agent}i", "user_agent"]),
    ("host", &["host", "server_name", "http_host", "%v", "%V", "%{host}i", "domain_name"]),
    ("path", &["request_uri", "uri", "%U", "%U%q"]),
    ("method", &["request_method", "%m"]),
    ("protocol", &["server_protocol", "%H"]),
];

/// The log of an application load balancer, <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>.
const LOAD_BALANCER: &str = "$type $time $elb $client $target $request_processing_time $target_processing_time \
    $response_processing_time $elb_status_code $target_status_code $received_bytes $sent_bytes \"$request\" \
    \"$user_agent\" $ssl_cipher $ssl_protocol $target_group_arn \"$trace_id\" \"$domain_name\"";

/// That of a classic load balancer.
const CLASSIC: &str = "$time $elb $client $backend $request_processing_time $backend_processing_time \
    $response_processing_time $elb_status_code $backend_status_code $received_bytes $sent_bytes \"$request\" \
    \"$user_agent\" $ssl_cipher $ssl_protocol";

impl Layout {
    /// The form of AWS's load balancers that these lines have, if one of them has any.
    pub fn of_load_balancer(lines: &[&[u8]]) -> Option<Self> {
        [Self::load_balancer(), Self::open(CLASSIC)]
            .into_iter()
            .find(|layout| lines.iter().any(|line| layout.fits(line)))
    }

    /// The form of AWS's application load balancers.
    pub fn load_balancer() -> Self {
        Self::open(LOAD_BALANCER)
    }

    fn open(format: &str) -> Self {
        let layout = format.parse().expect("the format string is right");
        Self { has_rest: true, ..layout }
    }

    /// Whether a line is of this form, with a client.
    pub fn fits(&self, line: &[u8]) -> bool {
        let mut found = Vec::new();
        self.split(line, false, &mut found).is_ok() && self.has_client(line, Forwarded::First, &found) == Some(true)
    }

    /// The names that fields can be chosen by.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let own = self.fields.iter().map(|field| field.name.as_str());
        let parts =
            ["address", "request", "method", "protocol", "path"].into_iter().filter(|name| self.find(name).is_some());
        for name in self.fields.iter().filter_map(|field| field.alias).chain(parts).chain(own) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// The form of the times of a field, if the format string says it.
    pub fn time_format(&self, name: &str) -> Option<TimeFormat> {
        let (index, _) = self.find(name)?;
        self.fields[index].time.clone()
    }

    /// Whether the lines tell of requests of HTTP.
    fn is_of_requests(&self) -> bool {
        self.fields.iter().any(|field| matches!(field.alias, Some("request" | "method" | "path")))
    }

    /// The field of a name, and which part of it.
    fn find(&self, name: &str) -> Option<(usize, Part)> {
        let by_name = self.fields.iter().position(|field| field.name == name);
        let by_alias = || {
            // Of several fields of the same meaning, the one that is named first in the table.
            let order = |index: &usize| {
                let known = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(&[][..], |(_, names)| *names);
                known.iter().position(|known| self.fields[*index].name.eq_ignore_ascii_case(known))
            };
            (0..self.fields.len()).filter(|index| self.fields[*index].alias == Some(name)).min_by_key(order)
        };
        // Of a request line there are parts.
        let is_request = |index: &usize| self.fields[*index].alias == Some("request");
        let index = by_name.or_else(by_alias).filter(|index| !is_request(index) || self.fields[*index].name == name);
        let index = index.filter(|_| name != "request");
        if let Some(index) = index {
            let field = &self.fields[index];
            let part = match field.alias {
                Some("address") if field.name == "client" => Part::ClientAndPort,
                Some("address" | "forwarded_for") => Part::Client,
                Some("status") if self.is_of_requests() => Part::Status,
                _ => Part::Whole,
            };
            return Some((index, part));
        }
        let part = match name {
            "request" => Part::Request,
            "method" => Part::Method,
            "path" => Part::Path,
            "protocol" => Part::Protocol,
            "address" => return self.find("forwarded_for"),
            _ => return None,
        };
        Some((self.fields.iter().position(|field| field.alias == Some("request"))?, part))
    }

    /// The same as [`split`](Self::split), also behind what syslog, docker or Kubernetes put before a line.
    fn split_behind_prefix(
        &self,
        line: &[u8],
        forwarded: Forwarded,
        found: &mut Vec<Range<usize>>,
    ) -> Result<(), Reject> {
        let split = self.split(line, false, found);
        let fits = split.is_ok() && self.has_client(line, forwarded, found) != Some(false);
        if fits || self.fits_padded(line, forwarded, found) || self.find_start(line, forwarded, found) {
            return Ok(());
        }
        let _ = self.split(line, false, found); // as if there were no prefix
        split
    }

    /// Whether a line is of this form with further blanks before its fields, as Squid aligns them. Finds its fields.
    #[cold]
    fn fits_padded(&self, line: &[u8], forwarded: Forwarded, found: &mut Vec<Range<usize>>) -> bool {
        self.split(line, true, found).is_ok() && self.has_client(line, forwarded, found) == Some(true)
    }

    /// Whether the field of the client holds one, and no prefix; nothing if there is no such field.
    fn has_client(&self, line: &[u8], forwarded: Forwarded, found: &[Range<usize>]) -> Option<bool> {
        let text = &line[found[self.client?].clone()];
        let has_words = memchr_iter(b' ', text).any(|blank| blank > 0 && text[blank - 1] != b',');
        Some(!has_words && forwarded.client(text).is_some())
    }

    /// Looks for a line of this form with a client behind the first words of a line. Finds its fields.
    #[cold]
    fn find_start(&self, line: &[u8], forwarded: Forwarded, found: &mut Vec<Range<usize>>) -> bool {
        const MOST_WORDS: usize = 16;
        let Some(client) = self.client else { return false };
        // Syslog may put a mark of byte order before the message.
        let behind_mark =
            |start: usize| start + if line[start..].starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let mut starts = memchr_iter(b' ', line).map(|blank| behind_mark(blank + 1)).take(MOST_WORDS);
        let start = starts.find(|start| {
            let rest = &line[*start..];
            self.split(rest, false, found).is_ok()
                && self.has_client(rest, forwarded, found) == Some(true)
                && &rest[found[client].clone()] != b"-"
        });
        let Some(start) = start else { return false };
        found.iter_mut().for_each(|range| *range = range.start + start..range.end + start);
        true
    }

    /// Finds the fields of a line, or names the part that does not fit. Where it is padded, several blanks are one.
    fn split(&self, line: &[u8], is_padded: bool, found: &mut Vec<Range<usize>>) -> Result<(), Reject> {
        found.clear();
        found.resize(self.fields.len(), 0..0);
        let not = |at: usize, expected: &[u8]| Reject::NotLayout {
            expected: String::from_utf8_lossy(expected).into_owned(),
            found: start_of(&String::from_utf8_lossy(&line[at..])),
        };
        let mut at = 0;
        for (index, token) in self.tokens.iter().enumerate() {
            match token {
                Token::Literal(text) if line[at..].starts_with(text) => {
                    at += text.len();
                    if is_padded && text.ends_with(b" ") {
                        at += line[at..].iter().take_while(|byte| **byte == b' ').count();
                    }
                }
                Token::Literal(text) => return Err(not(at, text)),
                Token::Field(field, in_quotes) => {
                    let end = match self.tokens.get(index + 1) {
                        Some(Token::Literal(mark)) => {
                            let is_address = self.fields[*field].alias == Some("address");
                            let end = match mark.first() {
                                Some(b':') if is_address => last_in_word(line, at, mark),
                                // A quote ends a field in quotes only if no other field shares them.
                                first => end_of(line, at, mark, *in_quotes && first == Some(&b'"')),
                            };
                            end.ok_or_else(|| not(at, mark))?
                        }
                        _ => line.len(),
                    };
                    found[*field] = at..end;
                    at = end;
                }
            }
        }
        if at < line.len() && !self.has_rest { Err(not(at, b"the end of the line")) } else { Ok(()) }
    }
}

/// Where a field ends that begins at a place: at the mark behind it. A quote behind a backslash ends nothing, nor does
/// a blank in a list: behind a comma, or around the colon between groups of nginx's upstream servers.
fn end_of(line: &[u8], start: usize, mark: &[u8], in_quotes: bool) -> Option<usize> {
    let mut at = start;
    if in_quotes {
        loop {
            at += memchr2(b'"', b'\\', &line[at..])?;
            if line[at] == b'"' {
                return Some(at);
            }
            at = (at + 2).min(line.len());
        }
    }
    loop {
        at += memmem::find(&line[at..], mark)?;
        let is_in_list =
            || line[start..at].ends_with(b",") || line[start..at].ends_with(b" :") || line[at..].starts_with(b" : ");
        if mark != b" " || at == start || !is_in_list() {
            return Some(at);
        }
        at += 1;
    }
}

/// Where an address ends that begins at a place: at the last mark in its word, because it may hold colons itself.
fn last_in_word(line: &[u8], start: usize, mark: &[u8]) -> Option<usize> {
    let word = &line[start..memchr(b' ', &line[start..]).map_or(line.len(), |blank| start + blank + 1)];
    memmem::rfind(word, mark).map(|at| start + at)
}

/// Whether a text is a status of HTTP, or stands for none, as the `-1` of HAProxy does.
fn is_status(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit)
}

/// A field as a whole, or a part of it.
#[derive(Clone, Copy, Debug)]
enum Part {
    Whole,
    Client,
    ClientAndPort,
    /// The status of HTTP: if it is none, the fields of the line are others.
    Status,
    Request,
    Method,
    Path,
    Protocol,
}

pub struct Layouted {
    wanted: Wanted,
    layout: Layout,
    forwarded: Forwarded,
    /// Where each wanted field is.
    places: Vec<(usize, Part)>,
    found: Vec<Range<usize>>,
    /// The client in each wanted field that holds one.
    clients: Vec<Client>,
    addresses: Addresses,
    /// A line that lay in an object of JSON.
    message: String,
    joined: String,
}

impl Layouted {
    /// Fails with the first wanted name that the format does not have.
    pub fn new(wanted: Wanted, layout: Layout, forwarded: Forwarded) -> Result<Self, String> {
        let place = |name: &String| layout.find(name).ok_or_else(|| name.clone());
        let places: Vec<_> = wanted.names.iter().map(place).collect::<Result<_, _>>()?;
        let clients = vec![Client::None; places.len()];
        let (found, message, joined) = (Vec::new(), String::new(), String::new());
        let addresses = Addresses::default();
        Ok(Self { wanted, layout, forwarded, places, found, clients, addresses, message, joined })
    }
}

impl Parser for Layouted {
    fn parse_line<'a>(&'a mut self, line: Line<'a>) -> Result<Record<'a>, Reject> {
        let Self { wanted, layout, forwarded, places, found, clients, addresses, message, joined } = self;
        let line = match line.bytes() {
            [b'{', ..] => match combined::in_object(line.bytes()) {
                Some(text) => {
                    *message = text;
                    Line::Text(message)
                }
                None => line,
            },
            _ => line,
        };
        let bytes = line.bytes();
        layout.split_behind_prefix(bytes, *forwarded, found)?;
        for (client, (field, part)) in clients.iter_mut().zip(&*places) {
            let range = found[*field].clone();
            match part {
                Part::Client => *client = Client::within(bytes, range, |text| forwarded.client(text)),
                Part::ClientAndPort => *client = Client::within(bytes, range, client::with_port),
                _ => continue,
            }
            if let Field::Text(address) = client.field(line) {
                addresses.note(address.as_bytes());
            }
        }
        let field = |index: usize| {
            let (field, part) = places[index];
            let range = found[field].clone();
            let request = || Request::new(bytes, range.clone());
            let part = match part {
                Part::Whole => Some(range),
                Part::Client | Part::ClientAndPort => return clients[index].field(line),
                Part::Status if !is_status(&bytes[range.clone()]) => return Field::Bad("no status of three digits"),
                Part::Status => Some(range),
                Part::Request => Some(request().action),
                Part::Method => request().method,
                Part::Path => request().path,
                Part::Protocol => request().protocol,
            };
            part.map_or(Field::Missing, |part| line.log_field(part))
        };
        wanted.record(joined, field)
    }

    fn seen(&self) -> Seen {
        Seen { addresses: self.addresses.clone(), ..self.wanted.seen() }
    }
}

impl std::str::FromStr for Layout {
    type Err = String;

    /// Reads a format string, or a whole directive.
    fn from_str(text: &str) -> Result<Self, String> {
        let format = undressed(text.trim())?;
        if format.trim_start().starts_with('{') {
            return Err("it writes JSON: leave --log-format out, and name the fields of the JSON".to_owned());
        }
        let mut layout = Self { tokens: Vec::new(), fields: Vec::new(), client: None, has_rest: false };
        let mut rest = format.as_str();
        while let Some(at) = rest.find(['$', '%']) {
            layout.literal(&rest[..at]);
            let (length, token) = variable(&rest[at..])?;
            layout.add(token, rest[..at].ends_with('"'))?;
            rest = &rest[at + length..];
        }
        layout.literal(rest);
        layout.join_times()?;
        if layout.fields.is_empty() {
            return Err("it names no field: give nginx's ($remote_addr …) or Apache's (%h …) format string".to_owned());
        }
        layout.client = layout.find("address").map(|(index, _)| index);
        Ok(layout)
    }
}

/// One part of a format string.
enum Written {
    Text(&'static str),
    Variable(String),
    /// A time in brackets.
    Time,
}

/// The variable at the beginning of a text, and its length.
fn variable(text: &str) -> Result<(usize, Written), String> {
    let name_end = |from: usize| {
        text[from..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(text.len(), |end| from + end)
    };
    if let Some(braced) = text.strip_prefix("${") {
        let end = braced.find('}').ok_or("a ${ has no }")?;
        return Ok((end + 3, Written::Variable(braced[..end].to_owned())));
    }
    if text.starts_with('$') {
        let end = name_end(1);
        return if end > 1 {
            Ok((end, Written::Variable(text[1..end].to_owned())))
        } else {
            Err("a $ names no variable".to_owned())
        };
    }
    if text.starts_with("%%") {
        return Ok((2, Written::Text("%")));
    }
    // %{Referer}i, %>s, %!200,304{Referer}i, %^ti
    let modifiers =
        text[1..].find(|c: char| !matches!(c, '<' | '>' | '!' | ',' | '0'..='9')).map_or(text.len(), |end| end + 1);
    let (braced, after) = match text[modifiers..].strip_prefix('{') {
        Some(inside) => {
            let end = inside.find('}').ok_or("a %{ has no }")?;
            (&text[modifiers..modifiers + end + 2], modifiers + end + 2)
        }
        None => ("", modifiers),
    };
    let length = if text[after..].starts_with('^') { 3 } else { 1 };
    let letter = text.get(after..after + length).ok_or("a % names no field")?;
    if !is_code(braced, letter) {
        return Err(format!(
            "Apache has no {}: write the fields of another program as nginx's variables, such as '$remote_addr [$time_local] \
             \"$request\" $status'",
            start_of(&format!("%{braced}{letter}"))
        ));
    }
    let marks: String = text[1..modifiers].chars().filter(|c| matches!(c, '<' | '>')).collect();
    let whole = format!("%{marks}{braced}{letter}");
    Ok((after + length, if whole == "%t" { Written::Time } else { Written::Variable(whole) }))
}

/// Whether Apache or Tomcat has a field of a letter: some only with a name in braces, as modules add them.
fn is_code(braced: &str, letter: &str) -> bool {
    let letters = if braced.is_empty() { "aAbBDefFhHIkLlmOpPqrRsStTuUvVX" } else { "aCcehiILnoOpPrsStTxy^ti^to" };
    letters.contains(letter)
}

impl Layout {
    fn literal(&mut self, text: &str) {
        match self.tokens.last_mut() {
            _ if text.is_empty() => {}
            Some(Token::Literal(before)) => before.extend_from_slice(text.as_bytes()),
            _ => self.tokens.push(Token::Literal(text.into())),
        }
    }

    fn add(&mut self, written: Written, in_quotes: bool) -> Result<(), String> {
        match written {
            Written::Text(text) => self.literal(text),
            Written::Variable(name) => self.field(name, in_quotes)?,
            Written::Time => {
                self.literal("[");
                self.field("%t".to_owned(), false)?;
                self.literal("]");
            }
        }
        Ok(())
    }

    fn field(&mut self, name: String, in_quotes: bool) -> Result<(), String> {
        // The query begins with its own mark: %U%q is the path as it was asked for.
        if let ("%q", Some(Token::Field(before, _))) = (name.as_str(), self.tokens.last())
            && self.fields[*before].name == "%U"
        {
            self.fields[*before].name.push_str("%q");
            return Ok(());
        }
        let is_part_of_time = |name: &str| name.starts_with("%{") && name.ends_with("}t");
        if let Some(Token::Field(before, _)) = self.tokens.last()
            && !(is_part_of_time(&name) && is_part_of_time(&self.fields[*before].name))
        {
            let before = &self.fields[*before].name;
            return Err(format!("nothing is between {before} and {name}: where one ends cannot be told"));
        }
        let known = |(_, names): &&(&str, &[&str])| names.iter().any(|known| known.eq_ignore_ascii_case(&name));
        // %b and %B, %u and %U differ.
        let exact = |(_, names): &&(&str, &[&str])| names.contains(&name.as_str());
        let is_letter = name.len() == 2;
        let alias =
            ALIASES.iter().find(|entry| if is_letter { exact(entry) } else { known(entry) }).map(|(alias, _)| *alias);
        let alias = if is_part_of_time(&name) { Some("time") } else { alias };
        let alias = alias.or_else(|| ALIASES.iter().map(|(alias, _)| *alias).find(|alias| *alias == name));
        self.fields.push(Variable { name, alias, time: None });
        self.tokens.push(Token::Field(self.fields.len() - 1, in_quotes));
        Ok(())
    }

    /// Apache writes a time in parts, `%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t`: they are one field.
    fn join_times(&mut self) -> Result<(), String> {
        let pattern_of = |fields: &[Variable], token: &Token| match token {
            Token::Field(index, _) => {
                let inside = fields[*index].name.strip_prefix("%{")?.strip_suffix("}t")?;
                let inside = inside.trim_start_matches("begin:").trim_start_matches("end:");
                Some(match inside {
                    "msec_frac" => "%3f".to_owned(),
                    "usec_frac" => "%6f".to_owned(),
                    "sec" => "%s".to_owned(),
                    other => other.to_owned(),
                })
            }
            Token::Literal(_) => None,
        };
        let is_time = |token: &Token| pattern_of(&self.fields, token).is_some();
        let Some(first) = self.tokens.iter().position(is_time) else { return Ok(()) };
        let last = self.tokens.iter().rposition(is_time).unwrap_or(first);
        let mut pattern = String::new();
        for token in &self.tokens[first..=last] {
            match token {
                Token::Literal(text) => pattern += &String::from_utf8_lossy(text).replace('%', "%%"),
                token => {
                    pattern += &pattern_of(&self.fields, token).ok_or("parts of a time stand among other fields")?;
                }
            }
        }
        let format = match pattern.as_str() {
            "%s" => TimeFormat::Unix(0),
            "msec" => TimeFormat::Unix(3),
            "usec" => TimeFormat::Unix(6),
            pattern => pattern.parse().map_err(|error| format!("its time {pattern}: {error}"))?,
        };
        let Token::Field(index, in_quotes) = self.tokens[first] else { return Ok(()) };
        self.fields[index].time = Some(format);
        self.tokens.splice(first..=last, [Token::Field(index, in_quotes)]);
        Ok(())
    }
}

/// The format string in a directive of a configuration, or a text that is one.
fn undressed(text: &str) -> Result<String, String> {
    let mut words = text.splitn(3, char::is_whitespace);
    let (first, _name, rest) = (words.next().unwrap_or(""), words.next(), words.next().unwrap_or(""));
    if first == "log_format" {
        let rest = rest.trim();
        let rest = match rest.strip_prefix("escape=") {
            Some(rest) => rest.split_once(char::is_whitespace).map_or("", |(_, rest)| rest),
            None => rest,
        };
        return quoted_parts(rest.trim_end().trim_end_matches(';'));
    }
    let is_custom = first.eq_ignore_ascii_case("CustomLog");
    if is_custom || first.eq_ignore_ascii_case("LogFormat") {
        let rest = text[first.len()..].trim();
        let rest = if is_custom { behind_target(rest) } else { rest };
        let inside =
            rest.strip_prefix('"').ok_or_else(|| format!("the format string of a {first} stands in quotes"))?;
        let mut end = 0;
        while let Some(found) = inside[end..].find(['"', '\\']) {
            end += found;
            if inside.as_bytes()[end] == b'"' {
                return Ok(unescaped(&inside[..end]));
            }
            end = (end + 2).min(inside.len());
        }
        return Err(format!("the format string of the {first} has no closing quote"));
    }
    if text.starts_with('\'') {
        return quoted_parts(text.trim_end_matches(';'));
    }
    if text.len() > 1
        && text.starts_with('"')
        && text.ends_with('"')
        && text[1..].starts_with(['$', '%'])
        && !text.ends_with("\"\"")
    {
        let inside = &text[1..text.len() - 1];
        // "%h … \"%r\"" in its quotes; but not a string that begins and ends with a field in quotes.
        if inside.contains("\\\"") || !inside.contains('"') {
            return Ok(unescaped(inside));
        }
    }
    Ok(unescaped(text))
}

/// The text behind the first argument, which may stand in quotes.
fn behind_target(text: &str) -> &str {
    let rest = match text.strip_prefix('"') {
        Some(inside) => inside.split_once('"').map_or("", |(_, rest)| rest),
        None => text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest),
    };
    rest.trim_start()
}

/// `'…' '…'` as one text.
fn quoted_parts(text: &str) -> Result<String, String> {
    let mut parts = String::new();
    let mut rest = text.trim();
    while let Some(mark) = rest.chars().next() {
        if mark != '\'' && mark != '"' {
            return Err(format!("the parts of a log_format stand in quotes; found {}", start_of(rest)));
        }
        let end = rest[1..].find(mark).ok_or("a part of the log_format has no closing quote")?;
        parts += &rest[1..=end];
        rest = rest[end + 2..].trim_start();
    }
    Ok(unescaped(&parts))
}

/// Without the backslashes that a configuration needs.
fn unescaped(text: &str) -> String {
    text.replace("\\\"", "\"").replace("\\t", "\t")
}
