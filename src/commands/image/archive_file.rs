//! In: somebody who writes an archive. Out: the archive at its path, or on standard output.
//! **Invariant:** what is there under the path is never a part: it is written beside and renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use rcompose_runtime::image_store::ImageError;

use crate::commands::Context;
use crate::error::CliError;
use crate::ui::print;

/// Writes an archive.
pub(in crate::commands) type WriteArchive<'w> = &'w mut dyn FnMut(&mut dyn Write) -> Result<(), ImageError>;

/// To the path, or without one to standard output, if that is no terminal.
pub(in crate::commands) fn to_file_or_stdout(
    context: &Context,
    path: Option<&Path>,
    write: WriteArchive<'_>,
) -> Result<(), CliError> {
    let Some(path) = path else {
        if context.stdout.terminal {
            return Err(CliError::user("an archive is nothing for a terminal")
                .with_hint("give `-o FILE`, or redirect standard output"));
        }
        let mut out = BufWriter::new(print::raw_out()?);
        write(&mut out)?;
        out.flush()?;
        return Ok(());
    };
    // A device or a pipe is written to; only a file is replaced.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let file = File::options().write(true).open(path).map_err(failed(path))?;
        let mut out = BufWriter::new(file);
        write(&mut out)?;
        return out.flush().map_err(failed(path));
    }
    let unfinished = beside(path);
    let written = File::create(&unfinished).map_err(failed(path)).and_then(|file| {
        let mut out = BufWriter::new(file);
        write(&mut out)?;
        out.flush().map_err(failed(path))
    });
    let written = written.and_then(|()| fs::rename(&unfinished, path).map_err(failed(path)));
    if written.is_err() {
        // The first error counts.
        fs::remove_file(&unfinished).unwrap_or_default();
    }
    written
}

/// A directory that `write` fills; it takes the place of an empty one only.
pub(in crate::commands) fn to_directory(
    path: &Path,
    write: &dyn Fn(PathBuf) -> Result<(), ImageError>,
) -> Result<(), CliError> {
    let unfinished = beside(path);
    fs::create_dir(&unfinished).map_err(failed(path))?;
    let written = write(unfinished.clone()).map_err(CliError::from);
    let written = written.and_then(|()| fs::rename(&unfinished, path).map_err(failed(path)));
    if written.is_err() {
        fs::remove_dir_all(&unfinished).unwrap_or_default();
    }
    written
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".part");
    PathBuf::from(name)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> CliError {
    move |error| CliError::user(format!("cannot write {}: {error}", path.display()))
}
