//! In: names of images. Out: what containers are made from, the host's own root included, and what is in use.
//! **Invariant:** a layer in use is never collected: the store's lease is held until the container that names it is on record.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rcompose_container::spec::{MountSource, MountSpec};
use rcompose_image::{ImageConfig, ImageError, ImageStore};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr};

use crate::complete::ImageView;
use crate::container::{read_spec, text};
use crate::local::LocalRuntime;
use crate::root::{self, Roots, failed};
use crate::runtime::RuntimeError;

/// The image that is the host's own root, seen copy-on-write; also its id.
pub const HOST: &str = "@host";

/// Directories of the host that a container of [`HOST`] has empty and of its own, with their modes.
const EMPTY: [(&str, u32); 8] = [
    ("dev", 0o755),
    ("proc", 0o755),
    ("sys", 0o755),
    ("run", 0o755),
    ("tmp", 0o1777),
    ("var/tmp", 0o1777),
    ("root", 0o700),
    ("home", 0o755),
];
/// Files of the host that a container of [`HOST`] does not see.
const HIDDEN: [&str; 4] = ["etc/shadow", "etc/shadow-", "etc/gshadow", "etc/gshadow-"];

impl LocalRuntime {
    /// The store of images of this data root.
    pub fn images(&self) -> Result<&ImageStore, RuntimeError> {
        if let Some(store) = self.images.get() {
            return Ok(store);
        }
        root::directory(self.roots.data(), 0o710)?;
        let store = ImageStore::open(&self.roots.images()).map_err(image_error)?;
        Ok(self.images.get_or_init(|| store))
    }

    /// Keeps images from being collected until it is dropped.
    pub(crate) fn image_lease(&self) -> Result<rcompose_image::Lease, RuntimeError> {
        self.images()?.lease().map_err(image_error)
    }

    /// Notes that a container is made of the image.
    pub(crate) fn note_image_use(&self, id: &str) -> Result<(), RuntimeError> {
        match id.parse() {
            Ok(id) => self.images()?.note_use(&id).map_err(image_error),
            Err(_) => Ok(()),
        }
    }

    /// A local image, if it is there.
    pub(crate) fn image_view(&self, reference: &str) -> Result<Option<ImageView>, RuntimeError> {
        if reference == HOST {
            return Ok(Some(host_view()));
        }
        if !self.roots.images().exists() {
            return Ok(None);
        }
        let Some(image) = self.images()?.find(reference).map_err(image_error)? else {
            return Ok(None);
        };
        let layers = image
            .layer_directories()
            .iter()
            .map(|path| text(path))
            .collect::<Result<_, _>>()?;
        Ok(Some(ImageView {
            id: image.id.to_string(),
            config: image.config,
            layers,
        }))
    }

    /// Ids of the images that containers of any project use.
    pub fn images_in_use(&self) -> Result<BTreeSet<String>, RuntimeError> {
        let mut used = BTreeSet::new();
        for located in self.located_everywhere()? {
            used.insert(located.record.image_id);
        }
        Ok(used)
    }

    /// Directories of layers that containers of any project are made of; a collection of the store must spare them.
    pub fn layers_in_use(&self) -> Result<BTreeSet<PathBuf>, RuntimeError> {
        let mut used = BTreeSet::new();
        for located in self.located_everywhere()? {
            let spec = read_spec(&located.directory)?;
            used.extend(spec.rootfs.lower.iter().map(PathBuf::from));
            for mount in &spec.mounts {
                if let MountSource::Layers { lower, .. } = &mount.source {
                    used.extend(lower.iter().map(PathBuf::from));
                }
            }
        }
        Ok(used)
    }
}

fn host_view() -> ImageView {
    let config = ImageConfig {
        cmd: Some(vec!["/bin/sh".to_owned()]),
        ..ImageConfig::default()
    };
    ImageView {
        id: HOST.to_owned(),
        config,
        layers: vec!["/".to_owned()],
    }
}

/// Fills the upper directory of a container of [`HOST`] with what hides the host's secrets, its volatile directories and our own roots.
/// Overlay marks: an opaque directory hides what is below it, a character device 0:0 hides a name (kernel, overlayfs.rst).
pub(crate) fn hide_from_host_view(upper: &Path, roots: &Roots) -> Result<(), RuntimeError> {
    for (name, mode) in EMPTY {
        // A link such as /home -> /usr/home stays what it is.
        if fs::symlink_metadata(Path::new("/").join(name)).is_ok_and(|status| status.is_dir()) {
            let directory = mirror_directories(upper, Path::new(name))?;
            fs::set_permissions(&directory, fs::Permissions::from_mode(mode))
                .map_err(failed("open up", &directory))?;
            setxattr(&directory, "trusted.overlay.opaque", b"y", XattrFlags::empty())
                .map_err(failed("mark", &directory))?;
        }
    }
    let mut hidden: Vec<PathBuf> = HIDDEN.iter().map(PathBuf::from).collect();
    for name in root::entries(Path::new("/etc/ssh"))? {
        if name.starts_with("ssh_host_") && Path::new(&name).extension().is_none() {
            hidden.push(Path::new("etc/ssh").join(name));
        }
    }
    for own in [roots.data(), roots.run()] {
        hidden.extend(own.strip_prefix("/").ok().map(Path::to_owned));
    }
    for path in hidden {
        let below_empty = EMPTY.iter().any(|(name, _)| path.starts_with(name));
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            continue;
        };
        if below_empty || fs::symlink_metadata(Path::new("/").join(&path)).is_err() {
            continue;
        }
        let whiteout = mirror_directories(upper, parent)?.join(name);
        mknodat(
            CWD,
            &whiteout,
            FileType::CharacterDevice,
            Mode::empty(),
            makedev(0, 0),
        )
        .map_err(failed("hide", &whiteout))?;
    }
    Ok(())
}

/// Other file systems of the host's that its root is made of (`/usr` or `/var` on a partition of their own), as read-only mounts: an overlay
/// sees only the file system its lower directory is on. Those of [`EMPTY`] and of the kernel itself are left out.
pub(crate) fn host_submounts() -> Result<Vec<MountSpec>, RuntimeError> {
    let table = "/proc/self/mountinfo";
    let text = fs::read_to_string(table).map_err(failed("read", table))?;
    let mut targets: Vec<String> = text.lines().filter_map(submount).collect();
    targets.sort();
    targets.dedup();
    let bind = |target: String| MountSpec {
        source: MountSource::Bind {
            path: target.clone(),
            recursive: false,
            create: false,
        },
        target,
        read_only: true,
        propagation: None,
    };
    Ok(targets.into_iter().map(bind).collect())
}

/// The mount point of a line of mountinfo, if it is a part of the system on a disk (`proc_pid_mountinfo(5)`: field 5, and the type after ` - `).
fn submount(line: &str) -> Option<String> {
    let (left, right) = line.split_once(" - ")?;
    let point = left.split(' ').nth(4)?;
    let kind = right.split(' ').next()?;
    let on_disk = matches!(
        kind,
        "ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "f2fs" | "zfs" | "squashfs" | "erofs" | "overlay"
    );
    let part = point.strip_prefix('/')?;
    let of_system = ["usr", "opt", "var", "etc", "lib", "srv"]
        .iter()
        .any(|top| Path::new(part).starts_with(top));
    let plain = !point.contains('\\') && Path::new(point).is_dir() && part != "var/tmp";
    // Mounts of other engines' containers are below /var/lib and are not the system's.
    let foreign = Path::new(part).starts_with("var/lib") && part != "var/lib";
    (on_disk && of_system && plain && !foreign).then(|| point.to_owned())
}

/// Makes the directories of `path` below `upper`, with the owners and modes they have on the host.
fn mirror_directories(upper: &Path, path: &Path) -> Result<PathBuf, RuntimeError> {
    let (mut host, mut mirror) = (PathBuf::from("/"), upper.to_owned());
    for part in path.components() {
        host.push(part);
        mirror.push(part);
        if mirror.is_dir() {
            continue;
        }
        let status = fs::symlink_metadata(&host).map_err(failed("look at", &host))?;
        fs::create_dir(&mirror)
            .and_then(|()| chown(&mirror, Some(status.uid()), Some(status.gid())))
            .and_then(|()| fs::set_permissions(&mirror, fs::Permissions::from_mode(status.mode() & 0o7777)))
            .map_err(failed("make directory", &mirror))?;
    }
    Ok(mirror)
}

/// An error of the store as one of the runtime.
pub(crate) fn image_error(error: ImageError) -> RuntimeError {
    RuntimeError::Io {
        what: "look into the store of images".to_owned(),
        source: std::io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_system_on_other_disks_are_told_from_everything_else() {
        let line = |point: &str, kind: &str| {
            format!("36 25 254:1 / {point} rw,relatime shared:1 - {kind} /dev/vda2 rw")
        };
        assert_eq!(submount(&line("/usr", "ext4")).as_deref(), Some("/usr"));
        for (point, kind) in [
            ("/", "ext4"),
            ("/proc", "proc"),
            ("/usr", "tmpfs"),
            ("/home", "ext4"),
            ("/var/lib/docker/overlay2/1/merged", "overlay"),
            ("/usr/no such", "ext4"),
        ] {
            assert_eq!(submount(&line(point, kind)), None, "{point} {kind}");
        }
    }
}
