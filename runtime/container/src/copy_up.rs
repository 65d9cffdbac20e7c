//! In: an empty volume and a directory of the image. Out: the volume with the directory's content, owners, modes, times, links and attributes.
//! **Invariant:** a volume is either filled whole or found unfilled at the next start: the copy is gathered in a directory aside, whose
//! name says whether it is complete.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
    chmodat, chownat, copy_file_range, fchmod, fchown, fgetxattr, flistxattr, flock, fsetxattr, fstat,
    futimens, linkat, mkdirat, mknodat, openat, readlinkat, renameat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::beneath;
use crate::message::{Stage, StartError};

/// Holds a copy that is being made.
const PARTIAL: &CStr = c".rcompose-copy-up.partial";
/// Holds a finished copy whose entries are being moved to their place.
const COMPLETE: &CStr = c".rcompose-copy-up.complete";
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Fills an empty volume from what `root` has at `target`; does nothing when the volume has content or the image nothing there.
pub(crate) fn fill(root: BorrowedFd<'_>, target: &str, volume: BorrowedFd<'_>) -> Result<(), StartError> {
    let image = match beneath::open(root, target, OFlags::RDONLY | OFlags::DIRECTORY) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        other => other.stage_of("open the image's directory", target)?,
    };
    // Two containers may start with the same new volume.
    flock(volume, FlockOperation::LockExclusive).stage_of("lock the volume for", target)?;
    let filled = fill_locked(image.as_fd(), volume);
    let _ = flock(volume, FlockOperation::Unlock);
    filled.stage_of("fill the volume for", target)
}

fn fill_locked(image: BorrowedFd<'_>, volume: BorrowedFd<'_>) -> Result<(), Errno> {
    let names = names(volume)?;
    let has = |name: &CStr| names.iter().any(|found| found.as_c_str() == name);
    if !has(COMPLETE) {
        if names.iter().any(|name| name.as_c_str() != PARTIAL) {
            return Ok(());
        }
        if has(PARTIAL) {
            remove_tree(volume, PARTIAL)?;
        }
        mkdirat(volume, PARTIAL, Mode::from_raw_mode(0o700))?;
        let partial = Rc::new(openat(volume, PARTIAL, DIRECTORY, Mode::empty())?);
        let status = fstat(image)?;
        copy_directory(image, &partial, &mut HashMap::new())?;
        adopt(image, partial.as_fd(), &status)?;
        renameat(volume, PARTIAL, volume, COMPLETE)?;
    }
    let complete = openat(volume, COMPLETE, DIRECTORY, Mode::empty())?;
    for name in self::names(complete.as_fd())? {
        renameat(&complete, name.as_c_str(), volume, name.as_c_str())?;
    }
    let status = fstat(&complete)?;
    adopt(complete.as_fd(), volume, &status)?;
    unlinkat(volume, COMPLETE, AtFlags::REMOVEDIR)
}

/// The entries of a directory.
fn names(directory: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

fn remove_tree(parent: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let directory = openat(parent, name, DIRECTORY, Mode::empty())?;
    for name in names(directory.as_fd())? {
        match unlinkat(&directory, name.as_c_str(), AtFlags::empty()) {
            Err(Errno::ISDIR) => remove_tree(directory.as_fd(), &name)?,
            other => other?,
        }
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

/// First copies of files with several names, by device and inode, as a directory and the name in it.
type Linked = HashMap<(u64, u64), (Rc<OwnedFd>, CString)>;

fn copy_directory(from: BorrowedFd<'_>, directory: &Rc<OwnedFd>, linked: &mut Linked) -> Result<(), Errno> {
    let to = directory.as_fd();
    for name in names(from)? {
        let name = name.as_c_str();
        let status = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(status.st_mode);
        if status.st_nlink > 1 && kind != FileType::Directory {
            if let Some((place, first)) = linked.get(&(status.st_dev, status.st_ino)) {
                linkat(place, first.as_c_str(), to, name, AtFlags::empty())?;
                continue;
            }
            linked.insert(
                (status.st_dev, status.st_ino),
                (Rc::clone(directory), name.to_owned()),
            );
        }
        match kind {
            FileType::Directory => {
                mkdirat(to, name, Mode::from_raw_mode(0o700))?;
                let from = openat(from, name, DIRECTORY, Mode::empty())?;
                let to = Rc::new(openat(to, name, DIRECTORY, Mode::empty())?);
                copy_directory(from.as_fd(), &to, linked)?;
                adopt(from.as_fd(), to.as_fd(), &status)?;
            }
            FileType::RegularFile => {
                let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let from = openat(from, name, read, Mode::empty())?;
                let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let to = openat(to, name, write, Mode::from_raw_mode(0o600))?;
                copy_bytes(from.as_fd(), to.as_fd())?;
                adopt(from.as_fd(), to.as_fd(), &status)?;
            }
            FileType::Symlink => {
                symlinkat(readlinkat(from, name, Vec::new())?.as_c_str(), to, name)?;
                own(to, name, &status)?;
                utimensat(to, name, &times(&status), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => {
                mknodat(to, name, kind, mode(&status), status.st_rdev)?;
                own(to, name, &status)?;
                chmodat(to, name, mode(&status), AtFlags::empty())?;
            }
            FileType::Unknown => return Err(Errno::INVAL),
        }
    }
    Ok(())
}

fn copy_bytes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    /// Bytes asked for at once; the kernel stops at the end of the file.
    const CHUNK: usize = 1 << 30;
    loop {
        match copy_file_range(from, None, to, None, CHUNK) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // Between file systems that cannot do it among themselves.
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                return copy_through_memory(from, to);
            }
            Err(errno) => return Err(errno),
        }
    }
}

fn copy_through_memory(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut buffer = vec![0; 1 << 17];
    loop {
        let length = rustix::io::read(from, &mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            rest = &rest[rustix::io::write(to, rest)?..];
        }
    }
}

fn mode(status: &Stat) -> Mode {
    Mode::from_raw_mode(status.st_mode & 0o7777)
}

fn own(directory: BorrowedFd<'_>, name: &CStr, status: &Stat) -> Result<(), Errno> {
    let (uid, gid) = (
        Some(Uid::from_raw(status.st_uid)),
        Some(Gid::from_raw(status.st_gid)),
    );
    chownat(directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
}

fn times(status: &Stat) -> Timestamps {
    let time = |seconds: i64, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
    };
    Timestamps {
        last_access: time(status.st_atime, status.st_atime_nsec),
        last_modification: time(status.st_mtime, status.st_mtime_nsec),
    }
}

/// Gives `to` the attributes, owner, mode and times of `from`; in this order, since a change of owner clears set-user-id bits.
fn adopt(from: BorrowedFd<'_>, to: BorrowedFd<'_>, status: &Stat) -> Result<(), Errno> {
    fchown(
        to,
        Some(Uid::from_raw(status.st_uid)),
        Some(Gid::from_raw(status.st_gid)),
    )?;
    copy_attributes(from, to)?;
    fchmod(to, mode(status))?;
    futimens(to, &times(status))
}

/// File capabilities, access lists and the user's own attributes.
fn copy_attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut list = vec![0u8; 1 << 16];
    let length = match flistxattr(from, &mut list[..]) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        other => other?,
    };
    for name in list[..length].split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        let text = name.to_bytes();
        if !(text.starts_with(b"user.")
            || text == b"security.capability"
            || text.starts_with(b"system.posix_acl"))
        {
            continue;
        }
        let mut value = vec![0u8; 1 << 16];
        let length = fgetxattr(from, name, &mut value[..])?;
        match fsetxattr(to, name, &value[..length], XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
    use std::path::PathBuf;

    use super::*;

    struct Scratch(PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn image(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("rcompose-copy-up-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("root/data/below")).unwrap();
        fs::create_dir_all(path.join("volume")).unwrap();
        fs::write(path.join("root/data/file"), "content").unwrap();
        fs::set_permissions(path.join("root/data/file"), fs::Permissions::from_mode(0o4711)).unwrap();
        fs::hard_link(path.join("root/data/file"), path.join("root/data/below/same")).unwrap();
        symlink("/etc/passwd", path.join("root/data/link")).unwrap();
        chown(path.join("root/data"), Some(123), Some(456)).unwrap();
        fs::set_permissions(path.join("root/data"), fs::Permissions::from_mode(0o1750)).unwrap();
        Scratch(path)
    }

    fn fill_it(scratch: &Scratch) {
        let (root, volume) = (
            File::open(scratch.0.join("root")).unwrap(),
            File::open(scratch.0.join("volume")).unwrap(),
        );
        fill(root.as_fd(), "/data", volume.as_fd()).unwrap();
    }

    fn assert_filled(scratch: &Scratch) {
        let volume = scratch.0.join("volume");
        assert_eq!(fs::read_to_string(volume.join("file")).unwrap(), "content");
        let file = fs::metadata(volume.join("file")).unwrap();
        assert_eq!((file.mode() & 0o7777, file.nlink()), (0o4711, 2));
        assert_eq!(file.ino(), fs::metadata(volume.join("below/same")).unwrap().ino());
        assert_eq!(
            fs::read_link(volume.join("link")).unwrap(),
            PathBuf::from("/etc/passwd")
        );
        let root = fs::metadata(&volume).unwrap();
        assert_eq!((root.uid(), root.gid(), root.mode() & 0o7777), (123, 456, 0o1750));
        assert_eq!(
            fs::read_dir(&volume).unwrap().count(),
            3,
            "nothing of the copying is left"
        );
    }

    #[test]
    fn an_empty_volume_gets_content_owner_mode_and_links() {
        let scratch = image("whole");
        fill_it(&scratch);
        assert_filled(&scratch);
    }

    #[test]
    fn a_copy_cut_short_is_made_again_and_a_finished_one_is_moved_on() {
        let scratch = image("cut");
        let partial = scratch.0.join("volume/.rcompose-copy-up.partial");
        fs::create_dir_all(partial.join("below")).unwrap();
        fs::write(partial.join("file"), "half").unwrap();
        fill_it(&scratch);
        assert_filled(&scratch);
        let complete = scratch.0.join("volume/.rcompose-copy-up.complete");
        fs::create_dir(&complete).unwrap();
        chown(&complete, Some(123), Some(456)).unwrap();
        fs::set_permissions(&complete, fs::Permissions::from_mode(0o1750)).unwrap();
        fs::rename(scratch.0.join("volume/file"), complete.join("file")).unwrap();
        fill_it(&scratch);
        assert_filled(&scratch);
    }

    #[test]
    fn a_volume_with_content_is_left_alone() {
        let scratch = image("used");
        fs::write(scratch.0.join("volume/mine"), "x").unwrap();
        fill_it(&scratch);
        assert_eq!(fs::read_dir(scratch.0.join("volume")).unwrap().count(), 1);
    }
}
