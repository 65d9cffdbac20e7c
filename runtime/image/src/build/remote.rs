//! In: addresses of files, archives and repositories elsewhere. Out: directories of this host with their content, kept for the next build.
//! Copies are directories in `build-cache/sources/…` of the store; they never change.
//! **Invariant:** what an address serves is named by its digest or commit; nothing of it is a path or a program here.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::OFlags;

use super::kept::{CacheRecord, RecordKind};
use super::kept_directory;
use super::material::Material;
use super::overlay::Tree;
use crate::configuration::Configuration;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::store::{ImageStore, file_names};

mod archive;
mod context;
mod http;
mod layout;
mod repository;

pub use context::{ContextPlace, FetchedContext};
pub(crate) use http::file_name;
pub use layout::{LayoutImage, LayoutPlace};

/// Where copies are in the store, and their kinds.
const DIRECTORY: &str = "build-cache/sources";
const GIT: &str = "git";
const HTTP: &str = "http";
const UNPACKED: &str = "unpacked";

/// What elsewhere is reached with.
#[derive(Debug, Clone, Default)]
pub struct RemoteAccess {
    /// Private certificates by host; logins of registries are not used.
    pub configuration: Configuration,
    /// The environment that `git` runs in: where it finds its logins.
    pub environment: Vec<(String, String)>,
}

/// Fetches what builds take from elsewhere.
pub struct Sources<'a> {
    store: &'a ImageStore,
    access: &'a RemoteAccess,
    cancel: &'a AtomicBool,
}

/// A file or directory that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// Where it lies.
    pub(crate) directory: PathBuf,
    /// A file's name in it; none means all of it.
    pub(crate) file: Option<String>,
    /// What it is.
    pub(crate) material: Material,
}

impl<'a> Sources<'a> {
    /// Fetches into the store; hold a [`super::RunningBuild`].
    pub fn new(store: &'a ImageStore, access: &'a RemoteAccess, cancel: &'a AtomicBool) -> Self {
        Self {
            store,
            access,
            cancel,
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    fn place(&self, kind: &str) -> PathBuf {
        self.store.root().join(DIRECTORY).join(kind)
    }

    /// Whether a copy is there; then it stays while the build goes on.
    fn has(&self, copy: &Path, description: &str) -> Result<bool, String> {
        kept_directory::take(self.store, copy, description).map_err(|error| said(&error))
    }

    /// The directory called `name` below `kind`, filled by `fill` unless it is there.
    fn filled(
        &self,
        kind: &str,
        name: &str,
        description: &str,
        fill: impl Fn(&Path) -> Result<(), String>,
    ) -> Result<PathBuf, String> {
        let copy = self.place(kind).join(name);
        while !self.has(&copy, description)? {
            let filled = self.store.prepare_layer().map_err(|error| said(&error))?;
            fill(filled.path())?;
            // The same name has the same content, whoever was faster.
            kept_directory::put(self.store, &filled, &copy, description).map_err(|error| said(&error))?;
        }
        Ok(copy)
    }
}

/// An error of the store with its causes.
fn said(error: &ImageError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// All that was fetched and is kept.
pub(super) fn kept(store: &ImageStore) -> Result<Vec<CacheRecord>, ImageError> {
    let root = store.root().join(DIRECTORY);
    let mut records = kept_directory::kept(store, &root.join(UNPACKED), RecordKind::Web)?;
    for (kind, record_kind) in [(GIT, RecordKind::Repository), (HTTP, RecordKind::Web)] {
        let above = root.join(kind);
        for address in file_names(&above)? {
            let above = above.join(address);
            let mut copies = kept_directory::kept(store, &above, record_kind)?;
            // What is known of a web address goes with the last of what it served.
            if let [copy] = copies.as_mut_slice() {
                copy.files.push(above.join(http::RECORD));
            }
            records.extend(copies);
        }
    }
    Ok(records)
}

fn named_by(text: &str) -> String {
    Digest::of(text.as_bytes()).hex()
}

/// The text of a file inside a directory that was fetched, whatever links are on the way.
pub fn read_inside(root: &Path, path: &str) -> std::io::Result<String> {
    let tree = Tree::directory(root)?;
    let file = tree.open(
        path.trim_start_matches('/').as_ref(),
        OFlags::RDONLY | OFlags::NONBLOCK,
    )?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut fs::File::from(file), &mut text)?;
    Ok(text)
}

/// The real path of a directory inside another, whatever links are on the way.
pub(crate) fn inside(root: &Path, subdirectory: &Path) -> Result<PathBuf, String> {
    let shown = subdirectory.display();
    let tree = Tree::directory(root).map_err(|error| format!("cannot open {}: {error}", root.display()))?;
    let opened = tree
        .open(subdirectory, OFlags::PATH | OFlags::DIRECTORY)
        .map_err(|error| format!("it has no directory `{shown}`: {error}"))?;
    fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd()))
        .map_err(|error| format!("cannot find `{shown}` in it: {error}"))
}
