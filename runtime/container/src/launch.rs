//! In: a process set up to its last steps: its namespaces, root and control group entered. Out: the program, confined, or an error.
//! **Invariant:** after confinement nothing happens but execve; inheritable and ambient capabilities are empty.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Gid, Mode, OFlags, Uid, fchown, fstat, open};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, fchdir, getcwd, ioctl_tiocsctty, set_dumpable_behavior, setsid, umask,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use crate::beneath;
use crate::defaults::SEARCH_PATH;
use crate::identity::Identity;
use crate::message::{Stage, StartError, send_ready};
use crate::reaper;
use crate::spec::ProcessSpec;
use crate::tty::Terminal;

/// What becomes the process's standard streams.
pub(crate) enum Streams<'a> {
    /// Three descriptors: input, output, errors.
    Pipes([BorrowedFd<'a>; 3]),
    /// A terminal whose master side the parent has got.
    Terminal(Terminal),
}

/// How a container's own or an additional process starts.
pub(crate) struct Launch<'a> {
    pub(crate) process: &'a ProcessSpec,
    pub(crate) identity: Identity,
    pub(crate) streams: Streams<'a>,
    /// Closed by execve, which is how the parent knows.
    pub(crate) channel: BorrowedFd<'a>,
    /// Stay as a reaper and run the program as a child.
    pub(crate) init: bool,
}

/// Writes `oom_score_adj` through the host's procfs, before the mount namespace changes. Protection of our own is not handed on.
pub(crate) fn adjust_oom_score(wanted: Option<i32>) {
    const FILE: &str = "/proc/self/oom_score_adj";
    let current = std::fs::read_to_string(FILE)
        .ok()
        .and_then(|text| text.trim().parse::<i32>().ok())
        .unwrap_or(0);
    if let Some(value) = wanted.or((current < 0).then_some(0)) {
        // Lowering needs CAP_SYS_RESOURCE; a container that is killed a little earlier than wished is no reason not to start it.
        drop(std::fs::write(FILE, value.to_string()));
    }
}

/// Makes the process's working directory the current one and verifies that it lies inside the root (CVE-2024-21626).
pub(crate) fn change_directory(root: BorrowedFd<'_>, path: &str) -> Result<(), StartError> {
    let step = "change into the working directory";
    let path = if path.is_empty() { "/" } else { path };
    let directory = beneath::open(root, path, OFlags::PATH | OFlags::DIRECTORY).stage_of(step, path)?;
    fchdir(&directory).stage_of(step, path)?;
    let current = getcwd(Vec::new()).stage_of(step, path)?;
    if current.to_bytes().first() == Some(&b'/') {
        Ok(())
    } else {
        Err(StartError::refused(
            format!("{step} {path}"),
            "it lies outside of the container",
        ))
    }
}

impl Launch<'_> {
    /// The rest of the way to execve.
    pub(crate) fn run(self) -> Result<Infallible, StartError> {
        let process = self.process;
        // An exec into a fresh session: the caller's terminal is out of reach (CVE-2017-5226).
        setsid().stage("start a session")?;
        let terminal = self.connect_streams()?;
        for (resource, soft, hard) in &process.rlimits {
            set_limit(*resource, *soft, *hard)?;
        }
        match rcompose_sys::keyring::join_new_session() {
            Err(error) if error.raw_os_error() == Some(Errno::NOSYS.raw_os_error()) => {}
            other => other.stage("make a session keyring")?,
        }
        umask(Mode::from_raw_mode(0o022));
        let program = Program::new(process, &self.identity)?;
        if self.init {
            reaper::split(self.channel, terminal, || confine(process, &self.identity))?;
        }
        rcompose_sys::descriptor::close_on_exec_from(3).stage("close descriptors")?;
        rcompose_sys::signal::reset_to_defaults().stage("reset signals")?;
        send_ready(self.channel);
        confine(process, &self.identity)?;
        Err(program.execute())
    }

    /// Connects 0, 1 and 2, and tells whether they are a terminal.
    fn connect_streams(&self) -> Result<bool, StartError> {
        let step = "connect the standard streams";
        let descriptors = match &self.streams {
            Streams::Pipes(descriptors) => *descriptors,
            Streams::Terminal(terminal) => [terminal.slave.as_fd(); 3],
        };
        for descriptor in descriptors {
            // Programs reopen /dev/stdout, which is a check of the owner; files that somebody passed in stay whose they are.
            let ours = matches!(self.streams, Streams::Terminal(_))
                || FileType::from_raw_mode(fstat(descriptor).stage(step)?.st_mode) == FileType::Fifo;
            if ours {
                fchown(descriptor, Some(Uid::from_raw(self.identity.uid)), None).stage(step)?;
            }
        }
        // Copies above 2 first: one of the three may itself be 0, 1 or 2.
        let copies: Vec<OwnedFd> = descriptors
            .iter()
            .map(|descriptor| rustix::io::fcntl_dupfd_cloexec(descriptor, 3))
            .collect::<Result<_, _>>()
            .stage(step)?;
        dup2_stdin(&copies[0]).stage(step)?;
        dup2_stdout(&copies[1]).stage(step)?;
        dup2_stderr(&copies[2]).stage(step)?;
        let terminal = matches!(self.streams, Streams::Terminal(_));
        if terminal {
            ioctl_tiocsctty(rustix::stdio::stdin()).stage("take the controlling terminal")?;
        }
        Ok(terminal)
    }
}

/// Sets a limit; without `CAP_SYS_RESOURCE` as near to it as the current hard limit allows, which [`crate::rlimit::unsupported`] has told.
fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<(), StartError> {
    let step = "set the resource limit";
    match rcompose_sys::limit::set_resource_limit(resource, soft, hard) {
        Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
            let (_, highest) =
                rcompose_sys::limit::resource_limit(resource).stage_of(step, &resource.to_string())?;
            rcompose_sys::limit::set_resource_limit(resource, soft.min(highest), hard.min(highest))
                .stage_of(step, &resource.to_string())
        }
        other => other.stage_of(step, &resource.to_string()),
    }
}

/// The bit of a capability number.
fn capability(number: u8) -> CapabilitySet {
    CapabilitySet::from_bits_retain(1u64.checked_shl(u32::from(number)).unwrap_or(0))
}

/// Gives up everything the process shall not have, for good: groups and user, capabilities, new privileges, system calls.
fn confine(process: &ProcessSpec, identity: &Identity) -> Result<(), StartError> {
    let wanted = process
        .capabilities
        .iter()
        .fold(CapabilitySet::empty(), |set, number| set | capability(*number));
    for number in 0..64 {
        // EINVAL ends the kernel's list.
        let Ok(bounded) = capability_is_in_bounding_set(capability(number)) else {
            break;
        };
        if bounded && !wanted.contains(capability(number)) {
            remove_capability_from_bounding_set(capability(number))
                .stage("drop capabilities from the bounding set")?;
        }
    }
    set_keep_capabilities(true).stage("keep capabilities over the change of user")?;
    let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    set_thread_groups(&groups).stage("set supplementary groups")?;
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    set_thread_res_gid(gid, gid, gid).stage("set the group")?;
    set_thread_res_uid(uid, uid, uid).stage("set the user")?;
    let own = capabilities(None).stage("read capabilities")?.permitted;
    clear_ambient_capability_set().stage("clear ambient capabilities")?;
    // The filter goes in last but one: installing it takes CAP_SYS_ADMIN or no_new_privs.
    let set = |set: CapabilitySet| {
        let sets = CapabilitySets {
            effective: set,
            permitted: set,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, sets).stage("set capabilities")
    };
    let last = if identity.uid == 0 {
        own & wanted
    } else {
        CapabilitySet::empty()
    };
    set(last | (own & CapabilitySet::SYS_ADMIN))?;
    if process.no_new_privileges {
        set_no_new_privs(true).stage("forbid new privileges")?;
    }
    if let Some(filter) = &process.seccomp {
        rcompose_sys::seccomp::install(filter).stage("install the system-call filter")?;
    }
    set(last)?;
    // Changes of user and capabilities reset this to the host's `fs.suid_dumpable`.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).stage("protect the own memory")
}

/// A program with all that execve(2) needs, made before confinement.
struct Program {
    name: String,
    /// Paths to try in order.
    candidates: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    fn new(process: &ProcessSpec, identity: &Identity) -> Result<Self, StartError> {
        let Some(name) = process.arguments.first().filter(|name| !name.is_empty()) else {
            return Err(StartError::execute(
                "",
                Errno::NOENT.raw_os_error(),
                "no program is given",
            ));
        };
        let mut environment = process.environment.clone();
        let value_of = |key: &str| {
            process
                .environment
                .iter()
                .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
                .map(str::to_owned)
        };
        if value_of("HOME").is_none() {
            environment.push(format!("HOME={}", identity.home));
        }
        let candidates = if name.contains('/') {
            vec![name.clone()]
        } else {
            let path = value_of("PATH").unwrap_or_else(|| SEARCH_PATH.to_owned());
            // An empty element is the current directory, as for every shell.
            path.split(':')
                .map(|directory| {
                    if directory.is_empty() {
                        format!("./{name}")
                    } else {
                        format!("{directory}/{name}")
                    }
                })
                .collect()
        };
        let terminated = |strings: &[String]| -> Result<Vec<CString>, StartError> {
            let convert = |text: &String| CString::new(text.as_str());
            strings
                .iter()
                .map(convert)
                .collect::<Result<_, _>>()
                .map_err(|_| {
                    StartError::execute(
                        name,
                        Errno::INVAL.raw_os_error(),
                        "an argument or variable contains a zero byte",
                    )
                })
        };
        Ok(Self {
            candidates: terminated(&candidates)?,
            arguments: terminated(&process.arguments)?,
            environment: terminated(&environment)?,
            name: name.clone(),
        })
    }

    /// Tries the candidates; returns only with the error that tells most.
    fn execute(&self) -> StartError {
        let mut kept = Errno::NOENT;
        for candidate in &self.candidates {
            let error = rcompose_sys::process::execute(candidate, &self.arguments, &self.environment);
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            if matches!(errno, Errno::NOENT | Errno::NOTDIR) {
                if exists(candidate) {
                    return self.error(
                        errno,
                        "the program is there, but not the interpreter or loader it asks for",
                    );
                }
                continue;
            }
            kept = errno;
            if errno != Errno::ACCESS {
                break;
            }
        }
        let detail = match kept {
            Errno::NOENT if self.candidates.len() > 1 => "no directory of PATH has it",
            Errno::NOEXEC => "it is neither a program for this machine nor a script that starts with #!",
            _ => "",
        };
        self.error(kept, detail)
    }

    fn error(&self, errno: Errno, detail: &str) -> StartError {
        StartError::execute(&self.name, errno.raw_os_error(), detail)
    }
}

fn exists(path: &CStr) -> bool {
    open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).is_ok()
}
