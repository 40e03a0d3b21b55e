//! Files and folders that get their names when they are complete.
//!
//! Each grows beside its place, under a hidden name, and is renamed at the end: a run that fails leaves an
//! earlier result as it was, and no part of a new one. A hidden name that a killed run has left is removed by
//! the next run with the same output: a lock tells it from one that is still growing.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::Builder;

use crate::places::{self, Opened, folder_of};

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
    /// Begins a file. A device or a pipe is written directly. The target of a link is replaced, not the link. A file
    /// that is replaced leaves its permissions and, as far as the system allows, its owner to the new one.
    pub fn file(path: &Path) -> io::Result<Self> {
        let place = match places::open(path)? {
            Opened::Directly(file) => return Ok(Self { place: path.to_owned(), hidden: None, file }),
            Opened::NotYet(place) => place,
        };
        if place.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let replaced = fs::metadata(&place).ok();
        if replaced.is_some() {
            File::options().write(true).open(&place)?; // who made it read-only does not want it replaced
        }
        let permissions = replaced.as_ref().map_or_else(usual, Metadata::permissions);
        let growing = Self::hidden(place, |builder, folder| {
            let (file, hidden) = builder.permissions(permissions.clone()).tempfile_in(folder)?.keep()?;
            Ok((Ok(file), hidden))
        })?;
        if let Some(replaced) = replaced {
            growing.inherit(&replaced);
        }
        Ok(growing)
    }

    /// Takes owner and permissions over from the file that is replaced, as far as the system allows: only root may give
    /// files away. The permissions are set whatever the umask says.
    fn inherit(&self, replaced: &Metadata) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            let (user, group) = (replaced.uid(), replaced.gid());
            let _ = fchown(&self.file, Some(user), Some(group)).or_else(|_| fchown(&self.file, None, Some(group)));
        }
        let _ = self.file.set_permissions(replaced.permissions());
    }

    /// Begins a folder, at a place that is new or an empty folder. Folders above are made.
    pub fn folder(place: &Path) -> io::Result<Self> {
        let place = fs::canonicalize(place).or_else(|_| places::behind_links(place))?;
        let has_content = match fs::read_dir(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            entries => entries?.next().is_some(),
        };
        if has_content {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        fs::create_dir_all(folder_of(&place))?;
        Self::hidden(place, |builder, folder| {
            let hidden = builder.tempdir_in(folder)?.keep();
            Ok((File::open(&hidden), hidden))
        })
    }

    /// Makes it under a hidden name beside its place, and locks it, after removing those that dead runs have left there.
    /// A run that begins at the same time may remove it before it is locked: then it is made again.
    fn hidden(
        place: PathBuf,
        make: impl Fn(&mut Builder<'_, '_>, &Path) -> io::Result<(io::Result<File>, PathBuf)>,
    ) -> io::Result<Self> {
        let name = place.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        let folder = folder_of(&place);
        sweep(folder, &prefix);
        loop {
            let (file, hidden) = make(Builder::new().prefix(&prefix).suffix(ENDING), folder)?;
            let _ = file.as_ref().map(File::lock_shared); // not every file system has locks
            if hidden.exists() {
                let file = file?;
                unfinished().push(hidden.clone());
                return Ok(Self { place, hidden: Some(hidden), file });
            }
        }
    }

    /// Where it grows.
    pub fn path(&self) -> &Path {
        self.hidden.as_deref().unwrap_or(&self.place)
    }

    /// Where it will be.
    pub fn name(&self) -> &Path {
        &self.place
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

/// Removes what nobody holds any more. It is locked until it is gone: see [`Growing::hidden`].
fn sweep(folder: &Path, prefix: &OsString) {
    let prefix = prefix.as_encoded_bytes();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        let is_hidden = name.starts_with(prefix) && name.ends_with(ENDING.as_bytes());
        let Some(file) = is_hidden.then(|| File::open(entry.path()).ok()).flatten() else { continue };
        if file.try_lock().is_ok() {
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

    /// One removed the file of another between its making and its lock.
    #[test]
    fn runs_that_begin_together_leave_each_other_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        let begin = |name: &str| {
            for _ in 0..500 {
                write(&path, b"rows").unwrap();
                let growing = Growing::folder(&folder.path().join(name)).unwrap();
                fs::write(growing.path().join("x"), "1").unwrap();
            }
        };
        std::thread::scope(|threads| {
            for name in ["a", "a", "b", "a"] {
                threads.spawn(move || begin(name));
            }
        });
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
        assert_eq!(Growing::folder(&place).unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
        fs::rename(&place, folder.path().join("first")).unwrap();
        let second = Growing::folder(&place).unwrap();
        fs::rename(folder.path().join("first"), &place).unwrap(); // meanwhile
        assert_eq!(Growing::place([second]).unwrap_err().0, fs::canonicalize(&place).unwrap());
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
        symlink(&path, &link).unwrap();
        for mode in [0o640, 0o666, 0o600] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            write(&link, b"new").unwrap();
            assert!(link.symlink_metadata().unwrap().is_symlink());
            assert_eq!(fs::read_to_string(&path).unwrap(), "new");
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode);
        }
        // To a file that is not there yet, by way of another link.
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        symlink("second", &first).unwrap();
        symlink("target", &second).unwrap();
        write(&first, b"new").unwrap();
        assert!(first.symlink_metadata().unwrap().is_symlink() && second.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(folder.path().join("target")).unwrap(), "new");
        let (circle, nowhere) = (folder.path().join("circle"), folder.path().join("nowhere"));
        symlink("circle", &circle).unwrap();
        symlink("none/x", &nowhere).unwrap();
        for path in [circle, nowhere] {
            assert!(write(&path, b"new").is_err());
            assert!(path.symlink_metadata().unwrap().is_symlink(), "it stays");
        }
    }

    /// Only root can give a file away.
    #[cfg(unix)]
    #[test]
    fn a_file_stays_its_owners() {
        use std::os::unix::fs::{MetadataExt, chown};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        fs::write(&path, "old").unwrap();
        if chown(&path, Some(1_234), Some(2_345)).is_err() {
            return;
        }
        write(&path, b"new").unwrap();
        let known = path.metadata().unwrap();
        assert_eq!((known.uid(), known.gid(), fs::read(&path).unwrap().as_slice()), (1_234, 2_345, &b"new"[..]));
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_takes_the_place_of_the_target_of_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::os::unix::fs::symlink("target", &link).unwrap();
        for _ in 0..2 {
            let growing = Growing::folder(&link).unwrap();
            fs::write(growing.path().join("x"), "1").unwrap();
            Growing::place([growing]).unwrap();
            assert_eq!((names(&target), link.symlink_metadata().unwrap().is_symlink()), (vec!["x".to_owned()], true));
            fs::remove_file(target.join("x")).unwrap(); // it is there, and empty
        }
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(Growing::folder(&file).unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }

    /// Where a disk in memory is, as on Linux.
    #[test]
    fn a_disk_in_memory_is_a_disk() {
        let Ok(folder) = tempfile::tempdir_in("/dev/shm") else { return };
        let path = folder.path().join("rows.csv");
        write(&path, b"yesterday, and longer").unwrap();
        let mut growing = Growing::file(&path).unwrap();
        growing.write_all(b"to").unwrap();
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), growing.is_direct()),
            ("yesterday, and longer", false)
        );
        Growing::place([growing]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "to");
    }
}
