//! In: addresses of files, archives and repositories elsewhere. Out: directories of this host with their content, kept for the next build.
//! Copies are `build-cache/sources/…` in the store; they appear whole, by rename, and never change.
//! **Invariant:** what an address serves is named by its digest or commit; nothing of it is a path or a program here.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::OFlags;

use super::material::Material;
use super::overlay::Tree;
use crate::configuration::Configuration;
use crate::digest::Digest;
use crate::store::ImageStore;

mod archive;
mod context;
mod http;
mod layout;
mod repository;

pub use context::{ContextPlace, FetchedContext};
pub(crate) use http::file_name;
pub use layout::{LayoutImage, LayoutPlace};

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
    /// Fetches into the store; hold a lease of it.
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
        self.store.root().join("build-cache/sources").join(kind)
    }

    /// The directory called `name` below `kind`, filled by `fill` unless it is there.
    fn filled(
        &self,
        kind: &str,
        name: &str,
        fill: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<PathBuf, String> {
        let above = self.place(kind);
        let copy = above.join(name);
        if copy.is_dir() {
            return Ok(copy);
        }
        let failed = |what: &str, path: &Path, error: &std::io::Error| {
            format!("cannot {what} {}: {error}", path.display())
        };
        fs::create_dir_all(&above).map_err(|error| failed("create", &above, &error))?;
        let unfinished = Unfinished(above.join(unique()));
        fs::create_dir(&unfinished.0).map_err(|error| failed("create", &unfinished.0, &error))?;
        fill(&unfinished.0)?;
        match fs::rename(&unfinished.0, &copy) {
            // Somebody else was faster; the same name has the same content.
            Err(_) if copy.is_dir() => Ok(copy),
            Err(error) => Err(failed("create", &copy, &error)),
            Ok(()) => Ok(copy),
        }
    }
}

/// A directory or file in the making; removed unless it was renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Nothing is there any more when all went well.
        drop(fs::remove_dir_all(&self.0).or_else(|_| fs::remove_file(&self.0)));
    }
}

/// A name that no other thread or process uses; it begins with a dot, as no finished copy does.
fn unique() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!(".{}-{count}", std::process::id())
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
