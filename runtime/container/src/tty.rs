//! In: a devpts instance. Out: a pseudo terminal of that instance, both sides.
//! **Invariant:** the slave is opened through its master (`TIOCGPTPEER`), never by a name inside the container (CVE-2025-52565).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, fstatfs, makedev, openat};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::beneath;
use crate::message::{Stage, StartError};

/// statfs(2) type of devpts.
const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;

/// Both sides of a pseudo terminal.
pub(crate) struct Terminal {
    pub(crate) master: OwnedFd,
    pub(crate) slave: OwnedFd,
}

/// A new terminal of the devpts whose root directory is given, `size` in columns and rows.
pub(crate) fn open(devpts: BorrowedFd<'_>, size: Option<(u16, u16)>) -> Result<Terminal, StartError> {
    let step = "open a terminal";
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let master = openat(devpts, "ptmx", flags, Mode::empty()).stage(step)?;
    let (status, file_system) = (fstat(&master).stage(step)?, fstatfs(&master).stage(step)?);
    let genuine = u64::try_from(file_system.f_type) == Ok(DEVPTS_SUPER_MAGIC)
        && FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice
        && status.st_rdev == makedev(5, 2);
    if !genuine {
        return Err(StartError::refused(
            step,
            "/dev/pts/ptmx of the container is no terminal multiplexer",
        ));
    }
    unlockpt(&master).stage(step)?;
    let slave = ioctl_tiocgptpeer(
        &master,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )
    .stage(step)?;
    if let Some((columns, rows)) = size {
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).stage("set the terminal's size")?;
    }
    Ok(Terminal { master, slave })
}

/// The same in a container that runs already.
pub(crate) fn open_in(root: BorrowedFd<'_>, size: Option<(u16, u16)>) -> Result<Terminal, StartError> {
    let devpts = beneath::open_without_links(root, "dev/pts", OFlags::PATH | OFlags::DIRECTORY)
        .stage("open /dev/pts")?;
    open(devpts.as_fd(), size)
}
