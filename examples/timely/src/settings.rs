//! What makes a job: the folder of its state is for no other.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use program::growing;
use serde::{Deserialize, Serialize};

use crate::options::Run;
use crate::state::When;

/// Settings that decide which rows there are. Workers and processes do not.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    options: Vec<(String, String)>,
    inputs: Vec<Input>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Input {
    path: PathBuf,
    bytes: u64,
}

impl Settings {
    pub fn new(run: &Run) -> Self {
        let of_job = [
            ("rule", run.rule.text()),
            ("--out-of-order", events::lengths::compact(run.out_of_order)),
            ("--epoch", events::lengths::compact(run.epoch)),
        ];
        let options =
            of_job.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(run.fields.echo()).collect();
        let bytes = |path: &Path| path.metadata().map(|known| known.len()).unwrap_or_default();
        let inputs = run.inputs.iter().map(|path| Input { path: path.clone(), bytes: bytes(path) }).collect();
        Self { options, inputs }
    }

    /// What each process of the job must have been given.
    pub fn command(&self, run: &Run) -> Vec<(String, String)> {
        let of_processes = [
            ("the inputs", program::say::list(&self.paths())),
            ("number of --addresses", run.addresses.len().to_string()),
            ("--workers", run.workers.to_string()),
            ("--checkpoint", events::lengths::compact(run.checkpoint)),
        ];
        let of_processes = of_processes.map(|(name, value)| (name.to_owned(), value));
        self.options.iter().cloned().chain(of_processes).collect()
    }

    fn paths(&self) -> Vec<String> {
        self.inputs.iter().map(|input| input.path.display().to_string()).collect()
    }

    /// Makes the folder this job's, or fails if it is another's, or if another run is at work in it. As long as the
    /// result lives, no other run begins. `newest`: the newest checkpoint.
    pub fn claim(&self, run: &Run, newest: Option<When>) -> Result<File> {
        let folder = run.state.display();
        fs::create_dir_all(&run.state).with_context(|| format!("cannot make {folder}"))?;
        let lock = File::open(&run.state).with_context(|| format!("cannot read {folder}"))?;
        // Processes of one job share the folder. Not every file system has locks.
        let locked = if run.process.is_none() { lock.try_lock() } else { lock.try_lock_shared() };
        if matches!(locked, Err(TryLockError::WouldBlock)) {
            bail!("another run is at work in {folder}: wait for its end, or give another --state");
        }
        let path = run.state.join("job.json");
        match fs::read(&path) {
            Ok(bytes) => {
                let known: Self = serde_json::from_slice(&bytes)
                    .with_context(|| format!("{} is damaged, or of another version", path.display()))?;
                self.check(&known, newest == Some(When::End)).with_context(|| {
                    format!("{folder} is the state of another job: use the same command, or give another --state")
                })?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let bytes = serde_json::to_vec(self).context("cannot write the settings")?;
                growing::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
        Ok(lock)
    }

    /// An input may have grown since, and is read on, as long as the job has not ended.
    fn check(&self, known: &Self, has_ended: bool) -> Result<()> {
        if let Some(((name, then), (_, now))) = known.options.iter().zip(&self.options).find(|(then, now)| then != now)
        {
            bail!("it was begun with {name} = {then}, which is {now} now");
        }
        let (then, now) = (known.paths(), self.paths());
        if then != now {
            let list = program::say::list::<String>;
            bail!("it was begun with the inputs {}, which are {} now", list(&then), list(&now));
        }
        for (then, now) in known.inputs.iter().zip(&self.inputs) {
            let path = now.path.display();
            if now.bytes < then.bytes || (has_ended && now.bytes > then.bytes) {
                bail!("{path} had {} bytes when it began, and has {} now", then.bytes, now.bytes);
            }
        }
        Ok(())
    }
}
