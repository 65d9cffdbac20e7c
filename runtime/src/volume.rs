//! In: requests for volumes. Out: their directories, or what a volume's options say is mounted in their place.
//! **Invariant:** a volume's data goes only when its removal was asked for by name, or with the container that made it for itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags};
use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::container::{GONE, NEW, text};
use crate::local::{LocalRuntime, Located};
use crate::request::{MountRequestSource, VolumeRequest};
use crate::root::{self, failed};
use crate::runtime::RuntimeError;
use crate::state::VolumeState;

/// Name of the record in a volume's directory.
pub(crate) const FILE: &str = "volume.json";
/// Name of the data directory in a volume's directory.
const DATA: &str = "_data";

/// `volume.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeRecord {
    /// Made by a container for itself.
    pub(crate) anonymous: bool,
    created_at: String,
    request: VolumeRequest,
}

/// What the `local` driver's options mean.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A directory of ours.
    Plain,
    /// A directory of the host's.
    Bind(String),
    /// Memory, mounted while a container is wired.
    Tmpfs { flags: MountFlags, data: String },
}

impl LocalRuntime {
    pub(crate) fn observe_volumes(&self, project: &str) -> Result<Vec<VolumeState>, RuntimeError> {
        let mut found = Vec::new();
        for name in root::entries(&self.roots.volumes())?
            .into_iter()
            .filter(|name| !name.starts_with('.'))
        {
            let record: Option<VolumeRecord> = atomic::read_json(&self.roots.volume(&name)?.join(FILE))?;
            if let Some(record) =
                record.filter(|record| !record.anonymous && record.request.project == project)
            {
                found.push(self.volume_state(record)?);
            }
        }
        found.sort_by(|a, b| a.request.name.cmp(&b.request.name));
        Ok(found)
    }

    pub(crate) fn observe_volume(&self, name: &str) -> Result<Option<VolumeState>, RuntimeError> {
        let record: Option<VolumeRecord> = atomic::read_json(&self.roots.volume(name)?.join(FILE))?;
        record.map(|record| self.volume_state(record)).transpose()
    }

    fn volume_state(&self, record: VolumeRecord) -> Result<VolumeState, RuntimeError> {
        let mountpoint = match kind(&record.request)? {
            Kind::Bind(path) => path,
            Kind::Plain | Kind::Tmpfs { .. } => text(&self.roots.volume(&record.request.name)?.join(DATA))?,
        };
        Ok(VolumeState {
            request: record.request,
            mountpoint,
            created_at: record.created_at,
        })
    }

    pub(crate) fn make_volume(&self, request: &VolumeRequest) -> Result<VolumeState, RuntimeError> {
        self.host()?;
        if let Some(existing) = self.observe_volume(&request.name)? {
            return Ok(existing);
        }
        if let Kind::Bind(path) = kind(request)?
            && !Path::new(&path).is_dir()
        {
            return Err(RuntimeError::Invalid(format!(
                "volume {}: {path} is not a directory of this host",
                request.name
            )));
        }
        self.write_volume(&VolumeRecord {
            anonymous: false,
            created_at: jiff::Timestamp::now().to_string(),
            request: request.clone(),
        })?;
        self.observe_volume(&request.name)?
            .ok_or_else(|| RuntimeError::NotFound {
                kind: "volume",
                name: request.name.clone(),
            })
    }

    /// The volume of one container alone; one that exists was inherited.
    pub(crate) fn make_anonymous_volume(&self, name: &str, project: &str) -> Result<(), RuntimeError> {
        if self.observe_volume(name)?.is_some() {
            return Ok(());
        }
        self.write_volume(&VolumeRecord {
            anonymous: true,
            created_at: jiff::Timestamp::now().to_string(),
            request: VolumeRequest {
                name: name.to_owned(),
                project: project.to_owned(),
                key: String::new(),
                config_hash: String::new(),
                options: std::collections::BTreeMap::new(),
                labels: std::collections::BTreeMap::new(),
            },
        })
    }

    fn write_volume(&self, record: &VolumeRecord) -> Result<(), RuntimeError> {
        let directory = self.roots.volume(&record.request.name)?;
        let unfinished =
            directory.with_file_name(format!("{NEW}{}-{}", std::process::id(), record.request.name));
        root::remove_directory(&unfinished)?;
        root::directory(&unfinished, 0o701)?;
        let data = unfinished.join(DATA);
        root::directory(&data, 0o755)?;
        fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .map_err(failed("open up", &data))?;
        atomic::write_json(&unfinished.join(FILE), record)?;
        match fs::rename(&unfinished, &directory) {
            // Another process was first: it is the same volume.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                root::remove_directory(&unfinished)
            }
            other => other.map_err(failed("finish", &directory)),
        }
    }

    pub(crate) fn delete_volume(&self, name: &str) -> Result<(), RuntimeError> {
        let directory = self.roots.volume(name)?;
        if !directory.exists() {
            return Ok(());
        }
        if let Some(user) = self.user_of_volume(name)? {
            return Err(RuntimeError::InUse {
                kind: "volume",
                name: name.to_owned(),
                user,
            });
        }
        Self::erase_volume(&directory)
    }

    pub(crate) fn delete_anonymous_volume(&self, name: &str, project: &str) -> Result<(), RuntimeError> {
        for located in self.located_in(&self.roots.project_containers(project)?)? {
            if located.record.anonymous_volumes.iter().any(|own| own == name) {
                return Ok(());
            }
        }
        Self::erase_volume(&self.roots.volume(name)?)
    }

    /// Removes what is left of the project's volumes without a name: those whose container went without them. Nothing can reach them any more.
    pub fn remove_unused_anonymous_volumes(&self, project: &str) -> Result<(), RuntimeError> {
        for name in root::entries(&self.roots.volumes())?
            .into_iter()
            .filter(|name| !name.starts_with('.'))
        {
            let record: Option<VolumeRecord> = atomic::read_json(&self.roots.volume(&name)?.join(FILE))?;
            if record.is_some_and(|record| record.anonymous && record.request.project == project) {
                self.delete_anonymous_volume(&name, project)?;
            }
        }
        Ok(())
    }

    fn erase_volume(directory: &Path) -> Result<(), RuntimeError> {
        unmount(&directory.join(DATA))?;
        let name = directory
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let gone = directory.with_file_name(format!("{GONE}{}-{name}", std::process::id()));
        match fs::rename(directory, &gone) {
            Ok(()) => root::remove_directory(&gone),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("remove", directory)(error)),
        }
    }

    /// The name of a container of any project that mounts the volume.
    fn user_of_volume(&self, name: &str) -> Result<Option<String>, RuntimeError> {
        let mut all = self.located_everywhere()?.into_iter();
        let user = all.find(|located| volumes_of(located).any(|used| used == name));
        Ok(user.map(|located| format!("container {}", located.record.name)))
    }

    /// Mounts what the options of a container's volumes say.
    pub(crate) fn mount_volumes(&self, located: &Located) -> Result<(), RuntimeError> {
        for name in volumes_of(located) {
            let directory = self.roots.volume(name)?;
            let record: Option<VolumeRecord> = atomic::read_json(&directory.join(FILE))?;
            let record = record.ok_or_else(|| RuntimeError::NotFound {
                kind: "volume",
                name: name.to_owned(),
            })?;
            let data = directory.join(DATA);
            if let Kind::Tmpfs { flags, data: options } = kind(&record.request)?
                && !is_mount_point(&data)
            {
                let options = std::ffi::CString::new(options).map_err(|_| {
                    RuntimeError::Invalid(format!("volume {name}: its options contain a NUL"))
                })?;
                rustix::mount::mount("tmpfs", &data, "tmpfs", flags, options.as_c_str())
                    .map_err(failed("mount a tmpfs at", &data))?;
            }
        }
        Ok(())
    }

    /// Takes the mounts of these containers' volumes back, but for those that another wired container uses.
    pub(crate) fn unmount_volumes(&self, gone: &[Located]) -> Result<(), RuntimeError> {
        for located in gone {
            for name in volumes_of(located) {
                let data = self.roots.volume(name)?.join(DATA);
                if is_mount_point(&data) && !self.is_volume_wired(name, gone)? {
                    unmount(&data)?;
                }
            }
        }
        Ok(())
    }

    fn is_volume_wired(&self, name: &str, gone: &[Located]) -> Result<bool, RuntimeError> {
        for project in self.projects()? {
            for other in self.located_in(&self.roots.project_containers(&project)?)? {
                let leaving = gone.iter().any(|located| located.record.id == other.record.id);
                if !leaving
                    && volumes_of(&other).any(|used| used == name)
                    && self.wiring(&other.record.id)?.is_some()
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// The named volumes of a container.
pub(crate) fn volumes_of(located: &Located) -> impl Iterator<Item = &str> {
    located
        .record
        .request
        .mounts
        .iter()
        .filter_map(|mount| match &mount.source {
            MountRequestSource::Volume { name, .. } => Some(name.as_str()),
            MountRequestSource::Bind { .. }
            | MountRequestSource::Anonymous { .. }
            | MountRequestSource::Tmpfs { .. }
            | MountRequestSource::Image { .. } => None,
        })
}

/// Reads `driver_opts` as Docker's `local` driver does: `type`, `o` and `device` of mount(8).
fn kind(request: &VolumeRequest) -> Result<Kind, RuntimeError> {
    let invalid = |reason: String| RuntimeError::Invalid(format!("volume {}: {reason}", request.name));
    let option = |name: &str| request.options.get(name).map_or("", String::as_str);
    if let Some(unknown) = request
        .options
        .keys()
        .find(|key| !matches!(key.as_str(), "type" | "o" | "device"))
    {
        return Err(invalid(format!(
            "driver_opts {unknown:?} is not one of type, o and device"
        )));
    }
    let flags: Vec<&str> = option("o").split(',').filter(|flag| !flag.is_empty()).collect();
    let device = option("device");
    match option("type") {
        "" | "none" if flags.iter().any(|flag| matches!(*flag, "bind" | "rbind")) => {
            if let Some(other) = flags
                .iter()
                .find(|flag| !matches!(**flag, "bind" | "rbind" | "rw"))
            {
                return Err(invalid(format!(
                    "mount option {other:?} is not supported with o: bind"
                )));
            }
            if device.starts_with('/') {
                Ok(Kind::Bind(device.to_owned()))
            } else {
                Err(invalid(format!("device {device:?} is not an absolute path")))
            }
        }
        "" if request.options.is_empty() => Ok(Kind::Plain),
        "tmpfs" => {
            tmpfs(&flags).map_err(|flag| invalid(format!("mount option {flag:?} is not one of a tmpfs")))
        }
        other => Err(invalid(format!(
            "driver_opts type {other:?} with o {:?} is not supported: use type none with o: bind, or type tmpfs",
            option("o")
        ))),
    }
}

/// Options of tmpfs(5), flags apart; the error is the one that is none.
fn tmpfs(options: &[&str]) -> Result<Kind, String> {
    let mut flags = MountFlags::NOSUID | MountFlags::NODEV;
    let mut data = Vec::new();
    for option in options {
        match *option {
            "noexec" => flags |= MountFlags::NOEXEC,
            "nosuid" | "nodev" | "rw" | "exec" => {}
            "ro" => flags |= MountFlags::RDONLY,
            known
                if ["size=", "mode=", "uid=", "gid=", "nr_inodes=", "nr_blocks="]
                    .iter()
                    .any(|name| known.starts_with(name)) =>
            {
                data.push(known);
            }
            unknown => return Err(unknown.to_owned()),
        }
    }
    Ok(Kind::Tmpfs {
        flags,
        data: data.join(","),
    })
}

/// Whether something is mounted at a path: its device is not that of the directory it is in.
fn is_mount_point(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: PathBuf| fs::symlink_metadata(path).map(|status| status.dev()).ok();
    let parent = path.parent().map(Path::to_owned).and_then(device);
    parent.is_some() && device(path.to_owned()) != parent
}

fn unmount(path: &Path) -> Result<(), RuntimeError> {
    if !is_mount_point(path) {
        return Ok(());
    }
    rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
        .map_err(failed("unmount", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(options: &[(&str, &str)]) -> Result<Kind, String> {
        let request = VolumeRequest {
            name: "data".into(),
            project: "p".into(),
            key: "data".into(),
            config_hash: String::new(),
            options: options
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            labels: std::collections::BTreeMap::new(),
        };
        kind(&request).map_err(|error| error.to_string())
    }

    #[test]
    fn driver_options_mean_what_mount_means() {
        assert_eq!(kind_of(&[]), Ok(Kind::Plain));
        assert_eq!(
            kind_of(&[("type", "none"), ("o", "bind"), ("device", "/srv/x")]),
            Ok(Kind::Bind("/srv/x".into()))
        );
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        assert_eq!(
            kind_of(&[
                ("type", "tmpfs"),
                ("o", "size=10m,noexec,uid=5"),
                ("device", "tmpfs")
            ]),
            Ok(Kind::Tmpfs {
                flags,
                data: "size=10m,uid=5".into()
            })
        );
    }

    #[test]
    fn what_is_not_supported_is_said() {
        for (options, part) in [
            (
                &[("type", "nfs"), ("o", "addr=10.0.0.1"), ("device", ":/x")][..],
                "\"nfs\"",
            ),
            (&[("type", "none"), ("o", "bind"), ("device", "x")], "absolute"),
            (&[("type", "none"), ("o", "bind,ro"), ("device", "/x")], "\"ro\""),
            (&[("type", "tmpfs"), ("o", "sise=1")], "sise=1"),
            (&[("size", "1")], "size"),
        ] {
            let message = kind_of(options).unwrap_err();
            assert!(
                message.contains(part) && message.starts_with("volume data: "),
                "{message}"
            );
        }
    }
}
