//! Conditions on the fields of a record, as the command line has them: `status>=400`, `path~^/api`, `bots`.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use regex_lite::Regex;
use stagger::Timestamp;

use super::numbers;
use super::times::{Span, TimeFormat, TimeMeaning, TimeReader};
use crate::zones::AnyZone;

/// A condition that a record must fulfil, or must not.
#[derive(Clone, Debug)]
pub struct Condition {
    /// As it was given.
    text: String,
    field: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Compare(Operator, Operand),
    Matches(Pattern),
    DoesNotMatch(Pattern),
}

/// The value of a condition: it is compared as a number or as a time with values that are one too, else as a text.
#[derive(Clone, Debug)]
struct Operand {
    text: String,
    number: Option<f64>,
    time: Option<Timestamp>,
    /// An address of version 6, which has many spellings.
    address: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// Those of two characters before those of one.
const OPERATORS: [(&str, Option<Operator>); 10] = [
    ("!~", None),
    ("!=", Some(Operator::NotEqual)),
    ("<=", Some(Operator::AtMost)),
    (">=", Some(Operator::AtLeast)),
    ("==", Some(Operator::Equal)),
    ("=~", None),
    ("~", None),
    ("=", Some(Operator::Equal)),
    ("<", Some(Operator::Less)),
    (">", Some(Operator::Greater)),
];

/// Words that stand for times elsewhere.
const NAMES_OF_DAYS: [&str; 4] = ["now", "today", "yesterday", "tomorrow"];

/// Conditions that have a name: the field that is meant unless another is named, as in `bots:user_agent`, and the
/// pattern.
const PRESETS: [(&str, &str, &str); 2] = [
    (
        "bots",
        "agent",
        "(?i)(^|[^u])bot|crawl|spider|slurp|scrap|curl/|wget/|libwww|python-|python/|aiohttp|httpx|go-http|\
         java/|okhttp|apache-http|axios/|node-fetch|ruby|perl|php/|headless|phantom|lighthouse|facebookexternalhit|\
         preview|monitor|pingdom|uptime|statuscake|check_http|nagios|zabbix|feed|rss|validator|archiver|scan|nmap|\
         masscan|zgrab|httrack|mediapartners|whatsapp/|externalagent|inspectiontool|chatgpt|anthropic|cohere-ai|nutch|heritrix|\
         censysinspect|expanse|healthcheck|health-check|googlehc|kube-probe|prometheus|blackbox exporter|datadog|httpclient|\
         guzzle|postman|insomnia/|httpie|aria2|undici|deno/|^got[ /]|lua-resty|rest-client|restsharp|typhoeus|faraday",
    ),
    (
        "static-files",
        "path",
        "(?i)^[^?#]*\\.(css|m?js|map|png|jpe?g|gif|svgz?|webp|avif|ico|cur|bmp|tiff?|heic|jxl|woff2?|ttf|otf|eot|mp[34]|m4[av]|\
         webm|og[gv]|wav|mov|avi|aac|flac|wasm|webmanifest)([?#;]|$)",
    ),
];

impl Condition {
    /// The condition as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The field that it asks for.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Whether it holds for the text of the field: the empty text if the field is missing. Times are UTC, if they name
    /// no zone.
    pub fn holds(&self, value: &str) -> bool {
        self.holds_at(value, &TimeReader::default())
    }

    /// The same, where times are read by the meaning of the field.
    pub(super) fn holds_at(&self, value: &str, times: &TimeReader) -> bool {
        match &self.test {
            Test::Compare(operator, operand) => operator.holds(operand.compare(value, times)),
            Test::Matches(pattern) => pattern.matches(value),
            Test::DoesNotMatch(pattern) => !pattern.matches(value),
        }
    }

    /// What a value should be to be compared, if it is something else: it is neither more nor less.
    pub(super) fn lacks(&self, value: &str, times: &TimeReader) -> Option<&'static str> {
        let Test::Compare(operator, operand) = &self.test else { return None };
        let is_order = !matches!(operator, Operator::Equal | Operator::NotEqual);
        let is_other = is_order && !is_nothing(value) && operand.compare(value, times).is_none();
        is_other.then_some(if operand.number.is_some() { "number" } else { "time" })
    }

    /// The condition whose own time is one of a zone, if it names none.
    pub(super) fn in_zone(mut self, zone: Option<AnyZone>) -> Self {
        if let Test::Compare(_, operand) = &mut self.test
            && operand.time.is_some()
        {
            let meaning = TimeMeaning { format: TimeFormat::Auto, zone, span: Span::ALL };
            operand.time = time(&operand.text, &TimeReader::new(meaning));
        }
        self
    }
}

/// Conditions that must all hold, as text.
pub fn list<'c>(conditions: impl IntoIterator<Item = &'c Condition>) -> String {
    conditions.into_iter().map(Condition::text).collect::<Vec<_>>().join(" and ")
}

impl Operator {
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::Greater => order == Some(Ordering::Greater),
            Self::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

impl Operand {
    fn new(text: &str) -> Self {
        let number = number(text);
        let time = if number.is_none() { time(text, &TimeReader::default()) } else { None };
        let address = text.parse::<Ipv6Addr>().ok().map(|address| address.to_canonical());
        Self { text: text.to_owned(), number, time, address }
    }

    /// Whether it begins like a number or a time, but is none.
    fn is_half_a_number(&self) -> bool {
        let digits = self.text.trim_start_matches(['-', '+', '.']);
        self.number.is_none() && self.time.is_none() && digits.starts_with(|first: char| first.is_ascii_digit())
    }

    /// The order of a value and this one, if they have one: a text is neither more nor less than a number or a time.
    fn compare(&self, value: &str, times: &TimeReader) -> Option<Ordering> {
        if self.text.is_empty() && is_nothing(value) {
            return Some(Ordering::Equal);
        }
        let equal_text = || (value == self.text).then_some(Ordering::Equal);
        if let Some(own) = self.address {
            let address = value.parse::<IpAddr>().ok().map(|address| address.to_canonical());
            return address.map_or_else(equal_text, |address| Some(address.cmp(&own)));
        }
        match (self.number, self.time) {
            (Some(own), _) => number(value).map_or_else(equal_text, |number| match number.partial_cmp(&own) {
                Some(Ordering::Equal) if value != self.text => Some(numbers::order(value, &self.text)),
                order => order,
            }),
            (_, Some(own)) => time(value, times).map_or_else(equal_text, |value| Some(value.cmp(&own))),
            _ => Some(value.cmp(&self.text)),
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// Whether a text is no value; logs write a dash.
fn is_nothing(value: &str) -> bool {
    matches!(value, "" | "-")
}

/// The time that a text names; a date is its midnight.
fn time(text: &str, times: &TimeReader) -> Option<Timestamp> {
    let text = text.trim();
    let is_date = || text.len() == 10 && text.as_bytes()[4] == b'-';
    times.read(text).or_else(|| is_date().then(|| times.read(&format!("{text}T00:00:00"))).flatten())
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(preset) = preset(text) {
            return preset;
        }
        let first = text.find(['=', '!', '<', '>', '~']).filter(|first| *first > 0);
        let found = first.and_then(|first| {
            let (field, rest) = text.split_at(first);
            let (sign, operator) = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign))?;
            Some((field.trim(), *sign, *operator, &rest[sign.len()..]))
        });
        let Some((field, sign, operator, value)) = found else { return Err(explain()) };
        let test = match operator {
            Some(operator) => {
                let operand = Operand::new(operand(field, sign, value.trim())?);
                let is_order = !matches!(operator, Operator::Equal | Operator::NotEqual);
                if is_order && NAMES_OF_DAYS.contains(&&*operand.text) {
                    return Err(format!(
                        "{} is no time: write a date or a time, such as {field}{sign}$(date -I)",
                        operand.text
                    ));
                }
                if is_order && operand.is_half_a_number() {
                    return Err(format!(
                        "{} is neither a number nor a time, and letters have another order: write a time as 2024-03-04 or \
                         2024-03-04T09:00:00Z",
                        operand.text
                    ));
                }
                Test::Compare(operator, operand)
            }
            None if sign == "!~" => Test::DoesNotMatch(pattern(field, value.trim())?),
            None => Test::Matches(pattern(field, value.trim())?),
        };
        Ok(Self { text: text.to_owned(), field: field.to_owned(), test })
    }
}

fn preset(text: &str) -> Option<Result<Condition, String>> {
    let (name, field) = text.split_once(':').map_or((text, None), |(name, field)| (name, Some(field)));
    let (_, usual, pattern) = PRESETS.iter().find(|(preset, ..)| *preset == name)?;
    let field = field.unwrap_or(usual).to_owned();
    Some(Pattern::new(pattern).map(|pattern| Condition { text: text.to_owned(), field, test: Test::Matches(pattern) }))
}

/// The value of a comparison. Refuses what would be taken for a text though another operator is meant.
fn operand<'a>(field: &str, sign: &str, value: &'a str) -> Result<&'a str, String> {
    if value.starts_with(['=', '<', '>', '~']) {
        let typed = format!("{sign}{}", &value[..1]);
        return Err(format!("there is no operator {typed}: choose = != < <= > >= ~ !~"));
    }
    if value.is_empty() && !matches!(sign, "=" | "==" | "!=") {
        return Err(format!("{sign} has nothing to compare with; {}", instead(field)));
    }
    if [b'"', b'\'']
        .iter()
        .any(|quote| matches!(value.as_bytes(), [first, .., last] if first == quote && last == quote))
    {
        let inner = &value[1..value.len() - 1];
        return Err(format!(
            "its value has quotes: write {field}{sign}{inner}; for a text that has quotes itself write {field}~^{value}$"
        ));
    }
    let joined = [" and ", " or ", " AND ", " OR ", " && ", " || ", "&&", "||"];
    let parts = joined.iter().find_map(|word| Some((*word, value.split_once(word)?.1.trim())));
    if parts.is_some_and(|(word, second)| is_condition(second, field, word)) {
        return Err("it holds two conditions: give each with an option of its own; all of --where must hold, and any \
                    of --not leaves a record out"
            .to_owned());
    }
    Ok(value)
}

/// Whether a text behind a word such as ` and ` is a condition of its own: on the same field, or on one without blanks.
fn is_condition(text: &str, field: &str, word: &str) -> bool {
    let other = text.split(['=', '!', '<', '>', '~']).next().unwrap_or_default().trim();
    let is_field = text.starts_with(field) || (word.starts_with(' ') && !other.contains(' '));
    is_field && text.parse::<Condition>().is_ok()
}

/// The expression of a condition. Refuses one that every text matches.
fn pattern(field: &str, text: &str) -> Result<Pattern, String> {
    let pattern = Pattern::new(text)?;
    // Only ^$ and its like find something in the first one alone.
    if ["", "\u{1}", "a", "0"].iter().all(|any| pattern.expression.is_match(any)) {
        return Err(format!("every text matches {text:?}; {}", instead(field)));
    }
    Ok(pattern)
}

fn instead(field: &str) -> String {
    format!("for records that have a {field} write {field}!=, and for those without one {field}=")
}

fn explain() -> String {
    "a condition is FIELD, an operator and a value: status>=400, method=GET, path~^/api (operators = != < <= > >= \
     ~ !~), or bots, or static-files"
        .to_owned()
}

/// A regular expression that remembers: logs have the same agents and paths again and again.
#[derive(Debug)]
struct Pattern {
    expression: Regex,
    /// Each reader of an input has its own.
    known: Mutex<HashMap<Box<str>, bool>>,
}

impl Clone for Pattern {
    fn clone(&self) -> Self {
        Self { expression: self.expression.clone(), known: Mutex::default() }
    }
}

/// The number of answers that are remembered.
const KNOWN: usize = 4_096;

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        let expression = Regex::new(text).map_err(|error| format!("{text} is no pattern: {error}"))?;
        Ok(Self { expression, known: Mutex::default() })
    }

    fn matches(&self, text: &str) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known.get(text) {
            return *answer;
        }
        let answer = self.expression.is_match(text);
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(text.into(), answer);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_holds_or_not() {
        for (condition, value, holds) in [
            ("status=200", "200", true),
            ("status=200", "200.0", true),
            ("status==200", "404", false),
            ("status!=200", "404", true),
            ("status!=200", "", true),
            ("status>=400", "404", true),
            ("status>=400", "1000", true),
            ("id=9007199254740993", "9007199254740992", false),
            ("id=9007199254740993", "9007199254740993.0", true),
            ("id<-9007199254740992", "-9007199254740993", true),
            ("n>0.1", "0.10000000000000000000000000001e0", true),
            ("status>=400", "-", false),
            ("status>=400", "", false),
            ("status<400", "-5", true),
            ("status < 400", "399", true),
            ("method=GET", "GET", true),
            ("method=GET", "get", false),
            ("day>2024-03-04", "2024-03-05", true),
            ("path~^/api", "/api/x", true),
            ("path~^/api", "/x/api", false),
            ("path=~^/api", "/api", true),
            ("path!~^/api", "/x/api", true),
            ("path~a=b", "/?a=b", true),
            ("path ~ ^/api", "/api/x", true),
            ("address=2001:DB8:0::1", "2001:db8::1", true),
            ("address=::ffff:192.0.2.1", "192.0.2.1", true),
            ("address!=2001:db8::1", "2001:0DB8::1", false),
            ("address!=2001:db8::1", "-", true),
            ("path~^$", "", true),
            ("path~^$", "/", false),
            ("path=", "", true),
            // A dash of a log is nothing, too.
            ("user=", "-", true),
            ("user!=", "-", false),
            ("user=-", "-", true),
            ("user!=-", "", true),
            ("path=", "/", false),
            ("path!=", "", false),
            ("query=a>b", "a>b", true),
            ("name=salt and pepper", "salt and pepper", true),
            ("name=a&&b=c", "a&&b=c", true),
            ("name=a and b c=d", "a and b c=d", true),
            ("name='", "'", true),
            ("name='a", "'a", true),
            ("name=today", "today", true),
            ("n>-1", "0", true),
            // Times, in whatever form.
            ("time>=2024-03-04T09:00:00Z", "04/Mar/2024:09:00:00 +0000", true),
            ("time>=2024-03-04T09:00:00Z", "03/Apr/2024:00:00:00 +0000", true),
            ("time>2024-03-04T09:00:00Z", "04/Mar/2024:09:00:00 +0100", false),
            ("time>2024-03-04 09:05:00", "2024-03-04T09:00:00Z", false),
            ("time<2024-03-05", "04/Mar/2024:23:59:59 +0000", true),
            ("time<2024-03-05", "05/Mar/2024:00:00:00 +0000", false),
            ("time>2024-03-05", "1709683200", true),
            ("time>2024-03-05", "-", false),
            ("day=2024-03-05", "2024-03-05", true),
            ("static-files", "/a/b.css?v=3", true),
            ("static-files", "/a.PNG", true),
            ("static-files", "/a.css;jsessionid=5", true),
            ("static-files", "/site.webmanifest", true),
            ("static-files", "/a.png.html", false),
            ("static-files", "/search?q=a.png", false),
            ("bots", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", true),
            ("bots", "curl/8.5.0", true),
            ("bots", "python-requests/2.31", true),
            ("bots", "Mozilla/5.0 (compatible; AhrefsBot/7.0)", true),
            ("bots", "ELB-HealthChecker/2.0", true),
            ("bots", "kube-probe/1.28", true),
            ("bots", "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)", true),
            ("bots", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ChatGPT-User/1.0)", true),
            ("bots", "GuzzleHttp/7", true),
            ("bots", "Mozilla/5.0 (Linux; Android 14) SamsungBrowser/23.0 Chrome/115.0 Mobile Safari/537.36", false),
            ("bots", "Dalvik/2.1.0 (Linux; U; Android 9)", false),
            ("bots", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36", false),
            ("bots", "Mozilla/5.0 (Linux; Android 9; CUBOT X19) Chrome/90", false),
            ("bots", "", false),
        ] {
            let read = condition.parse::<Condition>().unwrap();
            assert_eq!(read.holds(value), holds, "{condition} of {value:?}");
        }
        assert_eq!("bots:user.agent".parse::<Condition>().unwrap().field(), "user.agent");
        assert_eq!("bots".parse::<Condition>().unwrap().field(), "agent");
        for wrong in ["", "status", "=5", "~x", "bot", "robots:agent"] {
            assert_eq!(wrong.parse::<Condition>().unwrap_err(), explain(), "{wrong}");
        }
        for (wrong, sentence) in [
            ("v<>5", "there is no operator <>: choose"),
            ("v=>5", "there is no operator =>: choose"),
            ("v=<5", "there is no operator =<: choose"),
            ("v===5", "there is no operator ===: choose"),
            ("v>5 and v<9", "it holds two conditions: give each"),
            ("v>5 and w=9", "it holds two conditions: give each"),
            ("v=x OR w = y", "it holds two conditions: give each"),
            ("v=a && w.x!=b", "it holds two conditions: give each"),
            ("v='a'", "its value has quotes: write v=a; for a text that has quotes itself write v~^'a'$"),
            ("v != \"a b\"", "its value has quotes: write v!=a b;"),
            ("t>-1h", "-1h is neither a number nor a time"),
            ("t>+5x", "+5x is neither a number nor a time"),
            ("t>=today", "today is no time: write a date or a time, such as t>=$(date -I)"),
            ("v>5&&v<9", "it holds two conditions: give each"),
            ("v=5 || v=9", "it holds two conditions: give each"),
            ("v~", "every text matches \"\"; for records that have a v write v!=, and for those without one v="),
            ("v s~ ", "every text matches \"\"; for records that have a v s write v s!=,"),
            ("v!~ ", "every text matches \"\""),
            ("v~bot|", "every text matches \"bot|\""),
            ("v~.*", "every text matches \".*\""),
            ("t>2024-03", "2024-03 is neither a number nor a time, and letters"),
            ("t>=04.03.2024", "04.03.2024 is neither a number nor a time"),
            ("version<1.10.0", "1.10.0 is neither a number nor a time"),
            ("v>", "> has nothing to compare with; for records that have a v write v!=,"),
            ("v >= ", ">= has nothing to compare with"),
            ("v<", "< has nothing to compare with"),
            ("v<= ", "<= has nothing to compare with"),
        ] {
            assert!(wrong.parse::<Condition>().unwrap_err().starts_with(sentence), "{wrong}");
        }
        assert!("path~(".parse::<Condition>().unwrap_err().starts_with("( is no pattern: "));
    }
}
