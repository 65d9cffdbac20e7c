//! A layer of the store in, its uncompressed archive out.
//! **Invariant:** the archive is the layer's, by length and digest, or writing it fails.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use super::{ImageStore, LayerRecord};
use crate::compression::decompress;
use crate::error::ImageError;
use crate::hashing_writer::HashingWriter;
use crate::layer_tar::write_layer_tar;

impl ImageStore {
    /// Writes the archive that a layer came as, or makes it again from its directory.
    pub(crate) fn write_layer(&self, record: &LayerRecord, output: &mut dyn Write) -> Result<(), ImageError> {
        let mut writer = HashingWriter::new(output, record.size);
        let blob = record.blob.as_ref().map(|blob| self.blob_path(&blob.digest));
        if let Some(path) = blob.filter(|path| path.exists()) {
            let file = File::open(&path).map_err(ImageError::path("open", &path))?;
            let mut plain = decompress(file).map_err(ImageError::path("read", &path))?;
            io::copy(&mut plain, &mut writer).map_err(|source| ImageError::Write { source })?;
        } else {
            let path = self.layer_directory(&record.diff_id);
            let directory = File::open(&path).map_err(ImageError::path("open", &path))?;
            write_layer_tar(directory.as_fd(), &mut writer)?;
        }
        let (_, actual, count) = writer.finish();
        if actual == record.diff_id && count == record.size {
            return Ok(());
        }
        Err(ImageError::WrongDigest {
            what: "layer on disk".to_owned(),
            expected: record.diff_id,
            actual,
        })
    }
}
