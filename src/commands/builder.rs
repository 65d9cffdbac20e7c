//! In: `rcompose builder du|prune`. Out: what builds keep for later ones, as docker spells it; less of it.

mod du;
mod filter;
mod prune;

use rcompose_runtime::image_store::build::CacheRecord;
use serde_json::{Value, json};

use super::Context;
use super::listing::lines;
use crate::error::CliError;
use crate::ui::age;
use crate::ui::table::Table;

/// Options of `rcompose builder`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs of `rcompose builder`.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Show what builds keep for later ones
    Du(du::Args),
    /// Remove what builds keep for later ones
    Prune(prune::Args),
}

/// Shows, or removes.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    match &args.command {
        Command::Du(args) => du::run(context, args),
        Command::Prune(args) => prune::run(context, args),
    }
}

/// `--builder` of this verb and of `build`: there is one.
pub(super) fn check(name: Option<&str>) -> Result<(), CliError> {
    match name {
        None | Some("default") => Ok(()),
        Some(_) => Err(CliError::unsupported_flag(
            "--builder",
            "rcompose builds by itself, without buildx: leave it out, or write `default`",
        )),
    }
}

/// How long ago it was used last.
fn last_used(record: &CacheRecord) -> String {
    let since = record.last_used.elapsed().unwrap_or_default();
    format!("{} ago", age::words(since))
}

/// docker's columns: a star at an id says that the content may change, one at a size that an image has the layer, too.
fn table(records: &[CacheRecord]) -> String {
    let star = |is: bool| if is { "*" } else { "" };
    let mut table = Table::new(&["ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED"]);
    for record in records {
        table.row(vec![
            format!("{}{}", record.id, star(record.kind.is_mutable())),
            (!record.in_use).to_string(),
            format!("{}{}", age::size(record.size), star(record.shared)),
            last_used(record),
        ]);
    }
    table.render()
}

/// Everything about each, as `--verbose` shows it.
fn details(records: &[CacheRecord]) -> String {
    let mut text = Vec::new();
    for record in records {
        let lines = [
            ("ID", record.id.clone()),
            ("Created at", record.created.clone().unwrap_or_default()),
            ("Mutable", record.kind.is_mutable().to_string()),
            ("Reclaimable", (!record.in_use).to_string()),
            ("Shared", record.shared.to_string()),
            ("Size", age::size(record.size)),
            ("Description", record.description.clone()),
            ("Last used", last_used(record)),
            ("Type", record.kind.name().to_owned()),
        ];
        for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
            text.push(format!("{:<16}{value}", format!("{name}:")));
        }
        text.push(String::new());
    }
    lines(text.into_iter())
}

/// The keys are docker's.
fn record(record: &CacheRecord) -> Value {
    json!({
        "CreatedAt": record.created,
        "Description": record.description,
        "ID": record.id,
        "LastUsedAt": last_used(record),
        "Mutable": record.kind.is_mutable(),
        "Reclaimable": !record.in_use,
        "Shared": record.shared,
        "Size": age::size(record.size),
        "Type": record.kind.name(),
    })
}
