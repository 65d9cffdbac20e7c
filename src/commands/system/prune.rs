//! In: `rcompose system prune`. Out: stopped containers, unused networks, images and what builds keep, of all projects, removed.
//! **Invariant:** a project is changed only under its lock; what runs, and all it needs, stays.

use jiff::Timestamp;
use rcompose_runtime::image_store::build::CacheRecord;
use rcompose_runtime::image_store::build::cache::BuildCache;
use rcompose_runtime::state::Status;
use rcompose_runtime::{Runtime as _, RuntimeError};

use crate::commands::Context;
use crate::commands::image::filter::Filters;
use crate::commands::image::prune::{confirm, remove_unused, space};
use crate::error::CliError;
use crate::ui::{age, print};

/// Options of `rcompose system prune`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Remove images with names, too, unless a container uses them
    #[arg(short = 'a', long)]
    pub all: bool,
    /// Only what fits: until=24h, label=KEY[=VALUE], label!=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Remove images and what builds keep, used longest ago first, and only until what is left takes no more than this, such as 20GB
    #[arg(long, value_name = "BYTES", alias = "keep-storage")]
    pub max_used_space: Option<String>,
    /// Remove anonymous volumes that no container mounts, too
    #[arg(long)]
    pub volumes: bool,
}

/// Removes.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let cap = space("max-used-space", args.max_used_space.as_deref())?;
    let runtime = context.runtime()?;
    let store = runtime.images()?;
    let filters = Filters::parse(&args.filter, &["until", "label"], store)?;
    let until_only = Filters::parse(
        &args
            .filter
            .iter()
            .filter(|filter| filter.starts_with("until="))
            .cloned()
            .collect::<Vec<_>>(),
        &["until"],
        store,
    )?;
    let mut what = vec!["all stopped containers", "all networks that no container uses"];
    if args.volumes {
        what.push("all anonymous volumes that no container uses");
    }
    what.push(if args.all {
        "all images that no container uses"
    } else {
        "all images without a name that no container uses"
    });
    // What builds keep has no labels.
    let with_kept = filters == until_only;
    if with_kept {
        what.push("all that builds keep for later ones");
    }
    let what = what.join(", ");
    if context.only_says(&format!("remove {what}")) || !confirm(args.force, &what)? {
        return Ok(());
    }
    runtime.end_killed_builds()?;
    let mut freed = 0;
    for project in runtime.projects()? {
        freed += prune_project(context, &project, &filters)?;
    }
    if args.volumes {
        for volume in runtime.all_volumes()? {
            let made = volume.volume.created_at.parse().ok();
            let fits = filters.pass_other(&volume.volume.request.labels, made);
            if volume.anonymous && volume.users == 0 && fits {
                runtime.remove_volume(&volume.volume.request.name)?;
                print::out(&format!("Deleted volume: {}\n", volume.volume.request.name))?;
                freed += volume.size;
            }
        }
    }
    let kept: Option<Vec<CacheRecord>> = if with_kept {
        let mut kept = BuildCache::of(store).records()?;
        kept.retain(|record| {
            let used = Timestamp::try_from(record.last_used).ok();
            !record.in_use && until_only.pass_other(&std::collections::BTreeMap::new(), used)
        });
        Some(kept)
    } else {
        None
    };
    freed += remove_unused(context, &filters, args.all, kept, cap)?;
    print::out(&format!("Total reclaimed space: {}\n", age::size(freed)))?;
    Ok(())
}

/// Stopped containers and networks without users; bytes that were freed.
fn prune_project(context: &Context, project: &str, filters: &Filters) -> Result<u64, CliError> {
    let runtime = context.runtime()?;
    let cancel = context.cancel()?;
    let waiting =
        &mut |holder: &str| print::err(&format!("waiting for {holder}, which works on {project}\n"));
    let Some(_lock) = context.project_dir(project)?.lock(cancel, waiting)? else {
        return Err(CliError::user("cancelled"));
    };
    let mut freed = 0;
    for container in runtime.containers(project)? {
        let down = matches!(container.status, Status::Created | Status::Exited { .. });
        if down && filters.pass_other(&container.labels, container.created_at.parse().ok()) {
            freed += runtime.container_size(&container.id)?;
            runtime.remove_container(&container.id, false)?;
            print::out(&format!("Deleted container: {}\n", container.name))?;
        }
    }
    if !runtime.containers(project)?.is_empty() {
        return Ok(freed);
    }
    for network in runtime.networks(project)? {
        if network.users.is_empty() && filters.pass_other(&network.request.labels, None) {
            match runtime.remove_network(&network.request.name) {
                Ok(()) => print::out(&format!("Deleted network: {}\n", network.request.name))?,
                // Somebody of another project has just joined it.
                Err(RuntimeError::InUse { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(freed)
}
