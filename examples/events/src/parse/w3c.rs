//! The extended log format of the W3C, as IIS and CloudFront write it: `#Fields` names the columns, anew wherever it
//! stands, and the cells lie between blanks or tabs. Times are UTC.
//!
//! A field has the name of its column (`cs-uri-stem`), and the usual ones have a second name ([`ALIASES`]). `time` is
//! date and time together. A `-` is no value.

use super::client::{Addresses, Client, Forwarded};
use super::seen::Seen;
use super::{Field, Line, Parser, Record, Reject, Wanted};

/// The usual names of columns; of several columns the first counts.
pub const ALIASES: [(&str, &[&str]); 10] = [
    ("address", &["c-ip"]),
    ("forwarded_for", &["x-forwarded-for", "cs(x-forwarded-for)"]),
    ("user", &["cs-username"]),
    ("method", &["cs-method"]),
    ("path", &["cs-uri-stem"]),
    ("protocol", &["cs-version", "cs-protocol-version", "cs-protocol"]),
    ("status", &["sc-status"]),
    ("bytes", &["sc-bytes"]),
    ("referrer", &["cs(referer)", "cs(referrer)"]),
    ("agent", &["cs(user-agent)"]),
];

const FIELDS: &[u8] = b"#Fields:";
const DATE: &[u8] = b"#Date:";
/// The beginnings of lines that later lines cannot be read without.
pub const DIRECTIVES: [&[u8]; 2] = [FIELDS, DATE];

/// The names in the first line with `#Fields`, the usual ones before.
pub fn names(sample: &[u8]) -> Vec<String> {
    let mut lines = sample.split(|byte| *byte == b'\n');
    let columns = lines.find_map(columns_of).unwrap_or_default();
    let has = |name: &&str| find(name, &columns).is_some();
    let usual = ["address", "time", "request"].into_iter().chain(ALIASES.iter().map(|(name, _)| *name)).filter(has);
    let mut names: Vec<String> = Vec::new();
    for name in usual.chain(columns.iter().map(String::as_str)) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The columns that a line names.
fn columns_of(line: &[u8]) -> Option<Vec<String>> {
    let names = String::from_utf8_lossy(line.trim_ascii().strip_prefix(FIELDS)?).into_owned();
    let is_between = |c: char| c.is_whitespace() || (c == ',' && has_commas(line));
    Some(names.split(is_between).filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// Whether commas are between the columns, as Exchange writes them.
fn has_commas(line: &[u8]) -> bool {
    let names = line.trim_ascii().strip_prefix(FIELDS).unwrap_or_default().trim_ascii();
    names.contains(&b',') && !names.contains(&b' ') && !names.contains(&b'\t')
}

/// Where a wanted field is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Column(usize),
    /// Of an address.
    Client(usize),
    /// The same by its own name: what is no address, such as a hash of one, is a text.
    ClientOrText(usize),
    /// Date and time: the column of each, the date perhaps in a line `#Date`.
    Time(Option<usize>, usize),
    /// Method and path.
    Request(usize, usize),
}

fn find(name: &str, columns: &[String]) -> Option<Place> {
    let column = |name: &str| columns.iter().position(|column| column.eq_ignore_ascii_case(name));
    let of = |alias: &str| {
        let (_, names) = ALIASES.iter().find(|(known, _)| *known == alias)?;
        names.iter().find_map(|name| column(name))
    };
    match name {
        "time" => Some(Place::Time(column("date"), column("time")?)),
        "request" => Some(Place::Request(of("method")?, of("path")?)),
        "address" | "forwarded_for" => of(name).map(Place::Client),
        _ if is_client(name) => column(name).map(Place::ClientOrText),
        _ => column(name).or_else(|| of(name)).map(Place::Column),
    }
}

/// Whether a column holds clients, by its own name.
fn is_client(name: &str) -> bool {
    let mut clients = ALIASES.iter().filter(|(alias, _)| matches!(*alias, "address" | "forwarded_for"));
    clients.any(|(_, names)| names.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

pub struct W3c {
    wanted: Wanted,
    forwarded: Forwarded,
    columns: usize,
    has_commas: bool,
    places: Vec<Option<Place>>,
    /// The day of the last line with `#Date`.
    date: String,
    /// Where the cells of a line are.
    cells: Vec<(usize, usize)>,
    /// The client in each wanted field that holds one.
    clients: Vec<Client>,
    /// The column of the clients behind a proxy, where the addresses of others are counted.
    beside: Option<usize>,
    addresses: Addresses,
    time: String,
    request: String,
    joined: String,
}

impl W3c {
    pub fn new(wanted: Wanted, forwarded: Forwarded) -> Self {
        let places = vec![None; wanted.names.len()];
        let (time, request, joined, date) = (String::new(), String::new(), String::new(), String::new());
        let (cells, clients) = (Vec::new(), vec![Client::None; places.len()]);
        let (beside, addresses) = (None, Addresses::default());
        let (columns, has_commas) = (0, false);
        Self {
            wanted,
            forwarded,
            columns,
            has_commas,
            places,
            date,
            cells,
            clients,
            beside,
            addresses,
            time,
            request,
            joined,
        }
    }

    /// Takes a line that begins with a `#`.
    #[cold]
    fn directive(&mut self, line: &[u8]) {
        if let Some(columns) = columns_of(line) {
            self.places = self.wanted.names.iter().map(|name| find(name, &columns)).collect();
            (self.columns, self.has_commas) = (columns.len(), has_commas(line));
            let beside = ["address", "c-ip"].iter().any(|name| self.wanted.has_key(name));
            self.beside = match find("forwarded_for", &columns) {
                Some(Place::Client(column)) if beside => Some(column),
                _ => None,
            };
        } else if let Some(date) = line.strip_prefix(DATE) {
            let date = String::from_utf8_lossy(date);
            self.date = date.split_whitespace().next().unwrap_or_default().to_owned();
        }
    }

    /// Finds the cells, between tabs if there is one in the line.
    fn split(&mut self, line: &[u8]) -> Result<(), Reject> {
        if self.columns == 0 {
            return Err(Reject::NoFields);
        }
        let delimiter = match self.has_commas {
            true => b',',
            false if memchr::memchr(b'\t', line).is_some() => b'\t',
            false => b' ',
        };
        self.cells.clear();
        let mut start = 0;
        for end in memchr::memchr_iter(delimiter, line).chain(std::iter::once(line.len())) {
            self.cells.push((start, end));
            start = end + 1;
        }
        if (self.cells.len() > self.columns || self.has_commas) && memchr::memchr(b'"', line).is_some() {
            self.split_quoted(line, delimiter);
        }
        let (found, expected) = (self.cells.len(), self.columns);
        // A delimiter at the end of a line ends its last cell.
        let has_no_more = || self.cells[expected..].iter().all(|(start, end)| start == end);
        if found > expected && has_no_more() {
            self.cells.truncate(expected);
            return Ok(());
        }
        if found == expected { Ok(()) } else { Err(Reject::Columns { found, expected }) }
    }

    /// Finds the cells where texts with blanks stand in quotes, as the format has it. The quotes are no part of a cell.
    #[cold]
    fn split_quoted(&mut self, line: &[u8], delimiter: u8) {
        self.cells.clear();
        let mut start = 0;
        while start <= line.len() {
            let rest = &line[start..];
            let find = |mark: &[u8], from: usize| memchr::memmem::find(&rest[from..], mark).map(|at| from + at);
            let cell = match rest {
                [b'"', ..] if rest.len() > 1 && rest.ends_with(b"\"") => {
                    Some((1, find(&[b'"', delimiter], 1).unwrap_or(rest.len() - 1), 1))
                }
                [b'"', ..] => find(&[b'"', delimiter], 1).map(|end| (1, end, 1)),
                _ => None,
            };
            let (from, to, quote) =
                cell.unwrap_or_else(|| (0, memchr::memchr(delimiter, rest).unwrap_or(rest.len()), 0));
            self.cells.push((start + from, start + to));
            start += to + quote + 1;
        }
    }

    /// Joins the fields that are made of two columns.
    fn join(&mut self, line: Line<'_>) {
        let cell = |column: usize| {
            let (start, end) = self.cells[column];
            match line.field(start..end) {
                Field::Text(text) => text,
                _ => "",
            }
        };
        for place in self.places.iter().flatten() {
            let (to, parts) = match *place {
                Place::Time(Some(date), time) => (&mut self.time, [cell(date), cell(time)]),
                Place::Time(None, time) => (&mut self.time, [self.date.as_str(), cell(time)]),
                Place::Request(method, path) => (&mut self.request, [cell(method), cell(path)]),
                _ => continue,
            };
            to.clear();
            to.push_str(parts[0]);
            to.push(' ');
            to.push_str(parts[1]);
        }
    }
}

impl Parser for W3c {
    fn parse_line<'a>(&'a mut self, line: Line<'a>) -> Result<Record<'a>, Reject> {
        self.split(line.bytes())?;
        self.join(line);
        let Self { wanted, forwarded, places, cells, clients, beside, addresses, time, request, joined, .. } = self;
        for (client, place) in clients.iter_mut().zip(&*places) {
            if let Some(Place::Client(column) | Place::ClientOrText(column)) = place {
                let (start, end) = cells[*column];
                *client = Client::within(line.bytes(), start..end, |text| forwarded.client(text));
                addresses.note(&line.bytes()[start..end]);
            }
        }
        if let Some(column) = beside {
            let (start, end) = cells[*column];
            addresses.note_beside(*forwarded, &line.bytes()[start..end]);
        }
        wanted.record(joined, |index| {
            let cell = |column: usize| cells[column].0..cells[column].1;
            match places[index] {
                None => Field::Missing,
                Some(Place::Time(..)) => Field::Text(time),
                Some(Place::Request(method, path)) => match [method, path].map(|column| line.field(cell(column))) {
                    [Field::Text(_), Field::Text(_)] => Field::Text(request),
                    _ => Field::NotUtf8,
                },
                Some(Place::Column(column)) => line.log_field(cell(column)),
                Some(Place::ClientOrText(column)) if matches!(clients[index], Client::None) => {
                    line.log_field(cell(column))
                }
                Some(Place::Client(_) | Place::ClientOrText(_)) => clients[index].field(line),
            }
        })
    }

    #[inline]
    fn parse_each(&mut self, line: Line<'_>, mut each: impl FnMut(&[u8], Result<Record<'_>, Reject>)) {
        if line.bytes().starts_with(b"#") {
            return self.directive(line.bytes());
        }
        each(line.bytes(), self.parse_line(line));
    }

    fn seen(&self) -> Seen {
        Seen { addresses: self.addresses.clone(), instead: "--key forwarded_for", ..self.wanted.seen() }
    }
}
