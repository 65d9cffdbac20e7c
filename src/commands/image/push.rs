//! In: `rcompose image push`. Out: an image in its registry, and its digest there.

use std::time::Instant;

use rcompose_runtime::image_store::{Image, ImageStore, Platform, Reference};

use super::{find, reference};
use crate::commands::listing::lines;
use crate::commands::{Context, StoreImages};
use crate::error::{CliError, chain};
use crate::event::{Event, Events as _, Kind, StepInfo};
use crate::ui::print;
use crate::ui::progress::{Look, Progress, ProgressKind};

/// Options of `rcompose image push`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Push every tag that this repository has here
    #[arg(short = 'a', long)]
    pub all_tags: bool,
    /// System and processor the image must be for
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Print the name only
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Name of the image
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Pushes one image, or all of a repository.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let store = context.runtime()?.images()?;
    let name = reference(&args.name)?;
    let names = if args.all_tags {
        all_tags(store, &args.name, &name)?
    } else {
        vec![name]
    };
    if let Some(platform) = &args.platform {
        let wanted: Platform = platform
            .parse()
            .map_err(|error| CliError::usage(format!("--platform {platform}: {}", chain(&error))))?;
        for name in &names {
            check(&find(store, &name.to_string())?, name, &wanted)?;
        }
    }
    let mut look = context.look();
    if args.quiet {
        look = Look {
            kind: ProgressKind::Quiet,
            ..look
        };
    }
    let progress = Progress::new("image push", look, None);
    let images = StoreImages::new(context, None);
    let mut told = Vec::new();
    let mut failure = None;
    for (id, name) in names.iter().enumerate() {
        let step = StepInfo {
            id,
            verb: "push".to_owned(),
            kind: Kind::Image,
            name: name.familiar(),
            reason: String::new(),
        };
        let begun = Instant::now();
        progress.emit(Event::StepStarted { step: step.clone() });
        let pushed = images.send(&name.familiar(), &progress, context.cancel()?);
        let pushed = match pushed {
            Ok(pushed) => pushed,
            Err(error) => {
                failure = Some(CliError::user(chain(&*error)));
                break;
            }
        };
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        progress.emit(Event::StepDone { step, millis });
        told.push(if args.quiet {
            name.to_string()
        } else {
            let tag = name.tag().unwrap_or("latest");
            format!("{tag}: digest: {} size: {}", pushed.digest, pushed.size)
        });
    }
    progress.finish();
    print::out(&lines(told.into_iter()))?;
    failure.map_or(Ok(()), Err)
}

/// Every name of a repository that an image here has.
fn all_tags(store: &ImageStore, typed: &str, repository: &Reference) -> Result<Vec<Reference>, CliError> {
    let last = typed.rsplit('/').next().unwrap_or(typed);
    if last.contains([':', '@']) {
        return Err(CliError::usage("--all-tags takes a name without a tag"));
    }
    let names = store.list()?.into_iter().flat_map(|image| image.references);
    let mut tags: Vec<Reference> = names
        .filter(|name| name.digest().is_none() && name.familiar_name() == repository.familiar_name())
        .collect();
    tags.sort();
    if tags.is_empty() {
        let message = format!("no such image: {}", repository.familiar_name());
        return Err(CliError::user(message).with_hint("`rcompose image ls` shows what is here"));
    }
    Ok(tags)
}

fn check(image: &Image, name: &Reference, wanted: &Platform) -> Result<(), CliError> {
    if wanted.suits(&image.platform).is_some() {
        return Ok(());
    }
    let name = name.familiar();
    let message = format!("{name} is for {}, not for {wanted}", image.platform);
    let hint = format!("`rcompose image pull --platform {wanted} {name}` fetches that one");
    Err(CliError::user(message).with_hint(hint))
}
