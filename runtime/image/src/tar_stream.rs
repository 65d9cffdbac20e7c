//! Tar bytes in, entries with long names, PAX records and extended attributes already applied out.
//! **Invariant:** no header makes it hold more than 1 MiB in memory; a header whose checksum is wrong is never used.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use tar::{GnuExtSparseHeader, Header};

use crate::error::ImageError;

mod entry;
mod pax;
mod sparse;

use entry::describe;
pub(crate) use entry::{EntryKind, TarEntry};
use pax::{Extensions, read_pax};
use sparse::{Run, SparseMap, read_map};

const BLOCK: u64 = 512;
const LONGEST_EXTENSION: u64 = 1 << 20;
/// Headers in a row that create nothing.
const MOST_EXTENSIONS: u64 = 64;
/// What a hole reads as, piece by piece.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Reads an archive entry by entry.
pub(crate) struct TarStream<R> {
    source: R,
    /// Bytes of the present entry in the archive that were not read yet.
    stored: u64,
    /// Bytes that fill up its last block.
    padding: u64,
    /// What its content is made of, from here on.
    runs: VecDeque<Run>,
}

impl<R: BufRead> TarStream<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            stored: 0,
            padding: 0,
            runs: VecDeque::new(),
        }
    }

    /// The next entry; what was left of the present one's content is skipped. `None` at the end of the archive.
    pub(crate) fn next_entry(&mut self) -> Result<Option<TarEntry>, ImageError> {
        let mut extensions = Extensions::default();
        for _ in 0..=MOST_EXTENSIONS {
            self.skip()?;
            let mut header = Header::new_old();
            if !self.read_header(&mut header)? {
                return Ok(None);
            }
            let kind = header.entry_type();
            // A link or a node has no content, whatever its header says: as in Go's archive/tar, so that an archive does not
            // mean one thing here and another there.
            let has_content = !matches!(kind.as_byte(), b'1'..=b'6');
            let size = if has_content {
                header.entry_size().map_err(bad_archive)?
            } else {
                0
            };
            self.start_content(size)?;
            if kind.is_gnu_longname() {
                extensions.gnu_path = Some(until_nul(self.read_extension()?));
            } else if kind.is_gnu_longlink() {
                extensions.gnu_link = Some(until_nul(self.read_extension()?));
            } else if kind.is_pax_local_extensions() {
                // A second one replaces the first, as in Go's archive/tar.
                extensions = Extensions {
                    gnu_path: extensions.gnu_path.take(),
                    gnu_link: extensions.gnu_link.take(),
                    ..Extensions::default()
                };
                let records = self.read_extension()?;
                read_pax(&records, &mut extensions)?;
            } else if kind.is_pax_global_extensions() || matches!(kind.as_byte(), b'V' | b'M' | b'N') {
                // Comments of `git archive`, volume labels: nothing to create.
            } else {
                if let Some(size) = extensions.size.filter(|_| has_content) {
                    self.start_content(size)?;
                }
                let size = self.holes(&header, &mut extensions)?;
                return describe(&header, extensions, size).map(Some);
            }
        }
        Err(ImageError::BadArchive {
            problem: format!("more than {MOST_EXTENSIONS} extended headers stand before one entry"),
        })
    }

    /// Spreads the content of a sparse file; the length of the file.
    fn holes(&mut self, header: &Header, extensions: &mut Extensions) -> Result<u64, ImageError> {
        let malformed = || ImageError::BadArchive {
            problem: "malformed map of a sparse file".to_owned(),
        };
        let (map, size) = if header.entry_type().is_gnu_sparse() {
            let old = header.as_gnu().ok_or_else(malformed)?;
            let mut map = SparseMap::default();
            let mut more = map.add_header(old).ok_or_else(malformed)?;
            while more {
                let mut block = GnuExtSparseHeader::new();
                self.source.read_exact(block.as_mut_bytes()).map_err(read_error)?;
                more = map.add_extension(&block).ok_or_else(malformed)?;
            }
            (map, old.real_size().map_err(bad_archive)?)
        } else if let Some(sparse) = extensions.sparse.take() {
            extensions.path = sparse.name.or(extensions.path.take());
            let size = sparse.size.ok_or_else(malformed)?;
            if sparse.major == Some(1) {
                let mut next = || {
                    let mut byte = [0];
                    self.read_exact(&mut byte).map_err(read_error)?;
                    Ok(byte[0])
                };
                let (map, taken) = read_map(&mut next, &malformed)?;
                let padding = (BLOCK - taken % BLOCK) % BLOCK;
                io::copy(&mut self.by_ref().take(padding), &mut io::sink()).map_err(read_error)?;
                (map, size)
            } else {
                (sparse.map, size)
            }
        } else {
            return Ok(self.stored);
        };
        self.runs = map.runs(size, self.stored).ok_or_else(malformed)?;
        Ok(size)
    }

    /// The archive's reader, wherever it stands.
    pub(crate) fn into_source(self) -> R {
        self.source
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
            return self.ends_here().map(|()| false);
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

    /// After one block of zeros: the end of an archive is two of them, or the end of the stream. Anything else is refused,
    /// as by Go's archive/tar: other readers would go on behind it.
    fn ends_here(&mut self) -> Result<(), ImageError> {
        let mut block = Vec::new();
        self.source
            .by_ref()
            .take(BLOCK)
            .read_to_end(&mut block)
            .map_err(read_error)?;
        if block.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        Err(ImageError::BadArchive {
            problem: "a lone block of zeros stands between entries".to_owned(),
        })
    }

    fn start_content(&mut self, size: u64) -> Result<(), ImageError> {
        if size > i64::MAX as u64 {
            return Err(ImageError::BadArchive {
                problem: format!("an entry claims {size} bytes"),
            });
        }
        self.stored = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
        self.runs = VecDeque::from([Run {
            zeros: 0,
            stored: size,
        }]);
        Ok(())
    }

    fn read_extension(&mut self) -> Result<Vec<u8>, ImageError> {
        if self.stored > LONGEST_EXTENSION {
            let problem = format!("an extended header claims {} bytes", self.stored);
            return Err(ImageError::BadArchive { problem });
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).map_err(read_error)?;
        Ok(bytes)
    }

    fn skip(&mut self) -> Result<(), ImageError> {
        let mut left = self.stored + self.padding;
        while left > 0 {
            let available = self.source.fill_buf().map_err(read_error)?.len() as u64;
            if available == 0 {
                return Err(read_error(io::ErrorKind::UnexpectedEof.into()));
            }
            let step = available.min(left);
            self.source.consume(usize::try_from(step).unwrap_or(usize::MAX));
            left -= step;
        }
        (self.stored, self.padding) = (0, 0);
        self.runs.clear();
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
        while let Some(run) = self.runs.front() {
            if run.zeros > 0 {
                let count = usize::try_from(run.zeros).unwrap_or(usize::MAX).min(ZEROS.len());
                return Ok(&ZEROS[..count]);
            }
            if run.stored > 0 {
                break;
            }
            self.runs.pop_front();
        }
        let Some(run) = self.runs.front() else {
            return Ok(&[]);
        };
        let available = self.source.fill_buf()?;
        if available.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let count = usize::try_from(run.stored)
            .unwrap_or(usize::MAX)
            .min(available.len());
        Ok(&available[..count])
    }

    fn consume(&mut self, count: usize) {
        let Some(run) = self.runs.front_mut() else {
            return;
        };
        if run.zeros > 0 {
            run.zeros -= count as u64;
        } else {
            run.stored -= count as u64;
            self.stored -= count as u64;
            self.source.consume(count);
        }
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

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    bytes
}
