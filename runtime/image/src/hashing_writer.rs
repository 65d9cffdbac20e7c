//! Bytes in, passed on; out: how many they were, and their digest.
//! **Invariant:** no byte beyond those that were announced is passed on.

use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// Hashes and counts what is written through it.
pub(crate) struct HashingWriter<W> {
    output: W,
    hash: Sha256,
    count: u64,
    most: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Writing more than `most` bytes is an error.
    pub(crate) fn new(output: W, most: u64) -> Self {
        Self {
            output,
            hash: Sha256::new(),
            count: 0,
            most,
        }
    }

    /// What it wrote to, the digest and the number of bytes.
    pub(crate) fn finish(self) -> (W, Digest, u64) {
        (self.output, self.hash.into(), self.count)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.most - self.count {
            return Err(io::Error::other(format!("it has more than {} bytes", self.most)));
        }
        let count = self.output.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_passes_and_no_more() {
        let mut writer = HashingWriter::new(Vec::new(), 5);
        writer.write_all(b"abc").expect("announced");
        let error = writer.write_all(b"def").expect_err("one byte too many");
        assert_eq!(error.to_string(), "it has more than 5 bytes");
        writer.write_all(b"de").expect("announced");
        let (output, digest, count) = writer.finish();
        assert_eq!((output.as_slice(), count), (b"abcde".as_slice(), 5));
        assert_eq!(digest, Digest::of(b"abcde"));
    }
}
