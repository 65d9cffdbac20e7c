//! In: configs and secrets of a service. Out: read-only binds of host files, or files made of bytes.
//! A file of the host is bound unless an owner or mode is asked for; content and variables are made into files.
//! **Invariant:** the content of each of them is in the config hash.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use rcompose_runtime::request::{FileRequest, MountRequest, MountRequestSource};

use super::{Content, Facts};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::file_object::{FileMount, FileObject, FileObjectSource};
use crate::model::{Project, Service};

/// Permission bits of a config or secret that asks for none.
const MODE: u32 = 0o444;

fn mounted<'a>(
    project: &'a Project,
    service: &'a Service,
) -> impl Iterator<Item = (&'static str, &'a FileMount, &'a FileObject)> {
    let configs = service
        .configs
        .iter()
        .map(|mount| ("config", mount, project.configs.get(&mount.source)));
    let secrets = service
        .secrets
        .iter()
        .map(|mount| ("secret", mount, project.secrets.get(&mount.source)));
    configs
        .chain(secrets)
        .filter_map(|(kind, mount, object)| Some((kind, mount, object?)))
}

pub(super) fn add(
    project: &Project,
    service: &Service,
    facts: &Facts,
    mounts: &mut Vec<MountRequest>,
    files: &mut Vec<FileRequest>,
    diagnostics: &mut Diagnostics,
) {
    for (kind, mount, object) in mounted(project, service) {
        let file = |bytes: &[u8]| FileRequest {
            target: mount.target.clone(),
            bytes: bytes.to_vec(),
            mode: mount.mode.unwrap_or(MODE),
            uid: mount.uid.unwrap_or(0),
            gid: mount.gid.unwrap_or(0),
        };
        let pointed = |finding: Diagnostic| {
            finding
                .label(mount.span, "used here")
                .secondary(object.span, "defined here")
        };
        let key = &object.key;
        match &object.source {
            FileObjectSource::Content(text) => files.push(file(text.as_bytes())),
            FileObjectSource::Environment(_, Some(value)) => files.push(file(value.as_bytes())),
            FileObjectSource::Environment(name, None) => {
                let message = format!("the {kind} `{key}` needs the variable `{name}`, which is not set");
                let finding = pointed(Diagnostic::error("required-variable", message));
                diagnostics.push(finding.help("set it in `.env`, with `--env-file`, or in the shell"));
            }
            FileObjectSource::External => {
                let message =
                    format!("external {kind} {key} is nowhere to be found: there is no store of them");
                diagnostics.push(
                    pointed(Diagnostic::error("unsupported-key", message))
                        .help("give it a `file:` or an `environment:` source"),
                );
            }
            FileObjectSource::File(path) => {
                let owned = mount.uid.is_some() || mount.gid.is_some() || mount.mode.is_some();
                match facts.contents.get(path) {
                    Some(Content::Bytes(bytes)) if owned => files.push(file(bytes)),
                    Some(Content::Bytes(_) | Content::Directory) => mounts.push(MountRequest {
                        target: mount.target.clone(),
                        read_only: true,
                        source: MountRequestSource::Bind {
                            path: path.to_string(),
                            create: false,
                            propagation: None,
                            recursive: true,
                        },
                    }),
                    Some(Content::Unreadable(why)) => {
                        let message = format!("the file {path} of the {kind} `{key}` cannot be read: {why}");
                        diagnostics.push(pointed(Diagnostic::error("missing-file", message)));
                    }
                    None => {
                        let message = format!("the file {path} of the {kind} `{key}` was not read");
                        diagnostics.push(pointed(Diagnostic::error("missing-file", message)));
                    }
                }
            }
        }
    }
}

/// Target and content of each host file that is bound as a config or secret.
pub(super) fn contents<'a>(
    project: &'a Project,
    service: &'a Service,
    facts: &'a Facts,
) -> Vec<(&'a str, &'a [u8])> {
    mounted(project, service)
        .filter_map(|(_, mount, object)| {
            let FileObjectSource::File(path) = &object.source else {
                return None;
            };
            match facts.contents.get(path)? {
                Content::Bytes(bytes) => Some((mount.target.as_str(), bytes.as_slice())),
                Content::Directory | Content::Unreadable(_) => None,
            }
        })
        .collect()
}
