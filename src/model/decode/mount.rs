//! In: `volumes:`, `tmpfs:` and `volumes_from:` of a service. Out: [`Mount`]s.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use camino::Utf8PathBuf;

use super::namespace;
use super::unsupported;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::fields::Fields;
use crate::model::mount::{Mount, MountSource};
use crate::model::name::VolumeKey;
use crate::model::normalise::clean;
use crate::model::service::NamespaceRef;
use crate::model::units;
use crate::source::span::Span;

pub(super) fn decode(service: &Fields<'_>, findings: &mut Diagnostics) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = service
        .items("volumes")
        .filter_map(|volume| self::volume(&volume, findings))
        .collect();
    for (text, span) in service.spanned_texts("tmpfs") {
        match tmpfs(text, span) {
            Ok(mount) => mounts.push(mount),
            Err(reason) => findings.push(
                Diagnostic::error("bad-volume", format!("{}: {reason}", service.path().key("tmpfs")))
                    .at(span)
                    .help("write `/path[:size=64m,mode=1777,uid=0,gid=0,ro,exec]`"),
            ),
        }
    }
    mounts
}

/// Whether a text begins like `c:/`.
fn is_drive(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(char::is_alphabetic) && letters.as_str().starts_with(":/")
}

fn volume(volume: &Fields<'_>, findings: &mut Diagnostics) -> Option<Mount> {
    let target = volume.text("target").unwrap_or_default();
    if !target.starts_with('/') {
        if is_drive(target) {
            let message = format!(
                "{}: `{target}` is taken for a path of Windows, which cannot be mounted here",
                volume.path()
            );
            findings.push(Diagnostic::error("one-letter-volume", message).at(volume.span()).help(
                "give the volume a name of two letters or more, or use the long form with `type: volume`",
            ));
            return None;
        }
        findings.push(
            Diagnostic::error(
                "bad-volume",
                format!(
                    "{}: `{target}` is not an absolute path of the container",
                    volume.path()
                ),
            )
            .label(
                volume.value_span("target"),
                "the path in the container must begin with `/`",
            )
            .help("write `SOURCE:/path/in/container`"),
        );
        return None;
    }
    let source = match volume.text("type") {
        Some("bind") => bind(volume, findings)?,
        Some("tmpfs") => {
            let options = volume.child("tmpfs");
            let mode = options.as_ref().and_then(|options| options.number("mode"));
            MountSource::Tmpfs {
                size: options.as_ref().and_then(|options| options.bytes("size")),
                mode,
                uid: None,
                gid: None,
                exec: false,
            }
        }
        Some("image") => MountSource::Image {
            image: volume.owned("source").unwrap_or_default(),
            subpath: volume.child("image").and_then(|image| image.owned("subpath")),
        },
        Some(kind @ ("cluster" | "npipe")) => {
            let why = format!("volumes of type `{kind}` do not exist on this host");
            findings.push(unsupported::essential(volume, "type", &why));
            return None;
        }
        _ => named(volume),
    };
    Some(Mount {
        target: clean(target),
        span: volume.span(),
        read_only: volume.flag("read_only"),
        source,
    })
}

fn bind(volume: &Fields<'_>, findings: &mut Diagnostics) -> Option<MountSource> {
    let path = volume.text("source").unwrap_or_default();
    if !path.starts_with('/') {
        findings.push(
            Diagnostic::error(
                "bad-volume",
                format!("{}: `{path}` is not a path of this host", volume.path()),
            )
            .at(volume.value_span("source"))
            .help("Windows paths and pipes cannot be mounted here"),
        );
        return None;
    }
    let options = volume.child("bind");
    let options = options.as_ref();
    if let Some(options) = options.filter(|bind| bind.text("recursive") == Some("writable")) {
        let why = "what is mounted below a read-only bind is read-only too";
        findings.push(unsupported::bearable(options, "recursive", why));
    }
    Some(MountSource::Bind {
        path: Utf8PathBuf::from(path),
        create_host_path: options.and_then(|bind| bind.choice("create_host_path")) != Some(false),
        propagation: options.and_then(|bind| bind.owned("propagation")),
        recursive: options.and_then(|bind| bind.owned("recursive")),
    })
}

fn named(volume: &Fields<'_>) -> MountSource {
    let options = volume.child("volume");
    let no_copy = options.as_ref().is_some_and(|options| options.flag("nocopy"));
    match volume.text("source") {
        Some(key) => MountSource::Named {
            key: VolumeKey::new(key),
            no_copy,
            subpath: options.and_then(|options| options.owned("subpath")),
        },
        None => MountSource::Anonymous { no_copy },
    }
}

/// `/path[:option,…]`, the options of mount(8) that docker passes on.
fn tmpfs(text: &str, span: Span) -> Result<Mount, String> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    if !target.starts_with('/') {
        return Err(format!("`{target}` is not an absolute path of the container"));
    }
    let (mut size, mut mode, mut uid, mut gid) = (None, None, None, None);
    let (mut exec, mut read_only) = (false, false);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let number = || {
            value
                .parse::<u32>()
                .map_err(|_| format!("`{option}` is not a number"))
        };
        match name {
            "size" => {
                let bytes = units::parse_bytes(value).map_err(|error| error.message)?;
                size = u64::try_from(bytes).ok();
            }
            "mode" => mode = Some(units::parse_mode(value).map_err(|error| error.message)?),
            "uid" => uid = Some(number()?),
            "gid" => gid = Some(number()?),
            "exec" => exec = true,
            "ro" => read_only = true,
            "rw" | "noexec" | "nosuid" | "nodev" | "suid" | "dev" | "noatime" | "relatime" => {}
            _ => return Err(format!("the option `{option}` is not known")),
        }
    }
    Ok(Mount {
        target: clean(target),
        span,
        read_only,
        source: MountSource::Tmpfs {
            size,
            mode,
            uid,
            gid,
            exec,
        },
    })
}

/// `service[:ro]` or `container:name[:ro]`.
pub(super) fn volumes_from(service: &Fields<'_>) -> Vec<(NamespaceRef, bool)> {
    service
        .texts("volumes_from")
        .iter()
        .map(|text| {
            let bare = text
                .strip_suffix(":ro")
                .or_else(|| text.strip_suffix(":rw"))
                .unwrap_or(text);
            let source = namespace::reference(bare).unwrap_or_else(|| NamespaceRef::Service(bare.into()));
            (source, text.ends_with(":ro"))
        })
        .collect()
}
