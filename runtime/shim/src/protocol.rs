//! In and out: the messages between a shim and everybody else, one CBOR value per `SOCK_SEQPACKET` packet on
//! `run/containers/<id>/control.sock`; file descriptors travel beside a packet as `SCM_RIGHTS`.
//! **Invariant:** append-only for ever. A number is never reused; an old shim answers [`Reply::Unsupported`] to what it does not know.

use minicbor::{Decode, Encode};
use rcompose_container::spec::ProcessSpec;

/// Version a shim reports; raised when a request is added.
pub const PROTOCOL_VERSION: u32 = 1;
/// Longest packet, in bytes.
pub const MAXIMUM_PACKET: usize = 128 * 1024;

/// What may be asked of a shim.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Version and state. Reply: [`Reply::State`].
    #[n(0)]
    State,
    /// Send a signal to the first process. Reply: [`Reply::Done`].
    #[n(1)]
    Signal {
        /// Signal number.
        #[n(0)]
        signal: i32,
    },
    /// Stop for good: signal, grace, SIGKILL; no restart follows. Reply: [`Reply::Exited`] when it is down and the exit record is written.
    #[n(2)]
    Stop {
        /// Overrides the spec's signal.
        #[n(0)]
        signal: Option<i32>,
        /// Overrides the spec's grace, milliseconds.
        #[n(1)]
        grace_ms: Option<u64>,
        /// Commands run inside the container first (`pre_stop`), in order; they do not gate the stop.
        #[n(2)]
        before: Vec<ProcessSpec>,
    },
    /// Stop and start again in place (same namespaces of the sandbox, same address). Reply: [`Reply::Started`] once the new process was executed.
    #[n(3)]
    Restart {
        /// Overrides the spec's signal.
        #[n(0)]
        signal: Option<i32>,
        /// Overrides the spec's grace, milliseconds.
        #[n(1)]
        grace_ms: Option<u64>,
    },
    /// Run a process inside. Without a terminal three descriptors come along (stdin, stdout, stderr) and become the process's own;
    /// with a terminal the reply brings the terminal's master side. Replies: [`Reply::Started`] (with the master), then [`Reply::Exited`].
    /// A closed connection does not end the process unless `kill_on_close`.
    #[n(4)]
    Exec {
        /// What to run.
        #[n(0)]
        process: ProcessSpec,
        /// SIGKILL the process when the connection closes.
        #[n(1)]
        kill_on_close: bool,
    },
    /// Copy the first process's output to the two pipe write ends that come along (stdout, stderr), and, when a third descriptor (pipe read end)
    /// comes along, its bytes to the process's standard input, until end of file. With a terminal only stdout is used.
    /// A reader that is slower than the container slows the container, never loses bytes. Reply: [`Reply::Done`], then [`Reply::Exited`] at the end.
    #[n(5)]
    Attach {
        /// A third descriptor comes along.
        #[n(0)]
        stdin: bool,
    },
    /// Terminal size of the first process. Reply: [`Reply::Done`].
    #[n(6)]
    Resize {
        /// Columns.
        #[n(0)]
        columns: u16,
        /// Rows.
        #[n(1)]
        rows: u16,
    },
    /// Wait for the end of the first process that no restart follows. Reply: [`Reply::Exited`].
    #[n(7)]
    WaitExit,
    /// Wait until healthy. Replies: [`Reply::Done`] when healthy (at once when there is no probe and it runs), [`Reply::Unhealthy`]
    /// when a probe said so, [`Reply::Exited`] when it ended first.
    #[n(8)]
    WaitHealthy,
    /// Freeze every process. Reply: [`Reply::Done`].
    #[n(9)]
    Pause,
    /// Thaw them. Reply: [`Reply::Done`].
    #[n(10)]
    Unpause,
    /// Read the zone files again now. Reply: [`Reply::Done`]. (The resolver also notices by itself.)
    #[n(11)]
    ReloadZones,
    /// Descriptor of a detached, readable and writable view of the container's root directory, for copying files into it. Reply: [`Reply::Done`]
    /// with one O_PATH-free directory descriptor opened inside the container's mount namespace.
    #[n(12)]
    OpenRoot,
    /// Resize the terminal of a process started by [`Request::Exec`] on this connection. Reply: none.
    #[n(13)]
    ResizeExec {
        /// Columns.
        #[n(0)]
        columns: u16,
        /// Rows.
        #[n(1)]
        rows: u16,
    },
    /// Send a signal to the process started by [`Request::Exec`] on this connection. Reply: none.
    #[n(14)]
    SignalExec {
        /// Signal number.
        #[n(0)]
        signal: i32,
    },
}

/// What a shim answers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// It is done.
    #[n(0)]
    Done,
    /// The process runs.
    #[n(1)]
    Started {
        /// Process id in the host's pid namespace.
        #[n(0)]
        pid: i32,
    },
    /// The process ended.
    #[n(2)]
    Exited {
        /// Exit code; 128 plus the signal's number when a signal ended it.
        #[n(0)]
        code: i32,
    },
    /// A health probe failed `retries` times in a row.
    #[n(3)]
    Unhealthy {
        /// What the last probe printed, at most 4096 bytes.
        #[n(0)]
        output: String,
    },
    /// It could not be done.
    #[n(4)]
    Failed {
        /// The step, such as `mount /data`, lower-case fragment.
        #[n(0)]
        stage: String,
        /// errno(3), 0 when none applies.
        #[n(1)]
        errno: i32,
        /// The rest of the story, may be empty.
        #[n(2)]
        detail: String,
    },
    /// This shim is older than the request.
    #[n(5)]
    Unsupported,
    /// The state.
    #[n(6)]
    State {
        /// [`PROTOCOL_VERSION`] of the shim.
        #[n(0)]
        version: u32,
        /// Process id of the container's first process, when it runs.
        #[n(1)]
        pid: Option<i32>,
        /// The content of `state.json`.
        #[n(2)]
        json: String,
    },
}

/// What the engine writes as `start.cbor` before it starts a shim: all that is only known, and only true, for this start.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct StartPlan {
    /// Interfaces, in order; empty with `network_mode: none|host|container:…`.
    #[n(0)]
    pub attachments: Vec<rcompose_network::Attachment>,
    /// Identity of the boot (`/proc/sys/kernel/random/boot_id`) this plan is valid for.
    #[n(1)]
    pub boot_id: String,
    /// Hold the container's output back, for ten seconds at most, until somebody attached, so that they miss nothing of the shortest run
    /// (`up`, `run` in the foreground). The end of that client's input is then the end of the container's (`echo x | run …`); otherwise
    /// the container's standard input never ends.
    #[n(2)]
    pub wait_for_attach: bool,
    /// The data directory of the container (absolute), where `spec.cbor`, `exit.json` and `desired` live.
    #[n(3)]
    pub container_directory: String,
}

#[cfg(test)]
mod tests;
