//! Digests and tags in, manifests and blobs as a registry or a mirror serves them out.
//! **Invariant:** what is handed out whole has the digest and the length that were announced.

use std::io::Read;

use ureq::http::{HeaderMap, StatusCode};

use super::connection::{Ask, Connection};
use super::{Failure, LONGEST_MANIFEST, Registry, RegistryError, header};
use crate::digest::Digest;
use crate::manifest::{ACCEPTED, DOCKER_INDEX, Descriptor, ManifestDocument, OCI_INDEX};

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

impl Registry<'_> {
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
            let headers = [("Accept", accept.as_str())];
            let (headers, bytes) = connection.fetch(&Ask::get(&url, &headers), LONGEST_MANIFEST)?;
            let media_type = header(&headers, "content-type").unwrap_or_default().to_owned();
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

    /// A blob of at most `limit` bytes, whole and checked.
    pub(crate) fn small_blob(&self, blob: &Descriptor, limit: u64) -> Result<Vec<u8>, Failure> {
        self.first_of_endpoints(|connection| {
            let url = self.blob_url(connection, &blob.digest);
            let fetch = || {
                if blob.size > limit {
                    return Err(RegistryError::TooLong { limit });
                }
                // A body as long as the limit counts as too long.
                let fetched = connection.fetch(&Ask::get(&url, &[]), blob.size + 1);
                let bytes = match fetched {
                    Ok((_, bytes)) => bytes,
                    Err(RegistryError::TooLong { .. }) => {
                        return Err(RegistryError::TooLong { limit: blob.size });
                    }
                    Err(error) => return Err(error),
                };
                let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
                if size != blob.size {
                    return Err(RegistryError::WrongSize {
                        expected: blob.size,
                        actual: size,
                    });
                }
                if digest != blob.digest {
                    return Err(RegistryError::WrongDigest {
                        expected: blob.digest,
                        actual: digest,
                    });
                }
                Ok(bytes)
            };
            fetch().map_err(|error| Failure {
                url: url.clone(),
                error,
            })
        })
    }

    /// Starts downloading a blob of `size` bytes at byte `offset`; the stream says where it really starts.
    pub(crate) fn blob(&self, digest: &Digest, size: u64, offset: u64) -> Result<BlobStream, Failure> {
        self.first_of_endpoints(|connection| {
            let url = self.blob_url(connection, digest);
            let range = format!("bytes={offset}-");
            let headers: &[(&str, &str)] = if offset > 0 { &[("Range", &range)] } else { &[] };
            let start = || {
                let response = connection.send(&Ask::get(&url, headers))?;
                let partial = response.status() == StatusCode::PARTIAL_CONTENT;
                let start = if partial {
                    range_start(response.headers()).unwrap_or(offset)
                } else {
                    0
                };
                let length = header(response.headers(), "content-length");
                let total = length
                    .and_then(|length| length.parse().ok())
                    .map(|length: u64| start.saturating_add(length));
                if let Some(actual) = total.filter(|total| *total != size) {
                    return Err(RegistryError::WrongSize {
                        expected: size,
                        actual,
                    });
                }
                let reader = response.into_body().into_with_config().limit(u64::MAX).reader();
                Ok((start, Box::new(reader)))
            };
            match start() {
                Ok((start, reader)) => Ok(BlobStream { url, start, reader }),
                Err(error) => Err(Failure { url, error }),
            }
        })
    }

    pub(super) fn blob_url(&self, connection: &Connection<'_>, digest: &Digest) -> String {
        format!(
            "{}/v2/{}/blobs/{digest}",
            connection.endpoint.base, self.repository
        )
    }
}

/// `bytes START-END/TOTAL`
fn range_start(headers: &HeaderMap) -> Option<u64> {
    header(headers, "content-range")?
        .strip_prefix("bytes ")?
        .split_once('-')?
        .0
        .parse()
        .ok()
}
