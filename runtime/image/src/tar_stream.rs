//! Tar bytes in, entries with long names, PAX records and extended attributes already applied out.
//! **Invariant:** no header makes it hold more than 1 MiB in memory; a header whose checksum is wrong is never used.

use std::io::{self, BufRead, Read};

use tar::Header;

use crate::error::ImageError;

mod pax;

use pax::{Extensions, read_pax};

const BLOCK: u64 = 512;
const LONGEST_EXTENSION: u64 = 1 << 20;

/// What an entry creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Regular,
    Directory,
    Symlink,
    HardLink,
    CharacterDevice,
    BlockDevice,
    Fifo,
}

/// One member of an archive, as its headers describe it.
#[derive(Debug, Clone)]
pub(crate) struct TarEntry {
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: EntryKind,
    /// Permission bits, with set-user-ID, set-group-ID and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Seconds since 1970 and nanoseconds.
    pub(crate) modified: (i64, u32),
    /// Bytes of content.
    pub(crate) size: u64,
    /// Major and minor number.
    pub(crate) device: (u32, u32),
    /// Names and values.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl TarEntry {
    /// The path for a message.
    pub(crate) fn name(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// Reads an archive entry by entry.
pub(crate) struct TarStream<R> {
    source: R,
    /// Bytes of the present entry's content not read yet.
    content: u64,
    /// Bytes that fill up its last block.
    padding: u64,
}

impl<R: BufRead> TarStream<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            content: 0,
            padding: 0,
        }
    }

    /// The next entry; what was left of the present one's content is skipped. `None` at the end of the archive.
    pub(crate) fn next_entry(&mut self) -> Result<Option<TarEntry>, ImageError> {
        let mut extensions = Extensions::default();
        loop {
            self.skip()?;
            let mut header = Header::new_old();
            if !self.read_header(&mut header)? {
                return Ok(None);
            }
            self.start_content(header.entry_size().map_err(bad_archive)?)?;
            let kind = header.entry_type();
            if kind.is_gnu_longname() {
                extensions.path = Some(until_nul(self.read_extension()?));
            } else if kind.is_gnu_longlink() {
                extensions.link = Some(until_nul(self.read_extension()?));
            } else if kind.is_pax_local_extensions() {
                let records = self.read_extension()?;
                read_pax(&records, &mut extensions)?;
            } else if kind.is_pax_global_extensions() || matches!(kind.as_byte(), b'V' | b'M' | b'N') {
                // Comments of `git archive`, volume labels: nothing to create.
            } else {
                if let Some(size) = extensions.size {
                    self.start_content(size)?;
                }
                return self.entry(&header, extensions).map(Some);
            }
        }
    }

    /// The archive's reader, wherever it stands.
    pub(crate) fn into_source(self) -> R {
        self.source
    }

    fn entry(&mut self, header: &Header, extensions: Extensions) -> Result<TarEntry, ImageError> {
        let path = extensions
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let name = || String::from_utf8_lossy(&path).into_owned();
        let bad = |problem: &str| ImageError::BadEntry {
            entry: name(),
            problem: problem.to_owned(),
        };
        if extensions.sparse {
            return Err(bad("is a sparse file, which is not supported"));
        }
        // The type flags of POSIX pax, "ustar Interchange Format", and GNU's sparse file.
        let kind = match header.entry_type().as_byte() {
            // Before POSIX a directory was a file whose name ends in a slash.
            b'0' | 0 if path.ends_with(b"/") => EntryKind::Directory,
            b'0' | 0 | b'7' => EntryKind::Regular,
            b'1' => EntryKind::HardLink,
            b'2' => EntryKind::Symlink,
            b'3' => EntryKind::CharacterDevice,
            b'4' => EntryKind::BlockDevice,
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            b'S' => return Err(bad("is a sparse file, which is not supported")),
            other => return Err(bad(&format!("has the unknown type {:?}", char::from(other)))),
        };
        let link = extensions
            .link
            .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let number = |field: &[u8], value: io::Result<u64>| {
            // An empty field is a zero that was not written.
            if is_blank(field) {
                Ok(0)
            } else {
                value.map_err(|_| bad("has an invalid number in its header"))
            }
        };
        let old = header.as_old();
        let device = |value: io::Result<Option<u32>>| value.map_err(|_| bad("has an invalid device number"));
        let is_device = matches!(kind, EntryKind::CharacterDevice | EntryKind::BlockDevice);
        Ok(TarEntry {
            kind,
            mode: u32::try_from(number(&old.mode, header.mode().map(u64::from))? & 0o7777).unwrap_or(0),
            uid: extensions
                .uid
                .map_or_else(|| number(&old.uid, header.uid()), Ok)?,
            gid: extensions
                .gid
                .map_or_else(|| number(&old.gid, header.gid()), Ok)?,
            modified: extensions.modified.unwrap_or_else(|| {
                (
                    header
                        .mtime()
                        .ok()
                        .and_then(|time| time.try_into().ok())
                        .unwrap_or(0),
                    0,
                )
            }),
            size: self.content,
            device: if is_device {
                (
                    device(header.device_major())?.unwrap_or(0),
                    device(header.device_minor())?.unwrap_or(0),
                )
            } else {
                (0, 0)
            },
            link: link.unwrap_or_default(),
            xattrs: extensions.xattrs,
            path,
        })
    }

    /// Reads one header block; `false` at the end: a block of zeros, or no more bytes at all.
    fn read_header(&mut self, header: &mut Header) -> Result<bool, ImageError> {
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while filled < block.len() {
            match self.source.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(read_error(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read_error(error)),
            }
        }
        if block.iter().all(|&byte| byte == 0) {
            return Ok(false);
        }
        let sum = block[..148]
            .iter()
            .chain(&block[156..])
            .map(|&byte| u32::from(byte))
            .sum::<u32>()
            + 8 * 32;
        if header.cksum().map_err(bad_archive)? != sum {
            return Err(ImageError::BadArchive {
                problem: "header checksum is wrong".to_owned(),
            });
        }
        Ok(true)
    }

    fn start_content(&mut self, size: u64) -> Result<(), ImageError> {
        if size > i64::MAX as u64 {
            return Err(ImageError::BadArchive {
                problem: format!("an entry claims {size} bytes"),
            });
        }
        self.content = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
        Ok(())
    }

    fn read_extension(&mut self) -> Result<Vec<u8>, ImageError> {
        if self.content > LONGEST_EXTENSION {
            let problem = format!("an extended header claims {} bytes", self.content);
            return Err(ImageError::BadArchive { problem });
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).map_err(read_error)?;
        Ok(bytes)
    }

    fn skip(&mut self) -> Result<(), ImageError> {
        let mut left = self.content + self.padding;
        while left > 0 {
            let available = self.source.fill_buf().map_err(read_error)?.len() as u64;
            if available == 0 {
                return Err(read_error(io::ErrorKind::UnexpectedEof.into()));
            }
            let step = available.min(left);
            self.source.consume(usize::try_from(step).unwrap_or(usize::MAX));
            left -= step;
        }
        (self.content, self.padding) = (0, 0);
        Ok(())
    }
}

/// The content of the present entry; ends with it.
impl<R: BufRead> Read for TarStream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for TarStream<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.content == 0 {
            return Ok(&[]);
        }
        let available = self.source.fill_buf()?;
        if available.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let count = usize::try_from(self.content)
            .unwrap_or(usize::MAX)
            .min(available.len());
        Ok(&available[..count])
    }

    fn consume(&mut self, count: usize) {
        self.source.consume(count);
        self.content -= count as u64;
    }
}

fn read_error(source: io::Error) -> ImageError {
    ImageError::Read { source }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature map_err calls")]
fn bad_archive(error: io::Error) -> ImageError {
    ImageError::BadArchive {
        problem: error.to_string(),
    }
}

fn is_blank(field: &[u8]) -> bool {
    field.iter().all(|byte| matches!(byte, 0 | b' '))
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    bytes
}
