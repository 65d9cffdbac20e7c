//! Named files in, a tar stream or a directory of them out.
//! **Invariant:** equal files give an equal archive: no time, owner or order of this host gets into it.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use crate::error::ImageError;

/// As much as an archive's end has.
const ZEROS: [u8; 1024] = [0; 1024];
const BLOCK: u64 = 512;

/// Where an archive goes.
pub enum Output<'a> {
    /// One stream.
    Tar(&'a mut dyn Write),
    /// An empty directory.
    Directory(PathBuf),
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tar(_) => formatter.write_str("Tar"),
            Self::Directory(path) => formatter.debug_tuple("Directory").field(path).finish(),
        }
    }
}

impl Output<'_> {
    pub(super) fn file(&mut self, name: &str, content: &[u8]) -> Result<(), ImageError> {
        self.large(name, content.len() as u64, &mut |output| {
            output.write_all(content).map_err(write_failed)
        })
    }

    /// A file of `size` bytes, which `content` writes.
    pub(super) fn large(
        &mut self,
        name: &str,
        size: u64,
        content: &mut dyn FnMut(&mut dyn Write) -> Result<(), ImageError>,
    ) -> Result<(), ImageError> {
        match self {
            Self::Tar(output) => {
                output
                    .write_all(header(name, size)?.as_bytes())
                    .map_err(write_failed)?;
                content(*output)?;
                let padding = usize::try_from((BLOCK - size % BLOCK) % BLOCK).unwrap_or(0);
                output.write_all(&ZEROS[..padding]).map_err(write_failed)
            }
            Self::Directory(root) => {
                let path = root.join(name);
                let parent = path.parent().unwrap_or(root);
                fs::create_dir_all(parent).map_err(ImageError::path("create", parent))?;
                write_file(&path, content)
            }
        }
    }

    pub(super) fn finish(&mut self) -> Result<(), ImageError> {
        match self {
            Self::Tar(output) => output.write_all(&ZEROS).map_err(write_failed),
            Self::Directory(_) => Ok(()),
        }
    }
}

fn write_file(
    path: &Path,
    content: &mut dyn FnMut(&mut dyn Write) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let file = File::create(path).map_err(ImageError::path("create", path))?;
    file.set_permissions(Permissions::from_mode(0o644))
        .map_err(ImageError::path("set the mode of", path))?;
    let mut output = io::BufWriter::with_capacity(128 << 10, file);
    content(&mut output)?;
    output.flush().map_err(ImageError::path("write", path))
}

fn header(name: &str, size: u64) -> Result<Header, ImageError> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_path(name).map_err(write_failed)?;
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

fn write_failed(source: io::Error) -> ImageError {
    ImageError::Write { source }
}
