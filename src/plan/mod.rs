//! In: what is wanted, what is there and what the user asked for. Out: a [`Plan`], the steps from here to there with their reasons.
//! **Invariant:** pure and total: the same input gives the same plan, nothing is done, and nothing is decided after it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod action;
mod check;
mod diff;
mod down;
mod explain;
mod images;
mod intent;
mod observed;
mod operate;
mod schedule;
mod up;
mod wanted;

pub use action::{Action, Container, OnFailure, Plan, Reason, Step, StepId};
pub use check::check;
pub use diff::changed_keys;
pub use images::{Due, in_order, plan_images};
pub use intent::{Down, ImagePolicy, Intent, Recreate, Remove, RemoveImages, Starts, Up};
pub use observed::{ImageState, Observed};
pub use wanted::{Wanted, WantedImage, WantedNetwork, WantedService, WantedVolume};

use crate::graph::Graph;

/// The steps that make reality what the intent asks of the wanted project; images are expected to be there
/// ([`plan_images`] is planned and executed before).
pub fn plan(wanted: &Wanted, graph: &Graph, observed: &Observed, intent: &Intent) -> Plan {
    match intent {
        Intent::Up(up) => up::plan(wanted, graph, observed, up),
        Intent::Down(down) => down::plan(wanted, graph, observed, down),
        Intent::Stop { services, timeout } => operate::stop(wanted, graph, observed, services, *timeout),
        Intent::Start { services, wait } => operate::start(wanted, graph, observed, services, *wait),
        Intent::Restart {
            services,
            timeout,
            no_deps,
        } => operate::restart(wanted, graph, observed, services, *timeout, *no_deps),
        Intent::Kill {
            services,
            signal,
            remove_orphans,
        } => operate::kill(wanted, graph, observed, services, signal, *remove_orphans),
        Intent::Remove(remove) => down::remove(wanted, graph, observed, remove),
        Intent::Pause { services } => operate::pause(graph, observed, services),
        Intent::Unpause { services } => operate::unpause(graph, observed, services),
    }
}
