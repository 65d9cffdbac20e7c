//! In: what a container wrote. Out: copies of it in the pipes of one client, as fast as that client reads.
//! **Invariant:** what a client has not taken waits here, and is dropped only with the client.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::logs::Stream;

/// One client's copy of one stream.
#[derive(Debug)]
struct Sink {
    descriptor: OwnedFd,
    pending: Vec<u8>,
}

/// One attached client.
#[derive(Debug)]
pub(super) struct Attached {
    /// The connection it attached by.
    pub(super) connection: u64,
    stdout: Option<Sink>,
    stderr: Option<Sink>,
    /// Where its input is read from, until it ends.
    pub(super) input: Option<OwnedFd>,
}

impl Attached {
    /// A client with its descriptors: stdout, stderr and, when it sends input, a pipe to read that from.
    pub(super) fn new(connection: u64, descriptors: Vec<OwnedFd>) -> io::Result<Self> {
        for descriptor in &descriptors {
            let flags = rustix::fs::fcntl_getfl(descriptor)?;
            rustix::fs::fcntl_setfl(descriptor, flags | OFlags::NONBLOCK)?;
        }
        let mut descriptors = descriptors.into_iter();
        let mut sink = || {
            descriptors.next().map(|descriptor| Sink {
                descriptor,
                pending: Vec::new(),
            })
        };
        let (stdout, stderr) = (sink(), sink());
        Ok(Attached {
            connection,
            stdout,
            stderr,
            input: descriptors.next(),
        })
    }

    fn sink(&self, stream: Stream) -> Option<&Sink> {
        match stream {
            Stream::Stdout => self.stdout.as_ref(),
            Stream::Stderr => self.stderr.as_ref(),
        }
    }

    fn slot(&mut self, stream: Stream) -> &mut Option<Sink> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Whether bytes of this stream wait for the client.
    pub(super) fn is_behind(&self, stream: Stream) -> bool {
        self.sink(stream).is_some_and(|sink| !sink.pending.is_empty())
    }

    /// The client's pipe for this stream, and what to wait for there: a closed reader shows as an error whatever is asked for.
    pub(super) fn interest(&self, stream: Stream) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let sink = self.sink(stream)?;
        let flags = if sink.pending.is_empty() {
            PollFlags::empty()
        } else {
            PollFlags::OUT
        };
        Some((sink.descriptor.as_fd(), flags))
    }

    /// Gives it a copy.
    pub(super) fn send(&mut self, stream: Stream, bytes: &[u8]) {
        let slot = self.slot(stream);
        if let Some(sink) = slot {
            sink.pending.extend_from_slice(bytes);
            if !sink.flush() {
                *slot = None;
            }
        }
    }

    /// Its pipe takes bytes again, or was closed.
    pub(super) fn ready(&mut self, stream: Stream) {
        let slot = self.slot(stream);
        if slot
            .as_mut()
            .is_some_and(|sink| !sink.flush() || sink.is_closed())
        {
            *slot = None;
        }
    }
}

impl Sink {
    /// Writes what waits; false when nobody reads any more.
    fn flush(&mut self) -> bool {
        let mut written = 0;
        let mut open = true;
        while written < self.pending.len() {
            match rustix::io::retry_on_intr(|| rustix::io::write(&self.descriptor, &self.pending[written..]))
            {
                Ok(count) => written += count,
                Err(error) => {
                    open = error == Errno::AGAIN;
                    break;
                }
            }
        }
        self.pending.drain(..written);
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        open
    }

    fn is_closed(&self) -> bool {
        let mut poll = [PollFd::new(&self.descriptor, PollFlags::empty())];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        rustix::event::poll(&mut poll, Some(&at_once)).is_err()
            || poll[0]
                .revents()
                .intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_slow_reader_gets_every_byte_and_a_closed_one_is_forgotten() {
        let (mut reader, writer) = io::pipe().unwrap();
        let (_errors, error_writer) = io::pipe().unwrap();
        let mut client = Attached::new(1, vec![writer.into(), error_writer.into()]).unwrap();
        let sent: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        client.send(Stream::Stdout, &sent);
        assert!(client.is_behind(Stream::Stdout));
        assert_eq!(client.interest(Stream::Stdout).unwrap().1, PollFlags::OUT);
        let mut received = vec![0; sent.len()];
        let mut filled = 0;
        while filled < received.len() {
            filled += reader.read(&mut received[filled..]).unwrap();
            client.ready(Stream::Stdout);
        }
        assert_eq!(received, sent);
        assert!(!client.is_behind(Stream::Stdout));
        drop(reader);
        client.ready(Stream::Stdout);
        assert!(client.interest(Stream::Stdout).is_none(), "its reader is gone");
        assert!(
            client.interest(Stream::Stderr).is_some(),
            "the other stream goes on"
        );
    }
}
