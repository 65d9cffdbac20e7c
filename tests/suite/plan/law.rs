//! The law of the engine: plan and execute, and the next plan is empty; from any state, and after a cut at any effect.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rcompose::engine::Prepared;
use rcompose::model::service::Condition;
use rcompose::plan::{Action, Down, Intent, Plan, Recreate, Starts, StepId, Up};
use rcompose_runtime::state::Status;
use rcompose_runtime::{FakeRuntime, Runtime};

use super::imagined::{Imaginary, PROJECT, execute, imaginary, look, plan_on, service_name};

/// Something that happened to the host earlier.
#[derive(Debug, Clone)]
enum Happening {
    Up(Imaginary, Option<usize>, bool),
    Down(bool, Option<usize>),
    Stop(usize, Option<usize>),
    Crash(usize, i32),
    Reboot,
    NewImage,
}

fn happening() -> impl Strategy<Value = Happening> {
    let cut = || prop::option::of(0..12_usize);
    prop_oneof![
        4 => (imaginary(), cut(), any::<bool>()).prop_map(|(project, cut, force)| Happening::Up(project, cut, force)),
        1 => (any::<bool>(), cut()).prop_map(|(volumes, cut)| Happening::Down(volumes, cut)),
        1 => (0..5_usize, cut()).prop_map(|(service, cut)| Happening::Stop(service, cut)),
        2 => (0..8_usize, 0..2_i32).prop_map(|(which, code)| Happening::Crash(which, code)),
        1 => Just(Happening::Reboot),
        1 => Just(Happening::NewImage),
    ]
}

fn past() -> impl Strategy<Value = Vec<Happening>> {
    prop::collection::vec(happening(), 0..4)
}

fn live_through(past: &[Happening]) -> FakeRuntime {
    let fake = FakeRuntime::new([("img", "1")]);
    let mut last = Prepared::default();
    for (number, happening) in past.iter().enumerate() {
        let (intent, cut) = match happening {
            Happening::Up(project, cut, force) => {
                last = project.prepare();
                let recreate = if *force {
                    Recreate::Force
                } else {
                    Recreate::Diverged
                };
                let up = Up {
                    recreate,
                    ..Up::default()
                };
                (Intent::Up(up), *cut)
            }
            Happening::Down(volumes, cut) => {
                let down = Down {
                    volumes: *volumes,
                    ..Down::default()
                };
                (Intent::Down(down), *cut)
            }
            Happening::Stop(service, cut) => {
                let services = vec![rcompose::model::ServiceName::new(service_name(*service))];
                (
                    Intent::Stop {
                        services,
                        timeout: None,
                    },
                    *cut,
                )
            }
            Happening::Crash(which, code) => {
                if let Some(container) = look(&fake, &last).containers.get(*which) {
                    fake.crash(&container.name, *code);
                }
                continue;
            }
            Happening::Reboot => {
                fake.reboot();
                continue;
            }
            Happening::NewImage => {
                fake.set_image("img", &format!("new{number}"));
                continue;
            }
        };
        PROJECT.clone_into(&mut last.wanted.project);
        if let Some(effects) = cut {
            fake.cut_after(effects);
        }
        let _outcome = execute(&fake, &plan_on(&fake, &last, &intent));
        fake.heal();
    }
    fake
}

fn up() -> Intent {
    Intent::Up(Up {
        remove_orphans: true,
        ..Up::default()
    })
}

/// What is planned once all is done: a job that ended is run again by `up`, but not by a reload.
fn again(project: &Imaginary) -> Intent {
    let start = if project.has_jobs() {
        Starts::Interrupted
    } else {
        Starts::All
    };
    Intent::Up(Up {
        remove_orphans: true,
        start,
        ..Up::default()
    })
}

/// Brings a project up and proves that nothing is left to do.
fn settle(fake: &FakeRuntime, project: &Imaginary, prepared: &Prepared) -> Result<(), TestCaseError> {
    let first = plan_on(fake, prepared, &up());
    let outcome = execute(fake, &first);
    prop_assert!(outcome.failures.is_empty(), "{:?}\nof\n{first}", outcome.failures);
    prop_assert_eq!(outcome.skipped, 0);
    let second = plan_on(fake, prepared, &again(project));
    prop_assert!(second.is_empty(), "after\n{first}\nthere is still\n{second}");
    for (at, service) in project.services.iter().enumerate() {
        let containers = look(fake, prepared).containers;
        let own: Vec<_> = containers
            .iter()
            .filter(|state| state.service == service_name(at))
            .collect();
        prop_assert_eq!(own.len(), usize::try_from(service.scale).unwrap_or(0));
        let numbers: BTreeSet<u32> = own.iter().map(|state| state.number).collect();
        prop_assert_eq!(numbers.len(), own.len(), "numbers are unique");
        for state in own {
            let up = matches!(state.status, Status::Running | Status::Exited { code: 0 });
            prop_assert!(up, "{} is {:?}", state.name, state.status);
            prop_assert!(!state.name.contains('_'), "{} has a temporary name", state.name);
        }
    }
    Ok(())
}

/// Steps that a step waits for, directly or not.
fn before(plan: &Plan, step: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![step];
    while let Some(at) = open.pop() {
        for StepId(earlier) in &plan.steps[at].after {
            if found.insert(*earlier) {
                open.push(*earlier);
            }
        }
    }
    found
}

/// Steps only wait for earlier ones, and starts and stops keep the order of dependencies.
fn check_order(project: &Imaginary, plan: &Plan) -> Result<(), TestCaseError> {
    for (at, step) in plan.steps.iter().enumerate() {
        prop_assert!(step.after.iter().all(|StepId(earlier)| *earlier < at));
    }
    let of = |service: usize, stops: bool| {
        let name = service_name(service);
        let starts = |action: &Action| matches!(action, Action::Start(container) if container.service.as_str() == name);
        let ends = |action: &Action| matches!(action, Action::Stop(container, _) if container.service.as_str() == name);
        let steps = plan.steps.iter().enumerate();
        let found = steps.filter(|(_, step)| {
            if stops {
                ends(&step.action)
            } else {
                starts(&step.action)
            }
        });
        found.map(|(at, _)| at).collect::<Vec<usize>>()
    };
    for (dependent, service) in project.services.iter().enumerate() {
        for (dependency, condition, _) in &service.depends_on {
            for start in of(dependent, false) {
                let earlier = before(plan, start);
                for needed in of(*dependency, false) {
                    prop_assert!(
                        earlier.contains(&needed),
                        "s{dependent} starts before s{dependency}:\n{plan}"
                    );
                }
                let name = service_name(*dependency);
                let gates = |action: &Action| matches!(action, Action::Wait { service, condition: met, .. } if service.as_str() == name && met == condition);
                let gate = plan.steps.iter().position(|step| gates(&step.action));
                if *condition != Condition::Started && !of(*dependency, false).is_empty() {
                    let gate = gate.ok_or_else(|| TestCaseError::fail(format!("no gate in\n{plan}")))?;
                    prop_assert!(earlier.contains(&gate), "{plan}");
                }
            }
            for stop in of(*dependency, true) {
                let earlier = before(plan, stop);
                for dependent_stop in of(dependent, true) {
                    prop_assert!(
                        earlier.contains(&dependent_stop),
                        "s{dependency} stops before s{dependent}:\n{plan}"
                    );
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_an_up_from_any_state_nothing_is_left_to_do(past in past(), project in imaginary()) {
        let fake = live_through(&past);
        settle(&fake, &project, &project.prepare())?;
    }

    #[test]
    fn after_a_cut_at_any_effect_the_next_up_ends_where_the_first_would_have(
        past in past(),
        project in imaginary(),
        cut in 0..40_usize,
    ) {
        let fake = live_through(&past);
        let prepared = project.prepare();
        fake.cut_after(cut);
        let _outcome = execute(&fake, &plan_on(&fake, &prepared, &up()));
        fake.heal();
        settle(&fake, &project, &prepared)?;
    }

    #[test]
    fn plans_keep_the_order_of_dependencies(past in past(), project in imaginary()) {
        let fake = live_through(&past);
        let prepared = project.prepare();
        check_order(&project, &plan_on(&fake, &prepared, &up()))?;
        let _outcome = execute(&fake, &plan_on(&fake, &prepared, &up()));
        for intent in [
            Intent::Down(Down::default()),
            Intent::Stop { services: Vec::new(), timeout: None },
            Intent::Up(Up { recreate: Recreate::Force, ..Up::default() }),
        ] {
            check_order(&project, &plan_on(&fake, &prepared, &intent))?;
        }
    }

    #[test]
    fn after_a_down_from_any_state_nothing_is_there(past in past(), project in imaginary(), cut in prop::option::of(0..20_usize)) {
        let fake = live_through(&past);
        let prepared = project.prepare();
        let down = Intent::Down(Down { volumes: true, remove_orphans: true, ..Down::default() });
        if let Some(cut) = cut {
            fake.cut_after(cut);
            let _outcome = execute(&fake, &plan_on(&fake, &prepared, &down));
            fake.heal();
        }
        let outcome = execute(&fake, &plan_on(&fake, &prepared, &down));
        prop_assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        prop_assert!(fake.containers(PROJECT).unwrap().is_empty());
        prop_assert!(fake.networks(PROJECT).unwrap().is_empty());
        prop_assert!(fake.volumes(PROJECT).unwrap().is_empty());
        prop_assert!(plan_on(&fake, &prepared, &down).is_empty());
    }

    #[test]
    fn stopped_and_started_again_all_is_as_it_was(past in past(), project in imaginary()) {
        let fake = live_through(&past);
        let prepared = project.prepare();
        settle(&fake, &project, &prepared)?;
        let running = |fake: &FakeRuntime| {
            let containers = look(fake, &prepared).containers;
            containers.into_iter().filter(|state| state.status == Status::Running).map(|state| state.id).collect::<Vec<_>>()
        };
        let before = running(&fake);
        let stop = Intent::Stop { services: Vec::new(), timeout: None };
        prop_assert!(execute(&fake, &plan_on(&fake, &prepared, &stop)).failures.is_empty());
        prop_assert!(plan_on(&fake, &prepared, &stop).is_empty());
        prop_assert!(running(&fake).is_empty());
        let up = Intent::Up(Up { start: Starts::Interrupted, ..Up::default() });
        let plan = plan_on(&fake, &prepared, &up);
        let outcome = execute(&fake, &plan);
        prop_assert!(outcome.failures.is_empty(), "{:?} of\n{plan}", outcome.failures);
        prop_assert_eq!(running(&fake), before, "a reload starts what was stopped, and not what ended by itself");
    }
}
