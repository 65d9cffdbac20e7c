//! In: `rcompose ps`. Out: the containers of a project, as a table, JSON lines, by a template, as ids or as services.
//! **Invariant:** nothing is changed, no lock is taken, and a file that is wrong hides nothing.

use indexmap::IndexSet;
use jiff::Timestamp;
use rcompose_runtime::state::{ContainerState, Status};
use serde_json::Value;

use super::listing::{by_template, lines};
use super::{Context, Subject};
use crate::error::CliError;
use crate::state::rejected_reload::RejectedReload;
use crate::ui::age;
use crate::ui::container_view;
use crate::ui::print;
use crate::ui::table::Table;

/// Options of `rcompose ps`.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub struct Args {
    /// Show stopped containers too, and those of run
    #[arg(short = 'a', long)]
    pub all: bool,
    /// Filter by status, such as status=running
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// table, json, or a template such as {{.Name}}
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Only containers with this status
    #[arg(long, value_name = "STATUS")]
    pub status: Vec<String>,
    /// Print ids only
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Print services only
    #[arg(long = "services")]
    pub only_services: bool,
    /// Print whole ids and commands
    #[arg(long)]
    pub no_trunc: bool,
    /// Include containers whose service the file no longer has (--orphans=false leaves them out)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub orphans: bool,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// States that can be asked for; docker compose knows two more, which no container here is ever in.
const STATES: [&str; 7] = [
    "created",
    "running",
    "paused",
    "restarting",
    "exited",
    "removing",
    "dead",
];

/// Lists containers.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let statuses = statuses(args)?;
    let subject = context.subject(!args.orphans)?;
    let containers = context.containers_of(&subject, &args.services)?;
    let shown = select(containers, args, &statuses, &subject);
    print::out(&text(&shown, args, Timestamp::now())?)?;
    if matches!(args.format.as_deref(), None | Some("table" | "pretty" | ""))
        && !args.quiet
        && !args.only_services
    {
        print::err(&footer(context, &subject.project)?);
    }
    Ok(())
}

/// `--status` and `--filter status=`, checked.
fn statuses(args: &Args) -> Result<Vec<String>, CliError> {
    let mut statuses = args.status.clone();
    for filter in &args.filter {
        match filter.split_once('=') {
            Some(("status", status)) => statuses.push(status.to_owned()),
            Some(("source", _)) => {
                return Err(CliError::unsupported_flag(
                    "--filter source",
                    "it has no meaning to rcompose",
                ));
            }
            Some((key, _)) => {
                return Err(
                    CliError::usage(format!("unknown filter {key}")).with_hint("use --filter status=STATUS")
                );
            }
            None => {
                return Err(CliError::usage(format!(
                    "--filter {filter}: a filter is KEY=VALUE"
                )));
            }
        }
    }
    match statuses.iter().find(|status| !STATES.contains(&status.as_str())) {
        Some(wrong) => Err(CliError::usage(format!("unknown status {wrong}"))
            .with_hint(format!("a status is one of {}", STATES.join(", ")))),
        None => Ok(statuses),
    }
}

fn select(
    containers: Vec<ContainerState>,
    args: &Args,
    statuses: &[String],
    subject: &Subject,
) -> Vec<ContainerState> {
    let mut shown: Vec<ContainerState> = containers
        .into_iter()
        .filter(|container| args.services.is_empty() || args.services.contains(&container.service))
        .filter(|container| match statuses {
            [] => args.all || is_shown_by_default(container.status),
            wanted => wanted
                .iter()
                .any(|status| status == container_view::state_word(container.status)),
        })
        .filter(|container| args.all || !container.one_off)
        .filter(|container| match &subject.declared {
            Some(declared) if !args.orphans => declared.contains(&container.service),
            Some(_) | None => true,
        })
        .collect();
    shown.sort_by(|one, other| one.name.cmp(&other.name));
    shown
}

/// Without `-a` there are containers with processes only.
fn is_shown_by_default(status: Status) -> bool {
    match status {
        Status::Running | Status::Paused | Status::Restarting => true,
        Status::Created | Status::Exited { .. } => false,
    }
}

fn text(shown: &[ContainerState], args: &Args, now: Timestamp) -> Result<String, CliError> {
    if args.quiet {
        return Ok(lines(shown.iter().map(|container| container.id.clone())));
    }
    if args.only_services {
        let services: IndexSet<&String> = shown.iter().map(|container| &container.service).collect();
        return Ok(lines(services.into_iter().cloned()));
    }
    match args.format.as_deref() {
        None | Some("table" | "pretty" | "") => {
            let mut table = Table::new(&[
                "NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS",
            ]);
            for container in shown {
                table.row(container_view::row(container, now, args.no_trunc));
            }
            Ok(table.render())
        }
        Some("json") => {
            let records = shown
                .iter()
                .map(|container| record(container, now, args.no_trunc));
            Ok(lines(records.map(|record| record.to_string())))
        }
        Some(template) => by_template(template, shown, &|container| {
            record(container, now, args.no_trunc)
        }),
    }
}

fn record(container: &ContainerState, now: Timestamp, whole: bool) -> Value {
    let mut record = container_view::record(container, now);
    if whole {
        record["ID"] = container.id.clone().into();
        record["Command"] = container_view::command_text(&container.command, true).into();
    }
    record
}

/// The rejected reload of a project, as long as it is one.
fn footer(context: &Context, project: &str) -> Result<String, CliError> {
    let Some(rejected) = RejectedReload::read(&context.project_dir(project)?)? else {
        return Ok(String::new());
    };
    let ago = Timestamp::now().duration_since(rejected.since);
    let heading = format!(
        "The files are wrong since {} ({} ago); what runs is what they said before:",
        rejected.since.strftime("%Y-%m-%d %H:%M:%S UTC"),
        age::words(ago.try_into().unwrap_or_default()),
    );
    let heading = context.stderr.style.yellow(&heading);
    Ok(format!("\n{heading}\n{}\n", rejected.rendered.trim_end()))
}
