//! In: a plan. Out: its effects, in parallel along its edges, told as events; and what failed.
//! **Invariant:** no decision is taken here: after a failure no step is handed out but pulls and builds, which stand alone.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use rcompose_runtime::Runtime;

use super::step::{ImageSource, StepError};
use super::tell::{describe, info};
use crate::event::{Event, Events};
use crate::plan::{Action, Container, OnFailure, Plan, StepId};

/// How often a cancellation by the user is looked for while steps run.
const CANCEL_CHECK: Duration = Duration::from_millis(50);
/// Stack of a thread that only calls the runtime and waits.
const STACK: usize = 512 * 1024;

/// Carries plans out.
pub struct Executor<'a> {
    /// What is acted on.
    pub runtime: &'a dyn Runtime,
    /// Where images come from.
    pub images: &'a dyn ImageSource,
    /// Who is told.
    pub events: &'a dyn Events,
    /// Set by the user to stop.
    pub cancel: &'a AtomicBool,
    /// Steps that work at once; those that only wait do not count.
    pub parallel: usize,
    /// When waiting for conditions ends.
    pub deadline: Option<Instant>,
}

/// How a plan went.
#[derive(Debug, Default)]
#[must_use = "a plan may have failed"]
pub struct Outcome {
    /// Steps done.
    pub done: usize,
    /// Steps not taken.
    pub skipped: usize,
    /// What failed.
    pub failures: Vec<Failure>,
    /// The user stopped it.
    pub cancelled: bool,
}

impl Outcome {
    /// Failures that ended the plan.
    pub fn fatal(&self) -> impl Iterator<Item = &Failure> {
        self.failures.iter().filter(|failure| failure.fatal)
    }
}

/// A step that failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// Verb, subject and, for a wait, who needed it.
    pub what: String,
    /// The service concerned, where there is one.
    pub service: Option<String>,
    /// Whether it ended the plan.
    pub fatal: bool,
    /// Why.
    #[source]
    pub error: StepError,
}

/// What threads share.
struct Shared<'a> {
    executor: &'a Executor<'a>,
    plan: &'a Plan,
    /// Ids of the containers that steps made.
    made: Vec<OnceLock<String>>,
    /// Waits end when this is set, after a failure or a cancellation.
    stop_waiting: AtomicBool,
    /// Steps for workers.
    queue: Mutex<Receiver<usize>>,
}

/// A finished step.
type Finished = (usize, Result<(), StepError>, Duration);

impl Executor<'_> {
    /// Carries a plan out and returns when nothing of it runs any more.
    pub fn execute(&self, plan: &Plan) -> Outcome {
        if plan.is_empty() {
            return Outcome::default();
        }
        self.events.emit(Event::Planned {
            steps: plan.steps.len(),
        });
        let (queue, work) = mpsc::channel();
        let shared = Shared {
            executor: self,
            plan,
            made: plan.steps.iter().map(|_| OnceLock::new()).collect(),
            stop_waiting: AtomicBool::new(false),
            queue: Mutex::new(work),
        };
        thread::scope(|scope| Run::new(&shared, scope, queue).finish())
    }
}

/// The bookkeeping of one execution, on the calling thread.
struct Run<'scope, 'env, 'a> {
    shared: &'scope Shared<'a>,
    scope: &'scope Scope<'scope, 'env>,
    queue: Sender<usize>,
    finished: Receiver<Finished>,
    report: Sender<Finished>,
    /// Steps that may be handed out: those that work, and those that only wait.
    ready: VecDeque<usize>,
    ready_to_wait: VecDeque<usize>,
    /// How many steps each step still waits for.
    waits: Vec<usize>,
    /// Who waits for each step.
    followers: Vec<Vec<usize>>,
    running: usize,
    working: usize,
    workers: usize,
    outcome: Outcome,
}

impl<'scope, 'a> Run<'scope, '_, 'a> {
    fn new<'env>(
        shared: &'scope Shared<'a>,
        scope: &'scope Scope<'scope, 'env>,
        queue: Sender<usize>,
    ) -> Run<'scope, 'env, 'a> {
        let steps = &shared.plan.steps;
        let mut followers = vec![Vec::new(); steps.len()];
        for (position, step) in steps.iter().enumerate() {
            for StepId(before) in &step.after {
                followers[*before].push(position);
            }
        }
        let (report, finished) = mpsc::channel();
        let mut run = Run {
            shared,
            scope,
            queue,
            finished,
            report,
            ready: VecDeque::new(),
            ready_to_wait: VecDeque::new(),
            waits: steps.iter().map(|step| step.after.len()).collect(),
            followers,
            running: 0,
            working: 0,
            workers: 0,
            outcome: Outcome::default(),
        };
        for at in 0..steps.len() {
            if run.waits[at] == 0 {
                run.make_ready(at);
            }
        }
        run
    }

    fn make_ready(&mut self, at: usize) {
        if only_waits(&self.shared.plan.steps[at].action) {
            self.ready_to_wait.push_back(at);
        } else {
            self.ready.push_back(at);
        }
    }

    fn finish(mut self) -> Outcome {
        loop {
            self.hand_out();
            if self.running == 0 {
                break;
            }
            match self.finished.recv_timeout(CANCEL_CHECK) {
                Ok(finished) => self.note(finished),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.shared.executor.cancel.load(Ordering::Relaxed) {
                self.outcome.cancelled = true;
                self.shared.stop_waiting.store(true, Ordering::Relaxed);
            }
        }
        self.outcome.skipped = self.shared.plan.steps.len() - self.outcome.done - self.outcome.failures.len();
        self.outcome
    }

    fn hand_out(&mut self) {
        if self.outcome.cancelled {
            self.ready.clear();
            self.ready_to_wait.clear();
        } else if self.outcome.fatal().next().is_some() {
            let steps = &self.shared.plan.steps;
            self.ready.retain(|at| stands_alone(&steps[*at].action));
            self.ready_to_wait.clear();
        }
        while let Some(at) = self.ready_to_wait.pop_front() {
            self.spawn_waiting(at);
        }
        while self.working < self.shared.executor.parallel.max(1) {
            let Some(at) = self.ready.pop_front() else { break };
            self.give_to_worker(at);
        }
    }

    /// A thread of its own: it sleeps most of the time, and a worker would be missed.
    fn spawn_waiting(&mut self, at: usize) {
        self.running += 1;
        let (shared, report) = (self.shared, self.report.clone());
        let spawned = thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(self.scope, move || shared.run(at, &report));
        if let Err(error) = spawned {
            self.note((at, Err(StepError::Thread(error)), Duration::ZERO));
        }
    }

    fn give_to_worker(&mut self, at: usize) {
        self.running += 1;
        self.working += 1;
        if self.workers < self.working {
            let (shared, report) = (self.shared, self.report.clone());
            let spawned = thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(self.scope, move || shared.work(&report));
            match spawned {
                Ok(_) => self.workers += 1,
                Err(error) if self.workers == 0 => {
                    self.note((at, Err(StepError::Thread(error)), Duration::ZERO));
                    return;
                }
                Err(_) => {}
            }
        }
        // The receiver lives as long as the execution.
        self.queue.send(at).unwrap_or_default();
    }

    fn note(&mut self, (at, result, took): Finished) {
        self.running -= 1;
        let step = &self.shared.plan.steps[at];
        if !only_waits(&step.action) {
            self.working -= 1;
        }
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let events = self.shared.executor.events;
        match result {
            Ok(()) => {
                self.outcome.done += 1;
                events.emit(Event::StepDone {
                    step: info(at, step),
                    millis,
                });
                self.release(at);
            }
            Err(error) if error.is_cancelled() && self.shared.stop_waiting.load(Ordering::Relaxed) => {}
            Err(error) => {
                let fatal = step.on_failure == OnFailure::Abort;
                events.emit(Event::StepFailed {
                    step: info(at, step),
                    millis,
                    error: error.chain(),
                    fatal,
                });
                self.outcome.cancelled |= error.is_cancelled();
                self.outcome.failures.push(Failure {
                    what: describe(step),
                    service: step.action.service().map(str::to_owned),
                    fatal,
                    error,
                });
                if fatal {
                    self.shared.stop_waiting.store(true, Ordering::Relaxed);
                } else {
                    self.release(at);
                }
            }
        }
    }

    fn release(&mut self, at: usize) {
        for follower in std::mem::take(&mut self.followers[at]) {
            self.waits[follower] -= 1;
            if self.waits[follower] == 0 {
                self.make_ready(follower);
            }
        }
    }
}

impl Shared<'_> {
    /// A worker's life: steps until the queue is closed.
    fn work(&self, report: &Sender<Finished>) {
        loop {
            let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            match next {
                Ok(at) => self.run(at, report),
                Err(_) => return,
            }
        }
    }

    fn run(&self, at: usize, report: &Sender<Finished>) {
        let step = &self.plan.steps[at];
        self.executor
            .events
            .emit(Event::StepStarted { step: info(at, step) });
        let start = Instant::now();
        let result = self.act(&step.action, at);
        // The execution outlives its threads.
        report.send((at, result, start.elapsed())).unwrap_or_default();
    }

    fn act(&self, action: &Action, at: usize) -> Result<(), StepError> {
        let executor = self.executor;
        let made = super::step::perform(
            action,
            &super::step::Tools {
                runtime: executor.runtime,
                images: executor.images,
                events: executor.events,
                cancel: executor.cancel,
                stop_waiting: &self.stop_waiting,
                deadline: executor.deadline,
                id_of: &|container| self.id_of(container),
            },
        )?;
        if let Some(id) = made {
            self.made[at].get_or_init(|| id);
        }
        Ok(())
    }

    fn id_of(&self, container: &Container) -> Result<String, StepError> {
        match &container.handle {
            Ok(id) => Ok(id.clone()),
            Err(StepId(at)) => {
                let made = self.made[*at].get().cloned();
                made.ok_or_else(|| StepError::NotMade(container.name.clone()))
            }
        }
    }
}

/// Steps that are worth finishing when another one failed.
fn stands_alone(action: &Action) -> bool {
    matches!(
        action,
        Action::PullImage { .. } | Action::BuildImage { .. } | Action::PushImage { .. }
    )
}

/// Steps that sleep rather than work.
fn only_waits(action: &Action) -> bool {
    matches!(
        action,
        Action::Wait { .. } | Action::Stop(..) | Action::Restart(..) | Action::RunHook(..)
    )
}
