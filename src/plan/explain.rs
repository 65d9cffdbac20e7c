//! In: a plan. Out: its text for `rcompose plan`, `--dry-run`, progress and tests: each step with its reason.
//! **Invariant:** equal plans give equal text.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;

use super::action::{Action, Container, Plan, Reason, Step};
use crate::model::service::Condition;

impl Action {
    /// What is done, as one or two words in the imperative.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::PullImage { .. } => "pull",
            Self::BuildImage { .. } => "build",
            Self::PushImage { .. } => "push",
            Self::RemoveImage { .. } => "remove image",
            Self::CreateNetwork(_) => "create network",
            Self::RemoveNetwork { .. } => "remove network",
            Self::CreateVolume(_) => "create volume",
            Self::RemoveVolume { .. } => "remove volume",
            Self::CreateContainer { replaces: false, .. } => "create",
            Self::CreateContainer { replaces: true, .. } => "recreate",
            Self::Wire(_) => "connect",
            Self::Unwire(_) => "disconnect",
            Self::Start(_) => "start",
            Self::Stop(..) => "stop",
            Self::Restart(..) => "restart",
            Self::Kill(..) => "kill",
            Self::Pause(_) => "pause",
            Self::Unpause(_) => "unpause",
            Self::RunHook(..) => "run post_start in",
            Self::Rename { .. } => "rename",
            Self::RemoveContainer { .. } => "remove",
            Self::Wait { .. } => "wait for",
        }
    }

    /// What it is done to, by name.
    pub fn subject(&self) -> String {
        match self {
            Self::PullImage { reference, .. }
            | Self::BuildImage { reference, .. }
            | Self::PushImage { reference }
            | Self::RemoveImage { reference } => reference.clone(),
            Self::CreateNetwork(request) => request.name.clone(),
            Self::CreateVolume(request) => request.name.clone(),
            Self::RemoveNetwork { name }
            | Self::RemoveVolume { name }
            | Self::CreateContainer { name, .. } => name.clone(),
            Self::Wire(containers) | Self::Unwire(containers) => names(containers),
            Self::Start(container)
            | Self::Stop(container, _)
            | Self::Restart(container, _)
            | Self::Kill(container, _)
            | Self::Pause(container)
            | Self::Unpause(container)
            | Self::RunHook(container, _)
            | Self::RemoveContainer { container, .. } => container.name.clone(),
            Self::Rename { container, from } => format!("{from} to {}", container.name),
            Self::Wait {
                service, condition, ..
            } => match condition {
                Condition::Started => format!("{service} to start"),
                Condition::Healthy => format!("{service} to be healthy"),
                Condition::CompletedSuccessfully => format!("{service} to complete"),
            },
        }
    }
}

fn names(containers: &[Container]) -> String {
    let names: Vec<&str> = containers
        .iter()
        .map(|container| container.name.as_str())
        .collect();
    match names.as_slice() {
        [first, .., last] if names.len() > 4 => format!("{} containers, {first} to {last}", names.len()),
        few => few.join(", "),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("does not exist"),
            Self::Unwanted => f.write_str("no longer in the files"),
            Self::Requested => f.write_str("asked for"),
            Self::Policy(policy) => f.write_str(policy),
            Self::Changed(keys) if keys.is_empty() => {
                f.write_str("content of a mounted config or secret changed")
            }
            Self::Changed(keys) => write!(f, "{} changed", keys.join(", ")),
            Self::ImageChanged => f.write_str("image is a newer one"),
            Self::Forced => f.write_str("--force-recreate"),
            Self::NetworkRecreated(name) => write!(f, "network {name} is made anew"),
            Self::Detached(name) => write!(f, "has no address on network {name}"),
            Self::VolumeRecreated(name) => write!(f, "volume {name} is made anew"),
            Self::ParentReplaced(name) => write!(f, "shares namespaces with {name}, which was replaced"),
            Self::DependencyRestarts(service) => write!(f, "depends on {service}, which restarts"),
            Self::Surplus { wanted: 1 } => f.write_str("1 replica is wanted"),
            Self::Surplus { wanted } => write!(f, "{wanted} replicas are wanted"),
            Self::Orphan => f.write_str("its service is not in the files"),
            Self::Replaced => f.write_str("replaced"),
            Self::LeftOver => f.write_str("left by a command that was cut short"),
            Self::NotRunning => f.write_str("is not running"),
            Self::Created => f.write_str("created"),
            Self::NeededBy(service) => write!(f, "{service} depends on it"),
            Self::Awaited => f.write_str("--wait"),
            Self::BeforeStart => f.write_str("before the start"),
            Self::AfterStop => f.write_str("after the stop"),
            Self::AfterStart => f.write_str("after the start"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.action.verb(),
            self.action.subject(),
            self.reason
        )
    }
}

impl fmt::Display for Plan {
    /// A line for each step, in an order in which they could be done one by one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        Ok(())
    }
}
