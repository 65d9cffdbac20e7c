//! In: what was decided when a container was made, and what a person wants of it. Out: `container.json` and `desired`, and back.
//! **Invariant:** `container.json` is the last file of a new container: without it there is no container.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::request::ContainerRequest;
use crate::root::{self, Roots};
use crate::runtime::RuntimeError;
use crate::state::MountState;

/// Name of the record in the container's directory.
const FILE: &str = "container.json";

/// Everything about a container that does not change while it exists, but for its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ContainerRecord {
    /// 64 hexadecimal characters.
    pub id: String,
    /// Its present name.
    pub name: String,
    /// Digest of the image's configuration.
    pub image_id: String,
    /// Complete command line.
    pub command: Vec<String>,
    /// RFC 3339.
    pub created_at: String,
    /// Ports it exposes, `80/tcp`.
    pub exposed: Vec<String>,
    /// Mounts.
    pub mounts: Vec<MountState>,
    /// Volumes made for it alone, by name.
    pub anonymous_volumes: Vec<String>,
    /// Its host name.
    pub hostname: String,
    /// Containers whose namespaces it shares: name and id.
    pub joined: BTreeMap<String, String>,
    /// What it was made from.
    pub request: ContainerRequest,
}

impl ContainerRecord {
    /// The record in a container's directory; none when there is none.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, RuntimeError> {
        atomic::read_json(&directory.join(FILE))
    }

    /// Writes it to the container's directory.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), RuntimeError> {
        atomic::write_json(&directory.join(FILE), self)
    }
}

/// What a person wants of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Desired {
    /// It was started.
    Running,
    /// It was stopped.
    Stopped,
}

impl Desired {
    /// What was wanted last; none before the first start.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, RuntimeError> {
        Ok(
            atomic::read(&directory.join("desired"))?.and_then(|bytes| match bytes.trim_ascii() {
                b"running" => Some(Self::Running),
                b"stopped" => Some(Self::Stopped),
                _ => None,
            }),
        )
    }

    /// Records what is wanted, before it is done.
    pub(crate) fn write(self, directory: &Path) -> Result<(), RuntimeError> {
        let text: &[u8] = match self {
            Self::Running => b"running\n",
            Self::Stopped => b"stopped\n",
        };
        atomic::write(&directory.join("desired"), text, 0o600)
    }
}

/// The directory of a container of any project, by its id.
pub(crate) fn find_by_id(roots: &Roots, id: &str) -> Result<Option<PathBuf>, RuntimeError> {
    if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    for project in root::entries(&roots.projects())? {
        let directory = roots.project_containers(&project)?.join(id);
        if directory.is_dir() {
            return Ok(Some(directory));
        }
    }
    Ok(None)
}

/// The id of the container that has a name, when it still exists.
pub(crate) fn find_by_name(roots: &Roots, name: &str) -> Result<Option<ContainerRecord>, RuntimeError> {
    let Some(id) = atomic::read(&roots.container_name(name)?)? else {
        return Ok(None);
    };
    let id = String::from_utf8_lossy(id.trim_ascii()).into_owned();
    let Some(directory) = find_by_id(roots, &id)? else {
        return Ok(None);
    };
    Ok(ContainerRecord::read(&directory)?.filter(|record| record.name == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_record_counts_as_absent() {
        let scratch = std::env::temp_dir().join(format!("rcompose-record-{}", std::process::id()));
        std::fs::create_dir_all(&scratch).unwrap();
        let record = ContainerRecord {
            id: "ab".repeat(32),
            name: "shop-web-1".into(),
            image_id: "sha256:1".into(),
            command: vec!["sh".into()],
            created_at: "2000-01-01T00:00:00Z".into(),
            exposed: vec![],
            mounts: vec![],
            anonymous_volumes: vec![],
            hostname: "shop-web-1".into(),
            joined: BTreeMap::new(),
            request: ContainerRequest::minimal("shop", "busybox"),
        };
        record.write(&scratch).unwrap();
        assert_eq!(ContainerRecord::read(&scratch).unwrap(), Some(record));
        let whole = std::fs::read(scratch.join(FILE)).unwrap();
        std::fs::write(scratch.join(FILE), &whole[..whole.len() / 2]).unwrap();
        assert_eq!(ContainerRecord::read(&scratch).unwrap(), None);

        assert_eq!(Desired::read(&scratch).unwrap(), None);
        Desired::Stopped.write(&scratch).unwrap();
        assert_eq!(Desired::read(&scratch).unwrap(), Some(Desired::Stopped));
        std::fs::remove_dir_all(&scratch).unwrap();
    }
}
