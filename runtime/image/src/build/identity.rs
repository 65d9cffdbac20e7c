//! In: `user[:group]` of a `--chown` or USER, and the tree of the image. Out: numbers, or which name is not known.
//! **Invariant:** names are looked up in the image's own tables, never in the host's.

use std::io::Read;
use std::path::Path;

use rustix::fs::OFlags;

use super::overlay::Tree;

/// Bytes of a table that are read; more is no honest passwd file.
const LONGEST_TABLE: u64 = 4 << 20;

/// Owner and group of `--chown` and of USER: one name or number stands for both (`--chown=77` is `77:77`).
pub(crate) fn owner(text: &str, tree: &Tree) -> Result<(u32, u32), Unknown> {
    let (user, group) = text
        .split_once(':')
        .map_or((text, None), |(user, group)| (user, Some(group)));
    let (uid, own) = match (user, number(user)) {
        ("", _) => (0, 0),
        (_, Some(number)) => (number, number),
        (name, None) => match find(tree, "/etc/passwd", name, 2) {
            Some(uid) => (uid, find(tree, "/etc/passwd", name, 3).unwrap_or(uid)),
            // An image without a user table has it, too.
            None if name == "root" => (0, 0),
            None => return Err(Unknown::User(name.to_owned())),
        },
    };
    let gid = match group {
        None | Some("") => own,
        Some(group) => match number(group).or_else(|| find(tree, "/etc/group", group, 2)) {
            Some(gid) => gid,
            None if group == "root" => 0,
            None => return Err(Unknown::Group(group.to_owned(), (uid, own))),
        },
    };
    Ok((uid, gid))
}

/// A name that the image's tables do not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unknown {
    /// Of a user.
    #[error("the image has no user `{0}` in its /etc/passwd")]
    User(String),
    /// Of a group, and what the user alone stands for.
    #[error("the image has no group `{0}` in its /etc/group")]
    Group(String, (u32, u32)),
}

/// A number as `useradd` would take it; 2³²−1 means "no change" to chown(2) and is refused.
fn number(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| plain && *number != u32::MAX)
}

fn table(tree: &Tree, path: &str) -> Option<String> {
    let file = tree
        .open(Path::new(path), OFlags::RDONLY | OFlags::NONBLOCK)
        .ok()?;
    let mut text = String::new();
    std::fs::File::from(file)
        .take(LONGEST_TABLE)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}

fn find(tree: &Tree, path: &str, name: &str, field: usize) -> Option<u32> {
    let text = table(tree, path)?;
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| line.split(':').next() == Some(name))?;
    number(line.split(':').nth(field)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let directory = tempfile::tempdir().expect("directory");
        std::fs::create_dir(directory.path().join("etc")).expect("directory");
        std::fs::write(
            directory.path().join("etc/passwd"),
            "root:x:0:0::/:\napp:x:10:20::/:\n",
        )
        .expect("write");
        std::fs::write(directory.path().join("etc/group"), "root:x:0:\nstaff:x:50:\n").expect("write");
        let tree = Tree::directory(directory.path()).expect("tree");
        let cases = [
            ("77", (77, 77)),
            ("app", (10, 20)),
            ("app:staff", (10, 50)),
            ("1:2", (1, 2)),
            ("app:0", (10, 0)),
            (":staff", (0, 50)),
            ("root:root", (0, 0)),
        ];
        for (text, expected) in cases {
            assert_eq!(owner(text, &tree), Ok(expected), "{text}");
        }
        assert_eq!(owner("nobody", &tree), Err(Unknown::User("nobody".into())));
        assert_eq!(
            owner("app:wheel", &tree),
            Err(Unknown::Group("wheel".into(), (10, 20)))
        );
        assert!(owner("4294967295", &tree).is_err());
        let nothing = Tree::directory(&directory.path().join("etc")).expect("tree");
        assert_eq!(owner("root", &nothing), Ok((0, 0)));
    }
}
