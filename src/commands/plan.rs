//! In: `rcompose plan`. Out: what `up` would change, each step with its reason. **Invariant:** nothing is changed.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::creation::{recreate, remove_orphans};
use super::{Context, StoreImages, service_names};
use crate::error::CliError;
use crate::plan::{Intent, Step, StepId, Up};
use crate::ui::{print, report};

/// Options of `rcompose plan`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// As for up
    #[arg(long)]
    pub force_recreate: bool,
    /// As for up
    #[arg(long)]
    pub remove_orphans: bool,
    /// Format
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// How a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One step a line.
    Text,
    /// One array.
    Json,
}

/// Prints the plan.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let files = context.load(&args.services)?;
    let intent = Intent::Up(Up {
        services: service_names(&args.services),
        recreate: recreate(args.force_recreate, false)?,
        remove_orphans: remove_orphans(context, args.remove_orphans),
        ..Up::default()
    });
    let images = StoreImages::new(context, Some(&files));
    let preview = context.preview(&files.prepare()?, Some(&files), &intent, &images)?;
    match args.format {
        Format::Text => {
            report::print(&preview.plan.notes, &files.sources);
            let text = preview.to_string();
            print::out(if text.is_empty() {
                "nothing to change\n"
            } else {
                &text
            })?;
        }
        Format::Json => {
            let first = preview.images.steps.len();
            let images = preview.images.steps.iter().enumerate();
            let images = images.map(|(at, step)| value(at, 0, step));
            let steps = preview.plan.steps.iter().enumerate();
            let steps = steps.map(|(at, step)| value(at, first, step));
            let all: Vec<Value> = images.chain(steps).collect();
            print::out(&format!("{:#}\n", Value::from(all)))?;
        }
    }
    Ok(())
}

/// A step; ids count on from `first`.
fn value(at: usize, first: usize, step: &Step) -> Value {
    let after: Vec<usize> = step.after.iter().map(|StepId(before)| before + first).collect();
    json!({
        "id": at + first,
        "action": step.action.verb(),
        "name": step.action.subject(),
        "service": step.action.service(),
        "reason": step.reason.to_string(),
        "after": after,
    })
}
