//! In: COPY or ADD. Out: a layer with the files.
//! **Invariant:** the cache key is the content that is read, where it goes and how; nothing else.

use std::fs::File;
use std::path::Path;

use rustix::fs::OFlags;

use super::add_sources::{fetch, is_remote};
use super::builder::{Build, at_line};
use super::cached_layer::{At, Keys};
use super::chmod::ModeChange;
use super::copy::{Copying, is_directory, write_file};
use super::created_by::of_copy;
use super::destination::Destination;
use super::dockerfile::Copy;
use super::earlier_copy::EarlierCopy;
use super::ignore::PatternList;
use super::overlay::Tree;
use super::request::BuildError;
use super::stage_state::{LayerDirectories, StageState};
use super::step_key::StepKey;
use super::transfer::Manner;
use super::workdir_step::absolute;
use super::{identity, unpack_step};
use crate::digest::Digest;

/// What the words of the instruction mean.
struct Meant {
    destination: String,
    mode: Option<ModeChange>,
    exclude: PatternList,
}

impl Meant {
    fn of(state: &StageState, copy: &Copy, is_add: bool) -> Result<Self, String> {
        if let Some(source) = copy.sources.iter().find(|source| !is_add && is_remote(source)) {
            return Err(format!("COPY takes no URL: write `ADD {source}`"));
        }
        let written = &copy.destination;
        let directory = written.ends_with('/') || written == "." || written.ends_with("/.");
        Ok(Self {
            destination: absolute(&state.document.config.working_dir, written)
                + if directory { "/" } else { "" },
            mode: copy.chmod.as_deref().map(ModeChange::parse).transpose()?,
            exclude: PatternList::new(copy.exclude.iter().map(String::as_str))
                .map_err(|error| error.to_string())?,
        })
    }

    /// Everything the result depends on but the content of the sources.
    fn key(&self, layers: &[Digest], copy: &Copy, is_add: bool, keep_owner: bool) -> StepKey {
        let mut key = StepKey::new(if is_add { "add 2" } else { "copy 2" });
        key.layers(layers);
        let rest = format!("{:?} {:?} {} {keep_owner}", self.mode, copy.unpack, copy.parents);
        for part in [
            self.destination.as_str(),
            copy.chown.as_deref().unwrap_or_default(),
            rest.as_str(),
        ] {
            key.word(part.as_bytes());
        }
        for heredoc in &copy.heredocs {
            key.word(heredoc.name.as_bytes());
            key.word(heredoc.content.as_bytes());
        }
        key
    }
}

pub(super) fn copy(
    build: &Build<'_>,
    state: &mut StageState,
    at: At<'_>,
    copy: &Copy,
    is_add: bool,
) -> Result<(), BuildError> {
    let failed = |message: String| at_line(build.request, at.located.first_line, message);
    let words = Meant::of(state, copy, is_add).map_err(failed)?;
    let from = match &copy.from {
        Some(name) => build.source_tree(name, at.stage).map_err(failed)?,
        None => build.context_tree().map_err(failed)?,
    };
    let keep_owner = from.ignore.is_none() || copy.from.is_none() && build.request.context_material.is_some();
    let (local, remote) = fetch(build, copy, &words.destination).map_err(failed)?;
    let earlier = earlier_copy(build, &words, copy, is_add, keep_owner);
    let copying = |owner| Copying {
        from: &from.tree,
        ignore: from.ignore.as_ref(),
        exclude: &words.exclude,
        sources: &local,
        destination: &words.destination,
        parents: copy.parents,
        manner: Manner {
            owner,
            keep_owner,
            replacing: false,
            mode: words.mode.clone(),
        },
        earlier: earlier.as_ref(),
    };
    let manner = |owner| Manner {
        owner,
        mode: words.mode.clone(),
        ..Manner::default()
    };
    let key = words.key(&state.layers, copy, is_add, keep_owner);
    let quick = build.telling(&from).map(|layers| {
        let mut key = key.clone();
        key.layers(layers);
        key.list(&copy.sources);
        key.list(&copy.exclude);
        key.finish()
    });
    let index = copy.from.is_none().then_some(&build.index);
    let keys = Keys {
        quick,
        content: &|| {
            let mut key = key.clone();
            key.word(copying(None).fingerprint(index).map_err(failed)?.as_bytes());
            for source in &remote {
                let copying = source.copying(&words.exclude, &words.destination, manner(None));
                key.word(copying.fingerprint(None).map_err(failed)?.as_bytes());
            }
            Ok(key.finish())
        },
    };
    let created_by = of_copy(copy, is_add);
    build.layer(
        state,
        at,
        created_by,
        &keys,
        &mut |directories: &LayerDirectories| {
            let unreadable = |error| failed(format!("cannot open the image: {error}"));
            let into = Destination::new(&directories.lower, directories.upper()).map_err(unreadable)?;
            let owner = match &copy.chown {
                Some(text) => {
                    let image = Tree::image(&directories.lower, directories.upper()).map_err(unreadable)?;
                    Some(owner_of(text, &image).map_err(failed)?)
                }
                None => None,
            };
            let mut plain = copying(owner);
            let mut rest = Vec::new();
            for source in &local {
                if !is_add || copy.unpack == Some(false) {
                    rest.push(source.clone());
                    continue;
                }
                for path in plain.paths(source).map_err(failed)? {
                    let unpacked = unpack_archive(build, &from.tree, &path, &into, &words.destination, owner);
                    if !unpacked.map_err(failed)? {
                        rest.push(literal(&path));
                    }
                }
            }
            plain.sources = &rest;
            if !rest.is_empty() {
                plain.copy(&into).map_err(failed)?;
            }
            for source in &remote {
                let copying = source.copying(&words.exclude, &words.destination, manner(owner));
                source.add(build, &copying, &into).map_err(failed)?;
            }
            for heredoc in &copy.heredocs {
                let content = heredoc.content.as_bytes();
                write_file(&into, &words.destination, &heredoc.name, content, &plain.manner)
                    .map_err(failed)?;
            }
            Ok(())
        },
    )?;
    if let (Some(earlier), Some(diff_id)) = (&earlier, state.layers.last()) {
        earlier.save(diff_id);
    }
    Ok(())
}

/// What the same instruction made of the context before. Dated files are changed once they are made, so they are never shared.
fn earlier_copy<'b>(
    build: &'b Build<'_>,
    words: &Meant,
    copy: &Copy,
    is_add: bool,
    keep_owner: bool,
) -> Option<EarlierCopy<'b>> {
    if copy.from.is_some() || build.request.source_date_epoch.is_some() {
        return None;
    }
    let mut name = words.key(&[], copy, is_add, keep_owner);
    name.word(build.request.context.as_os_str().as_encoded_bytes());
    name.list(&copy.sources);
    name.list(&copy.exclude);
    Some(EarlierCopy::of(build.store, &build.index, &name.finish()))
}

/// An unknown name is an error: silently giving the files to root is nobody's wish.
fn owner_of(text: &str, image: &Tree) -> Result<(u32, u32), String> {
    identity::owner(text, image).map_err(|unknown| format!("--chown={text}: {unknown}"))
}

/// The pattern that means this path and no other.
fn literal(path: &Path) -> String {
    let mut text = String::new();
    for character in path.to_string_lossy().chars() {
        if matches!(character, '*' | '?' | '[' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

/// Unpacks a local archive, known by its content; false when the source is none.
fn unpack_archive(
    build: &Build<'_>,
    from: &Tree,
    path: &Path,
    into: &Destination,
    destination: &str,
    owner: Option<(u32, u32)>,
) -> Result<bool, String> {
    if is_directory(from, path) {
        return Ok(false);
    }
    let Ok(file) = from.open(path, OFlags::RDONLY | OFlags::NONBLOCK) else {
        return Ok(false);
    };
    let source = path.display().to_string();
    unpack_step::unpack(build.store, &source, File::from(file), into, destination, owner)
}
