//! Docker's `config.json` in, the login for one registry out: stored there, or kept by a credential helper.
//! **Invariant:** reads only the file it is given, and runs only programs called `docker-credential-NAME`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

use super::AuthError;
use crate::configuration::authority;
use crate::reference::DOCKER_HUB;

/// The user name docker's helpers give for an identity token.
const IDENTITY_TOKEN_USER: &str = "<token>";

/// A login.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    Password { user: String, password: String },
    IdentityToken(String),
}

/// The login for `registry` in docker's `config.json`, if the file and the login exist.
pub(crate) fn find_login(docker_config: Option<&Path>, registry: &str) -> Result<Option<Login>, AuthError> {
    #[derive(Deserialize, Default)]
    struct Stored {
        #[serde(default)]
        auth: Option<String>,
        #[serde(default)]
        username: Option<String>,
        #[serde(default)]
        password: Option<String>,
        #[serde(default)]
        identitytoken: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct DockerConfig {
        #[serde(default)]
        auths: BTreeMap<String, Stored>,
        #[serde(default)]
        creds_store: Option<String>,
        #[serde(default)]
        cred_helpers: BTreeMap<String, String>,
    }
    let Some(path) = docker_config else {
        return Ok(None);
    };
    let bad = |problem: String| AuthError::DockerConfig {
        path: path.display().to_string(),
        problem,
    };
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(bad(error.to_string())),
    };
    let config: DockerConfig = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    let ours = |key: &str| {
        let stored = authority(key);
        stored == registry
            || registry == DOCKER_HUB && matches!(stored, "index.docker.io" | "registry-1.docker.io")
    };
    let helper = config
        .cred_helpers
        .iter()
        .find(|(key, _)| ours(key))
        .map(|(_, helper)| helper);
    if let Some(helper) = helper.or(config.creds_store.as_ref().filter(|helper| !helper.is_empty())) {
        let server = if registry == DOCKER_HUB {
            "https://index.docker.io/v1/"
        } else {
            registry
        };
        return ask_helper(helper, server).map_err(bad);
    }
    let Some(stored) = config
        .auths
        .into_iter()
        .find(|(key, _)| ours(key))
        .map(|(_, stored)| stored)
    else {
        return Ok(None);
    };
    if let Some(token) = stored.identitytoken.filter(|token| !token.is_empty()) {
        return Ok(Some(Login::IdentityToken(token)));
    }
    if let (Some(user), Some(password)) = (stored.username, stored.password) {
        return Ok(Some(Login::Password { user, password }));
    }
    let Some(encoded) = stored.auth.filter(|auth| !auth.is_empty()) else {
        return Ok(None);
    };
    let decoded = STANDARD
        .decode(&encoded)
        .or_else(|_| STANDARD_NO_PAD.decode(&encoded));
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

/// Docker's protocol: the server on standard input of `docker-credential-NAME get`, JSON on its output.
pub(super) fn ask_helper(helper: &str, server: &str) -> Result<Option<Login>, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    if !helper
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    {
        return Err(format!("credential helper {helper:?} has an invalid name"));
    }
    let program = format!("docker-credential-{helper}");
    let failed = |error: std::io::Error| format!("{program}: {error}");
    let mut command = Command::new(&program);
    command
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(server.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        // The helper has no login for this server.
        return Ok(None);
    }
    let answer: Answer =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{program}: {error}"))?;
    Ok(Some(if answer.username == IDENTITY_TOKEN_USER {
        Login::IdentityToken(answer.secret)
    } else {
        Login::Password {
            user: answer.username,
            password: answer.secret,
        }
    }))
}
