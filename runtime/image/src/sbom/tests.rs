//! In: databases of packages as Debian, Alpine and Red Hat write them. Out: what the bill of materials says of them.
//! **Invariant:** a package is listed once, with its version and licence, or not at all.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::digest::Digest;

fn tree(files: &[(&str, &[u8])]) -> TempDir {
    let root = TempDir::new().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

fn found(root: &Path) -> Result<Inventory, SbomError> {
    inventory(&Tree::directory(root).unwrap())
}

fn names(inventory: &Inventory) -> Vec<String> {
    let names = inventory.packages.iter();
    names
        .map(|package| format!("{} {}", package.name, package.version))
        .collect()
}

/// A header as rpm keeps it: the index, then the data.
fn header(name: &str, version: &str, epoch: Option<u32>, padding: usize) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    let mut tag = |tag: u32, kind: u32, bytes: &[u8]| {
        for word in [tag, kind, u32::try_from(data.len()).unwrap(), 1] {
            index.extend(word.to_be_bytes());
        }
        data.extend_from_slice(bytes);
    };
    // The region that every header begins with, and a file list as long as a large package's.
    tag(63, 7, &[0; 16]);
    tag(1117, 8, &vec![b'x'; padding]);
    tag(1000, 6, format!("{name}\0").as_bytes());
    tag(1001, 6, format!("{version}\0").as_bytes());
    tag(1002, 6, b"1.fc40\0");
    if let Some(epoch) = epoch {
        tag(1003, 4, &epoch.to_be_bytes());
    }
    tag(1004, 9, b"A summary\0");
    tag(1014, 6, b"GPLv2+ and LGPLv2\0");
    tag(1022, 6, b"x86_64\0");
    tag(1044, 6, format!("{name}-{version}-1.fc40.src.rpm\0").as_bytes());
    let lengths = [index.len() / 16, data.len()].map(|length| u32::try_from(length).unwrap());
    let mut blob: Vec<u8> = lengths.iter().flat_map(|length| length.to_be_bytes()).collect();
    blob.extend(index);
    blob.extend(data);
    blob
}

const TABLE: &str = "CREATE TABLE 'Name' (key TEXT, hnum INTEGER);\
    CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);";

fn insert(blob: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let hex: String = blob
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect();
    format!("INSERT INTO Packages (blob) VALUES (x'{hex}');\n")
}

/// A database as `SQLite` itself writes it.
fn sqlite(path: &Path, script: &str) {
    let mut sqlite = Command::new("sqlite3")
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("sqlite3 is installed (scripts/install-test-packages.sh all)");
    sqlite.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(sqlite.wait().unwrap().success());
}

#[test]
fn rpm_packages_are_read_from_pages_of_every_size() {
    let root = TempDir::new().unwrap();
    for page_size in [512, 4096, 65_536] {
        let path = root.path().join(format!("{page_size}.sqlite"));
        let mut script = format!("PRAGMA page_size={page_size};{TABLE}BEGIN;");
        for number in 0..300 {
            // From rows that fit to rows that go on over many pages.
            script += &insert(&header(&format!("p{number}"), "1.2", None, number * 37));
        }
        script += &insert(&header("gpg-pubkey", "abc", None, 0));
        script += &insert(&header("perl", "5.38", Some(4), 100_000));
        // A row in the middle is gone, and its pages are free.
        script += "DELETE FROM Packages WHERE hnum = 150;COMMIT;\n";
        sqlite(&path, &script);

        let packages = rpm::parse(&fs::read(&path).unwrap(), &[]).unwrap();
        assert_eq!(packages.len(), 300, "{page_size}");
        assert_eq!(packages[149].name, "p150");
        let last = packages.last().unwrap();
        assert_eq!(
            last.url(None),
            "pkg:rpm/perl@5.38-1.fc40?arch=x86_64&epoch=4&upstream=perl-5.38-1.fc40.src.rpm"
        );
        assert_eq!(last.version, "4:5.38-1.fc40");
    }
}

#[test]
fn a_database_in_the_middle_of_its_log_is_read_as_committed() {
    let root = TempDir::new().unwrap();
    let at = |name: &str| root.path().join(name);
    let copy = |name: &str| {
        let (from, to) = (at("live"), at(name));
        let (from, to) = (from.display(), to.display());
        format!(".shell cp {from} {to}; cp {from}-wal {to}-wal\n")
    };
    let (one, other) = (header("one", "1", None, 9_000), header("other", "2", None, 9_000));
    let script = [
        &format!("PRAGMA journal_mode=delete;{TABLE}\n"),
        "PRAGMA journal_mode=wal;\n",
        &insert(&one),
        &copy("first"),
        &insert(&other),
        &copy("second"),
    ];
    sqlite(&at("live"), &script.map(str::to_owned).concat());

    let read = |name: &str, log: &[u8]| {
        let packages = rpm::parse(&fs::read(at(name)).unwrap(), log).unwrap();
        packages
            .into_iter()
            .map(|package| package.name)
            .collect::<Vec<_>>()
    };
    let (first, second) = (
        fs::read(at("first-wal")).unwrap(),
        fs::read(at("second-wal")).unwrap(),
    );
    assert_eq!(read("first", &first), ["one"]);
    assert_eq!(read("second", &second), ["one", "other"]);
    assert_eq!(
        read("second", &[]),
        [""; 0],
        "nothing is in the database itself yet"
    );
    assert_eq!(
        read("second", &second[..second.len() - 1]),
        ["one"],
        "the last transaction is cut"
    );
    let mut damaged = second.clone();
    damaged[first.len() + 50] ^= 1;
    assert_eq!(read("second", &damaged), ["one"], "its checksum is wrong");
}

#[test]
fn no_damage_to_a_database_does_more_than_fail() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("db");
    let mut script = format!("PRAGMA page_size=512;{TABLE}");
    for number in 0..6 {
        script += &insert(&header(&format!("p{number}"), "1", None, 20 + number * 200));
    }
    sqlite(&path, &script);
    let good = fs::read(&path).unwrap();
    assert_eq!(rpm::parse(&good, &[]).unwrap().len(), 6);
    let mut failed = 0;
    for at in (0..good.len()).step_by(3) {
        for value in [0, 0x05, 0xff] {
            let mut bad = good.clone();
            bad[at] = value;
            failed += usize::from(rpm::parse(&bad, &[]).is_err());
        }
    }
    assert!(failed > 100, "{failed}");
    for length in (0..good.len()).step_by(7) {
        assert!(rpm::parse(&good[..length], &[]).is_err(), "{length}");
    }
    for (bytes, problem) in [
        (b"Berkeley".to_vec(), "it is no SQLite database"),
        (
            [good[..16].to_vec(), vec![0; 200]].concat(),
            "its pages have 0 bytes",
        ),
    ] {
        assert_eq!(rpm::parse(&bytes, &[]).unwrap_err(), problem);
    }
}

#[test]
fn an_image_is_described_by_its_databases_alone() {
    let status = b"Package: zlib1g\nStatus: install ok installed\nVersion: 1:1.3\nArchitecture: amd64\nMaintainer: A B <a@b.org>\n\n\
        Package: adduser\nStatus: install ok installed\nVersion: 3\nArchitecture: all\nHomepage: https://example.org\n";
    let apk =
        b"P:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT AND (Apache-2.0 OR BSD-2-Clause)\n\nP:odd\nV:1\nL:MIT BSD\n\n";
    let root = tree(&[
        (
            "usr/lib/os-release",
            b"ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian 12\"\n",
        ),
        ("var/lib/dpkg/status", status),
        (
            "var/lib/dpkg/status.d/base",
            b"Package: base-files\nVersion: 12\n",
        ),
        ("var/lib/dpkg/status.d/base.md5sums", b"0123  etc/x\n"),
        ("lib/apk/db/installed", apk),
    ]);
    fs::create_dir(root.path().join("etc")).unwrap();
    std::os::unix::fs::symlink("/usr/lib/os-release", root.path().join("etc/os-release")).unwrap();
    let inventory = found(root.path()).unwrap();
    assert_eq!(
        names(&inventory),
        [
            "zlib1g 1:1.3",
            "adduser 3",
            "base-files 12",
            "musl 1.2.5-r0",
            "odd 1"
        ]
    );

    let image = Digest::of(b"image");
    let document = document(&image, 86_400, &inventory);
    assert_eq!(document["creationInfo"]["created"], "1970-01-02T00:00:00Z");
    let packages = document["packages"].as_array().unwrap();
    let listed: Vec<&str> = packages
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    assert_eq!(
        listed,
        [
            "image",
            "debian",
            "adduser",
            "base-files",
            "musl",
            "odd",
            "zlib1g"
        ]
    );
    let zlib = &packages[6];
    assert_eq!(
        zlib["externalRefs"][0]["referenceLocator"],
        "pkg:deb/debian/zlib1g@1:1.3?arch=amd64&distro=debian-12"
    );
    assert_eq!(zlib["supplier"], "Person: A B (a@b.org)");
    assert_eq!(
        packages[4]["licenseDeclared"],
        "MIT AND (Apache-2.0 OR BSD-2-Clause)"
    );
    let quoted = &document["hasExtractedLicensingInfos"][0];
    assert_eq!(quoted["extractedText"], "MIT BSD");
    assert_eq!(packages[5]["licenseDeclared"], quoted["licenseId"]);
    let relations = document["relationships"].as_array().unwrap();
    assert_eq!(relations.len(), packages.len());
    assert_eq!(relations[0]["relationshipType"], "DESCRIBES");
    let mut ids: Vec<&Value> = packages.iter().map(|package| &package["SPDXID"]).collect();
    ids.dedup();
    assert_eq!(ids.len(), packages.len());
    for id in ids {
        let id = id.as_str().unwrap().strip_prefix("SPDXRef-").unwrap();
        assert!(
            id.chars()
                .all(|character| character.is_ascii_alphanumeric() || "-.".contains(character)),
            "{id}"
        );
    }
    assert_eq!(document.get("comment"), None);
    assert_eq!(
        super::document(&image, 86_400, &found(root.path()).unwrap()),
        document
    );
    let other = super::document(&Digest::of(b"other"), 86_400, &inventory);
    assert_ne!(other["documentNamespace"], document["documentNamespace"]);
}

#[test]
fn what_is_not_read_is_named() {
    for (path, note) in [
        (
            "var/lib/rpm/Packages",
            "/var/lib/rpm/Packages is not read: rpm's database in the format Berkeley DB",
        ),
        (
            "usr/lib/sysimage/rpm/Packages.db",
            "/usr/lib/sysimage/rpm/Packages.db is not read: rpm's database in the format ndb",
        ),
        (
            "var/lib/pacman/local/x/desc",
            "/var/lib/pacman/local is not read: packages of pacman",
        ),
        ("bin/sh", "no database of dpkg, apk or rpm is in the image"),
    ] {
        let inventory = found(tree(&[(path, b"")]).path()).unwrap();
        assert_eq!(inventory.notes, [note]);
        let document = document(&Digest::of(b""), 0, &inventory);
        assert_eq!(document["comment"], note);
    }
}

#[test]
fn a_database_that_cannot_be_read_is_an_error_and_no_path_leaves_the_image() {
    let secret = tree(&[("status", b"Package: stolen\nVersion: 1\n")]);
    let root = tree(&[("var/lib/dpkg/x", b"")]);
    let status = root.path().join("var/lib/dpkg/status");
    std::os::unix::fs::symlink(secret.path().join("status"), &status).unwrap();
    assert_eq!(names(&found(root.path()).unwrap()), [""; 0]);
    fs::remove_file(&status).unwrap();
    std::os::unix::fs::symlink("status", &status).unwrap();
    assert!(matches!(found(root.path()), Err(SbomError::Read { .. })));
    fs::remove_file(&status).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &status,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert_eq!(
        found(root.path()).unwrap_err().to_string(),
        "/var/lib/dpkg/status of the image is damaged: it is no regular file"
    );
    fs::remove_file(&status).unwrap();
    fs::write(&status, "Package: a\nVersion: 1\n\nPackage: b\n").unwrap();
    assert_eq!(
        found(root.path()).unwrap_err().to_string(),
        "/var/lib/dpkg/status of the image is damaged: line 4: b has no version"
    );
}
