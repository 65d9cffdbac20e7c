//! In: text. Out: the standard streams.
//! **Invariant:** the one place that writes to them; a reader that went away is an error, not a panic.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;

/// Writes to standard output.
///
/// # Errors
/// The stream is closed ([`io::ErrorKind::BrokenPipe`]) or full.
pub fn out(text: &str) -> io::Result<()> {
    let mut stream = io::stdout().lock();
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// Standard output for writers that gather by themselves: not flushed at every line.
///
/// # Errors
/// There is no standard output.
pub fn raw_out() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Writes to standard error. That nobody reads it is no reason to stop.
pub fn err(text: &str) {
    io::stderr().lock().write_all(text.as_bytes()).unwrap_or_default();
}

/// Whether standard output is a terminal.
pub fn out_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard error is a terminal.
pub fn err_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Asks a question on the terminal; none when there is no terminal to ask on.
pub fn ask(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() {
        return None;
    }
    err(question);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
