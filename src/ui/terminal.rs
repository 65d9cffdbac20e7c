//! In: this program's terminal. Out: its size, and raw mode for as long as a process in a container has it.
//! **Invariant:** the mode it had before comes back however the command ends, unless it is killed by SIGKILL.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::termios::{LocalModes, OptionalActions, Termios};
use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};

use super::print;

/// Signals that are passed on to a process in a container.
const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// The controlling terminal's input side in raw mode; cooked again when dropped.
#[derive(Debug)]
pub struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Every key goes to the container as it is, those that make signals too.
    ///
    /// # Errors
    /// Standard input is no terminal.
    pub fn enter() -> io::Result<Self> {
        let before = rustix::termios::tcgetattr(rustix::stdio::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &self.before)
            .unwrap_or_default();
    }
}

/// Whether there is somebody to ask.
pub fn can_ask() -> bool {
    rustix::termios::isatty(rustix::stdio::stdin())
}

/// Asks for a line on the terminal; none when there is no terminal to ask on.
pub fn ask_text(question: &str) -> Option<String> {
    if !can_ask() {
        return None;
    }
    print::err(question);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok()?;
    Some(answer.trim_end_matches(['\r', '\n']).to_owned())
}

/// The same, and what is typed is not shown. Ctrl-C and Ctrl-D give none; the terminal never stays silent.
pub fn ask_secret(question: &str) -> Option<String> {
    let before = rustix::termios::tcgetattr(rustix::stdio::stdin()).ok()?;
    let mut hidden = before.clone();
    hidden
        .local_modes
        .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Flush, &hidden).ok()?;
    let _restored = RawMode { before };
    print::err(question);
    let mut typed = Vec::new();
    let answer = loop {
        let mut key = [0];
        match rustix::io::read(rustix::stdio::stdin(), &mut key) {
            Ok(0) => break None,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => break None,
        }
        match key[0] {
            b'\r' | b'\n' => break String::from_utf8(typed).ok(),
            // Ctrl-C, Ctrl-D.
            3 | 4 => break None,
            // Backspace takes a whole letter.
            8 | 127 => while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            // Ctrl-U.
            21 => typed.clear(),
            byte => typed.push(byte),
        }
    };
    print::err("\n");
    answer
}

/// Columns and rows of the terminal this program writes to or reads from; none without one, or when it has no size.
pub fn size() -> Option<(u16, u16)> {
    [rustix::stdio::stdout(), rustix::stdio::stdin()]
        .into_iter()
        .find_map(|stream| rustix::termios::tcgetwinsize(stream).ok())
        .map(|size| (size.ws_col, size.ws_row))
        .filter(|(columns, rows)| *columns > 0 && *rows > 0)
}

/// Signals of this program as something to wait for.
#[derive(Debug)]
pub struct Signals {
    reader: OwnedFd,
    arrived: Vec<(i32, Arc<AtomicBool>)>,
    registered: Vec<SigId>,
}

impl Signals {
    /// Listens to SIGWINCH and, with `pass_on`, to all that can be passed on; they no longer do what they do by default.
    pub fn listen(pass_on: bool) -> io::Result<Self> {
        let (reader, writer) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK)?;
        let mut signals = Self {
            reader,
            arrived: Vec::new(),
            registered: Vec::new(),
        };
        let passed_on = PASSED_ON.into_iter().filter(|_| pass_on);
        for signal in passed_on.chain([SIGWINCH]) {
            let flag = Arc::new(AtomicBool::new(false));
            // The flag before the pipe: actions run in the order of their registration.
            signals
                .registered
                .push(signal_hook::flag::register(signal, Arc::clone(&flag))?);
            signals.arrived.push((signal, flag));
            signals
                .registered
                .push(signal_hook::low_level::pipe::register_raw(
                    signal,
                    writer.try_clone()?,
                )?);
        }
        Ok(signals)
    }

    /// The signals that arrived since the last call, each once.
    pub fn take(&self) -> Vec<i32> {
        let mut bytes = [0; 64];
        while rustix::io::read(&self.reader, &mut bytes).is_ok_and(|length| length > 0) {}
        self.arrived
            .iter()
            .filter(|(_, arrived)| arrived.swap(false, Ordering::SeqCst))
            .map(|(signal, _)| *signal)
            .collect()
    }
}

impl AsFd for Signals {
    /// Readable when there are signals.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}
