//! One blob: from the registry into a file, and at the same time out of the file to whoever unpacks it.
//! **Invariant:** a file counts as downloaded only when its length and SHA-256 are those announced; what was received
//! stays in the file, so that the next attempt goes on where this one ended.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::compression::BUFFER;
use crate::digest::Digest;
use crate::registry::{Failure, Registry, RegistryError, backoff};

/// Attempts in a row that bring not a single byte.
const BARREN_ATTEMPTS: u32 = 5;
const BETWEEN_EVENTS: Duration = Duration::from_millis(100);

/// How much of a growing file may be read.
#[derive(Default)]
pub(crate) struct Feed {
    state: Mutex<FeedState>,
    changed: Condvar,
}

#[derive(Default, Clone, Copy)]
struct FeedState {
    available: u64,
    end: Option<FeedEnd>,
}

/// How a feed ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FeedEnd {
    Complete,
    Failed,
}

impl Feed {
    fn grow(&self, available: u64) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .available = available;
        self.changed.notify_all();
    }

    /// No more bytes will come.
    pub(crate) fn end(&self, how: FeedEnd) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).end = Some(how);
        self.changed.notify_all();
    }

    /// Everything in the file may be read at once.
    pub(crate) fn complete(&self, length: u64) {
        self.grow(length);
        self.end(FeedEnd::Complete);
    }

    /// Waits until there is more than `position`, or no more to come.
    fn beyond(&self, position: u64) -> FeedState {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.available <= position && state.end.is_none() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        *state
    }
}

/// Reads a file that is still being downloaded, waiting for what has not come yet.
pub(crate) struct FeedReader<'a> {
    file: &'a File,
    feed: &'a Feed,
    position: u64,
    /// Told, now and then, how far it is once the download is over.
    progress: &'a dyn Fn(u64),
    meter: Meter,
}

impl<'a> FeedReader<'a> {
    pub(crate) fn new(file: &'a File, feed: &'a Feed, progress: &'a dyn Fn(u64)) -> Self {
        Self {
            file,
            feed,
            position: 0,
            progress,
            meter: Meter::default(),
        }
    }
}

impl Read for FeedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.feed.beyond(self.position);
        if state.end == Some(FeedEnd::Failed) {
            return Err(io::Error::other("the download ended early"));
        }
        let readable = usize::try_from(state.available.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let want = buffer.len().min(readable);
        if want == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..want], self.position)?;
        self.position += count as u64;
        if state.end.is_some() && self.meter.is_due() {
            (self.progress)(self.position);
        }
        Ok(count)
    }
}

/// Says when the next event is due, so that a fast download does not flood its listener.
#[derive(Default)]
pub(crate) struct Meter {
    last: Option<Instant>,
}

impl Meter {
    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.last.is_none_or(|last| last.elapsed() >= BETWEEN_EVENTS);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }
}

/// What is to be downloaded.
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Downloads `blob` into `file`, going on after what it holds already.
pub(crate) fn download(
    registry: &Registry<'_>,
    blob: &Blob,
    file: &File,
    feed: &Feed,
    progress: &dyn Fn(u64),
) -> Result<(), Failure> {
    let local = |source| Failure {
        url: blob.digest.to_string(),
        error: RegistryError::Broken { source },
    };
    let mut buffer = vec![0; BUFFER];
    let mut hash = Sha256::new();
    let mut done = 0;
    let mut meter = Meter::default();
    if file.metadata().map_err(local)?.len() > blob.size {
        file.set_len(0).map_err(local)?;
    }
    loop {
        let count = file.read_at(&mut buffer, done).map_err(local)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        done += count as u64;
        feed.grow(done);
    }
    let mut barren = 0;
    let mut url = String::new();
    while done < blob.size {
        let before = done;
        let stream = registry.blob(&blob.digest, blob.size, done)?;
        url.clone_from(&stream.url);
        let failure = |error| Failure {
            url: stream.url.clone(),
            error,
        };
        if stream.start > done {
            return Err(failure(RegistryError::WrongSize {
                expected: done,
                actual: stream.start,
            }));
        }
        // A server that knows no ranges sends everything again: what we have is skipped.
        let mut skip = done - stream.start;
        let mut reader = stream.reader;
        let end = loop {
            let want = buffer
                .len()
                .min(usize::try_from(blob.size - done + skip).unwrap_or(usize::MAX));
            if want == 0 {
                break None;
            }
            match reader.read(&mut buffer[..want]) {
                Ok(0) => break Some(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Ok(count) if skip >= count as u64 => skip -= count as u64,
                Ok(count) => {
                    let fresh = &buffer[usize::try_from(skip).unwrap_or(0)..count];
                    skip = 0;
                    file.write_all_at(fresh, done).map_err(local)?;
                    hash.update(fresh);
                    done += fresh.len() as u64;
                    feed.grow(done);
                    if meter.is_due() {
                        progress(done);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
        };
        if let Some(source) = end {
            barren = if done > before { 0 } else { barren + 1 };
            if barren == BARREN_ATTEMPTS {
                return Err(failure(RegistryError::Broken { source }));
            }
            registry.wait(backoff(barren)).map_err(failure)?;
        }
    }
    progress(done);
    let actual = Digest::from(hash);
    if actual == blob.digest {
        Ok(())
    } else {
        Err(Failure {
            url,
            error: RegistryError::WrongDigest {
                expected: blob.digest,
                actual,
            },
        })
    }
}
