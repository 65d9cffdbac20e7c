//! In: messages. Out: the kernel's acknowledgement, answer or dump, over one blocking netlink socket.
//!
//! **Invariant:** a socket acts in the network namespace it was opened in, wherever its thread goes later.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::attribute::{ACK, DUMP, Message, Received, array, messages};
use crate::error::NetworkError;

/// `NLMSG_ERROR`: also the acknowledgement, with error 0.
const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
const DONE: u16 = 3;
/// The kernel fills at most 32 KiB of a dump at once (`netlink_recvmsg`).
const DUMP_BUFFER: usize = 32 * 1024;
/// An acknowledgement repeats the request, which is far smaller than this.
const ACK_BUFFER: usize = 8 * 1024;

/// A netlink socket. The kernel answers while the request is being sent, so nothing here ever waits.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// A socket to links, addresses and routes of the calling thread's network namespace.
    pub fn route() -> Result<Self, NetworkError> {
        // NETLINK_ROUTE is protocol 0, which rustix spells as no protocol.
        Self::open(None).map_err(NetworkError::kernel("open a netlink socket for links"))
    }

    /// A socket to nftables and connection tracking of the calling thread's network namespace.
    pub(crate) fn netfilter() -> Result<Self, NetworkError> {
        Self::open(Some(netlink::NETFILTER)).map_err(|source| NetworkError::KernelLacks {
            feature: "netfilter's netlink interface (CONFIG_NETFILTER_NETLINK)",
            remedy: "load the module nfnetlink, or use a distribution's kernel",
            source,
        })
    }

    /// A route socket received from another process.
    pub fn from_fd(socket: OwnedFd) -> Self {
        Self { socket, sequence: 0 }
    }

    fn open(protocol: Option<Protocol>) -> Result<Self, Errno> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// A fresh sequence number; 0 is left to the kernel's own notifications.
    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// Sends `message`, asking for an acknowledgement, and returns when the kernel has done it.
    pub(crate) fn request(&mut self, message: Message) -> Result<(), Errno> {
        let sequence = self.next_sequence();
        let mut bytes = message.finish(sequence)?;
        bytes[6] |= u8::try_from(ACK).map_err(|_| Errno::INVAL)?;
        self.send(&bytes)?;
        self.acknowledged(sequence)
    }

    /// Sends `message` and hands the one answer to `read`.
    pub(crate) fn query<T>(
        &mut self,
        message: Message,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Errno> {
        let sequence = self.next_sequence();
        self.send(&message.finish(sequence)?)?;
        let mut buffer = vec![0; DUMP_BUFFER];
        loop {
            let length = self.receive(&mut buffer)?;
            for received in messages(&buffer[..length]).filter(|received| received.sequence == sequence) {
                if received.kind != ERROR {
                    return read(received.payload).ok_or(Errno::PROTO);
                }
                outcome(&received)?;
            }
        }
    }

    /// Asks for everything `message` selects and hands each object to `each`.
    pub(crate) fn dump(&mut self, message: Message, mut each: impl FnMut(&[u8])) -> Result<(), Errno> {
        let sequence = self.next_sequence();
        let mut bytes = message.finish(sequence)?;
        let flags = u16::from_ne_bytes([bytes[6], bytes[7]]) | DUMP;
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.send(&bytes)?;
        let mut buffer = vec![0; DUMP_BUFFER];
        loop {
            let length = self.receive(&mut buffer)?;
            for received in messages(&buffer[..length]).filter(|received| received.sequence == sequence) {
                match received.kind {
                    DONE => return Ok(()),
                    ERROR => outcome(&received)?,
                    _ => each(received.payload),
                }
            }
        }
    }

    /// Sends a batch whose messages carry their own numbers and reads answers until the one to `last`.
    pub(crate) fn batch(&mut self, bytes: &[u8], last: u32) -> Result<(), Errno> {
        self.send(bytes)?;
        let mut first_error = Ok(());
        let mut buffer = vec![0; ACK_BUFFER];
        loop {
            let length = match self.receive(&mut buffer) {
                // A refused batch acknowledges nothing: its errors were all there was to read.
                Err(Errno::AGAIN) if first_error.is_err() => return first_error,
                received => received?,
            };
            for received in messages(&buffer[..length]).filter(|received| received.kind == ERROR) {
                let result = outcome(&received);
                if first_error.is_ok() {
                    first_error = result;
                }
                if received.sequence == last && first_error.is_ok() {
                    return Ok(());
                }
            }
        }
    }

    fn acknowledged(&mut self, sequence: u32) -> Result<(), Errno> {
        let mut buffer = [0; ACK_BUFFER];
        loop {
            let length = self.receive(&mut buffer)?;
            for received in messages(&buffer[..length]) {
                if received.kind == ERROR && received.sequence == sequence {
                    return outcome(&received);
                }
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        let kernel = SocketAddrNetlink::new(0, 0);
        loop {
            match rustix::net::sendto(&self.socket, bytes, SendFlags::empty(), &kernel) {
                Err(Errno::INTR) => {}
                Ok(sent) if sent != bytes.len() => return Err(Errno::MSGSIZE),
                result => return result.map(drop),
            }
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let capacity = buffer.len();
        // DONTWAIT: the answer is queued before the send returns; were it lost, an error beats a hang.
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        loop {
            match rustix::net::recv(&self.socket, &mut *buffer, flags) {
                Err(Errno::INTR) => {}
                Ok((_, length)) if length > capacity => return Err(Errno::MSGSIZE),
                result => return result.map(|(length, _)| length),
            }
        }
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<Netlink> for OwnedFd {
    fn from(netlink: Netlink) -> Self {
        netlink.socket
    }
}

/// What an `NLMSG_ERROR` says: nothing went wrong, or what did.
fn outcome(received: &Received<'_>) -> Result<(), Errno> {
    match array(received.payload, 0).map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(error) => Err(Errno::from_raw_os_error(error.wrapping_neg())),
        None => Err(Errno::PROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_a_dump_and_refuses_an_unknown_request() {
        let mut netlink = Netlink::route().expect("a route socket needs no privilege");
        let mut links = 0;
        netlink
            .dump(Message::new(18, 0).fixed(&[0; 16]), |_| links += 1)
            .expect("links are listed");
        assert!(links >= 1, "at least lo");
        assert_eq!(
            netlink.request(Message::new(0xfff0, 0).fixed(&[0; 16])),
            Err(Errno::OPNOTSUPP)
        );
        let mut again = 0;
        netlink
            .dump(Message::new(18, 0).fixed(&[0; 16]), |_| again += 1)
            .expect("the socket is still usable");
        assert!(again >= 1);
    }
}
