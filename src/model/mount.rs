//! In: decoded keys. Out: [`Mount`], one entry of a service's `volumes:` or `tmpfs:`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use camino::Utf8PathBuf;

use super::name::VolumeKey;
use crate::source::span::Span;

/// One mount of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Absolute, clean path inside the container.
    pub target: String,
    /// Where the entry stands.
    pub span: Span,
    /// Read-only.
    pub read_only: bool,
    /// What is mounted.
    pub source: MountSource,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A path of the host.
    Bind {
        /// Absolute.
        path: Utf8PathBuf,
        /// Make a missing directory.
        create_host_path: bool,
        /// `rprivate`, `rslave`, `rshared`, `private`, `slave`, `shared`.
        propagation: Option<String>,
        /// `bind.recursive`: `enabled`, `disabled`, `writable`, `readonly`.
        recursive: Option<String>,
    },
    /// A named volume of the project.
    Named {
        /// Its key.
        key: VolumeKey,
        /// Do not fill it from the image.
        no_copy: bool,
        /// Directory inside it.
        subpath: Option<String>,
    },
    /// A volume without a name, one per container.
    Anonymous {
        /// Do not fill it from the image.
        no_copy: bool,
    },
    /// Memory.
    Tmpfs {
        /// Bytes.
        size: Option<u64>,
        /// Permission bits.
        mode: Option<u32>,
        /// Owner.
        uid: Option<u32>,
        /// Group.
        gid: Option<u32>,
        /// `exec` was asked for.
        exec: bool,
    },
    /// The content of an image.
    Image {
        /// Reference.
        image: String,
        /// Directory inside it.
        subpath: Option<String>,
    },
}
