//! In: capability names as Compose files spell them. Out: numbers (linux/capability.h), and the set a container ends up with.
//! **Invariant:** an unknown name is an error, never ignored.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// Names in the order of their numbers, without `CAP_`.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What a container has unless told otherwise: `CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD
/// AUDIT_WRITE SETFCAP`.
pub const DEFAULT: [u8; 14] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];

/// A name that is no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no capability")]
pub struct UnknownCapability(pub String);

/// Every capability's name, without `CAP_`, in the order of their numbers.
pub fn names() -> &'static [&'static str] {
    &NAMES
}

/// The number of a name, with or without `CAP_`, in any case.
pub fn number(name: &str) -> Option<u8> {
    let upper = name.to_ascii_uppercase();
    let plain = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES
        .iter()
        .position(|known| *known == plain)
        .and_then(|position| u8::try_from(position).ok())
}

/// The set that results from `cap_add` and `cap_drop`, in which `ALL` stands for every capability; ascending.
///
/// # Errors
/// The first name that is no capability.
pub fn effective(add: &[String], drop: &[String], privileged: bool) -> Result<Vec<u8>, UnknownCapability> {
    let (add, add_all) = numbers(add)?;
    let (drop, drop_all) = numbers(drop)?;
    let every = 0..u8::try_from(NAMES.len()).unwrap_or(u8::MAX);
    if privileged {
        return Ok(every.collect());
    }
    Ok(every
        .filter(|number| {
            if add_all {
                !drop.contains(number)
            } else {
                add.contains(number) || (!drop_all && DEFAULT.contains(number) && !drop.contains(number))
            }
        })
        .collect())
}

/// Numbers of names, and whether `ALL` is among them.
fn numbers(names: &[String]) -> Result<(Vec<u8>, bool), UnknownCapability> {
    let mut numbers = Vec::new();
    let mut all = false;
    for name in names {
        match number(name) {
            Some(number) => numbers.push(number),
            None if name.eq_ignore_ascii_case("all") => all = true,
            None => return Err(UnknownCapability(name.clone())),
        }
    }
    Ok((numbers, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(add: &[&str], drop: &[&str]) -> Vec<&'static str> {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let numbers = effective(&owned(add), &owned(drop), false).unwrap();
        numbers.iter().map(|number| NAMES[usize::from(*number)]).collect()
    }

    #[test]
    fn the_default_set_is_the_one_people_know() {
        let mut names = set(&[], &[]);
        names.sort_unstable();
        let known = "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT";
        assert_eq!(names.join(" "), known);
    }

    #[test]
    fn adding_and_dropping_follow_dockers_rules() {
        assert_eq!(set(&["net_admin"], &["ALL"]), ["NET_ADMIN"]);
        assert_eq!(set(&["ALL"], &["CAP_SYS_ADMIN"]).len(), 40);
        assert_eq!(set(&["CAP_Sys_Time"], &["chown", "MKNOD"]).len(), 13);
        assert_eq!(set(&["CHOWN"], &["CHOWN"]).len(), 14, "what is added stays");
        assert_eq!(set(&["ALL"], &["ALL"]).len(), 41, "ALL added wins");
        assert_eq!(effective(&[], &["ALL".into()], true).unwrap().len(), 41);
        assert_eq!(
            effective(&["NET".into()], &[], false).unwrap_err().to_string(),
            "`NET` is no capability"
        );
    }

    #[test]
    fn numbers_are_the_kernels() {
        for (name, expected) in [
            ("CHOWN", 0),
            ("sys_admin", 21),
            ("CAP_MKNOD", 27),
            ("bpf", 39),
            ("CHECKPOINT_RESTORE", 40),
        ] {
            assert_eq!(number(name), Some(expected));
        }
        assert_eq!(number("CAP_CAP_CHOWN"), None);
    }
}
