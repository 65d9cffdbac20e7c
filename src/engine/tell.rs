//! In: a step. Out: what events and errors say of it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::event::{Kind, StepInfo};
use crate::plan::{Action, Reason, Step};

/// A step as events tell it.
pub(super) fn info(at: usize, step: &Step) -> StepInfo {
    StepInfo {
        id: at,
        verb: step.action.verb().to_owned(),
        kind: kind(&step.action),
        name: step.action.subject(),
        reason: step.reason.to_string(),
    }
}

fn kind(action: &Action) -> Kind {
    match action {
        Action::PullImage { .. }
        | Action::BuildImage { .. }
        | Action::PushImage { .. }
        | Action::RemoveImage { .. } => Kind::Image,
        Action::CreateNetwork(_) | Action::RemoveNetwork { .. } => Kind::Network,
        Action::CreateVolume(_) | Action::RemoveVolume { .. } => Kind::Volume,
        Action::Wire(_) | Action::Unwire(_) => Kind::Containers,
        Action::Wait { .. } => Kind::Service,
        Action::CreateContainer { .. }
        | Action::Start(_)
        | Action::Stop(..)
        | Action::Restart(..)
        | Action::Kill(..)
        | Action::Pause(_)
        | Action::Unpause(_)
        | Action::RunHook(..)
        | Action::Rename { .. }
        | Action::RemoveContainer { .. } => Kind::Container,
    }
}

/// A step as errors tell it.
pub(super) fn describe(step: &Step) -> String {
    let what = format!("{} {}", step.action.verb(), step.action.subject());
    if let Reason::NeededBy(service) = &step.reason {
        return format!("dependency of {service} failed: {what}");
    }
    what
}
