//! A registry and a login in, whether the registry takes it out.
//! **Invariant:** a login is tried at the registry it is for and its own token server only; being let in without it is no proof,
//! but no failure either where the registry asks nobody.

use std::sync::atomic::AtomicBool;

use super::RegistryError;
use super::connection::{Ask, Connection};
use crate::auth::{self, Keeper, Login};
use crate::configuration::{Configuration, authority};
use crate::reference::DOCKER_HUB;

/// What `login` and `logout` call a registry: `HOST[:PORT]` of whatever was typed, `docker.io` for Docker Hub and for nothing.
pub fn registry_name(typed: &str) -> String {
    match authority(typed) {
        "" | "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => DOCKER_HUB.to_owned(),
        name => name.to_owned(),
    }
}

/// Tries a login and, when the registry takes it, keeps it where docker keeps its own.
pub fn log_in(
    configuration: &Configuration,
    registry: &str,
    user: &str,
    password: &str,
    cancel: &AtomicBool,
) -> Result<Keeper, RegistryError> {
    let login = Login::Password {
        user: user.to_owned(),
        password: password.to_owned(),
    };
    let path = configuration
        .docker_config
        .as_deref()
        .ok_or(RegistryError::NoHome)?;
    try_login(configuration, registry, login, cancel)?;
    auth::keep_login(path, registry, user, password).map_err(RegistryError::Auth)
}

/// Tries the login that is kept; false when there is none.
pub fn try_kept_login(
    configuration: &Configuration,
    registry: &str,
    cancel: &AtomicBool,
) -> Result<bool, RegistryError> {
    let kept = auth::find_login(configuration.docker_config.as_deref(), registry);
    match kept.map_err(RegistryError::Auth)? {
        Some(login) => try_login(configuration, registry, login, cancel).map(|()| true),
        None => Ok(false),
    }
}

/// Forgets the login for a registry; whether there was one.
pub fn log_out(configuration: &Configuration, registry: &str) -> Result<bool, RegistryError> {
    let path = configuration
        .docker_config
        .as_deref()
        .ok_or(RegistryError::NoHome)?;
    auth::forget_login(path, registry).map_err(RegistryError::Auth)
}

fn try_login(
    configuration: &Configuration,
    registry: &str,
    login: Login,
    cancel: &AtomicBool,
) -> Result<(), RegistryError> {
    let Some(endpoint) = configuration.endpoints(registry).pop() else {
        return Err(RegistryError::NotFound);
    };
    let url = format!("{}/v2/", endpoint.base);
    let connection =
        Connection::new(endpoint, [Vec::new(), Vec::new()], configuration, cancel).with_login(login);
    let answered = connection.fetch(&Ask::get(&url, &[]), 1 << 20);
    answered.map(drop)
}
