//! In: bytes as they are written. Out: their digest, worked out on a thread of its own while the next ones are read.
//! **Invariant:** a few blocks of memory, however much is written; where no thread can be started the writer hashes.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

const BLOCK: usize = 256 << 10;
/// Blocks on their way to the thread at most.
const AHEAD: usize = 4;

/// Hashes what is written to it. Less than a block needs no thread.
pub(super) struct BlockHasher {
    block: Vec<u8>,
    state: State,
}

enum State {
    Alone(Sha256),
    Helped {
        full: SyncSender<Vec<u8>>,
        empty: Receiver<Vec<u8>>,
        thread: JoinHandle<Sha256>,
    },
}

impl BlockHasher {
    pub(super) fn new() -> Self {
        Self {
            block: Vec::with_capacity(4096),
            state: State::Alone(Sha256::new()),
        }
    }

    pub(super) fn finish(self) -> Digest {
        match self.state {
            State::Alone(mut hash) => {
                hash.update(&self.block);
                hash.into()
            }
            State::Helped { full, empty, thread } => {
                // It takes blocks until there is nobody to send any.
                let _taken = full.send(self.block);
                drop((full, empty));
                match thread.join() {
                    Ok(hash) => hash.into(),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        }
    }

    fn hand_over(&mut self) {
        if let State::Alone(hash) = &mut self.state {
            let (full, blocks) = sync_channel::<Vec<u8>>(AHEAD);
            let (used, empty) = sync_channel(AHEAD + 2);
            let mut begun = hash.clone();
            let work = move || {
                for mut block in blocks {
                    begun.update(&block);
                    block.clear();
                    // Nobody needs it any more: the last block was sent.
                    let _unneeded = used.try_send(block);
                }
                begun
            };
            match Builder::new().spawn(work) {
                Ok(thread) => self.state = State::Helped { full, empty, thread },
                Err(_) => {
                    hash.update(&self.block);
                    self.block.clear();
                    return;
                }
            }
        }
        if let State::Helped { full, empty, .. } = &self.state {
            let next = empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(2 * BLOCK));
            // The thread takes every block as long as we are here.
            let _taken = full.send(std::mem::replace(&mut self.block, next));
        }
    }
}

impl Write for BlockHasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK {
            self.hand_over();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_give_the_digest_of_the_whole() {
        for length in [0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 7, 40 * BLOCK] {
            let bytes: Vec<u8> = (0_u8..251).cycle().take(length).collect();
            let mut hasher = BlockHasher::new();
            for part in bytes.chunks(100_003) {
                hasher.write_all(part).expect("hashes");
            }
            assert_eq!(hasher.finish(), Digest::of(&bytes), "{length}");
        }
    }
}
