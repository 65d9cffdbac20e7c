//! In: a number of jobs that do not depend on each other. Out: all done, by as many threads as there are processors.
//! **Invariant:** the first failure ends the work; where no thread can be started the caller does all.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// More threads than this only wait for the disk.
const MOST_THREADS: usize = 8;
/// A thread costs as much as a few small files.
const FEW: usize = 16;
const LITTLE: u64 = 1 << 20;

/// Does the jobs `0..count`, `bytes` in all; each thread has a buffer of its own.
pub(crate) fn by_all_processors(
    count: usize,
    bytes: u64,
    job: impl Fn(usize, &mut Vec<u8>) -> io::Result<()> + Sync,
) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<io::Error>> = Mutex::new(None);
    let work = || {
        let mut buffer = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            if let Err(error) = job(number, &mut buffer) {
                next.store(count, Ordering::Relaxed);
                failure
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(error);
                return;
            }
        }
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = if count < FEW && bytes < LITTLE {
        1
    } else {
        processors.min(MOST_THREADS).min(count)
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    failure
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(Ok(()), Err)
}
