//! In: WORKDIR. Out: the configuration, and a layer, empty when the directory is there.
//! Made directories belong to the USER in force.

use std::path::Path;

use super::builder::{Build, at_line};
use super::cached_layer::{At, Keys};
use super::copy::clean;
use super::created_by::of_workdir;
use super::destination::Destination;
use super::identity::{self, Unknown};
use super::overlay::Tree;
use super::request::{BuildError, BuildEvent};
use super::stage_state::StageState;
use super::step_key::StepKey;
use super::transfer::Manner;

pub(super) fn workdir(
    build: &Build<'_>,
    state: &mut StageState,
    at: At<'_>,
    path: &str,
) -> Result<(), BuildError> {
    let failed = |message: String| at_line(build.request, at.located.first_line, message);
    // An absolute path stays as it is written, as in BuildKit; it is another question which directory that is.
    let written = if path.starts_with('/') {
        path.to_owned()
    } else {
        absolute(&state.document.config.working_dir, path)
    };
    let absolute = absolute("", &written);
    let created_by = of_workdir(&written);
    state.document.config.working_dir = written;
    if absolute == "/" {
        state.record(created_by, None, None);
        return Ok(());
    }
    let user = state.document.config.user.clone();
    let mut key = StepKey::new("workdir 2");
    key.layers(&state.layers);
    key.word(absolute.as_bytes());
    key.word(user.as_bytes());
    let keys = Keys {
        quick: None,
        content: &|| Ok(key.clone().finish()),
    };
    build.layer(state, at, created_by, &keys, &mut |directories| {
        let opened = |error: std::io::Error| failed(format!("cannot make {absolute}: {error}"));
        let image = Tree::image(&directories.lower, directories.upper()).map_err(opened)?;
        // Whoever it is may be made by a later step: the directory is root's then, as in BuildKit, and that is said.
        let owner = identity::owner(&user, &image).unwrap_or_else(|unknown| {
            let message = format!("{unknown}: {absolute} belongs to nobody it names");
            let line = at.located.first_line;
            (build.events)(BuildEvent::Warning { line, message });
            match unknown {
                Unknown::User(_) => (0, 0),
                Unknown::Group(_, owner) => owner,
            }
        });
        let into = Destination::new(&directories.lower, directories.upper()).map_err(opened)?;
        let manner = Manner {
            owner: Some(owner),
            ..Manner::default()
        };
        into.directory(Path::new(&absolute), &manner)
            .map(drop)
            .map_err(opened)
    })
}

/// The path from the working directory so far.
pub(super) fn absolute(working_directory: &str, path: &str) -> String {
    let joined = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{working_directory}/{path}")
    };
    let clean = clean(&joined);
    format!("/{}", clean.display())
}
