//! Archives for tests, made entry by entry, honest or not.

use std::io::Write;

use tar::{EntryType, Header};

/// Writes headers as told, without the checks of an honest archiver.
#[derive(Default)]
pub(crate) struct SampleTar {
    bytes: Vec<u8>,
}

pub(crate) struct Sample<'a> {
    pub(crate) kind: EntryType,
    pub(crate) path: &'a [u8],
    pub(crate) link: &'a [u8],
    pub(crate) content: &'a [u8],
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) modified: u64,
    pub(crate) device: (u32, u32),
}

impl Default for Sample<'_> {
    fn default() -> Self {
        Self {
            kind: EntryType::Regular,
            path: b"",
            link: b"",
            content: b"",
            mode: 0o644,
            owner: (0, 0),
            modified: 1_700_000_000,
            device: (0, 0),
        }
    }
}

impl SampleTar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(mut self, sample: &Sample<'_>) -> Self {
        let mut header = Header::new_ustar();
        header.set_entry_type(sample.kind);
        header.set_mode(sample.mode);
        header.set_uid(sample.owner.0);
        header.set_gid(sample.owner.1);
        header.set_mtime(sample.modified);
        header.set_device_major(sample.device.0).unwrap();
        header.set_device_minor(sample.device.1).unwrap();
        let count = sample.path.len().min(100);
        header.as_old_mut().name[..count].copy_from_slice(&sample.path[..count]);
        header.as_old_mut().linkname[..sample.link.len()].copy_from_slice(sample.link);
        header.set_size(sample.content.len() as u64);
        header.set_cksum();
        self.raw(header.as_bytes());
        self.padded(sample.content);
        self
    }

    pub(crate) fn file(self, path: &str, content: &str) -> Self {
        self.add(&Sample {
            path: path.as_bytes(),
            content: content.as_bytes(),
            ..Sample::default()
        })
    }

    pub(crate) fn directory(self, path: &str, mode: u32) -> Self {
        self.add(&Sample {
            kind: EntryType::Directory,
            path: path.as_bytes(),
            mode,
            ..Sample::default()
        })
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.add(&Sample {
            kind: EntryType::Symlink,
            path: path.as_bytes(),
            link: target.as_bytes(),
            mode: 0o777,
            ..Sample::default()
        })
    }

    pub(crate) fn hard_link(self, path: &str, target: &str) -> Self {
        self.add(&Sample {
            kind: EntryType::Link,
            path: path.as_bytes(),
            link: target.as_bytes(),
            ..Sample::default()
        })
    }

    /// PAX records for the next entry; the values may hold any byte.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut content = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (rest + 1..rest + 20)
                .find(|length| rest + length.to_string().len() == *length)
                .unwrap();
            write!(content, "{length} {key}=").unwrap();
            content.extend_from_slice(value);
            content.push(b'\n');
        }
        self.add(&Sample {
            kind: EntryType::XHeader,
            path: b"pax",
            content: &content,
            ..Sample::default()
        })
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn padded(&mut self, content: &[u8]) {
        self.raw(content);
        self.raw(&vec![0; (512 - content.len() % 512) % 512]);
    }

    /// The archive with its end.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.raw(&[0; 1024]);
        self.bytes
    }
}
