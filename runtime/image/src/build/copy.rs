//! In: the sources and the destination of a COPY, expanded. Out: their fingerprint, and the copy in the tree of the image.
//! Rules: Dockerfile reference, COPY; folders that have to be made take `--chmod` (without set-id bits) and `--chown`.
//! **Invariant:** a destination is resolved inside the image, a source inside its context; no link leads out of either.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::destination::Destination;
use super::earlier_copy::EarlierCopy;
use super::fingerprint::Fingerprint;
use super::hash_index::HashIndex;
use super::ignore::PatternList;
use super::overlay::Tree;
use super::path_pattern::{Stars, compiled};
use super::transfer::{Entry, Manner, Transfer, names};
use super::written::Attributes;

/// What is copied where.
pub(crate) struct Copying<'a> {
    /// Where sources are found.
    pub(crate) from: &'a Tree,
    /// Patterns of the context's `.dockerignore`; none for stages and images.
    pub(crate) ignore: Option<&'a PatternList>,
    /// `--exclude`.
    pub(crate) exclude: &'a PatternList,
    /// As written, expanded.
    pub(crate) sources: &'a [String],
    /// Absolute; a trailing slash says that it is a directory.
    pub(crate) destination: &'a str,
    /// `--parents`.
    pub(crate) parents: bool,
    /// Owners and modes.
    pub(crate) manner: Manner,
    /// Files of an earlier layer that may be shared.
    pub(crate) earlier: Option<&'a EarlierCopy<'a>>,
}

/// A source, found.
struct Found {
    /// Clean path below the root of its tree.
    path: PathBuf,
    directory: bool,
}

impl Copying<'_> {
    fn find(&self) -> Result<Vec<Found>, String> {
        let mut found = Vec::new();
        for source in self.sources {
            for path in self.paths(source)? {
                found.push(self.one(source, path)?);
            }
        }
        Ok(found)
    }

    /// Says that a source is not there, and what is there under a similar name.
    fn missing(&self, written: &str, path: &Path) -> String {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let beside = self.from.open(&parent(path), OFlags::DIRECTORY);
        let beside = beside
            .and_then(|directory| names(directory.as_fd()))
            .unwrap_or_default();
        let near = beside
            .iter()
            .filter_map(|known| known.to_str())
            .map(|known| {
                let distance = strsim::osa_distance(&known.to_lowercase(), &name.to_lowercase());
                (distance, known)
            })
            .min()
            .filter(|(distance, _)| *distance <= (name.chars().count() / 3).max(1));
        match near {
            Some((_, near)) => {
                let near = parent(path).join(near);
                format!("`{written}` is not there; did you mean `{}`?", near.display())
            }
            None => format!("`{written}` is not there"),
        }
    }

    /// The paths a source stands for, below the root of the tree.
    pub(crate) fn paths(&self, source: &str) -> Result<Vec<PathBuf>, String> {
        let clean = clean(source);
        if is_glob(&clean) {
            return self.glob(&clean);
        }
        Ok(vec![clean])
    }

    /// A source by its exact path; a link is followed, as BuildKit does.
    fn one(&self, written: &str, path: PathBuf) -> Result<Found, String> {
        let opened = self
            .from
            .open(&path, OFlags::PATH)
            .map_err(|_| self.missing(written, &path))?;
        let status =
            rustix::fs::fstat(&opened).map_err(|errno| format!("cannot look at `{written}`: {errno}"))?;
        let directory = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
        let real = resolve_link(self.from, &path).unwrap_or_else(|_| path.clone());
        let hidden = self.ignore.is_some_and(|list| {
            let gone = |path: &Path| {
                let path = path.strip_prefix("/").unwrap_or(path);
                path.to_str().is_some_and(|text| {
                    !text.is_empty()
                        && if directory {
                            list.prunes(text)
                        } else {
                            list.matches(text)
                        }
                })
            };
            gone(&path) || gone(&real)
        });
        if hidden {
            return Err(format!("`{written}` is left out by the .dockerignore"));
        }
        Ok(Found { path, directory })
    }

    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        let text = pattern.to_str().ok_or("a source is not valid UTF-8")?;
        // Only `--parents` knows `**`, as it goes by patterns of a `.dockerignore`.
        let stars = if self.parents {
            Stars::Across
        } else {
            Stars::Within
        };
        let matcher = compiled(text, stars).ok_or_else(|| format!("`{text}` is a malformed pattern"))?;
        let fixed: PathBuf = pattern
            .components()
            .take_while(|part| !is_glob(Path::new(part.as_os_str())))
            .collect();
        let mut found = Vec::new();
        let deep = self.parents && text.contains("**");
        let depth = pattern.components().count();
        self.walk(&fixed, &mut |path| {
            let hidden = self
                .ignore
                .is_some_and(|list| path.to_str().is_some_and(|text| list.matches(text)));
            if path.to_str().is_some_and(|path| matcher.is_match(path)) && !hidden {
                found.push(path.to_owned());
            }
            deep || path.components().count() < depth
        })
        .map_err(|error| format!("cannot search for `{text}`: {error}"))?;
        Ok(found)
    }

    fn walk(&self, path: &Path, visit: &mut dyn FnMut(&Path) -> bool) -> io::Result<()> {
        let directory = match self.from.open(path, OFlags::DIRECTORY) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for name in names(directory.as_fd())? {
            let child = path.join(&name);
            let status = rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            if visit(&child) && FileType::from_raw_mode(status.st_mode) == FileType::Directory {
                self.walk(&child, visit)?;
            }
        }
        Ok(())
    }

    fn left_out(&self, found: &Found) -> Vec<(PathBuf, &PatternList)> {
        // A file that is named itself is wanted: `--exclude` is about what is in directories.
        let exclude = found.directory.then(|| (found.path.clone(), self.exclude));
        let ignore = self.ignore.map(|list| (PathBuf::new(), list));
        exclude.into_iter().chain(ignore).collect()
    }

    /// Digest of everything that would be copied.
    pub(crate) fn fingerprint(&self, index: Option<&HashIndex>) -> Result<String, String> {
        let owners = self.manner.keep_owner && self.manner.owner.is_none();
        let mut fingerprint = Fingerprint::new(owners, index);
        for found in self.find()? {
            self.add(&found, &mut fingerprint)
                .map_err(|error| format!("cannot read `{}`: {error}", found.path.display()))?;
        }
        fingerprint
            .finish()
            .map_err(|error| format!("cannot read `{}`: {error}", self.sources.join(" ")))
    }

    fn add(&self, found: &Found, fingerprint: &mut Fingerprint<'_>) -> io::Result<()> {
        let transfer = Transfer::new(&self.manner, self.left_out(found));
        fingerprint.word(if found.directory { b"directory" } else { b"file" });
        if self.parents {
            fingerprint.word(found.path.as_os_str().as_encoded_bytes());
        }
        if found.directory {
            let directory = Arc::new(self.from.open(&found.path, OFlags::DIRECTORY)?);
            return fingerprint.children(&directory, &found.path, &transfer, Path::new(""));
        }
        let (directory, name) = self.real_file(&found.path)?;
        let shown = Path::new(found.path.file_name().unwrap_or_default());
        fingerprint.entry(&Arc::new(directory), &name, &found.path, &transfer, shown)
    }

    /// Copies into the tree.
    pub(crate) fn copy(&self, into: &Destination) -> Result<(), String> {
        let found = self.find()?;
        let named_directory = self.destination.ends_with('/') || self.destination.ends_with("/.");
        if self.sources.len() > 1 && !named_directory && !self.parents {
            return Err(format!(
                "with several sources the destination must be a directory: write `{}/`",
                self.destination
            ));
        }
        let destination = PathBuf::from("/").join(clean(self.destination));
        for found in &found {
            self.copy_one(found, into, &destination, named_directory)
                .map_err(|error| format!("cannot copy `{}`: {error}", found.path.display()))?;
        }
        Ok(())
    }

    fn copy_one(
        &self,
        found: &Found,
        into: &Destination,
        destination: &Path,
        named_directory: bool,
    ) -> io::Result<()> {
        let transfer = Transfer::new(&self.manner, self.left_out(found)).sharing(self.earlier);
        let destination = match (self.parents, found.directory) {
            (false, _) => destination.to_owned(),
            (true, true) => destination.join(&found.path),
            (true, false) => destination.join(parent(&found.path)),
        };
        if found.directory {
            let from = self.from.open(&found.path, OFlags::DIRECTORY)?;
            let target = into.directory(&destination, &self.manner)?;
            return transfer.copy_children(from.as_fd(), &found.path, &target);
        }
        let (from, name) = self.real_file(&found.path)?;
        let entry = Entry {
            directory: from.as_fd(),
            name: &name,
            path: &found.path,
        };
        let base = found.path.file_name().unwrap_or_default();
        if named_directory || self.parents || into.is_directory(&destination) {
            let target = into.directory(&destination, &self.manner)?;
            return transfer.copy_entry(&entry, &target, base);
        }
        // A link at the destination is followed.
        let destination = into.resolve(&destination)?;
        let target = into.directory(&parent(&destination), &self.manner)?;
        transfer.copy_entry(&entry, &target, destination.file_name().unwrap_or(base))
    }

    /// The directory and name of the file that a path means once links are followed.
    fn real_file(&self, path: &Path) -> io::Result<(OwnedFd, OsString)> {
        let path = resolve_link(self.from, path)?;
        let directory = self.from.open(&parent(&path), OFlags::DIRECTORY)?;
        Ok((directory, path.file_name().unwrap_or_default().to_owned()))
    }
}

/// Writes a file with this content (a heredoc of COPY).
pub(crate) fn write_file(
    into: &Destination,
    destination: &str,
    name: &str,
    content: &[u8],
    manner: &Manner,
) -> Result<(), String> {
    if name.contains('/') {
        return Err(format!("the heredoc `{name}` is no file name: it has a slash"));
    }
    let write = || {
        let clean_path = PathBuf::from("/").join(clean(destination));
        let path = if destination.ends_with('/') || into.is_directory(&clean_path) {
            clean_path.join(name)
        } else {
            into.resolve(&clean_path)?
        };
        let target = into.directory(&parent(&path), manner)?;
        let file_name = path.file_name().unwrap_or(OsStr::new(name));
        target.make_room(file_name, false)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&target.upper, file_name, flags, Mode::from_raw_mode(0o600))?;
        let mut file = std::fs::File::from(file);
        io::Write::write_all(&mut file, content)?;
        let (uid, gid) = manner.owner.unwrap_or((0, 0));
        let attributes = Attributes {
            uid,
            gid,
            mode: manner
                .mode
                .as_ref()
                .map_or(0o644, |change| change.of(0o644, false)),
            modified: None,
        };
        attributes.apply(file.as_fd())
    };
    write().map_err(|error: io::Error| format!("cannot write `{name}`: {error}"))
}

/// Whether the path is a directory, links followed.
pub(crate) fn is_directory(tree: &Tree, path: &Path) -> bool {
    tree.open(path, OFlags::PATH | OFlags::DIRECTORY).is_ok()
}

/// Follows links at the last component, up to 40 of them as the kernel does.
fn resolve_link(tree: &Tree, path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..40 {
        let Ok(directory) = tree.open(&parent(&path), OFlags::DIRECTORY) else {
            return Ok(path);
        };
        let Some(name) = path.file_name() else {
            return Ok(path);
        };
        match rustix::fs::readlinkat(&directory, name, Vec::new()) {
            Ok(link) => {
                let link = PathBuf::from(OsString::from_vec(link.into_bytes()));
                path = clean_path(&parent(&path).join(link));
            }
            Err(_) => return Ok(path),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

fn is_glob(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.contains(['*', '?', '[']))
}

/// Relative to the root of its tree, without `.` and `..`.
pub(crate) fn clean(path: &str) -> PathBuf {
    clean_path(Path::new(path))
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect()
}

fn clean_path(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(_) | Component::RootDir => clean.push(component),
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    struct Case {
        context: tempfile::TempDir,
        image: tempfile::TempDir,
    }

    impl Case {
        fn new(files: &[(&str, &str)]) -> Self {
            let case = Self {
                context: tempfile::tempdir().expect("directory"),
                image: tempfile::tempdir().expect("directory"),
            };
            for (path, content) in files {
                let path = case.context.path().join(path);
                fs::create_dir_all(path.parent().expect("parent")).expect("directory");
                fs::write(path, content).expect("write");
            }
            case
        }

        fn copy_with(
            &self,
            sources: &[&str],
            destination: &str,
            ignore: &str,
            manner: Manner,
        ) -> Result<String, String> {
            let (from, into) = (
                Tree::directory(self.context.path()).expect("tree"),
                Destination::new(&[], self.image.path()).expect("tree"),
            );
            let (ignore, exclude) = (
                PatternList::parse(ignore).expect("patterns"),
                PatternList::default(),
            );
            let sources: Vec<String> = sources.iter().map(|source| (*source).to_owned()).collect();
            let copying = Copying {
                from: &from,
                ignore: Some(&ignore),
                exclude: &exclude,
                sources: &sources,
                destination,
                parents: false,
                manner,
                earlier: None,
            };
            let fingerprint = copying.fingerprint(None)?;
            copying.copy(&into)?;
            Ok(fingerprint)
        }

        fn copy(&self, sources: &[&str], destination: &str) -> Result<String, String> {
            self.copy_with(sources, destination, "", Manner::default())
        }

        fn image(&self, path: &str) -> String {
            fs::read_to_string(self.image.path().join(path)).unwrap_or_else(|error| format!("{error}"))
        }
    }

    #[test]
    fn files_directories_and_globs_land_where_docker_puts_them() {
        let case = Case::new(&[
            ("a.txt", "a"),
            ("b.txt", "b"),
            ("dir/c", "c"),
            ("dir/deep/d", "d"),
        ]);
        case.copy(&["a.txt"], "/x").expect("file to name");
        case.copy(&["a.txt"], "/y/").expect("file into directory");
        case.copy(&["dir"], "/z").expect("content of a directory");
        case.copy(&["*.txt"], "/g/").expect("glob");
        case.copy(&["a.txt"], "/z").expect("into an existing directory");
        for (path, content) in [
            ("x", "a"),
            ("y/a.txt", "a"),
            ("z/c", "c"),
            ("z/deep/d", "d"),
            ("g/a.txt", "a"),
            ("g/b.txt", "b"),
            ("z/a.txt", "a"),
        ] {
            assert_eq!(case.image(path), content, "{path}");
        }
        assert!(
            case.copy(&["a.txt", "b.txt"], "/w")
                .expect_err("refused")
                .contains("must be a directory")
        );
        assert!(
            case.copy(&["none"], "/w")
                .expect_err("refused")
                .contains("is not there")
        );
    }

    #[test]
    fn what_the_dockerignore_leaves_out_stays_out_and_exceptions_come_back() {
        let case = Case::new(&[("a", "a"), ("t/x", "x"), ("t/keep", "k"), ("t/deep/y", "y")]);
        case.copy_with(&["."], "/", "t\n!t/keep\n", Manner::default())
            .expect("copies");
        assert_eq!((case.image("a"), case.image("t/keep")), ("a".into(), "k".into()));
        assert!(!case.image.path().join("t/x").exists() && !case.image.path().join("t/deep").exists());
    }

    #[test]
    fn what_only_might_come_back_leaves_no_directory_and_what_is_gone_is_not_there() {
        let case = Case::new(&[("a", "a"), ("t/deep/y", "y"), ("u/v/w", "w")]);
        case.copy_with(&["."], "/", "*\n!a\n!u/v/w\n", Manner::default())
            .expect("copies");
        assert_eq!((case.image("a"), case.image("u/v/w")), ("a".into(), "w".into()));
        assert!(!case.image.path().join("t").exists());
        symlink("t", case.context.path().join("link")).expect("link");
        for source in ["t", "link", "t/deep/y"] {
            let error = case.copy_with(&[source], "/", "t\n", Manner::default());
            assert!(error.is_err_and(|error| error.contains("left out")), "{source}");
        }
    }

    #[test]
    fn a_pattern_stops_at_slashes_and_braces_are_names() {
        let case = Case::new(&[("a/x/2", ""), ("a/2", ""), ("{a,b}", ""), ("b", "")]);
        case.copy(&["**/2"], "/one/").expect("copies");
        case.copy(&["{a,b}"], "/two/").expect("copies");
        assert_eq!(
            fs::read_dir(case.image.path().join("one")).expect("made").count(),
            1
        );
        assert!(case.image.path().join("two/{a,b}").exists() && !case.image.path().join("two/b").exists());
    }

    #[test]
    fn owners_and_modes_apply_to_made_directories_too() {
        let case = Case::new(&[("a", "a")]);
        let manner = Manner {
            owner: Some((7, 8)),
            keep_owner: false,
            replacing: false,
            mode: Some(super::super::chmod::ModeChange::Exact(0o4750)),
        };
        case.copy_with(&["a"], "/made/here/", "", manner).expect("copies");
        let status = |path: &str| {
            fs::metadata(case.image.path().join(path))
                .map(|m| (m.uid(), m.gid(), m.mode() & 0o7777))
                .expect("there")
        };
        assert_eq!(status("made/here/a"), (7, 8, 0o4750));
        assert_eq!(status("made"), (7, 8, 0o750));
    }

    #[test]
    fn a_fingerprint_sees_content_and_modes_but_not_times() {
        let case = Case::new(&[("d/a", "a")]);
        let first = case.copy(&["d"], "/x").expect("copies");
        let later = std::time::SystemTime::now() + std::time::Duration::from_mins(1);
        fs::File::open(case.context.path().join("d/a"))
            .and_then(|file| file.set_modified(later))
            .expect("touch");
        assert_eq!(case.copy(&["d"], "/x").expect("copies"), first);
        fs::write(case.context.path().join("d/a"), "b").expect("write");
        assert_ne!(case.copy(&["d"], "/x").expect("copies"), first);
    }

    #[test]
    fn links_never_lead_out() {
        let case = Case::new(&[("a", "a")]);
        let outside = tempfile::tempdir().expect("directory");
        fs::write(outside.path().join("secret"), "s").expect("write");
        symlink(outside.path(), case.context.path().join("out")).expect("link");
        assert!(
            case.copy(&["out/secret"], "/x").is_err(),
            "a source behind a link out of the context"
        );
        symlink(outside.path(), case.image.path().join("hole")).expect("link");
        let _refused_or_inside = case.copy(&["a"], "/hole/a");
        assert!(!outside.path().join("a").exists());
        assert!(case.copy(&["../../etc/passwd"], "/x").is_err());
    }
}
