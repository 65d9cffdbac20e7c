//! In: `rcompose exec`. Out: a process in a running container, with a terminal, with this program's own streams, or left alone.
//! **Invariant:** a terminal of the host is never handed to a container: its bytes are relayed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rcompose_runtime::request::ExecRequest;
use rcompose_runtime::{LocalRuntime, RuntimeError};
use rustix::stdio;
use rustix::termios::isatty;

use super::Context;
use super::session::{Handle, Left, exit, has_terminal, start_failure, stay, unprepared};
use crate::error::CliError;
use crate::ui::relay::Relay;
use crate::ui::terminal::{self, RawMode, Signals};

/// Options of `rcompose exec`.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub struct Args {
    /// Do not wait for the command
    #[arg(short = 'd', long)]
    pub detach: bool,
    /// Variable of the command's environment, NAME=VALUE; NAME alone takes this shell's value
    #[arg(short = 'e', long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Which replica
    #[arg(long, value_name = "N")]
    pub index: Option<u32>,
    /// Keep standard input open
    #[arg(short = 'i', long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub interactive: bool,
    /// Without a terminal
    #[arg(short = 'T', long = "no-tty", visible_alias = "no-TTY", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub no_tty: Option<bool>,
    /// With a terminal
    #[arg(short = 't', long, hide = true, conflicts_with = "no_tty")]
    pub tty: bool,
    /// With every capability and without a system-call filter
    #[arg(long)]
    pub privileged: bool,
    /// Run as this user
    #[arg(short = 'u', long, value_name = "USER")]
    pub user: Option<String>,
    /// Run in this directory
    #[arg(short = 'w', long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Service
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Command and its arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub command: Vec<String>,
}

/// Executes a command in a running container; its exit code becomes this program's.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let subject = context.subject(false)?;
    let container = context.one_container(&subject, &args.service, args.index, true)?;
    let runtime = context.runtime()?;
    let tty = !args.detach && (args.tty || !args.no_tty.unwrap_or(!has_terminal()));
    let request = ExecRequest {
        command: args.command.clone(),
        environment: variables(context, &args.env),
        user: args.user.clone(),
        working_directory: args.workdir.clone(),
        privileged: args.privileged,
        tty,
    };
    if context.only_says(&format!(
        "execute {} in {}",
        args.command.join(" "),
        container.name
    )) {
        return Ok(());
    }
    if args.detach {
        let null = null()?;
        let streams = [null.as_fd(); 3];
        runtime
            .exec_interactive(&container.id, &request, streams, None, false)
            .map_err(start_failure)?;
        return Ok(());
    }
    let left = if tty {
        with_terminal(runtime, &container.id, &request, args.interactive)?
    } else {
        with_streams(runtime, &container.id, &request, args.interactive)?
    };
    match left {
        Left::Ended(code) | Left::GivenUp(code) => exit(code),
        Left::Detached => Ok(()),
    }
}

/// `-e`: pairs; a name alone has this program's value, or is taken out when there is none.
pub(super) fn variables(context: &Context, written: &[String]) -> Vec<(String, Option<String>)> {
    let own = |name: &str| {
        let found = context.environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    };
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.clone(), own(text)),
    };
    written.iter().map(pair).collect()
}

fn with_terminal(
    runtime: &LocalRuntime,
    id: &str,
    request: &ExecRequest,
    interactive: bool,
) -> Result<Left, CliError> {
    let null = null()?;
    // Whatever happens from here on comes to the process, not to this program.
    let signals = Signals::listen(true).map_err(unprepared)?;
    let session = runtime
        .exec_interactive(id, request, [null.as_fd(); 3], terminal::size(), true)
        .map_err(start_failure)?;
    let Some(master) = &session.terminal else {
        return Err(CliError::user("the command got no terminal"));
    };
    let _raw = if interactive && isatty(stdio::stdin()) {
        Some(RawMode::enter().map_err(unprepared)?)
    } else {
        None
    };
    let mut relay = Relay::default();
    if interactive {
        let to = master.try_clone().map_err(unprepared)?;
        relay.input(stdio::stdin(), to, &[]).map_err(unprepared)?;
    }
    let from = master.try_clone().map_err(unprepared)?;
    relay.output(from, stdio::stdout()).map_err(unprepared)?;
    let handle = Handle {
        end: session.as_fd(),
        wait: &|| session.wait(None),
        signal: &|signal| session.signal(signal),
        resize: &|columns, rows| session.resize(columns, rows),
    };
    stay(&mut relay, &handle, &signals)
}

fn with_streams(
    runtime: &LocalRuntime,
    id: &str,
    request: &ExecRequest,
    interactive: bool,
) -> Result<Left, CliError> {
    let mut relay = Relay::default();
    let mut made: Vec<OwnedFd> = Vec::new();
    if !interactive {
        made.push(null()?.into());
    } else if isatty(stdio::stdin()) {
        let (reader, writer) = io::pipe().map_err(unprepared)?;
        relay
            .input(stdio::stdin(), writer.into(), &[])
            .map_err(unprepared)?;
        made.push(reader.into());
    } else {
        made.push(stdio::stdin().try_clone_to_owned().map_err(unprepared)?);
    }
    for own in [stdio::stdout(), stdio::stderr()] {
        if isatty(own) {
            let (reader, writer) = io::pipe().map_err(unprepared)?;
            relay.output(reader.into(), own).map_err(unprepared)?;
            made.push(writer.into());
        } else {
            made.push(own.try_clone_to_owned().map_err(unprepared)?);
        }
    }
    let signals = Signals::listen(true).map_err(unprepared)?;
    let streams: Vec<BorrowedFd<'_>> = made.iter().map(AsFd::as_fd).collect();
    let streams = [streams[0], streams[1], streams[2]];
    let session = runtime
        .exec_interactive(id, request, streams, None, true)
        .map_err(start_failure)?;
    // Ends of pipes that are the process's alone now.
    drop(made);
    let handle = Handle {
        end: session.as_fd(),
        wait: &|| session.wait(None),
        signal: &|signal| session.signal(signal),
        resize: &|_, _| Ok(()),
    };
    stay(&mut relay, &handle, &signals)
}

fn null() -> Result<File, CliError> {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|source| {
            let what = "open /dev/null".to_owned();
            RuntimeError::Io { what, source }.into()
        })
}
