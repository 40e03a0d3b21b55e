//! Objects as files of a directory.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

/// Ends the names of files that are being written.
const UNFINISHED: &str = ".unfinished";
const LOCK: &str = ".lock";

/// A directory; it comes into being with the first object.
#[derive(Clone, Debug)]
pub(crate) struct Dir {
    root: Arc<Path>,
    /// Held as long as the process lives.
    lock: Option<Arc<File>>,
}

impl Dir {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root: root.into(), lock: None }
    }

    pub(crate) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let path = self.root.join(name);
        blocking(move || write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))).await
    }

    pub(crate) async fn check_writable(&self, name: &str) -> Result<()> {
        let path = self.root.join(name);
        blocking(move || {
            write_beside(&path, &[])
                .and_then(remove) // another consumer that begins may have removed it: then both can write here
                .with_context(|| format!("cannot write {}", path.display()))
        })
        .await
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.root.join(name);
        blocking(move || match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        })
        .await
    }

    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        let path = self.root.join(name);
        blocking(move || remove(&path).with_context(|| format!("cannot delete {}", path.display()))).await
    }

    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let (root, prefix) = (Arc::clone(&self.root), prefix.to_owned());
        blocking(move || {
            let mut names = Vec::new();
            collect(&root, &root, &mut names).with_context(|| format!("cannot list {}", root.display()))?;
            names.retain(|name| name.starts_with(&prefix));
            names.sort();
            Ok(names)
        })
        .await
    }

    pub(crate) async fn claim(&mut self) -> Result<()> {
        let root = Arc::clone(&self.root);
        let file = blocking(move || {
            fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
            let path = root.join(LOCK);
            let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
            match file.try_lock() {
                Ok(()) => Ok(file),
                Err(TryLockError::WouldBlock) => {
                    bail!("another consumer is at work in {}: give this one a --state of its own", root.display())
                }
                Err(TryLockError::Error(error)) => {
                    Err(error).with_context(|| format!("cannot lock {}", path.display()))
                }
            }
        })
        .await?;
        self.lock = Some(Arc::new(file));
        Ok(())
    }

    pub(crate) fn place(&self) -> String {
        self.root.display().to_string()
    }
}

/// Beside it first, then in its place, both on the disk before this returns.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::rename(write_beside(path, bytes)?, path)?;
    #[cfg(unix)]
    File::open(folder_of(path))?.sync_all()?;
    Ok(())
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    fs::create_dir_all(folder_of(path))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(UNFINISHED);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(beside.into())
}

/// Also one that is gone already.
fn remove(path: impl AsRef<Path>) -> io::Result<()> {
    fs::remove_file(path).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn collect(root: &Path, folder: &Path, names: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, names)?;
        } else if let Ok(name) = path.strip_prefix(root) {
            let name = name.to_string_lossy().replace('\\', "/");
            if !name.ends_with(UNFINISHED) && name != LOCK {
                names.push(name);
            }
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context("a thread that reads and writes files has died")?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One removed the probe of another, which was told that it could not write.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn consumers_that_begin_together_can_all_write() {
        let folder = tempfile::tempdir().unwrap();
        let check = |_| {
            let dir = Dir::new(folder.path().to_owned());
            tokio::spawn(async move {
                for _ in 0..100 {
                    dir.check_writable(".writable").await.unwrap();
                }
            })
        };
        for checked in (0..4).map(check).collect::<Vec<_>>() {
            checked.await.unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
