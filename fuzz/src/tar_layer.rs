//! What must hold for any bytes unpacked as a layer: nothing beside its directory changes, it ends, and what came out has one
//! canonical archive that unpacks to itself. Text is read as a list of entries, anything else as an archive whose checksums are mended.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rcompose_runtime::image_store::layer_tar::{layer_digest, write_layer_tar};
use rcompose_runtime::image_store::unpack::{Limits, Whiteouts, unpack};

const BLOCK: usize = 512;
const LIMITS: Limits = Limits {
    entries: 64,
    bytes: 1 << 20,
};

/// Directories of one input, gone with it.
struct Ground(PathBuf);

impl Ground {
    fn new() -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let root = parent.join(format!("rcompose-law-{}-{number}", std::process::id()));
        for directory in ["layer", "again", "canary/inner"] {
            fs::create_dir_all(root.join(directory)).expect("a directory");
        }
        fs::write(root.join("canary/passwd"), "root:x:0:0").expect("a file");
        fs::write(root.join("canary/inner/secret"), "secret").expect("a file");
        Self(root)
    }

    /// Everything about the canary that unpacking could change, and the names beside it.
    fn facts(&self) -> BTreeMap<PathBuf, String> {
        let mut facts = BTreeMap::new();
        for entry in fs::read_dir(&self.0).expect("a directory") {
            facts.insert(entry.expect("an entry").path(), String::new());
        }
        for path in ["canary", "canary/passwd", "canary/inner", "canary/inner/secret"] {
            let path = self.0.join(path);
            let stat = fs::symlink_metadata(&path).expect("a canary");
            let text = fs::read_to_string(&path).unwrap_or_default();
            let fact = (
                stat.ino(),
                stat.mode(),
                stat.uid(),
                stat.nlink(),
                stat.mtime(),
                stat.mtime_nsec(),
            );
            facts.insert(path, format!("{fact:?} {} {text}", stat.ctime_nsec()));
        }
        facts
    }

    fn unpack(&self, archive: &[u8], limits: Limits, into: &str) -> bool {
        let directory = File::open(self.0.join(into)).expect("a directory");
        unpack(archive, directory.as_fd(), Whiteouts::Overlay, limits).is_ok()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A layer's archive.
pub fn tar_layer(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'));
    let archive = text.map_or_else(|| mended(bytes), written);
    let ground = Ground::new();
    let before = ground.facts();
    let unpacked = ground.unpack(&archive, LIMITS, "layer");
    assert_eq!(ground.facts(), before, "something beside the layer changed");
    if !unpacked {
        return;
    }
    let open = |name: &str| File::open(ground.0.join(name)).expect("a directory");
    let mut canonical = Vec::new();
    write_layer_tar(open("layer").as_fd(), &mut canonical).expect("what was unpacked can be packed");
    // It has entries for directories, too, that the first one only implied.
    assert!(
        ground.unpack(&canonical, Limits::default(), "again"),
        "our own archive is refused"
    );
    let digests = ["layer", "again"].map(|name| layer_digest(open(name).as_fd()).expect("a digest"));
    assert_eq!(digests[0], digests[1], "our own archive gives another tree");
}

/// `KIND PATH LINK CONTENT` a line; the kind is a type of a tar header, `x` a PAX record PATH=LINK.
fn written(text: &str) -> Vec<u8> {
    let mut archive = Vec::new();
    for line in text.lines().take(100) {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (kind, path, link, content) = (word(), word(), word(), word());
        let kind = kind.bytes().next().unwrap_or(b'0');
        let record = format!("{path}={link}\n");
        let record = format!("{} {record}", record.len() + 3);
        let content = if kind == b'x' {
            record.as_bytes()
        } else {
            content.as_bytes()
        };
        let mut header = tar::Header::new_gnu();
        let old = header.as_old_mut();
        for (field, value) in [(&mut old.name, path), (&mut old.linkname, link)] {
            let count = value.len().min(100);
            field[..count].copy_from_slice(&value.as_bytes()[..count]);
        }
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(0o4755);
        header.set_uid(link.len() as u64);
        header.set_mtime(content.len() as u64);
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

/// The bytes with the right checksum wherever a header can stand, which no fuzzer guesses.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut archive = bytes.to_vec();
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    let mut at = 0_usize;
    while let Some(block) = archive.get_mut(at..at.saturating_add(BLOCK)) {
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        if block.iter().any(|&byte| byte != 0) {
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
        let size = usize::try_from(header.entry_size().unwrap_or(0)).unwrap_or(usize::MAX);
        at = at
            .saturating_add(BLOCK)
            .saturating_add(size)
            .div_ceil(BLOCK)
            .saturating_mul(BLOCK);
    }
    archive
}
