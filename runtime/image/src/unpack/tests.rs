//! Honest archives come out as they went in; of dishonest ones nothing gets outside, which a canary beside the layer shows.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use rustix::fs::{fgetxattr, lgetxattr};
use tar::EntryType;

use super::*;
use crate::sample_tar::{Sample, SampleTar};

mod attacks;

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

#[test]
fn sparse_files_of_gnu_tar_come_out_whole_and_with_holes() {
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("holes");
    let file = File::create(&path).unwrap();
    for place in [0_u64, 1 << 20, 5 << 20, 9 << 20] {
        file.write_all_at(format!("here {place}").as_bytes(), place)
            .unwrap();
    }
    // Many pieces, so that the map does not fit one header.
    for place in 0..60_u64 {
        file.write_all_at(b"piece", (16 << 20) + place * 16384).unwrap();
    }
    file.set_len(32 << 20).unwrap();
    let content = fs::read(&path).unwrap();
    for format in [
        "--format=gnu",
        "--sparse-version=0.0",
        "--sparse-version=0.1",
        "--sparse-version=1.0",
    ] {
        let tar = std::process::Command::new("tar")
            .args(["--sparse", "--hole-detection=raw", "-C"])
            .arg(work.path())
            .args(if format.starts_with("--sparse") {
                vec!["--format=posix", format]
            } else {
                vec![format]
            })
            .args(["-cf", "-", "holes"])
            .output()
            .unwrap();
        assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
        assert!(tar.stdout.len() < 2 << 20, "{format}: the archive is sparse");
        let ground = Ground::new();
        ground.unpack(&tar.stdout).unwrap();
        let unpacked = ground.layer().join("holes");
        assert!(fs::read(&unpacked).unwrap() == content, "{format}");
        let stat = fs::metadata(&unpacked).unwrap();
        assert!(
            stat.blocks() * 512 < 4 << 20,
            "{format}: {} blocks",
            stat.blocks()
        );
        assert_eq!(
            fs::read_dir(ground.layer()).unwrap().count(),
            1,
            "{format}: under its own name"
        );
    }
    // Zeros that are in the archive take no room on the disk either.
    let ground = Ground::new();
    ground
        .unpack(&SampleTar::new().file("zeros", &"\0".repeat(3 << 20)).finish())
        .unwrap();
    let stat = fs::metadata(ground.layer().join("zeros")).unwrap();
    assert_eq!((stat.len(), stat.blocks()), (3 << 20, 0));
}

#[test]
fn times_before_1970_are_read_in_both_spellings() {
    let ground = Ground::new();
    let mut header = tar::Header::new_gnu();
    header.set_path("gnu").unwrap();
    header.set_size(0);
    header.set_mode(0o644);
    header.as_old_mut().mtime = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfb,
    ];
    header.set_cksum();
    let mut archive = SampleTar::new();
    archive.raw(header.as_bytes());
    let archive = archive.pax(&[("mtime", b"-1.5")]).file("pax", "").finish();
    ground.unpack(&archive).unwrap();
    let time = |name: &str| {
        let stat = fs::metadata(ground.layer().join(name)).unwrap();
        (stat.mtime(), stat.mtime_nsec())
    };
    assert_eq!((time("gnu"), time("pax")), ((-5, 0), (-2, 500_000_000)));
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
