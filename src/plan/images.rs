//! In: the images services want and those that are there. Out: the plan that fetches and builds them, done before the rest is
//! planned, because a new image behind an old name is a reason to recreate.
//! **Invariant:** each reference is pulled or built once, whoever wants it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use indexmap::IndexMap;

use super::action::{Action, Plan, Reason};
use super::intent::{ImagePolicy, Up};
use super::observed::Observed;
use super::schedule::Schedule;
use super::up::selection;
use super::wanted::{Wanted, WantedImage};
use crate::diagnostic::Diagnostics;
use crate::graph::Graph;
use crate::model::ServiceName;
use crate::model::service::PullPolicy;

/// The steps that make every image of an `up` available, all independent of each other.
pub fn plan_images(wanted: &Wanted, graph: &Graph, observed: &Observed, up: &Up) -> Plan {
    let mut due: IndexMap<String, (Action, Reason)> = IndexMap::new();
    for name in selection(wanted, graph, up) {
        let image = &wanted.services[&name].image;
        let Some((action, reason)) = step(&name, image, observed, &up.images) else {
            continue;
        };
        match due.get_mut(&image.reference) {
            // Who builds an image knows it better than who only uses it.
            Some(known) if image.buildable => *known = (action, reason),
            Some(_) => {}
            None => drop(due.insert(image.reference.clone(), (action, reason))),
        }
    }
    let mut schedule = Schedule::default();
    for (action, reason) in due.into_values() {
        schedule.push(action, reason, Vec::new());
    }
    schedule.finish(Diagnostics::new())
}

fn step(
    service: &ServiceName,
    image: &WantedImage,
    observed: &Observed,
    asked: &ImagePolicy,
) -> Option<(Action, Reason)> {
    if image.reference.starts_with('@') {
        return None;
    }
    let here = observed.images.get(&image.reference);
    let policy = asked.pull.as_ref().unwrap_or(&image.policy);
    let build = || Action::BuildImage {
        service: service.clone(),
        reference: image.reference.clone(),
    };
    let pull = || Action::PullImage {
        reference: image.reference.clone(),
        platform: image.platform.clone(),
    };
    if image.buildable && !asked.no_build {
        if asked.build {
            return Some((build(), Reason::Requested));
        }
        if *policy == PullPolicy::Build {
            return Some((build(), Reason::Policy("pull_policy: build".to_owned())));
        }
        if here.is_none() {
            return Some((build(), Reason::Missing));
        }
    }
    if image.buildable && !image.named {
        return None;
    }
    match policy {
        PullPolicy::Always => Some((pull(), Reason::Policy("pull_policy: always".to_owned()))),
        PullPolicy::Every(period) => match here {
            None => Some((pull(), Reason::Missing)),
            Some(state) => {
                let old = state.age.is_none_or(|age| age >= *period);
                old.then(|| (pull(), Reason::Policy("the last pull is too long ago".to_owned())))
            }
        },
        PullPolicy::Missing => here.is_none().then(|| (pull(), Reason::Missing)),
        PullPolicy::Build | PullPolicy::Never => None,
    }
}
