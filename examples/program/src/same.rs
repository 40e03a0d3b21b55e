//! That no output is an input, or another output: by the file behind the name, before it is opened.

use std::path::{Path, PathBuf};

use same_file::Handle;

use crate::failure::{Failure, Outcome};

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
    for path in outputs {
        if path.exists() && !path.is_file() {
            continue; // a device, a pipe, a folder
        }
        if is_input(Handle::from_path(path)) {
            return Err(Failure::usage(format_args!("{} is an input: write to another file", path.display())));
        }
        let place = resolved(path);
        if written.contains(&place) {
            return Err(Failure::usage(format_args!("{} is written twice: name two files", path.display())));
        }
        written.push(place);
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
    /// The file that it is, if it is one.
    fn file(self) -> Option<Handle> {
        match self {
            Self::Stdin => regular(Handle::stdin()),
            Self::File(path) if path.is_file() => regular(Handle::from_path(path)),
            Self::File(_) => None,
        }
    }
}

/// Devices and pipes may well be read and written at once.
fn regular(file: std::io::Result<Handle>) -> Option<Handle> {
    file.ok().filter(|file| file.as_file().metadata().is_ok_and(|known| known.is_file()))
}

/// The path without links. The file itself need not be there.
fn resolved(path: &Path) -> PathBuf {
    let of_folder = || {
        let folder = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(of_folder).unwrap_or_else(|| path.to_owned())
}
