//! In: a name that FROM, `COPY --from` or `RUN --mount=from=` uses. Out: the named context of the build that stands for it, if there is one.
//! Rules are those of BuildKit's dockerui: names are compared as image names, a context called as a stage replaces the stage.
//! **Invariant:** a context is only fetched when something needs it.

use std::path::{Path, PathBuf};

use super::builder::{Build, at_line};
use super::cached_layer::SourceTree;
use super::copy::Copying;
use super::destination::Destination;
use super::ignore::PatternList;
use super::material::Material;
use super::on_host::HOST;
use super::overlay::Tree;
use super::remote::Sources;
use super::request::{BuildError, NamedContext};
use super::stage_state::{LayerDirectories, StageState};
use super::transfer::Manner;
use crate::image::Image;
use crate::reference::Reference;

/// A named context, ready to be read.
pub(super) enum Named {
    /// A directory, and what its `.dockerignore` leaves out.
    Directory(PathBuf, PatternList),
    /// An image.
    Image(Box<Image>),
    /// `docker-image://@host`
    Host,
    /// `docker-image://scratch`
    Nothing,
}

impl Build<'_> {
    /// The context of that name.
    pub(super) fn named(&self, name: &str) -> Result<Option<Named>, String> {
        let Some(context) = find(self.request.contexts.iter(), name) else {
            return Ok(None);
        };
        let said = |why: String| format!("the context `{name}`: {why}");
        let sources = || Sources::new(self.store, &self.request.remote, self.cancel);
        Ok(Some(match context {
            NamedContext::Directory(path) => Named::Directory(path.clone(), ignored(path).map_err(said)?),
            NamedContext::Elsewhere(place) => {
                let fetched = sources().named_context(place).map_err(said)?;
                self.take(fetched.material);
                Named::Directory(fetched.directory, PatternList::default())
            }
            NamedContext::Image(image) if image.eq_ignore_ascii_case("scratch") => Named::Nothing,
            NamedContext::Image(image) if image == HOST => Named::Host,
            NamedContext::Image(image) => {
                Named::Image(Box::new(self.image(image, &self.platform()).map_err(said)?))
            }
            NamedContext::Layout(place) => {
                let image = sources().layout(place).map_err(said)?;
                let digest = image.manifest.unwrap_or(image.id);
                self.take(Material::content(&format!("oci-layout:{name}"), &digest));
                Named::Image(Box::new(image))
            }
        }))
    }

    /// A stage that is the context so far: a directory is one layer of its files.
    pub(super) fn named_as_base(&self, index: usize, named: Named) -> Result<StageState, BuildError> {
        let line = self.stages.stages[index].line;
        let (path, ignore) = match named {
            Named::Image(image) => return self.image_as_base(index, &image),
            Named::Host => {
                let base = self.host_as_base(index, self.platform());
                return base.map_err(|why| at_line(self.request, line, why));
            }
            Named::Nothing => return Ok(StageState::nothing(self.platform())),
            Named::Directory(path, ignore) => (path, ignore),
        };
        let said = |why: String| at_line(self.request, line, format!("{}: {why}", path.display()));
        let tree = Tree::directory(&path).map_err(|error| said(error.to_string()))?;
        let directories = LayerDirectories::new(self.store, Vec::new())?;
        let into = Destination::new(&[], directories.upper()).map_err(|error| said(error.to_string()))?;
        let copying = Copying {
            from: &tree,
            ignore: Some(&ignore),
            exclude: &PatternList::default(),
            sources: &[".".to_owned()],
            destination: "/",
            parents: false,
            manner: Manner::default(),
            earlier: None,
        };
        copying.copy(&into).map_err(said)?;
        let layer = self.store.put_layer_directory(directories.upper())?;
        let mut state = StageState::nothing(self.platform());
        state.record("COPY . / # buildkit".to_owned(), Some(layer.diff_id), None);
        Ok(state)
    }

    /// The main context.
    pub(super) fn context_tree(&self) -> Result<SourceTree, String> {
        let path = &self.request.context;
        let tree = Tree::directory(path)
            .map_err(|error| format!("cannot open the build context {}: {error}", path.display()))?;
        Ok(SourceTree {
            lower: vec![path.clone()],
            tree,
            layers: None,
            ignore: Some(self.ignore.clone()),
        })
    }

    /// Whether a stage of that name is replaced by a context.
    pub(super) fn replaces(&self, stage: Option<&str>) -> bool {
        stage.is_some_and(|stage| find(self.request.contexts.iter(), stage).is_some())
    }
}

fn find<'c>(
    contexts: impl Iterator<Item = (&'c String, &'c NamedContext)>,
    name: &str,
) -> Option<&'c NamedContext> {
    if name.eq_ignore_ascii_case("scratch") || name.eq_ignore_ascii_case("context") {
        return None;
    }
    let wanted = normalised(name);
    let mut named = contexts.filter(|(known, _)| normalised(known) == wanted);
    named.next().map(|(_, context)| context)
}

/// The name as an image's, whole: `x` is `docker.io/library/x:latest`.
fn normalised(name: &str) -> String {
    match name.to_ascii_lowercase().parse::<Reference>() {
        Ok(reference) => reference.to_string(),
        Err(_) => name.to_ascii_lowercase(),
    }
}

fn ignored(directory: &Path) -> Result<PatternList, String> {
    match std::fs::read_to_string(directory.join(".dockerignore")) {
        Ok(text) => PatternList::parse(&text).map_err(|error| format!("its .dockerignore: {error}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(PatternList::default()),
        Err(error) => Err(format!("cannot read its .dockerignore: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_those_of_images() {
        let context = NamedContext::Image("x".to_owned());
        let is_found = |known: &str, name: &str| {
            let known = known.to_owned();
            find([(&known, &context)].into_iter(), name).is_some()
        };
        for (known, name) in [
            ("base", "base"),
            ("base", "Base"),
            ("base", "docker.io/library/base:latest"),
            ("docker.io/library/base", "base:latest"),
            ("h.example:5000/a/b", "h.example:5000/a/b:latest"),
            ("base:1", "library/base:1"),
        ] {
            assert!(is_found(known, name), "{known} {name}");
        }
        for (known, name) in [("base", "base:1"), ("base", "other/base"), ("scratch", "scratch")] {
            assert!(!is_found(known, name), "{known} {name}");
        }
    }
}
