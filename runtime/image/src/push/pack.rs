//! A layer of the store in, a file with its gzip form out.
//! **Invariant:** the same layer gives the same bytes, and only bytes whose uncompressed digest was checked are handed out.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::compression::BUFFER;
use crate::error::ImageError;
use crate::hashing_writer::HashingWriter;
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
    let gzip = HashingWriter::new(io::BufWriter::with_capacity(BUFFER, file), u64::MAX);
    let mut plain = Watched {
        output: GzEncoder::new(gzip, LEVEL),
        count: 0,
        progress,
        stop,
    };
    let written = store.write_layer(record, &mut plain);
    if stop.load(Ordering::Relaxed) {
        return Err(ImageError::Cancelled);
    }
    written?;
    let failed = || ImageError::path("write", &path);
    let (file, digest, size) = plain.output.finish().map_err(failed())?.finish();
    file.into_inner().map_err(|error| failed()(error.into_error()))?;
    Ok(Packed {
        blob: LayerBlob { digest, size },
        directory,
    })
}

/// Tells how far it is, and stops when asked to.
struct Watched<'p, W> {
    output: W,
    count: u64,
    progress: &'p dyn Fn(u64),
    stop: &'p AtomicBool,
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("cancelled"));
        }
        let count = self.output.write(bytes)?;
        self.count += count as u64;
        (self.progress)(self.count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
