//! A path or a stream comes in, the bytes behind it go out: of a file, a pipe, a device. I/O, like [`super::load`].
//! **Invariant:** nothing larger than any compose file is read, and no pipe is waited for that nobody writes to.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;

/// The size of the largest file that is read, in bytes.
const LARGEST: u64 = 16_000_000;

/// How long a named pipe may be without a writer.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// Reads a file whole.
///
/// # Errors
/// It cannot be read, is too large, or is a pipe that nobody writes to.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A blocking open of a pipe returns when somebody writes to it, which may be never.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let mut begun = Vec::new();
    let metadata = file.metadata()?;
    if metadata.file_type().is_fifo() {
        rustix::event::poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&PATIENCE))?;
        let mut chunk = [0; 4096];
        match (&file).read(&mut chunk) {
            Ok(0) => {
                let message = "it is a pipe, and nobody writes to it";
                return Err(io::Error::new(io::ErrorKind::BrokenPipe, message));
            }
            Ok(length) => begun.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
    read_bounded(begun.as_slice().chain(file), metadata.len())
}

/// Everything there is to read, unless that is more than any compose file.
pub(super) fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    read_bounded(reader, 0)
}

/// The same of what is said to be this long.
fn read_bounded(reader: impl Read, length: u64) -> io::Result<Vec<u8>> {
    let expected = usize::try_from(length.min(LARGEST) + 1).unwrap_or_default();
    let mut bytes = Vec::with_capacity(expected);
    reader.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        let message = format!(
            "it is larger than {} megabytes, as no compose file is",
            LARGEST / 1_000_000
        );
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_are_read_when_somebody_writes_and_refused_when_nobody_does() {
        let directory = tempfile::tempdir().expect("a directory");
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .expect("a pipe");
        let nobody = read(&pipe).expect_err("nobody writes");
        assert_eq!(nobody.to_string(), "it is a pipe, and nobody writes to it");
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, "a".repeat(100_000)).expect("written")
        });
        assert_eq!(read(&pipe).expect("read").len(), 100_000);
        writer.join().expect("ended");
        assert!(
            read(Path::new("/dev/zero"))
                .expect_err("endless")
                .to_string()
                .contains("16 megabytes")
        );
        assert_eq!(read(Path::new("/dev/null")).expect("empty"), b"");
    }
}
