//! An image name in, manifests and blobs from its registry or a mirror out, or to the registry (OCI distribution-spec).
//! **Invariant:** `Authorization` goes to the endpoint it was made for and to no host a redirect names; no manifest is
//! handed out whose bytes do not have the digest that was asked for.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ureq::http::HeaderMap;

use crate::configuration::Configuration;
use crate::reference::Reference;

mod agent;
mod connection;
mod error;
mod fetch;
mod location;
mod login;
mod patience;
mod proxy;
mod upload;

pub(crate) use agent::Agents;
use connection::Connection;
pub use error::RegistryError;
pub(crate) use error::{Failure, login_name};
pub(crate) use fetch::FetchedManifest;
pub(crate) use location::{next, origin};
pub use login::{log_in, log_out, registry_name, try_kept_login};
pub(crate) use patience::{ATTEMPTS, backoff, may_change, may_pass, until_next, wait};
pub use proxy::Proxies;
pub(crate) use upload::Outgoing;

/// The longest manifest a registry must accept, and the longest that is read (distribution-spec, "Pushing Manifests").
pub(crate) const LONGEST_MANIFEST: u64 = 4 << 20;

/// A registry and its mirrors, for one repository.
pub(crate) struct Registry<'a> {
    repository: &'a str,
    connections: Vec<Connection<'a>>,
    cancel: &'a AtomicBool,
}

impl<'a> Registry<'a> {
    /// To pull from: mirrors in order, then the registry itself.
    pub(crate) fn new(
        configuration: &'a Configuration,
        reference: &'a Reference,
        cancel: &'a AtomicBool,
    ) -> Self {
        let repository = reference.repository();
        let connections = configuration
            .endpoints(reference.registry())
            .into_iter()
            .map(|endpoint| {
                let needed = vec![format!("repository:{repository}:pull")];
                Connection::new(endpoint, [needed, Vec::new()], configuration, cancel)
            })
            .collect();
        Self {
            repository,
            connections,
            cancel,
        }
    }

    /// To push to: the registry itself; blobs may be taken over from its repositories `sources`.
    pub(crate) fn to_push(
        configuration: &'a Configuration,
        reference: &'a Reference,
        sources: &[&str],
        cancel: &'a AtomicBool,
    ) -> Self {
        let repository = reference.repository();
        let needed = vec![format!("repository:{repository}:pull,push")];
        let helpful = sources.iter().map(|source| format!("repository:{source}:pull"));
        let scopes = [needed, helpful.collect()];
        let endpoint = configuration.endpoints(reference.registry()).pop();
        let connection = endpoint.map(|endpoint| Connection::new(endpoint, scopes, configuration, cancel));
        Self {
            repository,
            connections: connection.into_iter().collect(),
            cancel,
        }
    }

    /// Breaks every connection, so that whoever waits for one stops waiting.
    pub(crate) fn shut_down(&self) {
        for connection in &self.connections {
            connection.shut_down();
        }
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

    fn manifest_url(&self, connection: &Connection<'_>, name: &str) -> String {
        format!(
            "{}/v2/{}/manifests/{name}",
            connection.endpoint.base, self.repository
        )
    }
}

pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
