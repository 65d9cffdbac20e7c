//! Directories of layers in; out: their merged tree as one archive, or what tells it from another.
//! **Invariant:** nothing of overlay's own (marks, whiteouts) gets into an archive or a list of changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, openat2, statat};
use rustix::io::Errno;

use crate::build::overlay::Tree;
use crate::error::ImageError;
use crate::layer_tar::write_layer_tar;
use crate::store::{ImageStore, PreparedLayer};

/// How a path of one tree differs from another's, as docker marks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// The path is new.
    Added,
    /// It, or something below it, is not what it was.
    Changed,
    /// It is gone.
    Deleted,
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Added => "A",
            Self::Changed => "C",
            Self::Deleted => "D",
        })
    }
}

/// One line of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeChange {
    /// What happened.
    pub kind: ChangeKind,
    /// Absolute, as seen in a container.
    pub path: PathBuf,
}

/// A merged tree, and the empty directory that lies under all layers: without it a lone layer would show its whiteouts.
struct Merged {
    tree: Tree,
    _bottom: PreparedLayer,
}

fn merged(store: &ImageStore, layers: &[PathBuf]) -> Result<Merged, ImageError> {
    let bottom = store.prepare_layer()?;
    let lower: Vec<PathBuf> = layers.iter().cloned().chain([bottom.path().to_owned()]).collect();
    let tree = Tree::readable(&lower).map_err(ImageError::path("mount the layers above", bottom.path()))?;
    Ok(Merged {
        tree,
        _bottom: bottom,
    })
}

/// Writes the tree of `layers` (top-most first) to `output` as one tar: a root file system without layers. Returns its length.
pub fn export(store: &ImageStore, layers: &[PathBuf], output: &mut dyn Write) -> Result<u64, ImageError> {
    let _lease = store.lease()?;
    write_layer_tar(merged(store, layers)?.tree.root(), output)
}

/// What tells the tree of the layers `new` from that of `old`, by path. As docker does it, files are told apart by type, mode, owner,
/// size and time, and a directory with a change in it counts as changed.
pub fn differences(
    store: &ImageStore,
    old: &[PathBuf],
    new: &[PathBuf],
) -> Result<Vec<TreeChange>, ImageError> {
    let _lease = store.lease()?;
    let before = listing(merged(store, old)?.tree.root())?;
    let after = listing(merged(store, new)?.tree.root())?;
    Ok(compare(&before, &after))
}

/// Everything of a tree below its root.
type Listing = BTreeMap<Vec<u8>, Stat>;

fn listing(root: BorrowedFd<'_>) -> Result<Listing, ImageError> {
    let failed = |path: &[u8]| {
        let path = path.to_vec();
        move |error: Errno| ImageError::Entry {
            action: "read",
            entry: String::from_utf8_lossy(&path).into_owned(),
            source: error.into(),
        }
    };
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut found = Listing::new();
    let mut pending: Vec<Vec<u8>> = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let name: &[u8] = if path.is_empty() { b"." } else { &path };
        let directory =
            openat2(root, OsStr::from_bytes(name), flags, Mode::empty(), inside).map_err(failed(&path))?;
        for child in Dir::read_from(&directory).map_err(failed(&path))? {
            let child = child.map_err(failed(&path))?;
            let name = child.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let whole = if path.is_empty() {
                name.to_vec()
            } else {
                [&path, b"/".as_slice(), name].concat()
            };
            let stat =
                statat(&directory, child.file_name(), AtFlags::SYMLINK_NOFOLLOW).map_err(failed(&whole))?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                pending.push(whole.clone());
            }
            found.insert(whole, stat);
        }
    }
    Ok(found)
}

fn compare(before: &Listing, after: &Listing) -> Vec<TreeChange> {
    let mut changes: BTreeMap<&[u8], ChangeKind> = BTreeMap::new();
    for (path, stat) in after {
        match before.get(path) {
            None => drop(changes.insert(path, ChangeKind::Added)),
            Some(old) if is_other(old, stat) => drop(changes.insert(path, ChangeKind::Changed)),
            Some(_) => {}
        }
    }
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        // What was below a directory that is gone goes without saying.
        if parent(path).is_none_or(|parent| after.contains_key(parent)) {
            changes.insert(path, ChangeKind::Deleted);
        }
    }
    let touched: BTreeSet<&[u8]> = changes.keys().copied().collect();
    for path in touched {
        let mut above = parent(path);
        while let Some(directory) = above {
            changes.entry(directory).or_insert(ChangeKind::Changed);
            above = parent(directory);
        }
    }
    let line = |(path, kind): (&[u8], ChangeKind)| TreeChange {
        kind,
        path: Path::new("/").join(OsStr::from_bytes(path)),
    };
    changes.into_iter().map(line).collect()
}

fn parent(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().rposition(|&byte| byte == b'/')?;
    Some(&path[..slash])
}

fn is_other(old: &Stat, new: &Stat) -> bool {
    let identity = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev);
    let content = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    let directory = FileType::from_raw_mode(new.st_mode) == FileType::Directory;
    identity(old) != identity(new) || !directory && content(old) != content(new)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::sample_tar::SampleTar;
    use crate::unpack::unpack_layer;

    struct Ground {
        scratch: tempfile::TempDir,
        store: ImageStore,
    }

    impl Ground {
        fn new() -> Self {
            let scratch = tempfile::tempdir().unwrap();
            let store = ImageStore::open(&scratch.path().join("images")).unwrap();
            Self { scratch, store }
        }

        fn layer(&self, name: &str, archive: SampleTar) -> PathBuf {
            let path = self.scratch.path().join(name);
            fs::create_dir(&path).unwrap();
            unpack_layer(archive.finish().as_slice(), &path).unwrap();
            path
        }
    }

    #[test]
    fn a_merged_tree_has_no_marks_not_even_those_of_a_lone_layer() {
        let ground = Ground::new();
        let low = ground.layer(
            "low",
            SampleTar::new()
                .file("a/old", "1")
                .file("b", "2")
                .file("c/x", "3"),
        );
        let high = SampleTar::new()
            .file("a/.wh..wh..opq", "")
            .file("a/new", "4")
            .file(".wh.b", "");
        let high = ground.layer("high", high);
        let names = |layers: &[PathBuf]| {
            let mut archive = Vec::new();
            assert_eq!(
                export(&ground.store, layers, &mut archive).unwrap(),
                archive.len() as u64
            );
            let mut archive = tar::Archive::new(archive.as_slice());
            let names = archive.entries().unwrap();
            let names: Vec<String> = names
                .map(|entry| entry.unwrap().path().unwrap().display().to_string())
                .collect();
            names
        };
        assert_eq!(names(&[high.clone(), low]), ["./", "a/", "a/new", "c/", "c/x"]);
        assert_eq!(names(&[high]), ["./", "a/", "a/new"]);
        assert_eq!(names(&[]), ["./"]);
    }

    #[test]
    fn changes_are_told_as_docker_tells_them() {
        let ground = Ground::new();
        let low = SampleTar::new()
            .directory("etc", 0o755)
            .file("etc/kept", "1")
            .file("etc/written", "1")
            .file("etc/gone", "1")
            .file("deep/er/old", "1")
            .directory("mode", 0o755)
            .file("tree/of/files", "1")
            .symlink("link", "one")
            .file("turned", "1");
        let low = ground.layer("low", low);
        let high = ground.layer(
            "high",
            SampleTar::new().file("etc/.wh.gone", "").file(".wh.tree", ""),
        );
        for (name, content) in [("etc/written", "2"), ("deep/er/new", "2"), ("turned/in", "3")] {
            let path = high.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        fs::create_dir(high.join("mode")).unwrap();
        fs::set_permissions(high.join("mode"), fs::Permissions::from_mode(0o700)).unwrap();
        symlink("two", high.join("link")).unwrap();
        File::open(high.join("turned")).unwrap();
        let told: Vec<String> = differences(&ground.store, std::slice::from_ref(&low), &[high, low.clone()])
            .unwrap()
            .iter()
            .map(|change| format!("{} {}", change.kind, change.path.display()))
            .collect();
        assert_eq!(
            told,
            [
                "C /deep",
                "C /deep/er",
                "A /deep/er/new",
                "C /etc",
                "D /etc/gone",
                "C /etc/written",
                "C /link",
                "C /mode",
                "D /tree",
                "C /turned",
                "A /turned/in",
            ]
        );
        assert_eq!(
            differences(
                &ground.store,
                std::slice::from_ref(&low),
                std::slice::from_ref(&low)
            )
            .unwrap(),
            []
        );
    }
}
