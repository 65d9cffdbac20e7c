//! In: one message and up to three descriptors. Out: one `SOCK_SEQPACKET` packet with them as `SCM_RIGHTS`, and back.
//! **Invariant:** received descriptors are close-on-exec, and a packet is never read in part.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use minicbor::{Decode, Encode};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::protocol::MAXIMUM_PACKET;

/// Most descriptors beside one packet.
const MOST_DESCRIPTORS: usize = 3;

/// A close-on-exec `SOCK_SEQPACKET` socket.
pub(crate) fn socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    let flags = flags | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// A connected pair of them.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    Ok(rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None)?)
}

/// The address of the control socket in an opened run directory, short whatever the directory's path.
pub(crate) fn control_address(run_directory: BorrowedFd<'_>) -> io::Result<SocketAddrUnix> {
    use std::os::fd::AsRawFd;
    let path = format!(
        "/proc/self/fd/{}/{}",
        run_directory.as_raw_fd(),
        crate::CONTROL_SOCKET
    );
    Ok(SocketAddrUnix::new(path)?)
}

/// Sends `message`. With [`SendFlags::DONTWAIT`] a full socket is an error of kind `WouldBlock`.
pub(crate) fn send<T: Encode<()>>(
    socket: impl AsFd,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> io::Result<()> {
    let bytes = minicbor::to_vec(message).map_err(io::Error::other)?;
    if bytes.len() > MAXIMUM_PACKET || descriptors.len() > MOST_DESCRIPTORS {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let part = [IoSlice::new(&bytes)];
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(&socket, &part, &mut control, flags | SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// Receives one message; none at the end of the stream. A packet that cannot be understood is an error of kind `InvalidData`.
pub(crate) fn receive<T>(socket: impl AsFd, flags: RecvFlags) -> io::Result<Option<(T, Vec<OwnedFd>)>>
where
    T: for<'bytes> Decode<'bytes, ()>,
{
    let socket = socket.as_fd();
    // The length first: packets are small, and an idle shim keeps no large buffer.
    let peek = RecvFlags::PEEK | RecvFlags::TRUNC | flags;
    let (_, length) = rustix::io::retry_on_intr(|| rustix::net::recv(socket, &mut [0_u8; 0][..], peek))?;
    if length == 0 {
        return Ok(None);
    }
    let mut bytes = vec![0; length.min(MAXIMUM_PACKET)];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = {
        let mut part = [IoSliceMut::new(&mut bytes)];
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        rustix::io::retry_on_intr(|| rustix::net::recvmsg(socket, &mut part, &mut control, flags))?
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    match minicbor::decode(&bytes[..received.bytes.min(bytes.len())]) {
        Ok(message) => Ok(Some((message, descriptors))),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::protocol::{Reply, Request};

    #[test]
    fn messages_travel_with_their_descriptors() {
        let (left, right) = pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        send(
            &left,
            &Request::Attach { stdin: false },
            &[writer.as_fd()],
            SendFlags::empty(),
        )
        .unwrap();
        drop(writer);
        let (request, mut descriptors) = receive::<Request>(&right, RecvFlags::empty()).unwrap().unwrap();
        assert_eq!(request, Request::Attach { stdin: false });
        let passed = descriptors.pop().unwrap();
        assert!(
            rustix::io::fcntl_getfd(&passed)
                .unwrap()
                .contains(rustix::io::FdFlags::CLOEXEC)
        );
        let mut passed = std::fs::File::from(passed);
        passed.write_all(b"through").unwrap();
        drop(passed);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn the_end_and_garbage_are_told_apart() {
        let (left, right) = pair().unwrap();
        rustix::net::send(&left, &[0xFF, 0xFF], SendFlags::empty()).unwrap();
        assert_eq!(
            receive::<Reply>(&right, RecvFlags::empty()).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert_eq!(
            receive::<Reply>(&right, RecvFlags::DONTWAIT).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        drop(left);
        assert!(receive::<Reply>(&right, RecvFlags::empty()).unwrap().is_none());
    }

    #[test]
    fn a_packet_longer_than_allowed_is_refused_by_its_sender() {
        let (left, _right) = pair().unwrap();
        let json = "x".repeat(MAXIMUM_PACKET);
        let reply = Reply::State {
            version: 1,
            pid: None,
            json,
        };
        let error = send(&left, &reply, &[], SendFlags::empty()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
