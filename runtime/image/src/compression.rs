//! A byte stream of unknown compression in, the plain bytes out; and a reader that hashes what passes.
//! **Invariant:** the compression is told from the first bytes, never from a name or an announcement.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
const BZIP2: &[u8] = b"BZh";
/// Large enough that a decoder's calls cost nothing, small enough for the second-level cache.
pub(crate) const BUFFER: usize = 128 << 10;

/// Unpacks gzip and zstd, also when several streams follow each other, and passes anything else through.
pub(crate) fn decompress<'a>(mut source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::with_capacity(XZ.len());
    source.by_ref().take(XZ.len() as u64).read_to_end(&mut head)?;
    let gzip = head.starts_with(GZIP);
    let zstd = head.starts_with(ZSTD);
    for (magic, name) in [(XZ, "xz"), (BZIP2, "bzip2")] {
        if head.starts_with(magic) {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("{name} compression is not supported: use gzip or zstd"),
            ));
        }
    }
    let whole = Cursor::new(head).chain(BufReader::with_capacity(BUFFER, source));
    Ok(if gzip {
        Box::new(flate2::bufread::MultiGzDecoder::new(whole))
    } else if zstd {
        Box::new(zstd::stream::read::Decoder::with_buffer(whole)?)
    } else {
        Box::new(whole)
    })
}

/// Hashes and counts everything that is read through it.
pub(crate) struct HashingReader<R> {
    inner: R,
    hash: Sha256,
    count: u64,
}

impl<R: Read> HashingReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            count: 0,
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
        assert!(plain(b"\xfd7zXZ\0rest").unwrap_err().to_string().contains("xz"));
    }
}
