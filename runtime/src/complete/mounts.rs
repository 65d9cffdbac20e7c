//! In: mounts asked for, volumes the image declares. Out: the mounts of a container in the order they are made.
//! **Invariant:** no two mounts have one target, and a target comes after every directory above it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use rcompose_container::spec::{MountSource, MountSpec, Propagation};
use rcompose_image::ImageConfig;

use super::Places;
use crate::request::{ContainerRequest, MountRequest, MountRequestSource, NetworkingRequest};
use crate::runtime::RuntimeError;
use crate::state::MountState;

/// Files of `/etc` made for each container in its run directory.
const ETC_FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// The mounts for the shim, the same for people, and the names of the container's own volumes.
type Decided = (Vec<MountSpec>, Vec<MountState>, Vec<String>);

/// Decides all mounts of a container; `invalid` makes the error of a reason.
pub(super) fn decide(
    request: &ContainerRequest,
    id: &str,
    image: &ImageConfig,
    places: &Places,
    invalid: &dyn Fn(String) -> RuntimeError,
) -> Result<Decided, RuntimeError> {
    let mut specs: Vec<MountSpec> = Vec::new();
    let mut states: Vec<MountState> = Vec::new();
    let mut own: Vec<String> = Vec::new();

    let mut wanted = Vec::new();
    for mount in &request.mounts {
        wanted.push(MountRequest {
            target: clean(&mount.target).map_err(invalid)?,
            ..mount.clone()
        });
    }
    for path in &image.volumes {
        let target = clean(path).map_err(invalid)?;
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
    for (index, mount) in wanted.iter().enumerate() {
        let (source, propagation, kind, from) = match &mount.source {
            MountRequestSource::Bind {
                path,
                create,
                propagation,
                recursive,
            } => {
                if !path.starts_with('/') {
                    return Err(invalid(format!("bind mount {path} is not an absolute path")));
                }
                let propagation = propagation
                    .as_deref()
                    .map(self::propagation)
                    .transpose()
                    .map_err(invalid)?;
                let source = MountSource::Bind {
                    path: path.clone(),
                    recursive: *recursive,
                    create: *create,
                };
                (source, propagation, "bind", path.clone())
            }
            MountRequestSource::Volume {
                name,
                no_copy,
                subpath,
            } => {
                let path = places.volumes.get(name).ok_or_else(|| RuntimeError::NotFound {
                    kind: "volume",
                    name: name.clone(),
                })?;
                let source = MountSource::Volume {
                    path: path.clone(),
                    copy_up: !no_copy,
                    subpath: subpath.clone(),
                };
                (source, None, "volume", name.clone())
            }
            MountRequestSource::Anonymous { no_copy } => {
                let new = || format!("{}{index:04x}", id.get(..60).unwrap_or(id));
                let name = places.inherited.get(&mount.target).cloned().unwrap_or_else(new);
                let path = format!("{}/{name}/_data", places.volume_root);
                own.push(name.clone());
                (
                    MountSource::Volume {
                        path,
                        copy_up: !no_copy,
                        subpath: None,
                    },
                    None,
                    "volume",
                    name,
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
                (source, None, "tmpfs", String::new())
            }
            MountRequestSource::Image { image, subpath } => {
                let lower = places.images.get(image).ok_or_else(|| RuntimeError::NotFound {
                    kind: "image",
                    name: image.clone(),
                })?;
                let source = MountSource::Layers {
                    lower: lower.clone(),
                    subpath: subpath.clone(),
                };
                (source, None, "image", image.clone())
            }
        };
        states.push(MountState {
            kind: kind.to_owned(),
            source: from,
            target: mount.target.clone(),
        });
        let read_only = mount.read_only || kind == "image";
        specs.push(MountSpec {
            target: mount.target.clone(),
            source,
            read_only,
            propagation,
        });
    }
    for file in &request.files {
        specs.push(MountSpec {
            target: clean(&file.target).map_err(invalid)?,
            source: MountSource::Content {
                bytes: file.bytes.clone().into(),
                mode: file.mode,
                uid: file.uid,
                gid: file.gid,
            },
            read_only: true,
            propagation: None,
        });
    }
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
    specs.sort_by_key(|mount| mount.target.matches('/').count() - usize::from(mount.target == "/"));
    for (index, mount) in specs.iter().enumerate() {
        if mount.target == "/" {
            return Err(invalid("a mount's target must not be /".to_owned()));
        }
        if specs[..index].iter().any(|other| other.target == mount.target) {
            return Err(invalid(format!("{} is the target of two mounts", mount.target)));
        }
    }
    Ok((specs, states, own))
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
