//! The whole loop: lock, record, images, plan, execution, and what is left on disk.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rcompose::engine::{Engine, EngineError, ImageError, ImageSource, PARALLEL};
use rcompose::event::{Event, Events, Silent};
use rcompose::model::ServiceName;
use rcompose::model::service::Condition;
use rcompose::plan::{Down, Intent, Starts, Up};
use rcompose::state::{ProjectDir, ProjectRecord, projects};
use rcompose_runtime::{FakeRuntime, Runtime};

use super::imagined::{Imaginary, Imagined, ImaginedImages, PROJECT};

fn service(depends_on: Vec<(usize, Condition, bool)>) -> Imagined {
    Imagined {
        scale: 1,
        tag: 0,
        networks: vec![0],
        volumes: Vec::new(),
        anonymous: false,
        port: false,
        probe: false,
        depends_on,
        joins: None,
        container_name: None,
    }
}

fn two_services() -> Imaginary {
    Imaginary {
        services: vec![service(Vec::new()), service(vec![(0, Condition::Started, false)])],
        network_version: [0; 3],
    }
}

fn up() -> Intent {
    Intent::Up(Up::default())
}

fn engine<'a>(
    fake: &'a FakeRuntime,
    images: &'a dyn ImageSource,
    events: &'a dyn Events,
    cancel: &'a AtomicBool,
    data_root: &'a Path,
) -> Engine<'a> {
    Engine {
        runtime: fake,
        images,
        events,
        cancel,
        data_root,
        parallel: PARALLEL,
        wait_timeout: None,
    }
}

#[test]
fn the_record_follows_what_a_person_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let fake = FakeRuntime::new([("img", "1")]);
    let (images, cancel) = (ImaginedImages(&fake), AtomicBool::new(false));
    let engine = engine(&fake, &images, &Silent, &cancel, root.path());
    let prepared = two_services().prepare();
    let record = ProjectRecord {
        name: PROJECT.to_owned(),
        live_reload: true,
        ..ProjectRecord::default()
    };
    let dir = ProjectDir::of(root.path(), PROJECT);
    let read = || dir.read().unwrap().unwrap();
    let name = |text: &str| ServiceName::new(text);
    let running = || {
        let containers = fake.containers(PROJECT).unwrap();
        let running = containers.into_iter().filter(|state| state.pid.is_some());
        running.map(|state| state.service).collect::<Vec<_>>()
    };

    assert!(engine.reconcile(&prepared, &up(), Some(&record)).unwrap().done > 0);
    assert_eq!((read().generation, read().live_reload), (0, true));
    let stop = Intent::Stop {
        services: vec![name("s0")],
        timeout: None,
    };
    assert!(
        engine
            .reconcile(&prepared, &stop, None)
            .unwrap()
            .failures
            .is_empty()
    );
    assert!(read().stopped.contains("s0"));
    let reload = Intent::Up(Up {
        start: Starts::Interrupted,
        ..Up::default()
    });
    assert_eq!(
        engine.reconcile(&prepared, &reload, Some(&record)).unwrap().done,
        0
    );
    assert_eq!((read().generation, running()), (1, vec!["s1".to_owned()]));
    assert!(
        engine.preview(&prepared, &reload).unwrap().plan.is_empty(),
        "the preview knows it, too"
    );
    assert!(engine.reconcile(&prepared, &up(), Some(&record)).unwrap().done > 0);
    assert!(read().stopped.is_empty());
    assert_eq!(running(), ["s0", "s1"]);
    assert_eq!(projects(root.path()).unwrap().len(), 1);
    assert!(
        engine
            .reconcile(&prepared, &Intent::Down(Down::default()), None)
            .unwrap()
            .failures
            .is_empty()
    );
    assert!(!dir.path().exists(), "a project that is down leaves no record");
}

/// Gives the lock back when the wait is told of.
struct Release<'a>(&'a Mutex<Option<rcompose::state::ProjectLock>>);
impl Events for Release<'_> {
    fn emit(&self, event: Event) {
        if matches!(event, Event::WaitingForLock { .. }) {
            self.0.lock().unwrap().take().expect("told once");
        }
    }
}

#[test]
fn a_second_command_says_that_it_waits_and_then_does_its_work() {
    let root = tempfile::tempdir().unwrap();
    let fake = FakeRuntime::new([("img", "1")]);
    let dir = ProjectDir::of(root.path(), PROJECT);
    let lock = Mutex::new(Some(dir.try_lock().unwrap().unwrap()));
    let (images, cancel, events) = (ImaginedImages(&fake), AtomicBool::new(false), Release(&lock));
    let engine = engine(&fake, &images, &events, &cancel, root.path());
    assert!(
        engine
            .reconcile(&two_services().prepare(), &up(), None)
            .unwrap()
            .done
            > 0
    );
    assert!(lock.lock().unwrap().is_none());
}

#[test]
fn who_waits_for_the_lock_can_be_stopped() {
    let root = tempfile::tempdir().unwrap();
    let fake = FakeRuntime::new([("img", "1")]);
    let _lock = ProjectDir::of(root.path(), PROJECT).try_lock().unwrap().unwrap();
    let (images, cancel) = (ImaginedImages(&fake), AtomicBool::new(true));
    let engine = engine(&fake, &images, &Silent, &cancel, root.path());
    let ended = engine.reconcile(&two_services().prepare(), &up(), None);
    assert!(matches!(ended, Err(EngineError::Cancelled)));
    assert!(fake.effects().is_empty());
}

/// The first image to be pulled is never there; the user gives up meanwhile.
struct Endless<'a>(&'a AtomicBool);

impl ImageSource for Endless<'_> {
    fn pull(&self, _: &str, _: Option<&str>, _: &dyn Events, cancel: &AtomicBool) -> Result<(), ImageError> {
        self.0.store(true, Ordering::Relaxed);
        while !cancel.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn build(&self, _: &ServiceName, _: &str, _: &dyn Events, _: &AtomicBool) -> Result<(), ImageError> {
        Ok(())
    }

    fn push(&self, _: &str, _: &dyn Events, _: &AtomicBool) -> Result<(), ImageError> {
        Ok(())
    }

    fn remove(&self, _: &str) -> Result<(), ImageError> {
        Ok(())
    }

    fn age(&self, _: &str) -> Option<Duration> {
        None
    }
}

#[test]
fn nothing_more_is_begun_after_a_cancellation() {
    let root = tempfile::tempdir().unwrap();
    let fake = FakeRuntime::default();
    let cancel = AtomicBool::new(false);
    let images = Endless(&cancel);
    let engine = engine(&fake, &images, &Silent, &cancel, root.path());
    let ended = engine.reconcile(&two_services().prepare(), &up(), None);
    assert!(matches!(ended, Err(EngineError::Cancelled)), "{ended:?}");
    assert!(fake.effects().is_empty());
}

#[test]
fn containers_remember_their_dependencies() {
    let root = tempfile::tempdir().unwrap();
    let fake = FakeRuntime::new([("img", "1")]);
    let (images, cancel) = (ImaginedImages(&fake), AtomicBool::new(false));
    let engine = engine(&fake, &images, &Silent, &cancel, root.path());
    let mut prepared = two_services().prepare();
    let label = "s0:service_started:true,gone:service_healthy:false";
    let second = prepared.wanted.services.get_mut("s1").unwrap();
    let labels = &mut second.template.as_mut().unwrap().labels;
    labels.insert("com.docker.compose.depends_on".to_owned(), label.to_owned());
    assert!(engine.reconcile(&prepared, &up(), None).unwrap().done > 0);
    let remembered = engine.remembered(PROJECT).unwrap();
    let order: Vec<&str> = remembered
        .graph
        .start_order()
        .into_iter()
        .map(ServiceName::as_str)
        .collect();
    assert_eq!(order, ["s0", "s1"]);
    let restart = Intent::Restart {
        services: vec![ServiceName::new("s0")],
        timeout: None,
        no_deps: false,
    };
    let steps = engine.preview(&remembered, &restart).unwrap().to_string();
    assert_eq!(
        steps,
        "restart p-s0-1: asked for\nrestart p-s1-1: depends on s0, which restarts\n"
    );
}
