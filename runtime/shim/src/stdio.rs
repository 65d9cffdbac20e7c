//! In: what the container writes, and what attached clients type. Out: its log, the clients' pipes, its standard input.
//! **Invariant:** no byte is lost to a slow client: while one has bytes waiting, the container's stream is not read. Every buffer is bounded.

mod attached;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::clock;
use crate::error::ShimError;
use crate::logs::{ContainerLog, Stream};

use attached::Attached;

/// Bytes read from a stream at once.
const CHUNK: usize = 64 * 1024;
/// Bytes of standard input taken from a client at once.
const INPUT_CHUNK: usize = 4096;

/// Something of this file that can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StdioToken {
    /// The container's stream has bytes.
    Output(Stream),
    /// A client's pipe takes bytes again, or was closed.
    Sink(usize, Stream),
    /// A client sent input.
    ClientInput(usize),
    /// The container takes input again.
    Input,
}

/// Where the container's standard streams lead on our side.
#[derive(Debug, Default)]
struct Ends {
    /// Standard output, or a terminal's master side for all three.
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    /// Standard input; a terminal's input is its `stdout`.
    input: Option<OwnedFd>,
    terminal: bool,
    /// The terminal's other side is closed; nothing is read until the next start.
    hung_up: bool,
}

/// The three streams of a container and everybody attached to them.
#[derive(Debug)]
pub(crate) struct ContainerIo {
    log: ContainerLog,
    ends: Ends,
    clients: Vec<Attached>,
    /// Input taken from a client and not yet by the container.
    input_pending: Vec<u8>,
    /// The end of a client's input is the end of the container's.
    input_once: bool,
    /// Output is not read before somebody attached.
    waits: bool,
}

/// What a new first process gets as its standard streams.
pub(crate) struct ProcessEnds {
    /// Standard input.
    pub(crate) stdin: OwnedFd,
    /// Standard output.
    pub(crate) stdout: OwnedFd,
    /// Standard error.
    pub(crate) stderr: OwnedFd,
}

impl ContainerIo {
    /// `input_once`: the end of a client's input is passed on. `waits`: output stays in the pipe until the first client.
    pub(crate) fn new(log: ContainerLog, input_once: bool, waits: bool) -> Self {
        ContainerIo {
            log,
            ends: Ends::default(),
            clients: Vec::new(),
            input_pending: Vec::new(),
            input_once,
            waits,
        }
    }

    /// Makes the FIFOs afresh. Their mode lets a process of any user reopen `/dev/stdout`; nobody else reaches the directory.
    pub(crate) fn make_fifos(run_directory: BorrowedFd<'_>, stdin_open: bool) -> Result<(), ShimError> {
        for (name, mode) in [("stdin", 0o644), ("stdout", 0o622), ("stderr", 0o622)] {
            let step = || format!("make fifo {name}");
            crate::record::remove(run_directory, name).map_err(ShimError::system(step()))?;
            if name == "stdin" && !stdin_open {
                continue;
            }
            let mode = Mode::from_raw_mode(mode);
            rustix::fs::mkfifoat(run_directory, name, mode).map_err(ShimError::system(step()))?;
            // mkfifoat obeys the umask.
            rustix::fs::chmodat(run_directory, name, mode, rustix::fs::AtFlags::empty())
                .map_err(ShimError::system(step()))?;
        }
        Ok(())
    }

    /// Opens our ends of the FIFOs.
    pub(crate) fn open_ends(
        &mut self,
        run_directory: BorrowedFd<'_>,
        stdin_open: bool,
    ) -> Result<(), ShimError> {
        let open = |name: &str| open_fifo(run_directory, name, OFlags::RDWR | OFlags::NONBLOCK);
        self.ends = Ends {
            stdout: Some(open("stdout")?),
            stderr: Some(open("stderr")?),
            input: if stdin_open { Some(open("stdin")?) } else { None },
            terminal: false,
            hung_up: false,
        };
        Ok(())
    }

    /// Opens the ends a new first process gets. Output ends can be read as well, so that it outlives us without SIGPIPE;
    /// its input only when nobody is to see an end of it.
    pub(crate) fn process_ends(
        &self,
        run_directory: BorrowedFd<'_>,
        stdin_open: bool,
    ) -> Result<ProcessEnds, ShimError> {
        let stdin = if stdin_open {
            let access = if self.input_once {
                OFlags::RDONLY
            } else {
                OFlags::RDWR
            };
            // Our own end is open already, so that this does not wait for a writer.
            open_fifo(run_directory, "stdin", access)?
        } else {
            rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
                .map_err(ShimError::system("open /dev/null"))?
        };
        Ok(ProcessEnds {
            stdin,
            stdout: open_fifo(run_directory, "stdout", OFlags::RDWR)?,
            stderr: open_fifo(run_directory, "stderr", OFlags::RDWR)?,
        })
    }

    /// The container has a terminal with this master side.
    pub(crate) fn use_terminal(&mut self, master: OwnedFd) -> Result<(), ShimError> {
        set_nonblocking(&master).map_err(ShimError::system("prepare the terminal"))?;
        self.ends = Ends {
            stdout: Some(master),
            terminal: true,
            ..Ends::default()
        };
        Ok(())
    }

    /// The terminal's master side.
    pub(crate) fn terminal(&self) -> Option<BorrowedFd<'_>> {
        self.ends
            .stdout
            .as_ref()
            .filter(|_| self.ends.terminal)
            .map(AsFd::as_fd)
    }

    /// Nobody will attach any more: read what is there.
    pub(crate) fn stop_waiting(&mut self) {
        self.waits = false;
    }

    /// Whether output still waits for a first client.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waits
    }

    /// Whether anybody is attached.
    pub(crate) fn has_clients(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Whether this connection is.
    pub(crate) fn is_attached(&self, connection: u64) -> bool {
        self.clients.iter().any(|client| client.connection == connection)
    }

    /// Adds a client: stdout, stderr and, when it sends input, a pipe to read it from.
    pub(crate) fn attach(&mut self, connection: u64, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        self.clients.push(Attached::new(connection, descriptors)?);
        self.waits = false;
        Ok(())
    }

    /// Forgets the clients of a closed connection.
    pub(crate) fn detach(&mut self, connection: u64) {
        self.clients.retain(|client| client.connection != connection);
    }

    /// What to wait for.
    pub(crate) fn interest<'own>(&'own self, add: &mut dyn FnMut(BorrowedFd<'own>, PollFlags, StdioToken)) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Some(end) = self.readable_end(stream) {
                add(end.as_fd(), PollFlags::IN, StdioToken::Output(stream));
            }
        }
        for (index, client) in self.clients.iter().enumerate() {
            for stream in [Stream::Stdout, Stream::Stderr] {
                if let Some((descriptor, flags)) = client.interest(stream) {
                    add(descriptor, flags, StdioToken::Sink(index, stream));
                }
            }
            if let Some(input) = &client.input
                && self.input_pending.is_empty()
            {
                add(input.as_fd(), PollFlags::IN, StdioToken::ClientInput(index));
            }
        }
        if let Some(end) = self.input_end()
            && !self.input_pending.is_empty()
        {
            add(end, PollFlags::OUT, StdioToken::Input);
        }
    }

    /// Does what became possible. `Sink` and `ClientInput` tokens are of the latest [`Self::interest`].
    pub(crate) fn ready(&mut self, token: StdioToken) {
        match token {
            StdioToken::Output(stream) => {
                self.read_output(stream);
            }
            StdioToken::Sink(index, stream) => {
                if let Some(client) = self.clients.get_mut(index) {
                    client.ready(stream);
                }
            }
            StdioToken::ClientInput(index) => self.take_input(index),
            StdioToken::Input => self.give_input(),
        }
    }

    /// Reads everything there is, whoever is slow. For the end of the first process.
    pub(crate) fn drain(&mut self) {
        self.waits = false;
        for stream in [Stream::Stdout, Stream::Stderr] {
            while self.read_output(stream) {}
        }
        self.log.finish(clock::wall());
        self.input_pending.clear();
    }

    /// Writes a line of ours into the log.
    pub(crate) fn note(&mut self, text: &str) {
        self.log.push(
            Stream::Stderr,
            format!("[rcompose: {text}]\n").as_bytes(),
            clock::wall(),
        );
    }

    /// A copy of our ends of the output FIFOs for a helper process; none with a terminal.
    pub(crate) fn output_copies(&self) -> Option<(OwnedFd, OwnedFd)> {
        let (stdout, stderr) = (self.ends.stdout.as_ref()?, self.ends.stderr.as_ref()?);
        let copy = |end: &OwnedFd| {
            use std::os::fd::AsRawFd;
            // Opened anew: the copy must block, and ours must not.
            let path = format!("/proc/self/fd/{}", end.as_raw_fd());
            rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok()
        };
        Some((copy(stdout)?, copy(stderr)?))
    }

    /// Connections whose every byte was delivered, at the end; their pipes are closed by this.
    pub(crate) fn take_delivered(&mut self) -> Vec<u64> {
        let mut delivered = Vec::new();
        self.clients.retain(|client| {
            let waiting = client.is_behind(Stream::Stdout) || client.is_behind(Stream::Stderr);
            if !waiting {
                delivered.push(client.connection);
            }
            waiting
        });
        delivered
    }

    fn end(&self, stream: Stream) -> Option<&OwnedFd> {
        match stream {
            Stream::Stdout => self.ends.stdout.as_ref(),
            Stream::Stderr => self.ends.stderr.as_ref(),
        }
    }

    fn readable_end(&self, stream: Stream) -> Option<&OwnedFd> {
        let blocked =
            self.waits || self.ends.hung_up || self.clients.iter().any(|client| client.is_behind(stream));
        self.end(stream).filter(|_| !blocked)
    }

    fn input_end(&self) -> Option<BorrowedFd<'_>> {
        self.terminal()
            .filter(|_| !self.ends.hung_up)
            .or(self.ends.input.as_ref().map(AsFd::as_fd))
    }

    /// Reads once; true when there may be more.
    fn read_output(&mut self, stream: Stream) -> bool {
        let Some(end) = self.end(stream) else { return false };
        let mut bytes = Vec::with_capacity(CHUNK);
        match rustix::io::retry_on_intr(|| rustix::io::read(end, rustix::buffer::spare_capacity(&mut bytes)))
        {
            Ok(0) | Err(Errno::IO) => {
                self.ends.hung_up = self.ends.terminal;
                return false;
            }
            Ok(_) => {}
            Err(_) => return false,
        }
        self.log.push(stream, &bytes, clock::wall());
        for client in &mut self.clients {
            client.send(stream, &bytes);
        }
        true
    }

    fn take_input(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        let Some(input) = &client.input else { return };
        let mut bytes = Vec::with_capacity(INPUT_CHUNK);
        match rustix::io::retry_on_intr(|| {
            rustix::io::read(input, rustix::buffer::spare_capacity(&mut bytes))
        }) {
            Err(Errno::AGAIN) => {}
            Ok(0) | Err(_) => {
                client.input = None;
                if self.input_once {
                    self.ends.input = None;
                }
            }
            Ok(_) => {
                self.input_pending = bytes;
                self.give_input();
            }
        }
    }

    fn give_input(&mut self) {
        while !self.input_pending.is_empty() {
            let Some(end) = self.input_end() else {
                self.input_pending.clear();
                return;
            };
            match rustix::io::retry_on_intr(|| rustix::io::write(end, &self.input_pending)) {
                Ok(written) => {
                    self.input_pending.drain(..written);
                }
                Err(Errno::AGAIN) => return,
                Err(_) => self.input_pending.clear(),
            }
        }
        self.input_pending = Vec::new();
    }
}

fn open_fifo(run_directory: BorrowedFd<'_>, name: &str, flags: OFlags) -> Result<OwnedFd, ShimError> {
    rustix::fs::openat(
        run_directory,
        name,
        flags | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )
    .map_err(ShimError::system(format!("open fifo {name}")))
}

fn set_nonblocking(descriptor: &OwnedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(descriptor)?;
    rustix::fs::fcntl_setfl(descriptor, flags | OFlags::NONBLOCK)?;
    Ok(())
}
