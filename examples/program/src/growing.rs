//! Files and folders that get their names when they are complete.
//!
//! Each grows beside its place, under a hidden name, and is renamed at the end: a run that fails leaves an
//! earlier result as it was, and no part of a new one. A hidden name that a killed run has left is removed by
//! the next run with the same output: a lock tells it from one that is still growing.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::Builder;

const ENDING: &str = ".unfinished";

/// What grows now. Whoever renames or removes holds it, so that a signal finds either all or nothing done.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Whether anything has got its name.
static HAS_PLACED: AtomicBool = AtomicBool::new(false);

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or a folder on its way to its place. Dropped before it is placed, it is removed.
#[derive(Debug)]
pub struct Growing {
    place: PathBuf,
    /// Its hidden name. None if it is written directly: a device, a pipe.
    hidden: Option<PathBuf>,
    /// The open file, or the folder. Holds the lock.
    file: File,
}

impl Growing {
    /// Begins a file. A device or a pipe is written directly. The target of a link is replaced, not the link.
    pub fn file(path: &Path) -> io::Result<Self> {
        if is_direct(path) {
            let file = File::options().write(true).open(path)?;
            return Ok(Self { place: path.to_owned(), hidden: None, file });
        }
        if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let permissions = fs::metadata(&place).map(|known| known.permissions());
        if permissions.is_ok() {
            File::options().write(true).open(&place)?; // who made it read-only does not want it replaced
        }
        let hidden = hidden(&place, |builder, folder| {
            builder.permissions(permissions.unwrap_or_else(|_| usual())).tempfile_in(folder)?.keep().map_err(Into::into)
        });
        let (file, hidden) = hidden?;
        Self::locked(place, hidden, file)
    }

    /// Begins a folder, at a place that is new or an empty folder. Folders above are made.
    pub fn folder(place: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder_of(place))?;
        let hidden = hidden(place, |builder, folder| Ok(builder.tempdir_in(folder)?.keep()))?;
        let file = File::open(&hidden)?;
        Self::locked(place.to_owned(), hidden, file)
    }

    fn locked(place: PathBuf, hidden: PathBuf, file: File) -> io::Result<Self> {
        let _ = file.lock_shared(); // not every file system has locks
        unfinished().push(hidden.clone());
        Ok(Self { place, hidden: Some(hidden), file })
    }

    /// Where it grows.
    pub fn path(&self) -> &Path {
        self.hidden.as_deref().unwrap_or(&self.place)
    }

    /// Whether others see it while it grows, as they see a pipe.
    pub fn is_direct(&self) -> bool {
        self.hidden.is_none()
    }

    /// Makes sure that it is on the disk, even if the machine fails. Devices and pipes are on none.
    pub fn sync(&self) -> Result<(), (PathBuf, io::Error)> {
        if self.is_direct() {
            return Ok(());
        }
        self.file.sync_all().map_err(|error| (self.place.clone(), error))
    }

    /// Gives complete ones their names, in this order. Tells which one cannot have it.
    pub fn place(all: impl IntoIterator<Item = Self>) -> Result<(), (PathBuf, io::Error)> {
        let mut names = unfinished();
        for mut growing in all {
            let Some(hidden) = growing.hidden.take() else { continue };
            names.retain(|name| *name != hidden);
            let renamed = make_room(&growing.place).and_then(|()| fs::rename(&hidden, &growing.place));
            if let Err(error) = renamed {
                let _ = remove(&hidden);
                drop(names); // the others remove theirs
                return Err((growing.place.clone(), error));
            }
            HAS_PLACED.store(true, Ordering::SeqCst);
        }
        Ok(())
    }
}

impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            unfinished().retain(|name| name != hidden);
            let _ = remove(hidden);
        }
    }
}

/// Removes all that is unfinished, before the process ends at once. Nothing is renamed any more while the first value
/// lives. The second one tells whether anything had got its name before.
pub(crate) fn abandon() -> (impl Sized, bool) {
    let mut names = unfinished();
    names.drain(..).for_each(|name| drop(remove(&name)));
    (names, HAS_PLACED.load(Ordering::SeqCst))
}

/// Does some work within a folder that grows. A signal waits for it, or keeps it from beginning: nothing new is there
/// while the folder is removed.
pub fn undisturbed<T>(work: impl FnOnce() -> T) -> T {
    let _names = unfinished();
    work()
}

/// Writes a whole file.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut growing = Growing::file(path)?;
    growing.write_all(bytes)?;
    Growing::place([growing]).map_err(|(_, error)| error)
}

/// Makes a hidden name beside a place, after removing those that dead runs have left there.
fn hidden<T>(place: &Path, make: impl FnOnce(&mut Builder<'_, '_>, &Path) -> io::Result<T>) -> io::Result<T> {
    let name = place.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    let folder = folder_of(place);
    sweep(folder, &prefix);
    make(Builder::new().prefix(&prefix).suffix(ENDING), folder)
}

fn folder_of(place: &Path) -> &Path {
    place.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// Removes what nobody holds any more.
fn sweep(folder: &Path, prefix: &OsString) {
    let prefix = prefix.as_encoded_bytes();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        let is_hidden = name.starts_with(prefix) && name.ends_with(ENDING.as_bytes());
        if is_hidden && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = remove(&entry.path());
        }
    }
}

/// An empty folder gives way to one that is renamed; a file does by itself.
fn make_room(place: &Path) -> io::Result<()> {
    if place.is_dir() { fs::remove_dir(place) } else { Ok(()) }
}

fn remove(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        return fs::remove_file(path);
    }
    // The first way also works when no more files can be opened.
    fs::remove_dir(path).or_else(|_| fs::remove_dir_all(path))
}

/// Whether a path is no place for a file that is renamed: a device, a pipe, `/dev/stdout`.
fn is_direct(path: &Path) -> bool {
    let is_special = path.metadata().is_ok_and(|known| !known.is_file() && !known.is_dir());
    is_special || path.starts_with("/dev") || path.starts_with("/proc")
}

/// The permissions of a new file, less the umask.
fn usual() -> Permissions {
    #[cfg(unix)]
    return std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(not(unix))]
    return fs::metadata(".").map(|folder| folder.permissions()).expect("the current folder is there");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_name_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        fs::write(&path, "yesterday").unwrap();
        let mut growing = Growing::file(&path).unwrap();
        growing.write_all(b"today").unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names(folder.path()).len()), ("yesterday", 2));
        Growing::place([growing]).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names(folder.path()).len()), ("today", 1));
        drop(Growing::file(&path).unwrap());
        assert_eq!(names(folder.path()), ["rows.csv"]);
    }

    #[test]
    fn a_folder_takes_the_place_of_an_empty_one_only() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a/b");
        let growing = Growing::folder(&place).unwrap();
        fs::write(growing.path().join("x"), "1").unwrap();
        fs::create_dir(&place).unwrap();
        Growing::place([growing]).unwrap();
        assert_eq!((names(&place), names(&folder.path().join("a"))), (vec!["x".to_owned()], vec!["b".to_owned()]));
        let second = Growing::folder(&place).unwrap();
        assert_eq!(Growing::place([second]).unwrap_err().0, place);
        assert_eq!((names(&place), names(&folder.path().join("a"))), (vec!["x".to_owned()], vec!["b".to_owned()]));
    }

    #[test]
    fn leftovers_of_dead_runs_go_and_those_of_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        fs::write(folder.path().join(".rows.csv.dead.unfinished"), "").unwrap();
        fs::create_dir(folder.path().join(".rows.csv.dead2.unfinished")).unwrap();
        fs::write(folder.path().join(".other.csv.dead.unfinished"), "").unwrap();
        let alive = Growing::file(&path).unwrap();
        let second = Growing::file(&path).unwrap();
        let left = names(folder.path());
        assert_eq!((left.len(), left[0].as_str()), (3, ".other.csv.dead.unfinished"), "{left:?}");
        drop((alive, second));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("rows.csv"), folder.path().join("link.csv"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }
}
