//! One endpoint: requests with authentication, redirects and retries in, good answers out.
//! **Invariant:** `Authorization` is sent to the endpoint's own origin only, never to where a redirect leads (CVE-2020-15157).

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::{Agent, Body};

use super::RegistryError;
use super::agent::agent;
use crate::auth::{self, AuthError, Login};
use crate::configuration::{Endpoint, authority};

const ATTEMPTS: u32 = 5;
const LONGEST_WAIT: Duration = Duration::from_mins(1);
const MOST_REDIRECTS: usize = 5;
/// One endpoint with what is known of it.
pub(super) struct Connection<'a> {
    pub(super) endpoint: Endpoint,
    agent: Agent,
    authorization: Mutex<Option<String>>,
    repository: &'a str,
    docker_config: Option<&'a Path>,
    cancel: &'a AtomicBool,
    /// It served content with a wrong digest.
    distrusted: AtomicBool,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        endpoint: Endpoint,
        repository: &'a str,
        docker_config: Option<&'a Path>,
        cancel: &'a AtomicBool,
    ) -> Result<Self, RegistryError> {
        let agent = agent(&endpoint)?;
        let (authorization, distrusted) = (Mutex::new(None), AtomicBool::new(false));
        Ok(Self {
            endpoint,
            agent,
            authorization,
            repository,
            docker_config,
            cancel,
            distrusted,
        })
    }

    pub(super) fn shut_down(&self) {
        self.agent.clone().shutdown();
    }

    pub(super) fn distrust(&self) {
        self.distrusted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_trusted(&self) -> bool {
        !self.distrusted.load(Ordering::Relaxed)
    }

    /// GET with authentication, redirects and retries; returns a 200 or 206.
    pub(super) fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Response<Body>, RegistryError> {
        let mut asked_for_token = false;
        let mut attempt = 0;
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(RegistryError::Cancelled);
            }
            attempt += 1;
            let (mut response, is_endpoint) = match self.follow(url, headers) {
                Ok(answer) => answer,
                Err(RegistryError::Transport { source }) if attempt < ATTEMPTS && may_pass(&source) => {
                    wait(self.cancel, backoff(attempt))?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match response.status() {
                StatusCode::OK | StatusCode::PARTIAL_CONTENT => return Ok(response),
                StatusCode::UNAUTHORIZED if is_endpoint && !asked_for_token => {
                    asked_for_token = true;
                    attempt -= 1;
                    self.authenticate(response.headers())?;
                }
                status if attempt < ATTEMPTS && may_change(status) => {
                    let time = retry_after(response.headers()).unwrap_or_else(|| backoff(attempt));
                    if time > LONGEST_WAIT {
                        return Err(RegistryError::Busy {
                            seconds: time.as_secs(),
                        });
                    }
                    wait(self.cancel, time)?;
                }
                StatusCode::NOT_FOUND => return Err(RegistryError::NotFound),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    return Err(RegistryError::Denied {
                        detail: detail(&mut response),
                    });
                }
                status => {
                    return Err(RegistryError::Status {
                        status,
                        detail: detail(&mut response),
                    });
                }
            }
        }
    }

    /// Sends the request and follows redirects; also tells whether the answer came from the endpoint itself.
    fn follow(&self, url: &str, headers: &[(&str, &str)]) -> Result<(Response<Body>, bool), RegistryError> {
        let mut url = url.to_owned();
        for _ in 0..=MOST_REDIRECTS {
            let is_endpoint = origin(&url) == origin(&self.endpoint.base);
            let mut request = self.agent.get(&url);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if is_endpoint && let Some(authorization) = lock(&self.authorization).as_deref() {
                request = request.header("Authorization", authorization);
            }
            let response = request.call().map_err(|source| {
                if self.cancel.load(Ordering::Relaxed) {
                    RegistryError::Cancelled
                } else {
                    RegistryError::Transport {
                        source: Box::new(source),
                    }
                }
            })?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok((response, is_endpoint));
            }
            let location = header(response.headers(), "location").unwrap_or_default();
            let next = absolute(&url, location);
            let refused = || RegistryError::Redirect {
                location: location.to_owned(),
            };
            if url.starts_with("https://") && !next.starts_with("https://") || authority(&next).is_empty() {
                return Err(refused());
            }
            url = next;
        }
        Err(RegistryError::Redirect { location: url })
    }

    fn authenticate(&self, headers: &HeaderMap) -> Result<(), RegistryError> {
        let endpoint = &self.endpoint;
        let challenges = headers
            .get_all("www-authenticate")
            .iter()
            .filter_map(|value| value.to_str().ok());
        let challenge = auth::parse_challenges(challenges).ok_or_else(|| {
            let challenge = header(headers, "www-authenticate").unwrap_or_default().to_owned();
            RegistryError::Auth(AuthError::UnknownChallenge {
                registry: endpoint.registry.clone(),
                challenge,
            })
        })?;
        let login: Option<Login> =
            auth::find_login(self.docker_config, &endpoint.registry).map_err(RegistryError::Auth)?;
        let value = auth::authorize(&self.agent, endpoint, &challenge, login.as_ref(), self.repository)
            .map_err(RegistryError::Auth)?;
        *lock(&self.authorization) = Some(value);
        Ok(())
    }
}

/// Sleeps, but wakes up when cancelled.
pub(crate) fn wait(cancel: &AtomicBool, time: Duration) -> Result<(), RegistryError> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if cancel.load(Ordering::Relaxed) {
            return Err(RegistryError::Cancelled);
        }
        thread::sleep(
            end.saturating_duration_since(Instant::now())
                .min(Duration::from_millis(50)),
        );
    }
    Ok(())
}

/// 0.2, 0.4, 0.8, 1.6 seconds.
pub(crate) fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(100 << attempt.min(5))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether trying again may help: not when nobody listens there, the host does not exist, or its certificate is wrong.
fn may_pass(error: &ureq::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, InvalidData};
    if let ureq::Error::Io(error) = error {
        return !matches!(error.kind(), ConnectionRefused | InvalidData);
    }
    matches!(error, ureq::Error::Timeout(_) | ureq::Error::Protocol(_))
}

pub(super) fn read_all(response: &mut Response<Body>, limit: u64) -> Result<Vec<u8>, RegistryError> {
    response
        .body_mut()
        .with_config()
        .limit(limit)
        .read_to_vec()
        .map_err(|error| {
            if let ureq::Error::BodyExceedsLimit(limit) = error {
                return RegistryError::TooLong { limit };
            }
            RegistryError::Transport {
                source: Box::new(error),
            }
        })
}

pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The words of `{"errors":[{"message":…}]}` (distribution-spec, "Error Codes").
fn detail(response: &mut Response<Body>) -> Option<String> {
    let body = response
        .body_mut()
        .with_config()
        .limit(64 << 10)
        .read_to_vec()
        .ok()?;
    let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
    let message = body.pointer("/errors/0/message")?.as_str()?;
    Some(
        message
            .chars()
            .filter(|letter| !letter.is_control())
            .take(200)
            .collect(),
    )
}

/// Answers that say something of the moment only (RFC 9110 §15.5.9, §15.6; RFC 6585 §4).
fn may_change(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 429)
}

/// Seconds; a date is not worth a calendar here and falls back to the usual wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = header(headers, "retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// `bytes START-END/TOTAL`
pub(super) fn range_start(headers: &HeaderMap) -> Option<u64> {
    header(headers, "content-range")?
        .strip_prefix("bytes ")?
        .split_once('-')?
        .0
        .parse()
        .ok()
}

/// Scheme, host and port: where a secret may go.
fn origin(url: &str) -> (bool, String) {
    let is_https = url.starts_with("https://");
    let authority = authority(url).to_ascii_lowercase();
    let authority = authority.rsplit('@').next().unwrap_or_default().to_owned();
    let default = if is_https { ":443" } else { ":80" };
    (
        is_https,
        authority
            .strip_suffix(default)
            .map(str::to_owned)
            .unwrap_or(authority),
    )
}

/// `location`, relative to `base` where it is relative (RFC 3986 §5.2).
fn absolute(base: &str, location: &str) -> String {
    let scheme = if base.starts_with("https://") {
        "https:"
    } else {
        "http:"
    };
    if location.starts_with("https://") || location.starts_with("http://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}{location}")
    } else if location.starts_with('/') {
        format!("{scheme}//{}{location}", authority(base))
    } else {
        let directory = base
            .split(['?', '#'])
            .next()
            .unwrap_or(base)
            .rsplit_once('/')
            .map_or(base, |(directory, _)| directory);
        format!("{directory}/{location}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(origin("https://a.b/v2/"), origin("https://A.b:443/x"));
        assert_eq!(origin("http://a.b:80"), origin("http://a.b"));
        for (one, other) in [
            ("https://a.b", "http://a.b"),
            ("https://a.b", "https://a.b:444"),
            ("https://a.b", "https://x.a.b"),
            ("https://a.b", "https://a.b@evil.example/"),
            ("https://a.b", "https://a.b.evil.example/"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001"),
        ] {
            assert_ne!(origin(one), origin(other), "{one} {other}");
        }
    }

    #[test]
    fn resolves_relative_redirects() {
        let base = "https://r.example:5000/v2/a/blobs/x?y=/z";
        assert_eq!(absolute(base, "https://cdn/x"), "https://cdn/x");
        assert_eq!(absolute(base, "//cdn/x"), "https://cdn/x");
        assert_eq!(absolute(base, "/x?y"), "https://r.example:5000/x?y");
        assert_eq!(absolute(base, "other"), "https://r.example:5000/v2/a/blobs/other");
    }
}
