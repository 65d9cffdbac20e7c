//! In: a local file of ADD. Out: when it is an archive (by content, gzip and zstd included), its entries in the image.
//! A compressed file that holds no archive is copied as it is.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::copy::clean;
use super::destination::Destination;
use super::overlay::Tree;
use super::transfer::{Manner, Transfer};
use crate::compression::decompress;
use crate::store::ImageStore;
use crate::unpack::{Limits, Whiteouts, unpack as unpack_tar};

/// Where a tar header has its magic (POSIX ustar).
const MAGIC: std::ops::Range<usize> = 257..262;

pub(super) fn unpack(
    store: &ImageStore,
    source: &str,
    file: File,
    into: &Destination,
    destination: &str,
    owner: Option<(u32, u32)>,
) -> Result<bool, String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot unpack `{source}`: {error}");
    let second = file.try_clone().map_err(|error| failed(&error))?;
    let mut plain = decompress(BufReader::new(second)).map_err(|error| failed(&error))?;
    let mut block = Vec::new();
    if plain.by_ref().take(512).read_to_end(&mut block).is_err() || block.get(MAGIC) != Some(b"ustar") {
        return Ok(false);
    }
    drop(plain);
    let mut file = file;
    std::io::Seek::rewind(&mut file).map_err(|error| failed(&error))?;
    let scratch = store.prepare_layer().map_err(|error| failed(&error))?;
    let place = Tree::directory(scratch.path()).map_err(|error| failed(&error))?;
    let archive = BufReader::new(decompress(BufReader::new(file)).map_err(|error| failed(&error))?);
    drop(
        unpack_tar(archive, place.root(), Whiteouts::Literal, Limits::default())
            .map_err(|error| failed(&error))?,
    );
    // Owners and modes of the archive stay, unless --chown says otherwise.
    let made = Manner {
        owner,
        ..Manner::default()
    };
    let target = into
        .directory(&PathBuf::from("/").join(clean(destination)), &made)
        .map_err(|error| failed(&error))?;
    let manner = Manner {
        owner,
        keep_owner: true,
        replacing: true,
        mode: None,
    };
    Transfer::new(&manner, Vec::new())
        .copy_children(place.root(), Path::new(""), &target)
        .map_err(|error| failed(&error))?;
    Ok(true)
}
