//! The layers of one image: a few threads, each fetching and unpacking one at a time.
//! **Invariant:** a layer is committed only when both digests fit, of what was received and of what was unpacked; at most
//! one process on this host is at the same layer.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Problem, Pull, PullPhase};
use crate::digest::Digest;
use crate::download::{Blob, Feed, FeedEnd, FeedReader, download};
use crate::error::ImageError;
use crate::image_config::ImageDocument;
use crate::lock::FileLock;
use crate::manifest::{Descriptor, Manifest};
use crate::registry::RegistryError;
use crate::store::{LayerBlob, LayerRecord};
use crate::unpack::unpack_layer;

/// Layers in the works at the same time: enough to fill a line and two processors.
const PARALLEL_LAYERS: usize = 4;

/// A layer that is not in the store.
struct Job<'a> {
    diff_id: Digest,
    descriptor: &'a Descriptor,
}

impl Pull<'_> {
    /// Brings in every layer that is missing, several at a time; the first failure stops the others.
    pub(super) fn layers(&self, manifest: &Manifest, document: &ImageDocument) -> Result<(), Problem> {
        let mut jobs: Vec<Job<'_>> = Vec::new();
        for (diff_id, descriptor) in document.rootfs.diff_ids.iter().zip(&manifest.layers) {
            if self.store.layer_record(diff_id)?.is_some() {
                self.tell(descriptor, PullPhase::Exists);
            } else if !jobs.iter().any(|job| job.diff_id == *diff_id) {
                self.tell(descriptor, PullPhase::Waiting);
                jobs.push(Job {
                    diff_id: *diff_id,
                    descriptor,
                });
            }
        }
        let next = AtomicUsize::new(0);
        let failure: Mutex<Option<Problem>> = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..jobs.len().min(PARALLEL_LAYERS) {
                scope.spawn(|| {
                    while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let Err(problem) = self.layer(job) else { continue };
                        let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        if first
                            .as_ref()
                            .is_none_or(|first| first.is_cancelled() && !problem.is_cancelled())
                        {
                            *first = Some(problem);
                        }
                        self.stop.store(true, Ordering::Relaxed);
                        self.registry.shut_down();
                        return;
                    }
                });
            }
        });
        failure
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .map_or(Ok(()), Err)
    }

    /// One process at a time is at a layer; whoever waited finds it done.
    fn layer(&self, job: &Job<'_>) -> Result<(), Problem> {
        let lock = self
            .store
            .ingest_path(&format!("{}.lock", job.descriptor.digest.hex()));
        let _lock = FileLock::acquire(&lock, &|| self.stop.load(Ordering::Relaxed))?;
        if self.store.layer_record(&job.diff_id)?.is_some() {
            self.tell(job.descriptor, PullPhase::Exists);
            return Ok(());
        }
        let leftovers = [self.store.blob_path(&job.descriptor.digest), self.part(job)];
        let has_leftovers = leftovers
            .iter()
            .any(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0));
        let problem = match self.fetch_and_unpack(job) {
            Err(problem) if is_bad_content(&problem) => problem,
            other => return other,
        };
        // What was there before may be what is wrong, or the mirror: once more, from nothing.
        if !has_leftovers && !self.has_other_source(&problem) {
            return Err(problem);
        }
        for path in leftovers.iter().filter(|path| path.exists()) {
            fs::remove_file(path).map_err(ImageError::path("remove", path))?;
        }
        self.fetch_and_unpack(job).map_err(|again| {
            // That a further mirror is down says less than that this one lies.
            if has_leftovers || again.is_cancelled() {
                again
            } else {
                problem
            }
        })
    }

    /// Whether wrong content came from a mirror that can be passed over.
    fn has_other_source(&self, problem: &Problem) -> bool {
        match problem {
            Problem::Registry(failure) => self.registry.distrust(&failure.url),
            Problem::Store(_) => false,
        }
    }

    fn part(&self, job: &Job<'_>) -> PathBuf {
        self.store
            .ingest_path(&format!("{}.part", job.descriptor.digest.hex()))
    }

    fn fetch_and_unpack(&self, job: &Job<'_>) -> Result<(), Problem> {
        let blob = Blob {
            digest: job.descriptor.digest,
            size: job.descriptor.size,
        };
        let (blob_path, part_path) = (self.store.blob_path(&blob.digest), self.part(job));
        let is_downloaded = blob_path.exists();
        let file = if is_downloaded {
            File::open(&blob_path)
        } else {
            open_part(&part_path)
        };
        let file = file.map_err(ImageError::path(
            "open",
            if is_downloaded { &blob_path } else { &part_path },
        ))?;
        let prepared = self.store.prepare_layer()?;
        let feed = Feed::default();
        let total = blob.size;
        let received = |done| self.tell(job.descriptor, PullPhase::Downloading { done, total });
        let (downloaded, unpacked) = thread::scope(|scope| {
            let unpacking = scope.spawn(|| {
                let extracted = |done| self.tell(job.descriptor, PullPhase::Extracting { done, total });
                unpack_layer(FeedReader::new(&file, &feed, &extracted), prepared.path())
            });
            let downloaded = if is_downloaded {
                feed.complete(total);
                Ok(())
            } else {
                let downloaded = download(self.registry, &blob, &file, &feed, &received);
                feed.end(if downloaded.is_ok() {
                    FeedEnd::Complete
                } else {
                    FeedEnd::Failed
                });
                downloaded
            };
            (
                downloaded,
                unpacking.join().unwrap_or_else(|panic| resume_unwind(panic)),
            )
        });
        if let Err(failure) = downloaded {
            if matches!(failure.error, RegistryError::WrongDigest { .. }) {
                fs::remove_file(&part_path).map_err(ImageError::path("remove", &part_path))?;
            }
            return Err(failure.into());
        }
        if !is_downloaded {
            self.store.adopt_blob(&part_path, &blob.digest)?;
        }
        let (diff_id, size) = unpacked?;
        if diff_id != job.diff_id {
            let what = format!("unpacked layer {}", blob.digest);
            return Err(ImageError::WrongDigest {
                what,
                expected: job.diff_id,
                actual: diff_id,
            }
            .into());
        }
        let blob = Some(LayerBlob {
            digest: blob.digest,
            size: blob.size,
        });
        self.store.commit_layer(
            prepared.path(),
            LayerRecord {
                diff_id,
                size,
                blob,
                packed: None,
                unsynced_since_boot: None,
            },
        )?;
        self.tell(job.descriptor, PullPhase::Done);
        Ok(())
    }
}

/// Errors that wrong bytes on our side can cause.
fn is_bad_content(problem: &Problem) -> bool {
    match problem {
        Problem::Registry(failure) => matches!(failure.error, RegistryError::WrongDigest { .. }),
        Problem::Store(error) => {
            matches!(
                error,
                ImageError::WrongDigest { .. }
                    | ImageError::Read { .. }
                    | ImageError::BadArchive { .. }
                    | ImageError::BadEntry { .. }
            )
        }
    }
}

fn open_part(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}
