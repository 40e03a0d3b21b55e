//! The bytes of a record as events: JSON objects, of which a few fields are wanted.
//!
//! A record may hold several objects, with or without white space between them, as producers write
//! them that end each with a newline. Each is an event or a [`Reject`] of its own. Of one that
//! is no JSON only the line is lost.
//!
//! A record may be gzip. A record of CloudWatch Logs holds several log events; each is an event.
//!
//! Objects are read as `files` reads them ([`events::parse::jsonl`]), so that both find the same events.

use std::fmt;

use events::lines;
use events::parse::jsonl::Jsonl;
use events::parse::{self, Record, Wanted};

use crate::gzip;
use crate::kpl;

/// A record has 10 MiB at most; gzip shrinks repeated text to a thousandth.
const MOST_UNPACKED: u64 = 64 << 20;

/// Why a record, or an object in it, is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reject {
    Empty,
    Gzip {
        what: String,
    },
    /// A record of the producer library that did not arrive as it was sent.
    BrokenAggregate,
    Object(parse::Reject),
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Gzip { what } => write!(f, "gzip that cannot be unpacked: {what}"),
            Self::BrokenAggregate => {
                f.write_str("begins like an aggregated record, but its checksum does not fit the bytes after it")
            }
            Self::Object(reject) => reject.fmt(f),
        }
    }
}

impl std::error::Error for Reject {}

/// Reads records. It keeps its buffers for the next one.
pub(crate) struct Decoder(Jsonl);

impl Decoder {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self(Jsonl::new(wanted).with_cloudwatch_logs())
    }

    /// Hands every object of a record over, in order, with its own bytes; one reject for bytes that are no object.
    pub(crate) fn decode_all(&mut self, data: &[u8], mut each: impl FnMut(&[u8], Result<Record<'_>, Reject>)) {
        match gzip::unpacked(data, MOST_UNPACKED) {
            None => self.decode_plain(data, &mut each),
            Some(Ok(plain)) => self.decode_plain(&plain, &mut each),
            Some(Err(what)) => each(data, Err(Reject::Gzip { what })),
        }
    }

    fn decode_plain(&mut self, data: &[u8], each: &mut impl FnMut(&[u8], Result<Record<'_>, Reject>)) {
        if data.starts_with(&kpl::MAGIC) {
            return each(data, Err(Reject::BrokenAggregate));
        }
        self.0.begin(data);
        let objects = lines::each_in(data, &mut self.0, |bytes, record| each(bytes, record.map_err(Reject::Object)));
        if objects == 0 {
            each(data, Err(Reject::Empty));
        }
    }
}

#[cfg(test)]
mod tests {
    use events::columns::Columns;
    use events::parse::times::{TimeMeaning, TimeReader};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Small numbers are times too.
    fn wanted(key: &[&str], time: &str, value: &str) -> Wanted {
        Wanted::new(&Columns::declared(key).unwrap(), time, None, Some(value), &any_time())
    }

    fn any_time() -> TimeMeaning {
        TimeMeaning { span: "..2100".parse().unwrap(), ..TimeMeaning::default() }
    }

    fn fields(key: &[&str]) -> Wanted {
        wanted(key, "client_timestamp", "client_event")
    }

    fn decoder() -> Decoder {
        Decoder::new(fields(&["user_id", "device_id"]))
    }

    /// Key, seconds and value, or the reason.
    type Event = Result<(String, i64, String), String>;

    fn decode_with(mut decoder: Decoder, data: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        decoder.decode_all(data, |_, decoded| {
            let owned = |d: Record<'_>| (d.key.to_owned(), d.time.as_micros() / 1_000_000, d.value.to_owned());
            events.push(decoded.map(owned).map_err(|reject| reject.to_string()));
        });
        events
    }

    fn decode(data: &str) -> Vec<Event> {
        decode_with(decoder(), data.as_bytes())
    }

    fn reason(data: &str) -> String {
        let [Err(reason)] = &decode(data)[..] else { panic!("not one reject: {:?}", decode(data)) };
        reason.clone()
    }

    fn event(key: &str, seconds: i64, value: &str) -> Event {
        Ok((key.to_owned(), seconds, value.to_owned()))
    }

    const ARTICLE: &str = r#"{"user_id": 20, "device_id": "mobile", "client_event": "beer_cart", "client_timestamp": "1970-01-01T00:00:07.123456"}"#;

    #[test]
    fn the_event_of_the_article() {
        assert_eq!(decode(ARTICLE), [event("20\u{1f}mobile", 7, "beer_cart")]);
    }

    #[test]
    fn several_in_one_record() {
        let one = event("20\u{1f}mobile", 7, "beer_cart");
        for between in ["", "\n", " \r\n\t"] {
            let text = [ARTICLE; 3].join(between);
            assert_eq!(decode(&text), [one.clone(), one.clone(), one.clone()], "{between:?}");
            assert_eq!(decode(&(text + "\n")).len(), 3);
        }
    }

    #[test]
    fn what_is_no_json_does_not_take_the_next_line_with_it() {
        let one = event("20\u{1f}mobile", 7, "beer_cart");
        let bad = Err("not valid JSON: expected value at column 1".to_owned());
        let unfinished = Err("not valid JSON: EOF while parsing a value at column 11".to_owned());
        let text = format!("{ARTICLE}\n{{\"user_id\": \n}}\n{ARTICLE}\n");
        assert_eq!(decode(&text), [one.clone(), unfinished, bad.clone(), one.clone()]);
        assert_eq!(decode(&format!("{ARTICLE} garbage")), [one, bad]);
    }

    #[test]
    fn one_key_has_one_text() {
        let key = |user: &str, device: &str| {
            let text = format!(r#"{{"user_id":{user},"device_id":{device},"client_timestamp":1}}"#);
            decode(&text)[0].clone().map(|(key, _, _)| key)
        };
        assert_eq!(key("20", r#""é\/""#).unwrap(), "20\u{1f}é/");
        assert_eq!(key(r#""20""#, r#""\u00e9/""#).unwrap(), "20\u{1f}é/");
        assert_eq!(key("1", "true").unwrap(), "1\u{1f}true");
        assert_eq!(key("-0", "18446744073709551615").unwrap(), "0\u{1f}18446744073709551615");
        assert_eq!(key("2.50", "1e2").unwrap(), "2.5\u{1f}100");
        assert_eq!(key("1", r#""\"\\\n\u001f""#).unwrap(), "1\u{1f}\"\\\n\u{1e}s");
        let rounded = "`device_id` is a number too large to be read exactly: send it as a text";
        assert_eq!(key("1", "18446744073709551616").unwrap_err(), rounded);
        assert_eq!(key("1", "1e300").unwrap_err(), rounded);
        assert_eq!(key("1", "1e999").unwrap_err(), rounded);
    }

    #[test]
    fn reasons_name_the_field() {
        assert_eq!(reason(""), "empty");
        assert_eq!(reason("\n "), "empty");
        assert_eq!(reason("[]"), "empty");
        assert_eq!(reason(" 7"), "not a JSON object");
        assert_eq!(reason("{}"), "`user_id` is missing");
        assert_eq!(reason(r#"{"user_id":1}"#), "`client_timestamp` is missing");
        assert_eq!(reason(r#"{"user_id":null,"device_id":2}"#), "`user_id` is null");
        let with = |device: &str, time: &str| {
            reason(&format!(r#"{{"user_id":1,"device_id":{device},"client_timestamp":{time}}}"#))
        };
        assert_eq!(with("{}", "1"), "`device_id` is an object; name one of its fields, as in `device_id.name`");
        assert_eq!(with("[1]", "1"), "`device_id` is an array; name one of its elements, such as `device_id[0]`");
        assert_eq!(with(r#""\ud800""#, "1"), "`device_id` is a text with an escape sequence without meaning");
        assert_eq!(with("1", "false"), "`client_timestamp` is not a time that can be read: \"false\"");
        assert_eq!(with("1", "null"), "`client_timestamp` is null");
        assert_eq!(with("1", r#""noon""#), r#"`client_timestamp` is not a time that can be read: "noon""#);
        assert_eq!(reason(r#"{"user_id":1,"device_id":2}"#), "`client_timestamp` is missing");
        assert_eq!(reason(r#"{"user_id" 1}"#), "not valid JSON: expected `:` at column 12");
        assert_eq!(reason(&ARTICLE[..50]), "not valid JSON: EOF while parsing a string at column 50");
        assert_eq!(decode_with(decoder(), b"{\"a\":\"\xff\"}"), [Err("not valid UTF-8".to_owned())]);
        let mut aggregate = kpl::tests::aggregate([]);
        aggregate.push(0);
        let broken = "begins like an aggregated record, but its checksum does not fit the bytes after it";
        assert_eq!(decode_with(decoder(), &aggregate), [Err(broken.to_owned())]);
    }

    #[test]
    fn times_and_values_may_be_numbers() {
        let text = r#"{"user_id":1,"device_id":2,"client_timestamp":1543534510.999999,"client_event":7.50}"#;
        assert_eq!(decode(text), [event("1\u{1f}2", 1_543_534_510, "7.50")]);
        for nothing in ["", r#","client_event":null"#, r#","client_event":"""#] {
            let text = format!(r#"{{"user_id":1,"device_id":2,"client_timestamp":"3"{nothing}}}"#);
            assert_eq!(decode(&text), [event("1\u{1f}2", 3, "")]);
        }
    }

    #[test]
    fn fields_of_fields() {
        let nested = |text: &str| decode_with(Decoder::new(fields(&["a.b", "a.c.d"])), text.as_bytes()).remove(0);
        let time = r#""client_timestamp":1"#;
        let whole = format!(r#"{{"a":{{"b":5,"c":{{"d":"x"}}}},{time}}}"#);
        assert_eq!(nested(&whole), event("5\u{1f}x", 1, ""));
        let dotted = format!(r#"{{"a.b":6,"a":{{"b":5,"c":{{"d":"x"}}}},{time}}}"#);
        assert_eq!(nested(&dotted), event("6\u{1f}x", 1, ""));
        let last = format!(r#"{{"a":{{"b":5,"c":{{"d":"x"}}}},"a":{{"b":7,"b":8}},{time}}}"#);
        assert_eq!(nested(&last), event("8\u{1f}", 1, ""));
        assert_eq!(nested(&format!(r#"{{"a":3,{time}}}"#)), Err("`a.b` is missing".to_owned()));
    }

    #[test]
    fn a_field_declared_an_integer_is_one() {
        let decoder = || Decoder::new(fields(&["user_id:int", "device_id"]));
        let key = |user: &str| {
            let text = format!(r#"{{"user_id":{user},"device_id":"d","client_timestamp":1}}"#);
            decode_with(decoder(), text.as_bytes()).remove(0).map(|(key, _, _)| key)
        };
        assert_eq!(key("-9223372036854775808").unwrap(), "-9223372036854775808\u{1f}d");
        for seven in ["7", r#""7""#, r#""007""#, r#""+7""#, "7.0"] {
            assert_eq!(key(seven).unwrap(), "7\u{1f}d", "{seven}");
        }
        for other in ["9223372036854775808", "1.5", r#""""#, r#""seven""#, "true"] {
            let reason = key(other).unwrap_err();
            assert!(reason.starts_with("`user_id` is no integer of 64 bits: "), "{reason}");
        }
        assert_eq!(key("null").unwrap_err(), "`user_id` is null");
    }

    /// Every object of a record has its own bytes, so that it can be read again without the others.
    fn bytes_of_each(data: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        decoder().decode_all(data, |bytes, _| all.push(String::from_utf8(bytes.to_vec()).unwrap()));
        all
    }

    #[test]
    fn each_object_has_its_own_bytes() {
        let text = format!("{ARTICLE}\n{{\"user_id\": \n}}\n{ARTICLE}[7]");
        assert_eq!(bytes_of_each(text.as_bytes()), [ARTICLE, "{\"user_id\":", "}", ARTICLE, "[7]"]);
    }

    /// As CloudWatch Logs puts it on a stream; its guide has the example that this follows.
    fn log_record(events: &str) -> String {
        format!(
            r#"{{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"shop","logStream":"web-1","subscriptionFilters":["all"],"logEvents":{events}}}"#
        )
    }

    fn log_event(message: &str) -> String {
        let message = Value::from(message);
        format!(r#"{{"id":"319","timestamp":1543534510000,"message":{message}}}"#)
    }

    #[test]
    fn records_of_cloudwatch_logs_are_read() {
        let plain = log_record(&format!("[{},{}, {}]", log_event(ARTICLE), log_event("no click"), log_event(ARTICLE)));
        let one = event("20\u{1f}mobile", 7, "beer_cart");
        let missing = Err("`user_id` is missing".to_owned());
        for data in [plain.as_bytes(), &gzip::packed(plain.as_bytes()).unwrap()] {
            assert_eq!(decode_with(decoder(), data), [one.clone(), missing.clone(), one.clone()]);
            let alone = [ARTICLE, "no click", ARTICLE].map(|message| log_record(&format!("[{}]", log_event(message))));
            assert_eq!(bytes_of_each(data), alone);
            assert_eq!(decode_with(decoder(), bytes_of_each(data)[2].as_bytes()), std::slice::from_ref(&one));
        }
        let control = plain.replace("DATA_MESSAGE", "CONTROL_MESSAGE");
        assert_eq!(decode_with(decoder(), &gzip::packed(control.as_bytes()).unwrap()), []);
        assert_eq!(decode(&log_record("7")), [Err("`logEvents` is no array".to_owned())]);
        assert_eq!(decode(&log_record("[7]")), [Err("not a JSON object".to_owned())]);
    }

    /// Text that is no JSON has the fields of its log event and of its stream.
    #[test]
    fn log_events_lend_their_fields() {
        let fields = |key: &[&str]| wanted(key, "timestamp", "message");
        let record = log_record(&format!("[{}]", log_event(r#" {"device_id":7,"message":"inner"} "#)));
        assert_eq!(
            decode_with(Decoder::new(fields(&["logStream", "device_id"])), record.as_bytes()),
            [event("web-1\u{1f}7", 1_543_534_510, "inner")]
        );
        let record = log_record(&format!("[{}]", log_event("GET /beer")));
        assert_eq!(
            decode_with(Decoder::new(fields(&["logGroup", "logStream"])), record.as_bytes()),
            [event("shop\u{1f}web-1", 1_543_534_510, "GET /beer")]
        );
    }

    #[test]
    fn gzip_is_unpacked_whatever_it_holds() {
        let one = event("20\u{1f}mobile", 7, "beer_cart");
        let packed = gzip::packed(format!("{ARTICLE}\n{ARTICLE}\n").as_bytes()).unwrap();
        assert_eq!(decode_with(decoder(), &packed), [one.clone(), one]);
        let cut = decode_with(decoder(), &packed[..packed.len() - 9]);
        assert!(cut[0].as_ref().unwrap_err().starts_with("gzip that cannot be unpacked: "), "{cut:?}");
        assert_eq!(decode_with(decoder(), &gzip::packed(b"\xff").unwrap()), [Err("not valid UTF-8".to_owned())]);
    }

    /// The same fields, read by way of whole values. `None` for a reject.
    fn naive(text: &str) -> Option<(String, i64, String)> {
        let object: Value = serde_json::from_str(text).ok()?;
        let find = |name: &str| object.get(name).or_else(|| name.split('.').try_fold(&object, |v, name| v.get(name)));
        let scalar = |value: &Value| match value {
            Value::Number(n) if n.is_i64() || n.is_u64() => Some(n.to_string()),
            Value::Number(n) => n.as_f64().filter(|n| n.abs() < 9e15).map(|n| n.to_string()),
            Value::String(text) => Some(text.clone()),
            other => other.as_bool().map(|known| known.to_string()),
        };
        let k = find("k").and_then(scalar)?;
        // A further key field may hold nothing.
        let a_b = find("a.b").filter(|value| !value.is_null()).map_or(Some(String::new()), scalar)?;
        let times = TimeReader::new(any_time());
        let time = match find("t")? {
            Value::String(text) => times.read(text)?,
            Value::Number(number) => times.read(&number.to_string())?,
            _ => return None,
        };
        let value = match find("v") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        Some((format!("{k}\u{1f}{a_b}"), time.as_micros() / 1_000_000, value))
    }

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            // Eighths: the naive way rounds other fractions, where a value keeps the digits that were sent.
            (-1_000_000..1_000_000).prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
            "[a-c\"\\\\\n\u{1}é🍺]{0,4}".prop_map(Value::from),
            (0..2_000_000_000_i64).prop_map(Value::from),
        ]
    }

    fn any_value() -> impl Strategy<Value = String> {
        let scalar = || scalar().prop_map(|value| value.to_string());
        // Text with every character escaped is the same text.
        let escaped = "[a-c\"\\\\é]{0,3}".prop_map(|text| {
            format!("\"{}\"", text.chars().map(|c| format!("\\u{:04x}", c as u32)).collect::<String>())
        });
        let object = (scalar(), scalar()).prop_map(|(b, c)| format!(r#"{{ "b" :{b},"c":{c}}}"#));
        prop_oneof![6 => scalar(), 2 => escaped, 3 => object, 1 => scalar().prop_map(|one| format!("[{one}]"))]
    }

    fn object() -> impl Strategy<Value = String> {
        let name = prop_oneof!["k", "a", "t", "v", "a\\.b", "x", "\\\\u006b"];
        let field =
            (name, any_value(), " ?\n?").prop_map(|(name, value, gap)| format!("{gap}\"{name}\"{gap}:{value}{gap}"));
        let usual = (any::<i64>(), any_value(), 0..2_000_000_000_i64);
        let usual = usual.prop_map(|(k, b, t)| format!(r#""k":{k},"a":{{"b":{b}}},"t":{t},"#));
        (prop_oneof![3 => usual, 1 => Just(String::new())], proptest::collection::vec(field, 1..6))
            .prop_map(|(usual, fields)| format!("{{{usual}{}}}", fields.join(",")))
    }

    fn small() -> Decoder {
        Decoder::new(wanted(&["k", "a.b"], "t", "v"))
    }

    /// White space within a value that is an object does not count.
    fn tight(event: Option<(String, i64, String)>) -> Option<(String, i64, String)> {
        event.map(|(key, time, value)| (key, time, value.replace(' ', "")))
    }

    proptest! {
        #[test]
        fn same_as_by_way_of_whole_values(text in object()) {
            let [event] = &decode_with(small(), text.as_bytes())[..] else { panic!("not one: {text}") };
            prop_assert_eq!(tight(event.clone().ok()), tight(naive(&text)), "{:?} {}", event, text);
        }

        #[test]
        fn as_many_as_there_are(texts in proptest::collection::vec(object(), 1..5)) {
            let events = decode_with(small(), texts.join("\n").as_bytes());
            let single: Vec<Event> = texts.iter().flat_map(|text| decode_with(small(), text.as_bytes())).collect();
            prop_assert_eq!(events, single);
        }

        #[test]
        fn any_bytes_are_one_event_or_reject_at_least(data in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(!decode_with(small(), &data).is_empty());
        }

        /// Closer to JSON than arbitrary bytes are.
        #[test]
        fn a_damaged_object_is_no_panic(text in object(), at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            let mut data = text.into_bytes();
            let at = at.index(data.len());
            data[at] = byte;
            prop_assert!(!decode_with(small(), &data).is_empty());
            prop_assert!(!decode_with(small(), &data[..at]).is_empty());
        }
    }

    /// `cargo test -p kinesis --release -- --ignored --nocapture speed_of_decoding`
    #[test]
    #[ignore = "a measurement"]
    fn speed_of_decoding() {
        let (mut decoder, mut events) = (decoder(), 0_u32);
        let started = std::time::Instant::now();
        for _ in 0..1_000_000 {
            decoder.decode_all(ARTICLE.as_bytes(), |_, event| events += u32::from(event.is_ok()));
        }
        println!("{events} events, {:?} each", started.elapsed() / events);
    }
}
