//! In: the images services want and those that are there. Out: the plan that fetches and builds them, done before the rest is
//! planned, because a new image behind an old name is a reason to recreate.
//! **Invariant:** each reference is pulled or built once, whoever wants it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use indexmap::IndexMap;

use super::action::{Action, Plan, Reason, StepId};
use super::intent::{ImagePolicy, Up};
use super::observed::Observed;
use super::schedule::Schedule;
use super::up::selection;
use super::wanted::{Wanted, WantedImage};
use crate::diagnostic::Diagnostics;
use crate::graph::Graph;
use crate::model::ServiceName;
use crate::model::service::PullPolicy;

/// The steps that make every image of an `up` available; a build waits for those that its contexts are.
pub fn plan_images(wanted: &Wanted, graph: &Graph, observed: &Observed, up: &Up) -> Plan {
    let mut due: Due = IndexMap::new();
    let mut builds: Vec<ServiceName> = Vec::new();
    for name in selection(wanted, graph, up) {
        let image = &wanted.services[&name].image;
        let Some((action, reason)) = step(&name, image, observed, &up.images) else {
            continue;
        };
        if matches!(action, Action::BuildImage { .. }) {
            builds.push(name);
        }
        match due.get_mut(&image.reference) {
            // Who builds an image knows it better than who only uses it.
            Some(known) if image.buildable => *known = (action, reason),
            Some(_) => {}
            None => drop(due.insert(image.reference.clone(), (action, reason))),
        }
    }
    let image_of = |name: &ServiceName| Some(&wanted.services.get(name)?.image);
    while let Some(name) = builds.pop() {
        for other in image_of(&name).into_iter().flat_map(|image| &image.built_from) {
            let Some(image) = image_of(other).filter(|image| !due.contains_key(&image.reference)) else {
                continue;
            };
            if let Some(found) = step(other, image, observed, &up.images) {
                due.insert(image.reference.clone(), found);
                builds.push(other.clone());
            }
        }
    }
    in_order(due, &|service| {
        let before = image_of(service).into_iter().flat_map(|image| &image.built_from);
        before
            .filter_map(|other| Some(image_of(other)?.reference.clone()))
            .collect()
    })
}

/// What is to be done for each reference, and why.
pub type Due = IndexMap<String, (Action, Reason)>;

/// The steps, each build after those for the references that `before` names.
pub fn in_order(mut due: Due, before: &dyn Fn(&ServiceName) -> Vec<String>) -> Plan {
    let mut schedule = Schedule::default();
    let mut done: IndexMap<String, StepId> = IndexMap::new();
    while let Some(reference) = due.keys().next().cloned() {
        place(&reference, &mut due, before, &mut schedule, &mut done);
    }
    schedule.finish(Diagnostics::new())
}

fn place(
    reference: &str,
    due: &mut Due,
    before: &dyn Fn(&ServiceName) -> Vec<String>,
    schedule: &mut Schedule,
    done: &mut IndexMap<String, StepId>,
) {
    // Taken out first: a circle, which validation refuses, would end here all the same.
    let Some((action, reason)) = due.shift_remove(reference) else {
        return;
    };
    let mut after = Vec::new();
    if let Action::BuildImage { service, .. } = &action {
        for other in before(service) {
            place(&other, due, before, schedule, done);
            after.extend(done.get(&other).copied());
        }
    }
    let step = schedule.push(action, reason, after);
    done.insert(reference.to_owned(), step);
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
