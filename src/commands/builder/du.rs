//! In: `rcompose builder du`. Out: what builds keep for later ones, each with its size, its last use and whether it can go.
//! **Invariant:** nothing is changed.

use rcompose_runtime::image_store::build::CacheRecord;
use rcompose_runtime::image_store::build::cache::BuildCache;

use super::filter::Filters;
use super::{check, details, record, table};
use crate::commands::Context;
use crate::commands::listing::{by_template, lines};
use crate::error::CliError;
use crate::ui::{age, print};

/// Options of `rcompose builder du`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Name of a buildx builder: there is only `default`
    #[arg(long, value_name = "NAME")]
    pub builder: Option<String>,
    /// Only what fits: id=, type=, description=, until=24h, inuse, shared, private, mutable; with = != or ~= (a regular expression)
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// table, json, pretty, or a template such as {{.ID}}
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Show everything about each: the same as --format pretty
    #[arg(long)]
    pub verbose: bool,
}

/// Shows it.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    check(args.builder.as_deref())?;
    let filters = Filters::parse(&args.filter)?;
    let format = match (args.format.as_deref(), args.verbose) {
        (Some(format), true) if format != "pretty" => {
            return Err(CliError::usage(format!(
                "--verbose is --format pretty, and --format {format} is something else: give one of them"
            )));
        }
        (_, true) => "pretty",
        (format, false) => format.unwrap_or_default(),
    };
    let store = context.runtime()?.images()?;
    let mut records = BuildCache::of(store).records()?;
    records.retain(|record| filters.pass(record));
    // As docker: what was used last first.
    records.reverse();
    let text = match format {
        "" | "table" => format!("{}{}", table(&records), sums(&records)),
        "pretty" => format!("{}{}", details(&records), sums(&records)),
        "json" => lines(records.iter().map(|each| record(each).to_string())),
        template => by_template(template, &records, &record)?,
    };
    print::out(&text)?;
    Ok(())
}

/// Bytes of all that is shown, in docker's words.
fn sums(records: &[CacheRecord]) -> String {
    let sum = |fits: &dyn Fn(&&CacheRecord) -> bool| -> u64 {
        records.iter().filter(fits).map(|record| record.size).sum()
    };
    let shared = sum(&|record| record.shared);
    let mut sums = Vec::new();
    if shared > 0 {
        sums.push(("Shared:", shared));
        sums.push(("Private:", sum(&|record| !record.shared)));
    }
    sums.push(("Reclaimable:", sum(&|record| !record.in_use)));
    sums.push(("Total:", sum(&|_| true)));
    lines(
        sums.iter()
            .map(|(name, bytes)| format!("{name:<16}{}", age::size(*bytes))),
    )
}
