//! The inputs: files, standard input and the bundled clicks, unpacked.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use program::say::say;
use program::{same, stdin};

use crate::cri;
use crate::failure::{Failure, Outcome};
use crate::lines::BYTE_ORDER_MARK;
use crate::packed;
#[cfg(feature = "parquet")]
use crate::parquet;
use crate::parse::csv;

/// A day of clicks made by the program `generate`; the README beside it has the command.
const BUNDLED: &[u8] = include_bytes!("../../data/clicks.jsonl.gz");

/// The first lines, enough to tell the format and the names of the fields.
const SAMPLE: usize = 64 << 10;

/// What to read.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Bundled,
    Stdin,
    File(PathBuf),
}

impl Source {
    pub fn new(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdin } else { Self::File(path.to_owned()) }
    }

    /// As it is called in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Bundled => "the bundled clicks".to_owned(),
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// The file name, if there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Bundled => Some(Path::new("clicks.jsonl.gz")),
            Self::Stdin => None,
            Self::File(path) => Some(path),
        }
    }

    /// The file that is read, if it is not in the program itself.
    pub fn input(&self) -> Option<same::Input<'_>> {
        match self {
            Self::Bundled => None,
            Self::Stdin => Some(same::Input::Stdin),
            Self::File(path) => Some(same::Input::File(path)),
        }
    }

    /// How many bytes there are to read, if that can be known before.
    pub fn bytes(&self) -> Option<u64> {
        match self {
            Self::Bundled => Some(BUNDLED.len() as u64),
            Self::Stdin => None,
            Self::File(path) => path.metadata().ok().filter(|meta| meta.is_file()).map(|meta| meta.len()),
        }
    }

    /// Opens the input. Bytes are counted in `read` as they come, packed or not.
    pub fn open(&self, read: &Arc<AtomicU64>) -> Outcome<Input> {
        // Of a file all of the sample can be had at once.
        let mut is_at_hand = true;
        let raw: Box<dyn Read + Send> = match self {
            Self::Bundled => Box::new(BUNDLED),
            Self::Stdin => {
                stdin::check()?;
                is_at_hand = false;
                Box::new(io::stdin())
            }
            Self::File(path) => {
                #[cfg_attr(not(feature = "parquet"), expect(unused_mut, reason = "it is read for its first bytes"))]
                let mut file = File::open(path).map_err(|error| Failure::file("read", path, &error))?;
                if file.metadata().is_ok_and(|meta| meta.is_dir()) {
                    return Err(Failure::usage(format_args!(
                        "cannot read {}: it is a folder; give its files, as in {}",
                        path.display(),
                        path.join("*").display()
                    )));
                }
                #[cfg(feature = "parquet")]
                if parquet::is_parquet(&mut file) {
                    let rows = parquet::JsonLines::open(file).map_err(|error| self.unreadable(&error))?;
                    return Ok(Input::of_rows(rows));
                }
                let has_length = file.metadata().is_ok_and(|meta| meta.len() > 0);
                is_at_hand = has_length;
                Box::new(Whole { file, has_length, read: 0 })
            }
        };
        let raw = Counted { inner: raw, read: Arc::clone(read) };
        Input::new(raw, is_at_hand).map_err(|error| self.unreadable(&error))?.map_err(|packed| self.refused(packed))
    }

    /// The failure of reading this input.
    pub fn unreadable(&self, error: &io::Error) -> Failure {
        Failure::file("read", Path::new(&self.name()), error)
    }

    fn refused(&self, how: &str) -> Failure {
        Failure::usage(format_args!("cannot read {}: it is {how}", self.name()))
    }
}

/// A file that must not become shorter while it is read.
struct Whole {
    file: File,
    /// Files of the system itself, as in /proc, and pipes have none.
    has_length: bool,
    read: u64,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read += read as u64;
        if read == 0 && !buffer.is_empty() && self.is_cut() {
            self.read = 0; // it is told once
            return Err(io::Error::other("it was cut while it was read"));
        }
        Ok(read)
    }
}

impl Whole {
    fn is_cut(&self) -> bool {
        self.has_length && self.file.metadata().is_ok_and(|known| known.len() < self.read)
    }
}

/// Says that the bundled clicks are read while standard input may have what was meant. Only a note: a program that
/// starts this one may leave a pipe as standard input.
pub fn note_unread_stdin(inputs: &[PathBuf]) {
    if inputs.is_empty() && stdin_may_have_content() {
        say("note: reading the bundled clicks; pass - to read standard input");
    }
}

/// Whether standard input is a pipe or a file: neither a terminal nor a device such as /dev/null.
#[cfg(unix)]
fn stdin_may_have_content() -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt;
    let known = io::stdin().as_fd().try_clone_to_owned().and_then(|stdin| File::from(stdin).metadata());
    known.is_ok_and(|known| known.is_file() || known.file_type().is_fifo())
}

/// Whether standard input is a pipe or a file, which is known on Unix only.
#[cfg(not(unix))]
fn stdin_may_have_content() -> bool {
    false
}

/// An open input, unpacked.
pub struct Input {
    /// The beginning of the content, for a look at it. Empty only if there is no content.
    pub sample: Vec<u8>,
    rest: Box<dyn Read + Send>,
    /// What failed behind the sample.
    failure: Option<io::Error>,
    /// Its lines are JSON, whatever the options say about formats.
    pub(crate) is_table: bool,
}

impl Input {
    fn new(mut raw: impl Read + Send + 'static, is_at_hand: bool) -> io::Result<Result<Self, &'static str>> {
        let (head, failure) = beginning(&mut raw, packed::MAGIC, |_| false);
        if let Some(error) = failure {
            return Err(error);
        }
        if let Some((_, how)) = UNREADABLE.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Ok(Err(how));
        }
        let raw = Cursor::new(head.clone()).chain(raw);
        let mut rest = packed::unpacked(&head, raw);
        let (mut sample, failure) = beginning(&mut rest, SAMPLE, |sample| !is_at_hand && has_first_line(sample));
        if sample.starts_with(BYTE_ORDER_MARK) {
            sample.drain(..BYTE_ORDER_MARK.len());
        }
        if let Some(how) = unusable(&sample) {
            return Ok(Err(how));
        }
        let input = Self { sample, rest, failure, is_table: false };
        let first = input.sample.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
        Ok(Ok(if first.is_some_and(cri::is_framed) { input.unframed() } else { input }))
    }

    /// The text in the frames that Kubernetes puts around each line.
    fn unframed(self) -> Self {
        let rest = cri::Unframed::new(self.content());
        Self::beginning_of(rest, false)
    }

    /// Rows of a table as lines of JSON.
    #[cfg(feature = "parquet")]
    fn of_rows(rows: impl Read + Send + 'static) -> Self {
        Self::beginning_of(rows, true)
    }

    fn beginning_of(mut rest: impl Read + Send + 'static, is_table: bool) -> Self {
        let (sample, failure) = beginning(&mut rest, SAMPLE, has_first_line);
        Self { sample, rest: Box::new(rest), failure, is_table }
    }

    /// An input that begins with a sample and goes on elsewhere.
    pub fn going_on(sample: Vec<u8>, rest: Box<dyn Read + Send>) -> Self {
        Self { sample, rest, failure: None, is_table: false }
    }

    /// The whole content, from its beginning.
    pub fn content(self) -> impl Read + Send {
        Cursor::new(self.sample).chain(Failing { failure: self.failure, rest: self.rest })
    }
}

/// The content after a beginning that has been read, perhaps up to a failure.
pub struct Failing<R> {
    pub failure: Option<io::Error>,
    pub rest: R,
}

impl<R: Read> Read for Failing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.failure.take() {
            Some(error) => Err(error),
            None => self.rest.read(buffer),
        }
    }
}

/// What other programs must unpack or convert first, by the first bytes.
const UNREADABLE: [(&[u8], &str); 17] = [
    (b"\x1f\x9d", "packed by compress: unpack it with `zcat` and give `-` as the input"),
    (b"\x04\x22\x4d\x18", "packed by lz4: unpack it with `lz4 -dc` and give `-` as the input"),
    (b"\x02\x21\x4c\x18", "packed by lz4: unpack it with `lz4 -dc` and give `-` as the input"),
    (b"LZIP\x01", "packed by lzip: unpack it with `lzip -dc` and give `-` as the input"),
    (b"\x89LZO\0", "packed by lzop: unpack it with `lzop -dc` and give `-` as the input"),
    (b"LPKSHH", "a journal of systemd: give `-` the output of `journalctl --file FILE -o json`"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it with `7z x -so` and give `-` as the input"),
    (b"PAR1", PARQUET),
    (b"PK\x05\x06", "a zip file without content"),
    (b"PK\x03\x04", "a zip file: unpack it with `unzip -p` and give `-` as the input"),
    (b"\xff\xfe", IN_UTF_16),
    (b"\xfe\xff", IN_UTF_16),
    (b"\xd0\xcf\x11\xe0", "a file of an old Excel, or of another program of Office: save it as CSV"),
    (b"SQLite", "a database of SQLite: give `-` the output of `sqlite3 -csv -header FILE 'SELECT …'`"),
    (b"Obj\x01", "an Avro file: give `-` the output of `avro-tools tojson`"),
    (b"\xff\x06\0\0sN", "packed by Snappy: unpack it with `snzip -dc` and give `-` as the input"),
    (b"Rar!", "a rar archive: unpack it with `unrar p -inul` and give `-` as the input"),
];
const PARQUET: &str = "a Parquet file: give it by its name to `files` built with `--features parquet`, or give `-` the output \
    of `duckdb -c \"COPY (FROM 'x.parquet') TO '/dev/stdout' (FORMAT json)\"`";
const IN_UTF_16: &str = "in UTF-16: convert it with `iconv -f UTF-16 -t UTF-8` and give `-` as the input";

/// What other programs must unpack or convert first, by the first bytes after unpacking. The sample has a line end,
/// or else it is the whole content or long.
fn unusable(sample: &[u8]) -> Option<&'static str> {
    const TAR: (usize, &[u8]) = (257, b"ustar");
    let is_zero_at = |odd: usize| sample.iter().take(64).enumerate().all(|(at, byte)| (at % 2 == odd) == (*byte == 0));
    let is_json = || sample.trim_ascii_start().starts_with(b"{") || sample.trim_ascii_start().starts_with(b"[");
    if sample.starts_with(b"\x1f\x8b\x08") {
        Some("packed twice: unpack it once with `zcat` and give `-` as the input")
    } else if sample.get(TAR.0..).is_some_and(|rest| rest.starts_with(TAR.1)) {
        Some("a tar archive: unpack its files with `tar -xO` and give `-` as the input")
    } else if sample.len() >= 8 && (is_zero_at(1) || is_zero_at(0)) {
        Some(IN_UTF_16)
    } else if is_markup(sample) {
        Some("a page of HTML, or XML: fetch or save the data themselves")
    } else if !sample.contains(&b'\n') && sample.trim_ascii_end().contains(&b'\r') && !is_json() {
        Some("a text whose lines end with CR alone: convert it with `tr '\\r' '\\n'` and give `-` as the input")
    } else {
        None
    }
}

/// Whether a text begins a page or a document, as a server answers that asks for a password.
fn is_markup(sample: &[u8]) -> bool {
    let text = sample.trim_ascii_start();
    let begins = |mark: &[u8]| text.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark));
    [&b"<!doctype"[..], b"<html", b"<?xml"].iter().any(|mark| begins(mark))
}

/// Whether the first line is there, and the second if the first one only names a delimiter.
fn has_first_line(sample: &[u8]) -> bool {
    let mut ends = memchr::memchr_iter(b'\n', sample);
    let first = ends.next().map(|end| &sample[..end]);
    first.is_some_and(|first| csv::named_delimiter(first).is_none() || ends.next().is_some())
}

/// Reads up to `most` bytes, or fewer once there are `enough`. Comes with what failed behind them.
fn beginning(reader: &mut impl Read, most: usize, enough: impl Fn(&[u8]) -> bool) -> (Vec<u8>, Option<io::Error>) {
    let mut bytes = vec![0; most];
    let (mut length, mut failure) = (0, None);
    while length < most && !enough(&bytes[..length]) {
        match reader.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    bytes.truncate(length);
    (bytes, failure)
}

/// Counts what passes through.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
