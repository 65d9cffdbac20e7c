//! Paths come in; bytes, and whether something is there, go out. I/O, for [`super::load`] alone.
//! **Invariant:** every file that was read or looked for is remembered, so that it can be watched.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexSet;

use super::input;
use super::remote::{Fetched, Remote, Remotes};
use super::resolve::Files;

/// The file system and standard input, remembering what was asked of them.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// What was asked for, in order.
    pub(super) seen: IndexSet<PathBuf>,
    /// What brings remote files here.
    pub(super) remotes: Option<Arc<dyn Remotes>>,
}

impl Disk {
    fn note(&mut self, path: &Path) {
        if path != Path::new("-") && !self.seen.contains(path) {
            self.seen.insert(path.to_owned());
        }
    }
}

impl Files for Disk {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.note(path);
        if path == Path::new("-") {
            input::bounded(io::stdin().lock())
        } else {
            input::read(path)
        }
    }

    fn is_file(&mut self, path: &Path) -> bool {
        self.note(path);
        path.is_file()
    }

    fn is_directory(&mut self, path: &Path) -> bool {
        path.is_dir()
    }

    fn fetch(&mut self, remote: &Remote) -> Result<Fetched, String> {
        match &self.remotes {
            Some(remotes) => remotes.fetch(remote),
            None => Err("remote files are not fetched here".to_owned()),
        }
    }
}
