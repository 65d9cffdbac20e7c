//! In: what a build learnt. Out: a file that begins with what it is and ends with its own digest; read, its content.
//! **Invariant:** a file that is damaged, cut or of another kind has no content; nobody sees half of one.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::ImageError;
use crate::store::write_atomically;

/// What a file begins with: its kind and version.
pub(super) type Header = [u8; 16];
const SEAL: usize = 32;

/// The content of the file.
pub(super) fn read(path: &Path, header: &Header) -> Option<Vec<u8>> {
    let mut bytes = fs::read(path).ok()?;
    let (sealed, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL)?)?;
    if !sealed.starts_with(header) || Sha256::digest(sealed).as_slice() != seal {
        return None;
    }
    bytes.truncate(bytes.len() - SEAL);
    Some(bytes.split_off(header.len()))
}

/// Replaces the file, and makes its directory.
pub(super) fn write(path: &Path, header: &Header, content: &[u8]) -> Result<(), ImageError> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(ImageError::path("create", directory))?;
    }
    let mut bytes = Vec::with_capacity(header.len() + content.len() + SEAL);
    bytes.extend_from_slice(header);
    bytes.extend_from_slice(content);
    let seal = Sha256::digest(&bytes);
    bytes.extend_from_slice(&seal);
    write_atomically(path, &bytes, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_content_only_whole_and_of_its_kind() {
        let root = tempfile::tempdir().expect("directory");
        let path = root.path().join("kind/file");
        let header = b"sixteen bytes 01";
        write(&path, header, b"content").expect("written");
        assert_eq!(read(&path, header), Some(b"content".to_vec()));
        assert_eq!(read(&path, b"sixteen bytes 02"), None);
        let whole = fs::read(&path).expect("bytes");
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            fs::write(&path, damaged).expect("written");
            assert_eq!(read(&path, header), None, "byte {place}");
            fs::write(&path, &whole[..place]).expect("written");
            assert_eq!(read(&path, header), None, "cut at {place}");
        }
        let beside = fs::read_dir(root.path().join("kind")).expect("directory");
        assert_eq!(beside.count(), 1, "nothing unfinished is left");
    }
}
