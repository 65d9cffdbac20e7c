//! In: a `build:` section, the command line's options and the files they name. Out: the request of a build.
//! **Invariant:** whatever cannot be read, or is not possible here, is an error that names it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rcompose_runtime::image_store::build::{BuildRequest, NamedContext};

use super::image_source::read_text;
use super::project::LoadedProject;
use crate::engine::ImageError;
use crate::engine::lower::image_name;
use crate::model::build::Build;
use crate::model::file_object::FileObjectSource;
use crate::model::{Project, Service};

/// What builds are asked besides what the files say.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Use nothing that earlier builds made.
    pub no_cache: bool,
    /// Fetch base images even when they are there.
    pub pull: bool,
    /// Build arguments over those of the files.
    pub arguments: BTreeMap<String, Option<String>>,
}

/// The variable of the environment, and argument of builds, that dates images (reproducible-builds.org).
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";
/// The end of the year 9999, the last that RFC 3339 can write.
const MOST_SECONDS: i64 = 253_402_300_799;

/// The request for the image of a service.
pub fn build_request(
    files: &LoadedProject,
    service: &Service,
    section: &Build,
    options: &BuildOptions,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<BuildRequest, ImageError> {
    let context = PathBuf::from(&section.context);
    if !context.is_absolute() {
        return Err(format!(
            "the build context {} is not a directory of this host: remote contexts are not supported",
            section.context
        )
        .into());
    }
    if !context.is_dir() {
        return Err(format!("the build context {} is not a directory", context.display()).into());
    }
    let (dockerfile, dockerfile_name) = dockerfile(section, &context)?;
    let mut arguments: BTreeMap<String, Option<String>> = section.args.clone().into_iter().collect();
    arguments.extend(options.arguments.clone());
    if let Some(epoch) = variable(SOURCE_DATE_EPOCH).filter(|_| !arguments.contains_key(SOURCE_DATE_EPOCH)) {
        arguments.insert(SOURCE_DATE_EPOCH.to_owned(), Some(epoch));
    }
    Ok(BuildRequest {
        dockerignore: dockerignore(section, &context)?.unwrap_or_default(),
        dockerfile,
        dockerfile_name,
        target: section.target.clone(),
        labels: labels(&files.project, service, section),
        no_cache: section.no_cache || options.no_cache,
        no_cache_filter: section.no_cache_filter.clone(),
        source_date_epoch: source_date_epoch(&arguments)?,
        arguments,
        contexts: contexts(&files.project, section)?,
        extra_hosts: section.extra_hosts.clone(),
        network: section.network.clone(),
        secrets: secrets(&files.project, section)?,
        shm_size: section.shm_size,
        context,
    })
}

fn source_date_epoch(arguments: &BTreeMap<String, Option<String>>) -> Result<Option<i64>, ImageError> {
    let Some(text) = arguments.get(SOURCE_DATE_EPOCH).and_then(Option::as_deref) else {
        return Ok(None);
    };
    match text.parse::<i64>() {
        _ if text.is_empty() => Ok(None),
        Ok(seconds) if (0..=MOST_SECONDS).contains(&seconds) => Ok(Some(seconds)),
        _ => Err(format!("SOURCE_DATE_EPOCH={text} is no number of seconds since 1970").into()),
    }
}

/// The Dockerfile's text, and its path for messages.
fn dockerfile(section: &Build, context: &Path) -> Result<(String, String), ImageError> {
    if let Some(text) = &section.dockerfile_inline {
        return Ok((text.clone(), "dockerfile_inline".to_owned()));
    }
    let path = context.join(section.dockerfile.as_deref().unwrap_or("Dockerfile"));
    Ok((read_text(&path)?, path.display().to_string()))
}

/// The text of `<Dockerfile>.dockerignore`, else of the context's `.dockerignore`.
pub fn dockerignore(section: &Build, context: &Path) -> Result<Option<String>, ImageError> {
    let name = section.dockerfile.as_deref().unwrap_or("Dockerfile");
    let own = context.join(format!("{name}.dockerignore"));
    for path in [own, context.join(".dockerignore")] {
        if path.is_file() {
            return read_text(&path).map(Some);
        }
    }
    Ok(None)
}

/// The section's own and those that say whose image it is, as docker compose gives them.
fn labels(project: &Project, service: &Service, section: &Build) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = section.labels.clone().into_iter().collect();
    let own = [
        ("com.docker.compose.project", project.name.to_string()),
        ("com.docker.compose.service", service.name.to_string()),
        ("com.docker.compose.version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    labels.extend(own.map(|(name, value)| (name.to_owned(), value)));
    labels
}

/// `additional_contexts:` a directory, `docker-image://NAME` or `service:NAME`.
fn contexts(project: &Project, section: &Build) -> Result<BTreeMap<String, NamedContext>, ImageError> {
    let mut contexts = BTreeMap::new();
    for (name, place) in &section.additional_contexts {
        let context = if let Some(image) = place.strip_prefix("docker-image://") {
            NamedContext::Image(image.to_owned())
        } else if let Some(service) = place.strip_prefix("service:") {
            let service = project.services.get(service).ok_or_else(|| {
                format!("the context {name} is the image of {service}, which is no service")
            })?;
            NamedContext::Image(image_name(project, service))
        } else if Path::new(place).is_absolute() {
            NamedContext::Directory(PathBuf::from(place))
        } else {
            return Err(format!(
                "the context {name} at {place} is not supported: use a directory, docker-image:// or service:"
            )
            .into());
        };
        contexts.insert(name.clone(), context);
    }
    Ok(contexts)
}

fn secrets(project: &Project, section: &Build) -> Result<BTreeMap<String, Vec<u8>>, ImageError> {
    let mut secrets = BTreeMap::new();
    for (id, key) in &section.secrets {
        let object = project
            .secrets
            .get(key)
            .ok_or_else(|| format!("there is no secret {key}"))?;
        let bytes = match &object.source {
            FileObjectSource::File(path) => {
                std::fs::read(path).map_err(|error| format!("cannot read {path} of secret {key}: {error}"))?
            }
            FileObjectSource::Environment(_, Some(value)) | FileObjectSource::Content(value) => {
                value.clone().into_bytes()
            }
            FileObjectSource::Environment(name, None) => {
                return Err(
                    format!("secret {key} needs the environment variable {name}, which is not set").into(),
                );
            }
            FileObjectSource::External => {
                return Err(format!("secret {key} is external: there is no store of them").into());
            }
        };
        secrets.insert(id.clone(), bytes);
    }
    Ok(secrets)
}
