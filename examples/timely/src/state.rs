//! The files of a job: one folder for each checkpoint.
//!
//! ```text
//! STATE/1543450200000000/        the epoch, in microseconds since 1970
//!     0-of-2.sessions.jsonl      rows of the sessions that ended since the checkpoint before
//!     0-of-2.unused.jsonl        events and lines that are in no session
//!     0-of-2.state               open sessions, and how far each input was read
//!     0-of-2.done                the three above are complete
//!     1-of-2.…                   those of the other worker
//! STATE/end/                     the last rows
//! STATE/job.json                 the settings of the job
//! ```
//!
//! A checkpoint is complete, and its rows are final, when each worker of a run has written `done`. A restart goes on
//! from the newest complete one. Files that a killed run had written behind it are incomplete, so nobody reads them.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use stagger::Snapshot;

use crate::message::{Epoch, Progress};

/// The state of one worker before an epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Saved {
    pub epoch: Epoch,
    pub progress: Progress,
    pub engine: Snapshot<String, String>,
}

/// Where a run begins.
#[derive(Clone, Debug, Default)]
pub struct Resumed {
    /// None at the very beginning.
    pub epoch: Option<Epoch>,
    pub progress: Progress,
    pub engine: Option<Snapshot<String, String>>,
}

/// The folder with all checkpoints.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// When a checkpoint was, in order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    Before(Epoch),
    End,
}

/// A checkpoint that this number of workers have completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub when: When,
    pub workers: usize,
}

/// The files that one worker writes for a checkpoint.
pub struct Part<'p> {
    pub sessions: &'p [u8],
    pub unused: &'p [u8],
    /// None at the end.
    pub state: Option<&'p Saved>,
}

/// States that are kept: the newest complete one, and those behind which a run may still be.
const KEPT: usize = 3;

impl Folder {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// All complete checkpoints, the oldest first.
    pub fn complete(&self) -> Result<Vec<Checkpoint>> {
        let mut found: Vec<Checkpoint> = Vec::new();
        for name in names(&self.0)? {
            let Some(when) = When::parse(&name) else { continue };
            let mut done: BTreeMap<usize, usize> = BTreeMap::new();
            for file in names(&self.0.join(&name))? {
                if let Some(workers) = file.strip_suffix(".done").and_then(|part| part.split_once("-of-")) {
                    *done.entry(workers.1.parse().unwrap_or(0)).or_default() += 1;
                }
            }
            // Of two numbers of workers either would do: the rows are the same.
            let complete = done.into_iter().find(|(workers, parts)| workers == parts && *workers > 0);
            found.extend(complete.map(|(workers, _)| Checkpoint { when, workers }));
        }
        found.sort_by_key(|checkpoint| checkpoint.when);
        Ok(found)
    }

    /// The share of a worker in the state of the newest checkpoint. `None`: the job has ended already.
    pub fn resume(&self, worker: usize, workers: usize) -> Result<Option<Resumed>> {
        let Some(newest) = self.complete()?.pop() else { return Ok(Some(Resumed::default())) };
        let When::Before(epoch) = newest.when else { return Ok(None) };
        let parts = (0..newest.workers).map(|part| self.load(newest, part)).collect::<Result<Vec<Saved>>>()?;
        let mut progress = Progress::new();
        for (source, reached) in parts.iter().flat_map(|part| &part.progress) {
            progress.entry(*source).or_default().join(*reached);
        }
        let mut engines = parts.into_iter().map(|part| part.engine);
        let engine = if newest.workers == workers {
            engines.nth(worker)
        } else {
            let whole = Snapshot::join(engines).context("cannot join the parts of the state")?;
            let pieces = whole.split(workers, |key| stagger::partition_of(key, workers));
            pieces.into_iter().nth(worker)
        };
        Ok(Some(Resumed { epoch: Some(epoch), progress, engine }))
    }

    /// When the newest complete checkpoint was.
    pub fn newest(&self) -> Result<Option<When>> {
        Ok(self.complete()?.last().map(|newest| newest.when))
    }

    fn load(&self, checkpoint: Checkpoint, part: usize) -> Result<Saved> {
        let path = self.path(checkpoint.when, part, checkpoint.workers, "state");
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        postcard::from_bytes(&bytes).with_context(|| format!("{} is damaged, or of another version", path.display()))
    }

    /// Writes the part of a worker. Its rows are final when the others have written theirs.
    pub fn write(&self, when: When, worker: usize, workers: usize, part: &Part<'_>) -> Result<()> {
        let path = |what: &str| self.path(when, worker, workers, what);
        fs::create_dir_all(self.0.join(when.name())).with_context(|| format!("cannot make {}", self.0.display()))?;
        put(&path("sessions.jsonl"), part.sessions)?;
        put(&path("unused.jsonl"), part.unused)?;
        if let Some(state) = part.state {
            put(&path("state"), &postcard::to_stdvec(state).context("cannot write the state")?)?;
        }
        put(&path("done"), b"")
    }

    /// Removes states of this worker that no restart needs. Rows stay.
    pub fn clean(&self, worker: usize, workers: usize) -> Result<()> {
        let complete = self.complete()?;
        let old = complete.len().saturating_sub(KEPT);
        for checkpoint in &complete[..old] {
            match fs::remove_file(self.path(checkpoint.when, worker, workers, "state")) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).context("cannot clean up"),
                _ => {}
            }
        }
        Ok(())
    }

    /// The final rows, or the events in no session: the files of all complete checkpoints, in order of time.
    pub fn rows(&self, what: &str) -> Result<Vec<PathBuf>> {
        let complete = self.complete()?;
        ensure!(
            !complete.is_empty(),
            "{} has no complete checkpoint: its job has not come to one yet, or it is no folder of --state",
            self.0.display()
        );
        let parts = |checkpoint: Checkpoint| {
            (0..checkpoint.workers).map(move |part| self.path(checkpoint.when, part, checkpoint.workers, what))
        };
        Ok(complete.into_iter().flat_map(parts).collect())
    }

    fn path(&self, when: When, worker: usize, workers: usize, what: &str) -> PathBuf {
        self.0.join(when.name()).join(format!("{worker}-of-{workers}.{what}"))
    }
}

impl When {
    fn name(self) -> String {
        match self {
            Self::Before(epoch) => epoch.to_string(),
            Self::End => "end".to_owned(),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        if name == "end" { Some(Self::End) } else { name.parse().ok().map(Self::Before) }
    }
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    let name = |entry: std::io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    entries.map(name).collect()
}

/// A file under its name is whole: it is written beside, and then renamed.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    crash_if_asked();
    let beside = path.with_extension("writing");
    let write = || {
        fs::write(&beside, bytes)?;
        fs::File::open(&beside)?.sync_all()?;
        fs::rename(&beside, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// For tests: the process aborts before it writes the file of this number, from 1, or panics with `panic` before it.
pub const CRASH: &str = "TIMELY_SESSIONS_CRASH";

fn crash_if_asked() {
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    let written = WRITTEN.fetch_add(1, Ordering::Relaxed) + 1;
    let asked = std::env::var(CRASH).unwrap_or_default();
    if asked == written.to_string() {
        std::process::abort();
    }
    assert!(asked != format!("panic {written}"), "asked for");
}
