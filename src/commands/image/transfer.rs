//! In: `rcompose image load|save|import|pull`. Out: images in the store, or in an archive.
//! **Invariant:** an archive is written to a file of its own first: what was there stays until the new one is whole.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rcompose_runtime::image_store::build::change;
use rcompose_runtime::image_store::{ImageConfig, Platform, archive};

use super::{find, reference};
use crate::commands::listing::lines;
use crate::commands::{Context, StoreImages};
use crate::engine::ImageSource;
use crate::error::CliError;
use crate::event::{Event, Events, Kind, StepInfo};
use crate::ui::print;
use crate::ui::progress::Progress;

/// Options of `rcompose image load`.
#[derive(Debug, Clone, clap::Args)]
pub struct LoadArgs {
    /// Archive; standard input without one
    #[arg(short = 'i', long, value_name = "TAR")]
    pub input: Option<PathBuf>,
    /// Print nothing but what was loaded
    #[arg(short = 'q', long)]
    pub quiet: bool,
}

/// Options of `rcompose image save`.
#[derive(Debug, Clone, clap::Args)]
pub struct SaveArgs {
    /// Archive; standard output without one
    #[arg(short = 'o', long, value_name = "TAR")]
    pub output: Option<PathBuf>,
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// Options of `rcompose image import`.
#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// Dockerfile instruction to apply, such as `CMD ["sh"]`. May be given several times.
    #[arg(short = 'c', long, value_name = "INSTRUCTION")]
    pub change: Vec<String>,
    /// What is said of it in its history
    #[arg(short = 'm', long, value_name = "TEXT", default_value = "")]
    pub message: String,
    /// System and processor it runs on (default: this host's)
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Archive, also a compressed one; `-` is standard input
    #[arg(value_name = "TAR")]
    pub archive: PathBuf,
    /// Name of the image
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// Options of `rcompose image pull`.
#[derive(Debug, Clone, clap::Args)]
pub struct PullArgs {
    /// Print the name only
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// System and processor to pull for (default: this host's)
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Name of the image
    #[arg(value_name = "NAME")]
    pub name: String,
}

pub(super) fn load_images(context: &Context, args: &LoadArgs) -> Result<(), CliError> {
    let store = context.runtime()?.images()?;
    let input = open(args.input.as_deref())?;
    for image in archive::load(store, input)? {
        let mut told: Vec<String> = image
            .references
            .iter()
            .map(|name| format!("Loaded image: {}", name.familiar()))
            .collect();
        if told.is_empty() {
            told.push(format!("Loaded image ID: {}", image.id));
        }
        print::out(&lines(told.into_iter()))?;
    }
    Ok(())
}

pub(super) fn save_images(context: &Context, args: &SaveArgs) -> Result<(), CliError> {
    let store = context.runtime()?.images()?;
    for name in &args.images {
        find(store, name)?;
    }
    let Some(path) = &args.output else {
        if context.stdout.terminal {
            return Err(CliError::user("an archive is nothing for a terminal")
                .with_hint("give `-o FILE`, or redirect standard output"));
        }
        let mut out = BufWriter::new(print::raw_out()?);
        archive::save(store, &args.images, &mut out)?;
        out.flush()?;
        return Ok(());
    };
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let failed = |error: io::Error| CliError::user(format!("cannot write {}: {error}", path.display()));
    let mut out = BufWriter::new(File::create(&unfinished).map_err(failed)?);
    let saved = archive::save(store, &args.images, &mut out)
        .map_err(CliError::from)
        .and_then(|()| out.flush().map_err(failed))
        .and_then(|()| std::fs::rename(&unfinished, path).map_err(failed));
    if saved.is_err() {
        // The first error counts.
        std::fs::remove_file(&unfinished).unwrap_or_default();
    }
    saved
}

pub(super) fn import_image(context: &Context, args: &ImportArgs) -> Result<(), CliError> {
    let name = args.name.as_deref().map(reference).transpose()?;
    let platform = match &args.platform {
        None => Platform::host(),
        Some(text) => text.parse().map_err(|error| {
            CliError::usage(format!("--platform {text}: {}", crate::error::chain(&error)))
        })?,
    };
    let mut config = ImageConfig::default();
    for instruction in &args.change {
        change(&mut config, instruction)
            .map_err(|error| CliError::usage(format!("--change {instruction}: {error}")))?;
    }
    let input = open(
        Some(&args.archive)
            .filter(|path| **path != Path::new("-"))
            .map(PathBuf::as_path),
    )?;
    let store = context.runtime()?.images()?;
    let created = Timestamp::now().to_string();
    let image = archive::import(
        store,
        input,
        name.as_ref(),
        &config,
        &args.message,
        &platform,
        &created,
    )?;
    print::out(&format!("{}\n", image.id))?;
    Ok(())
}

pub(super) fn pull_image(context: &Context, args: &PullArgs) -> Result<(), CliError> {
    let name = reference(&args.name)?;
    let mut look = context.look();
    look.quiet_pull = args.quiet;
    let progress = Progress::new("image pull", look, None);
    let step = StepInfo {
        id: 0,
        verb: "pull".to_owned(),
        kind: Kind::Image,
        name: name.familiar(),
        reason: String::new(),
    };
    let begun = std::time::Instant::now();
    progress.emit(Event::StepStarted { step: step.clone() });
    let images = StoreImages::new(context, None);
    let pulled = images.pull(&args.name, args.platform.as_deref(), &progress, context.cancel()?);
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    if pulled.is_ok() {
        progress.emit(Event::StepDone { step, millis });
    }
    progress.finish();
    pulled.map_err(|error| CliError::user(crate::error::chain(&*error)))?;
    print::out(&format!("{name}\n"))?;
    Ok(())
}

/// An archive to read; standard input without a path.
fn open(path: Option<&Path>) -> Result<Box<dyn Read>, CliError> {
    let Some(path) = path else {
        return Ok(Box::new(BufReader::new(io::stdin())));
    };
    match File::open(path) {
        Ok(file) => Ok(Box::new(BufReader::new(file))),
        Err(error) => Err(CliError::user(format!("cannot read {}: {error}", path.display()))),
    }
}
