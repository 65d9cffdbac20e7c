//! In: what a build is asked for. Out: the request, the events it reports and the ways it fails.
//! **Invariant:** plain data; the caller has read the Dockerfile and resolved every path.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::failure::{step, tail};
use super::material::Material;
use super::remote::{ContextPlace, LayoutPlace, RemoteAccess};
use super::ssh::SshSources;
use crate::error::ImageError;
use crate::image::Image;
use crate::platform::Platform;
use crate::sbom::SbomError;

/// A build.
#[derive(Debug, Clone, Default)]
pub struct BuildRequest {
    /// Absolute directory that COPY reads from.
    pub context: PathBuf,
    /// Text of the Dockerfile.
    pub dockerfile: String,
    /// What the context is, if it was fetched; its files keep their owners then, as no user of this host made them.
    pub context_material: Option<Material>,
    /// Its path, for messages; of one that is written in another file, which file and where in it.
    pub dockerfile_name: String,
    /// It is no file of its own.
    pub dockerfile_is_inline: bool,
    /// Text of the `.dockerignore` that holds.
    pub dockerignore: String,
    /// Build arguments; one without a value is unset.
    pub arguments: BTreeMap<String, Option<String>>,
    /// Stage that is the result; none is the last.
    pub target: Option<String>,
    /// Labels added to the image.
    pub labels: BTreeMap<String, String>,
    /// Do not use what earlier builds made.
    pub no_cache: bool,
    /// The same for the stages of these names only.
    pub no_cache_filter: Vec<String>,
    /// Where the steps are kept for builds elsewhere.
    pub steps_kept: StepsKept,
    /// Seconds since 1970: the time of the image, and the latest time of a file in its layers (reproducible-builds.org,
    /// `SOURCE_DATE_EPOCH`); none is now.
    pub source_date_epoch: Option<i64>,
    /// Further contexts by name.
    pub contexts: BTreeMap<String, NamedContext>,
    /// Lines of `/etc/hosts` in RUN: name and address.
    pub extra_hosts: Vec<(String, String)>,
    /// Network of RUN: `none`, `host`, or none for the default.
    pub network: Option<String>,
    /// Secrets by id.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Bytes of `/dev/shm` in RUN.
    pub shm_size: Option<u64>,
    /// Bytes of memory that a RUN may use.
    pub memory: Option<u64>,
    /// Resource limits of RUN by name: soft and hard, -1 for none.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// What is built for; none is this machine.
    pub platform: Option<Platform>,
    /// What elsewhere is reached with.
    pub remote: RemoteAccess,
    /// Agents and keys of `RUN --mount=type=ssh`, by id.
    pub ssh: SshSources,
    /// What is to be attested of the image.
    pub attestations: AttestationRequest,
}

/// Where the steps of a build are kept for builds elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StepsKept {
    /// Nowhere.
    #[default]
    Here,
    /// In caches that whoever asked for the build fills.
    InCaches,
    /// In the image's configuration, those of the result; perhaps in caches, too.
    InImage,
}

/// What is to be attested of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttestationRequest {
    /// How it was built.
    pub provenance: Option<ProvenanceRequest>,
    /// Which packages are in it.
    pub sbom: bool,
}

/// What a provenance is to tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProvenanceRequest {
    /// Arguments, labels, ids of secrets and the Dockerfile as well (`mode=max`).
    pub all: bool,
    /// Its form.
    pub version: ProvenanceVersion,
    /// Who builds, a URI; none is this program.
    pub builder: Option<String>,
    /// The user says that the build is reproducible.
    pub reproducible: bool,
}

/// A version of SLSA's provenance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProvenanceVersion {
    /// 0.2.
    #[default]
    V02,
    /// 1.0 and later.
    V1,
}

/// A context besides the main one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// An absolute directory.
    Directory(PathBuf),
    /// An image, by reference; `scratch` is none.
    Image(String),
    /// A repository, or a file on the web.
    Elsewhere(ContextPlace),
    /// An image of an OCI layout on this host.
    Layout(LayoutPlace),
}

/// What happens during a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEvent {
    /// A step begins.
    Step {
        /// Names it in later events; from 1.
        number: usize,
        /// Which of its stage's steps, from 1.
        index: usize,
        /// How many its stage has.
        total: usize,
        /// Its stage's name, or `stage-N`.
        stage: String,
        /// As written, the first line.
        text: String,
    },
    /// It was made before.
    Cached {
        /// Which.
        number: usize,
    },
    /// A RUN printed this.
    Output {
        /// Which.
        number: usize,
        /// To standard error.
        stderr: bool,
        /// Bytes, as they came.
        bytes: Vec<u8>,
    },
    /// It is done.
    Done {
        /// Which.
        number: usize,
        /// How long it took.
        took: Duration,
    },
    /// Something to know of the result.
    Note(String),
    /// Something to know that does not stop the build.
    Warning {
        /// Line of the Dockerfile.
        line: usize,
        /// What.
        message: String,
    },
}

/// Finds a base image for a platform, pulling it when it is missing.
pub type FindImage<'a> = &'a (dyn Fn(&str, &Platform) -> Result<Image, String> + Sync);

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The Dockerfile is wrong, or a step cannot be done; the message has the line as written.
    #[error("{}", step(dockerfile, *line, text, message))]
    Step {
        /// Path.
        dockerfile: String,
        /// From 1.
        line: usize,
        /// The line.
        text: String,
        /// What is wrong.
        message: String,
    },
    /// A RUN ended with an error.
    #[error("{dockerfile}:{line}: the command ended with exit code {code}{text}{}", tail(.output))]
    Command {
        /// Path.
        dockerfile: String,
        /// From 1.
        line: usize,
        /// Its lines with some around.
        text: String,
        /// Its exit code.
        code: i32,
        /// The last lines it printed.
        output: String,
    },
    /// The image is built, but what is in it cannot be said.
    #[error("no bill of materials can be made")]
    BillOfMaterials {
        /// Why not.
        #[source]
        source: SbomError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ImageError),
    /// The caller asked to stop.
    #[error("the build was cancelled")]
    Cancelled,
}
