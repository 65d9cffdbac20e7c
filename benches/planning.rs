//! Figures of the pure half of `up`: lowering with hashes, planning from nothing and over a running project, for 1, 100 and 1,000
//! services; best of ten. `cargo bench --bench planning`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a figure is printed, and a broken setup has nothing to print"
)]

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rcompose::engine::lower::Facts;
use rcompose::engine::{Executor, ImageError, ImageSource, observe, prepare};
use rcompose::event::{Events, Silent};
use rcompose::model::load::{Options, load};
use rcompose::model::{Project, ServiceName};
use rcompose::plan::{Intent, Up, plan};
use rcompose::source::load::LoadOptions;
use rcompose_runtime::FakeRuntime;

/// All images are there.
struct Present;

impl ImageSource for Present {
    fn pull(&self, _: &str, _: Option<&str>, _: &dyn Events, _: &AtomicBool) -> Result<(), ImageError> {
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

fn project(services: usize) -> Project {
    let home = tempfile::tempdir().unwrap();
    let mut text = "services:\n".to_owned();
    for number in 0..services {
        let port = 10_000 + number;
        write!(
            text,
            "  s{number}:\n    image: app\n    environment: {{A: b, C: d, E: f{number}}}\n    ports: ['{port}:80']\n    volumes: ['data:/data']\n    labels: {{team: x}}\n    networks: [n{}]\n",
            number / 200
        )
        .unwrap();
        if number > 0 {
            writeln!(text, "    depends_on: [s{}]", number / 2).unwrap();
        }
    }
    text.push_str("volumes: {data: {}}\nnetworks: {n0: {}, n1: {}, n2: {}, n3: {}, n4: {}}\n");
    std::fs::write(home.path().join("compose.yaml"), text).unwrap();
    load(&Options::new(LoadOptions::new(home.path(), Vec::new())))
        .project
        .unwrap()
}

fn best<T>(mut work: impl FnMut() -> T) -> Duration {
    let once = |work: &mut dyn FnMut() -> T| {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed()
    };
    (0..10).map(|_| once(&mut work)).min().unwrap_or_default()
}

fn main() {
    println!("services   lower+hash   plan from nothing   plan, nothing to do");
    for services in [1, 100, 1_000] {
        let project = project(services);
        let facts = Facts::default();
        let lowering = best(|| prepare(&project, &facts).unwrap());
        let prepared = prepare(&project, &facts).unwrap();
        let (wanted, graph, up) = (&prepared.wanted, &prepared.graph, Intent::Up(Up::default()));
        let fake = FakeRuntime::new([("app", "1")]);
        let nothing = observe(&fake, &Present, wanted).unwrap();
        let first = best(|| plan(wanted, graph, &nothing, &up));
        let cancel = AtomicBool::new(false);
        let executor = Executor {
            runtime: &fake,
            images: &Present,
            events: &Silent,
            cancel: &cancel,
            parallel: 8,
            deadline: None,
        };
        assert!(
            executor
                .execute(&plan(wanted, graph, &nothing, &up))
                .failures
                .is_empty()
        );
        let running = observe(&fake, &Present, wanted).unwrap();
        let again = best(|| plan(wanted, graph, &running, &up));
        assert!(plan(wanted, graph, &running, &up).is_empty());
        println!("{services:>8} {lowering:>12.2?} {first:>19.2?} {again:>21.2?}");
    }
}
