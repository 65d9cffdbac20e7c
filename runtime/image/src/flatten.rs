//! Directories of layers in; out: their merged tree as one archive, or what tells it from another.
//! **Invariant:** nothing of overlay's own (marks, whiteouts) gets into an archive or a list of changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fgetxattr, fstat, openat2, statat,
};
use rustix::io::Errno;

use crate::build::overlay::Tree;
use crate::error::ImageError;
use crate::layer_tar::write_layer_tar;
use crate::store::{ImageStore, PreparedLayer};

/// overlay's mark of a directory that shows nothing from below (kernel, overlayfs.rst).
const OPAQUE: &str = "trusted.overlay.opaque";

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
    let mut lower = layers.to_vec();
    // The host lies lower than anything.
    if layers.last().is_none_or(|lowest| lowest != Path::new("/")) {
        lower.push(bottom.path().to_owned());
    }
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
    let (before, after) = (merged(store, old)?, merged(store, new)?);
    let (before, after) = (before.tree.root(), after.tree.root());
    // What both have lowest makes no difference, and may be a whole host.
    let common = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(old, new)| old == new)
        .count();
    let own: Vec<&PathBuf> = old[..old.len() - common]
        .iter()
        .chain(&new[..new.len() - common])
        .collect();
    if common == 0 || own.iter().any(|layer| *layer == Path::new("/")) {
        return Ok(compare(&listing(before)?, &listing(after)?));
    }
    let mut mentioned = Mentioned::new();
    for layer in own {
        mention(layer, &mut mentioned)?;
    }
    Ok(compare(
        &listing_of(before, &mentioned)?,
        &listing_of(after, &mentioned)?,
    ))
}

/// Paths that layers have themselves, and whether they hide what lower layers have below.
type Mentioned = BTreeMap<Vec<u8>, bool>;

fn mention(layer: &Path, mentioned: &mut Mentioned) -> Result<(), ImageError> {
    let opened = Tree::directory(layer).map_err(ImageError::path("open", layer))?;
    for (path, stat) in listing(opened.root())? {
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let hides = !is_directory || {
            let directory = below(opened.root(), &path, OFlags::RDONLY | OFlags::DIRECTORY);
            directory.is_ok_and(|directory| fgetxattr(&directory, OPAQUE, &mut [0_u8; 1]).is_ok())
        };
        *mentioned.entry(path).or_default() |= hides;
    }
    Ok(())
}

/// These paths of a tree, and what is below those that hide something.
fn listing_of(root: BorrowedFd<'_>, paths: &Mentioned) -> Result<Listing, ImageError> {
    let mut found = Listing::new();
    for (path, hides) in paths {
        let opened = match below(root, path, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(opened) => opened,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            Err(errno) => return Err(unreadable(path)(errno)),
        };
        let stat = fstat(&opened).map_err(unreadable(path))?;
        if *hides && FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            list(root, path.clone(), &mut found)?;
        }
        found.insert(path.clone(), stat);
    }
    Ok(found)
}

/// Everything of a tree below its root.
type Listing = BTreeMap<Vec<u8>, Stat>;

fn listing(root: BorrowedFd<'_>) -> Result<Listing, ImageError> {
    let mut found = Listing::new();
    list(root, Vec::new(), &mut found)?;
    Ok(found)
}

fn unreadable(path: &[u8]) -> impl FnOnce(Errno) -> ImageError {
    let path = path.to_vec();
    move |error: Errno| ImageError::Entry {
        action: "read",
        entry: String::from_utf8_lossy(&path).into_owned(),
        source: error.into(),
    }
}

/// Opens a path of a tree, which no link leads out of.
fn below(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let name: &[u8] = if path.is_empty() { b"." } else { path };
    openat2(
        root,
        OsStr::from_bytes(name),
        flags | OFlags::CLOEXEC,
        Mode::empty(),
        inside,
    )
}

/// Adds everything below a directory.
fn list(root: BorrowedFd<'_>, directory: Vec<u8>, found: &mut Listing) -> Result<(), ImageError> {
    let failed = unreadable;
    let mut pending: Vec<Vec<u8>> = vec![directory];
    while let Some(path) = pending.pop() {
        let directory = below(root, &path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed(&path))?;
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
    Ok(())
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
            .file("anew/under/old", "1")
            .file("anew/kept", "1")
            .symlink("link", "one")
            .file("turned", "1");
        let low = ground.layer("low", low);
        let high = ground.layer(
            "high",
            SampleTar::new()
                .file("etc/.wh.gone", "")
                .file(".wh.tree", "")
                .file("anew/.wh..wh..opq", "")
                .file("anew/kept", "1"),
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
                "C /anew",
                "D /anew/under",
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
