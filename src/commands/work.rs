//! In: a target and an intent. Out: reality as intended, told as progress and kept in the event log.
//! **Invariant:** every change of a project goes through here, and so through the engine.

use std::time::Duration;

use rcompose_runtime::Runtime as _;
use rcompose_runtime::request::{ContainerRequest, LimitsRequest};

use super::context::Context;
use super::image_source::StoreImages;
use super::project::{LoadedProject, Target};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::{Engine, EngineError, Executor, Failure, Outcome, Prepared, Preview};
use crate::error::CliError;
use crate::event::{Event, Events, Fanout};
use crate::plan::{Action, Intent, OnFailure, Plan, Reason, Step};
use crate::state::ProjectRecord;
use crate::state::event_log::EventLog;
use crate::ui::progress::{Look, Progress, ProgressKind};
use crate::ui::{print, report};

/// What is asked of one reconciliation besides its intent.
#[derive(Default)]
pub struct Asked<'a> {
    /// Replaces the project's record (`up`).
    pub record: Option<&'a ProjectRecord>,
    /// How long conditions are waited for.
    pub wait_timeout: Option<Duration>,
    /// Who is told besides progress and the event log.
    pub events: Option<&'a dyn Events>,
}

impl Context {
    /// What progress looks like by the global flags.
    pub fn look(&self) -> Look {
        let to_stdout = self.is_set("COMPOSE_STATUS_STDOUT");
        let stream = if to_stdout { self.stdout } else { self.stderr };
        Look {
            kind: match self.globals.progress {
                Some(kind) => kind,
                None if !stream.style.colour && self.variable("NO_COLOR").is_none() => ProgressKind::Plain,
                None => ProgressKind::Auto,
            },
            terminal: stream.terminal,
            to_stdout,
            style: stream.style,
            quiet_pull: false,
            quiet_build: false,
            dry_run: self.globals.dry_run,
            ignore_orphans: self.is_set("COMPOSE_IGNORE_ORPHANS"),
        }
    }

    /// Carries out an intent that needs no files (`stop`, `down`, …), and shows progress under the command's name.
    pub fn operate(&self, title: &str, target: &Target, intent: &Intent) -> Result<Outcome, CliError> {
        self.operate_asking(title, target, intent, &Asked::default())
    }

    /// The same with what is asked besides the intent.
    pub fn operate_asking(
        &self,
        title: &str,
        target: &Target,
        intent: &Intent,
        asked: &Asked<'_>,
    ) -> Result<Outcome, CliError> {
        let images = StoreImages::new(self, target.files.as_ref());
        let progress = Progress::new(title, self.look(), None);
        let prepared = self.prepare_or_remember(target, &images, &progress)?;
        let files = target.files.as_ref();
        self.reconcile(&prepared, files, intent, &images, &progress, asked)
    }

    /// The same as plain lines, for a terminal that shows something else.
    pub fn operate_plainly(&self, title: &str, target: &Target, intent: &Intent) -> Result<(), CliError> {
        let images = StoreImages::new(self, target.files.as_ref());
        let look = Look {
            kind: match self.look().kind {
                ProgressKind::Auto | ProgressKind::Tty => ProgressKind::Plain,
                kind @ (ProgressKind::Plain | ProgressKind::Json | ProgressKind::Quiet) => kind,
            },
            ..self.look()
        };
        let progress = Progress::new(title, look, None);
        let prepared = self.prepare_or_remember(target, &images, &progress)?;
        self.reconcile(&prepared, None, intent, &images, &progress, &Asked::default())
            .map(drop)
    }

    /// The project of the files, or, without files that can be used, as its containers remember it.
    fn prepare_or_remember(
        &self,
        target: &Target,
        images: &StoreImages<'_>,
        progress: &Progress,
    ) -> Result<Prepared, CliError> {
        if let Some(Ok(prepared)) = target.files.as_ref().map(LoadedProject::prepare) {
            return Ok(prepared);
        }
        let remembered = self.engine(images, progress, None)?.remembered(&target.name);
        remembered.map_err(|error| self.failure(error, None))
    }

    fn engine<'a>(
        &'a self,
        images: &'a StoreImages<'a>,
        events: &'a dyn Events,
        wait_timeout: Option<Duration>,
    ) -> Result<Engine<'a>, CliError> {
        Ok(Engine {
            runtime: self.runtime()?,
            images,
            events,
            cancel: self.cancel()?,
            data_root: self.data_root()?,
            parallel: self.parallel(),
            wait_timeout,
        })
    }

    /// Carries out an intent; with `--dry-run` only says what would be done.
    pub fn reconcile(
        &self,
        prepared: &Prepared,
        files: Option<&LoadedProject>,
        intent: &Intent,
        images: &StoreImages<'_>,
        progress: &Progress,
        asked: &Asked<'_>,
    ) -> Result<Outcome, CliError> {
        if self.globals.dry_run {
            let preview = self.preview(prepared, files, intent, images)?;
            for step in preview.images.steps.iter().chain(&preview.plan.steps) {
                print::err(&format!(" DRY-RUN MODE - {step}\n"));
            }
            return Ok(Outcome::default());
        }
        if matches!(intent, Intent::Up(_)) && self.globals.progress != Some(ProgressKind::Quiet) {
            self.tell_what_this_host_lacks(prepared, files)?;
        }
        let dir = self.project_dir(&prepared.wanted.project)?;
        let log = EventLog::new(dir.path());
        let mut listeners: Vec<&dyn Events> = vec![progress, &log];
        listeners.extend(asked.events);
        let events = Fanout(listeners);
        let engine = self.engine(images, &events, asked.wait_timeout)?;
        let done = engine.reconcile(prepared, intent, asked.record);
        progress.finish();
        done.map_err(|error| self.failure(error, files))
    }

    /// Limits that the files ask for and this host has no means for: said at the service, never silent.
    fn tell_what_this_host_lacks(
        &self,
        prepared: &Prepared,
        files: Option<&LoadedProject>,
    ) -> Result<(), CliError> {
        let Some(files) = files else { return Ok(()) };
        let runtime = self.runtime()?;
        let mut findings = Diagnostics::new();
        for (name, service) in &prepared.wanted.services {
            let limited = |request: &&ContainerRequest| {
                request.limits != LimitsRequest::default() || !request.ulimits.is_empty()
            };
            let Some(request) = service.template.as_ref().filter(limited) else {
                continue;
            };
            for sentence in runtime.unsupported(request) {
                let warning =
                    Diagnostic::warning("limit-not-honoured", format!("service {name}: {sentence}"));
                findings.push(match service.span {
                    Some(span) => warning.at(span),
                    None => warning,
                });
            }
        }
        report::print(&findings, &files.sources);
        Ok(())
    }

    /// What an intent would do now.
    pub fn preview(
        &self,
        prepared: &Prepared,
        files: Option<&LoadedProject>,
        intent: &Intent,
        images: &StoreImages<'_>,
    ) -> Result<Preview, CliError> {
        let engine = self.engine(images, &crate::event::Silent, None)?;
        engine
            .preview(prepared, intent)
            .map_err(|error| self.failure(error, files))
    }

    /// Pulls, builds or removes images, none of which waits for another; all are tried.
    pub fn run_images(
        &self,
        actions: Vec<Action>,
        images: &StoreImages<'_>,
        progress: &Progress,
        on_failure: OnFailure,
    ) -> Result<(), CliError> {
        let step = |action| Step {
            action,
            reason: Reason::Requested,
            after: Vec::new(),
            on_failure,
        };
        let plan = Plan {
            steps: actions.into_iter().map(step).collect(),
            notes: Diagnostics::new(),
        };
        self.run_image_plan(&plan, images, progress)
    }

    /// The same in the order of a plan.
    pub fn run_image_plan(
        &self,
        plan: &Plan,
        images: &StoreImages<'_>,
        progress: &Progress,
    ) -> Result<(), CliError> {
        if self.globals.dry_run {
            for step in &plan.steps {
                print::err(&format!(" DRY-RUN MODE - {step}\n"));
            }
            return Ok(());
        }
        self.runtime()?.prepare()?;
        let executor = Executor {
            runtime: self.runtime()?,
            images,
            events: progress,
            cancel: self.cancel()?,
            parallel: self.parallel(),
            deadline: None,
        };
        let outcome = executor.execute(plan);
        progress.finish();
        if outcome.cancelled || self.interrupts.count() > 0 {
            return Err(CliError::interrupted());
        }
        let fatal: Vec<Failure> = outcome
            .failures
            .into_iter()
            .filter(|failure| failure.fatal)
            .collect();
        if fatal.is_empty() {
            Ok(())
        } else {
            Err(CliError::failures(&fatal))
        }
    }

    /// An error of the engine as the end of a command.
    pub fn failure(&self, error: EngineError, files: Option<&LoadedProject>) -> CliError {
        match error {
            EngineError::Impossible(findings) => match files {
                Some(files) => CliError::findings(&findings, &files.sources),
                None => CliError::user(messages(&findings)),
            },
            EngineError::Runtime(error) => error.into(),
            EngineError::State(error) => error.into(),
            EngineError::Failed(failures) => CliError::failures(&failures),
            EngineError::Cancelled => CliError::interrupted(),
        }
    }

    /// Tells an event to the project's log.
    pub fn record_event(&self, project: &str, event: Event) -> Result<(), CliError> {
        EventLog::new(self.project_dir(project)?.path()).emit(event);
        Ok(())
    }
}

fn messages(findings: &Diagnostics) -> String {
    let lines: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    lines.join("\n")
}
