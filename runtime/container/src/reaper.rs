//! In: the first process of a container, about to run its program. Out: the program in a child, and this process as the init that reaps orphans
//! and passes signals on (`init: true`).
//! **Invariant:** the init ends exactly when the program does, with its status, and confines itself like the program.

use std::os::fd::BorrowedFd;

use rcompose_sys::pidfd::Ended;
use rcompose_sys::process::{Cloned, clone3, exit_now};
use rcompose_sys::signal;
use rustix::process::{Pid, WaitOptions, getpid, kill_process, setpgid, wait};
use rustix::termios::tcsetpgrp;

use crate::message::{Stage, StartError, send_error};

/// Signals that are about the init itself.
const SIGCHLD: i32 = 17;
const SIGTTIN: i32 = 21;
const SIGTTOU: i32 = 22;

/// Returns in the program's process only.
pub(crate) fn split(
    channel: BorrowedFd<'_>,
    terminal: bool,
    confine: impl FnOnce() -> Result<(), StartError>,
) -> Result<(), StartError> {
    // Blocked before the child is made, so that neither its end nor an early signal is missed.
    signal::block_all().stage("block signals")?;
    match clone3(0, None).stage("make the program's process")? {
        Cloned::Child => {
            // A process group of its own: what is typed at the terminal reaches the program once, not a second time through the init.
            setpgid(None, None).stage("start a process group")?;
            if terminal {
                signal::ignore(SIGTTOU);
                tcsetpgrp(rustix::stdio::stdin(), getpid()).stage("take the terminal's foreground")?;
            }
            Ok(())
        }
        Cloned::Parent { pid, pidfd } => {
            drop(pidfd);
            if let Err(error) = confine() {
                // The program's process is ended by the kernel with us.
                send_error(channel, &error);
                exit_now(1);
            }
            reap(pid)
        }
    }
}

/// Runs as init until the program ends.
fn reap(program: i32) -> ! {
    // Ours by inheritance and of no use here; the streams stay, as the program's own do.
    if rcompose_sys::descriptor::close_from(3).is_err() {
        exit_now(1);
    }
    let every: Vec<i32> = (1..=64).collect();
    let Ok(signals) = signal::descriptor(&every, false) else {
        exit_now(1)
    };
    loop {
        match signal::next(std::os::fd::AsFd::as_fd(&signals)) {
            Ok(Some(received)) if received.signal == SIGCHLD => reap_ended(program),
            // The terminal's complaints about a background init.
            Ok(Some(received)) if matches!(received.signal, SIGTTIN | SIGTTOU) => {}
            Ok(Some(received)) => pass_on(program, received.signal),
            Ok(None) | Err(_) => exit_now(1),
        }
    }
}

fn reap_ended(program: i32) {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == program {
            exit_now(Ended::from_wait_status(status.as_raw()).code());
        }
    }
}

fn pass_on(program: i32, number: i32) {
    let signal = rustix::process::Signal::from_named_raw(number);
    if let (Some(program), Some(signal)) = (Pid::from_raw(program), signal) {
        let _ = kill_process(program, signal);
    } else if let Some(program) = Pid::from_raw(program)
        && let Ok(pidfd) = rustix::process::pidfd_open(program, rustix::process::PidfdFlags::empty())
    {
        // Real-time signals have no names.
        drop(rcompose_sys::pidfd::send_signal(
            std::os::fd::AsFd::as_fd(&pidfd),
            number,
        ));
    }
}
