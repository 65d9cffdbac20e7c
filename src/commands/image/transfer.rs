//! In: `rcompose image load|save|import|pull`. Out: images in the store, or in an archive.
//! **Invariant:** an archive is written to a file of its own first: what was there stays until the new one is whole.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rcompose_runtime::image_store::archive::{Format, Output};
use rcompose_runtime::image_store::build::change;
use rcompose_runtime::image_store::{ImageConfig, ImageError, Platform, archive};

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
        |output: &mut Output<'_>| archive::save(store, &args.images, platform.as_ref(), format, output);
    let Some(path) = &args.output else {
        if directory {
            return Err(CliError::usage(
                "--format oci-dir wants a directory: give `-o DIRECTORY`",
            ));
        }
        if context.stdout.terminal {
            return Err(CliError::user("an archive is nothing for a terminal")
                .with_hint("give `-o FILE`, or redirect standard output"));
        }
        let mut out = BufWriter::new(print::raw_out()?);
        save(&mut Output::Tar(&mut out))?;
        out.flush()?;
        return Ok(());
    };
    write_whole(path, directory, &save)
}

/// Writes beside `path` first, so that what is there under this name is never a part.
fn write_whole(
    path: &Path,
    directory: bool,
    save: &dyn Fn(&mut Output<'_>) -> Result<(), ImageError>,
) -> Result<(), CliError> {
    let mut unfinished = path.to_owned().into_os_string();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let failed = |error: io::Error| CliError::user(format!("cannot write {}: {error}", path.display()));
    // A pipe or a device, such as /dev/null, is written to: a file must not take its place.
    if !directory && fs::metadata(path).is_ok_and(|status| !status.is_file() && !status.is_dir()) {
        let mut out = BufWriter::new(File::options().write(true).open(path).map_err(failed)?);
        save(&mut Output::Tar(&mut out))?;
        return out.flush().map_err(failed);
    }
    let saved = if directory {
        // A directory takes the place of an empty one only.
        fs::create_dir(&unfinished).map_err(failed)?;
        save(&mut Output::Directory(unfinished.clone())).map_err(CliError::from)
    } else {
        let mut out = BufWriter::new(File::create(&unfinished).map_err(failed)?);
        save(&mut Output::Tar(&mut out))
            .map_err(CliError::from)
            .and_then(|()| out.flush().map_err(failed))
    };
    let saved = saved.and_then(|()| fs::rename(&unfinished, path).map_err(failed));
    if saved.is_err() {
        // The first error counts.
        let removed = if directory {
            fs::remove_dir_all(&unfinished)
        } else {
            fs::remove_file(&unfinished)
        };
        removed.unwrap_or_default();
    }
    saved
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

fn platform(text: &str) -> Result<Platform, CliError> {
    text.parse()
        .map_err(|error| CliError::usage(format!("--platform {text}: {}", crate::error::chain(&error))))
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
