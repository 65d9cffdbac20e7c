//! In: a process in a container and the streams relayed for it. Out: its exit code, signals and sizes passed on meanwhile.
//! **Invariant:** a third request to end is not passed on: it ends this program's part.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rcompose_runtime::{LocalRuntime, Runtime, RuntimeError};
use rustix::stdio;
use rustix::termios::isatty;
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGWINCH};

use crate::error::CliError;
use crate::ui::relay::{Pause, Relay};
use crate::ui::terminal::{self, RawMode, Signals};

/// How often the user asks for an end before it is not left to the process any more.
const PATIENCE: usize = 3;

/// What can be done to a process in a container.
pub(super) struct Handle<'a> {
    /// Readable once `wait` has an answer.
    pub(super) end: BorrowedFd<'a>,
    /// Its exit code.
    pub(super) wait: &'a dyn Fn() -> Result<i32, RuntimeError>,
    /// Sends it a signal by number.
    pub(super) signal: &'a dyn Fn(i32) -> Result<(), RuntimeError>,
    /// Sets the size of its terminal: columns, rows.
    pub(super) resize: &'a dyn Fn(u16, u16) -> Result<(), RuntimeError>,
}

/// How it was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// It ended with this code.
    Ended(i32),
    /// The user left it running.
    Detached,
    /// The user does not want to wait for its end any longer; the code of a program ended by this signal.
    GivenUp(i32),
}

/// Stays with a process until it ends.
pub(super) fn stay(relay: &mut Relay<'_>, handle: &Handle<'_>, signals: &Signals) -> Result<Left, CliError> {
    let mut requests = 0;
    loop {
        match relay.run(handle.end, signals).map_err(|error| lost(&error))? {
            Pause::Ended => {
                let code = (handle.wait)()?;
                relay.drain().map_err(|error| lost(&error))?;
                return Ok(Left::Ended(code));
            }
            Pause::Detached => return Ok(Left::Detached),
            Pause::Unheard => return Ok(Left::GivenUp(128 + SIGPIPE)),
            Pause::Signals(arrived) => {
                for signal in arrived {
                    if signal == SIGWINCH {
                        if let Some((columns, rows)) = terminal::size() {
                            // It may be ending; the next look tells.
                            (handle.resize)(columns, rows).unwrap_or_default();
                        }
                        continue;
                    }
                    if [SIGINT, SIGTERM, SIGHUP].contains(&signal) {
                        requests += 1;
                    }
                    if requests >= PATIENCE {
                        return Ok(Left::GivenUp(128 + signal));
                    }
                    (handle.signal)(signal).unwrap_or_default();
                }
            }
        }
    }
}

fn lost(error: &io::Error) -> CliError {
    CliError::user(format!("cannot pass on the streams: {error}"))
}

/// The end of a command whose process ended with `code`.
pub(super) fn exit(code: i32) -> Result<(), CliError> {
    match code {
        0 => Ok(()),
        code => Err(CliError::process(code)),
    }
}

/// Attaches to the first process of a container and stays until its end. `keys` leave it running; without `pass_on`, signals end this
/// program alone.
pub(super) fn stay_attached(
    runtime: &LocalRuntime,
    id: &str,
    tty: bool,
    stdin: bool,
    keys: &[u8],
    pass_on: bool,
) -> Result<Left, CliError> {
    let signals = Signals::listen(pass_on).map_err(unprepared)?;
    let mut relay = Relay::default();
    let mut input = None;
    if stdin {
        let (reader, writer) = io::pipe().map_err(unprepared)?;
        relay
            .input(stdio::stdin(), writer.into(), keys)
            .map_err(unprepared)?;
        input = Some(OwnedFd::from(reader));
    }
    let mut outputs = Vec::new();
    for own in [stdio::stdout(), stdio::stderr()] {
        let (reader, writer) = io::pipe().map_err(unprepared)?;
        relay.output(reader.into(), own).map_err(unprepared)?;
        outputs.push(OwnedFd::from(writer));
    }
    let session = runtime.attach(
        id,
        input.as_ref().map(AsFd::as_fd),
        outputs[0].as_fd(),
        outputs[1].as_fd(),
    )?;
    // Ends of pipes that are the container's alone now.
    drop((input, outputs));
    if let Some((columns, rows)) = terminal::size().filter(|_| tty) {
        // One that ended at once has no terminal any more.
        runtime.resize(id, columns, rows).unwrap_or_default();
    }
    let _raw = if tty && stdin && isatty(stdio::stdin()) {
        Some(RawMode::enter().map_err(unprepared)?)
    } else {
        None
    };
    let handle = Handle {
        end: session.as_fd(),
        wait: &|| session.wait(None),
        signal: &|signal| runtime.kill(id, &signal.to_string()),
        resize: &|columns, rows| runtime.resize(id, columns, rows),
    };
    stay(&mut relay, &handle, &signals)
}

/// The host did not let this program prepare its streams.
pub(super) fn unprepared(error: impl Into<io::Error>) -> CliError {
    let what = "prepare the streams".to_owned();
    RuntimeError::Io {
        what,
        source: error.into(),
    }
    .into()
}

/// Whether both input and output are terminals, as an interactive session needs.
pub(super) fn has_terminal() -> bool {
    isatty(stdio::stdin()) && isatty(stdio::stdout())
}

/// A program that could not be started in a container, as shells and docker report it: 127 when it does not exist, 126 when it
/// cannot be executed.
pub(super) fn start_failure(error: RuntimeError) -> CliError {
    const ENOENT: i32 = 2;
    let code = match &error {
        RuntimeError::Start { stage, errno, .. } if stage.split(' ').next() == Some("execute") => {
            Some(if *errno == ENOENT { 127 } else { 126 })
        }
        RuntimeError::Start { .. }
        | RuntimeError::NotFound { .. }
        | RuntimeError::PortTaken { .. }
        | RuntimeError::InUse { .. }
        | RuntimeError::Host { .. }
        | RuntimeError::Invalid(_)
        | RuntimeError::Cancelled
        | RuntimeError::TimedOut { .. }
        | RuntimeError::Io { .. } => None,
    };
    match code {
        Some(code) => CliError::from(error).with_code(code),
        None => error.into(),
    }
}
