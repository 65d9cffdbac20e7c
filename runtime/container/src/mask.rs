//! In: paths inside a container. Out: the same paths hidden or read-only.
//! **Invariant:** what hides a path comes from the host's side, opened and verified before the container's root was touched.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

use crate::beneath;
use crate::message::{Stage, StartError};
use crate::mount::{attach, copy, make_read_only};

/// Opens a path to cover; none when the container has no such path.
fn open_covered(root: BorrowedFd<'_>, path: &str) -> Result<Option<OwnedFd>, StartError> {
    match beneath::open(root, path, OFlags::PATH) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno).stage_of("open the path to protect", path),
    }
}

/// Hides files behind the null device and directories behind an empty, read-only one made in `scratch` (an attached tmpfs nobody else sees).
pub(crate) fn hide(
    root: BorrowedFd<'_>,
    paths: &[String],
    null: BorrowedFd<'_>,
    scratch: BorrowedFd<'_>,
) -> Result<(), StartError> {
    let step = "hide the path";
    mkdirat(scratch, "empty", Mode::from_raw_mode(0o755)).stage("make the directory that hides others")?;
    let empty = openat(
        scratch,
        "empty",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .stage("open the directory that hides others")?;
    for path in paths {
        let Some(covered) = open_covered(root, path)? else {
            continue;
        };
        let is_directory = beneath::is(covered.as_fd(), FileType::Directory).stage_of(step, path)?;
        let cover = copy(if is_directory { empty.as_fd() } else { null }, false).stage_of(step, path)?;
        if is_directory {
            make_read_only(cover.as_fd(), false).stage_of(step, path)?;
        }
        attach(cover.as_fd(), covered.as_fd()).stage_of(step, path)?;
    }
    Ok(())
}

/// Covers paths with read-only views of themselves.
pub(crate) fn protect(root: BorrowedFd<'_>, paths: &[String]) -> Result<(), StartError> {
    let step = "make the path read-only";
    for path in paths {
        let Some(covered) = open_covered(root, path)? else {
            continue;
        };
        let cover = copy(covered.as_fd(), true).stage_of(step, path)?;
        make_read_only(cover.as_fd(), true).stage_of(step, path)?;
        attach(cover.as_fd(), covered.as_fd()).stage_of(step, path)?;
    }
    Ok(())
}
