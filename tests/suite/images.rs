//! Images made on the spot from what Debian ships.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::host::Host;

/// Puts `debian:bookworm-slim` into the host's store: from a registry, or bootstrapped, which takes half a minute.
pub(crate) fn debian(host: &Host) {
    let made = Command::new("scripts/base-image.sh")
        .arg(env!("CARGO_BIN_EXE_rcompose"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("RCOMPOSE_DATA_ROOT", host.data_root())
        .env("RCOMPOSE_RUN_ROOT", host.run_root())
        .status()
        .expect("the script starts");
    assert!(made.success(), "debian:bookworm-slim is available");
}

/// A root file system with a static busybox, its applets as links, `/etc/passwd` and little else.
pub(crate) fn busybox_tar() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        // Kept among the build's own temporary files: every test of a build uses the same one.
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("busybox.tar");
        if path.exists() {
            return path;
        }
        let unfinished = path.with_extension(std::process::id().to_string());
        let mut archive = tar::Builder::new(std::fs::File::create(&unfinished).expect("tar file"));
        for directory in [
            "bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "usr/bin", "var", "var/www",
            "run",
        ] {
            entry(
                &mut archive,
                directory,
                if directory == "tmp" { 0o1777 } else { 0o755 },
                tar::EntryType::Directory,
                b"",
            );
        }
        let busybox = ["/bin/busybox", "/usr/bin/busybox"]
            .iter()
            .find_map(|path| std::fs::read(path).ok())
            .expect("busybox-static is installed (scripts/install-test-packages.sh all)");
        entry(
            &mut archive,
            "bin/busybox",
            0o755,
            tar::EntryType::Regular,
            &busybox,
        );
        entry(
            &mut archive,
            "etc/passwd",
            0o644,
            tar::EntryType::Regular,
            b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home:/bin/sh\n",
        );
        entry(
            &mut archive,
            "etc/group",
            0o644,
            tar::EntryType::Regular,
            b"root:x:0:\napp:x:1000:\nextra:x:2000:app\n",
        );
        let applets = Command::new("/bin/busybox")
            .arg("--list")
            .output()
            .expect("busybox runs");
        for applet in String::from_utf8_lossy(&applets.stdout)
            .lines()
            .filter(|name| *name != "busybox")
        {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            header.set_mode(0o777);
            archive
                .append_link(&mut header, format!("bin/{applet}"), "busybox")
                .expect("link");
        }
        archive.finish().expect("tar ends");
        std::fs::rename(&unfinished, &path).expect("tar is named");
        path
    })
    .clone()
}

fn entry(
    archive: &mut tar::Builder<std::fs::File>,
    path: &str,
    mode: u32,
    kind: tar::EntryType,
    content: &[u8],
) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    archive.append_data(&mut header, path, content).expect("entry");
}
