//! That no output is an input, or another output, and no pipe is read twice: by the file behind the name, before it is
//! opened.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use same_file::Handle;

use crate::failure::{Failure, Outcome};
use crate::places;

/// An input.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    Stdin,
    File(&'a Path),
}

/// Finds such mistakes in the command while nothing has been written.
pub fn check<'a>(
    inputs: impl IntoIterator<Item = Input<'a>>,
    outputs: impl IntoIterator<Item = &'a Path>,
) -> Outcome<()> {
    let inputs: Vec<Handle> = inputs.into_iter().filter_map(Input::file).collect();
    let is_input = |file: std::io::Result<Handle>| regular(file).is_some_and(|file| inputs.contains(&file));
    if is_input(Handle::stdout()) {
        return Err(Failure::usage("standard output is an input: write to another file"));
    }
    let mut written: Vec<PathBuf> = Vec::new();
    let mut pipes = Vec::new();
    for path in outputs {
        let twice = || Failure::usage(format_args!("{} is written twice: name two files", path.display()));
        if let Ok(known) = path.metadata()
            && !known.is_file()
        {
            // Folders, and devices such as a terminal, may be named twice.
            let pipe = pipe(&known);
            if pipe.is_some() && pipes.contains(&pipe) {
                return Err(twice());
            }
            pipes.push(pipe);
            continue;
        }
        if is_input(Handle::from_path(path)) {
            return Err(Failure::usage(format_args!("{} is an input: write to another file", path.display())));
        }
        let place = resolved(path);
        if written.contains(&place) {
            return Err(twice());
        }
        written.push(place);
    }
    Ok(())
}

/// Refuses outputs that are standard output, where the rows go already.
pub fn check_beside_stdout<'a>(outputs: impl IntoIterator<Item = &'a Path>) -> Outcome<()> {
    let stdout = Handle::stdout().ok().and_then(|stdout| stdout.as_file().metadata().ok());
    let Some(stdout) = stdout.as_ref().and_then(shared) else { return Ok(()) };
    match outputs.into_iter().find(|path| path.metadata().is_ok_and(|known| shared(&known) == Some(stdout))) {
        None => Ok(()),
        Some(path) => Err(Failure::usage(format_args!(
            "{} is standard output, where the rows go: name another file for one of them",
            path.display()
        ))),
    }
}

/// Refuses inputs that can be read once only, and are given twice: pipes, and standard input.
pub fn check_once<'a>(inputs: impl IntoIterator<Item = Input<'a>>) -> Outcome<()> {
    let mut seen = Vec::new();
    for input in inputs {
        let Some((id, is_once)) = input.id() else { continue };
        if seen.iter().any(|&(other, was_once)| other == id && (is_once || was_once)) {
            let name = input.name();
            return Err(Failure::usage(format_args!("{name} is given twice, but can be read only once: name it once")));
        }
        seen.push((id, is_once));
    }
    Ok(())
}

/// The paths of inputs that are files which an earlier input is already.
pub fn repeated<'a>(inputs: impl IntoIterator<Item = Input<'a>>) -> Vec<&'a Path> {
    let mut seen: Vec<Handle> = Vec::new();
    let mut repeated = Vec::new();
    for input in inputs {
        let Some(file) = input.file() else { continue };
        match input {
            Input::File(path) if seen.contains(&file) => repeated.push(path),
            _ => seen.push(file),
        }
    }
    repeated
}

impl Input<'_> {
    /// As it is called in messages.
    fn name(self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Its identity, if it has one, and whether it can be read only once.
    fn id(self) -> Option<((u64, u64), bool)> {
        match self {
            Self::Stdin => Some((shared(&Handle::stdin().ok()?.as_file().metadata().ok()?)?, true)),
            Self::File(path) => {
                let known = path.metadata().ok()?; // a pipe must not be opened here
                Some((shared(&known)?, pipe(&known).is_some()))
            }
        }
    }

    /// The file that it is, if it is one.
    fn file(self) -> Option<Handle> {
        match self {
            Self::Stdin => regular(Handle::stdin()),
            Self::File(path) if path.is_file() => regular(Handle::from_path(path)),
            Self::File(_) => None,
        }
    }
}

/// The identity of a file or a pipe. Folders and devices, such as a terminal, may be named twice.
#[cfg(unix)]
fn shared(known: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let kind = known.file_type();
    (kind.is_file() || kind.is_fifo() || kind.is_socket()).then(|| (known.dev(), known.ino()))
}

/// Identities are known on Unix only.
#[cfg(not(unix))]
fn shared(_: &Metadata) -> Option<(u64, u64)> {
    None
}

/// The identity of a pipe.
fn pipe(known: &Metadata) -> Option<(u64, u64)> {
    shared(known).filter(|_| !known.is_file())
}

/// Devices and pipes may well be read and written at once.
fn regular(file: std::io::Result<Handle>) -> Option<Handle> {
    file.ok().filter(|file| file.as_file().metadata().is_ok_and(|known| known.is_file()))
}

/// The path without links. The file itself need not be there.
fn resolved(path: &Path) -> PathBuf {
    let of_folder = || {
        let place = places::behind_links(path).ok()?;
        Some(places::folder_of(&place).canonicalize().ok()?.join(place.file_name()?))
    };
    path.canonicalize().ok().or_else(of_folder).unwrap_or_else(|| path.to_owned())
}
