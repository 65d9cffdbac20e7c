//! Honest archives come out as they went in; of dishonest ones nothing gets outside, which a canary beside the layer shows.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use rustix::fs::{fgetxattr, lgetxattr};
use tar::{EntryType, Header};

use super::*;
use crate::sample_tar::{Sample, SampleTar};

/// A layer's directory beside a canary that must never change.
struct Ground {
    scratch: tempfile::TempDir,
    before: BTreeMap<PathBuf, String>,
}

impl Ground {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let canary = scratch.path().join("canary");
        fs::create_dir_all(canary.join("inner")).unwrap();
        fs::write(canary.join("passwd"), "root:x:0:0").unwrap();
        fs::write(canary.join("inner/secret"), "secret").unwrap();
        symlink("passwd", canary.join("link")).unwrap();
        fs::create_dir(scratch.path().join("layer")).unwrap();
        let before = listing(&canary);
        Self { scratch, before }
    }

    fn canary(&self) -> String {
        self.scratch.path().join("canary").to_str().unwrap().to_owned()
    }

    fn layer(&self) -> PathBuf {
        self.scratch.path().join("layer")
    }

    fn unpack(&self, archive: &[u8]) -> Result<(), ImageError> {
        self.unpack_with(archive, Limits::default())
    }

    fn unpack_with(&self, archive: &[u8], limits: Limits) -> Result<(), ImageError> {
        let directory = File::open(self.layer()).unwrap();
        let result = unpack(archive, directory.as_fd(), Whiteouts::Overlay, limits).map(|_| ());
        assert_eq!(
            listing(&self.scratch.path().join("canary")),
            self.before,
            "the canary was touched"
        );
        let mut beside: Vec<_> = fs::read_dir(self.scratch.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        beside.sort();
        assert_eq!(beside, ["canary", "layer"], "something was made beside the layer");
        result
    }

    fn refuses(&self, archive: &[u8], expected: &str) {
        let error = self.unpack(archive).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.layer().join(path)).unwrap()
    }
}

/// Everything about a tree that an attack could change.
fn listing(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        let content = if stat.is_file() {
            fs::read_to_string(&path).unwrap()
        } else {
            String::new()
        };
        let facts = (
            stat.ino(),
            stat.mode(),
            stat.uid(),
            stat.gid(),
            stat.nlink(),
            stat.mtime(),
            stat.mtime_nsec(),
            content,
        );
        if stat.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path, format!("{facts:?}"));
    }
    found
}

fn is_whiteout_at(path: &Path) -> bool {
    let stat = fs::symlink_metadata(path).unwrap();
    stat.file_type().is_char_device() && stat.rdev() == 0
}

fn opaque(path: &Path) -> bool {
    let mut value = [0; 8];
    lgetxattr(path, OPAQUE, value.as_mut_slice()).is_ok_and(|length| &value[..length] == b"y")
}

#[test]
fn an_honest_layer_comes_out_whole() {
    let ground = Ground::new();
    let device = Sample {
        kind: EntryType::Char,
        path: b"dev/null",
        mode: 0o666,
        device: (1, 3),
        ..Sample::default()
    };
    let fifo = Sample {
        kind: EntryType::Fifo,
        path: b"run/fifo",
        mode: 0o620,
        ..Sample::default()
    };
    let owned = Sample {
        path: b"home/me/.profile",
        content: b"x",
        mode: 0o4750,
        owner: (1000, 1001),
        modified: 1_600_000_000,
        ..Sample::default()
    };
    let archive = SampleTar::new()
        .directory("./", 0o755)
        .directory("./tmp/", 0o1777)
        .directory("usr/bin", 0o755)
        .file("usr/bin/tool", "#!/bin/sh\n")
        .hard_link("usr/bin/same", "usr/bin/tool")
        .symlink("bin", "usr/bin")
        .symlink("dangling", "/nowhere/../..")
        .add(&device)
        .add(&fifo)
        .add(&owned)
        .file("empty", "")
        .finish();
    ground.unpack(&archive).unwrap();
    let stat = |path: &str| fs::symlink_metadata(ground.layer().join(path)).unwrap();
    assert_eq!(ground.read("usr/bin/tool"), "#!/bin/sh\n");
    assert_eq!(stat("usr/bin/tool").ino(), stat("usr/bin/same").ino());
    assert_eq!(stat("tmp").mode() & 0o7777, 0o1777);
    assert_eq!(stat("tmp").mtime(), 1_700_000_000);
    assert_eq!(
        stat("usr/bin").mtime(),
        1_700_000_000,
        "a directory's time survives what is put into it"
    );
    assert_eq!(
        fs::read_link(ground.layer().join("bin")).unwrap(),
        Path::new("usr/bin")
    );
    assert_eq!(
        fs::read_link(ground.layer().join("dangling")).unwrap(),
        Path::new("/nowhere/../..")
    );
    assert_eq!(stat("bin").mtime(), 1_700_000_000);
    assert_eq!(
        (stat("dev/null").rdev(), stat("dev/null").mode() & 0o7777),
        (makedev_1_3(), 0o666)
    );
    assert!(stat("run/fifo").file_type().is_fifo());
    assert_eq!((stat("run").mode() & 0o7777, stat("home/me").uid()), (0o755, 0));
    let owned = stat("home/me/.profile");
    assert_eq!(
        (owned.uid(), owned.gid(), owned.mode() & 0o7777, owned.mtime()),
        (1000, 1001, 0o4750, 1_600_000_000)
    );
    assert_eq!(stat("empty").len(), 0);
}

fn makedev_1_3() -> u64 {
    rustix::fs::makedev(1, 3)
}

#[test]
fn long_names_times_and_attributes_come_through() {
    let ground = Ground::new();
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(250));
    let gnu = format!("{}/{}", "e".repeat(150), "g".repeat(150));
    // VFS_CAP_REVISION_2 with CAP_NET_RAW, which holds a newline byte once the permitted set is 0x0a00.
    let capability: &[u8] = &[1, 0, 0, 2, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let gnu_name = [gnu.as_bytes(), b"\0"].concat();
    let archive = SampleTar::new()
        .pax(&[
            ("path", long.as_bytes()),
            ("mtime", b"1500000000.25"),
            ("SCHILY.xattr.security.capability", capability),
            ("SCHILY.xattr.user.note", b"a\nb=c"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.security.selinux", b"label"),
        ])
        .file("short", "long")
        .add(&Sample {
            kind: EntryType::GNULongName,
            path: b"././@LongLink",
            content: &gnu_name,
            ..Sample::default()
        })
        .file("short", "gnu")
        .pax(&[("SCHILY.xattr.user.note", b"dir")])
        .directory("noted", 0o700)
        .finish();
    ground.unpack(&archive).unwrap();
    assert_eq!(ground.read(&gnu), "gnu");
    let path = ground.layer().join(&long);
    let file = File::open(&path).unwrap();
    let attribute = |name: &str| {
        let mut value = vec![0; 100];
        fgetxattr(&file, name, value.as_mut_slice()).map(|length| value[..length].to_vec())
    };
    assert_eq!(attribute("security.capability").unwrap(), capability);
    assert_eq!(attribute("user.note").unwrap(), b"a\nb=c");
    assert!(
        attribute("trusted.overlay.opaque").is_err(),
        "an archive must not speak to overlay by attributes"
    );
    assert!(attribute("security.selinux").is_err());
    let stat = fs::metadata(&path).unwrap();
    assert_eq!((stat.mtime(), stat.mtime_nsec()), (1_500_000_000, 250_000_000));
    let mut value = [0; 10];
    assert_eq!(
        lgetxattr(ground.layer().join("noted"), "user.note", value.as_mut_slice()).unwrap(),
        3
    );
}

#[test]
fn whiteouts_become_overlays_marks() {
    let ground = Ground::new();
    let archive = SampleTar::new()
        .file("etc/.wh.passwd", "")
        .file(".wh.root-file", "")
        .directory("var/cache", 0o755)
        .file("var/cache/.wh..wh..opq", "")
        .file("var/cache/fresh", "x")
        .file(".wh..wh.plnk", "")
        .finish();
    ground.unpack(&archive).unwrap();
    assert!(is_whiteout_at(&ground.layer().join("etc/passwd")));
    assert!(is_whiteout_at(&ground.layer().join("root-file")));
    assert!(opaque(&ground.layer().join("var/cache")));
    assert_eq!(ground.read("var/cache/fresh"), "x");
    let names: Vec<_> = fs::read_dir(ground.layer())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !names
            .iter()
            .any(|name| name.to_str().unwrap().starts_with(".wh.")),
        "{names:?}"
    );
}

#[test]
fn a_whiteout_hides_lower_layers_only_in_either_order() {
    let ground = Ground::new();
    let archive = SampleTar::new()
        .file("before/kept", "1")
        .file(".wh.before", "")
        .file(".wh.after", "")
        .file("after/kept", "2")
        .file("file", "3")
        .file(".wh.file", "")
        .file(".wh.later", "")
        .file("later", "4")
        .finish();
    ground.unpack(&archive).unwrap();
    for (path, content) in [
        ("before/kept", "1"),
        ("after/kept", "2"),
        ("file", "3"),
        ("later", "4"),
    ] {
        assert_eq!(ground.read(path), content);
    }
    assert!(opaque(&ground.layer().join("before")));
    assert!(opaque(&ground.layer().join("after")));
}

#[test]
fn later_entries_replace_earlier_ones() {
    let ground = Ground::new();
    let archive = SampleTar::new()
        .directory("a", 0o755)
        .file("a/b/c", "deep")
        .file("a", "now a file")
        .file("f", "file")
        .directory("f", 0o700)
        .symlink("s", "a")
        .directory("s", 0o711)
        .file("s/in", "x")
        .file("twice", "first and long")
        .file("twice", "second")
        .file("one", "1")
        .hard_link("one", "one")
        .hard_link("twice", "one")
        .finish();
    ground.unpack(&archive).unwrap();
    assert_eq!(ground.read("a"), "now a file");
    assert!(ground.layer().join("f").is_dir());
    assert!(fs::symlink_metadata(ground.layer().join("s")).unwrap().is_dir());
    assert_eq!(
        fs::metadata(ground.layer().join("s"))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777,
        0o711
    );
    assert_eq!(ground.read("twice"), "1");
}

#[test]
fn links_inside_the_layer_are_followed_inside_the_layer() {
    let ground = Ground::new();
    let archive = SampleTar::new()
        .directory("usr/lib", 0o755)
        .symlink("lib", "usr/lib")
        .symlink("absolute", "/usr/lib")
        .symlink("up", "../../../../usr")
        .file("lib/one", "1")
        .file("absolute/two", "2")
        .file("up/lib/three", "3")
        .hard_link("lib/four", "absolute/two")
        .finish();
    ground.unpack(&archive).unwrap();
    for (path, content) in [
        ("usr/lib/one", "1"),
        ("usr/lib/two", "2"),
        ("usr/lib/three", "3"),
        ("usr/lib/four", "2"),
    ] {
        assert_eq!(ground.read(path), content);
    }
}

// The attacks: every one goes through `Ground::unpack`, which compares the canary.

#[test]
fn attack_by_dots() {
    for path in [
        "../canary/passwd",
        "a/../../canary/passwd",
        "..",
        "a/..",
        "./../canary/new",
        "/../canary/passwd",
        "a/b/../../../canary/x",
    ] {
        Ground::new().refuses(
            &SampleTar::new().file(path, "evil").finish(),
            "has .. in its path",
        );
        Ground::new().refuses(
            &SampleTar::new().directory(path, 0o777).finish(),
            "has .. in its path",
        );
    }
}

#[test]
fn attack_by_absolute_path() {
    let ground = Ground::new();
    let target = format!("{}/passwd", ground.canary());
    let archive = SampleTar::new()
        .pax(&[("path", target.as_bytes())])
        .file("x", "evil")
        .finish();
    ground.unpack(&archive).unwrap();
    assert_eq!(
        ground.read(&target[1..]),
        "evil",
        "an absolute path means one in the layer"
    );
}

#[test]
fn attack_by_absolute_symlink_as_parent() {
    let ground = Ground::new();
    let archive = SampleTar::new()
        .symlink("x", &ground.canary())
        .file("x/passwd", "evil")
        .finish();
    ground.refuses(&archive, "below a symbolic link");
}

#[test]
fn attack_by_relative_symlink_as_parent() {
    let ground = Ground::new();
    ground.refuses(
        &SampleTar::new()
            .symlink("x", "../canary")
            .file("x/passwd", "evil")
            .finish(),
        "below a symbolic link",
    );
    let ground = Ground::new();
    ground.refuses(
        &SampleTar::new()
            .symlink("x", "../canary")
            .directory("x/inner", 0o777)
            .file("x/inner/secret", "evil")
            .finish(),
        "below a symbolic link",
    );
}

#[test]
fn attack_by_chain_of_symlinks() {
    let ground = Ground::new();
    let archive = SampleTar::new()
        .directory("a", 0o755)
        .symlink("a/b", "..")
        .symlink("c", "a/b/../canary")
        .file("c/passwd", "evil")
        .finish();
    ground.refuses(&archive, "below a symbolic link");
}

#[test]
fn attack_by_loop_of_symlinks() {
    let ground = Ground::new();
    ground.refuses(
        &SampleTar::new().symlink("x", "x").file("x/y", "evil").finish(),
        "below a symbolic link",
    );
}

#[test]
fn attack_by_symlink_then_file_of_the_same_name() {
    let ground = Ground::new();
    let target = format!("{}/passwd", ground.canary());
    ground
        .unpack(&SampleTar::new().symlink("x", &target).file("x", "evil").finish())
        .unwrap();
    assert_eq!(ground.read("x"), "evil");
    assert!(
        fs::symlink_metadata(ground.layer().join("x")).unwrap().is_file(),
        "the link is replaced, not written through"
    );
}

#[test]
fn attack_by_symlink_then_directory_of_the_same_name() {
    let ground = Ground::new();
    let archive = SampleTar::new()
        .symlink("x", &ground.canary())
        .directory("x", 0o777)
        .file("x/passwd", "evil")
        .finish();
    ground.unpack(&archive).unwrap();
    assert_eq!(ground.read("x/passwd"), "evil");
}

#[test]
fn attack_by_directory_then_symlink_of_the_same_name() {
    // The directory's mode and time are set at the end: not on what replaced it (CVE-2021-32760).
    let ground = Ground::new();
    let archive = SampleTar::new()
        .directory("x", 0o777)
        .file("x/a", "1")
        .symlink("x", &ground.canary())
        .finish();
    ground.unpack(&archive).unwrap();
    assert_eq!(
        fs::read_link(ground.layer().join("x")).unwrap(),
        Path::new(&ground.canary())
    );
}

#[test]
fn attack_by_exchange_of_a_parent_between_two_files() {
    let ground = Ground::new();
    let archive = SampleTar::new()
        .file("x/a", "1")
        .symlink("x", &ground.canary())
        .file("x/passwd", "evil")
        .finish();
    ground.refuses(&archive, "below a symbolic link");
}

#[test]
fn attack_by_hard_link_to_outside() {
    let target = "../canary/passwd";
    Ground::new().refuses(
        &SampleTar::new().hard_link("x", target).finish(),
        "has .. in its path",
    );
    let ground = Ground::new();
    let absolute = format!("{}/passwd", ground.canary());
    ground.refuses(
        &SampleTar::new()
            .pax(&[("linkpath", absolute.as_bytes())])
            .hard_link("x", "y")
            .finish(),
        "not in the layer",
    );
}

#[test]
fn attack_by_hard_link_through_a_symlink() {
    let ground = Ground::new();
    let archive = SampleTar::new()
        .symlink("d", &ground.canary())
        .hard_link("x", "d/passwd")
        .file("x", "evil")
        .finish();
    ground.refuses(&archive, "not in the layer");
}

#[test]
fn attack_by_hard_link_to_a_symlink_then_write() {
    let ground = Ground::new();
    let target = format!("{}/passwd", ground.canary());
    let archive = SampleTar::new()
        .symlink("s", &target)
        .hard_link("h", "s")
        .file("h", "evil")
        .finish();
    ground.unpack(&archive).unwrap();
    assert_eq!(ground.read("h"), "evil");
    assert_eq!(
        fs::read_link(ground.layer().join("s")).unwrap(),
        Path::new(&target)
    );
}

#[test]
fn attack_by_hard_link_to_the_root() {
    for target in ["", "/", "./."] {
        Ground::new().refuses(
            &SampleTar::new().hard_link("x", target).finish(),
            "hard link to the layer's root",
        );
    }
}

#[test]
fn attack_by_whiteout_of_dots() {
    for name in [".wh.", ".wh..", ".wh...", "a/.wh..."] {
        Ground::new().refuses(&SampleTar::new().file(name, "").finish(), "whiteout of no name");
    }
}

#[test]
fn attack_by_whiteout_through_a_symlink() {
    let ground = Ground::new();
    ground.refuses(
        &SampleTar::new()
            .symlink("d", &ground.canary())
            .file("d/.wh.passwd", "")
            .finish(),
        "below a symbolic link",
    );
    let ground = Ground::new();
    ground.refuses(
        &SampleTar::new()
            .symlink("d", &ground.canary())
            .file("d/.wh..wh..opq", "")
            .finish(),
        "below a symbolic link",
    );
    // A whiteout of a link marks nothing behind the link.
    let ground = Ground::new();
    ground
        .unpack(
            &SampleTar::new()
                .symlink("d", &ground.canary())
                .file(".wh.d", "")
                .finish(),
        )
        .unwrap();
}

#[test]
fn attack_on_the_root_itself() {
    let ground = Ground::new();
    ground.refuses(
        &SampleTar::new().symlink("./", &ground.canary()).finish(),
        "replace the layer's root",
    );
    ground.refuses(
        &SampleTar::new()
            .add(&Sample {
                path: b".",
                kind: EntryType::Fifo,
                ..Sample::default()
            })
            .finish(),
        "replace the layer's root",
    );
}

#[test]
fn attack_by_links_through_proc() {
    for target in ["/proc/self/cwd", "/proc/self/root", "/proc/1/root/tmp"] {
        let ground = Ground::new();
        ground.refuses(
            &SampleTar::new()
                .symlink("x", target)
                .file("x/evil", "evil")
                .finish(),
            "below a symbolic link",
        );
    }
}

#[test]
fn attack_by_file_as_parent() {
    Ground::new().refuses(
        &SampleTar::new().file("x", "1").file("x/y", "evil").finish(),
        "is below a file",
    );
}

#[test]
fn attack_by_owner_that_wraps_around() {
    for owner in [
        (1 << 32, 0),
        (0, 1 << 32),
        (u64::from(u32::MAX), 0),
        (1 << 40, 1 << 40),
    ] {
        let archive = SampleTar::new()
            .add(&Sample {
                path: b"x",
                owner,
                ..Sample::default()
            })
            .finish();
        Ground::new().refuses(&archive, "owner above");
    }
    let archive = SampleTar::new()
        .pax(&[("uid", b"4294967296")])
        .file("x", "")
        .finish();
    Ground::new().refuses(&archive, "owner above");
    let archive = SampleTar::new().pax(&[("uid", b"-1")]).file("x", "").finish();
    Ground::new().refuses(&archive, "malformed PAX");
}

#[test]
fn attack_by_zero_bytes_and_endless_names() {
    let ground = Ground::new();
    ground.refuses(
        &SampleTar::new().pax(&[("path", b"a\0b")]).file("x", "").finish(),
        "zero byte",
    );
    let long = "a/".repeat(3000);
    ground.refuses(
        &SampleTar::new()
            .pax(&[("path", long.as_bytes())])
            .file("x", "")
            .finish(),
        "path of 6000 bytes",
    );
    let deep = "a/".repeat(300);
    ground.refuses(
        &SampleTar::new()
            .pax(&[("path", deep.as_bytes())])
            .file("x", "")
            .finish(),
        "nested deeper",
    );
    let component = "c".repeat(300);
    ground.refuses(
        &SampleTar::new()
            .pax(&[("path", component.as_bytes())])
            .file("x", "")
            .finish(),
        "cannot create",
    );
    ground.refuses(&SampleTar::new().symlink("x", "").finish(), "without a target");
}

#[test]
fn attack_by_flood() {
    let limits = Limits {
        entries: 10,
        bytes: 100,
    };
    let mut archive = SampleTar::new();
    for number in 0..11 {
        archive = archive.file(&number.to_string(), "");
    }
    let error = Ground::new()
        .unpack_with(&archive.finish(), limits)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "layer has more than 10 entries");
    let archive = SampleTar::new()
        .file("a", &"x".repeat(60))
        .file("b", &"x".repeat(60))
        .finish();
    let error = Ground::new()
        .unpack_with(&archive, limits)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "layer has more than 100 bytes");
}

#[test]
fn attack_by_a_header_that_claims_too_much() {
    let claim = |kind: EntryType, size: u64| {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_path("x").unwrap();
        header.set_mode(0o644);
        header.set_size(size);
        header.set_cksum();
        let mut archive = SampleTar::new();
        archive.raw(header.as_bytes());
        archive.finish()
    };
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
        Ground::new().refuses(&claim(kind, 8 << 30), "extended header claims");
    }
    Ground::new().refuses(&claim(EntryType::Regular, u64::MAX), "claims");
    Ground::new().refuses(
        &claim(EntryType::Regular, 1 << 40),
        "more than 274877906944 bytes",
    );
    Ground::new().refuses(&claim(EntryType::Regular, 4096), "cannot read the archive");
    Ground::new().refuses(
        &SampleTar::new()
            .pax(&[("size", b"99999999999999999999")])
            .file("x", "")
            .finish(),
        "malformed PAX",
    );
}

#[test]
fn attack_by_damage() {
    let mut archive = SampleTar::new().file("x", "content").finish();
    archive[0] ^= 1;
    Ground::new().refuses(&archive, "checksum is wrong");
    let whole = SampleTar::new().file("x", &"content".repeat(200)).finish();
    Ground::new().refuses(&whole[..300], "cannot read the archive");
    Ground::new().refuses(&whole[..1000], "cannot read the archive");
    Ground::new().refuses(&vec![b'x'; 1024], "not a valid tar archive");
}

#[test]
fn attack_by_types_that_do_not_exist() {
    let archive = SampleTar::new()
        .add(&Sample {
            path: b"x",
            kind: EntryType::new(b'Z'),
            ..Sample::default()
        })
        .finish();
    Ground::new().refuses(&archive, "unknown type 'Z'");
    let archive = SampleTar::new()
        .add(&Sample {
            path: b"x",
            kind: EntryType::GNUSparse,
            ..Sample::default()
        })
        .finish();
    Ground::new().refuses(&archive, "sparse file");
}

#[test]
fn attack_on_a_directory_that_exists_before() {
    // An archive added to a prepared tree meets links that were there before it.
    let ground = Ground::new();
    symlink(ground.canary(), ground.layer().join("d")).unwrap();
    symlink(format!("{}/passwd", ground.canary()), ground.layer().join("f")).unwrap();
    ground.refuses(
        &SampleTar::new().file("d/passwd", "evil").finish(),
        "below a symbolic link",
    );
    ground
        .unpack(&SampleTar::new().file("f", "mine").finish())
        .unwrap();
    assert_eq!(ground.read("f"), "mine");
}

#[test]
fn names_need_not_be_utf8() {
    let ground = Ground::new();
    ground
        .unpack(
            &SampleTar::new()
                .add(&Sample {
                    path: b"caf\xe9",
                    content: b"x",
                    ..Sample::default()
                })
                .finish(),
        )
        .unwrap();
    let name = std::ffi::OsString::from_vec(b"caf\xe9".to_vec());
    assert_eq!(fs::read(ground.layer().join(name)).unwrap(), b"x");
}

#[test]
fn literal_whiteouts_stay_files() {
    let ground = Ground::new();
    let directory = File::open(ground.layer()).unwrap();
    let archive = SampleTar::new().file(".wh.x", "kept").finish();
    unpack(
        archive.as_slice(),
        directory.as_fd(),
        Whiteouts::Literal,
        Limits::default(),
    )
    .unwrap();
    assert_eq!(ground.read(".wh.x"), "kept");
}

#[test]
fn a_compressed_layer_has_the_digest_of_the_plain_one() {
    let mut archive = SampleTar::new().file("x", "content").finish();
    // Padding after the archive's end belongs to the digest.
    archive.extend_from_slice(&[0; 8192]);
    let expected = Digest::of(&archive);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut gzip, &archive).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(archive.as_slice(), 1).unwrap();
    for form in [archive.clone(), gzip, zstd] {
        let ground = Ground::new();
        let (digest, length) = unpack_layer(form.as_slice(), &ground.layer()).unwrap();
        assert_eq!((digest, length), (expected, archive.len() as u64));
        assert_eq!(ground.read("x"), "content");
    }
}
