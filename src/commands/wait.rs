//! In: `rcompose wait`. Out: the exit codes of services' containers, once they have ended.
//! **Invariant:** the exit code is that of the last container that ended.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use rcompose_runtime::state::{ContainerState, Status};
use rcompose_runtime::{Runtime, RuntimeError};

use super::Context;
use super::session::exit;
use crate::error::CliError;
use crate::plan::{Down, Intent};
use crate::ui::print;

/// Options of `rcompose wait`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Bring the project down when the first container ended
    #[arg(long)]
    pub down_project: bool,
    /// Services; none means all
    #[arg(value_name = "SERVICE", required = true)]
    pub services: Vec<String>,
}

/// Waits for containers.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let subject = context.subject(false)?;
    let mut containers = context.containers_of(&subject, &args.services)?;
    containers.retain(|container| !container.one_off && args.services.contains(&container.service));
    if containers
        .iter()
        .all(|container| container.status == Status::Created)
    {
        return Err(CliError::user(format!(
            "no container of {} was ever started",
            args.services.join(", ")
        )));
    }
    let cancel = context.cancel()?;
    let code = wait_for(context, &containers, args.down_project, cancel)?;
    if args.down_project {
        let target = context.target(&[])?;
        let outcome = context.operate("down", &target, &Intent::Down(Down::default()));
        outcome.map(drop)?;
    }
    exit(code)
}

/// Tells each end as it comes; the last code, or, with `first`, the first one.
fn wait_for(
    context: &Context,
    containers: &[ContainerState],
    first: bool,
    cancel: &AtomicBool,
) -> Result<i32, CliError> {
    let runtime = context.runtime()?;
    let over = AtomicBool::new(false);
    let (sender, ends) = mpsc::channel();
    std::thread::scope(|scope| {
        for container in containers
            .iter()
            .filter(|container| container.status != Status::Created)
        {
            let (sender, over) = (sender.clone(), &over);
            scope.spawn(move || {
                let ended = runtime.wait_exited(&container.id, None, over);
                // Nobody listens any more when the first end was enough.
                sender.send((container, ended)).unwrap_or_default();
            });
        }
        drop(sender);
        let told = listen(&ends, first, cancel);
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        told
    })
}

type End<'a> = (&'a ContainerState, Result<i32, RuntimeError>);

fn listen(ends: &mpsc::Receiver<End<'_>>, first: bool, cancel: &AtomicBool) -> Result<i32, CliError> {
    const CANCEL_CHECK: std::time::Duration = std::time::Duration::from_millis(50);
    let mut last = 0;
    loop {
        match ends.recv_timeout(CANCEL_CHECK) {
            Ok((container, ended)) => {
                last = ended?;
                print::out(&format!(
                    "container \"{}\" exited with status code {last}\n",
                    container.id
                ))?;
                if first {
                    return Ok(last);
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(last),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if cancel.load(std::sync::atomic::Ordering::Relaxed) {
                    return Err(CliError::interrupted());
                }
            }
        }
    }
}
