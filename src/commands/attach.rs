//! In: `rcompose attach`. Out: this program's streams joined to those of a running container's first process.
//! **Invariant:** leaving never ends the container; its own end ends this command, with its exit code.

use rcompose_runtime::state::Status;

use super::Context;
use super::session::{Left, exit, stay_attached};
use crate::error::CliError;
use crate::ui::relay::DETACH;

/// Options of `rcompose attach`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Keys that leave a container with a terminal, such as ctrl-p,ctrl-q
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// Which replica
    #[arg(long, value_name = "N")]
    pub index: Option<u32>,
    /// Do not pass input on
    #[arg(long)]
    pub no_stdin: bool,
    /// Pass signals on (--sig-proxy=false lets them end this command alone)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub sig_proxy: bool,
    /// Service
    #[arg(value_name = "SERVICE")]
    pub service: String,
}

/// Attaches to a container.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let keys = match &args.detach_keys {
        Some(text) => keys(text)?,
        None => DETACH.to_vec(),
    };
    let subject = context.subject(false)?;
    let container = context.one_container(&subject, &args.service, args.index, true)?;
    if container.status == Status::Paused {
        return Err(CliError::user(format!(
            "service \"{}\" is paused: container {} can be attached to once it goes on",
            args.service, container.name
        ))
        .with_hint(format!("`rcompose unpause {}` lets it go on", args.service)));
    }
    let takes_input = container
        .request
        .as_ref()
        .is_some_and(|request| request.stdin_open);
    if context.only_says(&format!("attach to {}", container.name)) {
        return Ok(());
    }
    let stdin = takes_input && !args.no_stdin;
    let keys: &[u8] = if container.tty { &keys } else { &[] };
    let runtime = context.runtime()?;
    match stay_attached(runtime, &container.id, container.tty, stdin, keys, args.sig_proxy)? {
        Left::Ended(code) | Left::GivenUp(code) => exit(code),
        Left::Detached => Ok(()),
    }
}

/// Keys as docker spells them: letters, or `ctrl-` with a letter or one of `@ [ \ ] ^ _`, separated by commas.
fn keys(text: &str) -> Result<Vec<u8>, CliError> {
    text.split(',')
        .map(
            |key| match (key.as_bytes(), key.strip_prefix("ctrl-").map(str::as_bytes)) {
                (_, Some([letter @ (b'a'..=b'z' | b'@' | b'['..=b'_')])) => {
                    Some(letter.to_ascii_uppercase() & 0x1f)
                }
                ([single], None) if single.is_ascii() => Some(*single),
                _ => None,
            },
        )
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(|| {
            CliError::usage(format!("--detach-keys {text}: these are no keys"))
                .with_hint("write for example ctrl-p,ctrl-q")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_letters_and_control_characters() {
        assert_eq!(keys("ctrl-p,ctrl-q").unwrap(), DETACH);
        assert_eq!(keys("ctrl-@,a,ctrl-[,ctrl-_").unwrap(), [0, b'a', 0x1b, 0x1f]);
        assert!(keys("ctrl-").is_err());
        assert!(keys("ctrl-1").is_err());
        assert!(keys("quit").is_err());
    }
}
