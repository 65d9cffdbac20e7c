//! In: the context of a build that is elsewhere. Out: a directory of this host with its files.
//! Kinds and rules are those of BuildKit's dockerui: a repository, an archive on the web, or a Dockerfile on the web.
//! **Invariant:** an archive is known by its content, never by its name.

use std::fs::File;
use std::path::PathBuf;

use super::http::without_password;
use super::{Fetched, Sources, UNPACKED};
use crate::build::material::Material;
use crate::git::GitAddress;

/// What BuildKit calls the file that a web address serves.
const SERVED: &str = "context";

/// A context that is not on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextPlace {
    /// A repository, or a directory of it.
    Git(GitAddress),
    /// An archive, or a Dockerfile.
    Web(String),
}

/// A context, fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedContext {
    /// Its files.
    pub directory: PathBuf,
    /// The Dockerfile's name where there is no choice: the address served one.
    pub dockerfile: Option<String>,
    /// What it is, for whoever is told what an image is made of.
    pub material: Material,
}

impl ContextPlace {
    /// What a context means; `None` for a path of this host.
    ///
    /// # Errors
    /// It is elsewhere, but nothing that can be fetched.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        if let Some(git) = GitAddress::parse(text) {
            return Some(git.map(Self::Git));
        }
        let (scheme, _) = text.split_once("://")?;
        Some(match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => Ok(Self::Web(text.to_owned())),
            _ => Err(format!(
                "`{scheme}://` is no kind of build context: git repositories and http:// or https:// archives are"
            )),
        })
    }
}

impl Sources<'_> {
    /// Fetches the main context of a build.
    pub fn context(&self, place: &ContextPlace) -> Result<FetchedContext, String> {
        let url = match place {
            ContextPlace::Git(address) => {
                let fetched = self.repository(address, false, true)?;
                return Ok(FetchedContext {
                    directory: fetched.directory,
                    dockerfile: None,
                    material: fetched.material,
                });
            }
            ContextPlace::Web(url) => url,
        };
        let fetched = self.web(url, SERVED, None)?;
        let path = fetched.directory.join(SERVED);
        let unreadable = |error: std::io::Error| format!("cannot read what `{url}` serves: {error}");
        let file = File::open(&path).map_err(unreadable)?;
        let Some(version) = fetched.directory.file_name().and_then(|name| name.to_str()) else {
            return Err(format!("cannot name what `{url}` serves"));
        };
        if !super::archive::is_archive(&file).map_err(unreadable)? {
            return Ok(FetchedContext {
                directory: fetched.directory,
                dockerfile: Some(SERVED.to_owned()),
                material: fetched.material,
            });
        }
        let description = format!("unpacked {}", without_password(url));
        let directory = self.filled(UNPACKED, version, &description, |place| {
            let file = File::open(&path).map_err(unreadable)?;
            super::archive::unpack(file, place)
                .map_err(|why| format!("cannot unpack what `{url}` serves: {why}"))
        })?;
        Ok(FetchedContext {
            directory,
            dockerfile: None,
            material: fetched.material,
        })
    }

    /// Fetches a named context: of what the web serves, a directory with that one file.
    pub(crate) fn named_context(&self, place: &ContextPlace) -> Result<Fetched, String> {
        match place {
            ContextPlace::Git(address) => self.repository(address, false, true),
            ContextPlace::Web(url) => self.web(url, SERVED, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_told_apart() {
        assert_eq!(ContextPlace::parse("/here"), None);
        assert_eq!(ContextPlace::parse("."), None);
        assert_eq!(
            ContextPlace::parse("https://h/x.tar.gz"),
            Some(Ok(ContextPlace::Web("https://h/x.tar.gz".to_owned())))
        );
        for text in [
            "https://h/x.git#main:sub",
            "git@h:o/r",
            "ssh://h/r",
            "github.com/o/r",
        ] {
            let parsed = ContextPlace::parse(text);
            assert!(
                matches!(parsed, Some(Ok(ContextPlace::Git(_)))),
                "{text}: {parsed:?}"
            );
        }
        assert!(ContextPlace::parse("s3://b/x").is_some_and(|parsed| parsed.is_err()));
    }
}
