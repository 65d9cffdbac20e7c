//! In: a store. Out: all that builds have left in it for later ones, with sizes and last uses; less of it.
//! **Invariant:** what a running build has taken stays, and layers go by collection alone, which spares what images and containers have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::cache::{BuildCache, Record};
use super::in_flight::{alone, oldest, remove_file};
use super::room::Room;
use super::{cache_mount, earlier_copy, hash_index, remote};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::store::{ImageStore, file_names, tree_size, unique};

/// What something that is kept is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// The layer of a step.
    Step,
    /// The directory of a `RUN --mount=type=cache`.
    CacheMount,
    /// A repository that was checked out.
    Repository,
    /// What a web address served, or an archive of that, unpacked.
    Web,
    /// Digests of the files of a context.
    FileDigests,
    /// What a COPY of many files made.
    CopiedFiles,
}

impl RecordKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Step,
        Self::CacheMount,
        Self::Repository,
        Self::Web,
        Self::FileDigests,
        Self::CopiedFiles,
    ];

    /// BuildKit's name of it, as `docker buildx du` shows it; the web has none there.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "regular",
            Self::CacheMount => "exec.cachemount",
            Self::Repository => "source.git.checkout",
            Self::Web => "source.http",
            Self::FileDigests => "source.local",
            Self::CopiedFiles => "internal",
        }
    }

    /// Whether later builds change it.
    pub fn is_mutable(self) -> bool {
        matches!(self, Self::CacheMount | Self::FileDigests | Self::CopiedFiles)
    }
}

/// Something that builds have left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRecord {
    /// Names it: 64 hexadecimal digits, for a step the digest of its layer.
    pub id: String,
    /// What it is.
    pub kind: RecordKind,
    /// The same for people.
    pub description: String,
    /// When it was made, RFC 3339; none when nobody knows.
    pub created: Option<String>,
    /// When a build last took or made it.
    pub last_used: SystemTime,
    /// Bytes it takes.
    pub size: u64,
    /// An image has the layer: without this record it would still be there.
    pub shared: bool,
    /// A build that goes on has taken it, or may have.
    pub in_use: bool,
    /// Files whose time of modification is the last use.
    pub(super) marks: Vec<PathBuf>,
    /// Files and directories that go with it.
    pub(super) files: Vec<PathBuf>,
}

impl CacheRecord {
    /// What one file or directory of the store is; its id is that of its path in there.
    pub(super) fn of(
        store: &ImageStore,
        kind: RecordKind,
        path: PathBuf,
        description: String,
    ) -> Result<Self, ImageError> {
        let metadata = fs::symlink_metadata(&path).map_err(ImageError::path("read", &path))?;
        let relative = path.strip_prefix(store.root()).unwrap_or(&path);
        let size = if metadata.is_dir() {
            tree_size(&path)?
        } else {
            metadata.len()
        };
        Ok(Self {
            id: Digest::of(relative.as_os_str().as_encoded_bytes()).hex(),
            kind,
            description,
            created: metadata.created().ok().and_then(rfc3339),
            last_used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            size,
            shared: false,
            in_use: false,
            marks: vec![path.clone()],
            files: vec![path],
        })
    }
}

fn rfc3339(time: SystemTime) -> Option<String> {
    Some(jiff::Timestamp::try_from(time).ok()?.to_string())
}

impl BuildCache<'_> {
    /// Everything that is kept, in the order of its last use.
    pub fn records(&self) -> Result<Vec<CacheRecord>, ImageError> {
        let mut records = self.layers()?;
        records.extend(cache_mount::kept(self.store)?);
        records.extend(remote::kept(self.store)?);
        for (directory, kind, description) in [
            (
                hash_index::DIRECTORY,
                RecordKind::FileDigests,
                "digests of the files of a context",
            ),
            (
                earlier_copy::DIRECTORY,
                RecordKind::CopiedFiles,
                "files that a COPY made",
            ),
        ] {
            let directory = self.store.root().join(directory);
            for name in finished(&directory)? {
                let record = CacheRecord::of(self.store, kind, directory.join(name), description.to_owned());
                records.extend(unless_gone(record)?);
            }
        }
        let running = oldest(self.store)?;
        for record in &mut records {
            record.in_use = running.is_some_and(|began| record.last_used >= began);
        }
        records.sort_by(|one, other| {
            one.last_used
                .cmp(&other.last_used)
                .then_with(|| one.id.cmp(&other.id))
        });
        Ok(records)
    }

    /// The layers of steps. Several keys may be of one.
    fn layers(&self) -> Result<Vec<CacheRecord>, ImageError> {
        let of_images: BTreeSet<Digest> = self
            .store
            .list()?
            .into_iter()
            .flat_map(|image| image.diff_ids)
            .collect();
        let mut layers: BTreeMap<String, CacheRecord> = BTreeMap::new();
        for (
            path,
            Record {
                diff_id,
                created,
                description,
            },
        ) in self.steps()?
        {
            let Some(last_used) = modified(&path) else {
                continue;
            };
            let key = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let id = diff_id.map_or(key, |diff_id| diff_id.hex());
            match layers.get_mut(&id) {
                Some(record) => {
                    record.last_used = record.last_used.max(last_used);
                    record.marks.push(path.clone());
                    record.files.push(path);
                }
                None => {
                    let record = CacheRecord {
                        id: id.clone(),
                        kind: RecordKind::Step,
                        description,
                        created: Some(created),
                        last_used,
                        size: diff_id.map_or(Ok(0), |diff_id| self.store.layer_usage(&diff_id))?,
                        shared: diff_id.is_some_and(|diff_id| of_images.contains(&diff_id)),
                        in_use: false,
                        marks: vec![path.clone()],
                        files: vec![path],
                    };
                    layers.insert(id, record);
                }
            }
        }
        Ok(layers.into_values().collect())
    }

    /// Removes something, unless a build has taken it meanwhile: whether it is gone. A layer goes with the next collection.
    pub fn remove(&self, record: &CacheRecord) -> Result<bool, ImageError> {
        let mut trash = Vec::new();
        {
            let _alone = alone(self.store)?;
            if let Some(began) = oldest(self.store)?
                && record
                    .marks
                    .iter()
                    .any(|mark| modified(mark).is_some_and(|used| used >= began))
            {
                return Ok(false);
            }
            let mut parents = Vec::new();
            for path in &record.files {
                if path.is_dir() {
                    let unused = self.store.ingest_path(&unique("trash"));
                    fs::rename(path, &unused).map_err(ImageError::path("remove", path))?;
                    trash.push(unused);
                    parents.extend(path.parent());
                } else {
                    remove_file(path)?;
                }
            }
            for parent in parents {
                // Others are still in there, perhaps.
                drop(fs::remove_dir(parent));
            }
        }
        for path in trash {
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(ImageError::path("remove", &path)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(true)
    }

    /// Removes what `fits`, used longest ago first, until what is left has room; without a limit all that fits. What was removed.
    pub fn prune(
        &self,
        room: &Room,
        fits: &dyn Fn(&CacheRecord) -> bool,
    ) -> Result<Vec<CacheRecord>, ImageError> {
        let records = self.records()?;
        let own = records.iter().filter(|record| !record.shared);
        let mut total: u64 = own.map(|record| record.size).sum();
        let kept = room.kept(total, self.free_space()?);
        let mut removed = Vec::new();
        for record in records {
            // What an image has anyway makes no room.
            let is_limited = room.is_limited();
            if is_limited && total <= kept {
                break;
            }
            if record.in_use || is_limited && record.shared || !fits(&record) || !self.remove(&record)? {
                continue;
            }
            if !record.shared {
                total -= record.size;
            }
            removed.push(record);
        }
        Ok(removed)
    }

    fn free_space(&self) -> Result<u64, ImageError> {
        let root = self.store.root();
        let status = rustix::fs::statvfs(root).map_err(ImageError::errno("look at", root))?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }
}

/// The names in a directory, without those of files in the making.
pub(super) fn finished(directory: &Path) -> Result<Vec<String>, ImageError> {
    let mut names = file_names(directory)?;
    names.retain(|name| !name.starts_with('.'));
    Ok(names)
}

/// Builds and collections go on while all is looked at: what is gone is not there.
pub(super) fn unless_gone<T>(looked: Result<T, ImageError>) -> Result<Option<T>, ImageError> {
    match looked {
        Err(ImageError::Path { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

pub(super) fn modified(path: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
}
