//! A registry's challenge and the user's logins in, the value of an `Authorization` header out.
//! **Invariant:** a login goes to the registry it is for and to token servers of the same domain, to nobody else (CVE-2020-15157).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use thiserror::Error;

use crate::configuration::{Endpoint, authority, host};
use crate::registry::{Agents, RegistryError, login_name};

mod challenge;
mod helper;
mod login;

pub(crate) use challenge::{Challenge, parse_challenges};
pub use login::Keeper;
pub(crate) use login::{Login, find_login, forget_login, keep_login};

const LONGEST_TOKEN_ANSWER: u64 = 1 << 20;

/// Why no authorisation could be had.
#[derive(Debug, Error)]
pub enum AuthError {
    /// The registry wants a login and there is none.
    #[error("{registry} wants a login: run `rcompose login{}`", login_name(registry))]
    NoLogin {
        /// Which registry.
        registry: String,
    },
    /// No challenge this program understands.
    #[error("{registry} asks for authentication in an unknown way: {challenge:?}")]
    UnknownChallenge {
        /// Which registry.
        registry: String,
        /// Its `WWW-Authenticate`.
        challenge: String,
    },
    /// The token server cannot be reached.
    #[error("cannot get a token from {realm}")]
    Transport {
        /// The token server.
        realm: String,
        /// Why not.
        #[source]
        source: Box<ureq::Error>,
    },
    /// There is no way to the token server.
    #[error("cannot get a token from {realm}")]
    Client {
        /// The token server.
        realm: String,
        /// Why not.
        #[source]
        source: Box<RegistryError>,
    },
    /// The token server refused.
    #[error("{realm} gave no token: status {status}{}", if *anonymous { " (no login was sent)" } else { "" })]
    Refused {
        /// The token server.
        realm: String,
        /// Its answer.
        status: u16,
        /// Whether a login was sent.
        anonymous: bool,
    },
    /// The token server's answer has no token.
    #[error("{realm} gave an answer without a token")]
    NoToken {
        /// The token server.
        realm: String,
    },
    /// A realm that would send the login over an unprotected line.
    #[error("{registry} asks for a token from {realm}, which is not https")]
    InsecureRealm {
        /// Which registry.
        registry: String,
        /// The token server.
        realm: String,
    },
    /// A realm that is not the registry's own, while a login is tried.
    #[error(
        "{registry} asks for a token from {realm}, which is not of its domain: no login is sent there, unless config.toml names it in token-servers of {registry}"
    )]
    ForeignRealm {
        /// Which registry.
        registry: String,
        /// The token server.
        realm: String,
    },
    /// Docker's config.json cannot be used.
    #[error("cannot use the logins in {path}: {problem}")]
    DockerConfig {
        /// The file.
        path: String,
        /// Why not.
        problem: String,
    },
}

/// The value of `Authorization` that answers `challenge` and allows what `scopes` and the challenge name.
pub(crate) fn authorize(
    agents: &Agents,
    endpoint: &Endpoint,
    challenge: &Challenge,
    login: Option<&Login>,
    scopes: &[String],
) -> Result<String, AuthError> {
    let registry = &endpoint.registry;
    match (challenge, login) {
        (Challenge::Basic, Some(Login::Password { user, password })) => Ok(basic(user, password)),
        (Challenge::Basic, Some(Login::IdentityToken(_)) | None) => Err(AuthError::NoLogin {
            registry: registry.clone(),
        }),
        (
            Challenge::Bearer {
                realm,
                service,
                scope,
            },
            login,
        ) => {
            let secure = realm.starts_with("https://")
                || realm.starts_with("http://") && endpoint.base.starts_with("http://");
            if !secure {
                return Err(AuthError::InsecureRealm {
                    registry: registry.clone(),
                    realm: realm.clone(),
                });
            }
            let mut wanted = scopes.to_vec();
            wanted.extend(scope.clone().filter(|scope| !covered(scope, scopes)));
            let login = login.filter(|_| may_have_login(endpoint, realm));
            let agent = agents
                .client(endpoint, realm)
                .map_err(|error| AuthError::Client {
                    realm: realm.clone(),
                    source: Box::new(error),
                })?;
            let token = fetch_token(agent, realm, service.as_deref(), &wanted, login)?;
            Ok(format!("Bearer {token}"))
        }
    }
}

/// Whether a login can answer a challenge at all.
pub(crate) fn check_realm(endpoint: &Endpoint, challenge: &Challenge) -> Result<(), AuthError> {
    match challenge {
        Challenge::Bearer { realm, .. } if !may_have_login(endpoint, realm) => Err(AuthError::ForeignRealm {
            registry: endpoint.registry.clone(),
            realm: realm.clone(),
        }),
        Challenge::Bearer { .. } | Challenge::Basic => Ok(()),
    }
}

/// Whether what a challenge asks for is among what is asked for anyway: `repository:a:pull` in `repository:a:pull,push`.
fn covered(scope: &str, scopes: &[String]) -> bool {
    let split = |scope: &str| {
        scope
            .rsplit_once(':')
            .map(|(name, actions)| (name.to_owned(), actions.to_owned()))
    };
    let Some((name, actions)) = split(scope) else {
        return false;
    };
    scopes
        .iter()
        .filter_map(|known| split(known))
        .any(|(known, allowed)| {
            known == name
                && actions
                    .split(',')
                    .all(|action| allowed.split(',').any(|other| other == action))
        })
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The registry's own host, another host of its domain (`auth.docker.io` for `registry-1.docker.io`), or one the user named.
fn may_have_login(endpoint: &Endpoint, realm: &str) -> bool {
    let (realm, registry) = (host(authority(realm)), host(authority(&endpoint.base)));
    if realm == registry || endpoint.token_servers.iter().any(|server| host(server) == realm) {
        return true;
    }
    let is_address = |host: &str| host.parse::<std::net::IpAddr>().is_ok();
    if is_address(realm) || is_address(registry) {
        return false;
    }
    let below = |host: &str, domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    let domain = registry.split_once('.').map_or("", |(_, domain)| domain);
    domain.contains('.') && (realm == domain || below(realm, domain))
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

fn fetch_token(
    agent: &ureq::Agent,
    realm: &str,
    service: Option<&str>,
    scopes: &[String],
    login: Option<&Login>,
) -> Result<String, AuthError> {
    let transport = |source| AuthError::Transport {
        realm: realm.to_owned(),
        source: Box::new(source),
    };
    let service = service.unwrap_or_default();
    let scope = scopes.join(" ");
    let answer = match login {
        Some(Login::IdentityToken(token)) => agent.post(realm).send_form([
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", "rcompose"),
            ("service", service),
            ("scope", &scope),
        ]),
        Some(Login::Password { .. }) | None => {
            let mut request = agent.get(realm);
            for scope in scopes {
                request = request.query("scope", scope);
            }
            if !service.is_empty() {
                request = request.query("service", service);
            }
            if let Some(Login::Password { user, password }) = login {
                request = request
                    .query("account", user)
                    .header("Authorization", basic(user, password));
            }
            request.call()
        }
    };
    let mut answer = answer.map_err(transport)?;
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(AuthError::Refused {
            realm: realm.to_owned(),
            status,
            anonymous: login.is_none(),
        });
    }
    let body = answer
        .body_mut()
        .with_config()
        .limit(LONGEST_TOKEN_ANSWER)
        .read_to_vec()
        .map_err(transport)?;
    let answer: Option<TokenAnswer> = serde_json::from_slice(&body).ok();
    let token = answer
        .and_then(|answer| answer.token.or(answer.access_token))
        .filter(|token| is_header_safe(token));
    token.ok_or_else(|| AuthError::NoToken {
        realm: realm.to_owned(),
    })
}

fn is_header_safe(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
#[path = "auth/tests.rs"]
mod tests;
