//! In: `user[:group]` and further groups as a user wrote them, and the image's `/etc/passwd` and `/etc/group`. Out: numbers.
//! **Invariant:** what is not exactly a name of those files or a number below 2³²−1 is an error, never a default.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use crate::beneath;
use crate::message::{Stage, StartError};

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, the primary one included.
    pub(crate) groups: Vec<u32>,
    /// Home directory by the image's passwd file, `/` without an entry.
    pub(crate) home: String,
}

/// Most bytes read of either file.
const MAXIMUM_FILE: u64 = 16 << 20;

/// Looks a user up in the container's own files.
pub(crate) fn find(root: BorrowedFd<'_>, user: &str, additional: &[String]) -> Result<Identity, StartError> {
    let (passwd, group) = (read_file(root, "etc/passwd")?, read_file(root, "etc/group")?);
    resolve(user, additional, &passwd, &group)
        .map_err(|detail| StartError::refused(format!("find the user `{user}`"), detail))
}

/// The text of a regular file of the image; empty when there is none.
fn read_file(root: BorrowedFd<'_>, path: &str) -> Result<String, StartError> {
    // A FIFO there must not hang us.
    let opened = match beneath::open(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(String::new()),
        other => other.stage_of("open the image's", path)?,
    };
    if !beneath::is(opened.as_fd(), FileType::RegularFile).stage_of("look at the image's", path)? {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    std::fs::File::from(opened)
        .take(MAXIMUM_FILE)
        .read_to_end(&mut bytes)
        .stage_of("read the image's", path)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// One line of a passwd file.
struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn users(passwd: &str) -> impl Iterator<Item = User<'_>> {
    passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields[..] else {
            return None;
        };
        Some(User {
            name,
            uid: number(uid)?,
            gid: number(gid)?,
            home,
        })
    })
}

/// Name, number and members of one line of a group file.
fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members @ ..] = &fields[..] else {
            return None;
        };
        Some((*name, number(gid)?, members.first().copied().unwrap_or_default()))
    })
}

/// Digits alone, below 2³²−1 (which means "unchanged" to the kernel).
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|number| *number != u32::MAX)
}

/// A number, or a name found by `find`.
fn number_or_name(text: &str, kind: &str, find: impl FnOnce(&str) -> Option<u32>) -> Result<u32, String> {
    if text.is_empty() {
        return Err(format!("the {kind} is empty"));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(text).ok_or_else(|| format!("the {kind} number {text} is not below 4294967295"));
    }
    find(text).ok_or_else(|| format!("the image has no {kind} `{text}`"))
}

fn resolve(user: &str, additional: &[String], passwd: &str, group: &str) -> Result<Identity, String> {
    let (user, chosen_group) = match user.split_once(':') {
        _ if user.is_empty() => ("0", None),
        Some((user, group)) => (user, Some(group)),
        None => (user, None),
    };
    let uid = number_or_name(user, "user", |name| {
        users(passwd)
            .find(|entry| entry.name == name)
            .map(|entry| entry.uid)
    })?;
    // By name first: several names may share a number.
    let entry = users(passwd)
        .find(|entry| entry.name == user)
        .or_else(|| users(passwd).find(|entry| entry.uid == uid));
    let group_number = |text: &str| {
        number_or_name(text, "group", |name| {
            groups(group).find(|entry| entry.0 == name).map(|entry| entry.1)
        })
    };
    let gid = match chosen_group {
        Some(text) => group_number(text)?,
        None => entry.as_ref().map_or(0, |entry| entry.gid),
    };
    let mut all = vec![gid];
    if let (None, Some(entry)) = (chosen_group, &entry) {
        all.extend(
            groups(group)
                .filter(|(.., members)| members.split(',').any(|member| member == entry.name))
                .map(|found| found.1),
        );
    }
    for text in additional {
        all.push(group_number(text)?);
    }
    let mut unique = Vec::with_capacity(all.len());
    for gid in all {
        if !unique.contains(&gid) {
            unique.push(gid);
        }
    }
    let home = entry
        .map(|entry| entry.home)
        .filter(|home| !home.is_empty())
        .unwrap_or("/");
    Ok(Identity {
        uid,
        gid,
        groups: unique,
        home: home.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/var/www:/bin/false\nbroken\nbad:x:-1:0::/:\n";
    const GROUP: &str = "root:x:0:\nwww:x:33:\naudio:x:29:www,root\nvideo:x:44:www\nstaff:x:50:\nlone:x:60\n";

    fn found(user: &str) -> Result<Identity, String> {
        resolve(user, &[], PASSWD, GROUP)
    }

    #[test]
    fn names_and_numbers_find_the_same_user() {
        for user in ["www", "33"] {
            let identity = found(user).unwrap();
            assert_eq!(
                (identity.uid, identity.gid, identity.groups),
                (33, 33, vec![33, 29, 44]),
                "{user}"
            );
            assert_eq!(identity.home, "/var/www");
        }
        assert_eq!(found("").unwrap(), found("0").unwrap());
        assert_eq!(found("").unwrap().groups, [0, 29]);
    }

    #[test]
    fn a_group_given_is_the_only_one() {
        assert_eq!(found("www:staff").unwrap().groups, [50]);
        assert_eq!(found("1234").unwrap().groups, [0]);
        assert_eq!(found("1234:5678").unwrap().gid, 5678);
        assert_eq!(found("1:lone").unwrap().gid, 60);
        let identity = resolve(
            "www:www",
            &["staff".into(), "99".into(), "33".into()],
            PASSWD,
            GROUP,
        )
        .unwrap();
        assert_eq!(identity.groups, [33, 50, 99]);
    }

    #[test]
    fn everything_else_is_refused() {
        let wrong = [
            "4294967296",
            "4294967295",
            "-1",
            "0x0",
            "1:",
            ":1",
            ":",
            "+0",
            "1000:0:0",
            "nobody",
            "www:none",
            " 0",
            "0 ",
            "bad",
            "www:-1",
            "18446744073709551616",
        ];
        for user in wrong {
            assert!(found(user).is_err(), "`{user}` was taken for {:?}", found(user));
        }
        assert!(resolve("0", &[String::new()], PASSWD, GROUP).is_err());
        assert!(resolve("0", &["none".into()], PASSWD, GROUP).is_err());
    }
}
