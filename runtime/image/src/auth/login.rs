//! Docker's `config.json` in, the login for one registry out, or a new one in it: stored there, or kept by a credential helper.
//! **Invariant:** touches only the file it is given; what it does not know in there stays as it is, and the file is replaced
//! at once, readable by its owner alone.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Map, Value, json};

use super::{AuthError, helper};
use crate::configuration::authority;
use crate::reference::DOCKER_HUB;
use crate::store::write_atomically;

/// The key of Docker Hub's login.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// A login.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    Password { user: String, password: String },
    IdentityToken(String),
}

/// Where a login is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeper {
    /// In docker's config.json, for everybody who can read that.
    File(PathBuf),
    /// By the program `docker-credential-NAME`.
    Helper(String),
}

/// The login for `registry` in docker's `config.json`, if the file and the login exist.
pub(crate) fn find_login(docker_config: Option<&Path>, registry: &str) -> Result<Option<Login>, AuthError> {
    let Some(path) = docker_config else {
        return Ok(None);
    };
    let bad = bad(path);
    let config = read(path)?;
    if let Some(helper) = helper_for(&config, registry) {
        return helper::get(helper, key(registry)).map_err(bad);
    }
    let Some(stored) = stored_keys(&config, registry)
        .first()
        .and_then(|key| config.get("auths")?.get(key))
    else {
        return Ok(None);
    };
    let text = |key: &str| {
        stored
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Login::IdentityToken(token.to_owned())));
    }
    if let (Some(user), Some(password)) = (text("username"), text("password")) {
        return Ok(Some(Login::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        }));
    }
    let Some(encoded) = text("auth") else {
        return Ok(None);
    };
    let decoded = STANDARD
        .decode(encoded)
        .or_else(|_| STANDARD_NO_PAD.decode(encoded));
    let decoded = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let (user, password) = decoded
        .as_deref()
        .and_then(|pair| pair.split_once(':'))
        .ok_or_else(|| bad(format!("auth of {registry} is not base64 of USER:PASSWORD")))?;
    Ok(Some(Login::Password {
        user: user.to_owned(),
        password: password.trim_end_matches('\0').to_owned(),
    }))
}

/// Keeps a login where docker would.
pub(crate) fn keep_login(
    path: &Path,
    registry: &str,
    user: &str,
    password: &str,
) -> Result<Keeper, AuthError> {
    let mut config = read(path)?;
    let helper = helper_for(&config, registry).map(str::to_owned);
    let entry = match &helper {
        Some(helper) => {
            helper::store(helper, key(registry), user, password).map_err(bad(path))?;
            // As docker does it: the key is there, the login is not.
            json!({})
        }
        None => json!({"auth": STANDARD.encode(format!("{user}:{password}"))}),
    };
    let auths = auths(path, &mut config)?;
    auths.insert(key(registry).to_owned(), entry);
    write(path, &config)?;
    Ok(helper.map_or_else(|| Keeper::File(path.to_owned()), Keeper::Helper))
}

/// Forgets the login for `registry`; whether there was one.
pub(crate) fn forget_login(path: &Path, registry: &str) -> Result<bool, AuthError> {
    let mut config = read(path)?;
    let keys = stored_keys(&config, registry);
    if let Some(helper) = helper_for(&config, registry) {
        let had = helper::get(helper, key(registry)).map_err(bad(path))?.is_some();
        if had {
            helper::erase(helper, key(registry)).map_err(bad(path))?;
        }
        if keys.is_empty() {
            return Ok(had);
        }
    } else if keys.is_empty() {
        return Ok(false);
    }
    let auths = auths(path, &mut config)?;
    for key in &keys {
        auths.shift_remove(key);
    }
    write(path, &config)?;
    Ok(true)
}

/// What docker calls a registry in its file and to its helpers.
fn key(registry: &str) -> &str {
    if registry == DOCKER_HUB { HUB_KEY } else { registry }
}

fn is_for(key: &str, registry: &str) -> bool {
    let stored = authority(key);
    stored == registry
        || registry == DOCKER_HUB && matches!(stored, "index.docker.io" | "registry-1.docker.io")
}

/// The keys under which the file has a login for `registry`.
fn stored_keys(config: &Map<String, Value>, registry: &str) -> Vec<String> {
    let auths = config.get("auths").and_then(Value::as_object);
    let keys = auths.into_iter().flat_map(Map::keys);
    keys.filter(|key| is_for(key, registry)).cloned().collect()
}

/// The helper that keeps the login for `registry`: its own, or that for all.
fn helper_for<'c>(config: &'c Map<String, Value>, registry: &str) -> Option<&'c str> {
    let own = config.get("credHelpers").and_then(Value::as_object);
    let own = own.and_then(|helpers| helpers.iter().find(|(key, _)| is_for(key, registry)));
    own.map(|(_, helper)| helper)
        .or_else(|| config.get("credsStore"))
        .and_then(Value::as_str)
        .filter(|helper| !helper.is_empty())
}

fn auths<'c>(
    path: &Path,
    config: &'c mut Map<String, Value>,
) -> Result<&'c mut Map<String, Value>, AuthError> {
    let auths = config.entry("auths").or_insert_with(|| json!({}));
    auths
        .as_object_mut()
        .ok_or_else(|| bad(path)("auths is not an object".to_owned()))
}

fn bad(path: &Path) -> impl Fn(String) -> AuthError {
    move |problem| AuthError::DockerConfig {
        path: path.display().to_string(),
        problem,
    }
}

fn read(path: &Path) -> Result<Map<String, Value>, AuthError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => return Err(bad(path)(error.to_string())),
    };
    if text.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(&text).map_err(|error| bad(path)(error.to_string()))
}

/// Replaces the file, the one behind a link where it is a link.
fn write(path: &Path, config: &Map<String, Value>) -> Result<(), AuthError> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    serde::Serialize::serialize(config, &mut serializer).map_err(|error| bad(path)(error.to_string()))?;
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(directory) = real.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| bad(path)(error.to_string()))?;
    }
    write_atomically(&real, &bytes, true).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        bad(path)(cause.unwrap_or_else(|| error.to_string()))
    })
}
