//! Stories of a project on a host in memory: `tests/plan/*.scenario` hold commands (`$ …`) and what each of them says.
//! `UPDATE_SCENARIOS=1` writes the transcripts anew; the difference is then read in the commit.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use rcompose::engine::lower::Origin;
use rcompose::engine::{Engine, EngineError, Prepared, prepare, read_inputs};
use rcompose::event::{Event, Events};
use rcompose::model::ServiceName;
use rcompose::model::load::{Options, load};
use rcompose::model::service::PullPolicy;
use rcompose::plan::{Down, Intent, Recreate, Remove, RemoveImages, Starts, Up};
use rcompose::source::load::LoadOptions;
use rcompose::source::span::SourceMap;
use rcompose::state::ProjectRecord;
use rcompose_runtime::fake::Behaviour;
use rcompose_runtime::state::{Health, Status};
use rcompose_runtime::{FakeRuntime, Runtime};

use super::imagined::ImaginedImages;

#[test]
fn scenarios_end_as_they_are_told() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan");
    let mut found = 0;
    let mut wrong = String::new();
    for entry in fs::read_dir(&directory).expect("tests/plan is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "scenario") {
            continue;
        }
        found += 1;
        let script = fs::read_to_string(&path).expect("a scenario is text");
        let told = Teller::new().tell(&script);
        if told != script {
            if std::env::var_os("UPDATE_SCENARIOS").is_some() {
                fs::write(&path, &told).expect("a scenario can be written");
            }
            let differing = told
                .lines()
                .zip(script.lines())
                .enumerate()
                .find(|(_, (now, then))| now != then);
            writeln!(wrong, "{}: {differing:?}\n{told}", path.display()).expect("a string takes all");
        }
    }
    assert!(found > 5, "scenarios were found");
    assert!(wrong.is_empty(), "{wrong}");
}

/// Warnings and failures, in the order they come.
#[derive(Default)]
struct Said(Mutex<Vec<String>>);

impl Events for Said {
    fn emit(&self, event: Event) {
        let mut said = self.0.lock().expect("nobody panics with it");
        if let Event::Warning { message, .. } = event {
            said.push(format!("warning: {message}"));
        } else if let Event::StepFailed {
            step,
            error,
            fatal: false,
            ..
        } = event
        {
            said.push(format!("warning: {} {}: {error}", step.verb, step.name));
        }
    }
}

struct Teller {
    home: tempfile::TempDir,
    fake: FakeRuntime,
}

impl Teller {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().expect("a scratch directory"),
            fake: FakeRuntime::new([("alpine", "a1"), ("mariadb", "m1")]),
        }
    }

    /// The script with fresh transcripts.
    fn tell(&self, script: &str) -> String {
        let mut out = String::new();
        let mut lines = script.lines().peekable();
        while let Some(line) = lines.next() {
            out.push_str(line);
            out.push('\n');
            let Some(command) = line.strip_prefix("$ ") else {
                continue;
            };
            if let Some(name) = command
                .strip_suffix(" <<EOF")
                .and_then(|rest| rest.strip_prefix("write "))
            {
                let mut text = String::new();
                for line in lines.by_ref() {
                    out.push_str(line);
                    out.push('\n');
                    if line == "EOF" {
                        break;
                    }
                    text.push_str(line);
                    text.push('\n');
                }
                fs::write(self.home.path().join(name), text).expect("a file can be written");
                continue;
            }
            // The old transcript: everything up to an empty line.
            while lines
                .peek()
                .is_some_and(|line| !line.is_empty() && !line.starts_with("$ "))
            {
                lines.next();
            }
            let words: Vec<&str> = command.split_whitespace().collect();
            let mut said = self.run(&words);
            if !said.is_empty() && !said.ends_with('\n') {
                said.push('\n');
            }
            out.push_str(&said);
        }
        out
    }

    fn run(&self, words: &[&str]) -> String {
        let fake = &self.fake;
        match words {
            ["image", name, id] => fake.set_image(name, id),
            ["crash", name, code] => fake.crash(name, code.parse().expect("a code")),
            ["reboot"] => fake.reboot(),
            ["cut", effects] => fake.cut_after(effects.parse().expect("a number")),
            ["heal"] => fake.heal(),
            ["fail", method, name, message @ ..] => fake.fail(method, name, &message.join(" ")),
            ["behave", service, "unhealthy", output @ ..] => {
                fake.set_behaviour(service, Behaviour::Unhealthy(output.join(" ")));
            }
            ["behave", service, "exits", code] => {
                fake.set_behaviour(service, Behaviour::Exits(code.parse().expect("a code")));
            }
            ["ps"] => return self.list(),
            ["without-file", rest @ ..] => {
                return self.act(Err(()), rest);
            }
            _ => match self.load() {
                Ok(prepared) => return self.act(Ok(prepared), words),
                Err(errors) => return errors,
            },
        }
        String::new()
    }

    fn list(&self) -> String {
        let mut out = String::new();
        for state in self.fake.containers("shop").expect("readable") {
            let status = match state.status {
                Status::Created => "created".to_owned(),
                Status::Running => "running".to_owned(),
                Status::Paused => "paused".to_owned(),
                Status::Restarting => "restarting".to_owned(),
                Status::Exited { code } => format!("exited {code}"),
            };
            let health = match state.health {
                Health::None => "",
                Health::Starting => " (starting)",
                Health::Healthy => " (healthy)",
                Health::Unhealthy => " (unhealthy)",
            };
            writeln!(out, "{} {status}{health}", state.name).expect("a string takes all");
        }
        out
    }

    fn load(&self) -> Result<Prepared, String> {
        let mut options = LoadOptions::new(self.home.path(), Vec::new());
        options.project_name = Some("shop".to_owned());
        let outcome = load(&Options::new(options));
        let findings = outcome.findings();
        let project = outcome
            .project
            .ok_or_else(|| render(&findings, &outcome.sources))?;
        let facts = read_inputs(&project, Origin::default());
        prepare(&project, &facts).map_err(|errors| render(&errors, &outcome.sources))
    }

    fn act(&self, prepared: Result<Prepared, ()>, words: &[&str]) -> String {
        let said = Said::default();
        let engine = Engine {
            runtime: &self.fake,
            images: &ImaginedImages(&self.fake),
            events: &said,
            cancel: &AtomicBool::new(false),
            data_root: self.home.path(),
            parallel: 1,
            wait_timeout: None,
        };
        let prepared = prepared.unwrap_or_else(|()| engine.remembered("shop").expect("readable"));
        let (words, only_plan) = match words {
            ["plan", rest @ ..] => (rest, true),
            all => (all, false),
        };
        let (intent, record) = intent(words);
        let mut out = match engine.preview(&prepared, &intent) {
            Ok(preview) if preview.images.is_empty() && preview.plan.is_empty() => {
                "nothing to do\n".to_owned()
            }
            Ok(preview) => preview.to_string(),
            Err(EngineError::Impossible(errors)) => {
                let errors = errors.iter().map(|error| format!("error: {}\n", error.message));
                return errors.collect();
            }
            Err(error) => return format!("error: {error}"),
        };
        if only_plan {
            return out;
        }
        let record = record.then(|| ProjectRecord {
            name: "shop".to_owned(),
            ..ProjectRecord::default()
        });
        let outcome = engine.reconcile(&prepared, &intent, record.as_ref());
        for line in said.0.into_inner().expect("nobody panicked with it") {
            writeln!(out, "{line}").expect("a string takes all");
        }
        if let Err(error) = outcome {
            writeln!(out, "error: {error}").expect("a string takes all");
        }
        out
    }
}

fn render(errors: &rcompose::diagnostic::Diagnostics, sources: &SourceMap) -> String {
    let mut out = String::new();
    for error in errors {
        let place = error.span().map(|span| {
            let position = sources.position(span);
            format!("{}:{}: ", position.line, position.column)
        });
        writeln!(out, "error: {}{}", place.unwrap_or_default(), error.message).expect("a string takes all");
    }
    out
}

/// The intent of a command line, and whether it writes the project's record.
fn intent(words: &[&str]) -> (Intent, bool) {
    let [verb, rest @ ..] = words else {
        panic!("a command")
    };
    let has = |flag: &str| rest.contains(&flag);
    let value = |flag: &str| rest.iter().position(|word| *word == flag).map(|at| rest[at + 1]);
    let mut services = Vec::new();
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        match *word {
            "--scale" | "--pull" | "--rmi" | "--signal" => drop(words.next()),
            flag if flag.starts_with('-') => {}
            service => services.push(ServiceName::new(service)),
        }
    }
    let intent = match *verb {
        "up" | "reload" | "create" => {
            let mut up = Up {
                services,
                always_recreate_deps: has("--always-recreate-deps"),
                no_deps: has("--no-deps"),
                remove_orphans: has("--remove-orphans"),
                renew_anonymous: has("-V"),
                wait: has("--wait"),
                ..Up::default()
            };
            if has("--force-recreate") {
                up.recreate = Recreate::Force;
            } else if has("--no-recreate") {
                up.recreate = Recreate::Never;
            }
            if let Some((service, count)) = value("--scale").and_then(|text| text.split_once('=')) {
                up.scale
                    .insert(ServiceName::new(service), count.parse().expect("a number"));
            }
            up.images.build = has("--build");
            up.images.pull = value("--pull").map(|policy| match policy {
                "always" => PullPolicy::Always,
                "never" => PullPolicy::Never,
                other => panic!("no such policy: {other}"),
            });
            up.start = match *verb {
                "reload" => Starts::Interrupted,
                "create" => Starts::Nothing,
                _ => Starts::All,
            };
            Intent::Up(up)
        }
        "scale" => {
            let pairs = services.iter().filter_map(|pair| pair.as_str().split_once('='));
            let scale =
                pairs.map(|(service, count)| (ServiceName::new(service), count.parse().expect("a number")));
            Intent::Up(Up::scaled(scale.collect(), has("--no-deps")))
        }
        "down" => Intent::Down(Down {
            services,
            volumes: has("-v"),
            remove_orphans: has("--remove-orphans"),
            images: match value("--rmi") {
                None => RemoveImages::Nothing,
                Some("local") => RemoveImages::Local,
                Some(_) => RemoveImages::All,
            },
            timeout: None,
        }),
        "stop" => Intent::Stop {
            services,
            timeout: None,
        },
        "start" => Intent::Start {
            services,
            wait: has("--wait"),
        },
        "restart" => Intent::Restart {
            services,
            timeout: None,
            no_deps: has("--no-deps"),
        },
        "kill" => Intent::Kill {
            services,
            signal: value("--signal").unwrap_or("SIGKILL").to_owned(),
            remove_orphans: has("--remove-orphans"),
        },
        "rm" => Intent::Remove(Remove {
            services,
            stop: has("-s"),
            volumes: has("-v"),
            one_off: true,
        }),
        "pause" => Intent::Pause { services },
        "unpause" => Intent::Unpause { services },
        other => panic!("no such command: {other}"),
    };
    (intent, matches!(*verb, "up" | "create" | "reload"))
}
