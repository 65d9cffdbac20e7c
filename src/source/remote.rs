//! The path of a file elsewhere comes in, what has to be fetched for it goes out: a git repository or an OCI artifact.
//! The forms are those of buildkit's `dfgitutil` and docker compose's `pkg/remote`, and `file://` besides.
//! **Invariant:** no part begins with a dash, and no subdirectory leads out of its repository.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt::Debug;
use std::path::{Component, Path, PathBuf};

use super::rebase;

/// Something elsewhere that has compose files in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// A directory, or a file, of a git repository.
    Git(GitRemote),
    /// An artifact in a registry: what follows `oci://`.
    Artifact(String),
}

/// A place in a git repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitRemote {
    /// What `git` is given to fetch from.
    pub url: String,
    /// A branch, tag, `refs/…` or whole commit; none means the default branch.
    pub reference: Option<String>,
    /// How the commit must begin.
    pub commit: Option<String>,
    /// Where in the repository; relative, without `..`.
    pub subdirectory: Option<PathBuf>,
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
                "http" | "https" | "ssh" | "git" | "file" => GitRemote::of_url(path).map(Self::Git),
                _ => Err(format!(
                    "`{scheme}://` is no kind of remote file: git repositories and `oci://` artifacts are"
                )),
            });
        }
        if path.starts_with("github.com/") {
            return Some(GitRemote::of_url(&format!("https://{path}")).map(Self::Git));
        }
        let (url, fragment) = path.split_once('#').unwrap_or((path, ""));
        let (user, rest) = url.split_once('@')?;
        let (host, _) = rest.split_once(':')?;
        let is_word = |text: &str, more: &[char]| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
        };
        (is_word(user, &['-', '_']) && is_word(host, &['-', '.'])).then(|| {
            let mut remote = GitRemote {
                url: url.to_owned(),
                ..GitRemote::default()
            };
            remote.take_fragment(fragment)?;
            remote.checked(host).map(Self::Git)
        })
    }
}

impl GitRemote {
    fn of_url(written: &str) -> Result<Self, String> {
        let (rest, fragment) = written.split_once('#').unwrap_or((written, ""));
        let (url, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut remote = Self {
            url: url.to_owned(),
            ..Self::default()
        };
        remote.take_fragment(&decoded(fragment)?)?;
        remote.take_query(query)?;
        let (_, place) = url.split_once("://").unwrap_or_default();
        let authority = place.split('/').next().unwrap_or_default();
        remote.checked(authority.rsplit('@').next().unwrap_or_default())
    }

    /// `REF:SUBDIRECTORY`
    fn take_fragment(&mut self, fragment: &str) -> Result<(), String> {
        if fragment.starts_with('#') {
            return Err("what follows `#` is REF or REF:SUBDIRECTORY".to_owned());
        }
        let (reference, subdirectory) = fragment.split_once(':').unwrap_or((fragment, ""));
        self.reference = Some(reference.to_owned()).filter(|text| !text.is_empty());
        self.subdirectory = Some(PathBuf::from(subdirectory)).filter(|path| !path.as_os_str().is_empty());
        Ok(())
    }

    /// `branch=B&subdir=S` and the like.
    fn take_query(&mut self, query: &str) -> Result<(), String> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value)?;
            let reference = match name {
                "ref" => value,
                "branch" => under("refs/heads/", value),
                "tag" => under("refs/tags/", value),
                "commit" | "checksum" => {
                    self.commit = Some(value);
                    continue;
                }
                "subdir" => {
                    let path = PathBuf::from(value);
                    if self.subdirectory.as_ref().is_some_and(|known| *known != path) {
                        return Err("the subdirectory is given twice".to_owned());
                    }
                    self.subdirectory = Some(path);
                    continue;
                }
                _ => {
                    return Err(format!(
                        "`{name}` is not known: ref, branch, tag, commit and subdir are"
                    ));
                }
            };
            if self.reference.as_ref().is_some_and(|known| *known != reference) {
                return Err("the ref is given twice".to_owned());
            }
            self.reference = Some(reference);
        }
        if self.reference.is_none() {
            self.reference.clone_from(&self.commit);
        }
        Ok(())
    }

    /// Nothing in it may pass for an option of `git` or `ssh`, or lead elsewhere.
    fn checked(mut self, host: &str) -> Result<Self, String> {
        let is_plain =
            |text: &str| !text.starts_with('-') && !text.chars().any(|c| c.is_control() || c == ' ');
        if !is_plain(host) || !is_plain(&self.url) {
            return Err(format!("`{host}` is no host"));
        }
        if let Some(reference) = self.reference.as_ref().filter(|reference| !is_plain(reference)) {
            return Err(format!("`{reference}` is no ref"));
        }
        let is_hash =
            |text: &String| (7..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit());
        if let Some(commit) = self.commit.as_ref().filter(|commit| !is_hash(commit)) {
            return Err(format!("`{commit}` is no commit"));
        }
        if let Some(written) = self.subdirectory.take() {
            let path = rebase::clean(&written);
            let leads_out = |part: Component<'_>| !matches!(part, Component::Normal(_));
            if path != Path::new(".") && path.components().any(leads_out) {
                return Err(format!(
                    "the subdirectory `{}` leads out of the repository",
                    written.display()
                ));
            }
            self.subdirectory = (path != Path::new(".")).then_some(path);
        }
        Ok(self)
    }
}

fn under(prefix: &str, name: String) -> String {
    if name.starts_with(prefix) {
        name
    } else {
        format!("{prefix}{name}")
    }
}

/// Percent-encoding undone (RFC 3986 §2.1).
fn decoded(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not percent-encoded text");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().ok_or_else(wrong)?, rest.next().ok_or_else(wrong)?];
        let digits = std::str::from_utf8(&digits).map_err(|_| wrong())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(path: &str) -> GitRemote {
        match Remote::parse(path) {
            Some(Ok(Remote::Git(remote))) => remote,
            other => panic!("{path}: {other:?}"),
        }
    }

    fn remote(url: &str, reference: Option<&str>, subdirectory: Option<&str>) -> GitRemote {
        GitRemote {
            url: url.to_owned(),
            reference: reference.map(str::to_owned),
            commit: None,
            subdirectory: subdirectory.map(PathBuf::from),
        }
    }

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
    fn repositories_are_told_with_ref_and_subdirectory() {
        let url = "https://h.example/o/r.git";
        assert_eq!(git(url), remote(url, None, None));
        assert_eq!(git(&format!("{url}#v1")), remote(url, Some("v1"), None));
        assert_eq!(
            git(&format!("{url}#v1:a/./b")),
            remote(url, Some("v1"), Some("a/b"))
        );
        assert_eq!(git(&format!("{url}#:a%20b")), remote(url, None, Some("a b")));
        assert_eq!(
            git(&format!("{url}?branch=x/y&subdir=s")),
            remote(url, Some("refs/heads/x/y"), Some("s"))
        );
        assert_eq!(
            git("git@h.example:o/r.git#b:s"),
            remote("git@h.example:o/r.git", Some("b"), Some("s"))
        );
        assert_eq!(
            git("ssh://git@h:22/o/r#b"),
            remote("ssh://git@h:22/o/r", Some("b"), None)
        );
        assert_eq!(
            git("github.com/o/r#b"),
            remote("https://github.com/o/r", Some("b"), None)
        );
        let pinned = git(&format!("{url}?commit=0123456789"));
        assert_eq!(
            (pinned.reference.as_deref(), pinned.commit.as_deref()),
            (Some("0123456789"), Some("0123456789"))
        );
        assert_eq!(
            Remote::parse("oci://r.example/a:b"),
            Some(Ok(Remote::Artifact("r.example/a:b".to_owned())))
        );
    }

    #[test]
    fn what_could_do_harm_is_refused() {
        for path in [
            "https://h.example/compose.yaml",
            "https://github.com/o/r",
            "s3://bucket/compose.yaml",
            "https://h/r.git#--upload-pack=touch",
            "https://h/r.git?ref=-x",
            "ssh://-oProxyCommand=x/r",
            "git@-h.example:r",
            "https://h/r.git#main:../x",
            "https://h/r.git#main:a/../../x",
            "https://h/r.git#main:/etc",
            "https://h/r.git?subdir=..%2fx",
            "https://h/r.git?upload-pack=x",
            "https://h/r.git?commit=main",
            "https://h/r.git#a%0ab",
            "https://h/r.git#a%zz",
            "https://h/r.git?ref=b#a",
        ] {
            let parsed = Remote::parse(path);
            assert!(matches!(parsed, Some(Err(_))), "{path}: {parsed:?}");
        }
    }
}
