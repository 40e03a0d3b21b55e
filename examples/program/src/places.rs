//! The file behind a name: through links, and among what is open already.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use crate::stdout;

/// As many as Linux follows.
const MOST_LINKS: usize = 40;

/// What an output is.
pub(crate) enum Opened {
    /// A device, a pipe, or what the program was given open: written as it is.
    Directly(File),
    /// The place of a file, which may be there.
    NotYet(PathBuf),
}

/// Finds out what an output is, and opens it if that is no file with a place.
pub(crate) fn open(path: &Path) -> io::Result<Opened> {
    let place = behind_links(path)?;
    #[cfg(unix)]
    if let Some(number) = descriptor(&place) {
        return reopen(number, &place).map(Opened::Directly);
    }
    let is_special = place.metadata().is_ok_and(|known| !known.is_file() && !known.is_dir());
    // A misspelled device is not made.
    if is_special || (place.parent() == Some(Path::new("/dev")) && !place.is_dir()) {
        return File::options().write(true).open(place).map(Opened::Directly);
    }
    Ok(Opened::NotYet(place))
}

/// The path without links at its end. The file itself need not be there. The names of what is open, such as
/// `/dev/stdout`, stay: a file behind them may have lost its name, and what it has already is not to be replaced.
pub(crate) fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut place = path.to_owned();
    for _ in 0..MOST_LINKS {
        #[cfg(unix)]
        if descriptor(&place).is_some() {
            return Ok(place);
        }
        let Ok(target) = fs::read_link(&place) else { return Ok(place) };
        place = folder_of(&place).join(target);
    }
    Err(io::Error::other("too many links, one to another"))
}

pub(crate) fn folder_of(place: &Path) -> &Path {
    place.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// The number of what is open that a path names.
#[cfg(unix)]
fn descriptor(path: &Path) -> Option<u32> {
    match path.to_str()? {
        "/dev/stdin" => Some(0),
        "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        path => ["/dev/fd/", "/proc/self/fd/"].iter().find_map(|folder| path.strip_prefix(folder))?.parse().ok(),
    }
}

/// Goes on where others who have it open write. Opened by its name, a file would be written from its beginning, over
/// what `>>` or messages have put there.
#[cfg(unix)]
fn reopen(number: u32, path: &Path) -> io::Result<File> {
    use std::os::fd::AsFd;
    match number {
        1 if stdout::check().is_err() => Err(io::Error::other("it is closed")),
        1 => io::stdout().as_fd().try_clone_to_owned().map(File::from),
        2 => io::stderr().as_fd().try_clone_to_owned().map(File::from),
        _ if path.is_file() => File::options().append(true).open(path),
        _ => File::options().write(true).open(path),
    }
}
