//! In: ids of containers, names of volumes. Out: what they take of the disk, and the directories a container's files are in.
//! **Invariant:** nothing is changed, and no link or mount is followed.

use std::path::{Path, PathBuf};

use rcompose_image::store::tree_size;

use crate::atomic;
use crate::container::read_spec;
use crate::image::image_error;
use crate::local::LocalRuntime;
use crate::root;
use crate::runtime::{Runtime as _, RuntimeError};
use crate::state::VolumeState;
use crate::volume::{FILE, VolumeRecord, volumes_of};

/// Where the files of a container are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerFiles {
    /// Its image's layers, top-most first.
    pub lower: Vec<PathBuf>,
    /// What it changed: overlay's upper directory.
    pub upper: PathBuf,
}

impl ContainerFiles {
    /// Whether the host's own root lies below the layers.
    pub fn stands_on_host(&self) -> bool {
        self.lower.last().is_some_and(|lowest| lowest == Path::new("/"))
    }
}

/// A volume of any project.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeUsage {
    /// The volume.
    pub volume: VolumeState,
    /// It has no name of its own: a container made it for itself.
    pub anonymous: bool,
    /// Containers that mount it.
    pub users: usize,
    /// Bytes in its files.
    pub size: u64,
}

impl LocalRuntime {
    /// The directories a container's root is made of.
    pub fn container_files(&self, id: &str) -> Result<ContainerFiles, RuntimeError> {
        let spec = read_spec(&self.locate(id)?.directory)?;
        Ok(ContainerFiles {
            lower: spec.rootfs.lower.iter().map(PathBuf::from).collect(),
            upper: PathBuf::from(spec.rootfs.upper),
        })
    }

    /// Bytes in the files that a container changed or added.
    pub fn container_size(&self, id: &str) -> Result<u64, RuntimeError> {
        tree_size(&self.container_files(id)?.upper).map_err(image_error)
    }

    /// Volumes of all projects, by name.
    pub fn all_volumes(&self) -> Result<Vec<VolumeUsage>, RuntimeError> {
        let located = self.located_everywhere()?;
        let mut volumes = Vec::new();
        for name in root::entries(&self.roots.volumes())? {
            let record: Option<VolumeRecord> = atomic::read_json(&self.roots.volume(&name)?.join(FILE))?;
            // What is being made or removed has a name with a dot and counts no more.
            let (Some(record), Some(volume)) = (record, self.volume(&name)?) else {
                continue;
            };
            let mounts = |of: &&crate::local::Located| {
                volumes_of(of).any(|used| used == name) || of.record.anonymous_volumes.contains(&name)
            };
            volumes.push(VolumeUsage {
                anonymous: record.anonymous,
                users: located.iter().filter(mounts).count(),
                size: tree_size(Path::new(&volume.mountpoint)).map_err(image_error)?,
                volume,
            });
        }
        volumes.sort_by(|one, other| one.volume.request.name.cmp(&other.volume.request.name));
        Ok(volumes)
    }
}
