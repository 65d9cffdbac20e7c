//! In: a project whose containers are created. Out: them started, their output shown, and stopped on the first signal, killed on the second.
//! **Invariant:** what a container printed is shown before its end is told, and nothing runs on once the command has ended.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rcompose_runtime::Runtime as _;
use rcompose_runtime::state::Status;

use super::up::Bringing;
use super::{Context, Target, service_names, supervisor};
use crate::error::CliError;
use crate::event::Event;
use crate::plan::Intent;
use crate::state::event_log::Tail;
use crate::ui::follower::{Ended, Follower, Wanted, label};
use crate::ui::log_view::{LineStyle, LogView};
use crate::ui::print;
use crate::ui::progress::{Look, ProgressKind, news};
use crate::ui::style::Style;

/// How soon a signal is noticed.
const STEP: Duration = Duration::from_millis(50);

/// What to show, and when to stop.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of `up`")]
pub(super) struct Attachment<'a> {
    pub(super) project: &'a str,
    /// Services whose output is shown.
    pub(super) shown: Vec<String>,
    /// Services whose end counts.
    pub(super) monitored: Vec<String>,
    pub(super) prefix: bool,
    pub(super) timestamps: bool,
    pub(super) colour: bool,
    pub(super) abort_on_exit: bool,
    pub(super) abort_on_failure: bool,
    pub(super) exit_code_from: Option<&'a str>,
    pub(super) timeout: Option<Duration>,
    /// Tell what `develop.watch` rules do.
    pub(super) tell_watch: bool,
}

/// Starts, shows and waits.
pub(super) fn attach(
    context: &Context,
    attachment: &Attachment<'_>,
    bringing: &Bringing<'_>,
) -> Result<(), CliError> {
    context.cancel()?;
    context.interrupts.take_over();
    let mut session = Session::new(context, attachment)?;
    session.announce()?;
    let started = AtomicBool::new(false);
    let failed = Mutex::new(None);
    let quiet = Look {
        kind: ProgressKind::Quiet,
        ignore_orphans: true,
        ..context.look()
    };
    let begun = thread::scope(|scope| {
        scope.spawn(|| {
            if let Err(error) = bringing.start(quiet) {
                *lock(&failed) = Some(error);
            }
            started.store(true, Ordering::Release);
        });
        session.until_reason(&started, &failed)
    });
    let start_error = lock(&failed).take();
    match begun? {
        Reason::Over | Reason::Failed => {
            session.finish()?;
            start_error.map_or(Ok(()), Err)
        }
        Reason::Interrupted => {
            session.stop("Gracefully stopping... (press Ctrl+C again to force)")?;
            Err(CliError::process(130))
        }
        Reason::Aborted(ended) => {
            session.stop("Aborting on container exit...")?;
            session.exit_code(&ended)
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why output is no longer just shown.
enum Reason {
    /// Nothing runs any more.
    Over,
    /// Not everything could be started.
    Failed,
    /// The user wants it to stop.
    Interrupted,
    /// A container ended, and that was not to be.
    Aborted(Ended),
}

struct Session<'a> {
    context: &'a Context,
    attachment: &'a Attachment<'a>,
    shown: Follower<'a>,
    /// Follows services whose output is not shown, when there are any.
    hidden: Option<Follower<'a>>,
    events: Tail,
    out: File,
}

impl<'a> Session<'a> {
    fn new(context: &'a Context, attachment: &'a Attachment<'a>) -> Result<Self, CliError> {
        let runtime = context.runtime()?;
        let colour = attachment.colour && context.stdout.style.colour;
        let view = || {
            LogView::new(LineStyle {
                style: Style { colour },
                prefix: attachment.prefix,
                timestamps: attachment.timestamps,
            })
        };
        let wanted = |services: Vec<String>| Wanted {
            services,
            // What containers that run already printed before is not news.
            tail: Some(0),
            ..Wanted::default()
        };
        let follow = |services| Follower::new(runtime, attachment.project, wanted(services), view(), true);
        let hidden: Vec<String> = attachment
            .monitored
            .iter()
            .filter(|service| !attachment.shown.contains(service))
            .cloned()
            .collect();
        // No service at all would mean every one.
        let nothing = vec![String::new()];
        let shown = if attachment.shown.is_empty() {
            nothing
        } else {
            attachment.shown.clone()
        };
        let dir = context.project_dir(attachment.project)?;
        Ok(Self {
            context,
            attachment,
            shown: follow(shown)?,
            hidden: if hidden.is_empty() {
                None
            } else {
                Some(follow(hidden)?)
            },
            events: Tail::new(dir.path())?,
            out: print::raw_out()?,
        })
    }

    /// Says whose output is shown.
    fn announce(&self) -> Result<(), CliError> {
        let containers = self.context.runtime()?.containers(self.attachment.project)?;
        let shown = containers
            .iter()
            .filter(|container| !container.one_off && self.attachment.shown.contains(&container.service));
        let names: Vec<&str> = shown.map(label).collect();
        print::err(&format!("Attaching to {}\n", names.join(", ")));
        Ok(())
    }

    /// Shows what comes, for a moment; who ended.
    fn step(&mut self, tell_warnings: bool) -> Result<Vec<Ended>, CliError> {
        let mut ended = self.shown.step(STEP, true, &mut self.out)?;
        if let Some(hidden) = &mut self.hidden {
            ended.extend(hidden.step(Duration::ZERO, false, &mut io::sink())?);
        }
        for recorded in self.events.appended()? {
            // Those of the start were told when they came.
            let told = !tell_warnings && matches!(recorded.what, Event::Warning { .. });
            if let Some(line) = news(&recorded.what, self.attachment.tell_watch).filter(|_| !told) {
                print::err(&format!("{line}\n"));
            }
        }
        Ok(ended)
    }

    fn until_reason(
        &mut self,
        started: &AtomicBool,
        failed: &Mutex<Option<CliError>>,
    ) -> Result<Reason, CliError> {
        loop {
            let had_started = started.load(Ordering::Acquire);
            let ended = self.step(had_started)?;
            if self.context.interrupts.count() > 0 {
                return Ok(Reason::Interrupted);
            }
            for end in ended {
                // One that was removed was replaced.
                let Some(code) = end.code else { continue };
                if self.attachment.abort_on_exit || self.attachment.abort_on_failure && code != 0 {
                    return Ok(Reason::Aborted(end));
                }
            }
            if had_started && lock(failed).is_some() {
                return Ok(Reason::Failed);
            }
            if had_started && self.is_over()? {
                return Ok(Reason::Over);
            }
        }
    }

    /// Nothing runs, and nobody is just replacing it.
    fn is_over(&self) -> Result<bool, CliError> {
        let quiet = self.shown.is_over() && self.hidden.as_ref().is_none_or(Follower::is_over);
        if !quiet {
            return Ok(false);
        }
        let Some(_lock) = self.context.project_dir(self.attachment.project)?.try_lock()? else {
            return Ok(false);
        };
        let containers = self.context.runtime()?.containers(self.attachment.project)?;
        Ok(!containers.iter().any(|container| {
            let counts = !container.one_off && self.attachment.monitored.contains(&container.service);
            counts
                && matches!(
                    container.status,
                    Status::Running | Status::Paused | Status::Restarting
                )
        }))
    }

    /// Stops everything and shows it; another signal kills.
    fn stop(&mut self, why: &str) -> Result<(), CliError> {
        print::err(&format!("{why}\n"));
        self.context.interrupts.take_over();
        supervisor::end(self.context, self.attachment.project)?;
        let target = Target {
            name: self.attachment.project.to_owned(),
            files: None,
        };
        let intent = Intent::Stop {
            services: service_names(&self.attachment.monitored),
            timeout: self.attachment.timeout,
        };
        let context = self.context;
        let stopped = AtomicBool::new(false);
        let result = thread::scope(|scope| {
            let stopping = scope.spawn(|| {
                let result = context.operate_plainly("stop", &target, &intent);
                stopped.store(true, Ordering::Release);
                result
            });
            let mut killed = false;
            while !stopped.load(Ordering::Acquire) {
                self.step(true)?;
                if context.interrupts.count() > 0 && !killed {
                    killed = true;
                    self.kill()?;
                }
            }
            match stopping.join() {
                Ok(result) if !killed => result,
                Ok(_) | Err(_) => Ok(()),
            }
        });
        self.finish()?;
        result
    }

    /// Without waiting for the lock: the stop that holds it ends when they do.
    fn kill(&self) -> Result<(), CliError> {
        let runtime = self.context.runtime()?;
        for container in runtime.containers(self.attachment.project)? {
            if matches!(
                container.status,
                Status::Running | Status::Paused | Status::Restarting
            ) {
                print::err(&format!(" Container {}  Killing\n", container.name));
                runtime.kill(&container.id, "SIGKILL")?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CliError> {
        self.step(true)?;
        self.shown.finish(&mut self.out)?;
        Ok(())
    }

    /// The code of `--exit-code-from`, else that of the container that ended first.
    fn exit_code(&self, ended: &Ended) -> Result<(), CliError> {
        let code = match self.attachment.exit_code_from {
            Some(service) if service != ended.service => {
                let containers = self.context.runtime()?.containers(self.attachment.project)?;
                let of_service = containers
                    .iter()
                    .find(|container| container.service == service && !container.one_off);
                match of_service.map(|container| container.status) {
                    Some(Status::Exited { code }) => code,
                    Some(Status::Created | Status::Running | Status::Paused | Status::Restarting) | None => 0,
                }
            }
            Some(_) | None => ended.code.unwrap_or_default(),
        };
        if code == 0 {
            Ok(())
        } else {
            Err(CliError::process(code))
        }
    }
}
