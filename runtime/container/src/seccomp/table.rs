//! Out: the system calls of the default filter by what they are about, and who may use them: the rules that container engines agree on.
//! **Invariant:** names of several architectures; one that an architecture does not have is skipped there.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// Signals.
#[rustfmt::skip]
const SIGNALS: &[&str] = &[
    "alarm", "kill", "pause", "pidfd_send_signal", "restart_syscall", "rt_sigaction", "rt_sigpending",
    "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sigaltstack", "signalfd", "signalfd4", "sigprocmask",
    "sigreturn", "tgkill", "tkill",
];

/// Sockets, once made.
#[rustfmt::skip]
const SOCKETS: &[&str] = &[
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recv",
    "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg", "sendmsg", "sendto",
    "setsockopt", "shutdown", "socketcall", "socketpair",
];

/// Clocks and timers.
#[rustfmt::skip]
const TIME: &[&str] = &[
    "adjtimex", "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime",
    "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "getitimer", "gettimeofday",
    "nanosleep", "setitimer", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
    "timer_gettime64", "timer_settime", "timer_settime64", "timerfd_create", "timerfd_gettime",
    "timerfd_gettime64", "timerfd_settime", "timerfd_settime64", "times",
];

/// Memory.
#[rustfmt::skip]
const MEMORY: &[&str] = &[
    "brk", "cachestat", "madvise", "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret",
    "mincore", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "mprotect", "mremap", "mseal", "msync",
    "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free", "pkey_mprotect", "process_mrelease",
    "process_vm_readv", "process_vm_writev", "remap_file_pages",
];

/// Users, groups, capabilities.
#[rustfmt::skip]
const IDENTITY: &[&str] = &[
    "capget", "capset", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups",
    "getgroups32", "getresgid", "getresgid32", "getresuid", "getresuid32", "getuid", "getuid32", "setfsgid",
    "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setregid",
    "setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32",
    "setuid", "setuid32",
];

/// Scheduling and limits.
#[rustfmt::skip]
const SCHEDULING: &[&str] = &[
    "getcpu", "getpriority", "getrlimit", "getrusage", "ioprio_get", "ioprio_set", "prlimit64",
    "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
    "sched_getparam", "sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
    "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield",
    "setpriority", "setrlimit", "ugetrlimit",
];

/// Processes and threads.
#[rustfmt::skip]
const PROCESSES: &[&str] = &[
    "execve", "execveat", "exit", "exit_group", "fork", "futex", "futex_requeue", "futex_time64",
    "futex_wait", "futex_waitv", "futex_wake", "get_robust_list", "get_thread_area", "getpgid", "getpgrp",
    "getpid", "getppid", "getsid", "gettid", "landlock_add_rule", "landlock_create_ruleset",
    "landlock_restrict_self", "pidfd_open", "prctl", "ptrace", "rseq", "seccomp", "set_robust_list",
    "set_thread_area", "set_tid_address", "setpgid", "setsid", "uretprobe", "vfork", "wait4", "waitid",
    "waitpid",
];

/// System V IPC and POSIX queues.
#[rustfmt::skip]
const QUEUES: &[&str] = &[
    "ipc", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64",
    "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd", "semctl",
    "semget", "semop", "semtimedop", "semtimedop_time64", "shmat", "shmctl", "shmdt", "shmget",
];

/// Waiting for events and asynchronous I/O.
#[rustfmt::skip]
const EVENTS: &[&str] = &[
    "_newselect", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait",
    "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "fanotify_mark",
    "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy",
    "io_getevents", "io_pgetevents", "io_pgetevents_time64", "io_setup", "io_submit", "poll", "ppoll",
    "ppoll_time64", "pselect6", "pselect6_time64", "select",
];

/// Extended attributes.
#[rustfmt::skip]
const ATTRIBUTES: &[&str] = &[
    "fgetxattr", "flistxattr", "fremovexattr", "fsetxattr", "getxattr", "getxattrat", "lgetxattr",
    "listxattr", "listxattrat", "llistxattr", "lremovexattr", "lsetxattr", "removexattr", "removexattrat",
    "setxattr", "setxattrat",
];

/// Files by name.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "access", "chdir", "chmod", "chown", "chown32", "creat", "faccessat", "faccessat2", "fchdir", "fchmod",
    "fchmodat", "fchmodat2", "fchownat", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64",
    "futimesat", "getcwd", "lchown", "lchown32", "link", "linkat", "listmount", "lstat", "lstat64", "mkdir",
    "mkdirat", "mknod", "mknodat", "name_to_handle_at", "newfstatat", "open", "openat", "openat2",
    "readlink", "readlinkat", "rename", "renameat", "renameat2", "rmdir", "stat", "stat64", "statfs",
    "statfs64", "statmount", "statx", "symlink", "symlinkat", "truncate", "truncate64", "umask", "unlink",
    "unlinkat", "utime", "utimensat", "utimensat_time64", "utimes",
];

/// Files by descriptor.
#[rustfmt::skip]
const DESCRIPTORS: &[&str] = &[
    "_llseek", "close", "close_range", "copy_file_range", "dup", "dup2", "dup3", "fadvise64",
    "fadvise64_64", "fallocate", "fchown", "fchown32", "fcntl", "fcntl64", "fdatasync", "flock", "fsync",
    "ftruncate", "ftruncate64", "getdents", "getdents64", "getrandom", "ioctl", "lseek", "pipe", "pipe2",
    "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readv",
    "riscv_hwprobe", "sendfile", "sendfile64", "splice", "sync", "sync_file_range", "syncfs", "sysinfo",
    "tee", "uname", "vmsplice", "write", "writev",
];

/// Everything that every container may do.
pub(super) const ALWAYS: [&[&str]; 12] = [
    SIGNALS,
    SOCKETS,
    TIME,
    MEMORY,
    IDENTITY,
    SCHEDULING,
    PROCESSES,
    QUEUES,
    EVENTS,
    ATTRIBUTES,
    NAMES,
    DESCRIPTORS,
];

/// What one machine has besides.
#[cfg(target_arch = "x86_64")]
pub(super) const ALWAYS_ON_X86: &[&str] = &["arch_prctl", "modify_ldt"];
/// What one machine has besides.
#[cfg(target_arch = "aarch64")]
#[rustfmt::skip]
pub(super) const ALWAYS_ON_ARM: &[&str] = &[
    "arm_fadvise64_64", "arm_sync_file_range", "breakpoint", "cacheflush", "set_tls", "sync_file_range2",
];

/// Capabilities by number (linux/capability.h) and what each opens up.
#[rustfmt::skip]
pub(super) const WITH_CAPABILITY: &[(u8, &[&str])] = &[
    (2, &["open_by_handle_at"]), // DAC_READ_SEARCH
    (16, &["delete_module", "finit_module", "init_module"]), // SYS_MODULE
    (17, &["ioperm", "iopl"]), // SYS_RAWIO
    (18, &["chroot"]), // SYS_CHROOT
    (19, &["kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"]), // SYS_PTRACE
    (20, &["acct"]), // SYS_PACCT
    (super::SYS_ADMIN, &[
        "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie",
        "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "mount", "mount_setattr", "move_mount", "open_tree",
        "perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "sethostname", "setns", "syslog", "umount", "umount2",
        "unshare",
    ]),
    (22, &["reboot"]), // SYS_BOOT
    (23, &["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"]), // SYS_NICE
    (25, &["clock_settime", "clock_settime64", "settimeofday", "stime"]), // SYS_TIME
    (26, &["vhangup"]), // SYS_TTY_CONFIG
    (34, &["syslog"]), // SYSLOG
    (38, &["perf_event_open"]), // PERFMON
    (39, &["bpf"]), // BPF
];
