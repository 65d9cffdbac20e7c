//! In: `rcompose image load|save|import|pull`. Out: images in the store, or in an archive.
//! **Invariant:** an archive is written to a file of its own first: what was there stays until the new one is whole.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rcompose_runtime::image_store::archive::{Format, Output};
use rcompose_runtime::image_store::build::change;
use rcompose_runtime::image_store::{ImageConfig, Platform, archive, export};

use super::archive_file::{to_directory, to_file_or_stdout};
use super::{find, platform, reference};
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
    /// Archive, or a directory that is an OCI layout; standard input without one
    #[arg(short = 'i', long, value_name = "PATH")]
    pub input: Option<PathBuf>,
    /// Of images for several systems and processors, the one for this (default: this host's)
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Print nothing but what was loaded
    #[arg(short = 'q', long)]
    pub quiet: bool,
}

/// Options of `rcompose image save`.
#[derive(Debug, Clone, clap::Args)]
pub struct SaveArgs {
    /// docker-archive, oci-archive or oci-dir
    #[arg(long, value_name = "FORMAT", default_value = "docker-archive")]
    pub format: String,
    /// Archive or, for oci-dir, directory; standard output without one
    #[arg(short = 'o', long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Fail unless the images are for this system and processor
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Names or ids; a repository means all its tags
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// Options of `rcompose image export`.
#[derive(Debug, Clone, clap::Args)]
pub struct ExportArgs {
    /// Archive; standard output without one
    #[arg(short = 'o', long, value_name = "TAR")]
    pub output: Option<PathBuf>,
    /// Name or id
    #[arg(value_name = "IMAGE")]
    pub image: String,
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
    let platform = args.platform.as_deref().map(platform).transpose()?;
    let images = match &args.input {
        Some(path) if path.is_dir() => archive::load_directory(store, path, platform.as_ref())?,
        path => archive::load(store, open(path.as_deref())?, platform.as_ref())?,
    };
    for image in images {
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
    let platform = args.platform.as_deref().map(platform).transpose()?;
    let (format, directory) = match args.format.as_str() {
        "docker-archive" => (Format::Docker, false),
        "oci-archive" => (Format::Oci, false),
        "oci-dir" => (Format::Oci, true),
        other => {
            return Err(CliError::usage(format!(
                "--format {other}: expected docker-archive, oci-archive or oci-dir"
            )));
        }
    };
    for name in &args.images {
        if store.tagged(name)?.is_empty() {
            find(store, name)?;
        }
    }
    let save =
        |mut output: Output<'_>| archive::save(store, &args.images, platform.as_ref(), format, &mut output);
    match (&args.output, directory) {
        (None, true) => Err(CliError::usage(
            "--format oci-dir wants a directory: give `-o DIRECTORY`",
        )),
        (Some(path), true) => to_directory(path, &|path| save(Output::Directory(path))),
        (path, false) => to_file_or_stdout(context, path.as_deref(), &mut |out| save(Output::Tar(out))),
    }
}

pub(super) fn export_image(context: &Context, args: &ExportArgs) -> Result<(), CliError> {
    let store = context.runtime()?.images()?;
    let image = find(store, &args.image)?;
    image.can_leave()?;
    to_file_or_stdout(context, args.output.as_deref(), &mut |out| {
        export(store, &image.layer_directories(), out).map(drop)
    })
}

pub(super) fn import_image(context: &Context, args: &ImportArgs) -> Result<(), CliError> {
    let name = args.name.as_deref().map(reference).transpose()?;
    let made_for = match &args.platform {
        None => Platform::host(),
        Some(text) => platform(text)?,
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
        &made_for,
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
    let pulled = images.pull(
        &name.familiar(),
        args.platform.as_deref(),
        &progress,
        context.cancel()?,
    );
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
