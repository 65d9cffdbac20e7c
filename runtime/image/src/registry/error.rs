//! What goes wrong between this host and a registry.
//! **Invariant:** a message is one sentence; where it happened is in [`Failure`], the cause in `source`.

use thiserror::Error;
use ureq::http::StatusCode;

use crate::auth::AuthError;
use crate::digest::Digest;
use crate::manifest::ManifestError;
use crate::reference::DOCKER_HUB;

/// Why a registry did not give what was asked for.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// No connection, or it broke.
    #[error("cannot reach the registry")]
    Transport {
        /// Why not.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The connection broke while content was read.
    #[error("the connection broke")]
    Broken {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The registry does not have it.
    #[error("not found in the registry")]
    NotFound,
    /// The registry does not let us have it, or put it there.
    #[error("access denied{}: the repository does not exist, or you need to run `rcompose login{}`", told(detail.as_ref()), login_name(registry))]
    Denied {
        /// Which registry.
        registry: String,
        /// The registry's words.
        detail: Option<String>,
    },
    /// The registry wants us to come back later than anybody waits here.
    #[error("the registry is busy and asks to try again in {seconds} seconds")]
    Busy {
        /// How long to wait.
        seconds: u64,
    },
    /// Any other answer.
    #[error("the registry answered {status}{}", detail.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Status {
        /// The HTTP status.
        status: StatusCode,
        /// The registry's words.
        detail: Option<String>,
    },
    /// Authentication failed.
    #[error("cannot authenticate")]
    Auth(#[source] AuthError),
    /// The content has another digest.
    #[error("content has digest {actual}, expected {expected}")]
    WrongDigest {
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// The content is longer or shorter than announced.
    #[error("content has {actual} bytes, expected {expected}")]
    WrongSize {
        /// What was announced.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// More bytes than are ever read.
    #[error("content is longer than {limit} bytes")]
    TooLong {
        /// How many are read at most.
        limit: u64,
    },
    /// The manifest is not usable.
    #[error("the manifest is not usable")]
    Manifest(#[source] ManifestError),
    /// The redirect goes nowhere, in circles, or from https to http.
    #[error("refused redirect to {location:?}")]
    Redirect {
        /// Where to.
        location: String,
    },
    /// There is no place to keep a login in.
    #[error("there is no place to keep logins in: set HOME or DOCKER_CONFIG")]
    NoHome,
    /// A proxy of the environment cannot be used.
    #[error("cannot use the proxy {proxy}: {problem}")]
    Proxy {
        /// Its URL, without a password.
        proxy: String,
        /// Why not.
        problem: String,
    },
    /// What is to be sent cannot be read.
    #[error("cannot read what is to be sent")]
    Local {
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// An answer that makes no sense.
    #[error("the registry's answer {problem}")]
    Nonsense {
        /// What is wrong with it.
        problem: String,
    },
    /// A file of certificates cannot be used.
    #[error("cannot use the certificates in {path}: {problem}")]
    Certificates {
        /// The file.
        path: String,
        /// Why not.
        problem: String,
    },
    /// Somebody asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// An error and the URL it happened at.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) url: String,
    pub(crate) error: RegistryError,
}

/// The registry's words, in parentheses.
fn told(detail: Option<&String>) -> String {
    detail.map(|text| format!(" ({text})")).unwrap_or_default()
}

/// What follows `rcompose login`; nothing for Docker Hub.
pub(crate) fn login_name(registry: &str) -> String {
    if registry == DOCKER_HUB {
        String::new()
    } else {
        format!(" {registry}")
    }
}
