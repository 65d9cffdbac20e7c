//! An image name as a person types it in, a normalised `Reference` out: registry, repository, tag and digest.
//! **Invariant:** every part of a `Reference` is a safe file name and a safe part of a URL; nothing here touches a registry.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::digest::{Digest, DigestError};

/// The registry a name without one belongs to.
pub const DOCKER_HUB: &str = "docker.io";
const LIBRARY: &str = "library/";
const LONGEST_REPOSITORY: usize = 255;
const LONGEST_TAG: usize = 128;

/// Why a text is not an image name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReferenceError {
    /// Nothing was written.
    #[error("image name is empty")]
    Empty,
    /// The repository has capitals.
    #[error("image name {name:?} must be lower case: write {suggestion:?}")]
    Uppercase {
        /// What was read.
        name: String,
        /// The same in lower case.
        suggestion: String,
    },
    /// The repository has a character or an order of characters that no registry accepts.
    #[error(
        "image name {name:?} has an invalid part {part:?}: lower-case letters and digits, separated by one of . _ __ or dashes"
    )]
    Repository {
        /// What was read.
        name: String,
        /// The part between two slashes that is wrong.
        part: String,
    },
    /// The repository is longer than 255 characters.
    #[error("image name {name:?} is longer than 255 characters")]
    TooLong {
        /// What was read.
        name: String,
    },
    /// The name looks like an image id.
    #[error("image name {name:?} is an image id: a repository cannot be 64 hexadecimal digits")]
    Identifier {
        /// What was read.
        name: String,
    },
    /// The registry is not a host with an optional port.
    #[error("image name {name:?} has an invalid registry {registry:?}: expected HOST or HOST:PORT")]
    Registry {
        /// What was read.
        name: String,
        /// The part before the first slash.
        registry: String,
    },
    /// The part after the colon is no tag.
    #[error(
        "image name {name:?} has an invalid tag {tag:?}: at most 128 letters, digits, dots, dashes and underscores, the first no dot or dash"
    )]
    Tag {
        /// What was read.
        name: String,
        /// The part after the last colon.
        tag: String,
    },
    /// The part after `@` is no digest.
    #[error("image name {name:?} has an invalid digest")]
    Digest {
        /// What was read.
        name: String,
        /// What is wrong with it.
        #[source]
        source: DigestError,
    },
}

/// A normalised image name: `docker.io/library/mysql:8`, as distribution/reference normalises it.
/// A name with neither tag nor digest means the tag `latest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry as `HOST` or `HOST:PORT`; `docker.io` for names without one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry: `library/mysql`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `None` only when a digest was given without one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of a manifest or index, if the name pins one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same repository, pinned to `digest` and without a tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The same repository with `tag` and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        check_tag(&self.to_string(), tag)?;
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    /// The repository as docker prints it: without `docker.io/` and `library/`, unless what is left would mean something else.
    pub fn familiar_name(&self) -> String {
        let whole = || format!("{}/{}", self.registry, self.repository);
        if self.registry != DOCKER_HUB {
            return whole();
        }
        let short = match self.repository.strip_prefix(LIBRARY) {
            Some(name) if !name.contains('/') => name,
            Some(_) | None => &self.repository,
        };
        let is_id = short.len() == 64 && Digest::from_hex(short).is_ok();
        if is_id || split_registry(short) != (DOCKER_HUB, short) {
            return whole();
        }
        short.to_owned()
    }

    /// The whole name as docker prints it: `mysql:8`.
    pub fn familiar(&self) -> String {
        let mut text = self.familiar_name();
        self.push_suffix(&mut text);
        text
    }

    fn push_suffix(&self, text: &mut String) {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{}/{}", self.registry, self.repository);
        self.push_suffix(&mut text);
        formatter.write_str(&text)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() == 64 && Digest::from_hex(text).is_ok() {
            return Err(ReferenceError::Identifier {
                name: text.to_owned(),
            });
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse().map_err(|source| ReferenceError::Digest {
                    name: text.to_owned(),
                    source,
                })?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let (registry, rest) = split_registry(rest);
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            Some(_) | None => (rest, None),
        };
        if let Some(tag) = tag {
            check_tag(text, tag)?;
        }
        check_registry(text, registry)?;
        check_repository(text, repository)?;
        let repository = if registry == DOCKER_HUB && !repository.contains('/') {
            format!("{LIBRARY}{repository}")
        } else {
            repository.to_owned()
        };
        if repository.len() > LONGEST_REPOSITORY {
            return Err(ReferenceError::TooLong {
                name: text.to_owned(),
            });
        }
        let tag = match (tag, digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, None) => Some("latest".to_owned()),
            (None, Some(_)) => None,
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag,
            digest,
        })
    }
}

/// The first part is a registry when it has a dot, a colon or a capital, or is `localhost` (distribution/reference, normalize.go).
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.chars().any(|letter| letter.is_ascii_uppercase()) =>
        {
            (
                if first == "index.docker.io" {
                    DOCKER_HUB
                } else {
                    first
                },
                rest,
            )
        }
        Some(_) | None => (DOCKER_HUB, name),
    }
}

fn check_registry(name: &str, registry: &str) -> Result<(), ReferenceError> {
    let bad = || ReferenceError::Registry {
        name: name.to_owned(),
        registry: registry.to_owned(),
    };
    let (host, port) = if let Some(bracketed) = registry.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or_else(bad)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
        (
            "localhost",
            rest.strip_prefix(':')
                .or_else(|| rest.is_empty().then_some("80"))
                .ok_or_else(bad)?,
        )
    } else {
        registry.split_once(':').unwrap_or((registry, "80"))
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if registry.len() > LONGEST_REPOSITORY || !host.split('.').all(label) {
        return Err(bad());
    }
    if port.is_empty()
        || port.len() > 5
        || !port.bytes().all(|byte| byte.is_ascii_digit())
        || port.parse::<u16>().is_err()
    {
        return Err(bad());
    }
    Ok(())
}

fn check_repository(name: &str, repository: &str) -> Result<(), ReferenceError> {
    for part in repository.split('/') {
        if is_path_component(part) {
            continue;
        }
        let lower = part.to_ascii_lowercase();
        if lower != part && is_path_component(&lower) {
            let suggestion = name.replacen(repository, &repository.to_ascii_lowercase(), 1);
            return Err(ReferenceError::Uppercase {
                name: name.to_owned(),
                suggestion,
            });
        }
        return Err(ReferenceError::Repository {
            name: name.to_owned(),
            part: part.to_owned(),
        });
    }
    Ok(())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` (distribution-spec, "Pulling manifests").
fn is_path_component(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let separators_fit = part
        .split(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        .all(|run| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|byte| byte == b'-'));
    let bytes = part.as_bytes();
    separators_fit
        && bytes.first().is_some_and(|&byte| plain(byte))
        && bytes.last().is_some_and(|&byte| plain(byte))
}

fn check_tag(name: &str, tag: &str) -> Result<(), ReferenceError> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fits = tag.len() <= LONGEST_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-');
    if fits {
        Ok(())
    } else {
        Err(ReferenceError::Tag {
            name: name.to_owned(),
            tag: tag.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn normalises_as_docker_does() {
        let pinned = format!("mysql@sha256:{HEX}");
        let both = format!("ghcr.io/a/b:1@sha256:{HEX}");
        for (typed, canonical, familiar) in [
            ("mysql", "docker.io/library/mysql:latest", "mysql:latest"),
            ("mysql:8", "docker.io/library/mysql:8", "mysql:8"),
            (
                "bitnami/mysql",
                "docker.io/bitnami/mysql:latest",
                "bitnami/mysql:latest",
            ),
            (
                "docker.io/mysql",
                "docker.io/library/mysql:latest",
                "mysql:latest",
            ),
            ("index.docker.io/mysql:8", "docker.io/library/mysql:8", "mysql:8"),
            (
                "localhost/mysql",
                "localhost/mysql:latest",
                "localhost/mysql:latest",
            ),
            (
                "localhost:5000/mysql:8",
                "localhost:5000/mysql:8",
                "localhost:5000/mysql:8",
            ),
            (
                "local/mysql",
                "docker.io/local/mysql:latest",
                "local/mysql:latest",
            ),
            ("LOCAL/mysql", "LOCAL/mysql:latest", "LOCAL/mysql:latest"),
            (
                "127.0.0.1:5000/a/b/c:x",
                "127.0.0.1:5000/a/b/c:x",
                "127.0.0.1:5000/a/b/c:x",
            ),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("a.b/c", "a.b/c:latest", "a.b/c:latest"),
            (
                "a__b--c.d_e",
                "docker.io/library/a__b--c.d_e:latest",
                "a__b--c.d_e:latest",
            ),
            ("x:5000", "docker.io/library/x:5000", "x:5000"),
            (&pinned, &format!("docker.io/library/mysql@sha256:{HEX}"), &pinned),
            (&both, &both, &both),
        ] {
            let reference: Reference = typed.parse().unwrap();
            assert_eq!(reference.to_string(), canonical, "{typed}");
            assert_eq!(reference.familiar(), familiar, "{typed}");
            assert_eq!(
                reference.to_string().parse::<Reference>().unwrap(),
                reference,
                "{typed}"
            );
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let long = format!("{}/x", "a/".repeat(130));
        let long_tag = format!("a:{}", "t".repeat(129));
        for (typed, part_of_message) in [
            ("", "empty"),
            ("MySQL", "write \"mysql\""),
            ("docker.io/MySQL:8", "write \"docker.io/mysql:8\""),
            (HEX, "image id"),
            ("a//b", "invalid part \"\""),
            ("a/", "invalid part \"\""),
            ("/a", "invalid part \"\""),
            ("a/../b", "invalid part \"..\""),
            ("localhost/../../etc", "invalid part \"..\""),
            ("..", "invalid part"),
            ("-a", "invalid part \"-a\""),
            ("a-", "invalid part \"a-\""),
            ("a___b", "invalid part"),
            ("a._b", "invalid part"),
            ("a b", "invalid part \"a b\""),
            ("a:", "invalid tag \"\""),
            ("a:.b", "invalid tag \".b\""),
            ("a:b c", "invalid tag"),
            ("host:port/a", "invalid registry \"host:port\""),
            ("host:99999/a", "invalid registry"),
            ("-h.x/a", "invalid registry"),
            ("a..b/c", "invalid registry"),
            ("[::x]/c", "invalid registry"),
            ("a@sha256:beef", "invalid digest"),
            ("a@md5:beef", "invalid digest"),
            ("https://a.b/c", "invalid registry \"https:\""),
            (&long, "invalid part"),
            ("a/".repeat(130).trim_end_matches('/'), "longer than 255"),
            (&long_tag, "invalid tag"),
        ] {
            let message = typed.parse::<Reference>().unwrap_err().to_string();
            assert!(message.contains(part_of_message), "{typed}: {message}");
        }
    }
}
