//! In: the socket of an agent. Out: another socket, with the owner and mode a step asks for, that lets through what a step may ask.
//! Messages are those of the SSH agent protocol (draft-ietf-sshm-ssh-agent, "Protocol Messages").
//! **Invariant:** listing keys and signing pass; every other request is answered with a failure, unread by the agent.

use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::store::PreparedLayer;

const REQUEST_IDENTITIES: u8 = 11;
const SIGN_REQUEST: u8 = 13;
/// `SSH_AGENT_FAILURE`, a message of its own.
const FAILURE: [u8; 5] = [0, 0, 0, 1, 5];
/// OpenSSH's own limit of a message (authfd.h).
const LONGEST: u32 = 256 * 1024;

/// Answers on a socket of its own until it is dropped.
pub(crate) struct Forwarder {
    directory: PreparedLayer,
    ended: Arc<AtomicBool>,
    listens: Option<JoinHandle<()>>,
}

impl Forwarder {
    /// Listens in the directory for whoever the mode and the owner let in.
    pub(crate) fn start(
        directory: PreparedLayer,
        agent: &Path,
        mode: u32,
        owner: (u32, u32),
    ) -> Result<Self, String> {
        let said = |error: io::Error| format!("cannot forward the SSH agent {}: {error}", agent.display());
        // An agent that is not there is told now, and not by a program inside.
        drop(UnixStream::connect(agent).map_err(said)?);
        let socket = directory.path().join("socket");
        let listener = UnixListener::bind(&socket).map_err(said)?;
        std::os::unix::fs::chown(&socket, Some(owner.0), Some(owner.1)).map_err(said)?;
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(mode)).map_err(said)?;
        let ended = Arc::new(AtomicBool::new(false));
        let listens = {
            let (ended, agent) = (Arc::clone(&ended), agent.to_owned());
            std::thread::Builder::new()
                .name("ssh-agent".to_owned())
                .spawn(move || {
                    for client in listener.incoming() {
                        if ended.load(Ordering::Relaxed) {
                            return;
                        }
                        let (Ok(client), agent) = (client, agent.clone()) else {
                            continue;
                        };
                        // Without a thread for it, one client waits for the other.
                        let serve = move || drop(serve(client, &agent));
                        drop(std::thread::Builder::new().spawn(serve));
                    }
                })
                .map_err(said)?
        };
        Ok(Self {
            directory,
            ended,
            listens: Some(listens),
        })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Whoever listens looks at the flag when somebody comes.
        if UnixStream::connect(self.socket()).is_ok()
            && let Some(listens) = self.listens.take()
        {
            drop(listens.join());
        }
    }
}

/// One client, until it or the agent hangs up.
fn serve(mut client: UnixStream, agent: &Path) -> io::Result<()> {
    let mut agent = UnixStream::connect(agent)?;
    while let Some(request) = message(&mut client)? {
        if matches!(request.get(4), Some(&(REQUEST_IDENTITIES | SIGN_REQUEST))) {
            agent.write_all(&request)?;
            let Some(answer) = message(&mut agent)? else {
                return Ok(());
            };
            client.write_all(&answer)?;
        } else {
            client.write_all(&FAILURE)?;
        }
    }
    Ok(())
}

/// A whole message with its length in front; none at the end of the stream.
fn message(stream: &mut UnixStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let count = u32::from_be_bytes(length);
    if count == 0 || count > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut whole = length.to_vec();
    let read = stream.take(u64::from(count)).read_to_end(&mut whole)?;
    if read < count as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(whole))
}
