//! In: `rcompose image prune`. Out: images that no container uses removed, all of them or only until the rest fits a cap.
//! **Invariant:** what a container, a build or a pull under way needs stays; with a cap, what was used last stays longest.

use std::time::SystemTime;

use rcompose_runtime::image_store::build::cache::BuildCache;
use rcompose_runtime::image_store::build::{CacheRecord, RecordKind};
use rcompose_runtime::image_store::{Digest, Image, ImageError};

use super::filter::Filters;
use super::{collect, story};
use crate::commands::Context;
use crate::error::CliError;
use crate::model::units::parse_bytes;
use crate::ui::{age, print};

/// Options of `rcompose image prune`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Remove images with names, too, unless a container uses them
    #[arg(short = 'a', long)]
    pub all: bool,
    /// Only images that fit: until=24h, label=KEY[=VALUE], label!=KEY[=VALUE], dangling=BOOL
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Remove what was used longest ago, and only until all layers together take no more than this, such as 20GB
    #[arg(long, value_name = "BYTES", alias = "keep-storage")]
    pub max_used_space: Option<String>,
}

/// What is asked before anything is removed.
pub(in crate::commands) fn confirm(force: bool, what: &str) -> Result<bool, CliError> {
    if force {
        return Ok(true);
    }
    match print::ask(&format!("This removes {what}. Go on? [y/N] ")) {
        Some(answer) => Ok(answer),
        None => Err(CliError::user(format!("this would remove {what}"))
            .with_hint("there is no terminal to ask on: give --force")),
    }
}

/// Removes images.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let what = if args.all {
        "all images that no container uses"
    } else {
        "all images without a name that no container uses"
    };
    let cap = space("max-used-space", args.max_used_space.as_deref())?;
    let store = context.runtime()?.images()?;
    let filters = Filters::parse(&args.filter, &["until", "label", "dangling"], store)?;
    if !confirm(args.force, what)? {
        return Ok(());
    }
    let freed = remove_unused(context, &filters, args.all, None, cap)?;
    print::out(&format!("Total reclaimed space: {}\n", age::size(freed)))?;
    Ok(())
}

/// The bytes that `--<flag>` limits the disk to, where it is given.
pub(in crate::commands) fn space(flag: &str, text: Option<&str>) -> Result<Option<u64>, CliError> {
    let Some(text) = text else { return Ok(None) };
    match parse_bytes(text).ok().and_then(|bytes| u64::try_from(bytes).ok()) {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(CliError::usage(format!(
            "--{flag} {text}: expected a size such as 20GB or 500MB"
        ))),
    }
}

/// Something that may go.
enum Unused {
    Image(Box<Image>),
    Kept(Box<CacheRecord>),
}

/// Removes images without a container and the given records of builds, those used longest ago first; with a cap only until what is left
/// takes no more: all layers, and whatever else builds keep where records are given. Bytes that were freed.
pub(in crate::commands) fn remove_unused(
    context: &Context,
    filters: &Filters,
    all: bool,
    kept: Option<Vec<CacheRecord>>,
    cap: Option<u64>,
) -> Result<u64, CliError> {
    let runtime = context.runtime()?;
    let store = runtime.images()?;
    let cache = BuildCache::of(store);
    let used = runtime.images_in_use()?;
    let is_used = |id: &Digest| used.contains(&id.to_string());
    let mut unused: Vec<(SystemTime, Unused)> = Vec::new();
    for image in store.list()? {
        let named = image.references.iter().any(|name| name.digest().is_none());
        if !is_used(&image.id) && (all || !named) && filters.pass(&image, None) {
            unused.push((store.last_used(&image.id)?, Unused::Image(Box::new(image))));
        }
    }
    // What is no layer counts against the cap where it may go.
    let mut beside_layers = 0;
    if kept.is_some() {
        let others = cache
            .records()?
            .into_iter()
            .filter(|record| record.kind != RecordKind::Step);
        beside_layers = others.map(|record| record.size).sum();
    }
    unused.extend(
        kept.into_iter()
            .flatten()
            .map(|record| (record.last_used, Unused::Kept(Box::new(record)))),
    );
    unused.sort_by_key(|(last_used, _)| *last_used);
    let mut freed = collect(context, store)?.bytes;
    for (_, unused) in unused {
        if let Some(cap) = cap
            && store.usage()? + beside_layers <= cap
        {
            break;
        }
        match unused {
            Unused::Image(image) => match store.remove(&image.id.to_string(), true, &is_used) {
                Ok(removal) => print::out(&story(&removal))?,
                // Somebody else was first.
                Err(ImageError::NoSuchImage { .. }) => {}
                Err(error) => return Err(error.into()),
            },
            Unused::Kept(record) => {
                if cache.remove(&record)? && record.kind != RecordKind::Step {
                    beside_layers = beside_layers.saturating_sub(record.size);
                    freed += record.size;
                }
            }
        }
        if cap.is_some() {
            freed += collect(context, store)?.bytes;
        }
    }
    freed += collect(context, store)?.bytes;
    if let Some(cap) = cap {
        let usage = store.usage()? + beside_layers;
        if usage > cap {
            print::err(&format!(
                "warning: layers still take {}, more than {}: containers, or images and steps that were not to be removed, need them\n",
                age::size(usage),
                age::size(cap)
            ));
        }
    }
    Ok(freed)
}
