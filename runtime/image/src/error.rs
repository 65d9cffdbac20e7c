//! What goes wrong with images on this host: one enum for the store, unpacking and archives.
//! **Invariant:** a message names the path, image or entry; the cause is in `source`, never repeated in the text.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::digest::Digest;
use crate::manifest::ManifestError;
use crate::reference::ReferenceError;

/// Why something cannot be done with local images.
#[derive(Debug, Error)]
pub enum ImageError {
    /// A system call on a path of the store failed.
    #[error("cannot {action} {}", path.display())]
    Path {
        /// What was tried: a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The archive ended early, is damaged or its source failed.
    #[error("cannot read the archive")]
    Read {
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The output took no more.
    #[error("cannot write the archive")]
    Write {
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A system call for one entry of a layer failed.
    #[error("cannot {action} layer entry {entry:?}")]
    Entry {
        /// What was tried: a verb.
        action: &'static str,
        /// The path in the archive.
        entry: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// An entry of a layer that no honest archive has.
    #[error("layer entry {entry:?} {problem}")]
    BadEntry {
        /// The path in the archive.
        entry: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Bytes that are no tar archive.
    #[error("not a valid tar archive: {problem}")]
    BadArchive {
        /// What is wrong.
        problem: String,
    },
    /// The archive is larger than what is allowed.
    #[error("the archive has more than {limit} {what}")]
    TooLarge {
        /// `entries` or `bytes`.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// Content does not have the digest it is announced with.
    #[error("{what} has digest {actual}, expected {expected}")]
    WrongDigest {
        /// `layer`, `blob`, …
        what: String,
        /// What it must be.
        expected: Digest,
        /// What it is.
        actual: Digest,
    },
    /// A file of the store is damaged.
    #[error("{} is damaged", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// An archive's own description is wrong.
    #[error("the archive's {member:?} is not valid")]
    Member {
        /// The file in the archive.
        member: String,
        /// Where it is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// An archive lacks a file that it names itself.
    #[error("the archive has no {member:?}")]
    NoMember {
        /// The file it should have.
        member: String,
    },
    /// A manifest inside an archive is not usable.
    #[error("the archive's manifest is not usable")]
    Manifest {
        /// Why not.
        #[source]
        source: ManifestError,
    },
    /// A name is not an image name.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// No image has this name or id.
    #[error("no such image: {name}")]
    NoSuchImage {
        /// What was asked for.
        name: String,
    },
    /// A short id fits several images.
    #[error("image id {name} is ambiguous: it fits {count} images")]
    AmbiguousId {
        /// What was asked for.
        name: String,
        /// How many it fits.
        count: usize,
    },
    /// The image cannot be removed as asked.
    #[error("image {name} cannot be removed: {reason}")]
    InUse {
        /// What was to be removed.
        name: String,
        /// Why not, and what would.
        reason: String,
    },
    /// The image's files are those of this machine.
    #[error(
        "{name} stands on @host: it runs on this machine alone, as most of its files are this machine's; to take it elsewhere, start it `FROM` \
         an image (`rcompose image bootstrap debian:bookworm-slim` makes one)"
    )]
    StandsOnHost {
        /// The image.
        name: String,
    },
    /// An image from elsewhere wants this machine's files.
    #[error(
        "image {id} comes from elsewhere and says that it stands on @host: it is refused, as its containers would see this machine's files"
    )]
    StandsOnOtherHost {
        /// The image.
        id: Digest,
    },
    /// An image names a layer the store does not have.
    #[error("layer {diff_id} is not in the store")]
    NoLayer {
        /// The digest of its uncompressed archive.
        diff_id: Digest,
    },
    /// Something attested of an image is gone.
    #[error("what is attested of the image ({predicate_type}) is not in the store: build it again")]
    NoAttestation {
        /// What kind of thing it is.
        predicate_type: String,
    },
    /// The image is for another system.
    #[error("image is for {platform}, not for linux")]
    NotLinux {
        /// What it is for.
        platform: String,
    },
    /// The image is for another processor than the one asked for.
    #[error("image {name} is for {platform}, not for {wanted}")]
    OtherPlatform {
        /// The image.
        name: String,
        /// What it is for.
        platform: String,
        /// What was asked for.
        wanted: String,
    },
    /// The configuration and the manifest disagree.
    #[error("image has {layers} layers but its configuration names {diff_ids}")]
    LayerCount {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
    /// Somebody asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl ImageError {
    /// For `map_err`: names the verb and the path.
    pub(crate) fn path(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Path {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// The same for rustix's errors.
    pub(crate) fn errno(action: &'static str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |source| Self::Path {
            action,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}
