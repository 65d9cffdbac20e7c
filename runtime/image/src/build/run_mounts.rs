//! In: the `--mount` flags of a RUN. Out: mounts for the runner, made ready.
//! **Invariant:** an id or path of the Dockerfile is never a path of the host: ids are hashed, paths resolved inside their tree.

use std::fs;

use super::builder::Build;
use super::cache_mount::cache_mount;
use super::cached_layer::SourceTree;
use super::copy::{Copying, clean, is_directory};
use super::destination::Destination;
use super::dockerfile::{Mount, MountKind};
use super::ignore::PatternList;
use super::ssh;
use super::step::{StepMount, StepMountSource};
use super::step_key::StepKey;
use super::transfer::Manner;
use super::workdir_step::absolute;
use crate::byte_size;
use crate::store::PreparedLayer;

/// Mounts of a RUN, ready, and what has to live as long as the command.
pub(super) struct Prepared {
    pub(super) mounts: Vec<StepMount>,
    pub(super) environment: Vec<String>,
    held: Vec<Held>,
}

/// What lives as long as the command.
enum Held {
    Scratch { _directory: PreparedLayer },
    Lock { _file: fs::File },
    Ssh { _agent: ssh::Held },
}

/// What a bind mount shows is read by the command, so it counts.
pub(super) fn bind_fingerprint(build: &Build<'_>, mount: &Mount, stage: usize) -> Result<String, String> {
    if mount.kind != MountKind::Bind {
        return Ok(String::new());
    }
    if let Some(name) = &mount.from
        && let Some(layers) = build.source_tree(name, stage)?.layers
    {
        let mut key = StepKey::new("layers 1");
        key.layers(&layers);
        return Ok(key.finish());
    }
    let index = mount.from.is_none().then_some(&build.index);
    with_source(build, mount, stage, &mut |copying| copying.fingerprint(index))
}

fn source_of(build: &Build<'_>, mount: &Mount, stage: usize) -> Result<SourceTree, String> {
    match &mount.from {
        Some(name) => build.source_tree(name, stage),
        None => build.context_tree(),
    }
}

/// Calls back with what a bind mount copies.
pub(super) fn with_source(
    build: &Build<'_>,
    mount: &Mount,
    stage: usize,
    call: &mut dyn FnMut(&Copying<'_>) -> Result<String, String>,
) -> Result<String, String> {
    let from = source_of(build, mount, stage)?;
    let exclude = PatternList::default();
    let sources = [mount.source.clone().unwrap_or_else(|| ".".to_owned())];
    call(&Copying {
        from: &from.tree,
        ignore: from.ignore.as_ref(),
        exclude: &exclude,
        sources: &sources,
        destination: "/",
        parents: false,
        manner: Manner {
            keep_owner: from.ignore.is_none(),
            ..Manner::default()
        },
        earlier: None,
    })
}

pub(super) fn prepare(
    build: &Build<'_>,
    mounts: &[Mount],
    stage: usize,
    working_directory: &str,
) -> Result<Prepared, String> {
    let mut prepared = Prepared {
        mounts: Vec::new(),
        environment: Vec::new(),
        held: Vec::new(),
    };
    let mut agents = 0;
    for mount in mounts {
        let target = || {
            let text = mount
                .target
                .as_deref()
                .ok_or_else(|| "RUN --mount needs target=".to_owned())?;
            match absolute(working_directory, text) {
                root if root == "/" => Err("RUN --mount: the target must not be /".to_owned()),
                target => Ok(target),
            }
        };
        match mount.kind {
            MountKind::Bind => bind(build, mount, stage, target()?, &mut prepared)?,
            MountKind::Cache => {
                let (mount, lock) = cache_mount(build, mount, stage, target()?)?;
                prepared.mounts.push(mount);
                prepared.held.extend(lock.map(|file| Held::Lock { _file: file }));
            }
            MountKind::Tmpfs => {
                let size = mount.size.as_deref().map(bytes).transpose()?;
                prepared.mounts.push(StepMount {
                    target: target()?,
                    read_only: false,
                    source: StepMountSource::Tmpfs(size),
                });
            }
            MountKind::Secret => secret(build, mount, working_directory, &mut prepared)?,
            MountKind::Ssh => {
                let target = mount.target.is_some().then(target).transpose()?;
                let (target, made) = ssh::mount(build, mount, agents, target)?;
                if agents == 0 {
                    prepared.environment.push(format!("SSH_AUTH_SOCK={target}"));
                }
                agents += 1;
                if let Some((mount, held)) = made {
                    prepared.mounts.push(mount);
                    prepared.held.push(Held::Ssh { _agent: held });
                }
            }
        }
    }
    Ok(prepared)
}

fn bind(
    build: &Build<'_>,
    mount: &Mount,
    stage: usize,
    target: String,
    prepared: &mut Prepared,
) -> Result<(), String> {
    let read_only = mount.read_only.unwrap_or(true);
    let from = source_of(build, mount, stage)?;
    if read_only && from.ignore.is_none() {
        let path = format!("/{}", clean(mount.source.as_deref().unwrap_or("/")).display());
        let source = match from.lower.as_slice() {
            [] if path != "/" => return Err(format!("`{path}` of an image without files is not there")),
            [] => StepMountSource::Tmpfs(None),
            _ => StepMountSource::Layers(from.lower, path),
        };
        prepared.mounts.push(StepMount {
            target,
            read_only,
            source,
        });
        return Ok(());
    }
    // A copy: what the .dockerignore leaves out stays invisible, and writes are thrown away.
    let scratch = build.store.prepare_layer().map_err(|error| error.to_string())?;
    let into = Destination::new(&[], scratch.path()).map_err(|error| error.to_string())?;
    let source = clean(mount.source.as_deref().unwrap_or("."));
    let mut single = false;
    with_source(build, mount, stage, &mut |copying| {
        single = !is_directory(copying.from, &source);
        copying.copy(&into).map(|()| String::new())
    })?;
    let path = match source.file_name().filter(|_| single) {
        Some(name) => scratch.path().join(name),
        None => scratch.path().to_owned(),
    };
    prepared.mounts.push(StepMount {
        target,
        read_only,
        source: StepMountSource::Bind(path),
    });
    prepared.held.push(Held::Scratch { _directory: scratch });
    Ok(())
}

/// `mode=`, `uid=` and `gid=` of a mount; without them `default`, 0 and 0.
pub(super) fn access(mount: &Mount, default: u32) -> Result<(u32, u32, u32), &'static str> {
    let number = |text: &Option<String>| {
        let number = text.as_deref().map_or(Ok(0), str::parse);
        number.map_err(|_| "owner is no number")
    };
    let mode = mount.mode.as_deref();
    let mode = mode.map_or(Ok(default), |text| u32::from_str_radix(text, 8));
    Ok((
        mode.map_err(|_| "mode is not octal")?,
        number(&mount.uid)?,
        number(&mount.gid)?,
    ))
}

fn secret(
    build: &Build<'_>,
    mount: &Mount,
    working_directory: &str,
    prepared: &mut Prepared,
) -> Result<(), String> {
    let named = mount
        .id
        .clone()
        .or_else(|| mount.source.clone())
        .or_else(|| mount.target.as_deref()?.rsplit('/').next().map(str::to_owned));
    let id = named.ok_or("RUN --mount=type=secret needs id=")?;
    let Some(value) = build.request.secrets.get(&id) else {
        return if mount.required {
            Err(format!(
                "the build has no secret `{id}`, which this step requires"
            ))
        } else {
            Ok(())
        };
    };
    if let Some(name) = &mount.env {
        prepared
            .environment
            .push(format!("{name}={}", String::from_utf8_lossy(value)));
        if mount.target.is_none() {
            return Ok(());
        }
    }
    let (mode, uid, gid) = access(mount, 0o400).map_err(|why| format!("secret `{id}`: {why}"))?;
    let target = mount.target.as_deref().map_or_else(
        || format!("/run/secrets/{id}"),
        |target| absolute(working_directory, target),
    );
    let source = StepMountSource::Content(value.clone(), mode, uid, gid);
    prepared.mounts.push(StepMount {
        target,
        read_only: true,
        source,
    });
    Ok(())
}

fn bytes(text: &str) -> Result<u64, String> {
    byte_size::parse(text).ok_or_else(|| format!("size={text} is no size such as 64m"))
}
