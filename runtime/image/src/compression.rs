//! A byte stream of unknown compression in, the plain bytes out; and a reader that hashes what passes.
//! **Invariant:** the compression is told from the first bytes, never from a name or an announcement.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
const BZIP2: &[u8] = b"BZh";
/// What `xz -9` needs is 65 MiB; a header may ask for 4 GiB.
const XZ_MEMORY_KIB: u32 = 256 << 10;
/// Large enough that a decoder's calls cost nothing, small enough for the second-level cache.
pub(crate) const BUFFER: usize = 128 << 10;

/// Whether a file is one of what [`decompress`] unpacks; it is read from its beginning afterwards.
pub(crate) fn is_compressed(file: &mut File) -> io::Result<bool> {
    let mut head = Vec::with_capacity(XZ.len());
    file.by_ref().take(XZ.len() as u64).read_to_end(&mut head)?;
    file.rewind()?;
    Ok([GZIP, ZSTD, XZ, BZIP2]
        .iter()
        .any(|magic| head.starts_with(magic)))
}

/// Unpacks gzip, zstd, xz and bzip2, also when several streams follow each other, and passes anything else through.
pub(crate) fn decompress<'a>(mut source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::with_capacity(XZ.len());
    source.by_ref().take(XZ.len() as u64).read_to_end(&mut head)?;
    let is = |magic: &[u8]| head.starts_with(magic);
    let (gzip, zstd, xz, bzip2) = (is(GZIP), is(ZSTD), is(XZ), is(BZIP2));
    let whole = Cursor::new(head).chain(BufReader::with_capacity(BUFFER, source));
    Ok(if gzip {
        Box::new(flate2::bufread::MultiGzDecoder::new(whole))
    } else if zstd {
        Box::new(zstd::stream::read::Decoder::with_buffer(whole)?)
    } else if xz {
        Box::new(lzma_rust2::XzReader::new_mem_limit(whole, true, XZ_MEMORY_KIB))
    } else if bzip2 {
        Box::new(bzip2::bufread::MultiBzDecoder::new(whole))
    } else {
        Box::new(whole)
    })
}

/// Hashes and counts everything that is read through it.
pub(crate) struct HashingReader<R> {
    inner: R,
    hash: Sha256,
    count: u64,
    most: u64,
}

impl<R: Read> HashingReader<R> {
    /// Reading more than `most` bytes is an error: a few bytes of a compressed stream may stand for any number.
    pub(crate) fn new(inner: R, most: u64) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            count: 0,
            most,
        }
    }

    /// The digest and the number of bytes of what was read.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (self.hash.into(), self.count)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.count += count as u64;
        if self.count > self.most {
            return Err(io::Error::other(format!("it has more than {} bytes", self.most)));
        }
        Ok(count)
    }
}

/// Reads `source` to its end and throws the bytes away.
pub(crate) fn drain(source: &mut impl BufRead) -> io::Result<()> {
    loop {
        let count = source.fill_buf()?.len();
        if count == 0 {
            return Ok(());
        }
        source.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn plain(source: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompress(source)?.read_to_end(&mut out)?;
        Ok(out)
    }

    /// `printf plain | xz` and `printf plain | bzip2`.
    const XZ_PLAIN: &[u8] = &[
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01, 0x16,
        0x00, 0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00, 0x04, 0x70, 0x6c, 0x61, 0x69, 0x6e, 0x00, 0x00,
        0x00, 0x00, 0xe5, 0x25, 0x01, 0x2a, 0x9c, 0x61, 0x9b, 0x1c, 0x00, 0x01, 0x1d, 0x05, 0xb8, 0x2d, 0x80,
        0xaf, 0x1f, 0xb6, 0xf3, 0x7d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
    ];
    const BZIP2_PLAIN: &[u8] = &[
        0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0x65, 0x0e, 0xe9, 0xeb, 0x00, 0x00, 0x02,
        0x01, 0x80, 0x20, 0x25, 0x40, 0x00, 0x20, 0x00, 0x21, 0x83, 0x41, 0x9a, 0x0b, 0x0c, 0x71, 0x77, 0x24,
        0x53, 0x85, 0x09, 0x06, 0x50, 0xee, 0x9e, 0xb0,
    ];

    #[test]
    fn reads_what_xz_and_bzip2_write() {
        for form in [XZ_PLAIN, BZIP2_PLAIN] {
            assert_eq!(plain(form).unwrap(), b"plain");
            assert_eq!(plain(&[form, form].concat()).unwrap(), b"plainplain");
            assert!(plain(&form[..form.len() - 8]).is_err());
        }
        // A block header that asks for a dictionary of 4 GiB is refused before the memory is taken.
        let mut greedy = XZ_PLAIN.to_vec();
        greedy[16] = 40;
        let mut sum = flate2::Crc::new();
        sum.update(&greedy[12..20]);
        greedy[20..24].copy_from_slice(&sum.sum().to_le_bytes());
        assert!(plain(&greedy).unwrap_err().to_string().contains("mem"));
    }

    #[test]
    fn tells_the_compression_from_the_bytes() {
        let text = b"some text, some text, some text".repeat(1000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(text.as_slice(), 1).unwrap();
        assert_eq!(plain(&text).unwrap(), text);
        assert_eq!(plain(&gzip).unwrap(), text);
        assert_eq!(plain(&zstd).unwrap(), text);
        assert_eq!(
            plain(&[gzip.clone(), gzip.clone()].concat()).unwrap().len(),
            2 * text.len()
        );
        assert_eq!(
            plain(&[zstd.clone(), zstd.clone()].concat()).unwrap().len(),
            2 * text.len()
        );
        assert_eq!(plain(b"").unwrap(), b"");
        assert_eq!(plain(b"ab").unwrap(), b"ab");
        assert!(plain(&gzip[..gzip.len() / 2]).is_err());
        assert!(plain(b"\xfd7zXZ\0rest").is_err());
    }
}
