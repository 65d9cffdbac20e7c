//! In: mounts asked for, volumes the image declares. Out: the mounts of a container in the order they are made.
//! **Invariant:** no two mounts have one target, and a target comes after every directory above it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use rcompose_container::spec::{MountSource, MountSpec, Propagation};
use rcompose_image::ImageConfig;

use super::Places;
use crate::request::{ContainerRequest, MountRequest, MountRequestSource, NetworkingRequest};
use crate::runtime::RuntimeError;
use crate::state::MountState;

/// Files of `/etc` made for each container in its run directory.
const ETC_FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// All mounts of a container.
pub(super) struct Decided {
    /// For the shim, in order.
    pub(super) specs: Vec<MountSpec>,
    /// For people.
    pub(super) states: Vec<MountState>,
    /// Names of the container's own volumes.
    pub(super) own_volumes: Vec<String>,
}

/// Decides all mounts of a container; `invalid` makes the error of a reason.
pub(super) fn decide(
    request: &ContainerRequest,
    id: &str,
    image: &ImageConfig,
    places: &Places,
    invalid: &dyn Fn(String) -> RuntimeError,
) -> Result<Decided, RuntimeError> {
    let mut decided = Decided {
        specs: Vec::new(),
        states: Vec::new(),
        own_volumes: Vec::new(),
    };
    for (index, mount) in wanted(request, image).map_err(invalid)?.into_iter().enumerate() {
        let own_volume = places.inherited.get(&mount.target).cloned();
        let own_volume = own_volume.unwrap_or_else(|| format!("{}{index:04x}", id.get(..60).unwrap_or(id)));
        let (source, kind, from) = source_of(&mount.source, &own_volume, places, invalid)?;
        if matches!(mount.source, MountRequestSource::Anonymous { .. }) {
            decided.own_volumes.push(own_volume);
        }
        let propagation = match &mount.source {
            MountRequestSource::Bind {
                propagation: Some(name),
                ..
            } => Some(propagation(name).map_err(invalid)?),
            MountRequestSource::Bind {
                propagation: None, ..
            }
            | MountRequestSource::Volume { .. }
            | MountRequestSource::Anonymous { .. }
            | MountRequestSource::Tmpfs { .. }
            | MountRequestSource::Image { .. } => None,
        };
        let read_only = mount.read_only || kind == "image";
        decided.states.push(MountState {
            kind: kind.to_owned(),
            source: from,
            target: mount.target.clone(),
        });
        decided.specs.push(MountSpec {
            target: mount.target,
            source,
            read_only,
            propagation,
        });
    }
    for file in &request.files {
        let (mode, uid, gid) = (file.mode, file.uid, file.gid);
        let source = MountSource::Content {
            bytes: file.bytes.clone().into(),
            mode,
            uid,
            gid,
        };
        let target = clean(&file.target).map_err(invalid)?;
        decided.specs.push(MountSpec {
            target,
            source,
            read_only: true,
            propagation: None,
        });
    }
    add_etc_files(request, places, &mut decided.specs);
    decided
        .specs
        .sort_by_key(|mount| mount.target.matches('/').count() - usize::from(mount.target == "/"));
    for (index, mount) in decided.specs.iter().enumerate() {
        if mount.target == "/" {
            return Err(invalid("a mount's target must not be /".to_owned()));
        }
        if decided.specs[..index]
            .iter()
            .any(|other| other.target == mount.target)
        {
            return Err(invalid(format!("{} is the target of two mounts", mount.target)));
        }
    }
    Ok(decided)
}

/// What is mounted, and what people are told of it: its kind and where it comes from. `own_volume` is the name an anonymous volume has.
fn source_of(
    source: &MountRequestSource,
    own_volume: &str,
    places: &Places,
    invalid: &dyn Fn(String) -> RuntimeError,
) -> Result<(MountSource, &'static str, String), RuntimeError> {
    Ok(match source {
        MountRequestSource::Bind {
            path,
            create,
            recursive,
            ..
        } => {
            if !path.starts_with('/') {
                return Err(invalid(format!("bind mount {path} is not an absolute path")));
            }
            let source = MountSource::Bind {
                path: path.clone(),
                recursive: *recursive,
                create: *create,
            };
            (source, "bind", path.clone())
        }
        MountRequestSource::Volume {
            name,
            no_copy,
            subpath,
        } => {
            let path = named(&places.volumes, "volume", name)?.clone();
            let source = MountSource::Volume {
                path,
                copy_up: !no_copy,
                subpath: subpath.clone(),
            };
            (source, "volume", name.clone())
        }
        MountRequestSource::Anonymous { no_copy } => {
            let path = format!("{}/{own_volume}/_data", places.volume_root);
            (
                MountSource::Volume {
                    path,
                    copy_up: !no_copy,
                    subpath: None,
                },
                "volume",
                own_volume.to_owned(),
            )
        }
        MountRequestSource::Tmpfs {
            size,
            mode,
            uid,
            gid,
            exec,
        } => {
            let source = MountSource::Tmpfs {
                size: *size,
                mode: *mode,
                uid: *uid,
                gid: *gid,
                noexec: !exec,
            };
            (source, "tmpfs", String::new())
        }
        MountRequestSource::Image { image, subpath } => {
            let lower = named(&places.images, "image", image)?.clone();
            (
                MountSource::Layers {
                    lower,
                    subpath: subpath.clone(),
                },
                "image",
                image.clone(),
            )
        }
    })
}

/// The mounts asked for, and an own volume for each path the image declares that nothing else is mounted at.
fn wanted(request: &ContainerRequest, image: &ImageConfig) -> Result<Vec<MountRequest>, String> {
    let mut wanted = Vec::new();
    for mount in &request.mounts {
        wanted.push(MountRequest {
            target: clean(&mount.target)?,
            ..mount.clone()
        });
    }
    for path in &image.volumes {
        let target = clean(path)?;
        let covered = wanted.iter().any(|mount| mount.target == target)
            || request.files.iter().any(|file| file.target == target);
        if !covered {
            let source = MountRequestSource::Anonymous { no_copy: false };
            wanted.push(MountRequest {
                target,
                read_only: false,
                source,
            });
        }
    }
    Ok(wanted)
}

/// What a name in a request stands for.
fn named<'places, T>(
    places: &'places BTreeMap<String, T>,
    kind: &'static str,
    name: &str,
) -> Result<&'places T, RuntimeError> {
    places.get(name).ok_or_else(|| RuntimeError::NotFound {
        kind,
        name: name.to_owned(),
    })
}

/// The container's own files of `/etc`, or those of whose network it shares, unless the request mounts something there.
fn add_etc_files(request: &ContainerRequest, places: &Places, specs: &mut Vec<MountSpec>) {
    let shared = match &request.network {
        NetworkingRequest::Container(name) => places.peers.get(name).map(|peer| peer.run.as_str()),
        NetworkingRequest::None | NetworkingRequest::Host | NetworkingRequest::Bridges(_) => None,
    };
    for name in ETC_FILES {
        let target = format!("/etc/{name}");
        if !specs.iter().any(|mount| mount.target == target) {
            let path = format!("{}/{name}", shared.unwrap_or(&places.run));
            let source = MountSource::Bind {
                path,
                recursive: false,
                create: false,
            };
            specs.push(MountSpec {
                target,
                source,
                read_only: false,
                propagation: None,
            });
        }
    }
}

/// An absolute path without empty parts, `.` and `..`, as path.Clean of Go makes it.
fn clean(path: &str) -> Result<String, String> {
    if !path.starts_with('/') {
        return Err(format!("mount target {path:?} is not an absolute path"));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

fn propagation(name: &str) -> Result<Propagation, String> {
    match name {
        "private" | "rprivate" => Ok(Propagation::Private),
        "slave" | "rslave" => Ok(Propagation::Slave),
        "shared" | "rshared" => Ok(Propagation::Shared),
        other => Err(format!(
            "no mount propagation is called {other:?}: use rprivate, rslave or rshared"
        )),
    }
}
