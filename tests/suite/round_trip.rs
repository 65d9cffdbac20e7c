//! Images that go through other tools come back to the bit: what `image save` writes skopeo reads, what skopeo writes `image load`
//! reads, as files, as directories and by way of a registry; and the trees they unpack to are equal in everything a kernel tells.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lgetxattr, llistxattr, makedev, mknodat,
    setxattr, utimensat,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::host::{Host, Ran, run};
use crate::registry::Registry;

/// Everything an archive of a layer can hold that somebody has lost on the way before.
fn nasty(root: &Path) {
    let file = |name: &str, content: &[u8]| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(&path, content).expect("a file");
        path
    };
    for (name, mode) in [
        ("suid", 0o4755),
        ("sgid", 0o2711),
        ("none", 0o000),
        ("plain", 0o644),
    ] {
        let path = file(&format!("modes/{name}"), name.as_bytes());
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("mode");
    }
    fs::create_dir(root.join("sticky")).expect("directory");
    fs::set_permissions(root.join("sticky"), Permissions::from_mode(0o3777)).expect("mode");
    for (name, uid, gid) in [
        ("low", 1000, 2000),
        ("high", 2_097_152, 3_000_000_000),
        ("last", u32::MAX - 1, 7),
    ] {
        chown(file(&format!("owners/{name}"), b""), Some(uid), Some(gid)).expect("owner");
    }
    let noted = file("attributes/noted", b"x");
    setxattr(&noted, "user.note", b"a\nb=c\0d", XattrFlags::empty()).expect("attribute");
    let capable = file("attributes/capable", b"x");
    let capability: &[u8] = &[1, 0, 0, 2, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    setxattr(&capable, "security.capability", capability, XattrFlags::empty()).expect("attribute");
    setxattr(
        root.join("attributes"),
        "user.directory",
        b"1",
        XattrFlags::empty(),
    )
    .expect("attribute");
    let linked = file("links/a", b"linked");
    fs::create_dir(root.join("links/deep")).expect("directory");
    fs::hard_link(&linked, root.join("links/deep/b")).expect("link");
    fs::hard_link(&linked, root.join("zz")).expect("link");
    symlink("t".repeat(200), root.join("links/long")).expect("link");
    symlink("/absolute/../dangling", root.join("links/s")).expect("link");
    fs::hard_link(root.join("links/s"), root.join("links/s2")).expect("link");
    lchown(root.join("links/s"), Some(5), Some(6)).expect("owner");
    let holes = File::create(root.join("sparse")).expect("a file");
    holes.write_all_at(b"start", 0).expect("written");
    holes.write_all_at(b"end", 5 << 20).expect("written");
    for (name, kind, major, minor) in [
        ("null", FileType::CharacterDevice, 1, 3),
        ("loop", FileType::BlockDevice, 7, 1_000_000),
        ("fifo", FileType::Fifo, 0, 0),
    ] {
        let path = root.join(name);
        mknodat(
            CWD,
            &path,
            kind,
            Mode::from_raw_mode(0o620),
            makedev(major, minor),
        )
        .expect("a node");
    }
    fs::write(root.join(OsString::from_vec(b"caf\xe9 \xff\n".to_vec())), "x").expect("a file");
    file(
        &format!("{}/{}/{}", "d".repeat(90), "e".repeat(250), "f".repeat(255)),
        b"deep",
    );
    file("opaque/old", b"old");
    file("gone/file", b"gone");
    for (name, seconds, nanoseconds) in [
        ("modes/plain", 1_700_000_000, 123_456_789),
        ("modes/none", -1_000, 500_000_000),
        ("links/long", 5, 1),
        ("sticky", 4_000_000_000, 0),
        ("null", 86_400, 0),
    ] {
        let time = Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        utimensat(CWD, root.join(name), &times, AtFlags::SYMLINK_NOFOLLOW).expect("time");
    }
}

/// What a kernel tells of every file of a tree; hard links as the first of their names.
fn facts(root: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut facts = BTreeMap::new();
    let mut firsts: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    let mut paths = Vec::new();
    while let Some(path) = pending.pop() {
        let stat = fs::symlink_metadata(&path).expect("a file");
        if stat.is_dir() {
            pending.extend(
                fs::read_dir(&path)
                    .expect("a directory")
                    .map(|entry| entry.expect("an entry").path()),
            );
        }
        paths.push((path, stat));
    }
    paths.sort_by(|one, other| one.0.cmp(&other.0));
    for (path, stat) in paths {
        let name = path
            .strip_prefix(root)
            .expect("below")
            .as_os_str()
            .as_bytes()
            .to_vec();
        // A mark of overlay's that hides a name has neither owner nor time in an archive.
        if stat.file_type().is_char_device() && stat.rdev() == 0 {
            facts.insert(name, "hidden".to_owned());
            continue;
        }
        let first = firsts.entry(stat.ino()).or_insert_with(|| name.clone()).clone();
        let content = if stat.is_file() {
            format!("{:x?}", Sha256::digest(fs::read(&path).expect("content")))
        } else if stat.is_symlink() {
            format!("{:?}", fs::read_link(&path).expect("a target"))
        } else {
            String::new()
        };
        let size = if stat.is_dir() { 0 } else { stat.len() };
        let links = if stat.is_dir() { 0 } else { stat.nlink() };
        let fact = (
            stat.mode(),
            stat.uid(),
            stat.gid(),
            stat.rdev(),
            size,
            links,
            stat.mtime(),
            stat.mtime_nsec(),
        );
        facts.insert(
            name,
            format!(
                "{fact:?} {} {content} {:?}",
                String::from_utf8_lossy(&first),
                attributes(&path)
            ),
        );
    }
    facts
}

fn attributes(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 4096];
    let length = llistxattr(path, names.as_mut_slice()).expect("attributes");
    let names = names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let name = String::from_utf8_lossy(name).into_owned();
        let mut value = vec![0; 4096];
        let length = lgetxattr(path, name.as_str(), value.as_mut_slice()).expect("an attribute");
        value.truncate(length);
        (name, value)
    };
    names.map(value).collect()
}

/// An OCI layout of four layers: the tree, marks that hide parts of it, nothing at all, and the marks again.
fn layout(work: &Path) -> PathBuf {
    let (tree, layout) = (work.join("tree"), work.join("layout"));
    fs::create_dir_all(layout.join("blobs/sha256")).expect("directories");
    fs::create_dir(&tree).expect("a directory");
    nasty(&tree);
    let base = Command::new("tar")
        .args([
            "--format=posix",
            "--pax-option=delete=atime,delete=ctime",
            "--sort=name",
            "--numeric-owner",
        ])
        .args([
            "--xattrs",
            "--xattrs-include=user.*",
            "--xattrs-include=security.capability",
            "--sparse",
            "-C",
        ])
        .args([tree.as_os_str(), "-cf".as_ref(), "-".as_ref(), ".".as_ref()])
        .output()
        .expect("tar is installed");
    assert!(base.status.success(), "{}", String::from_utf8_lossy(&base.stderr));
    let mut marks = tar::Builder::new(Vec::new());
    for name in [".wh.gone", "opaque/.wh..wh..opq", "opaque/new", "modes/.wh.plain"] {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(0);
        header.set_cksum();
        marks
            .append_data(&mut header, name, std::io::empty())
            .expect("an entry");
    }
    let marks = marks.into_inner().expect("an archive");
    let layers = [base.stdout, marks.clone(), vec![0; 1024], marks];
    let put = |media_type: &str, bytes: &[u8]| -> Value {
        let digest = crate::registry::digest(bytes);
        let hex = digest.strip_prefix("sha256:").expect("a digest");
        fs::write(layout.join("blobs/sha256").join(hex), bytes).expect("a blob");
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    };
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"], "Labels": {"a": "b"}},
        "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| crate::registry::digest(layer)).collect::<Vec<_>>()},
        "history": [{"created_by": "one"}, {"created_by": "two"}, {"created_by": "three"}, {"created_by": "four"}],
    });
    let config = put(
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    );
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| put("application/vnd.oci.image.layer.v1.tar", layer))
        .collect();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
    let mut manifest = put(media_type, manifest.to_string().as_bytes());
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "localhost/nasty:1"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string()).expect("an index");
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a layout");
    layout
}

/// A digest, and the facts of the tree.
type Layer = (String, BTreeMap<Vec<u8>, String>);

/// The layers of an image in the store of a host, each with the facts of its tree.
fn layers(host: &Host, image: &str) -> Vec<Layer> {
    let shown = host.rcompose(["image", "inspect", image]).success().stdout;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let layers = shown[0]["RootFS"]["Layers"].as_array().expect("layers");
    let of = |layer: &Value| {
        let digest = layer.as_str().expect("a digest");
        let hex = digest.strip_prefix("sha256:").expect("a digest");
        (
            digest.to_owned(),
            facts(&host.data_root().join("images/layers").join(hex)),
        )
    };
    layers.iter().map(of).collect()
}

/// Panics with the files that differ.
#[track_caller]
fn same(one: &BTreeMap<Vec<u8>, String>, other: &BTreeMap<Vec<u8>, String>, what: &str) {
    let names: std::collections::BTreeSet<_> = one
        .keys()
        .chain(other.keys())
        .filter(|name| !name.is_empty())
        .collect();
    let differing: Vec<String> = names
        .into_iter()
        .filter(|name| one.get(*name) != other.get(*name))
        .map(|name| {
            format!(
                "{}\n  {:?}\n  {:?}",
                String::from_utf8_lossy(name),
                one.get(name),
                other.get(name)
            )
        })
        .collect();
    assert!(differing.is_empty(), "{what}:\n{}", differing.join("\n"));
}

#[track_caller]
fn same_layers(one: &[Layer], other: &[Layer], what: &str) {
    let digests =
        |layers: &[Layer]| -> Vec<String> { layers.iter().map(|(digest, _)| digest.clone()).collect() };
    assert_eq!(digests(one), digests(other), "{what}");
    for ((digest, one), (_, other)) in one.iter().zip(other) {
        same(one, other, &format!("{what}, {digest}"));
    }
}

fn skopeo(from: &str, to: &str) -> Ran {
    run(Command::new("skopeo").args([
        "--insecure-policy",
        "copy",
        "--quiet",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        from,
        to,
    ]))
}

#[test]
fn privileged_a_nasty_tree_goes_round_by_skopeo_and_a_registry() {
    let host = Host::empty();
    let work = host.work();
    let text = |name: &str| work.join(name).to_str().expect("utf-8").to_owned();
    layout(&work);
    host.rcompose(["image", "load", "-i", "layout"]).success();
    let expected = layers(&host, "localhost/nasty:1");
    assert_eq!(expected.len(), 4);
    same(
        &facts(&work.join("tree")),
        &expected[0].1,
        "what was unpacked is what was packed",
    );

    for (format, from) in [
        ("docker-archive", "docker-archive"),
        ("oci-archive", "oci-archive"),
        ("oci-dir", "oci"),
    ] {
        let saved = format!("saved-{format}");
        host.rcompose([
            "image",
            "save",
            "--format",
            format,
            "-o",
            &saved,
            "localhost/nasty:1",
        ])
        .success();
        let there = format!("{from}:{}", text(&saved));
        for to in ["oci", "oci-archive", "docker-archive", "dir"] {
            let name = format!("{format}-{to}");
            let named = match to {
                "dir" => format!("dir:{}", text(&name)),
                to => format!("{to}:{}:localhost/nasty:2", text(&name)),
            };
            skopeo(&there, &named).success();
            let other = Host::empty();
            let told = other
                .rcompose(["image", "load", "-i", &text(&name)])
                .success()
                .stdout;
            let image = match told.trim().rsplit_once(": ") {
                Some((_, image)) => image.to_owned(),
                None => panic!("{told}"),
            };
            same_layers(&layers(&other, &image), &expected, &format!("{format} by {to}"));
            other.finish();
        }
    }

    let registry = Registry::start();
    let remote = format!("{}/nasty:3", registry.address());
    skopeo(
        &format!("docker-archive:{}", text("saved-docker-archive")),
        &format!("docker://{remote}"),
    )
    .success();
    let other = Host::empty();
    other.rcompose(["image", "pull", "-q", &remote]).success();
    same_layers(&layers(&other, &remote), &expected, "by way of a registry");
    other.finish();
    host.finish();
}
