//! The canonical tar is stable, and unpacking it gives the same tree and the same tar again.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, XattrFlags, lsetxattr, makedev, mknodat, setxattr};

use super::*;
use crate::unpack::{OPAQUE, unpack_layer};

fn tree(root: &Path) {
    fs::create_dir_all(root.join("b/deep")).unwrap();
    fs::write(root.join("b.file"), "between b and its children").unwrap();
    fs::write(root.join("b/deep/file"), "x".repeat(70_000)).unwrap();
    fs::write(root.join("a"), "first").unwrap();
    fs::hard_link(root.join("a"), root.join("z")).unwrap();
    symlink("/etc/passwd", root.join("link")).unwrap();
    symlink("t".repeat(150), root.join("long-link")).unwrap();
    fs::write(root.join("n".repeat(200)), "long name").unwrap();
    mknodat(
        CWD,
        root.join("gone"),
        FileType::CharacterDevice,
        Mode::empty(),
        makedev(0, 0),
    )
    .unwrap();
    mknodat(
        CWD,
        root.join("null"),
        FileType::CharacterDevice,
        Mode::from_raw_mode(0o666),
        makedev(1, 3),
    )
    .unwrap();
    setxattr(root.join("b"), OPAQUE, b"y", XattrFlags::empty()).unwrap();
    setxattr(root.join("a"), "user.note", b"line\nline", XattrFlags::empty()).unwrap();
    lsetxattr(
        root.join("b"),
        "trusted.overlay.impure",
        b"y",
        XattrFlags::empty(),
    )
    .unwrap();
    fs::set_permissions(root.join("b"), fs::Permissions::from_mode(0o2750)).unwrap();
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    for path in ["b/deep/file", "b/deep", "b", "a", "b.file"] {
        File::open(root.join(path)).unwrap().set_modified(time).unwrap();
    }
    let before_1970 = std::time::SystemTime::UNIX_EPOCH - std::time::Duration::from_secs(5);
    File::open(root.join("b.file"))
        .unwrap()
        .set_modified(before_1970)
        .unwrap();
}

fn archive(root: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let length = write_layer_tar(std::os::fd::AsFd::as_fd(&File::open(root).unwrap()), &mut bytes).unwrap();
    assert_eq!(length, bytes.len() as u64);
    bytes
}

#[test]
fn a_tree_survives_the_round_trip() {
    let scratch = tempfile::tempdir().unwrap();
    let (one, other) = (scratch.path().join("one"), scratch.path().join("other"));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&other).unwrap();
    tree(&one);
    let first = archive(&one);
    assert_eq!(first, archive(&one));
    let (digest, length) = unpack_layer(first.as_slice(), &other).unwrap();
    assert_eq!(
        (digest, length),
        layer_digest(std::os::fd::AsFd::as_fd(&File::open(&one).unwrap())).unwrap()
    );
    assert_eq!(archive(&other), first);
    assert_eq!(
        std::os::unix::fs::MetadataExt::mtime(&fs::metadata(other.join("b.file")).unwrap()),
        -5
    );
}

#[test]
fn other_tools_read_it() {
    let scratch = tempfile::tempdir().unwrap();
    tree(scratch.path());
    let bytes = archive(scratch.path());
    let mut reader = tar::Archive::new(bytes.as_slice());
    let mut names = Vec::new();
    for entry in reader.entries().unwrap() {
        let entry = entry.unwrap();
        names.push((
            entry.path().unwrap().display().to_string(),
            entry.header().entry_type(),
            entry.link_name().unwrap().map(|link| link.display().to_string()),
        ));
    }
    let name = |name: &str, kind| (name.to_owned(), kind, None);
    let link = |name: &str, kind, target: &str| (name.to_owned(), kind, Some(target.to_owned()));
    assert_eq!(
        names,
        [
            name("./", EntryType::Directory),
            name("a", EntryType::Regular),
            name("b/", EntryType::Directory),
            name("b/.wh..wh..opq", EntryType::Regular),
            name("b/deep/", EntryType::Directory),
            name("b/deep/file", EntryType::Regular),
            name("b.file", EntryType::Regular),
            name(".wh.gone", EntryType::Regular),
            link("link", EntryType::Symlink, "/etc/passwd"),
            link("long-link", EntryType::Symlink, &"t".repeat(150)),
            name(&"n".repeat(200), EntryType::Regular),
            name("null", EntryType::Char),
            link("z", EntryType::Link, "a"),
        ]
    );
}

#[test]
fn a_redirect_is_an_error_not_a_lost_directory() {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join("moved")).unwrap();
    setxattr(
        scratch.path().join("moved"),
        "trusted.overlay.redirect",
        b"/from",
        XattrFlags::empty(),
    )
    .unwrap();
    let error = layer_digest(std::os::fd::AsFd::as_fd(&File::open(scratch.path()).unwrap())).unwrap_err();
    assert!(error.to_string().contains("redirect_dir=off"), "{error}");
}
