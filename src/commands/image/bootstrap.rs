//! In: `rcompose image bootstrap debian:bookworm-slim`. Out: that image, made by mmdebstrap from the signed archive: no registry is asked.
//! **Invariant:** the name points at the image only after mmdebstrap has said that all of it is there.

use std::io::{self, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use rcompose_runtime::image_store::{ImageConfig, Platform, Reference, archive};

use super::{collect, reference};
use crate::commands::Context;
use crate::error::CliError;
use crate::ui::print;

/// Options of `rcompose image bootstrap`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Packages besides those of the variant, separated by commas. May be given several times.
    #[arg(long, value_name = "PACKAGE,…", value_delimiter = ',')]
    pub include: Vec<String>,
    /// Where the archive is fetched from (default: what mmdebstrap takes for the suite). May be given several times.
    #[arg(long, value_name = "URL")]
    pub mirror: Vec<String>,
    /// Suite of the archive (default: what the tag says)
    #[arg(long, value_name = "SUITE")]
    pub suite: Option<String>,
    /// How much is installed: minbase, essential, apt, standard, …
    #[arg(long, value_name = "VARIANT", default_value = "minbase")]
    pub variant: String,
    /// Name of the image: `debian:SUITE`, or `debian:SUITE-slim` without manuals, translations and documentation
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// What Debian's own image leaves out in its slim variant.
const SLIM: [&str; 5] = [
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
];
/// Numbers of Debian's releases, which are tags, too.
const RELEASES: [(&str, &str); 4] = [
    ("11", "bullseye"),
    ("12", "bookworm"),
    ("13", "trixie"),
    ("latest", "stable"),
];
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes the image.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let name = reference(&args.name)?;
    let (suite, slim) = suite_of(&name, args.suite.as_deref())?;
    if let Some(mirror) = args
        .mirror
        .iter()
        .find(|mirror| mirror.contains(char::is_whitespace))
    {
        // A whole line of sources.list could say `trusted=yes`: then nobody would look at the signatures.
        return Err(CliError::usage(format!("--mirror {mirror}: expected a URL")));
    }
    let program = context
        .variable("PATH")
        .into_iter()
        .flat_map(std::env::split_paths)
        .map(|directory| directory.join("mmdebstrap"))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            CliError::user("mmdebstrap is not installed, which makes a root file system from the archive")
                .with_hint(
                    "`apt-get install mmdebstrap`; or make a tar elsewhere and `rcompose image import` it",
                )
        })?;
    print::err(&format!(
        "{}: {suite} from the signed archive, by mmdebstrap\n",
        name.familiar()
    ));
    make(context, args, &program, &name, &suite, slim)
}

/// The suite behind a tag, and whether it is the slim one.
fn suite_of(name: &Reference, asked: Option<&str>) -> Result<(String, bool), CliError> {
    let tag = name.tag().unwrap_or("latest");
    let (release, slim) = match tag.strip_suffix("-slim") {
        Some(release) => (release, true),
        None => (tag, false),
    };
    if let Some(suite) = asked {
        return Ok((suite.to_owned(), slim));
    }
    let distribution = name.repository().rsplit('/').next().unwrap_or_default();
    if !matches!(distribution, "debian" | "ubuntu") {
        return Err(CliError::usage(format!("which suite of which archive is {}?", name.familiar()))
            .with_hint("debian:bookworm-slim is known by its name; for others give `--suite SUITE` and `--mirror URL`"));
    }
    let named = RELEASES
        .iter()
        .find(|(number, _)| distribution == "debian" && *number == release);
    Ok((named.map_or(release, |(_, suite)| suite).to_owned(), slim))
}

fn make(
    context: &Context,
    args: &Args,
    program: &Path,
    name: &Reference,
    suite: &str,
    slim: bool,
) -> Result<(), CliError> {
    let mut command = Command::new(program);
    command
        .args(["--quiet", "--format=tar"])
        .arg(format!("--variant={}", args.variant))
        .args(args.include.iter().map(|package| format!("--include={package}")));
    if slim {
        command.args(SLIM.map(|option| format!("--dpkgopt={option}")));
    }
    command.args([suite, "-"]).args(&args.mirror);
    let failed = |error: io::Error| CliError::user(format!("cannot run {}: {error}", program.display()));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut complaints = child.stderr.take();
    let said = std::thread::spawn(move || {
        let mut said = String::new();
        if let Some(stream) = &mut complaints {
            // What it said up to an error is better than nothing.
            drop(stream.read_to_string(&mut said));
        }
        said
    });
    let Some(output) = child.stdout.take() else {
        return Err(CliError::user(format!(
            "cannot read what {} writes",
            program.display()
        )));
    };
    let store = context.runtime()?.images()?;
    let config = ImageConfig {
        cmd: Some(vec!["bash".to_owned()]),
        env: vec![PATH.to_owned()],
        ..ImageConfig::default()
    };
    let message = format!("{suite} ({}) from the signed archive by mmdebstrap", args.variant);
    let created = Timestamp::now().to_string();
    let imported = archive::import(
        store,
        BufReader::new(output),
        None,
        &config,
        &message,
        &Platform::host(),
        &created,
    );
    let status = child.wait().map_err(failed)?;
    let said = said.join().unwrap_or_default();
    if !status.success() {
        if let Ok(part) = imported {
            store.remove(&part.id.to_string(), true, &|_| false)?;
            collect(context, store)?;
        }
        return Err(CliError::user(format!(
            "mmdebstrap ended with {status}\n{}",
            said.trim_end()
        )));
    }
    let image = imported?;
    store.tag(&image.id, name, None)?;
    print::out(&format!("{}\n", image.id))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_which_suite() {
        let suite = |name: &str| suite_of(&name.parse().unwrap(), None).ok();
        assert_eq!(suite("debian:bookworm-slim"), Some(("bookworm".to_owned(), true)));
        assert_eq!(suite("debian:13"), Some(("trixie".to_owned(), false)));
        assert_eq!(suite("debian"), Some(("stable".to_owned(), false)));
        assert_eq!(
            suite("registry.lan/mirror/debian:sid"),
            Some(("sid".to_owned(), false))
        );
        assert_eq!(suite("ubuntu:noble"), Some(("noble".to_owned(), false)));
        assert_eq!(suite("alpine:3"), None);
        assert_eq!(
            suite_of(&"own:1-slim".parse().unwrap(), Some("bookworm")).ok(),
            Some(("bookworm".to_owned(), true))
        );
    }
}
