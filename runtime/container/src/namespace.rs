//! In: which namespaces are new, the host's or another container's. Out: flags for the making of the first process, and joined namespaces.
//! **Invariant:** the caller's own namespaces are never changed, but for the one its children are made in, and that is put back.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rcompose_sys::process::{Cloned, flag};
use rustix::fs::{Mode, OFlags, fstatfs, open};
use rustix::thread::{ThreadNameSpaceType, move_into_link_name_space, move_into_thread_name_spaces};

use crate::beneath;
use crate::message::{Stage, StartError};
use crate::mount::copy;
use crate::spec::{NamespaceChoice, NamespaceSpec};

/// statfs(2) type of tmpfs.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Process descriptors of the containers whose namespaces are shared, by id.
pub(crate) type Joined<'a> = &'a [(String, OwnedFd)];

fn process_of<'a>(joined: Joined<'a>, id: &str) -> Result<BorrowedFd<'a>, StartError> {
    let found = joined.iter().find(|(known, _)| known == id);
    found
        .map(|(_, process)| process.as_fd())
        .ok_or_else(|| StartError::refused("share a namespace", format!("the container {id} does not run")))
}

/// Flags for clone3(2). The control-group namespace is not among them: it takes its root from where its maker is, so it is made inside.
/// Neither is the network's, which the caller is in already.
pub(crate) fn new_flags(spec: &NamespaceSpec) -> u64 {
    let mut flags = flag::NEW_MOUNT | flag::NEW_TIME;
    for (choice, flag) in [
        (&spec.pid, flag::NEW_PID),
        (&spec.ipc, flag::NEW_IPC),
        (&spec.uts, flag::NEW_UTS),
    ] {
        if *choice == NamespaceChoice::Private {
            flags |= flag;
        }
    }
    flags
}

/// Runs `make`, a clone, with the child born into the pid namespace of `process`.
pub(crate) fn in_pid_namespace_of(
    process: BorrowedFd<'_>,
    make: impl FnOnce() -> Result<Cloned, StartError>,
) -> Result<Cloned, StartError> {
    let step = "make processes in the container's pid namespace";
    let own = open(
        "/proc/self/ns/pid",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .stage(step)?;
    move_into_thread_name_spaces(process, ThreadNameSpaceType::PROCESS_ID).stage(step)?;
    let result = make();
    if !matches!(result, Ok(Cloned::Child)) {
        move_into_link_name_space(own.as_fd(), None).stage("return to the own pid namespace")?;
    }
    result
}

/// The process whose pid namespace the container shares, when it shares one.
pub(crate) fn shared_pid<'a>(
    spec: &NamespaceSpec,
    joined: Joined<'a>,
) -> Result<Option<BorrowedFd<'a>>, StartError> {
    match &spec.pid {
        NamespaceChoice::Container(id) => process_of(joined, id).map(Some),
        NamespaceChoice::Private | NamespaceChoice::Host => Ok(None),
    }
}

/// In the child: joins the shared namespaces that a process can simply move into.
pub(crate) fn join_shared(spec: &NamespaceSpec, joined: Joined<'_>) -> Result<(), StartError> {
    let choices = [
        (&spec.network, ThreadNameSpaceType::NETWORK, "network"),
        (&spec.ipc, ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION, "ipc"),
        (
            &spec.uts,
            ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME,
            "uts",
        ),
        (&spec.cgroup, ThreadNameSpaceType::CONTROL_GROUP, "cgroup"),
    ];
    for (choice, kind, name) in choices {
        if let NamespaceChoice::Container(id) = choice {
            move_into_thread_name_spaces(process_of(joined, id)?, kind)
                .stage_of("share the namespace", name)?;
        }
    }
    Ok(())
}

/// In the child: a copy of the shared `/dev/shm`, the host's or another container's; none when the container gets its own.
pub(crate) fn shared_shm(spec: &NamespaceSpec, joined: Joined<'_>) -> Result<Option<OwnedFd>, StartError> {
    let step = "share /dev/shm";
    match &spec.ipc {
        NamespaceChoice::Private => Ok(None),
        NamespaceChoice::Host => {
            let shm = open(
                "/dev/shm",
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .stage(step)?;
            copy(shm.as_fd(), false).stage(step).map(Some)
        }
        NamespaceChoice::Container(id) => {
            let own = open(
                "/proc/self/ns/mnt",
                OFlags::RDONLY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .stage(step)?;
            move_into_thread_name_spaces(process_of(joined, id)?, ThreadNameSpaceType::MOUNT).stage(step)?;
            let copied = copy_shm_of_this_root();
            move_into_link_name_space(own.as_fd(), None).stage("return to the own mount namespace")?;
            copied.map(Some)
        }
    }
}

fn copy_shm_of_this_root() -> Result<OwnedFd, StartError> {
    let step = "share /dev/shm";
    let root = open(
        "/",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .stage(step)?;
    let shm =
        beneath::open_without_links(root.as_fd(), "dev/shm", OFlags::PATH | OFlags::DIRECTORY).stage(step)?;
    if u64::try_from(fstatfs(&shm).stage(step)?.f_type) != Ok(TMPFS_MAGIC) {
        return Err(StartError::refused(
            step,
            "the other container's /dev/shm is no tmpfs",
        ));
    }
    copy(shm.as_fd(), false).stage(step)
}

/// In the child of an exec: every namespace of a running container but that of its process ids, which the child was born into.
pub(crate) fn enter_all(process: BorrowedFd<'_>) -> Result<(), StartError> {
    let kinds = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::CONTROL_GROUP;
    let step = "enter the container's namespaces";
    // Kernels without time namespaces refuse the flag; that is the only reason for EINVAL here.
    match move_into_thread_name_spaces(process, kinds | ThreadNameSpaceType::TIME) {
        Err(rustix::io::Errno::INVAL) => move_into_thread_name_spaces(process, kinds).stage(step),
        other => other.stage(step),
    }
}
