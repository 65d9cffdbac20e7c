//! In: descriptors of this program and of a process in a container. Out: bytes moved between them until the process ends.
//! **Invariant:** neither side can hold up the other direction: input that is not taken waits, output goes on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::terminal::Signals;

const BLOCK: usize = 16 * 1024;
/// How long output of an ended process is still waited for: what it left behind may hold the pipe for ever.
const LAST_OUTPUT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
/// `ctrl-p ctrl-q`, the keys by which docker leaves a terminal without ending what runs in it.
pub const DETACH: [u8; 2] = [0x10, 0x11];

/// Input on its way to the process.
#[derive(Debug)]
struct Input<'a> {
    from: BorrowedFd<'a>,
    /// Closed at the end of the input.
    to: OwnedFd,
    pending: Vec<u8>,
    /// Keys by which the user leaves; empty for none.
    keys: Vec<u8>,
    /// How many of them were typed.
    typed: usize,
}

/// Output on its way from the process.
#[derive(Debug)]
struct Output<'a> {
    from: OwnedFd,
    to: BorrowedFd<'a>,
}

/// Why [`Relay::run`] returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pause {
    /// The process has an end to tell of.
    Ended,
    /// Signals arrived.
    Signals(Vec<i32>),
    /// The user typed the keys to leave.
    Detached,
    /// Nobody reads this program's output any more.
    Unheard,
}

/// All streams of one process.
#[derive(Debug, Default)]
pub struct Relay<'a> {
    input: Option<Input<'a>>,
    outputs: Vec<Output<'a>>,
}

impl<'a> Relay<'a> {
    /// Input from `from` to `to`; by typing `keys` the user leaves, unless they are none.
    pub fn input(&mut self, from: BorrowedFd<'a>, to: OwnedFd, keys: &[u8]) -> io::Result<()> {
        set_nonblocking(&to)?;
        self.input = Some(Input {
            from,
            to,
            pending: Vec::new(),
            keys: keys.to_vec(),
            typed: 0,
        });
        Ok(())
    }

    /// Output from `from` to `to`.
    pub fn output(&mut self, from: OwnedFd, to: BorrowedFd<'a>) -> io::Result<()> {
        set_nonblocking(&from)?;
        self.outputs.push(Output { from, to });
        Ok(())
    }

    /// Moves bytes until `end` is readable, signals arrive or the user leaves. May be called again after signals.
    pub fn run(&mut self, end: BorrowedFd<'_>, signals: &Signals) -> io::Result<Pause> {
        loop {
            let mut polls = vec![
                PollFd::from_borrowed_fd(end, PollFlags::IN),
                PollFd::new(signals, PollFlags::IN),
            ];
            polls.extend(
                self.outputs
                    .iter()
                    .map(|output| PollFd::new(&output.from, PollFlags::IN)),
            );
            if let Some(input) = &self.input {
                polls.push(if input.pending.is_empty() {
                    PollFd::from_borrowed_fd(input.from, PollFlags::IN)
                } else {
                    PollFd::new(&input.to, PollFlags::OUT)
                });
            }
            match rustix::event::poll(&mut polls, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready: Vec<bool> = polls.iter().map(|poll| !poll.revents().is_empty()).collect();
            drop(polls);
            if ready[1] {
                return Ok(Pause::Signals(signals.take()));
            }
            let outputs = self.outputs.len();
            if self.input.is_some() && ready.get(2 + outputs) == Some(&true) && self.move_input() {
                return Ok(Pause::Detached);
            }
            if !self.move_outputs(&ready[2..2 + outputs])? {
                return Ok(Pause::Unheard);
            }
            if ready[0] {
                return Ok(Pause::Ended);
            }
        }
    }

    /// Moves what the process left in its streams.
    pub fn drain(&mut self) -> io::Result<()> {
        while !self.outputs.is_empty() {
            let mut polls: Vec<PollFd<'_>> = self
                .outputs
                .iter()
                .map(|output| PollFd::new(&output.from, PollFlags::IN))
                .collect();
            match rustix::event::poll(&mut polls, Some(&LAST_OUTPUT)) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready: Vec<bool> = polls.iter().map(|poll| !poll.revents().is_empty()).collect();
            drop(polls);
            if !self.move_outputs(&ready)? {
                break;
            }
        }
        Ok(())
    }

    /// False when nobody reads what was written.
    fn move_outputs(&mut self, ready: &[bool]) -> io::Result<bool> {
        let mut block = [0; BLOCK];
        let mut open = Vec::with_capacity(ready.len());
        for (output, ready) in self.outputs.iter_mut().zip(ready) {
            let step = if *ready {
                output.step(&mut block)?
            } else {
                Step::Goes
            };
            match step {
                Step::Goes => open.push(true),
                Step::Over => open.push(false),
                Step::Leaves => return Ok(false),
            }
        }
        let mut open = open.into_iter();
        self.outputs.retain(|_| open.next().unwrap_or(true));
        Ok(true)
    }

    /// True when the user leaves.
    fn move_input(&mut self) -> bool {
        let Some(input) = &mut self.input else {
            return false;
        };
        match input.step() {
            Step::Goes => false,
            Step::Leaves => true,
            Step::Over => {
                self.input = None;
                false
            }
        }
    }
}

/// What became of a stream.
enum Step {
    Goes,
    Over,
    /// The user is gone.
    Leaves,
}

impl Input<'_> {
    fn step(&mut self) -> Step {
        if self.pending.is_empty() {
            let mut block = [0; BLOCK];
            match rustix::io::read(self.from, &mut block) {
                Ok(0) => return Step::Over,
                Ok(length) => {
                    self.pending.extend_from_slice(&block[..length]);
                    if self.leaves() {
                        return Step::Leaves;
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => return Step::Goes,
                Err(_) => return Step::Over,
            }
        }
        while !self.pending.is_empty() {
            match rustix::io::write(&self.to, &self.pending) {
                Ok(length) => drop(self.pending.drain(..length)),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => return Step::Over,
            }
        }
        Step::Goes
    }

    /// Whether the keys to leave were typed; until they are complete they wait.
    fn leaves(&mut self) -> bool {
        if self.keys.is_empty() {
            return false;
        }
        let mut passed = Vec::with_capacity(self.pending.len());
        for byte in std::mem::take(&mut self.pending) {
            if self.keys.get(self.typed) != Some(&byte) {
                passed.extend_from_slice(&self.keys[..self.typed]);
                self.typed = 0;
            }
            if self.keys[self.typed] == byte {
                self.typed += 1;
            } else {
                passed.push(byte);
            }
            if self.typed == self.keys.len() {
                return true;
            }
        }
        self.pending = passed;
        false
    }
}

impl Output<'_> {
    /// Moves a block. A terminal whose last process ended answers with EIO.
    fn step(&mut self, block: &mut [u8]) -> io::Result<Step> {
        let length = match rustix::io::read(&self.from, &mut *block) {
            Ok(0) | Err(Errno::IO) => return Ok(Step::Over),
            Ok(length) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Step::Goes),
            Err(error) => return Err(error.into()),
        };
        match write_all(self.to, &block[..length]) {
            Ok(()) => Ok(Step::Goes),
            Err(Errno::PIPE | Errno::IO) => Ok(Step::Leaves),
            Err(error) => Err(error.into()),
        }
    }
}

/// Writes to a stream of this program, which others may have made non-blocking.
fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut polls = [PollFd::from_borrowed_fd(to, PollFlags::OUT)];
                match rustix::event::poll(&mut polls, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn set_nonblocking(descriptor: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&descriptor)?;
    rustix::fs::fcntl_setfl(&descriptor, flags | OFlags::NONBLOCK)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn typed(keys: &mut Input<'_>, bytes: &[u8]) -> (bool, Vec<u8>) {
        keys.pending = bytes.to_vec();
        let left = keys.leaves();
        (left, std::mem::take(&mut keys.pending))
    }

    #[test]
    fn only_both_keys_in_a_row_leave_and_nothing_else_is_swallowed() {
        let (reader, writer) = io::pipe().expect("pipe");
        let mut input = Input {
            from: reader.as_fd(),
            to: writer.into(),
            pending: Vec::new(),
            keys: DETACH.to_vec(),
            typed: 0,
        };
        assert_eq!(typed(&mut input, b"a\x10b"), (false, b"a\x10b".to_vec()));
        assert_eq!(typed(&mut input, b"\x10"), (false, Vec::new()));
        assert_eq!(typed(&mut input, b"\x10x"), (false, b"\x10\x10x".to_vec()));
        assert_eq!(typed(&mut input, b"x\x10"), (false, b"x".to_vec()));
        assert!(typed(&mut input, b"\x11").0);
    }

    #[test]
    fn a_process_that_reads_nothing_is_still_heard() {
        let (stdin_reader, mut stdin_writer) = io::pipe().expect("pipe");
        let (process_in, to_process) = io::pipe().expect("pipe");
        let (from_process, mut process_out) = io::pipe().expect("pipe");
        let (mut shown, show) = io::pipe().expect("pipe");
        let (end, tell_end) = io::pipe().expect("pipe");
        let signals = Signals::listen(true).expect("signals");
        let mut relay = Relay::default();
        relay
            .input(stdin_reader.as_fd(), to_process.into(), &[])
            .expect("input");
        relay.output(from_process.into(), show.as_fd()).expect("output");
        let flood = std::thread::spawn(move || drop(stdin_writer.write_all(&vec![b'i'; 1 << 20])));
        let speaker = std::thread::spawn(move || {
            process_out.write_all(&vec![b'o'; 1 << 20]).expect("heard");
            drop(process_out);
            drop(tell_end);
        });
        let listener = std::thread::spawn(move || {
            let mut all = Vec::new();
            shown.read_to_end(&mut all).map(|_| all.len())
        });
        assert_eq!(relay.run(end.as_fd(), &signals).expect("relayed"), Pause::Ended);
        relay.drain().expect("drained");
        drop(relay);
        drop((show, stdin_reader, process_in));
        flood.join().expect("input ends");
        speaker.join().expect("output ends");
        assert_eq!(listener.join().expect("read").expect("read"), 1 << 20);
    }
}
