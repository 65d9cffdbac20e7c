//! In: a project that was brought up, or is being taken down. Out: its supervisor kept alive by a shim, or ended.
//! **Invariant:** one supervisor a project, run from the program that is installed now.

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rcompose_runtime::{LocalRuntime, ProcessKeeper};

use super::Context;
use crate::diagnostic::Diagnostics;
use crate::error::CliError;
use crate::event::{Event, Events};

/// How long a supervisor may finish what it is doing.
const GRACE: Duration = Duration::from_secs(10);
/// Variables of the user that the supervisor works with, besides those of the project's record.
const PASSED: [&str; 12] = [
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "DOCKER_CONFIG",
    "RCOMPOSE_SHIM",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
];

fn process_name(project: &str) -> String {
    format!("supervise-{project}")
}

/// Starts the supervisor of a project, unless one from this program runs. A project without a record needs none.
pub(super) fn keep(context: &Context, project: &str) -> Result<(), CliError> {
    if context.globals.dry_run || context.project_dir(project)?.read()?.is_none() {
        return Ok(());
    }
    let runtime = context.runtime()?;
    let name = process_name(project);
    if let Some(kept) = runtime.process_state(&name)? {
        if kept.pid.is_none_or(is_this_program) {
            return Ok(());
        }
        runtime.stop_process(&name, GRACE)?;
    }
    Ok(runtime.keep_process(&name, keeper(context, runtime, project, &name)?)?)
}

/// Keeps a project while work brings it up: as soon as a plan says that the record is on disk, beside the plan's own steps.
pub(super) fn keep_beside(
    context: &Context,
    project: &str,
    work: impl FnOnce(&dyn Events) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let (planned, wait) = mpsc::channel();
    thread::scope(|scope| {
        let keeper = scope.spawn(move || match wait.recv() {
            Ok(true) => keep(context, project),
            Ok(false) | Err(_) => Ok(()),
        });
        let done = work(&Planned(planned.clone()));
        // The keeper takes the first word it gets, and may have gone.
        let _told = planned.send(done.is_ok());
        let kept = keeper
            .join()
            .unwrap_or_else(|_| Err(CliError::user("the supervisor could not be started")));
        done.and(kept)
    })
}

/// Sends word of the first plan.
struct Planned(mpsc::Sender<bool>);

impl Events for Planned {
    fn emit(&self, event: Event) {
        if matches!(event, Event::Planned { .. }) {
            let _told = self.0.send(true);
        }
    }

    fn note(&self, _notes: &Diagnostics) {}
}

/// Ends the supervisor of a project, if there is one.
pub(super) fn end(context: &Context, project: &str) -> Result<(), CliError> {
    Ok(context.runtime()?.stop_process(&process_name(project), GRACE)?)
}

/// Ends the supervisor that calls it: its shim would start it again otherwise. Returns only when there is no shim.
pub(super) fn leave(context: &Context, project: &str) -> Result<(), CliError> {
    Ok(context
        .runtime()?
        .stop_process(&process_name(project), Duration::ZERO)?)
}

/// Whether a process runs the very file this one runs; one that was replaced is another.
fn is_this_program(pid: i32) -> bool {
    let own = fs::read_link("/proc/self/exe");
    let other = fs::read_link(format!("/proc/{pid}/exe"));
    matches!((own, other), (Ok(own), Ok(other)) if own == other)
}

fn keeper(
    context: &Context,
    runtime: &LocalRuntime,
    project: &str,
    name: &str,
) -> Result<ProcessKeeper, CliError> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::user(format!("cannot find the rcompose program: {error}")))?;
    // Replaced by an upgrade while this runs, the kernel says so in the name (proc_pid_exe(5)); the new one is meant.
    let program = program.display().to_string();
    let program = program.strip_suffix(" (deleted)").unwrap_or(&program);
    let roots = runtime.roots();
    let passed = PASSED.iter().filter_map(|name| {
        let value = context.variable(name)?;
        Some(format!("{name}={value}"))
    });
    let mut environment: Vec<String> = passed.collect();
    environment.push(format!("RCOMPOSE_DATA_ROOT={}", roots.data().display()));
    environment.push(format!("RCOMPOSE_RUN_ROOT={}", roots.run().display()));
    // It sleeps nearly always: memory that a reload used is given back (mallopt(3)).
    environment.push("MALLOC_ARENA_MAX=1".to_owned());
    environment.push("MALLOC_TRIM_THRESHOLD_=65536".to_owned());
    Ok(ProcessKeeper {
        arguments: vec![program.to_owned(), "supervise".to_owned(), project.to_owned()],
        environment,
        working_directory: "/".to_owned(),
        log_path: roots.run_process(name)?.join("log").display().to_string(),
    })
}
