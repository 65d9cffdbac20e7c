//! An endpoint and the environment's proxies in, HTTP clients with their certificates and patience out.
//! **Invariant:** redirects are never followed here, certificates always checked, and cookies never kept.

use std::sync::OnceLock;
use std::time::Duration;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

use super::RegistryError;
use super::proxy::Proxies;
use crate::configuration::{Endpoint, authority, is_loopback};

/// Without a byte for so long, a connection counts as broken.
const SILENCE: Duration = Duration::from_mins(1);
const SYSTEM_CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The clients of one endpoint: without a proxy, and with the proxy of each scheme. A client is made when it is needed.
pub(crate) struct Agents {
    proxies: Proxies,
    direct: OnceLock<Agent>,
    http: OnceLock<Agent>,
    https: OnceLock<Agent>,
}

impl Agents {
    pub(crate) fn new(proxies: &Proxies) -> Self {
        Self {
            proxies: proxies.clone(),
            direct: OnceLock::new(),
            http: OnceLock::new(),
            https: OnceLock::new(),
        }
    }

    /// The client that reaches `url`, for `endpoint` or a place it sends us to.
    pub(crate) fn client(&self, endpoint: &Endpoint, url: &str) -> Result<&Agent, RegistryError> {
        let proxy = self.proxies.of(url);
        let agent = match proxy {
            None => &self.direct,
            Some(_) if url.starts_with("https://") => &self.https,
            Some(_) => &self.http,
        };
        if let Some(agent) = agent.get() {
            return Ok(agent);
        }
        let made = make(endpoint, proxy)?;
        Ok(agent.get_or_init(|| made))
    }

    /// Breaks every connection.
    pub(crate) fn shut_down(&self) {
        for agent in [&self.direct, &self.http, &self.https] {
            if let Some(agent) = agent.get() {
                agent.clone().shutdown();
            }
        }
    }
}

fn make(endpoint: &Endpoint, proxy: Option<&str>) -> Result<Agent, RegistryError> {
    let roots = if is_loopback(authority(&endpoint.base)) && endpoint.ca_file.is_none() {
        RootCerts::WebPki
    } else {
        root_certificates(endpoint)?
    };
    let proxy = proxy.map(|url| {
        Proxy::new(url).map_err(|error| RegistryError::Proxy {
            // Its password is nobody's business.
            proxy: url.rsplit('@').next().unwrap_or_default().to_owned(),
            problem: error.to_string(),
        })
    });
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("rcompose/", env!("CARGO_PKG_VERSION")))
        .proxy(proxy.transpose()?)
        .timeout_resolve(Some(Duration::from_secs(10)))
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .timeout_per_write(Some(SILENCE))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build();
    Ok(config.new_agent())
}

/// The system's certificates, or the ones built in where it has none, and those of the configuration.
fn root_certificates(endpoint: &Endpoint) -> Result<RootCerts, RegistryError> {
    let system = SYSTEM_CERTIFICATES
        .iter()
        .find_map(|path| std::fs::read(path).ok());
    let mut certificates = Vec::new();
    if let Some(pem) = &system {
        certificates.extend(parse_pem(pem).filter_map(Result::ok).filter_map(certificate));
    }
    let Some(path) = &endpoint.ca_file else {
        return Ok(if certificates.is_empty() {
            RootCerts::WebPki
        } else {
            RootCerts::new_with_certs(&certificates)
        });
    };
    let bad = |problem: String| RegistryError::Certificates {
        path: path.display().to_string(),
        problem,
    };
    let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let before = certificates.len();
    for item in parse_pem(&pem) {
        certificates.extend(certificate(item.map_err(|error| bad(error.to_string()))?));
    }
    if certificates.len() == before {
        return Err(bad("no certificate in it".to_owned()));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

fn certificate(item: PemItem<'static>) -> Option<ureq::tls::Certificate<'static>> {
    if let PemItem::Certificate(certificate) = item {
        Some(certificate)
    } else {
        None
    }
}
