//! In: a `RUN --mount=type=cache`. Out: its directory, which later builds find again: `build-mounts/<digest of its id>`.
//! **Invariant:** a directory is made elsewhere and appears whole, with owner, mode and first content; builds that make it at once have one.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::fs::OFlags;

use super::builder::Build;
use super::copy::{clean, is_directory};
use super::destination::Destination;
use super::dockerfile::Mount;
use super::kept::{CacheRecord, RecordKind};
use super::kept_directory;
use super::overlay::Tree;
use super::run_mounts::{access, with_source};
use super::step::{StepMount, StepMountSource};
use super::written::Attributes;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::store::{ImageStore, PreparedLayer};

/// A mount, and the lock that others wait for where it is not shared.
pub(super) fn cache_mount(
    build: &Build<'_>,
    mount: &Mount,
    stage: usize,
    target: String,
) -> Result<(StepMount, Option<fs::File>), String> {
    let id = mount.id.clone().unwrap_or_else(|| target.clone());
    let failed = |error: std::io::Error| format!("cannot make the cache mount `{id}`: {error}");
    // The id is the user's text: only its digest is ever a file name.
    let directory = place(build.store).join(Digest::of(id.as_bytes()).hex());
    let description = format!("cache mount {id}");
    let store = build.store;
    while !kept_directory::take(store, &directory, &description).map_err(|error| error.to_string())? {
        let made = made(build, mount, stage, &id)?;
        kept_directory::put(store, &made, &directory, &description).map_err(|error| error.to_string())?;
    }
    let lock = match mount.sharing.as_deref() {
        None | Some("shared") => None,
        Some("locked" | "private") => {
            let lock = fs::File::create(directory.with_extension("lock")).map_err(failed)?;
            lock.lock().map_err(failed)?;
            Some(lock)
        }
        Some(other) => return Err(format!("sharing={other} is none of shared, private and locked")),
    };
    let source = match mount.source.as_deref().filter(|_| mount.from.is_none()) {
        None => StepMountSource::Bind(directory),
        Some(source) => {
            let inside = Tree::directory(&directory).map_err(failed)?;
            let part = clean(source);
            if !is_directory(&inside, &part) {
                return Err(format!("the cache mount `{id}` has no directory `{source}`"));
            }
            StepMountSource::Inside(directory, part.to_string_lossy().into_owned())
        }
    };
    let mount = StepMount {
        target,
        read_only: mount.read_only.unwrap_or(false),
        source,
    };
    Ok((mount, lock))
}

fn place(store: &ImageStore) -> PathBuf {
    store.root().join("build-mounts")
}

/// A directory as the mount wants it at first.
fn made(build: &Build<'_>, mount: &Mount, stage: usize, id: &str) -> Result<PreparedLayer, String> {
    let failed = |error: std::io::Error| format!("cannot make the cache mount `{id}`: {error}");
    let (mode, uid, gid) = access(mount, 0o755).map_err(|why| format!("cache mount `{id}`: {why}"))?;
    let prepared = build.store.prepare_layer().map_err(|error| error.to_string())?;
    let directory = prepared.path();
    std::os::unix::fs::chown(directory, Some(uid), Some(gid)).map_err(failed)?;
    fs::set_permissions(directory, PermissionsExt::from_mode(mode)).map_err(failed)?;
    if mount.from.is_some() {
        let into = Destination::new(&[], directory).map_err(failed)?;
        let source = clean(mount.source.as_deref().unwrap_or("/"));
        with_source(build, mount, stage, &mut |copying| {
            copying.copy(&into)?;
            // The directory itself is the source's, too.
            let opened = copying.from.open(&source, OFlags::DIRECTORY).map_err(failed)?;
            let status = rustix::fs::fstat(&opened).map_err(|errno| failed(errno.into()))?;
            let own = fs::File::open(directory).map_err(failed)?;
            Attributes::of(&status).apply(own.as_fd()).map_err(failed)?;
            Ok(String::new())
        })?;
    }
    Ok(prepared)
}

/// The directories of all cache mounts.
pub(super) fn kept(store: &ImageStore) -> Result<Vec<CacheRecord>, ImageError> {
    let mut records = kept_directory::kept(store, &place(store), RecordKind::CacheMount)?;
    for record in &mut records {
        let locks: Vec<PathBuf> = record
            .files
            .iter()
            .map(|file| file.with_extension("lock"))
            .collect();
        record.files.extend(locks.into_iter().take(1));
    }
    Ok(records)
}
