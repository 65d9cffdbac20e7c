//! The content of a PAX extended header in, the attributes it gives the next entry out.
//! **Invariant:** a record whose length does not fit is an error; values may hold any byte, newlines too.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::sparse::PaxSparse;
use crate::error::ImageError;

const XATTR: &[u8] = b"SCHILY.xattr.";
const SPARSE: &[u8] = b"GNU.sparse.";

/// Extensions that precede an entry.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    /// GNU's long names, which win over PAX's as in Go's archive/tar: no archive means one thing here and another there.
    pub(super) gnu_path: Option<Vec<u8>>,
    pub(super) gnu_link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) modified: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Option<PaxSparse>,
}

/// `LENGTH KEY=VALUE\n`, where the length counts the whole record and the value may hold any byte (POSIX pax, "Extended Header").
pub(super) fn read_pax(mut records: &[u8], extensions: &mut Extensions) -> Result<(), ImageError> {
    let malformed = || ImageError::BadArchive {
        problem: "malformed PAX record".to_owned(),
    };
    while !records.is_empty() {
        let space = records
            .iter()
            .take(20)
            .position(|&byte| byte == b' ')
            .ok_or_else(malformed)?;
        let length: usize = ascii_number(&records[..space]).ok_or_else(malformed)?;
        if length > records.len() || length < space + 3 || records[length - 1] != b'\n' {
            return Err(malformed());
        }
        let record = &records[space + 1..length - 1];
        records = &records[length..];
        let equals = record
            .iter()
            .position(|&byte| byte == b'=')
            .ok_or_else(malformed)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        match key {
            // An empty value takes the record back (POSIX pax, "Extended Header File").
            b"path" => extensions.path = Some(value.to_vec()).filter(|path| !path.is_empty()),
            b"linkpath" => extensions.link = Some(value.to_vec()).filter(|path| !path.is_empty()),
            b"size" | b"uid" | b"gid" | b"mtime" if value.is_empty() => {}
            b"size" => extensions.size = Some(ascii_number(value).ok_or_else(malformed)?),
            b"uid" => extensions.uid = Some(ascii_number(value).ok_or_else(malformed)?),
            b"gid" => extensions.gid = Some(ascii_number(value).ok_or_else(malformed)?),
            b"mtime" => extensions.modified = Some(pax_time(value).ok_or_else(malformed)?),
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    extensions.xattrs.push((name.to_vec(), value.to_vec()));
                } else if let Some(name) = key.strip_prefix(SPARSE) {
                    let sparse = extensions.sparse.get_or_insert_default();
                    sparse.record(name, value).ok_or_else(malformed)?;
                }
            }
        }
    }
    Ok(())
}

fn ascii_number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `-1.5` is one and a half seconds before 1970: seconds −2, nanoseconds 500 000 000.
fn pax_time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    if whole.starts_with('-') && nanoseconds > 0 {
        Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds))
    } else {
        Some((seconds, nanoseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_binary_values_and_times() {
        let mut extensions = Extensions::default();
        let value = b"\x01\n=\0\n";
        let mut record = b"SCHILY.xattr.security.capability=".to_vec();
        record.extend_from_slice(value);
        let whole = [
            format!("{} ", record.len() + 4).as_bytes(),
            &record,
            b"\n",
            b"14 mtime=-1.5\n",
        ]
        .concat();
        read_pax(&whole, &mut extensions).unwrap();
        assert_eq!(
            extensions.xattrs,
            [(b"security.capability".to_vec(), value.to_vec())]
        );
        assert_eq!(extensions.modified, Some((-2, 500_000_000)));
        assert_eq!(pax_time(b"1700000000.25"), Some((1_700_000_000, 250_000_000)));
    }

    #[test]
    fn refuses_malformed_records() {
        for records in [
            &b"9999 path=x\n"[..],
            b"x path=y\n",
            b"9 path=xy\n",
            b"3 \n",
            b"7 path\n",
            b"99999999999999999999999 a=b\n",
        ] {
            assert!(
                read_pax(records, &mut Extensions::default()).is_err(),
                "{records:?}"
            );
        }
    }
}
