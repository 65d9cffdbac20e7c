//! The path of a file elsewhere comes in, what kind of thing it is goes out: a git repository or an OCI artifact.
//! The forms are those of docker compose's `pkg/remote`, and `file://` besides; whoever fetches reads the rest.
//! **Invariant:** what is local is never asked for elsewhere.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt::Debug;
use std::path::PathBuf;

/// Something elsewhere that has compose files in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// A directory, or a file, of a git repository, as it is written.
    Git(String),
    /// An artifact in a registry: what follows `oci://`.
    Artifact(String),
}

/// What was fetched, on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// All of it.
    pub root: PathBuf,
    /// The file or directory meant, in it.
    pub path: PathBuf,
}

/// Who brings remote files to this host.
pub trait Remotes: Debug + Send + Sync {
    /// Brings one, or finds it where it was brought before.
    ///
    /// # Errors
    /// Why not, in words that follow on the path.
    fn fetch(&self, remote: &Remote) -> Result<Fetched, String>;
}

impl Remote {
    /// What a path means; `None` for a local one.
    ///
    /// # Errors
    /// It is remote, but nothing that can be fetched.
    pub fn parse(path: &str) -> Option<Result<Self, String>> {
        if path.starts_with(['/', '.', '~', '-']) {
            return None;
        }
        if let Some((scheme, rest)) = path.split_once("://") {
            let is_scheme = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric());
            return is_scheme.then(|| match scheme.to_ascii_lowercase().as_str() {
                "oci" => Ok(Self::Artifact(rest.to_owned())),
                "http" | "https"
                    if path
                        .split(['#', '?'])
                        .next()
                        .is_none_or(|url| url.strip_suffix(".git").is_none()) =>
                {
                    Err("a web address is a git repository only if its path ends in `.git`".to_owned())
                }
                "http" | "https" | "ssh" | "git" | "file" => Ok(Self::Git(path.to_owned())),
                _ => Err(format!(
                    "`{scheme}://` is no kind of remote file: git repositories and `oci://` artifacts are"
                )),
            });
        }
        if path.starts_with("github.com/") {
            return Some(Ok(Self::Git(path.to_owned())));
        }
        let place = path.split('#').next()?;
        let (user, rest) = place.split_once('@')?;
        let (host, _) = rest.split_once(':')?;
        let is_word = |text: &str, more: &[char]| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
        };
        (is_word(user, &['-', '_']) && is_word(host, &['-', '.'])).then(|| Ok(Self::Git(path.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_paths_are_local() {
        for path in [
            "a.yaml",
            "./git@x:y",
            "../a",
            "/a://b",
            "~/a",
            "-",
            "a/b@c",
            "x@y",
            "a b@c:d",
            "://",
        ] {
            assert_eq!(Remote::parse(path), None, "{path}");
        }
    }

    #[test]
    fn repositories_and_artifacts_are_told_apart() {
        for path in [
            "https://h.example/o/r.git#v1:a",
            "ssh://git@h:22/o/r",
            "git@h.example:o/r.git#b:s",
            "github.com/o/r#b",
            "file:///r",
        ] {
            assert_eq!(
                Remote::parse(path),
                Some(Ok(Remote::Git(path.to_owned()))),
                "{path}"
            );
        }
        assert_eq!(
            Remote::parse("oci://r.example/a:b"),
            Some(Ok(Remote::Artifact("r.example/a:b".to_owned())))
        );
        for path in [
            "https://h.example/compose.yaml",
            "https://github.com/o/r",
            "s3://bucket/compose.yaml",
        ] {
            let parsed = Remote::parse(path);
            assert!(matches!(parsed, Some(Err(_))), "{path}: {parsed:?}");
        }
    }
}
