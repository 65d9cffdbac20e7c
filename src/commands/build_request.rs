//! In: a `build:` section, the command line's options and the files they name. Out: the request of a build.
//! **Invariant:** whatever cannot be read, or is not possible here, is an error that names it.

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use rcompose_runtime::image_store::Platform;
use rcompose_runtime::image_store::build::remote::{
    ContextPlace, LayoutPlace, RemoteAccess, Sources, read_inside,
};
use rcompose_runtime::image_store::build::ssh::{SshSource, SshSources};
use rcompose_runtime::image_store::build::{
    AttestationRequest, BuildRequest, Material, NamedContext, ProvenanceRequest, ProvenanceVersion, StepsKept,
};

use super::image_source::read_text;
use super::project::LoadedProject;
use crate::engine::ImageError;
use crate::engine::lower::image_name;
use crate::model::attestation::Provenance;
use crate::model::build::Build;
use crate::model::build_cache::CachePlace;
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
    /// Bytes of memory that a RUN may use.
    pub memory: Option<u64>,
    /// What is told of how images are built, instead of what the files say.
    pub provenance: Option<Option<Provenance>>,
    /// Whether their packages are told, instead of what the files say.
    pub sbom: Option<bool>,
    /// Agents and keys besides those of the files, each `id` or `id=path`.
    pub ssh: Vec<String>,
}

/// Where a build finds what it is made of.
pub struct Surroundings<'a> {
    /// The project, with its texts.
    pub files: &'a LoadedProject,
    /// What the command line asks.
    pub options: &'a BuildOptions,
    /// What elsewhere is reached with; the process environment is part of it.
    pub remote: &'a RemoteAccess,
    /// Who fetches contexts.
    pub sources: &'a Sources<'a>,
    /// A variable of the process environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The id of an image of this host, by reference.
    pub image_id: &'a dyn Fn(&str) -> Result<Option<String>, ImageError>,
}

/// The variable of the environment, and argument of builds, that dates images (reproducible-builds.org).
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";
/// The end of the year 9999, the last that RFC 3339 can write.
const MOST_SECONDS: i64 = 253_402_300_799;

fn steps_kept(section: &Build) -> StepsKept {
    let places: Vec<&CachePlace> = section.cache_to.iter().map(|cache| &cache.place).collect();
    match places.as_slice() {
        [] => StepsKept::Here,
        places if places.contains(&&CachePlace::Inline) => StepsKept::InImage,
        _ => StepsKept::InCaches,
    }
}

/// The request for the image of a service.
pub fn build_request(
    around: &Surroundings<'_>,
    service: &Service,
    section: &Build,
) -> Result<BuildRequest, ImageError> {
    let (files, options) = (around.files, around.options);
    let context = context(section, around.sources)?;
    let (dockerfile, dockerfile_name) = dockerfile(files, service, section, &context)?;
    let mut arguments: BTreeMap<String, Option<String>> = section.args.clone().into_iter().collect();
    arguments.extend(options.arguments.clone());
    if let Some(epoch) =
        (around.variable)(SOURCE_DATE_EPOCH).filter(|_| !arguments.contains_key(SOURCE_DATE_EPOCH))
    {
        arguments.insert(SOURCE_DATE_EPOCH.to_owned(), Some(epoch));
    }
    let dockerignore = if context.is_remote {
        None
    } else {
        dockerignore(section, &context.directory)?
    };
    Ok(BuildRequest {
        dockerignore: dockerignore.unwrap_or_default(),
        dockerfile,
        dockerfile_name,
        dockerfile_is_inline: section.dockerfile_inline.is_some(),
        target: section.target.clone(),
        labels: labels(&files.project, service, section),
        no_cache: section.no_cache || options.no_cache,
        steps_kept: steps_kept(section),
        no_cache_filter: section.no_cache_filter.clone(),
        source_date_epoch: source_date_epoch(&arguments)?,
        arguments,
        contexts: contexts(around, section)?,
        extra_hosts: section.extra_hosts.clone(),
        network: section.network.clone(),
        secrets: secrets(&files.project, section)?,
        shm_size: section.shm_size,
        memory: options.memory,
        ulimits: section.ulimits.clone().into_iter().collect(),
        platform: platform(around, service, section)?,
        attestations: attestations(section, options),
        context_material: context.material,
        context: context.directory,
        remote: around.remote.clone(),
        ssh: ssh(around, section)?,
    })
}

/// What a service is built for: `platform:`, `DOCKER_DEFAULT_PLATFORM`, or of `platforms:` the one this machine is.
fn platform(
    around: &Surroundings<'_>,
    service: &Service,
    section: &Build,
) -> Result<Option<Platform>, ImageError> {
    let listed: Vec<Platform> = section
        .platforms
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let asked = service
        .platform
        .clone()
        .or_else(|| (around.variable)("DOCKER_DEFAULT_PLATFORM"));
    let Some(asked) = asked else {
        let host = Platform::host();
        let own = listed.iter().find(|platform| host.suits(platform).is_some());
        return Ok(own.or(listed.first()).cloned());
    };
    let asked: Platform = asked.parse()?;
    if service.platform.is_some() && !listed.is_empty() && !listed.contains(&asked) {
        return Err(format!("the platform {asked} of the service is none of `build.platforms`").into());
    }
    Ok(Some(asked))
}

/// The main context, on this host.
struct Context {
    directory: PathBuf,
    /// It was fetched: no `.dockerignore` holds, as in BuildKit.
    is_remote: bool,
    /// The Dockerfile's name where there is no choice.
    dockerfile: Option<String>,
    /// What was fetched.
    material: Option<Material>,
}

fn context(section: &Build, sources: &Sources<'_>) -> Result<Context, ImageError> {
    let written = &section.context;
    if let Some(place) = ContextPlace::parse(written) {
        let fetched = place.and_then(|place| sources.context(&place));
        let fetched = fetched.map_err(|why| format!("the build context {written}: {why}"))?;
        return Ok(Context {
            directory: fetched.directory,
            is_remote: true,
            dockerfile: fetched.dockerfile,
            material: Some(fetched.material),
        });
    }
    let directory = PathBuf::from(written);
    if directory.is_file() {
        return Err(format!(
            "the build context {written} is a file: a directory, a git repository or the address of an archive is expected"
        )
        .into());
    }
    if !directory.is_dir() {
        return Err(format!("the build context {written} is not a directory").into());
    }
    Ok(Context {
        directory,
        is_remote: false,
        dockerfile: None,
        material: None,
    })
}

/// What the command line asks goes before what the file says.
fn attestations(section: &Build, options: &BuildOptions) -> AttestationRequest {
    let provenance = options.provenance.as_ref().unwrap_or(&section.provenance);
    AttestationRequest {
        provenance: provenance.clone().map(|asked| ProvenanceRequest {
            all: asked.all,
            version: if asked.version_1 {
                ProvenanceVersion::V1
            } else {
                ProvenanceVersion::V02
            },
            builder: asked.builder,
            reproducible: asked.reproducible,
        }),
        sbom: options.sbom.unwrap_or(section.sbom),
    }
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
fn dockerfile(
    files: &LoadedProject,
    service: &Service,
    section: &Build,
    context: &Context,
) -> Result<(String, String), ImageError> {
    if let Some(text) = &section.dockerfile_inline {
        let file = files.sources.shown(section.span.file).display();
        let name = format!("{file} (services.{}.build.dockerfile_inline)", service.name);
        return Ok((text.clone(), name));
    }
    let name = context.dockerfile.as_deref().or(section.dockerfile.as_deref());
    let name = name.unwrap_or("Dockerfile");
    if context.is_remote {
        let text = read_inside(&context.directory, name)
            .map_err(|error| format!("cannot read {name} of {}: {error}", section.context))?;
        return Ok((text, format!("{}/{name}", section.context)));
    }
    let path = context.directory.join(name);
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
pub(super) fn labels(project: &Project, service: &Service, section: &Build) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = section.labels.clone().into_iter().collect();
    let own = [
        ("com.docker.compose.project", project.name.to_string()),
        ("com.docker.compose.service", service.name.to_string()),
        ("com.docker.compose.version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    labels.extend(own.map(|(name, value)| (name.to_owned(), value)));
    labels
}

/// `additional_contexts:`
fn contexts(
    around: &Surroundings<'_>,
    section: &Build,
) -> Result<BTreeMap<String, NamedContext>, ImageError> {
    let project = &around.files.project;
    let mut contexts = BTreeMap::new();
    for (name, place) in &section.additional_contexts {
        let said = |why: String| format!("the context {name}: {why}");
        let context = if let Some(image) = place.strip_prefix("docker-image://") {
            NamedContext::Image(image.to_owned())
        } else if let Some(layout) = place.strip_prefix("oci-layout://") {
            let mut place = LayoutPlace::parse(layout);
            place.directory = project.directory.as_std_path().join(place.directory);
            NamedContext::Layout(place)
        } else if let Some(service) = place.strip_prefix("service:") {
            let service = project
                .services
                .get(service)
                .or_else(|| project.disabled.get(service))
                .ok_or_else(|| said(format!("{service} is no service")))?;
            let reference = image_name(project, service);
            // By its id: it was just built, and no registry knows it better.
            let id = (around.image_id)(&reference)?;
            NamedContext::Image(id.unwrap_or(reference))
        } else if let Some(elsewhere) = ContextPlace::parse(place) {
            NamedContext::Elsewhere(elsewhere.map_err(said)?)
        } else if Path::new(place).is_dir() {
            NamedContext::Directory(PathBuf::from(place))
        } else {
            return Err(said(format!("{place} is no directory")).into());
        };
        contexts.insert(name.clone(), context);
    }
    Ok(contexts)
}

/// `ssh:` and `--ssh`: the agent of this session, the socket of another, or files with keys.
fn ssh(around: &Surroundings<'_>, section: &Build) -> Result<SshSources, ImageError> {
    let mut agents = SshSources::new();
    for written in section.ssh.iter().chain(&around.options.ssh) {
        let (id, path) = written.split_once('=').unwrap_or((written, ""));
        let said = |why: &str| format!("the SSH agent {id} of the build: {why}");
        if path.is_empty() {
            let mut variables = around.remote.environment.iter();
            let socket = variables.find(|(name, value)| name == "SSH_AUTH_SOCK" && !value.is_empty());
            let (_, socket) = socket.ok_or_else(|| {
                said("SSH_AUTH_SOCK is not set: start ssh-agent, or write `ID=PATH` with a socket or a key")
            })?;
            agents.insert(id.to_owned(), SshSource::Agent(PathBuf::from(socket)));
            continue;
        }
        let path = around.files.project.directory.as_std_path().join(path);
        let kind = std::fs::metadata(&path).map_err(|error| said(&format!("{}: {error}", path.display())))?;
        let source = if kind.file_type().is_socket() {
            SshSource::Agent(path)
        } else {
            SshSource::Keys(vec![path])
        };
        match (agents.get_mut(id), source) {
            (Some(SshSource::Keys(known)), SshSource::Keys(more)) => known.extend(more),
            (_, source) => drop(agents.insert(id.to_owned(), source)),
        }
    }
    Ok(agents)
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
