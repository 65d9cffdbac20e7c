//! In: rpm's database, a `SQLite` file with the headers of installed packages (rpm.org, "RPM v4 Package format", headers). Out: the packages.
//! **Invariant:** a header that is cut or has no name or version is an error, never skipped.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::package::{Manager, Package, Supplier};
use super::sqlite::{Database, Value, column};

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const SUMMARY: u32 = 1004;
const VENDOR: u32 = 1011;
const LICENSE: u32 = 1014;
const URL: u32 = 1020;
const ARCHITECTURE: u32 = 1022;
const SOURCE: u32 = 1044;

const INTEGER: u32 = 4;
const TEXT: u32 = 6;
const TEXTS: u32 = 8;
const TRANSLATED: u32 = 9;

/// Bytes of one entry of a header's index.
const ENTRY: usize = 16;
/// A key of a publisher that was imported, which the database keeps like a package.
const KEY: &str = "gpg-pubkey";

/// Reads all packages; `log` is the write-ahead log that the database was left with.
pub(super) fn parse(database: &[u8], log: &[u8]) -> Result<Vec<Package>, String> {
    let mut packages = Vec::new();
    Database::open(database, log)?.rows("Packages", &mut |row| {
        let Value::Bytes(blob) = column(row, 1)? else {
            return Err("a package has no header".to_owned());
        };
        let package = Header::of(blob)?.package()?;
        packages.extend(Some(package).filter(|package| package.name != KEY));
        Ok(())
    })?;
    Ok(packages)
}

/// The header of a package: an index, and the data it points into.
struct Header<'h> {
    index: &'h [u8],
    data: &'h [u8],
}

impl<'h> Header<'h> {
    fn of(blob: &'h [u8]) -> Result<Self, String> {
        let cut = "the header of a package is cut";
        let length = |at| word(blob, at).and_then(|length| usize::try_from(length).ok());
        let (entries, data) = length(0).zip(length(4)).ok_or(cut)?;
        let middle = entries.checked_mul(ENTRY).and_then(|index| index.checked_add(8));
        let index = middle.and_then(|middle| blob.get(8..middle)).ok_or(cut)?;
        let data = blob[8 + index.len()..].get(..data).ok_or(cut)?;
        Ok(Self { index, data })
    }

    /// The data of a tag from its beginning on, with its type.
    fn find(&self, tag: u32) -> Option<(u32, &'h [u8])> {
        let mut entries = self.index.chunks_exact(ENTRY);
        let entry = entries.find(|entry| word(entry, 0) == Some(tag))?;
        let offset = usize::try_from(word(entry, 8)?).ok()?;
        Some((word(entry, 4)?, self.data.get(offset..)?))
    }

    /// Of several texts the first, which is the one in English.
    fn text(&self, tag: u32) -> Option<String> {
        let (kind, data) = self.find(tag)?;
        let end = data.iter().position(|byte| *byte == 0)?;
        let text = String::from_utf8_lossy(&data[..end]).into_owned();
        Some(text).filter(|text| matches!(kind, TEXT | TEXTS | TRANSLATED) && !text.is_empty())
    }

    fn number(&self, tag: u32) -> Option<u32> {
        let (kind, data) = self.find(tag)?;
        word(data, 0).filter(|_| kind == INTEGER)
    }

    fn package(&self) -> Result<Package, String> {
        let name = self.text(NAME).ok_or("a package has no name")?;
        let has_no = |what: &str| format!("{name} has no {what}");
        let version = self.text(VERSION).ok_or_else(|| has_no("version"))?;
        let release = self.text(RELEASE).ok_or_else(|| has_no("release"))?;
        let epoch = self.number(EPOCH).map(|epoch| format!("{epoch}:"));
        Ok(Package {
            manager: Manager::Rpm,
            version: format!("{}{version}-{release}", epoch.unwrap_or_default()),
            architecture: self.text(ARCHITECTURE),
            source: self.text(SOURCE),
            supplier: self.text(VENDOR).map(Supplier::Organization),
            homepage: self.text(URL),
            licence: self.text(LICENSE),
            summary: self.text(SUMMARY),
            name,
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(word.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}
