//! One endpoint: requests with authentication, redirects and retries in, good answers out.
//! **Invariant:** `Authorization` is sent to the endpoint's own origin only, never to where a redirect leads (CVE-2020-15157).

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use ureq::http::{HeaderMap, Method, Response, StatusCode};
use ureq::{Body, SendBody};

use super::agent::Agents;
use super::location::{next, origin};
use super::patience::{ATTEMPTS, backoff, may_change, may_pass, until_next, wait};
use super::{RegistryError, header};
use crate::auth::{self, AuthError, Login};
use crate::configuration::{Configuration, Endpoint};

const MOST_REDIRECTS: usize = 5;

/// What is asked of an endpoint.
pub(super) struct Ask<'r> {
    pub(super) method: Method,
    pub(super) url: &'r str,
    pub(super) headers: &'r [(&'r str, &'r str)],
    pub(super) content: Content<'r>,
}

/// What is sent along.
pub(super) enum Content<'r> {
    Nothing,
    Bytes(&'r [u8]),
    /// So many bytes of what the function opens, which it does again for a redirect or a login; not for a retry, because nobody
    /// knows how much of it the registry took.
    Stream(&'r dyn Fn() -> std::io::Result<Box<dyn Read + 'r>>, u64),
}

impl<'r> Ask<'r> {
    pub(super) fn get(url: &'r str, headers: &'r [(&'r str, &'r str)]) -> Self {
        Self {
            method: Method::GET,
            url,
            headers,
            content: Content::Nothing,
        }
    }

    pub(super) fn head(url: &'r str, headers: &'r [(&'r str, &'r str)]) -> Self {
        Self {
            method: Method::HEAD,
            ..Self::get(url, headers)
        }
    }

    fn is_repeatable(&self) -> bool {
        !matches!(self.content, Content::Stream(..))
    }
}

/// One endpoint with what is known of it.
pub(super) struct Connection<'a> {
    pub(super) endpoint: Endpoint,
    agents: Agents,
    authorization: Mutex<Option<String>>,
    /// What a token is to allow: what the work needs, and what would only spare some of it.
    scopes: [Vec<String>; 2],
    docker_config: Option<&'a Path>,
    /// The login to use instead of the one that is kept, and nothing else.
    login: Option<Login>,
    cancel: &'a AtomicBool,
    /// It served content with a wrong digest.
    distrusted: AtomicBool,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        endpoint: Endpoint,
        scopes: [Vec<String>; 2],
        configuration: &'a Configuration,
        cancel: &'a AtomicBool,
    ) -> Self {
        Self {
            endpoint,
            agents: Agents::new(&configuration.proxies),
            authorization: Mutex::new(None),
            scopes,
            docker_config: configuration.docker_config.as_deref(),
            login: None,
            cancel,
            distrusted: AtomicBool::new(false),
        }
    }

    /// The same with a login that is to be tried.
    pub(super) fn with_login(self, login: Login) -> Self {
        let login = Some(login);
        Self { login, ..self }
    }

    pub(super) fn shut_down(&self) {
        self.agents.shut_down();
    }

    pub(super) fn distrust(&self) {
        self.distrusted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_trusted(&self) -> bool {
        !self.distrusted.load(Ordering::Relaxed)
    }

    /// Sends with authentication, redirects and retries; returns an answer that says yes (2xx).
    pub(super) fn send(&self, ask: &Ask<'_>) -> Result<Response<Body>, RegistryError> {
        let mut asked_for_token = false;
        let mut attempt = 0;
        loop {
            self.check()?;
            attempt += 1;
            let may_repeat = attempt < ATTEMPTS && ask.is_repeatable();
            let used = lock(&self.authorization).clone();
            let (mut response, is_endpoint) = match self.follow(ask, used.as_deref()) {
                Ok(answer) => answer,
                Err(RegistryError::Transport { source }) if may_repeat && may_pass(&source) => {
                    wait(self.cancel, backoff(attempt))?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match response.status() {
                status if status.is_success() => return Ok(response),
                StatusCode::UNAUTHORIZED if is_endpoint && !asked_for_token => {
                    attempt -= 1;
                    asked_for_token = self.authenticate(response.headers(), used.as_deref())?;
                }
                status if may_change(status) && attempt < ATTEMPTS => {
                    wait(self.cancel, until_next(response.headers(), attempt)?)?;
                    if !ask.is_repeatable() {
                        return Err(self.refusal(&mut response));
                    }
                }
                _ => return Err(self.refusal(&mut response)),
            }
        }
    }

    /// The same, and the whole answer, of at most `limit` bytes: when the connection breaks in the middle of it, it is asked for again.
    pub(super) fn fetch(&self, ask: &Ask<'_>, limit: u64) -> Result<(HeaderMap, Vec<u8>), RegistryError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut response = self.send(ask)?;
            let body = response.body_mut().with_config().limit(limit).read_to_vec();
            match body {
                Ok(bytes) => return Ok((response.into_parts().0.headers, bytes)),
                Err(ureq::Error::BodyExceedsLimit(limit)) => return Err(RegistryError::TooLong { limit }),
                Err(error) if attempt < ATTEMPTS && may_pass(&error) => {
                    wait(self.cancel, backoff(attempt))?;
                }
                Err(error) => {
                    self.check()?;
                    return Err(RegistryError::Transport {
                        source: Box::new(error),
                    });
                }
            }
        }
    }

    fn check(&self) -> Result<(), RegistryError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(RegistryError::Cancelled);
        }
        Ok(())
    }

    /// What an answer that says no means.
    fn refusal(&self, response: &mut Response<Body>) -> RegistryError {
        match response.status() {
            StatusCode::NOT_FOUND => RegistryError::NotFound,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryError::Denied {
                registry: self.endpoint.registry.clone(),
                detail: detail(response),
            },
            status => RegistryError::Status {
                status,
                detail: detail(response),
            },
        }
    }

    /// Sends the request and follows redirects; also tells whether the answer came from the endpoint itself.
    fn follow(
        &self,
        ask: &Ask<'_>,
        authorization: Option<&str>,
    ) -> Result<(Response<Body>, bool), RegistryError> {
        let mut url = ask.url.to_owned();
        for _ in 0..=MOST_REDIRECTS {
            let is_endpoint = origin(&url) == origin(&self.endpoint.base);
            let response = self.send_once(ask, &url, authorization.filter(|_| is_endpoint))?;
            let keeps_method = matches!(response.status().as_u16(), 307 | 308);
            let is_redirect = keeps_method || matches!(response.status().as_u16(), 301..=303);
            if !is_redirect {
                return Ok((response, is_endpoint));
            }
            let location = header(response.headers(), "location").unwrap_or_default();
            if !keeps_method && !matches!(ask.method, Method::GET | Method::HEAD) {
                return Err(RegistryError::Redirect {
                    location: location.to_owned(),
                });
            }
            url = next(&url, location)?;
        }
        Err(RegistryError::Redirect { location: url })
    }

    fn send_once(
        &self,
        ask: &Ask<'_>,
        url: &str,
        authorization: Option<&str>,
    ) -> Result<Response<Body>, RegistryError> {
        let transport = |source: ureq::Error| match self.check() {
            Ok(()) => RegistryError::Transport {
                source: Box::new(source),
            },
            Err(cancelled) => cancelled,
        };
        let agent = self.agents.client(&self.endpoint, url)?;
        let mut request = ureq::http::Request::builder().method(ask.method.clone()).uri(url);
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        let built = |error: ureq::http::Error| transport(error.into());
        match ask.content {
            Content::Nothing => agent.run(request.body(()).map_err(built)?),
            Content::Bytes(bytes) => agent.run(request.body(bytes).map_err(built)?),
            Content::Stream(open, length) => {
                let mut reader = open().map_err(|source| RegistryError::Local { source })?;
                let request = request.header("Content-Length", length);
                let body = SendBody::from_reader(&mut reader);
                agent.run(request.body(body).map_err(built)?)
            }
        }
        .map_err(transport)
    }

    /// Gets another authorization than the one that was `used`; false when somebody else did so meanwhile.
    fn authenticate(&self, headers: &HeaderMap, used: Option<&str>) -> Result<bool, RegistryError> {
        // Held while asking: everybody waits for the one answer.
        let mut authorization = lock(&self.authorization);
        if authorization.as_deref() != used {
            return Ok(false);
        }
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
        let login = match &self.login {
            Some(login) => {
                auth::check_realm(endpoint, &challenge).map_err(RegistryError::Auth)?;
                Some(login.clone())
            }
            None => auth::find_login(self.docker_config, &endpoint.registry).map_err(RegistryError::Auth)?,
        };
        let [needed, helpful] = &self.scopes;
        let mut scopes = [needed.as_slice(), helpful].concat();
        let mut attempt = 0;
        let value = loop {
            attempt += 1;
            match auth::authorize(&self.agents, endpoint, &challenge, login.as_ref(), &scopes) {
                Ok(value) => break value,
                Err(error) if attempt < ATTEMPTS && is_busy(&error) => {
                    wait(self.cancel, backoff(attempt))?;
                }
                Err(AuthError::Refused { .. }) if scopes.len() > needed.len() => {
                    scopes.truncate(needed.len());
                }
                Err(error) => {
                    self.check()?;
                    return Err(RegistryError::Auth(error));
                }
            }
        };
        *authorization = Some(value);
        Ok(true)
    }
}

/// Whether a token server may have a better moment.
fn is_busy(error: &AuthError) -> bool {
    match error {
        AuthError::Transport { source, .. } => may_pass(source),
        AuthError::Refused { status, .. } => StatusCode::from_u16(*status).is_ok_and(may_change),
        AuthError::NoLogin { .. }
        | AuthError::UnknownChallenge { .. }
        | AuthError::Client { .. }
        | AuthError::NoToken { .. }
        | AuthError::InsecureRealm { .. }
        | AuthError::ForeignRealm { .. }
        | AuthError::DockerConfig { .. } => false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
