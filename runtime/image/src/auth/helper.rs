//! Docker's credential helpers: an action and a server in, what `docker-credential-NAME` answers out
//! (docker-credential-helpers, `credentials`).
//! **Invariant:** runs only programs called `docker-credential-NAME`, and secrets go through standard input, never an argument.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use super::login::Login;

/// The user name docker's helpers give for an identity token.
const IDENTITY_TOKEN_USER: &str = "<token>";

/// The login that a helper has for `server`.
pub(super) fn get(helper: &str, server: &str) -> Result<Option<Login>, String> {
    let output = run(helper, "get", server.as_bytes())?;
    if !output.status.success() {
        // The helper has no login for this server.
        return Ok(None);
    }
    let answer: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{}: {error}", program(helper)))?;
    let text = |key: &str| {
        answer
            .get(key)
            .and_then(serde_json::Value::as_str)
            .map(str::to_owned)
    };
    match (text("Username"), text("Secret")) {
        (Some(user), Some(secret)) if user == IDENTITY_TOKEN_USER => Ok(Some(Login::IdentityToken(secret))),
        (Some(user), Some(password)) => Ok(Some(Login::Password { user, password })),
        (Some(_) | None, _) => Err(format!(
            "{}: its answer has no Username and Secret",
            program(helper)
        )),
    }
}

/// Has a helper keep a login.
pub(super) fn store(helper: &str, server: &str, user: &str, password: &str) -> Result<(), String> {
    let credentials = serde_json::json!({"ServerURL": server, "Username": user, "Secret": password});
    checked(helper, &run(helper, "store", credentials.to_string().as_bytes())?)
}

/// Has a helper forget a login.
pub(super) fn erase(helper: &str, server: &str) -> Result<(), String> {
    checked(helper, &run(helper, "erase", server.as_bytes())?)
}

fn program(helper: &str) -> String {
    format!("docker-credential-{helper}")
}

fn checked(helper: &str, output: &Output) -> Result<(), String> {
    if output.status.success() {
        return Ok(());
    }
    // Helpers say on standard output what is wrong.
    let said = String::from_utf8_lossy(&output.stdout);
    let said: String = said
        .trim()
        .chars()
        .filter(|letter| !letter.is_control())
        .take(200)
        .collect();
    Err(format!("{} failed: {said}", program(helper)))
}

fn run(helper: &str, action: &str, input: &[u8]) -> Result<Output, String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !helper.bytes().all(is_name) {
        return Err(format!("credential helper {helper:?} has an invalid name"));
    }
    let program = program(helper);
    let failed = |error: std::io::Error| format!("{program}: {error}");
    let mut command = Command::new(&program);
    command
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read to the end says why by its status.
        drop(stdin.write_all(input));
    }
    child.wait_with_output().map_err(failed)
}
