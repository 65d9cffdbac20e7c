//! In: the address of a git repository. Out: the files of its commit, once for every commit, by the `git` program.
//! **Invariant:** a Dockerfile never makes `git` read a repository of this host.

use std::fs;
use std::path::Path;

use super::http::without_password;
use super::{Fetched, GIT, Sources, inside, named_by};
use crate::build::material::Material;
use crate::git::{Git, GitAddress};

/// What was checked out.
const TREE: &str = "tree";
/// The commit it is.
const COMMIT: &str = "commit";

impl Sources<'_> {
    /// The files of a repository, or of a directory of it. `own` says that the address is the user's and may be `file://`.
    pub(crate) fn repository(
        &self,
        address: &GitAddress,
        keep_git_directory: bool,
        own: bool,
    ) -> Result<Fetched, String> {
        if address.is_local() && !own {
            return Err(format!(
                "`{}` is a repository of this host, which a Dockerfile does not see",
                address.url
            ));
        }
        let url = &address.url;
        let said = |why: String| format!("cannot fetch `{url}`: {why}");
        let git = Git::new(&self.access.environment).cancelled_by(self.cancel);
        let reference = address.reference.as_deref().unwrap_or("HEAD");
        let commit = git.resolve(url, reference).map_err(said)?;
        let keep = address.keep_git_directory.unwrap_or(keep_git_directory);
        let submodules = address.submodules.unwrap_or(true);
        let name = format!(
            "{commit}{}{}",
            if keep { "-git" } else { "" },
            if submodules { "" } else { "-alone" }
        );
        // Two addresses with one commit may still be two repositories.
        let kind = format!("{GIT}/{}", named_by(url));
        let description = format!("git {}#{commit}", without_password(url));
        let copy = self.filled(&kind, &name, &description, |place| {
            let tree = place.join(TREE);
            fs::create_dir(&tree).map_err(|error| said(error.to_string()))?;
            git.check_out(url, &commit, &tree).map_err(said)?;
            if submodules && tree.join(".gitmodules").exists() {
                git.submodules(&tree).map_err(said)?;
            }
            // What a ref is at may be an annotated tag.
            let head = git.head(&tree).map_err(said)?;
            fs::write(place.join(COMMIT), head).map_err(|error| said(error.to_string()))?;
            if keep {
                return git.name_remote(&tree, url).map_err(said);
            }
            remove_git(&tree).map_err(|error| said(format!("cannot remove `.git`: {error}")))
        })?;
        let actual = fs::read_to_string(copy.join(COMMIT)).map_err(|error| said(error.to_string()))?;
        if let Some(expected) = &address.commit {
            let expected = expected.to_ascii_lowercase();
            if !actual.starts_with(&expected) && !commit.starts_with(&expected) {
                return Err(said(format!(
                    "`{reference}` is at commit {actual}, not {expected}"
                )));
            }
        }
        let root = copy.join(TREE);
        let directory = match &address.subdirectory {
            None => root,
            Some(subdirectory) => inside(&root, subdirectory).map_err(said)?,
        };
        Ok(Fetched {
            directory,
            file: None,
            material: Material::commit(url, address.reference.as_deref(), actual.trim()),
        })
    }
}

/// `.git` is a directory, and a file in each submodule.
fn remove_git(tree: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(tree)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if entry.file_name() == ".git" {
            if kind.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        } else if kind.is_dir() {
            remove_git(&entry.path())?;
        }
    }
    Ok(())
}
