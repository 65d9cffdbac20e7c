//! In: `rcompose top`. Out: the processes of the running containers, as docker compose lays them out.
//! **Invariant:** nothing is executed inside a container.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rcompose_runtime::state::{ContainerState, Status};
use rcompose_runtime::{ProcessRow, RuntimeError};

use super::Context;
use crate::error::CliError;
use crate::ui::follower::label;
use crate::ui::print;
use crate::ui::table::Table;

/// Options of `rcompose top`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// A process that started longer ago is shown with its day instead of its time.
const DAY: u64 = 24 * 60 * 60;

/// Lists processes.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let subject = context.subject(false)?;
    let mut containers = context.containers_of(&subject, &args.services)?;
    containers.retain(|container| args.services.is_empty() || args.services.contains(&container.service));
    containers.sort_by(|one, other| one.name.cmp(&other.name));
    let runtime = context.runtime()?;
    let mut table = Table::new(&[
        "SERVICE", "#", "UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD",
    ]);
    for container in containers.iter().filter(|container| runs(container)) {
        let processes = match runtime.top(&container.id) {
            Ok(processes) => processes,
            // It ended meanwhile.
            Err(RuntimeError::NotFound { .. } | RuntimeError::Invalid(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        for process in &processes {
            table.row(row(container, process, &TimeZone::system()));
        }
    }
    print::out(&table.render())?;
    Ok(())
}

fn runs(container: &ContainerState) -> bool {
    match container.status {
        Status::Running | Status::Paused => true,
        Status::Created | Status::Restarting | Status::Exited { .. } => false,
    }
}

fn row(container: &ContainerState, process: &ProcessRow, zone: &TimeZone) -> Vec<String> {
    let name = if container.one_off {
        label(container)
    } else {
        &container.service
    };
    vec![
        name.to_owned(),
        container.number.to_string(),
        if process.uid == 0 {
            "root".to_owned()
        } else {
            process.uid.to_string()
        },
        process.pid.to_string(),
        process.parent.to_string(),
        usage(process).to_string(),
        started(process, zone),
        process.terminal.clone(),
        clock(process.cpu_seconds),
        process.command.clone(),
    ]
}

/// Percentage of a processor over the process's life, at most 99 (ps(1), `C`).
fn usage(process: &ProcessRow) -> u64 {
    (process.cpu_seconds * 100 / process.elapsed_seconds.max(1)).min(99)
}

/// `HH:MM`, or `Jan02` when it is more than a day ago (ps(1), `STIME`).
fn started(process: &ProcessRow, zone: &TimeZone) -> String {
    let seconds = i64::try_from(process.started).unwrap_or(i64::MAX);
    let Ok(time) = Timestamp::from_second(seconds) else {
        return "?".to_owned();
    };
    let form = if process.elapsed_seconds < DAY {
        "%H:%M"
    } else {
        "%b%d"
    };
    time.to_zoned(zone.clone()).strftime(form).to_string()
}

fn clock(seconds: u64) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_read_as_ps_prints_them() {
        let mut process = ProcessRow {
            uid: 0,
            pid: 7,
            parent: 1,
            started: 1_700_000_000,
            terminal: "?".to_owned(),
            cpu_seconds: 3723,
            elapsed_seconds: 7446,
            command: "httpd -f".to_owned(),
        };
        assert_eq!(started(&process, &TimeZone::UTC), "22:13");
        assert_eq!(
            (clock(process.cpu_seconds).as_str(), usage(&process)),
            ("01:02:03", 50)
        );
        process.elapsed_seconds = 0;
        assert_eq!(usage(&process), 99);
        process.elapsed_seconds = 2 * DAY;
        assert_eq!(started(&process, &TimeZone::UTC), "Nov14");
    }
}
