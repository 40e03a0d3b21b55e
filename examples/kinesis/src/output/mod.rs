//! Files of rows in the layout of Firehose, each of which appears once, whole, and for good.
//!
//! Rows wait in *segments*, objects beside the checkpoint: each checkpoint puts the rows since the one
//! before it into segments of each table, and then names all segments that wait. When a table has
//! waited long enough or holds enough, the checkpoint says so: these segments become files. Only once
//! that is written are the files put in their place, under names that it fixes. Whoever is killed in
//! between does it again from the same segments: the same names, the same bytes. Rows that had not
//! reached a checkpoint are in no file, and come again from the stream.
//!
//! The next run may ask for another place, prefix, format or compression. Files that a checkpoint
//! has promised still go where that checkpoint says, since some may be there; waiting rows go to the new place.

mod layout;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rows::SessionRow;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stagger::Timestamp;

pub(crate) use layout::{Compression, Format, Layout, Target, prefix};

use crate::store::Store;

const SEGMENTS: &str = "segments/";
/// How often to look for segments that belong to no checkpoint.
const TIDY_EVERY: Duration = Duration::from_secs(3_600);
/// The table of records and events that were not used.
pub(crate) const ERRORS: &str = "errors";

/// A row with the hour that it is filed under.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) hour: Timestamp,
    pub(crate) content: Content,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Content {
    Session(SessionRow),
    Error(Map<String, Value>),
    /// Of a stream of an application in SQL.
    Row(Map<String, Value>),
}

/// When the rows of a table become a file: whichever comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roll {
    pub(crate) bytes: u64,
    pub(crate) interval: Duration,
}

/// Waiting rows; part of the checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    tables: BTreeMap<String, Waiting>,
    /// Files that are being put in place, or have been since the last checkpoint.
    publishing: Vec<Publication>,
    /// Where `publishing` goes; none before the first run with files.
    target: Option<Target>,
}

impl Pending {
    /// Where the last run has put its files, if it had any.
    pub(crate) fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }
}

/// The segments of a table that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    segments: Vec<Segment>,
    /// When the first of their rows came into safety.
    since: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Segment {
    name: String,
    bytes: u64,
    /// CRC-32 of its bytes.
    checksum: u32,
}

impl Waiting {
    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// The segments in groups of at least this size each, but for the last.
    fn in_groups(self, enough: u64) -> Vec<Vec<Segment>> {
        let mut groups: Vec<Vec<Segment>> = Vec::new();
        let mut bytes = enough;
        for segment in self.segments {
            if bytes >= enough {
                groups.push(Vec::new());
                bytes = 0;
            }
            bytes += segment.bytes;
            if let Some(group) = groups.last_mut() {
                group.push(segment);
            }
        }
        groups
    }
}

/// Segments that become files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Publication {
    table: String,
    segments: Vec<Segment>,
    /// Together they make the names of the files.
    number: u64,
    part: usize,
    time: Timestamp,
}

/// The number of new files and their rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) files: u64,
    pub(crate) rows: u64,
}

/// Where files appear, and how.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) output: Store,
    pub(crate) layout: Layout,
}

/// The rows on their way.
#[derive(Debug)]
pub(crate) struct Files {
    /// Where segments wait.
    state: Store,
    to: Destination,
    /// Where the files go that the checkpoint of an earlier run has promised, if that is another place.
    promised_to: Option<Destination>,
    roll: Roll,
    pending: Pending,
    /// Rows since the last checkpoint, by table.
    fresh: BTreeMap<String, Vec<u8>>,
    /// Segments that no checkpoint will need.
    used: Vec<String>,
    /// Segments written by this process.
    written: u64,
    /// Is in the names of segments. Another process on the same state, which will find that it is one
    /// too many when it saves its checkpoint, must not write over those of this one.
    process: u64,
    /// When segments that belong to no checkpoint were looked for; never before this process has saved a
    /// checkpoint, nor once it is to look again.
    tidied: Option<Instant>,
}

impl Files {
    /// Goes on from a checkpoint. `promised_to` is needed if the target of that differs.
    pub(crate) fn new(
        state: Store,
        to: Destination,
        promised_to: Option<Destination>,
        roll: Roll,
        pending: Pending,
    ) -> Self {
        Self {
            state,
            to,
            promised_to,
            roll,
            pending,
            fresh: BTreeMap::new(),
            used: Vec::new(),
            process: rand::random(),
            written: 0,
            tidied: None,
        }
    }

    /// Takes a row for a table. Returns once it has memory for another one.
    pub(crate) async fn add(&mut self, table: &str, row: &Row) -> Result<()> {
        if !self.fresh.contains_key(table) {
            self.fresh.insert(table.to_owned(), Vec::new());
        }
        let Some(lines) = self.fresh.get_mut(table) else { return Ok(()) };
        serde_json::to_writer(&mut *lines, row)?;
        lines.push(b'\n');
        if lines.len() as u64 >= self.roll.bytes {
            self.secure(table.to_owned()).await?;
        }
        Ok(())
    }

    /// Writes the fresh rows of a table as a segment. It counts once a checkpoint names it.
    async fn secure(&mut self, table: String) -> Result<()> {
        let Some(lines) = self.fresh.remove(&table) else { return Ok(()) };
        self.written += 1;
        let name = format!("{SEGMENTS}{table}-{:016x}-{:06}", self.process, self.written);
        let (bytes, checksum) = (lines.len() as u64, crc32fast::hash(&lines));
        let segment = Segment { name: name.clone(), bytes, checksum };
        self.state.put(&name, lines).await?;
        let since = now();
        let waiting = self.pending.tables.entry(table).or_insert_with(|| Waiting { segments: Vec::new(), since });
        waiting.segments.push(segment);
        Ok(())
    }

    /// Whether a table holds enough for a file, so that a checkpoint should not wait.
    pub(crate) fn is_full(&self) -> bool {
        self.pending.tables.iter().any(|(table, waiting)| {
            let fresh = self.fresh.get(table).map_or(0, Vec::len) as u64;
            waiting.bytes() + fresh >= self.roll.bytes
        })
    }

    /// Whether the next checkpoint has anything to say about files.
    pub(crate) fn has_news(&self) -> bool {
        !self.fresh.is_empty()
            || !self.pending.publishing.is_empty()
            || self.pending.tables.values().any(|waiting| now().since(waiting.since) >= self.roll.interval)
    }

    /// Before checkpoint `number`: brings the rows into safety and decides which rows become a file: at the
    /// end everything. The result belongs into the checkpoint.
    pub(crate) async fn stage(&mut self, number: u64, is_end: bool) -> Result<Pending> {
        let now = now();
        for done in std::mem::take(&mut self.pending.publishing) {
            self.used.extend(done.segments.into_iter().map(|segment| segment.name));
        }
        self.promised_to = None;
        self.pending.target = Some(self.to.layout.target.clone());
        self.tidied.take_if(|tidied| is_end || tidied.elapsed() >= TIDY_EVERY);
        let fresh: Vec<String> = self.fresh.keys().cloned().collect();
        for table in fresh {
            self.secure(table).await?;
        }
        let Roll { bytes, interval } = self.roll;
        let must_go = |waiting: &Waiting| waiting.bytes() >= bytes || now.since(waiting.since) >= interval;
        let going = self.pending.tables.extract_if(.., |_, waiting| is_end || must_go(waiting));
        for (table, waiting) in going {
            for (part, segments) in waiting.in_groups(bytes).into_iter().enumerate() {
                self.pending.publishing.push(Publication { table: table.clone(), segments, number, part, time: now });
            }
        }
        Ok(self.pending.clone())
    }

    /// After the checkpoint is safe: puts the files in their place, and deletes objects that are of no
    /// use any more.
    pub(crate) async fn commit(&mut self) -> Result<Published> {
        let published = self.publish().await?;
        for segment in std::mem::take(&mut self.used) {
            self.state.delete(&segment).await?;
        }
        if self.tidied.is_none() {
            self.tidy().await?;
            self.tidied = Some(Instant::now());
        }
        Ok(published)
    }

    /// Puts files in their place; by itself after a restart, since the last process may have been killed
    /// before it had done so.
    pub(crate) async fn publish(&self) -> Result<Published> {
        let mut published = Published::default();
        let Destination { output, layout } = self.promised_to.as_ref().unwrap_or(&self.to);
        for publication in &self.pending.publishing {
            let mut by_hour: BTreeMap<Timestamp, Vec<Content>> = BTreeMap::new();
            for segment in &publication.segments {
                for row in self.segment(segment).await? {
                    by_hour.entry(row.hour).or_default().push(row.content);
                }
            }
            for (hour, rows) in by_hour {
                let name = layout.name(hour, publication);
                published.files += 1;
                published.rows += rows.len() as u64;
                output.put(&name, layout.file(rows)?).await?;
            }
        }
        Ok(published)
    }

    async fn segment(&self, segment: &Segment) -> Result<Vec<Row>> {
        let Segment { name, checksum, .. } = segment;
        let place = || format!("the waiting rows in {name}, beside the checkpoint in {},", self.state.place());
        let instead = "put back a copy of the whole --state, or begin anew with another --state and --output";
        let lines = self.state.get(name).await?;
        let lines = lines.with_context(|| format!("{} are missing: {instead}", place()))?;
        ensure!(crc32fast::hash(&lines) == *checksum, "{} are damaged: their checksum differs; {instead}", place());
        let rows = serde_json::Deserializer::from_slice(&lines).into_iter();
        rows.collect::<Result<_, _>>().with_context(|| format!("{} are not understood", place()))
    }

    /// Deletes the segments that belong to no checkpoint: a process was killed before it had saved one, or
    /// found that another has taken its place. Just after this process has saved one itself, and so knows
    /// that it is the only one; and now and then, since the other may have written more since.
    async fn tidy(&self) -> Result<()> {
        let waiting = self.pending.tables.values().flat_map(|waiting| &waiting.segments);
        let publishing = self.pending.publishing.iter().flat_map(|publication| &publication.segments);
        let needed: BTreeSet<&String> = waiting.chain(publishing).map(|segment| &segment.name).collect();
        for name in self.state.list(SEGMENTS).await? {
            if !needed.contains(&name) {
                self.state.delete(&name).await?;
            }
        }
        Ok(())
    }
}

fn now() -> Timestamp {
    Timestamp::from(chrono::Utc::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Dir;
    use events::columns::Columns;

    fn row(hour: i64, text: &str) -> Row {
        let content = Content::Error([("text".to_owned(), text.into())].into_iter().collect());
        Row { hour: Timestamp::from_secs(hour * 3_600), content }
    }

    struct Place(tempfile::TempDir);

    impl Place {
        fn store(&self, name: &str) -> Store {
            Store::Dir(Dir::new(self.0.path().join(name)))
        }

        fn destination(&self, format: Format, prefix: &str) -> Destination {
            let output = "output".to_owned();
            let target = Target { output, prefix: prefix.to_owned(), format, compression: Compression::None };
            let columns = Columns::declared(&["user_id"]).unwrap();
            Destination {
                output: self.store("output"),
                layout: Layout { target, stream: "clicks".to_owned(), columns },
            }
        }

        fn files(&self, bytes: u64, pending: Pending) -> Files {
            let roll = Roll { bytes, interval: Duration::from_secs(1_000_000) };
            Files::new(self.store("state"), self.destination(Format::Json, "out/"), None, roll, pending)
        }

        /// All rows that can be seen, in order.
        async fn visible(&self) -> Vec<String> {
            let output = self.store("output");
            let mut rows = Vec::new();
            for name in output.list("").await.unwrap() {
                let bytes = output.get(&name).await.unwrap().unwrap();
                let text = String::from_utf8(bytes).unwrap();
                let folder = name.rsplit_once('/').unwrap().0;
                rows.extend(text.lines().map(|line| format!("{folder} {line}")));
            }
            rows.sort();
            rows
        }
    }

    #[tokio::test]
    async fn rows_come_into_sight_with_the_checkpoint_and_once() {
        let place = Place(tempfile::tempdir().unwrap());
        let mut files = place.files(1, Pending::default());
        files.add("t", &row(1, "a")).await.unwrap();
        files.add("t", &row(2, "b")).await.unwrap();
        let pending = files.stage(1, false).await.unwrap();
        assert!(place.visible().await.is_empty(), "the checkpoint is not written yet");

        // Killed behind the checkpoint, before anything was put in its place; and again after half of it.
        let seen = ["out/t/1970/01/01/01 {\"text\":\"a\"}", "out/t/1970/01/01/02 {\"text\":\"b\"}"];
        for _ in 0..2 {
            let again = place.files(1, pending.clone());
            assert_eq!(again.publish().await.unwrap(), Published { files: 2, rows: 2 });
            assert_eq!(place.visible().await, seen);
        }
    }

    #[tokio::test]
    async fn what_no_checkpoint_names_is_forgotten() {
        let place = Place(tempfile::tempdir().unwrap());
        let mut files = place.files(1_000, Pending::default());
        files.add("t", &row(1, "kept")).await.unwrap();
        let pending = files.stage(1, false).await.unwrap();
        files.add("t", &row(1, "lost with the process")).await.unwrap();
        files.stage(2, true).await.unwrap();

        let mut again = place.files(1_000, pending);
        again.add("t", &row(1, "comes again")).await.unwrap();
        again.stage(2, true).await.unwrap();
        again.commit().await.unwrap();
        again.stage(3, true).await.unwrap();
        again.commit().await.unwrap();
        let texts = ["out/t/1970/01/01/01 {\"text\":\"comes again\"}", "out/t/1970/01/01/01 {\"text\":\"kept\"}"];
        assert_eq!(place.visible().await, texts);
        assert!(again.state.list(SEGMENTS).await.unwrap().is_empty(), "segments go once their rows are in files");
    }

    #[tokio::test]
    async fn a_table_waits_until_it_holds_enough() {
        let place = Place(tempfile::tempdir().unwrap());
        let mut files = place.files(100, Pending::default());
        files.add("t", &row(1, "a")).await.unwrap();
        files.stage(1, false).await.unwrap();
        assert_eq!(files.commit().await.unwrap(), Published::default());
        assert!(!files.is_full());
        files.add("t", &row(1, "b")).await.unwrap();
        assert!(files.is_full());
        files.stage(2, false).await.unwrap();
        assert_eq!(files.commit().await.unwrap(), Published { files: 1, rows: 2 });
    }

    /// Many rows at once do not stay in memory until the checkpoint, and make several files.
    #[tokio::test]
    async fn many_rows_go_in_parts() {
        let place = Place(tempfile::tempdir().unwrap());
        let mut files = place.files(100, Pending::default());
        for number in 0..10 {
            files.add("t", &row(1, &number.to_string())).await.unwrap();
            assert!(files.fresh.values().all(|lines| lines.len() < 100));
        }
        files.stage(1, false).await.unwrap();
        assert_eq!(files.commit().await.unwrap(), Published { files: 5, rows: 10 });
        assert_eq!(place.visible().await.len(), 10);
    }

    /// Killed with some files in their place, and started again with another prefix: no row is there twice.
    #[tokio::test]
    async fn what_was_promised_goes_where_it_was_promised_to() {
        let place = Place(tempfile::tempdir().unwrap());
        let mut files = place.files(1, Pending::default());
        files.add("t", &row(1, "a")).await.unwrap();
        files.add("t", &row(2, "b")).await.unwrap();
        let pending = files.stage(1, false).await.unwrap();
        files.publish().await.unwrap();
        let old = pending.target().unwrap().clone();
        assert_eq!(old, place.destination(Format::Json, "out/").layout.target);

        let (new, old) = (place.destination(Format::Json, "new/"), place.destination(old.format, &old.prefix));
        let roll = Roll { bytes: 1, interval: Duration::ZERO };
        let mut again = Files::new(place.store("state"), new, Some(old), roll, pending);
        again.publish().await.unwrap();
        let mut seen = vec!["out/t/1970/01/01/01 {\"text\":\"a\"}", "out/t/1970/01/01/02 {\"text\":\"b\"}"];
        assert_eq!(place.visible().await, seen);
        again.add("t", &row(3, "c")).await.unwrap();
        again.stage(2, false).await.unwrap();
        again.commit().await.unwrap();
        seen.insert(0, "new/t/1970/01/01/03 {\"text\":\"c\"}");
        assert_eq!(place.visible().await, seen);
    }

    #[tokio::test]
    async fn a_changed_digit_in_a_segment_is_noticed() {
        let place = Place(tempfile::tempdir().unwrap());
        let mut files = place.files(1, Pending::default());
        files.add("t", &row(1, "1")).await.unwrap();
        let pending = files.stage(1, false).await.unwrap();
        let name = pending.publishing[0].segments[0].name.clone();
        let text = String::from_utf8(place.store("state").get(&name).await.unwrap().unwrap()).unwrap();
        let changed = text.replace("\"1\"", "\"2\"");
        assert_ne!(changed, text);
        place.store("state").put(&name, changed.into_bytes()).await.unwrap();
        let error = place.files(1, pending).publish().await.unwrap_err().to_string();
        assert!(error.contains(&name) && error.contains("checksum differs; put back"), "{error}");
        assert!(place.visible().await.is_empty());
    }

    /// A process that was fenced off may write a segment after this one has looked for such.
    #[tokio::test]
    async fn segments_of_a_fenced_process_are_deleted() {
        let place = Place(tempfile::tempdir().unwrap());
        let mut files = place.files(1_000, Pending::default());
        files.add("t", &row(1, "mine")).await.unwrap();
        files.stage(1, false).await.unwrap();
        files.commit().await.unwrap();
        place.files(1, Pending::default()).add("t", &row(1, "fenced")).await.unwrap();
        assert_eq!(files.state.list(SEGMENTS).await.unwrap().len(), 2);
        for number in 2..4 {
            files.stage(number, true).await.unwrap();
            files.commit().await.unwrap();
        }
        assert_eq!(place.visible().await, ["out/t/1970/01/01/01 {\"text\":\"mine\"}"]);
        assert!(files.state.list(SEGMENTS).await.unwrap().is_empty());
    }
}
