//! In: volumes, tmpfs, `volumes_from` of a service. Out: mounts of its containers, and files made of bytes.
//! **Invariant:** of two mounts at one target the service's own counts.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use indexmap::IndexMap;
use rcompose_runtime::request::{FileRequest, MountRequest, MountRequestSource};

use super::relations::Relations;
use super::{Facts, files, hash, place};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::mount::{Mount, MountSource};
use crate::model::service::NamespaceRef;
use crate::model::{Project, Service};

/// All mounts and files of a service.
pub(super) fn all(
    project: &Project,
    relations: &Relations<'_>,
    service: &Service,
    facts: &Facts,
    diagnostics: &mut Diagnostics,
) -> (Vec<MountRequest>, Vec<FileRequest>) {
    let mut mounts = collect(project, relations, service, diagnostics);
    let mut made = Vec::new();
    files::add(project, service, facts, &mut mounts, &mut made, diagnostics);
    (mounts, made)
}

/// Own mounts over those of `volumes_from`, whose sources are followed in turn.
fn collect(
    project: &Project,
    relations: &Relations<'_>,
    service: &Service,
    diagnostics: &mut Diagnostics,
) -> Vec<MountRequest> {
    let mut mounts: IndexMap<String, MountRequest> = IndexMap::new();
    for (source, read_only) in &service.volumes_from {
        let lender = match source {
            NamespaceRef::Service(name) => project.services.get(name),
            NamespaceRef::Container(name) => {
                let message = format!("volumes_from container:{name} is not supported");
                let diagnostic =
                    Diagnostic::error("unsupported-value", message).at(place(service, "volumes_from"));
                diagnostics
                    .push(diagnostic.help("name a service of this project, or mount its volumes by name"));
                None
            }
        };
        for mut mount in lender
            .into_iter()
            .flat_map(|lender| collect(project, relations, lender, diagnostics))
        {
            mount.read_only |= read_only;
            mounts.insert(mount.target.clone(), mount);
        }
    }
    for mount in &service.mounts {
        mounts.insert(mount.target.clone(), lower(project, relations, service, mount));
    }
    mounts.into_values().collect()
}

fn lower(project: &Project, relations: &Relations<'_>, service: &Service, mount: &Mount) -> MountRequest {
    let source = match &mount.source {
        MountSource::Bind {
            path,
            create_host_path,
            propagation,
            recursive,
        } => MountRequestSource::Bind {
            path: path.to_string(),
            create: *create_host_path,
            propagation: propagation.clone(),
            recursive: recursive.as_deref() != Some("disabled"),
        },
        MountSource::Named {
            key,
            no_copy,
            subpath,
        } => MountRequestSource::Volume {
            name: match project.volumes.get(key) {
                Some(volume) => volume.name.clone(),
                None => format!("{}_{key}", project.name),
            },
            no_copy: *no_copy,
            subpath: subpath.clone(),
        },
        MountSource::Anonymous { no_copy } => match lent_name(project, relations, service, &mount.target) {
            Some(name) => MountRequestSource::Volume {
                name,
                no_copy: *no_copy,
                subpath: None,
            },
            None => MountRequestSource::Anonymous { no_copy: *no_copy },
        },
        MountSource::Tmpfs {
            size,
            mode,
            uid,
            gid,
            exec,
        } => MountRequestSource::Tmpfs {
            size: *size,
            mode: *mode,
            uid: *uid,
            gid: *gid,
            exec: *exec,
        },
        MountSource::Image { image, subpath } => MountRequestSource::Image {
            image: image.clone(),
            subpath: subpath.clone(),
        },
    };
    MountRequest {
        target: mount.target.clone(),
        read_only: mount.read_only,
        source,
    }
}

/// The name of an anonymous volume that another service mounts by `volumes_from`: it needs one to be found by.
fn lent_name(
    project: &Project,
    relations: &Relations<'_>,
    service: &Service,
    target: &str,
) -> Option<String> {
    let lent = relations.lends(&service.name);
    lent.then(|| format!("{}_{}_{}", project.name, service.name, hash::short_hash(target)))
}

/// Names of the anonymous volumes of a service that others mount.
pub(in crate::engine) fn lent_volumes(
    project: &Project,
    relations: &Relations<'_>,
    service: &Service,
) -> Vec<String> {
    let anonymous = service.mounts.iter().filter_map(|mount| match mount.source {
        MountSource::Anonymous { .. } => lent_name(project, relations, service, &mount.target),
        MountSource::Bind { .. }
        | MountSource::Named { .. }
        | MountSource::Tmpfs { .. }
        | MountSource::Image { .. } => None,
    });
    anonymous.collect()
}
