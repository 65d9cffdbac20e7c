//! In: `rcompose cp`. Out: files and directories copied between the host and running containers.
//! **Invariant:** a path of a container never leads out of the container, whatever links it has.

mod tree;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rcompose_runtime::state::{ContainerState, Status};

use super::{Context, Subject};
use crate::error::{CliError, chain};
use tree::{Options, Place, copy};

/// Options of `rcompose cp`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Copy into every container of the service, those of run included
    #[arg(long)]
    pub all: bool,
    /// Keep owners
    #[arg(short = 'a', long)]
    pub archive: bool,
    /// Copy what a link in SOURCE leads to
    #[arg(short = 'L', long)]
    pub follow_link: bool,
    /// Which replica
    #[arg(long, value_name = "N")]
    pub index: Option<u32>,
    /// SERVICE:PATH, or a path of the host
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// SERVICE:PATH, or a path of the host
    #[arg(value_name = "DESTINATION")]
    pub destination: String,
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
enum Named<'a> {
    Host(&'a str),
    Inside { service: &'a str, path: &'a str },
}

/// Copies.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let options = Options {
        keep_owners: args.archive,
        follow: args.follow_link,
    };
    if context.only_says(&format!("copy {} to {}", args.source, args.destination)) {
        return Ok(());
    }
    let subject = context.subject(false)?;
    match (named(&args.source)?, named(&args.destination)?) {
        (Named::Host(from), Named::Inside { service, path }) => {
            for container in containers(context, &subject, service, args)? {
                let to = inside(context, &container, path)?;
                transfer(&on_host(context, from)?, &to, options)?;
            }
            Ok(())
        }
        (Named::Inside { service, path }, Named::Host(to)) => {
            if args.all {
                return Err(CliError::usage("--all is for copying into containers"));
            }
            let containers = containers(context, &subject, service, args)?;
            let Some(container) = containers.first() else {
                return Ok(());
            };
            transfer(
                &inside(context, container, path)?,
                &on_host(context, to)?,
                options,
            )
        }
        (Named::Host(_), Named::Host(_)) => {
            Err(CliError::usage("neither path is in a container")
                .with_hint("write SERVICE:PATH for one of them"))
        }
        (Named::Inside { .. }, Named::Inside { .. }) => {
            Err(CliError::usage("copying between two containers is not supported")
                .with_hint("copy to the host first"))
        }
    }
}

/// `SERVICE:PATH`, or a path; one with a colon in it begins with `/` or `.`.
fn named(text: &str) -> Result<Named<'_>, CliError> {
    if text == "-" {
        return Err(
            CliError::unsupported_flag("-", "archives on standard streams are not there yet")
                .with_hint("copy to a directory, or use `rcompose exec -T SERVICE tar`"),
        );
    }
    match text.split_once(':') {
        Some((service, path)) if !text.starts_with(['/', '.']) => Ok(Named::Inside { service, path }),
        Some(_) | None => Ok(Named::Host(text)),
    }
}

fn containers(
    context: &Context,
    subject: &Subject,
    service: &str,
    args: &Args,
) -> Result<Vec<ContainerState>, CliError> {
    if !args.all {
        return Ok(vec![context.one_container(subject, service, args.index, true)?]);
    }
    let mut containers = context.containers_of(subject, &[service.to_owned()])?;
    containers.retain(|container| {
        container.service == service && matches!(container.status, Status::Running | Status::Paused)
    });
    if containers.is_empty() {
        return Err(CliError::user(format!("service \"{service}\" is not running")));
    }
    Ok(containers)
}

fn inside(context: &Context, container: &ContainerState, path: &str) -> Result<Place, CliError> {
    Ok(Place {
        root: context.runtime()?.root_directory(&container.id)?,
        path: absolute(Path::new("/"), path),
    })
}

fn on_host(context: &Context, path: &str) -> Result<Place, CliError> {
    let root = File::open("/").map_err(|error| CliError::user(format!("cannot open /: {error}")))?;
    Ok(Place {
        root: OwnedFd::from(root),
        path: absolute(&context.cwd, path),
    })
}

/// The path from `base`, its end as typed.
fn absolute(base: &Path, path: &str) -> PathBuf {
    let mut joined = base.join(path).into_os_string();
    if path == "." || path.is_empty() {
        joined = base.join("").into_os_string();
    }
    PathBuf::from(joined)
}

fn transfer(from: &Place, to: &Place, options: Options) -> Result<(), CliError> {
    copy(from, to, options).map_err(|error| CliError::user(chain(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_stands_before_a_colon() {
        let path = "/etc/hosts";
        assert_eq!(
            named("web:/etc/hosts").unwrap(),
            Named::Inside { service: "web", path }
        );
        assert_eq!(named("./a:b").unwrap(), Named::Host("./a:b"));
        assert_eq!(named("/a:b").unwrap(), Named::Host("/a:b"));
        assert_eq!(named("file").unwrap(), Named::Host("file"));
        assert!(named("-").is_err());
    }
}
