//! An image name in, manifests and blob streams from its registry or a mirror out (OCI distribution-spec, "Pull").
//! **Invariant:** `Authorization` goes to the endpoint it was made for and to no host a redirect names; no manifest is
//! handed out whose bytes do not have the digest that was asked for.

use std::io::Read;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use thiserror::Error;
use ureq::http::StatusCode;

use crate::auth::AuthError;
use crate::configuration::Configuration;
use crate::digest::Digest;
use crate::manifest::{ACCEPTED, DOCKER_INDEX, ManifestDocument, ManifestError, OCI_INDEX};
use crate::reference::Reference;

mod agent;
mod connection;

pub(crate) use connection::backoff;
use connection::{Connection, header, range_start, read_all, wait};

/// The longest manifest a registry must accept, and the longest that is read (distribution-spec, "Pushing Manifests").
pub(crate) const LONGEST_MANIFEST: u64 = 4 << 20;

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
    /// The registry does not let us have it.
    #[error("access denied: the image does not exist, or it needs a login{}", detail.as_ref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Denied {
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

/// A manifest as it was served.
pub(crate) struct FetchedManifest {
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
    pub(crate) document: ManifestDocument,
}

/// A manifest, an index or an artifact as it was served, its digest checked.
pub(crate) struct Served {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

impl Served {
    pub(crate) fn is_index(&self) -> bool {
        matches!(self.media_type.as_str(), OCI_INDEX | DOCKER_INDEX)
    }
}

/// A running download, from byte `start` on.
pub(crate) struct BlobStream {
    pub(crate) url: String,
    pub(crate) start: u64,
    pub(crate) reader: Box<dyn Read + Send>,
}

/// A registry and its mirrors, for one repository.
pub(crate) struct Registry<'a> {
    repository: &'a str,
    connections: Vec<Connection<'a>>,
    cancel: &'a AtomicBool,
}

impl<'a> Registry<'a> {
    pub(crate) fn new(
        configuration: &'a Configuration,
        reference: &'a Reference,
        cancel: &'a AtomicBool,
    ) -> Result<Self, Failure> {
        let repository = reference.repository();
        let docker_config = configuration.docker_config.as_deref();
        let mut connections = Vec::new();
        for endpoint in configuration.endpoints(reference.registry()) {
            let url = endpoint.base.clone();
            let connection = Connection::new(endpoint, repository, docker_config, cancel);
            connections.push(connection.map_err(|error| Failure { url, error })?);
        }
        Ok(Self {
            repository,
            connections,
            cancel,
        })
    }

    /// Breaks every connection, so that whoever waits for one stops waiting.
    pub(crate) fn shut_down(&self) {
        for connection in &self.connections {
            connection.shut_down();
        }
    }

    /// The manifest or index called `name`: a tag, or a digest, which is then checked.
    pub(crate) fn manifest(&self, name: &str, expected: Option<&Digest>) -> Result<FetchedManifest, Failure> {
        self.first_of_endpoints(|connection| {
            let served = self.served(connection, name, expected)?;
            let document = ManifestDocument::parse(&served.media_type, &served.bytes);
            let document = document.map_err(|error| Failure {
                url: self.manifest_url(connection, name),
                error: RegistryError::Manifest(error),
            })?;
            Ok(FetchedManifest {
                digest: served.digest,
                bytes: served.bytes,
                document,
            })
        })
    }

    /// The same as it is, whatever it is.
    pub(crate) fn document(&self, name: &str, expected: Option<&Digest>) -> Result<Served, Failure> {
        self.first_of_endpoints(|connection| self.served(connection, name, expected))
    }

    fn served(
        &self,
        connection: &Connection<'_>,
        name: &str,
        expected: Option<&Digest>,
    ) -> Result<Served, Failure> {
        let url = self.manifest_url(connection, name);
        let accept = ACCEPTED.join(", ");
        let fetch = || {
            let mut response = connection.get(&url, &[("Accept", &accept)])?;
            let media_type = header(response.headers(), "content-type")
                .unwrap_or_default()
                .to_owned();
            let bytes = read_all(&mut response, LONGEST_MANIFEST)?;
            let digest = Digest::of(&bytes);
            if let Some(expected) = expected.filter(|expected| **expected != digest) {
                return Err(RegistryError::WrongDigest {
                    expected: *expected,
                    actual: digest,
                });
            }
            Ok(Served {
                digest,
                media_type,
                bytes,
            })
        };
        fetch().map_err(|error| Failure {
            url: url.clone(),
            error,
        })
    }

    fn manifest_url(&self, connection: &Connection<'_>, name: &str) -> String {
        format!(
            "{}/v2/{}/manifests/{name}",
            connection.endpoint.base, self.repository
        )
    }

    /// A blob of at most `limit` bytes, whole and checked.
    pub(crate) fn small_blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, Failure> {
        self.first_of_endpoints(|connection| {
            let url = self.blob_url(connection, digest);
            let fetch = || {
                let bytes = read_all(&mut connection.get(&url, &[])?, limit)?;
                match Digest::of(&bytes) {
                    actual if actual == *digest => Ok(bytes),
                    actual => Err(RegistryError::WrongDigest {
                        expected: *digest,
                        actual,
                    }),
                }
            };
            fetch().map_err(|error| Failure {
                url: url.clone(),
                error,
            })
        })
    }

    /// Starts downloading a blob at byte `offset`; the stream says where it really starts.
    pub(crate) fn blob(&self, digest: &Digest, offset: u64) -> Result<BlobStream, Failure> {
        self.first_of_endpoints(|connection| {
            let url = self.blob_url(connection, digest);
            let range = format!("bytes={offset}-");
            let headers: &[(&str, &str)] = if offset > 0 { &[("Range", &range)] } else { &[] };
            let response = connection.get(&url, headers).map_err(|error| Failure {
                url: url.clone(),
                error,
            })?;
            let partial = response.status() == StatusCode::PARTIAL_CONTENT;
            let start = if partial {
                range_start(response.headers()).unwrap_or(offset)
            } else {
                0
            };
            let reader = Box::new(response.into_body().into_with_config().limit(u64::MAX).reader());
            Ok(BlobStream { url, start, reader })
        })
    }

    fn blob_url(&self, connection: &Connection<'_>, digest: &Digest) -> String {
        format!(
            "{}/v2/{}/blobs/{digest}",
            connection.endpoint.base, self.repository
        )
    }

    /// Mirrors in order, then the registry; the last one's error counts.
    fn first_of_endpoints<T>(
        &self,
        attempt: impl Fn(&Connection<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut last = Failure {
            url: self.repository.to_owned(),
            error: RegistryError::NotFound,
        };
        for connection in self
            .connections
            .iter()
            .filter(|connection| connection.is_trusted())
        {
            match attempt(connection) {
                Ok(found) => return Ok(found),
                Err(failure) if matches!(failure.error, RegistryError::Cancelled) => return Err(failure),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// Whoever served `url` is not asked again; whether anybody is left to ask.
    pub(crate) fn distrust(&self, url: &str) -> bool {
        for connection in &self.connections {
            if url
                .strip_prefix(&connection.endpoint.base)
                .is_some_and(|rest| rest.starts_with("/v2/"))
            {
                connection.distrust();
            }
        }
        self.connections.iter().any(Connection::is_trusted)
    }

    /// Sleeps, but wakes up when cancelled.
    pub(crate) fn wait(&self, time: Duration) -> Result<(), RegistryError> {
        wait(self.cancel, time)
    }
}
