//! In: `user[:group]` of a `--chown` or USER, and the tree of the image. Out: numbers.
//! **Invariant:** names are looked up in the image's own tables, never in the host's.

use std::io::Read;
use std::path::Path;

use rustix::fs::OFlags;

use super::overlay::Tree;

/// Bytes of a table that are read; more is no honest passwd file.
const LONGEST_TABLE: u64 = 4 << 20;

/// Owner and group of `--chown`: one name or number stands for both (`--chown=77` is `77:77`).
pub(crate) fn owner(text: &str, tree: &Tree) -> Result<(u32, u32), String> {
    let (user, group) = text
        .split_once(':')
        .map_or((text, None), |(user, group)| (user, Some(group)));
    let uid = match number(user) {
        Some(uid) => uid,
        None => find(tree, "/etc/passwd", user, 2)
            .ok_or_else(|| format!("the image has no user `{user}` (--chown={text})"))?,
    };
    let gid = match group {
        Some(group) => match number(group) {
            Some(gid) => gid,
            None => find(tree, "/etc/group", group, 2)
                .ok_or_else(|| format!("the image has no group `{group}` (--chown={text})"))?,
        },
        None => match number(user) {
            Some(gid) => gid,
            None => find(tree, "/etc/passwd", user, 3).unwrap_or(uid),
        },
    };
    Ok((uid, gid))
}

/// Owner of what WORKDIR makes: the USER in force; its group is the user's own, 0 for an unknown number.
pub(crate) fn user(text: &str, tree: &Tree) -> Result<(u32, u32), String> {
    if text.is_empty() {
        return Ok((0, 0));
    }
    if text.contains(':') {
        return owner(text, tree);
    }
    match number(text) {
        Some(uid) => Ok((uid, find_by_id(tree, uid).unwrap_or(0))),
        None => owner(text, tree),
    }
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
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    number(line.split(':').nth(field)?)
}

fn find_by_id(tree: &Tree, uid: u32) -> Option<u32> {
    let text = table(tree, "/etc/passwd")?;
    let line = text
        .lines()
        .find(|line| line.split(':').nth(2).and_then(number) == Some(uid))?;
    number(line.split(':').nth(3)?)
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
            ("77", Ok((77, 77))),
            ("app", Ok((10, 20))),
            ("app:staff", Ok((10, 50))),
            ("1:2", Ok((1, 2))),
            ("app:0", Ok((10, 0))),
        ];
        for (text, expected) in cases {
            assert_eq!(owner(text, &tree), expected, "{text}");
        }
        assert!(
            owner("nobody", &tree).is_err()
                && owner("app:wheel", &tree).is_err()
                && owner("4294967295", &tree).is_err()
        );
        assert_eq!(
            (user("10", &tree), user("99", &tree)),
            (Ok((10, 20)), Ok((99, 0)))
        );
    }
}
