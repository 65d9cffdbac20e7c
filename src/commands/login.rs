//! In: `rcompose login`. Out: a login that the registry takes, kept where docker keeps its own.
//! **Invariant:** nothing is kept that was not tried, and a password is never shown, nor asked for where it would be.

use std::io::Read as _;
use std::sync::atomic::AtomicBool;

use rcompose_runtime::image_store::{Keeper, RegistryError, log_in, registry_name, try_kept_login};

use super::Context;
use super::image_source::registry_configuration;
use crate::error::{CliError, chain};
use crate::ui::{print, terminal};

/// Options of `rcompose login`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// User name
    #[arg(short = 'u', long, value_name = "NAME")]
    pub username: Option<String>,
    /// Password or token; better from standard input
    #[arg(short = 'p', long, value_name = "PASSWORD")]
    pub password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    pub password_stdin: bool,
    /// Registry (default: Docker Hub)
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
}

/// Logs in.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    if args.password.is_some() && args.password_stdin {
        return Err(CliError::usage(
            "--password and --password-stdin exclude each other",
        ));
    }
    if args.password_stdin && args.username.is_none() {
        return Err(CliError::usage("--password-stdin needs --username"));
    }
    let registry = registry_name(args.server.as_deref().unwrap_or_default());
    if context.only_says(&format!("log in to {registry}")) {
        return Ok(());
    }
    let configuration = registry_configuration(&|name| context.variable(name))
        .map_err(|error| CliError::user(chain(&*error)))?;
    let failed =
        |error: RegistryError| CliError::user(format!("cannot log in to {registry}: {}", chain(&error)));
    // A signal just ends it: nothing is half done.
    let cancel = &AtomicBool::new(false);
    if args.username.is_none() && args.password.is_none() {
        let kept = try_kept_login(&configuration, &registry, cancel);
        match kept {
            Ok(true) => {
                print::out("Authenticated with the login that is kept already\nLogin Succeeded\n")?;
                return Ok(());
            }
            Ok(false) => {}
            Err(error) if terminal::can_ask() => {
                print::err(&format!(
                    "the login that is kept is not taken: {}\n",
                    chain(&error)
                ));
            }
            Err(error) => return Err(failed(error)),
        }
    }
    let user = match &args.username {
        Some(user) => user.clone(),
        None => asked(terminal::ask_text("Username: "))?,
    };
    let password = match &args.password {
        Some(password) => {
            print::err("warning: --password can be seen by others on this host: use --password-stdin\n");
            password.clone()
        }
        None if args.password_stdin => from_stdin()?,
        None => asked(terminal::ask_secret("Password: "))?,
    };
    if user.is_empty() || password.is_empty() {
        return Err(CliError::user("user name and password must not be empty"));
    }
    match log_in(&configuration, &registry, &user, &password, cancel).map_err(failed)? {
        Keeper::File(path) => print::err(&format!(
            "warning: the login is kept unencrypted in {}\n  = help: name a credential helper there: \"credsStore\" for all registries, \"credHelpers\" for one\n",
            path.display()
        )),
        Keeper::Helper(_) => {}
    }
    print::out("Login Succeeded\n")?;
    Ok(())
}

fn asked(answer: Option<String>) -> Result<String, CliError> {
    answer.ok_or_else(|| {
        CliError::user("there is no terminal to ask for user name and password on")
            .with_hint("give --username and --password-stdin")
    })
}

/// All of standard input without the line feed at its end.
fn from_stdin() -> Result<String, CliError> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| CliError::user(format!("cannot read the password from standard input: {error}")))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
