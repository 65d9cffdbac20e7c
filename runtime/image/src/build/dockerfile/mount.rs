//! In: the value of `RUN --mount=`. Out: the mount, its values not yet expanded.
//! **Invariant:** a field that its type of mount does not have is an error, never ignored.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::instruction::{Mount, MountKind};
use super::parse::suggestion;

const FIELDS: [&str; 19] = [
    "type",
    "target",
    "dst",
    "destination",
    "source",
    "src",
    "from",
    "id",
    "ro",
    "readonly",
    "rw",
    "readwrite",
    "sharing",
    "mode",
    "uid",
    "gid",
    "size",
    "required",
    "env",
];

pub(super) fn mount(text: &str) -> Result<Mount, String> {
    let mut mount = Mount {
        kind: MountKind::Bind,
        target: None,
        source: None,
        from: None,
        id: None,
        read_only: None,
        sharing: None,
        mode: None,
        uid: None,
        gid: None,
        size: None,
        required: false,
        env: None,
    };
    for field in text.split(',').filter(|field| !field.is_empty()) {
        let (name, value) = field
            .split_once('=')
            .map_or((field, None), |(name, value)| (name, Some(value)));
        let name = name.trim().to_ascii_lowercase();
        let truth = || match value.map(str::to_ascii_lowercase).as_deref() {
            None | Some("true" | "1" | "t") => Ok(true),
            Some("false" | "0" | "f") => Ok(false),
            Some(other) => Err(format!("RUN --mount: {name}={other} is neither true nor false")),
        };
        let text = || {
            let value = value.ok_or_else(|| format!("RUN --mount: `{name}` needs a value: {name}=…"))?;
            Ok::<_, String>(Some(value.to_owned()))
        };
        match name.as_str() {
            "type" => mount.kind = kind(value.unwrap_or_default())?,
            "target" | "dst" | "destination" => mount.target = text()?,
            "source" | "src" => mount.source = text()?,
            "from" => mount.from = text()?,
            "id" => mount.id = text()?,
            "ro" | "readonly" => mount.read_only = Some(truth()?),
            "rw" | "readwrite" => mount.read_only = Some(!truth()?),
            "sharing" => mount.sharing = text()?,
            "mode" => mount.mode = text()?,
            "uid" => mount.uid = text()?,
            "gid" => mount.gid = text()?,
            "size" => mount.size = text()?,
            "required" => mount.required = truth()?,
            "env" => mount.env = text()?,
            other => {
                let near = suggestion(other, &FIELDS);
                return Err(format!("RUN --mount has no field `{other}`{near}"));
            }
        }
    }
    check(&mount)?;
    Ok(mount)
}

fn kind(name: &str) -> Result<MountKind, String> {
    match name.to_ascii_lowercase().as_str() {
        "bind" => Ok(MountKind::Bind),
        "cache" => Ok(MountKind::Cache),
        "tmpfs" => Ok(MountKind::Tmpfs),
        "secret" => Ok(MountKind::Secret),
        "ssh" => Ok(MountKind::Ssh),
        other => {
            let near = suggestion(other, &["bind", "cache", "tmpfs", "secret", "ssh"]);
            Err(format!("unknown mount type `{other}`{near}"))
        }
    }
}

/// Which fields go with which type (Dockerfile reference, RUN --mount).
fn check(mount: &Mount) -> Result<(), String> {
    use MountKind::{Bind, Cache, Secret, Ssh, Tmpfs};
    let (name, owned): (&str, bool) = match mount.kind {
        Bind => ("bind", false),
        Cache => ("cache", true),
        Tmpfs => ("tmpfs", false),
        Secret => ("secret", true),
        Ssh => ("ssh", true),
    };
    let foreign = [
        ("mode", mount.mode.is_some() && !owned),
        ("uid", mount.uid.is_some() && !owned),
        ("gid", mount.gid.is_some() && !owned),
        ("size", mount.size.is_some() && mount.kind != Tmpfs),
        ("sharing", mount.sharing.is_some() && mount.kind != Cache),
        ("required", mount.required && !matches!(mount.kind, Secret | Ssh)),
        ("env", mount.env.is_some() && mount.kind != Secret),
        ("from", mount.from.is_some() && matches!(mount.kind, Secret | Ssh)),
    ];
    if let Some((field, _)) = foreign.iter().find(|(_, given)| *given) {
        return Err(format!("a {name} mount of RUN has no field `{field}`"));
    }
    if mount.kind == Secret && mount.id.is_some() && mount.source.is_some() {
        return Err("`id` and `source` of a secret mount mean the same: give one of them".to_owned());
    }
    let variable = mount.from.as_deref().filter(|from| from.contains('$'));
    match variable {
        Some(from) => Err(format!(
            "from={from} of a mount takes no variable: name a stage for it, FROM {from} AS name"
        )),
        None => Ok(()),
    }
}
