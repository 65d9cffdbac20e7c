//! A file of a layer in, the extended attributes its image keeps out; and their form as PAX records.
//! **Invariant:** attributes of the host (labels, overlay's own) never get into an archive.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{fgetxattr, flistxattr};
use rustix::io::Errno;

use super::failed;
use crate::error::ImageError;
use crate::unpack::OPAQUE;

/// Names and values.
pub(super) type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// `LENGTH KEY=VALUE\n`; the length counts its own digits.
pub(super) fn pax_record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// The attributes an image keeps, sorted, and whether overlay's opaque mark is set.
pub(super) fn xattrs(file: &OwnedFd, path: &[u8]) -> Result<(Attributes, bool), ImageError> {
    let failed = failed("read an attribute of", path);
    let mut names = vec![0_u8; 1024];
    let length = match flistxattr(file.as_fd(), names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::RANGE) => {
            names.resize(64 << 10, 0);
            flistxattr(file.as_fd(), names.as_mut_slice()).map_err(&failed)?
        }
        Err(Errno::NOTSUP) => 0,
        Err(error) => return Err(failed(error)),
    };
    let (mut kept, mut opaque) = (Vec::new(), false);
    for name in names[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
    {
        match name {
            _ if name == OPAQUE.as_bytes() => opaque = value(file, name).map_err(&failed)? == b"y",
            b"trusted.overlay.redirect" | b"trusted.overlay.metacopy" => {
                let problem =
                    "refers to a lower layer: mount with redirect_dir=off and metacopy=off".to_owned();
                return Err(ImageError::BadEntry {
                    entry: String::from_utf8_lossy(path).into_owned(),
                    problem,
                });
            }
            b"security.capability" => kept.push((name.to_vec(), value(file, name).map_err(&failed)?)),
            _ if name.starts_with(b"user.") => {
                kept.push((name.to_vec(), value(file, name).map_err(&failed)?));
            }
            _ => {}
        }
    }
    kept.sort();
    Ok((kept, opaque))
}

fn value(file: &OwnedFd, name: &[u8]) -> rustix::io::Result<Vec<u8>> {
    let mut bytes = vec![0_u8; 64 << 10];
    let length = fgetxattr(file.as_fd(), OsStr::from_bytes(name), bytes.as_mut_slice())?;
    bytes.truncate(length);
    Ok(bytes)
}
