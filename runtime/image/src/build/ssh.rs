//! In: the agents and keys of a build, and a `RUN --mount=type=ssh`. Out: a socket for the step that answers as the agent.
//! **Invariant:** a step may ask what keys there are and have things signed; it never adds, removes or locks a key.

use std::collections::BTreeMap;
use std::path::PathBuf;

mod agent;
mod forward;

use super::builder::Build;
use super::dockerfile::Mount;
use super::step::{StepMount, StepMountSource};
pub(super) use agent::KeyAgent;
pub(super) use forward::Forwarder;

/// What stands behind an id of `--mount=type=ssh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshSource {
    /// The socket of an agent.
    Agent(PathBuf),
    /// Files with private keys.
    Keys(Vec<PathBuf>),
}

/// What a build may use, by id.
pub type SshSources = BTreeMap<String, SshSource>;

/// What lives as long as the step.
pub(super) struct Held {
    _forwarder: Forwarder,
    _agent: Option<KeyAgent>,
}

/// The mount, unless the build has no such agent and the step can do without. `index` counts the step's mounts of this kind.
pub(super) fn mount(
    build: &Build<'_>,
    mount: &Mount,
    index: usize,
    target: Option<String>,
) -> Result<(String, Option<(StepMount, Held)>), String> {
    let target = target.unwrap_or_else(|| format!("/run/buildkit/ssh_agent.{index}"));
    let id = mount.id.as_deref().unwrap_or("default");
    let Some(source) = build.request.ssh.get(id) else {
        if mount.required {
            return Err(format!(
                "the build has no SSH agent `{id}`, which this step requires: give it with `ssh: [{id}]` below `build:` or `--ssh {id}`"
            ));
        }
        return Ok((target, None));
    };
    let (agent, socket) = match source {
        SshSource::Agent(socket) => (None, socket.clone()),
        SshSource::Keys(files) => {
            let directory = build.store.prepare_layer().map_err(|error| error.to_string())?;
            let agent = KeyAgent::start(directory, files)?;
            let socket = agent.socket();
            (Some(agent), socket)
        }
    };
    let number = |text: &Option<String>, what: &str| {
        text.as_deref()
            .map_or(Ok(0), str::parse::<u32>)
            .map_err(|_| format!("RUN --mount=type=ssh: {what} is no number"))
    };
    let mode = mount
        .mode
        .as_deref()
        .map_or(Ok(0o600), |text| u32::from_str_radix(text, 8));
    let mode = mode.map_err(|_| "RUN --mount=type=ssh: mode is not octal".to_owned())?;
    let owner = (number(&mount.uid, "uid")?, number(&mount.gid, "gid")?);
    let directory = build.store.prepare_layer().map_err(|error| error.to_string())?;
    let forwarder = Forwarder::start(directory, &socket, mode, owner)?;
    let mount = StepMount {
        target: target.clone(),
        read_only: false,
        source: StepMountSource::Bind(forwarder.socket()),
    };
    let held = Held {
        _forwarder: forwarder,
        _agent: agent,
    };
    Ok((target, Some((mount, held))))
}
