//! In: `rcompose image …`. Out: the local store of images, looked at and changed as docker spells it.
//! **Invariant:** no image that a container is made from loses its layers, not even by force.

pub(super) mod archive_file;
mod bootstrap;
mod diff;
pub(super) mod filter;
mod history;
mod inspect;
pub(super) mod list;
pub(super) mod prune;
mod push;
mod transfer;

use std::collections::BTreeSet;
use std::path::PathBuf;

use rcompose_runtime::image_store::build::cache::BuildCache;
use rcompose_runtime::image_store::{Collected, Image, ImageStore, Platform, Reference, Removal};

use super::Context;
use crate::error::CliError;
use crate::ui::print;

/// Options of `rcompose image`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs of `rcompose image`.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Make an image of Debian from its signed archive, without a registry
    Bootstrap(bootstrap::Args),
    /// Show what tells two images apart, or what the last layer of one changes
    Diff(diff::Args),
    /// Write the file system of an image as one tar, without layers
    Export(transfer::ExportArgs),
    /// Show the steps an image was made in
    History(history::Args),
    /// Make an image of a tar of a root file system
    Import(transfer::ImportArgs),
    /// Show everything about images, as JSON
    Inspect(inspect::Args),
    /// Bring images in from an archive
    Load(transfer::LoadArgs),
    /// List images
    #[command(alias = "list")]
    Ls(list::Args),
    /// Remove images that no name and no container needs
    Prune(prune::Args),
    /// Fetch an image from its registry
    Pull(transfer::PullArgs),
    /// Bring an image to its registry
    Push(push::Args),
    /// Remove images
    #[command(alias = "remove")]
    Rm(RemoveArgs),
    /// Write images to an archive
    Save(transfer::SaveArgs),
    /// Give an image another name
    Tag(TagArgs),
}

/// Options of `rcompose image rm`.
#[derive(Debug, Clone, clap::Args)]
pub struct RemoveArgs {
    /// Take the names away even from an image with several, or one that a container uses
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Keep layers that no image needs any more until the next time
    #[arg(long)]
    pub no_prune: bool,
    /// Fail unless the images are for this system and processor
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// Options of `rcompose image tag`.
#[derive(Debug, Clone, clap::Args)]
pub struct TagArgs {
    /// Name or id of an image
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Its further name
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Looks at the store, or changes it.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    if let Some(change) = change(&args.command)
        && context.only_says(&change)
    {
        return Ok(());
    }
    match &args.command {
        Command::Bootstrap(args) => bootstrap::run(context, args),
        Command::Diff(args) => diff::run(context, args),
        Command::Export(args) => transfer::export_image(context, args),
        Command::History(args) => history::run(context, args),
        Command::Import(args) => transfer::import_image(context, args),
        Command::Inspect(args) => inspect::run(context, args),
        Command::Load(args) => transfer::load_images(context, args),
        Command::Ls(args) => list::run(context, args),
        Command::Prune(args) => prune::run(context, args),
        Command::Pull(args) => transfer::pull_image(context, args),
        Command::Push(args) => push::run(context, args),
        Command::Rm(args) => remove(context, args),
        Command::Save(args) => transfer::save_images(context, args),
        Command::Tag(args) => tag(context, args),
    }
}

/// What a verb changes in the store; none when it only looks.
fn change(command: &Command) -> Option<String> {
    match command {
        Command::Bootstrap(args) => Some(format!("bootstrap {}", args.name)),
        Command::Import(args) => Some(format!("import {}", args.archive.display())),
        Command::Load(_) => Some("load images".to_owned()),
        Command::Prune(_) => Some("remove unused images".to_owned()),
        Command::Pull(args) => Some(format!("pull {}", args.name)),
        Command::Push(args) => Some(format!("push {}", args.name)),
        Command::Rm(args) => Some(format!("remove {}", args.images.join(" "))),
        Command::Tag(args) => Some(format!("tag {} as {}", args.image, args.name)),
        Command::Save(args) => args
            .output
            .as_ref()
            .map(|path| format!("write {}", path.display())),
        Command::Export(args) => args
            .output
            .as_ref()
            .map(|path| format!("write {}", path.display())),
        Command::Diff(_) | Command::History(_) | Command::Inspect(_) | Command::Ls(_) => None,
    }
}

fn remove(context: &Context, args: &RemoveArgs) -> Result<(), CliError> {
    let runtime = context.runtime()?;
    let store = runtime.images()?;
    let used = runtime.images_in_use()?;
    let mut failed = Vec::new();
    for name in &args.images {
        if args.platform.is_some() {
            check_platform(&find(store, name)?, args.platform.as_deref())?;
        }
        match store.remove(name, args.force, &|id| used.contains(&id.to_string())) {
            Ok(removal) => print::out(&story(&removal))?,
            Err(error) => failed.push(crate::error::chain(&error)),
        }
    }
    if !args.no_prune {
        collect(context, store)?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(CliError::user(failed.join("\n")))
}

/// What was removed, in docker's words.
pub(super) fn story(removal: &Removal) -> String {
    let untagged = removal
        .untagged
        .iter()
        .map(|name| format!("Untagged: {}\n", name.familiar()));
    let deleted = removal.deleted.iter().map(|id| format!("Deleted: {id}\n"));
    untagged.chain(deleted).collect()
}

/// Removes layers that nobody needs.
pub(super) fn collect(context: &Context, store: &ImageStore) -> Result<Collected, CliError> {
    let mut kept: BTreeSet<PathBuf> = context.runtime()?.layers_in_use()?;
    kept.extend(BuildCache::of(store).layer_directories());
    Ok(store.collect(&kept)?)
}

fn tag(context: &Context, args: &TagArgs) -> Result<(), CliError> {
    let store = context.runtime()?.images()?;
    let image = find(store, &args.image)?;
    let name = reference(&args.name)?;
    Ok(store.tag(&image.id, &name, None)?)
}

fn find(store: &ImageStore, name: &str) -> Result<Image, CliError> {
    store.find(name)?.ok_or_else(|| {
        CliError::user(format!("no such image: {name}")).with_hint("`rcompose image ls` shows what is here")
    })
}

fn reference(text: &str) -> Result<Reference, CliError> {
    text.parse()
        .map_err(|error| CliError::user(crate::error::chain(&error)))
}

/// `--platform`.
fn platform(text: &str) -> Result<Platform, CliError> {
    text.parse()
        .map_err(|error| CliError::usage(format!("--platform {text}: {}", crate::error::chain(&error))))
}

/// The store has one image a name: for another platform than `--platform` there is none.
fn check_platform(image: &Image, wanted: Option<&str>) -> Result<(), CliError> {
    let Some(wanted) = wanted.map(platform).transpose()? else {
        return Ok(());
    };
    if wanted.suits(&image.platform).is_some() {
        return Ok(());
    }
    let name = image
        .references
        .first()
        .map_or_else(|| image.id.to_string(), Reference::familiar);
    Err(CliError::user(format!(
        "image {name} is for {}, not for {wanted}",
        image.platform
    )))
}
