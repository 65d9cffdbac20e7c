//! Archives made to get out of the layer; every one goes through `Ground::unpack`, which compares the canary.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::Path;

use tar::{EntryType, Header};

use super::Ground;
use crate::compression::HashingReader;
use crate::sample_tar::{Sample, SampleTar};
use crate::unpack::Limits;

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
fn attack_by_directory_with_the_name_of_a_whiteout() {
    Ground::new().refuses(
        &SampleTar::new().file("d/.wh.x/y", "evil").finish(),
        "below a whiteout",
    );
    let ground = Ground::new();
    ground
        .unpack(&SampleTar::new().file(".wh..wh.plnk/1.2", "aufs").finish())
        .unwrap();
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
    assert_eq!(error, "the archive has more than 10 entries");
    let archive = SampleTar::new()
        .file("a", &"x".repeat(60))
        .file("b", &"x".repeat(60))
        .finish();
    let error = Ground::new()
        .unpack_with(&archive, limits)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "the archive has more than 100 bytes");
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
    Ground::new().refuses(&archive, "malformed map of a sparse file");
}

/// A sparse file of `size` bytes in the format PAX 0.1, whose map is `map` and whose stored bytes are `stored`.
fn sparse(map: &str, size: &str, stored: &str) -> Vec<u8> {
    SampleTar::new()
        .pax(&[
            ("GNU.sparse.map", map.as_bytes()),
            ("GNU.sparse.size", size.as_bytes()),
        ])
        .file("x", stored)
        .finish()
}

#[test]
fn attack_by_holes() {
    for (map, size, stored) in [
        ("0,4,2,4", "100", "overlaps"),
        ("0,3", "100", "four"),
        ("0,4", "2", "four"),
        ("18446744073709551615,4", "100", "four"),
        ("0,18446744073709551615", "100", "four"),
        ("0", "100", "four"),
        ("-1,4", "100", "four"),
        ("0,4", "", "four"),
    ] {
        Ground::new().refuses(&sparse(map, size, stored), "malformed");
    }
    Ground::new().refuses(
        &sparse("0,4", "1099511627776", "four"),
        "more than 274877906944 bytes",
    );
    // The made-up name leads nowhere, and the real one is held to the same rules.
    let renamed = SampleTar::new()
        .pax(&[
            ("GNU.sparse.name", b"../canary/passwd"),
            ("GNU.sparse.map", b"0,4"),
            ("GNU.sparse.size", b"9"),
        ])
        .file("x", "evil")
        .finish();
    Ground::new().refuses(&renamed, "has .. in its path");
    let endless = SampleTar::new()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.realsize", b"9"),
        ])
        .file("x", "99999999\n0\n")
        .finish();
    Ground::new().refuses(&endless, "cannot read the archive");
}

#[test]
fn attack_by_content_of_what_has_none() {
    // Go's reader sees an entry where others see a link's content; what is hidden there is an entry here, too.
    for kind in [
        EntryType::Link,
        EntryType::Symlink,
        EntryType::Directory,
        EntryType::Fifo,
    ] {
        let hidden = SampleTar::new().file("hidden", "").finish();
        let ground = Ground::new();
        let archive = SampleTar::new()
            .file("there", "1")
            .add(&Sample {
                kind,
                path: b"x",
                link: b"there",
                content: &hidden[..512],
                ..Sample::default()
            })
            .finish();
        ground.unpack(&archive).unwrap();
        assert_eq!(ground.read("hidden"), "", "{kind:?}");
    }
}

#[test]
fn attack_by_a_second_archive() {
    let second = SampleTar::new()
        .file("../canary/passwd", "evil")
        .file("second", "2")
        .finish();
    let ground = Ground::new();
    let first = SampleTar::new().file("first", "1").finish();
    ground.unpack(&[first.clone(), second.clone()].concat()).unwrap();
    assert_eq!(ground.read("first"), "1");
    assert!(
        !ground.layer().join("second").exists(),
        "an archive ends where it ends"
    );
    // Where readers disagree on the end, there is none.
    Ground::new().refuses(
        &[&first[..first.len() - 512], &second].concat(),
        "lone block of zeros",
    );
}

#[test]
fn attack_by_headers_that_never_come_to_an_entry() {
    let record = vec![b'x'; 1 << 19];
    let mut archive = SampleTar::new();
    for _ in 0..70 {
        archive = archive.pax(&[("SCHILY.xattr.user.x", &record)]);
    }
    Ground::new().refuses(
        &archive.file("x", "").finish(),
        "extended headers stand before one entry",
    );
}

#[test]
fn attack_by_a_stream_that_swells() {
    // A few kilobytes that unpack to gigabytes, behind the archive's end, where nothing counts entries.
    struct Swelling(u64);
    impl Read for Swelling {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += buffer.len() as u64;
            buffer.fill(0);
            Ok(buffer.len())
        }
    }
    let mut reader = HashingReader::new(Swelling(0), 1 << 20);
    let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
    assert_eq!(error.to_string(), "it has more than 1048576 bytes");
    let limits = Limits {
        entries: 2,
        bytes: 10,
    };
    assert_eq!(limits.stream(), 2 * 2048 + 10);
}

#[test]
fn attack_by_two_names_for_one_entry() {
    // Of PAX's name and GNU's, GNU's counts, wherever it stands: as in Go's reader.
    let gnu = Sample {
        kind: EntryType::GNULongName,
        path: b"././@LongLink",
        content: b"gnu\0",
        ..Sample::default()
    };
    for archive in [
        SampleTar::new().add(&gnu).pax(&[("path", b"pax")]),
        SampleTar::new().pax(&[("path", b"pax")]).add(&gnu),
    ] {
        let ground = Ground::new();
        ground.unpack(&archive.file("old", "1").finish()).unwrap();
        assert_eq!(ground.read("gnu"), "1");
        assert_eq!(fs::read_dir(ground.layer()).unwrap().count(), 1);
    }
    // Records of one entry are not those of the next, and a second header replaces the first.
    let ground = Ground::new();
    let archive = SampleTar::new()
        .pax(&[("path", b"first")])
        .pax(&[("mtime", b"5")])
        .file("second", "1")
        .finish();
    ground.unpack(&archive).unwrap();
    assert_eq!(ground.read("second"), "1");
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
