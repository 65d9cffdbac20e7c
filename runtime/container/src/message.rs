//! In: what went wrong in a child. Out: the same, as an error in its parent: one packet on a socket that closes by itself at execve,
//! so that silence is success. A terminal's master side travels the same way.
//! **Invariant:** the child allocates and formats only before it confines itself or when it is about to end.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use minicbor::{Decode, Encode};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Longest packet; details are cut to fit.
const MAXIMUM_PACKET: usize = 4096;
/// Longest detail inside a packet.
const MAXIMUM_DETAIL: usize = 2048;

/// Why a process could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[cbor(map)]
#[error("{stage}: {}{}{detail}", errno_text(*.errno), if .detail.is_empty() { "" } else { ": " })]
pub struct StartError {
    /// The step that failed, such as `mount /data`.
    #[n(0)]
    pub stage: String,
    /// errno(3), 0 when none applies.
    #[n(1)]
    pub errno: i32,
    /// The rest of the story, may be empty.
    #[n(2)]
    pub detail: String,
}

/// The stage of a program that was found missing or unfit by execve(2) itself.
const EXECUTE: &str = "execute";

impl StartError {
    /// A step that failed with an errno.
    pub fn new(stage: impl Into<String>, errno: i32, detail: impl Into<String>) -> Self {
        Self {
            stage: stage.into(),
            errno,
            detail: detail.into(),
        }
    }

    /// A step that is refused for a reason of our own.
    pub(crate) fn refused(stage: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(stage, 0, detail)
    }

    /// A program that could not be executed.
    pub(crate) fn execute(program: &str, errno: i32, detail: impl Into<String>) -> Self {
        Self::new(format!("{EXECUTE} {program}"), errno, detail)
    }

    /// What a shell would report: 127 when the program does not exist, 126 when it cannot be executed, 125 for everything before.
    pub fn exit_code(&self) -> i32 {
        match self.stage.split(' ').next() {
            Some(EXECUTE) if self.errno == Errno::NOENT.raw_os_error() => 127,
            Some(EXECUTE) => 126,
            _ => 125,
        }
    }
}

fn errno_text(errno: i32) -> String {
    if errno == 0 {
        "refused".into()
    } else {
        io::Error::from_raw_os_error(errno).to_string()
    }
}

/// Names the step a system call belongs to.
pub(crate) trait Stage<T> {
    /// The value, or an error that names this step.
    fn stage(self, step: &str) -> Result<T, StartError>;
    /// The same for a step about a path or name.
    fn stage_of(self, step: &str, subject: &str) -> Result<T, StartError>;
}

impl<T> Stage<T> for Result<T, Errno> {
    fn stage(self, step: &str) -> Result<T, StartError> {
        self.map_err(|errno| StartError::new(step, errno.raw_os_error(), ""))
    }

    fn stage_of(self, step: &str, subject: &str) -> Result<T, StartError> {
        self.map_err(|errno| StartError::new(format!("{step} {subject}"), errno.raw_os_error(), ""))
    }
}

impl<T> Stage<T> for io::Result<T> {
    fn stage(self, step: &str) -> Result<T, StartError> {
        self.map_err(|error| StartError::new(step, error.raw_os_error().unwrap_or(0), plain_detail(&error)))
    }

    fn stage_of(self, step: &str, subject: &str) -> Result<T, StartError> {
        self.map_err(|error| {
            let stage = format!("{step} {subject}");
            StartError::new(stage, error.raw_os_error().unwrap_or(0), plain_detail(&error))
        })
    }
}

/// The text of an error that carries no errno.
fn plain_detail(error: &io::Error) -> String {
    if error.raw_os_error().is_some() {
        String::new()
    } else {
        error.to_string()
    }
}

/// The two ends of the channel between a child and its parent.
pub(crate) struct Channel {
    /// Read by the parent.
    pub(crate) parent: OwnedFd,
    /// Written by the child; closed by its execve.
    pub(crate) child: OwnedFd,
}

impl Channel {
    pub(crate) fn new() -> Result<Self, StartError> {
        let (parent, child) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .stage("make the channel to the new process")?;
        Ok(Self { parent, child })
    }
}

/// Tells the parent what went wrong. Best effort: without a parent nobody is left to tell.
pub(crate) fn send_error(channel: BorrowedFd<'_>, error: &StartError) {
    let mut error = error.clone();
    let cut = error.detail.floor_char_boundary(MAXIMUM_DETAIL);
    error.detail.truncate(cut);
    let cut = error.stage.floor_char_boundary(MAXIMUM_DETAIL / 2);
    error.stage.truncate(cut);
    if let Ok(bytes) = minicbor::to_vec(&error) {
        let _ = rustix::net::send(channel, &bytes, SendFlags::NOSIGNAL);
    }
}

/// The packet that says: set up, about to confine and execute. A child that dies without it was killed on the way.
const READY: u8 = 1;
/// The packet a terminal travels beside.
const TERMINAL: u8 = 0;

/// Tells the parent that only confinement and execve are left.
pub(crate) fn send_ready(channel: BorrowedFd<'_>) {
    let _ = rustix::net::send(channel, &[READY], SendFlags::NOSIGNAL);
}

/// Hands a terminal's master side to the parent.
pub(crate) fn send_terminal(channel: BorrowedFd<'_>, master: BorrowedFd<'_>) -> Result<(), StartError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [master];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(
        channel,
        &[IoSlice::new(&[TERMINAL])],
        &mut control,
        SendFlags::NOSIGNAL,
    )
    .stage("hand over the terminal")?;
    Ok(())
}

/// Waits until the child has executed its program, and returns the terminal it may have sent.
pub(crate) fn wait_for_execution(channel: &OwnedFd) -> Result<Option<OwnedFd>, StartError> {
    let mut terminal = None;
    let mut ready = false;
    let mut packet = vec![0; MAXIMUM_PACKET];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            channel.as_fd(),
            &mut [IoSliceMut::new(&mut packet)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        let length = match received {
            Err(Errno::INTR) => continue,
            other => other.stage("wait for the new process")?.bytes,
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
                terminal = descriptors.next();
            }
        }
        match length {
            0 if ready => return Ok(terminal),
            0 => {
                return Err(StartError::refused(
                    "start",
                    "the new process was killed while it was being set up",
                ));
            }
            1 => ready |= packet[0] == READY,
            length => {
                return Err(minicbor::decode(&packet[..length]).unwrap_or_else(|_| {
                    StartError::refused("start", "the new process sent a message that makes no sense")
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_arrives_whole_and_silence_is_success() {
        let channel = Channel::new().unwrap();
        let sent = StartError::new("mount /data", 22, "the volume is gone");
        send_error(channel.child.as_fd(), &sent);
        assert_eq!(wait_for_execution(&channel.parent).unwrap_err(), sent);
        send_ready(channel.child.as_fd());
        drop(channel.child);
        assert!(wait_for_execution(&channel.parent).unwrap().is_none());
    }

    #[test]
    fn a_detail_of_any_length_fits_the_packet() {
        let channel = Channel::new().unwrap();
        send_error(
            channel.child.as_fd(),
            &StartError::new("é".repeat(40_000), 1, "ü".repeat(70_000)),
        );
        let error = wait_for_execution(&channel.parent).unwrap_err();
        assert_eq!(
            (error.errno, error.detail.chars().count()),
            (1, MAXIMUM_DETAIL / 2)
        );
    }

    #[test]
    fn a_terminal_arrives_before_the_end() {
        let channel = Channel::new().unwrap();
        let sent =
            rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
        send_terminal(channel.child.as_fd(), sent.as_fd()).unwrap();
        send_ready(channel.child.as_fd());
        drop(channel.child);
        let received = wait_for_execution(&channel.parent).unwrap().unwrap();
        assert_eq!(
            rustix::fs::fstat(received).unwrap().st_rdev,
            rustix::fs::makedev(1, 3)
        );
    }

    #[test]
    fn a_child_that_dies_on_the_way_is_no_success() {
        let channel = Channel::new().unwrap();
        drop(channel.child);
        assert!(
            wait_for_execution(&channel.parent)
                .unwrap_err()
                .detail
                .contains("killed")
        );
    }

    #[test]
    fn exit_codes_tell_missing_from_unfit_programs() {
        let code = |error: StartError| error.exit_code();
        assert_eq!(code(StartError::execute("nothing", 2, "")), 127);
        assert_eq!(code(StartError::execute("/etc/passwd", 13, "")), 126);
        assert_eq!(code(StartError::new("mount /x", 2, "")), 125);
    }
}
