//! In: `rcompose builder prune`. Out: what builds keep for later ones removed, all of it or what was used longest ago.
//! **Invariant:** what a build under way, a container or an image uses stays.

use rcompose_runtime::image_store::build::cache::BuildCache;
use rcompose_runtime::image_store::build::{CacheRecord, RecordKind, Room};

use super::filter::Filters;
use super::{check, details, table};
use crate::commands::Context;
use crate::commands::image::collect;
use crate::commands::image::prune::{confirm, space};
use crate::error::CliError;
use crate::ui::{age, print};

/// Options of `rcompose builder prune`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Forget the steps of images that are here, too, and what builds keep for themselves
    #[arg(short = 'a', long)]
    pub all: bool,
    /// Name of a buildx builder: there is only `default`
    #[arg(long, value_name = "NAME")]
    pub builder: Option<String>,
    /// Only what fits: until=24h, id=, type=, description=, shared, private, mutable; with = != or ~= (a regular expression)
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(short = 'f', long)]
    pub force: bool,
    /// So much may stay, such as 5GB: remove what was used longest ago, and only until no more is left
    #[arg(long, value_name = "BYTES", alias = "keep-storage")]
    pub reserved_space: Option<String>,
    /// Remove what was used longest ago, and only until the rest takes no more than this
    #[arg(long, value_name = "BYTES")]
    pub max_used_space: Option<String>,
    /// Remove what was used longest ago, and only until so much of the disk is free
    #[arg(long, value_name = "BYTES")]
    pub min_free_space: Option<String>,
    /// Show everything about what is removed
    #[arg(long)]
    pub verbose: bool,
}

/// Removes.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    check(args.builder.as_deref())?;
    let filters = Filters::parse(&args.filter)?;
    let room = Room {
        reserved: space("reserved-space", args.reserved_space.as_deref())?,
        max_used: space("max-used-space", args.max_used_space.as_deref())?,
        min_free: space("min-free-space", args.min_free_space.as_deref())?,
    };
    let what = if args.all {
        "all that builds keep for later ones"
    } else {
        "what builds keep for later ones, but for the steps of images that are here"
    };
    if context.only_says(&format!("remove {what}")) || !confirm(args.force, what)? {
        return Ok(());
    }
    let runtime = context.runtime()?;
    let store = runtime.images()?;
    runtime.end_killed_builds()?;
    let fits = |record: &CacheRecord| {
        // What docker keeps without --all: what images share, and its own.
        let is_asked = args.all || !record.shared && record.kind != RecordKind::CopiedFiles;
        is_asked && filters.pass(record)
    };
    // What a cut build left and nobody names is no part of what is kept.
    let before = collect(context, store)?;
    let removed = BuildCache::of(store).prune(&room, &fits)?;
    let after = collect(context, store)?;
    let others = removed.iter().filter(|record| record.kind != RecordKind::Step);
    let freed = before.bytes + after.bytes + others.map(|record| record.size).sum::<u64>();
    if args.verbose {
        print::out(&details(&removed))?;
    } else if !removed.is_empty() {
        print::out(&table(&removed))?;
    }
    if after.busy && removed.iter().any(|record| record.kind == RecordKind::Step) {
        print::err(
            "note: a build, a pull or a start is under way: the layers of these steps go with the next prune\n",
        );
    }
    print::out(&format!("Total:          {}\n", age::size(freed)))?;
    Ok(())
}
