//! Blobs and manifests in, the same in the registry's repository out (OCI distribution-spec, "Push").
//! **Invariant:** nothing is sent that the registry has, or can take over from another repository; a broken upload goes on
//! where the registry says it broke, and no upload counts before the registry confirms its digest.

use std::io::{self, Read};

use ureq::Body;
use ureq::http::{Method, Response, StatusCode};

use super::connection::{Ask, Connection, Content};
use super::location::next;
use super::patience::{ATTEMPTS, backoff, may_change, may_pass};
use super::{Failure, Registry, RegistryError, header};
use crate::digest::Digest;
use crate::manifest::ACCEPTED;

/// Pieces for registries that take no large request.
const CHUNK: u64 = 16 << 20;
const BYTES: (&str, &str) = ("Content-Type", "application/octet-stream");

/// A blob that is to be in a registry.
pub(crate) struct Outgoing<'o> {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// Its bytes from an offset on.
    pub(crate) open: &'o dyn Fn(u64) -> io::Result<Box<dyn Read + 'o>>,
    /// Told how many bytes are sent.
    pub(crate) progress: &'o dyn Fn(u64),
}

/// An upload that was begun.
struct Session {
    location: String,
    /// Bytes that the registry has.
    taken: u64,
    /// Send pieces of this many bytes.
    chunk: Option<u64>,
}

impl Registry<'_> {
    /// Whether the repository has a blob.
    pub(crate) fn has_blob(&self, digest: &Digest) -> Result<bool, Failure> {
        self.first_of_endpoints(|connection| {
            let url = self.blob_url(connection, digest);
            match connection.send(&Ask::head(&url, &[])) {
                Ok(_) => Ok(true),
                Err(RegistryError::NotFound) => Ok(false),
                Err(error) => Err(Failure { url, error }),
            }
        })
    }

    /// The digest of what is called `name` there, if the registry tells.
    pub(crate) fn manifest_digest(&self, name: &str) -> Result<Option<Digest>, Failure> {
        self.first_of_endpoints(|connection| {
            let url = self.manifest_url(connection, name);
            let accept = ACCEPTED.join(", ");
            match connection.send(&Ask::head(&url, &[("Accept", &accept)])) {
                Ok(response) => Ok(served_digest(&response)),
                Err(RegistryError::NotFound) => Ok(None),
                Err(error) => Err(Failure { url, error }),
            }
        })
    }

    /// Names a manifest whose blobs are there.
    pub(crate) fn put_manifest(&self, name: &str, media_type: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.first_of_endpoints(|connection| {
            let url = self.manifest_url(connection, name);
            let ask = Ask {
                method: Method::PUT,
                url: &url,
                headers: &[("Content-Type", media_type)],
                content: Content::Bytes(bytes),
            };
            let put = connection
                .send(&ask)
                .and_then(|response| confirm(&response, &Digest::of(bytes)));
            put.map_err(|error| Failure { url, error })
        })
    }

    /// Takes a blob over from another repository of the registry, if that has it and lets us.
    pub(crate) fn take_over(&self, digest: &Digest, source: &str) -> Result<bool, Failure> {
        self.first_of_endpoints(|connection| {
            let url = format!("{}?mount={digest}&from={source}", self.uploads_url(connection));
            match connection.send(&post(&url)) {
                Ok(response) if response.status() == StatusCode::CREATED => confirm(&response, digest)
                    .map(|()| true)
                    .map_err(|error| Failure { url, error }),
                // 202 is an upload that was begun instead; nobody goes on with it, and the registry forgets it.
                Ok(_)
                | Err(
                    RegistryError::Denied { .. } | RegistryError::NotFound | RegistryError::Status { .. },
                ) => Ok(false),
                Err(error) => Err(Failure { url, error }),
            }
        })
    }

    /// Brings a blob that is not there into the repository.
    pub(crate) fn upload(&self, blob: &Outgoing<'_>) -> Result<(), Failure> {
        self.first_of_endpoints(|connection| {
            let mut session = self.begin(connection)?;
            let mut failures = 0;
            loop {
                let error = match transfer(connection, blob, &mut session) {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                };
                let url = plain(&session.location);
                let failed = |error| Failure {
                    url: url.clone(),
                    error,
                };
                let too_large = is_status(&error, 413) && session.chunk.is_none();
                // What was resumed may not fit together: the whole of it may.
                let unfit = session.taken > 0 && is_status(&error, 400);
                failures += 1;
                if failures == ATTEMPTS || !(too_large || unfit || may_go_on(&error)) {
                    return Err(failed(error));
                }
                self.wait(backoff(failures)).map_err(failed)?;
                let before = session.taken;
                let lost = too_large || unfit || !ask_how_far(connection, &mut session).map_err(failed)?;
                if lost {
                    let chunk = session.chunk.or(too_large.then_some(CHUNK));
                    session = Session {
                        chunk,
                        ..self.begin(connection)?
                    };
                } else if session.taken > before {
                    failures = 0;
                }
            }
        })
    }

    fn begin(&self, connection: &Connection<'_>) -> Result<Session, Failure> {
        let url = self.uploads_url(connection);
        let begun = connection
            .send(&post(&url))
            .and_then(|response| location(&url, &response));
        match begun {
            Ok(location) => Ok(Session {
                location,
                taken: 0,
                chunk: None,
            }),
            Err(error) => Err(Failure { url, error }),
        }
    }

    fn uploads_url(&self, connection: &Connection<'_>) -> String {
        format!(
            "{}/v2/{}/blobs/uploads/",
            connection.endpoint.base, self.repository
        )
    }
}

fn post(url: &str) -> Ask<'_> {
    Ask {
        method: Method::POST,
        url,
        headers: &[],
        content: Content::Bytes(b""),
    }
}

/// Sends what the registry does not have yet, in one request if it has nothing, and has the digest confirmed.
fn transfer(
    connection: &Connection<'_>,
    blob: &Outgoing<'_>,
    session: &mut Session,
) -> Result<(), RegistryError> {
    let is_whole = session.taken == 0 && session.chunk.is_none();
    while !is_whole && session.taken < blob.size {
        let (start, left) = (session.taken, blob.size - session.taken);
        let length = session.chunk.map_or(left, |chunk| chunk.min(left));
        let open = || piece(blob, start, length);
        let range = format!("{start}-{}", start + length - 1);
        let ask = Ask {
            method: Method::PATCH,
            url: &session.location.clone(),
            headers: &[BYTES, ("Content-Range", &range)],
            content: Content::Stream(&open, length),
        };
        let response = connection.send(&ask)?;
        session.location = location(&session.location, &response)?;
        session.taken = range_end(&response).unwrap_or(start + length);
        if session.taken <= start || session.taken > start + length {
            return Err(RegistryError::Nonsense {
                problem: format!("says it has {} bytes of the upload", session.taken),
            });
        }
    }
    let separator = if session.location.contains('?') { '&' } else { '?' };
    let url = format!("{}{separator}digest={}", session.location, blob.digest);
    let open = || piece(blob, 0, blob.size);
    let ask = Ask {
        method: Method::PUT,
        url: &url,
        headers: &[BYTES],
        content: if is_whole {
            Content::Stream(&open, blob.size)
        } else {
            Content::Bytes(b"")
        },
    };
    confirm(&connection.send(&ask)?, &blob.digest)
}

/// Asks how much of an upload arrived; false when the registry does not know it any more.
fn ask_how_far(connection: &Connection<'_>, session: &mut Session) -> Result<bool, RegistryError> {
    match connection.send(&Ask::get(&session.location, &[])) {
        Ok(response) => {
            // `0-0` is one byte or none.
            session.taken = range_end(&response).filter(|taken| *taken > 1).unwrap_or(0);
            if header(response.headers(), "location").is_some() {
                session.location = location(&session.location, &response)?;
            }
            Ok(session.taken > 0)
        }
        Err(RegistryError::Cancelled) => Err(RegistryError::Cancelled),
        Err(_) => Ok(false),
    }
}

/// Whether the next attempt may succeed: the moment was bad, or registry and we disagree on how far we are.
fn may_go_on(error: &RegistryError) -> bool {
    match error {
        RegistryError::Transport { source } => may_pass(source),
        RegistryError::Status { status, .. } => may_change(*status) || *status == 416,
        RegistryError::NotFound => true,
        RegistryError::Broken { .. }
        | RegistryError::Denied { .. }
        | RegistryError::Busy { .. }
        | RegistryError::Auth(_)
        | RegistryError::WrongDigest { .. }
        | RegistryError::WrongSize { .. }
        | RegistryError::TooLong { .. }
        | RegistryError::Manifest(_)
        | RegistryError::Redirect { .. }
        | RegistryError::NoHome
        | RegistryError::Proxy { .. }
        | RegistryError::Local { .. }
        | RegistryError::Nonsense { .. }
        | RegistryError::Certificates { .. }
        | RegistryError::Cancelled => false,
    }
}

fn is_status(error: &RegistryError, wanted: u16) -> bool {
    matches!(error, RegistryError::Status { status, .. } if *status == wanted)
}

fn location(base: &str, response: &Response<Body>) -> Result<String, RegistryError> {
    match header(response.headers(), "location") {
        Some(location) => next(base, location),
        None => Err(RegistryError::Nonsense {
            problem: format!("({}) does not say where to upload to", response.status()),
        }),
    }
}

/// The bytes that a registry has, by its `Range: 0-LAST`.
fn range_end(response: &Response<Body>) -> Option<u64> {
    let range = header(response.headers(), "range")?;
    let last: u64 = range.rsplit('-').next()?.parse().ok()?;
    last.checked_add(1)
}

fn served_digest(response: &Response<Body>) -> Option<Digest> {
    header(response.headers(), "docker-content-digest")?.parse().ok()
}

/// A registry that computed another digest, and says so, has something else.
fn confirm(response: &Response<Body>, expected: &Digest) -> Result<(), RegistryError> {
    match served_digest(response) {
        Some(actual) if actual != *expected => Err(RegistryError::WrongDigest {
            expected: *expected,
            actual,
        }),
        Some(_) | None => Ok(()),
    }
}

/// A URL without what a registry put into it for itself.
fn plain(url: &str) -> String {
    url.split('?').next().unwrap_or(url).to_owned()
}

/// `length` bytes of a blob from `start` on, which tell how far they are.
fn piece<'o>(blob: &Outgoing<'o>, start: u64, length: u64) -> io::Result<Box<dyn Read + 'o>> {
    let reader = (blob.open)(start)?.take(length);
    Ok(Box::new(Told {
        reader,
        done: start,
        progress: blob.progress,
    }))
}

struct Told<'o, R> {
    reader: R,
    done: u64,
    progress: &'o dyn Fn(u64),
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.done += count as u64;
        (self.progress)(self.done);
        Ok(count)
    }
}
