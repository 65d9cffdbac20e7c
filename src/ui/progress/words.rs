//! In: an event. Out: the words docker compose has for it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::event::{Event, Kind, StepInfo};
use crate::ui::age;
use crate::ui::style::Style;

/// What a step is shown as: the thing, the word while it is done and the word afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) subject: String,
    pub(super) doing: &'static str,
    pub(super) done: &'static str,
}

/// The row of a step; none for those that nobody asked for by name.
pub(super) fn shown(step: &StepInfo) -> Option<Shown> {
    let kind = match step.kind {
        Kind::Container => "Container",
        Kind::Network => "Network",
        Kind::Volume => "Volume",
        Kind::Image => "Image",
        Kind::Service if step.verb == "skip" => {
            return Some(Shown {
                subject: format!("Service {}", step.name),
                doing: "Skipped",
                done: "Skipped",
            });
        }
        Kind::Service => return Some(awaited(&step.name)),
        Kind::Containers => return None,
    };
    let (doing, done) = match step.verb.as_str() {
        "create" | "create network" | "create volume" => ("Creating", "Created"),
        "recreate" => ("Recreate", "Recreated"),
        "start" => ("Starting", "Started"),
        "stop" => ("Stopping", "Stopped"),
        "restart" => ("Restarting", "Restarted"),
        "kill" => ("Killing", "Killed"),
        "pause" => ("Pausing", "Paused"),
        "unpause" => ("Unpausing", "Unpaused"),
        "remove" | "remove network" | "remove volume" | "remove image" => ("Removing", "Removed"),
        "pull" => ("Pulling", "Pulled"),
        "push" => ("Pushing", "Pushed"),
        "build" => ("Building", "Built"),
        _ => return None,
    };
    Some(Shown {
        subject: format!("{kind} {}", step.name),
        doing,
        done,
    })
}

/// A step as a watch rule takes it: restarts, builds and new containers.
pub(super) fn hot(step: &StepInfo) -> Option<String> {
    let told = matches!(step.verb.as_str(), "restart" | "build" | "recreate");
    shown(step)
        .filter(|_| told)
        .map(|row| format!("{} {}", row.subject, row.done.to_lowercase()))
}

/// A wait is named after its service: `db to be healthy`.
fn awaited(name: &str) -> Shown {
    let (service, condition) = name.split_once(" to ").unwrap_or((name, ""));
    let done = match condition {
        "be healthy" => "Healthy",
        "complete" => "Exited",
        _ => "Started",
    };
    Shown {
        subject: format!("Service {service}"),
        doing: "Waiting",
        done,
    }
}

/// An event as one line; none for what only moves a bar.
pub(super) fn line(event: &Event) -> Option<String> {
    let row = |step: &StepInfo, word: fn(&Shown) -> &'static str| {
        shown(step).map(|row| format!(" {}  {}", row.subject, word(&row)))
    };
    match event {
        Event::Planned { .. } | Event::PullProgress { .. } | Event::PushProgress { .. } => None,
        // An image's one line comes when it is here, or there.
        Event::StepStarted { step } if matches!(step.verb.as_str(), "pull" | "push") => None,
        Event::StepStarted { step } => row(step, |row| row.doing),
        Event::StepDone { step, .. } => row(step, |row| row.done),
        Event::StepFailed { step, error, .. } => {
            let subject = shown(step).map_or_else(|| step.name.clone(), |row| row.subject);
            Some(format!(" {subject}  Error: {error}"))
        }
        Event::BuildOutput { service, line } => Some(format!("{service}  | {line}")),
        Event::WaitingForLock { .. }
        | Event::Warning { .. }
        | Event::ContainerDied { .. }
        | Event::HealthChanged { .. }
        | Event::ReloadStarted { .. }
        | Event::ReloadAccepted { .. }
        | Event::ReloadRejected { .. }
        | Event::Synced { .. } => news(event),
    }
}

/// An event that belongs to no step.
pub(super) fn news(event: &Event) -> Option<String> {
    match event {
        Event::WaitingForLock { holder } => {
            Some(format!("waiting for {holder}, which works on this project"))
        }
        Event::ContainerDied { container, code, .. } => Some(format!("{container} exited with code {code}")),
        Event::HealthChanged {
            container, health, ..
        } => Some(format!("{container} is {health}")),
        Event::ReloadStarted { files } => Some(format!("reloading: {} changed", files.join(", "))),
        Event::ReloadAccepted { changes, millis, .. } if changes.is_empty() => {
            Some(format!("reloaded in {millis} ms: nothing to change"))
        }
        Event::ReloadAccepted { changes, millis, .. } => {
            Some(format!("reloaded in {millis} ms: {}", changes.join("; ")))
        }
        Event::ReloadRejected { rendered } => Some(format!(
            "not reloaded, nothing was changed:\n{}",
            rendered.trim_end()
        )),
        Event::Synced {
            service,
            files,
            millis,
        } => {
            let what = match files.as_slice() {
                [one] => one.clone(),
                several => format!("{} files", several.len()),
            };
            Some(format!("{service}: synced {what} in {millis} ms"))
        }
        Event::Planned { .. }
        | Event::StepStarted { .. }
        | Event::StepDone { .. }
        | Event::StepFailed { .. }
        | Event::Warning { .. }
        | Event::PullProgress { .. }
        | Event::PushProgress { .. }
        | Event::BuildOutput { .. } => None,
    }
}

/// What happens to a layer, in docker's words.
pub(super) fn phase(name: &str, is_push: bool) -> &'static str {
    match (name, is_push) {
        ("waiting", _) => "Waiting",
        ("downloading", _) => "Downloading",
        ("unpacking", _) => "Extracting",
        ("packing", _) => "Compressing",
        ("uploading", _) => "Pushing",
        ("mounted", _) => "Mounted",
        ("exists", false) => "Already exists",
        ("exists", true) => "Layer already exists",
        ("done", false) => "Pull complete",
        ("done", true) => "Pushed",
        _ => "",
    }
}

/// A warning with its remedy.
pub(super) fn warning(message: &str, help: Option<&str>, style: Style) -> String {
    let help = help.map(|help| format!("\n  = help: {help}")).unwrap_or_default();
    format!("{}: {message}{help}\n", style.yellow("warning"))
}

/// `[=====>     ] 12.3MB/45MB`.
pub(super) fn bar(done: u64, total: u64) -> String {
    const WIDTH: u64 = 20;
    let filled = usize::try_from((done.min(total) * WIDTH).checked_div(total).unwrap_or(0)).unwrap_or(0);
    let width = usize::try_from(WIDTH).unwrap_or(0);
    let arrow = if filled < width { ">" } else { "" };
    let blank = width.saturating_sub(filled + arrow.len());
    format!(
        "[{}{arrow}{}] {}/{}",
        "=".repeat(filled),
        " ".repeat(blank),
        age::size(done),
        age::size(total)
    )
}
