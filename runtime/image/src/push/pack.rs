//! A layer of the store in, a file with its gzip form out.
//! **Invariant:** the same layer gives the same bytes, and only bytes whose uncompressed digest was checked are handed out.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::compression::{BUFFER, decompress};
use crate::error::ImageError;
use crate::layer_tar::write_layer_tar;
use crate::store::{ImageStore, LayerBlob, LayerRecord, PreparedLayer};

const LEVEL: Compression = Compression::new(6);

/// The gzip form of a layer, gone when dropped.
pub(super) struct Packed {
    pub(super) blob: LayerBlob,
    directory: PreparedLayer,
}

impl Packed {
    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("layer")
    }
}

/// Whether a file is gzip; a file that is not there is not.
pub(super) fn is_gzip(path: &Path) -> Result<bool, ImageError> {
    let mut magic = [0; 2];
    match File::open(path).and_then(|mut file| file.read_exact(&mut magic)) {
        Ok(()) => Ok(magic == [0x1f, 0x8b]),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => Ok(false),
        Err(error) => Err(ImageError::path("read", path)(error)),
    }
}

/// Compresses a layer: from the archive it came as, or from its directory.
pub(super) fn pack(
    store: &ImageStore,
    record: &LayerRecord,
    progress: &dyn Fn(u64),
    stop: &AtomicBool,
) -> Result<Packed, ImageError> {
    let directory = store.prepare_layer()?;
    let path = directory.path().join("layer");
    let file = File::create(&path).map_err(ImageError::path("create", &path))?;
    let counted = Hashed::new(io::BufWriter::with_capacity(BUFFER, file));
    let mut writer = Watched {
        plain: Hashed::new(GzEncoder::new(counted, LEVEL)),
        progress,
        stop,
    };
    let written = write_plain(store, record, &mut writer);
    if stop.load(Ordering::Relaxed) {
        return Err(ImageError::Cancelled);
    }
    written?;
    let (gzip, plain, _) = writer.plain.into_parts();
    if plain != record.diff_id {
        return Err(ImageError::WrongDigest {
            what: "layer on disk".to_owned(),
            expected: record.diff_id,
            actual: plain,
        });
    }
    let failed = || ImageError::path("write", &path);
    let (file, digest, size) = gzip.finish().map_err(failed())?.into_parts();
    file.into_inner().map_err(|error| failed()(error.into_error()))?;
    Ok(Packed {
        blob: LayerBlob { digest, size },
        directory,
    })
}

fn write_plain(store: &ImageStore, record: &LayerRecord, output: &mut dyn Write) -> Result<(), ImageError> {
    if let Some(blob) = &record.blob {
        let path = store.blob_path(&blob.digest);
        if path.exists() {
            let file = File::open(&path).map_err(ImageError::path("open", &path))?;
            let mut plain = decompress(file).map_err(ImageError::path("read", &path))?;
            io::copy(&mut plain, output).map_err(|source| ImageError::Write { source })?;
            return Ok(());
        }
    }
    let path = store.layer_directory(&record.diff_id);
    let directory = File::open(&path).map_err(ImageError::path("open", &path))?;
    write_layer_tar(directory.as_fd(), output)?;
    Ok(())
}

/// Hashes and counts what is written through it.
struct Hashed<W> {
    output: W,
    hash: Sha256,
    count: u64,
}

impl<W> Hashed<W> {
    fn new(output: W) -> Self {
        Self {
            output,
            hash: Sha256::new(),
            count: 0,
        }
    }

    fn into_parts(self) -> (W, crate::digest::Digest, u64) {
        (self.output, self.hash.into(), self.count)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Tells how far it is, and stops when asked to.
struct Watched<'p, W> {
    plain: Hashed<W>,
    progress: &'p dyn Fn(u64),
    stop: &'p AtomicBool,
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("cancelled"));
        }
        let count = self.plain.write(bytes)?;
        (self.progress)(self.plain.count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.plain.flush()
    }
}
