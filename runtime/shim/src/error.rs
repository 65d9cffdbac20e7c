//! In: what went wrong, by step. Out: one error of the room, and the [`Reply`] that carries it over a socket.
//! **Invariant:** a message names what failed; its cause is the source and is not repeated.

use std::error::Error;
use std::io;

use rcompose_container::cgroup::CgroupError;
use rcompose_container::create::StartError;

use crate::protocol::Reply;

/// Exit code of a container that could not be built.
const NOT_STARTED: i32 = 125;

/// What a shim, or somebody talking to one, can fail with.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// A system call failed.
    #[error("{step}")]
    System {
        /// What was being done, such as `bind control.sock`.
        step: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A record on disk or in a packet cannot be understood.
    #[error("{name} cannot be understood: {problem}")]
    Record {
        /// The file or message.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Another shim holds the lock.
    #[error("already running")]
    AlreadyRunning,
    /// No shim answers in the run directory.
    #[error("not running")]
    NotRunning,
    /// The other side closed the connection before it answered.
    #[error("the shim ended before it answered")]
    Closed,
    /// No answer in time.
    #[error("the shim did not answer in time")]
    TimedOut,
    /// The start plan belongs to an earlier boot of the machine.
    #[error("start.cbor was written before the machine was restarted")]
    OtherBoot,
    /// The container is frozen, and nothing can be executed in it.
    #[error("the container is paused")]
    Paused,
    /// What is kept is a plain process, which has no inside.
    #[error("this is not a container")]
    NotAContainer,
    /// A request came without the descriptors it needs.
    #[error("the standard streams did not come along")]
    NoDescriptors,
    /// A container whose namespaces are shared does not run.
    #[error("container {id}, whose namespaces are shared, is not running")]
    SiblingNotRunning {
        /// The other container's id.
        id: String,
    },
    /// Building the container, or running a process in it, failed.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its control groups failed.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// Its network failed.
    #[error(transparent)]
    Network(#[from] rcompose_network::NetworkError),
}

impl ShimError {
    /// Wraps the error of a system call; for `map_err`.
    pub fn system<E: Into<io::Error>>(step: impl Into<String>) -> impl FnOnce(E) -> ShimError {
        let step = step.into();
        move |source| ShimError::System {
            step,
            source: source.into(),
        }
    }

    /// The message for the other side.
    pub fn reply(&self) -> Reply {
        if let ShimError::Start(error) = self {
            let StartError { stage, errno, detail } = error.clone();
            return Reply::Failed { stage, errno, detail };
        }
        let mut errno = 0;
        for cause in self.causes() {
            if let Some(code) = cause
                .downcast_ref::<io::Error>()
                .and_then(io::Error::raw_os_error)
            {
                errno = code;
            }
            if let Some(code) = cause.downcast_ref::<rustix::io::Errno>() {
                errno = code.raw_os_error();
            }
        }
        let detail: Vec<String> = self.causes().map(ToString::to_string).collect();
        Reply::Failed {
            stage: self.to_string(),
            errno,
            detail: detail.join(": "),
        }
    }

    /// The message with all its causes, for a log.
    pub(crate) fn story(&self) -> String {
        self.causes()
            .fold(self.to_string(), |story, cause| format!("{story}: {cause}"))
    }

    /// What a shell would report for a program that did not start: 127, 126 or 125.
    pub(crate) fn exit_code(&self) -> i32 {
        if let ShimError::Start(error) = self {
            error.exit_code()
        } else {
            NOT_STARTED
        }
    }

    fn causes(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        std::iter::successors(self.source(), |cause: &&(dyn Error + 'static)| {
            Error::source(*cause)
        })
    }
}
