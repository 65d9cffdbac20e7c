//! In: `rcompose events`. Out: what happened, and what happens, to a project, one line an event.
//! **Invariant:** events come from the log that every command and the supervisor write; looking adds none.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Context;
use super::logs::window;
use crate::error::CliError;
use crate::event::{Event, Kind, StepInfo};
use crate::logs::record::Moment;
use crate::logs::window::Window;
use crate::state::event_log::{self, Recorded, Tail};
use crate::ui::print;

/// Options of `rcompose events`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Print one JSON object an event
    #[arg(long)]
    pub json: bool,
    /// Show events since a time or for a while
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Stop at a time, or show events before it
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Between two looks at the log.
const STEP: Duration = Duration::from_millis(50);

/// Shows events.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let now = Timestamp::now();
    let window = window(args.since.as_deref(), args.until.as_deref(), now)?;
    let subject = context.subject(false)?;
    if !args.services.is_empty() {
        context.containers_of(&subject, &args.services)?;
    }
    let directory = context.project_dir(&subject.project)?.path().to_owned();
    let unreadable = |error: std::io::Error| {
        CliError::user(format!(
            "cannot read the events in {}: {error}",
            directory.display()
        ))
    };
    // Opened before the past is read, so that nothing falls in between.
    let mut tail = Tail::new(&directory).map_err(unreadable)?;
    let is_over = |now: Timestamp| window.until.is_some_and(|until| until <= Moment::from(now));
    if window.since.is_some() || is_over(now) {
        show(
            &subject.project,
            args,
            &window,
            event_log::read(&directory).map_err(unreadable)?,
        )?;
    }
    while !is_over(Timestamp::now()) {
        std::thread::sleep(STEP);
        show(
            &subject.project,
            args,
            &window,
            tail.appended().map_err(unreadable)?,
        )?;
    }
    Ok(())
}

fn show(project: &str, args: &Args, window: &Window, events: Vec<Recorded>) -> Result<(), CliError> {
    let mut text = String::new();
    for recorded in events {
        let Some(told) = Told::of(project, &recorded.what) else {
            continue;
        };
        let asked = args.services.is_empty()
            || told
                .service
                .as_ref()
                .is_some_and(|service| args.services.contains(service));
        if asked && window.holds(Moment::from(recorded.time)) {
            text += &if args.json {
                told.json(recorded.time)
            } else {
                told.line(recorded.time)
            };
            text.push('\n');
        }
    }
    if !text.is_empty() {
        print::out(&text)?;
    }
    Ok(())
}

/// An event as docker compose tells it: a type, an action and attributes.
#[derive(Debug, PartialEq)]
struct Told {
    kind: &'static str,
    action: String,
    service: Option<String>,
    attributes: Map<String, Value>,
}

impl Told {
    /// None for what is of no interest afterwards.
    fn of(project: &str, event: &Event) -> Option<Self> {
        let told = |kind, action: &str, service: Option<String>, attributes: Value| {
            let attributes = match attributes {
                Value::Object(attributes) => attributes,
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    Map::new()
                }
            };
            Some(Self {
                kind,
                action: action.to_owned(),
                service,
                attributes,
            })
        };
        match event {
            Event::StepDone { step, .. } => {
                let (kind, service) = thing(project, step)?;
                told(kind, action(&step.verb), service, json!({"name": step.name}))
            }
            Event::StepFailed { step, error, .. } => {
                let (kind, service) = thing(project, step)?;
                let attributes = json!({"name": step.name, "verb": step.verb, "error": error});
                told(kind, "fail", service, attributes)
            }
            Event::Warning { message, help } => told(
                "project",
                "warning",
                None,
                json!({"message": message, "help": help}),
            ),
            Event::ContainerDied {
                container,
                service,
                code,
            } => {
                let attributes = json!({"name": container, "exitCode": code.to_string()});
                told("container", "die", Some(service.clone()), attributes)
            }
            Event::HealthChanged {
                container,
                service,
                health,
            } => {
                let action = format!("health_status: {health}");
                told(
                    "container",
                    &action,
                    Some(service.clone()),
                    json!({"name": container}),
                )
            }
            Event::ReloadStarted { files } => told("project", "reload", None, json!({"files": files})),
            Event::ReloadAccepted {
                generation,
                changes,
                millis,
            } => {
                let attributes = json!({"generation": generation, "changes": changes, "millis": millis});
                told("project", "reload_accepted", None, attributes)
            }
            Event::ReloadRejected { rendered } => {
                told("project", "reload_rejected", None, json!({"error": rendered}))
            }
            Event::Synced {
                service,
                files,
                millis,
            } => {
                let attributes = json!({"files": files, "millis": millis});
                told("container", "sync", Some(service.clone()), attributes)
            }
            Event::Planned { .. }
            | Event::StepStarted { .. }
            | Event::WaitingForLock { .. }
            | Event::PullProgress { .. }
            | Event::PushProgress { .. }
            | Event::BuildOutput { .. } => None,
        }
    }

    /// `2026-01-02 03:04:05.000000 container start web (name=shop-web-1)`.
    fn line(&self, time: Timestamp) -> String {
        let attributes: Vec<String> = self
            .attributes
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| match value {
                Value::String(text) => format!("{name}={}", text.trim_end()),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    format!("{name}={value}")
                }
            })
            .collect();
        let service = self
            .service
            .as_ref()
            .map(|service| format!(" {service}"))
            .unwrap_or_default();
        format!(
            "{} {} {}{service} ({})",
            time.strftime("%Y-%m-%d %H:%M:%S.%6f"),
            self.kind,
            self.action,
            attributes.join(", ")
        )
    }

    /// One object, with docker compose's field names.
    fn json(&self, time: Timestamp) -> String {
        json!({
            "time": time.to_string(),
            "type": self.kind,
            "action": self.action,
            "service": self.service,
            "attributes": self.attributes,
        })
        .to_string()
    }
}

/// Docker's word for what a step does.
fn action(verb: &str) -> &str {
    match verb {
        "remove" => "destroy",
        "recreate" => "create",
        other => other.split(' ').next().unwrap_or(other),
    }
}

/// What a step acted on, and the service of a container; none for steps that are no event of their own.
fn thing(project: &str, step: &StepInfo) -> Option<(&'static str, Option<String>)> {
    match step.kind {
        Kind::Container => Some(("container", service_of(project, &step.name))),
        Kind::Network => Some(("network", None)),
        Kind::Volume => Some(("volume", None)),
        Kind::Image => Some(("image", None)),
        Kind::Service | Kind::Containers => None,
    }
}

/// The service in `<project>-<service>-<number>`.
fn service_of(project: &str, container: &str) -> Option<String> {
    let rest = container.strip_prefix(project)?.strip_prefix(['-', '_'])?;
    let (service, number) = rest.rsplit_once(['-', '_'])?;
    number
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| service.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: Kind, verb: &str, name: &str) -> StepInfo {
        StepInfo {
            id: 0,
            verb: verb.to_owned(),
            kind,
            name: name.to_owned(),
            reason: String::new(),
        }
    }

    #[test]
    fn steps_are_told_in_dockers_words() {
        let time: Timestamp = "2026-01-02T03:04:05.6Z".parse().unwrap();
        let done = |kind, verb, name| {
            let step = step(kind, verb, name);
            Told::of("shop", &Event::StepDone { step, millis: 3 })
                .map(|told| (told.line(time), told.json(time)))
        };
        let (line, json) = done(Kind::Container, "remove", "shop-my-web-1").unwrap();
        assert_eq!(
            line,
            "2026-01-02 03:04:05.600000 container destroy my-web (name=shop-my-web-1)"
        );
        assert_eq!(
            json,
            r#"{"time":"2026-01-02T03:04:05.6Z","type":"container","action":"destroy","service":"my-web","attributes":{"name":"shop-my-web-1"}}"#
        );
        let (line, _) = done(Kind::Network, "create network", "shop_default").unwrap();
        assert_eq!(
            line,
            "2026-01-02 03:04:05.600000 network create (name=shop_default)"
        );
        assert_eq!(done(Kind::Containers, "wire", "all"), None);
    }

    #[test]
    fn a_rejected_reload_keeps_its_place_in_the_file() {
        let event = Event::ReloadRejected {
            rendered: "compose.yaml:6:5: error[x]: y\n".to_owned(),
        };
        let told = Told::of("shop", &event).unwrap();
        let time: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        assert!(
            told.line(time)
                .ends_with("project reload_rejected (error=compose.yaml:6:5: error[x]: y)")
        );
    }

    #[test]
    fn only_names_of_the_project_have_a_service() {
        assert_eq!(service_of("shop", "shop-web-1").as_deref(), Some("web"));
        assert_eq!(service_of("shop", "shop-web-run-0123456789ab"), None);
        assert_eq!(service_of("shop", "other-web-1"), None);
    }
}
