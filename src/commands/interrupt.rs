//! In: SIGINT and SIGTERM. Out: a flag that work looks at, and how often the user asked.
//! **Invariant:** the second signal ends the program at once, unless the command has taken that over.

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::watch::files::Waker;

/// What signals asked for so far.
#[derive(Debug, Default)]
pub struct Interrupts {
    state: Arc<State>,
    watched: OnceLock<()>,
}

#[derive(Debug, Default)]
struct State {
    cancel: AtomicBool,
    count: AtomicUsize,
    taken_over: AtomicBool,
    waker: OnceLock<Waker>,
}

impl Interrupts {
    /// Every signal also wakes who waits for saved files.
    pub fn wake(&self, waker: Waker) {
        // Set before or now, it is set.
        let _before = self.state.waker.set(waker);
    }

    /// Begins to listen, once. Until then signals do what they always do.
    pub fn watch(&self) -> io::Result<()> {
        if self.watched.set(()).is_err() {
            return Ok(());
        }
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let state = Arc::clone(&self.state);
        let listen = move || {
            for signal in signals.forever() {
                let before = state.count.fetch_add(1, Ordering::Relaxed);
                state.cancel.store(true, Ordering::Relaxed);
                if let Some(waker) = state.waker.get() {
                    waker.wake();
                }
                if before > 0 && !state.taken_over.load(Ordering::Relaxed) {
                    // It does not return; if it failed, the next signal tries again.
                    let _failed = emulate_default_handler(signal);
                }
            }
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .stack_size(64 * 1024)
            .spawn(listen)
            .map(drop)
    }

    /// Set by the first signal.
    pub fn cancel(&self) -> &AtomicBool {
        &self.state.cancel
    }

    /// Signals so far.
    pub fn count(&self) -> usize {
        self.state.count.load(Ordering::Relaxed)
    }

    /// From now on the command itself answers to every signal: the flag is lowered, and none ends the program.
    pub fn take_over(&self) {
        self.state.taken_over.store(true, Ordering::Relaxed);
        self.state.cancel.store(false, Ordering::Relaxed);
        self.state.count.store(0, Ordering::Relaxed);
    }
}
