//! In: the sources of an ADD. Out: those that are elsewhere, fetched, each as a tree of its own.
//! Rules are those of BuildKit: what a web address serves is one file, and unpacked only with `--unpack`; of a repository, all files.
//! **Invariant:** a checksum that is given is checked, or the step fails.

use std::fs::File;

use rustix::fs::OFlags;

use super::builder::Build;
use super::copy::Copying;
use super::destination::Destination;
use super::dockerfile::Copy;
use super::ignore::PatternList;
use super::overlay::Tree;
use super::remote::{Fetched, Sources, file_name};
use super::transfer::Manner;
use super::unpack_step;
use crate::digest::Digest;
use crate::git::GitAddress;

/// A source from elsewhere.
pub(super) struct RemoteSource {
    /// As written, for messages.
    written: String,
    /// Unpack it where it is an archive.
    unpack: bool,
    tree: Tree,
    file: Option<String>,
    sources: [String; 1],
}

impl RemoteSource {
    fn of(written: &str, fetched: Fetched, unpack: bool) -> Result<Self, String> {
        let tree = Tree::directory(&fetched.directory)
            .map_err(|error| format!("cannot open what was fetched for `{written}`: {error}"))?;
        let source = match &fetched.file {
            None => ".".to_owned(),
            // A name that reads as a pattern: it is the only file there.
            Some(name) if name.contains(['*', '?', '[']) => "*".to_owned(),
            Some(name) => name.clone(),
        };
        Ok(Self {
            written: written.to_owned(),
            unpack,
            tree,
            file: fetched.file,
            sources: [source],
        })
    }

    /// How it is copied.
    pub(super) fn copying<'c>(
        &'c self,
        exclude: &'c PatternList,
        destination: &'c str,
        manner: Manner,
    ) -> Copying<'c> {
        Copying {
            from: &self.tree,
            ignore: None,
            exclude,
            sources: &self.sources,
            destination,
            parents: false,
            manner,
            earlier: None,
        }
    }

    /// Puts it into the image, unpacked if it is an archive and that was asked for.
    pub(super) fn add(
        &self,
        build: &Build<'_>,
        copying: &Copying<'_>,
        into: &Destination,
    ) -> Result<(), String> {
        if let Some(file) = self.open().filter(|_| self.unpack) {
            let (written, owner) = (&self.written, copying.manner.owner);
            if unpack_step::unpack(build.store, written, file, into, copying.destination, owner)? {
                return Ok(());
            }
        }
        copying.copy(into)
    }

    fn open(&self) -> Option<File> {
        let name = self.file.as_deref()?;
        let opened = self.tree.open(name.as_ref(), OFlags::RDONLY | OFlags::NOFOLLOW);
        opened.ok().map(File::from)
    }
}

/// Whether a source is elsewhere. `github.com/…` may be a path, and is one here.
pub(super) fn is_remote(source: &str) -> bool {
    is_web(source) || !source.starts_with("github.com/") && GitAddress::parse(source).is_some()
}

fn is_web(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// Sources of this host as they are, and the others fetched.
pub(super) fn fetch(
    build: &Build<'_>,
    copy: &Copy,
    destination: &str,
) -> Result<(Vec<String>, Vec<RemoteSource>), String> {
    let checksum = copy.checksum.as_deref();
    let (remote, local): (Vec<_>, Vec<_>) =
        copy.sources.iter().cloned().partition(|source| is_remote(source));
    if checksum.is_some() && (copy.sources.len() != 1 || remote.is_empty()) {
        return Err("--checksum is for one source from the web or of a git repository".to_owned());
    }
    let several = copy.sources.len() + copy.heredocs.len() > 1;
    if several && !remote.is_empty() && !destination.ends_with('/') && !copy.parents {
        return Err(format!(
            "with several sources the destination must be a directory: write `{destination}/`"
        ));
    }
    let from = Sources::new(build.store, &build.request.remote, build.cancel);
    let fetched = remote.iter().map(|source| {
        if let Some(address) = GitAddress::parse(source) {
            let mut address = address.map_err(|why| format!("`{source}`: {why}"))?;
            match (checksum, &address.commit) {
                (Some(flag), Some(query)) if flag != query => {
                    return Err(format!(
                        "`{source}`: its checksum is not that of --checksum={flag}"
                    ));
                }
                (Some(flag), _) if !flag.bytes().all(|byte| byte.is_ascii_hexdigit()) || flag.len() < 7 => {
                    return Err(format!("--checksum={flag} is no commit"));
                }
                (Some(flag), _) => address.commit = Some(flag.to_owned()),
                (None, _) => {}
            }
            let fetched = from.repository(&address, copy.keep_git_dir, false)?;
            build.take(fetched.material.clone());
            return RemoteSource::of(source, fetched, false);
        }
        let digest = checksum.map(str::parse::<Digest>).transpose();
        let digest = digest.map_err(|error| format!("--checksum: {error}"))?;
        let fetched = from.web(source, &file_name(source), digest.as_ref())?;
        build.take(fetched.material.clone());
        RemoteSource::of(source, fetched, copy.unpack == Some(true))
    });
    let fetched = fetched.collect::<Result<Vec<_>, _>>()?;
    Ok((local, fetched))
}
