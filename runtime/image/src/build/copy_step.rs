//! In: COPY or ADD. Out: a layer with the files.
//! **Invariant:** the cache key is the content that is read, where it goes and how; nothing else.

use std::fs::File;

use rustix::fs::OFlags;

use super::builder::{Build, at_line};
use super::cached_layer::{At, Keys};
use super::copy::{Copying, clean, is_directory, write_file};
use super::created_by::of_copy;
use super::destination::Destination;
use super::dockerfile::Copy;
use super::ignore::PatternList;
use super::overlay::Tree;
use super::request::BuildError;
use super::stage_state::{LayerDirectories, StageState};
use super::step_key::StepKey;
use super::transfer::Manner;
use super::workdir_step::absolute;
use super::{identity, unpack_step};

/// What the words of the instruction mean.
struct Meant {
    destination: String,
    mode: Option<u32>,
    exclude: PatternList,
}

impl Meant {
    fn of(state: &StageState, copy: &Copy, is_add: bool) -> Result<Self, String> {
        refuse_remote(&copy.sources, is_add)?;
        let written = &copy.destination;
        let directory = written.ends_with('/') || written == "." || written.ends_with("/.");
        Ok(Self {
            destination: absolute(&state.document.config.working_dir, written)
                + if directory { "/" } else { "" },
            mode: copy.chmod.as_deref().map(octal).transpose()?,
            exclude: PatternList::new(copy.exclude.iter().map(String::as_str))
                .map_err(|error| error.to_string())?,
        })
    }

    /// Everything the result depends on but the content of the sources.
    fn key(&self, state: &StageState, copy: &Copy, is_add: bool, from_context: bool) -> StepKey {
        let mut key = StepKey::new(if is_add { "add 2" } else { "copy 2" });
        key.layers(&state.layers);
        let rest = format!(
            "{:?} {:?} {} {from_context}",
            self.mode, copy.unpack, copy.parents
        );
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
    let context = build.request.context.as_path();
    let (from, layers) = match &copy.from {
        Some(name) => {
            let source = build.source_tree(name, at.stage).map_err(failed)?;
            (source.tree, source.layers)
        }
        None => {
            let unreadable = |error| {
                failed(format!(
                    "cannot open the build context {}: {error}",
                    context.display()
                ))
            };
            (Tree::directory(context).map_err(unreadable)?, None)
        }
    };
    let from_context = copy
        .from
        .as_ref()
        .is_none_or(|name| build.request.contexts.contains_key(name));
    let copying = |owner| Copying {
        from: &from,
        ignore: copy.from.is_none().then_some(&build.ignore),
        exclude: &words.exclude,
        sources: &copy.sources,
        destination: &words.destination,
        parents: copy.parents,
        manner: Manner {
            owner,
            keep_owner: !from_context,
            mode: words.mode,
        },
    };
    let key = words.key(state, copy, is_add, from_context);
    let quick = layers.map(|layers| {
        let mut key = key.clone();
        key.layers(&layers);
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
                    Some(identity::owner(text, &image).map_err(failed)?)
                }
                None => None,
            };
            let mut plain = copying(owner);
            let mut rest = Vec::new();
            for source in plain.sources {
                let may_unpack = is_add && copy.unpack != Some(false);
                if !may_unpack
                    || !unpack_archive(build, &from, source, &into, &words.destination, owner)
                        .map_err(failed)?
                {
                    rest.push(source.clone());
                }
            }
            plain.sources = &rest;
            if !rest.is_empty() {
                plain.copy(&into).map_err(failed)?;
            }
            for heredoc in &copy.heredocs {
                let content = heredoc.content.as_bytes();
                write_file(&into, &words.destination, &heredoc.name, content, &plain.manner)
                    .map_err(failed)?;
            }
            Ok(())
        },
    )
}

fn refuse_remote(sources: &[String], is_add: bool) -> Result<(), String> {
    let remote = |source: &&String| {
        ["http://", "https://", "git@", "git://", "ssh://"]
            .iter()
            .any(|scheme| source.starts_with(scheme))
    };
    match sources.iter().find(remote) {
        Some(source) if is_add => Err(format!(
            "ADD of a remote source is not supported: fetch `{source}` in a RUN step"
        )),
        Some(source) => Err(format!("COPY takes no URL: `{source}`")),
        None => Ok(()),
    }
}

fn octal(text: &str) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| digits && *mode <= 0o7777);
    mode.ok_or_else(|| format!("--chmod={text} is no octal mode such as 755"))
}

/// Unpacks a local archive, known by its content; false when the source is none.
fn unpack_archive(
    build: &Build<'_>,
    from: &Tree,
    source: &str,
    into: &Destination,
    destination: &str,
    owner: Option<(u32, u32)>,
) -> Result<bool, String> {
    let path = clean(source);
    if is_directory(from, &path) {
        return Ok(false);
    }
    let Ok(file) = from.open(&path, OFlags::RDONLY | OFlags::NONBLOCK) else {
        return Ok(false);
    };
    let file = File::from(file);
    unpack_step::unpack(build.store, source, file, into, destination, owner)
}
