//! In: the address of a git repository as users write it. Out: what to fetch: URL, ref, commit, subdirectory.
//! The forms are those of buildkit's `dfgitutil` and docker compose's `pkg/remote`, and `file://` besides.
//! **Invariant:** no part begins with a dash, and no subdirectory leads out of its repository.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::{Component, Path, PathBuf};

/// A place in a git repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitAddress {
    /// What `git` is given to fetch from.
    pub url: String,
    /// A branch, tag, `refs/…` or whole commit; none means the default branch.
    pub reference: Option<String>,
    /// How the commit must begin.
    pub commit: Option<String>,
    /// Where in the repository; relative, without `..`.
    pub subdirectory: Option<PathBuf>,
    /// Whether `.git` stays in what is fetched; none is for whoever fetches to say.
    pub keep_git_directory: Option<bool>,
    /// Whether submodules are fetched; likewise.
    pub submodules: Option<bool>,
}

impl GitAddress {
    /// What a text means; `None` when it is no address of a git repository. A web address is one only if its path ends in `.git`.
    ///
    /// # Errors
    /// It is one, but nothing that can be fetched.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        if text.starts_with(['/', '.', '~', '-']) {
            return None;
        }
        if let Some((scheme, _)) = text.split_once("://") {
            let is_git = match scheme.to_ascii_lowercase().as_str() {
                "http" | "https" => {
                    let path = text.split(['#', '?']).next().unwrap_or_default();
                    path.strip_suffix(".git").is_some()
                }
                "ssh" | "git" | "file" => true,
                _ => false,
            };
            return is_git.then(|| Self::of_url(text));
        }
        if text.starts_with("github.com/") {
            return Some(Self::of_url(&format!("https://{text}")));
        }
        let (place, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (user, rest) = place.split_once('@')?;
        let (host, _) = rest.split_once(':')?;
        let is_word = |text: &str, more: &[char]| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
        };
        (is_word(user, &['-', '_']) && is_word(host, &['-', '.'])).then(|| {
            let (url, query) = place.split_once('?').unwrap_or((place, ""));
            let mut address = Self {
                url: url.to_owned(),
                ..Self::default()
            };
            address.take_fragment(fragment)?;
            address.take_query(query)?;
            address.checked(host)
        })
    }

    /// Whether `git` would read a repository of this host.
    pub fn is_local(&self) -> bool {
        self.url.to_ascii_lowercase().starts_with("file:")
    }

    fn of_url(written: &str) -> Result<Self, String> {
        let (rest, fragment) = written.split_once('#').unwrap_or((written, ""));
        let (url, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut address = Self {
            url: url.to_owned(),
            ..Self::default()
        };
        address.take_fragment(&decoded(fragment)?)?;
        address.take_query(query)?;
        let (_, place) = url.split_once("://").unwrap_or_default();
        let authority = place.split('/').next().unwrap_or_default();
        address.checked(authority.rsplit('@').next().unwrap_or_default())
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
                "keep-git-dir" => {
                    self.keep_git_directory = Some(truth(name, &value)?);
                    continue;
                }
                "submodules" => {
                    self.submodules = Some(truth(name, &value)?);
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
                        "`{name}` is not known: ref, branch, tag, commit, checksum, subdir, keep-git-dir and submodules are"
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
            let path = clean(&written);
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

/// The value of a switch; without one it is on (Go's `strconv.ParseBool`).
fn truth(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("`{name}` is true or false, not `{value}`")),
    }
}

/// Without `.` and, where something is before them, without `..`.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            other @ (Component::Prefix(_)
            | Component::RootDir
            | Component::ParentDir
            | Component::Normal(_)) => {
                clean.push(other);
            }
        }
    }
    if clean.as_os_str().is_empty() {
        clean.push(".");
    }
    clean
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

    fn git(text: &str) -> GitAddress {
        match GitAddress::parse(text) {
            Some(Ok(address)) => address,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn address(url: &str, reference: Option<&str>, subdirectory: Option<&str>) -> GitAddress {
        GitAddress {
            url: url.to_owned(),
            reference: reference.map(str::to_owned),
            subdirectory: subdirectory.map(PathBuf::from),
            ..GitAddress::default()
        }
    }

    #[test]
    fn what_is_no_repository_is_none() {
        for text in [
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
            "https://h.example/compose.yaml",
            "https://github.com/o/r",
            "s3://bucket/x.git",
            "ext::sh -c touch% /tmp/x.git",
        ] {
            assert_eq!(GitAddress::parse(text), None, "{text}");
        }
    }

    #[test]
    fn repositories_are_told_with_ref_and_subdirectory() {
        let url = "https://h.example/o/r.git";
        assert_eq!(git(url), address(url, None, None));
        assert_eq!(git(&format!("{url}#v1")), address(url, Some("v1"), None));
        assert_eq!(
            git(&format!("{url}#v1:a/./b/../c")),
            address(url, Some("v1"), Some("a/c"))
        );
        assert_eq!(git(&format!("{url}#:a%20b")), address(url, None, Some("a b")));
        assert_eq!(
            git(&format!("{url}?branch=x/y&subdir=s")),
            address(url, Some("refs/heads/x/y"), Some("s"))
        );
        assert_eq!(
            git("git@h.example:o/r.git#b:s"),
            address("git@h.example:o/r.git", Some("b"), Some("s"))
        );
        assert_eq!(
            git("git@h.example:o/r.git?tag=v1"),
            address("git@h.example:o/r.git", Some("refs/tags/v1"), None)
        );
        assert_eq!(
            git("ssh://git@h:22/o/r#b"),
            address("ssh://git@h:22/o/r", Some("b"), None)
        );
        assert_eq!(
            git("github.com/o/r#b"),
            address("https://github.com/o/r", Some("b"), None)
        );
        let pinned = git(&format!(
            "{url}?commit=0123456789&keep-git-dir=1&submodules=false"
        ));
        assert_eq!(
            (pinned.reference.as_deref(), pinned.commit.as_deref()),
            (Some("0123456789"), Some("0123456789"))
        );
        assert_eq!(
            (pinned.keep_git_directory, pinned.submodules),
            (Some(true), Some(false))
        );
        assert!(git("file:///r").is_local() && git("FILE:///r").is_local() && !git(url).is_local());
    }

    #[test]
    fn what_could_do_harm_is_refused() {
        for text in [
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
            "https://h/r.git?submodules=maybe",
            "https://h/r.git#a%0ab",
            "https://h/r.git#a%zz",
            "https://h/r.git?ref=b#a",
        ] {
            let parsed = GitAddress::parse(text);
            assert!(matches!(parsed, Some(Err(_))), "{text}: {parsed:?}");
        }
    }
}
