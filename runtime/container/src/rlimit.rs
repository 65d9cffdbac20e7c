//! In: a limit's name as Compose spells it. Out: its `RLIMIT_*` number (asm-generic/resource.h), and what this host will not grant.
//! **Invariant:** the numbers are the kernel's own and never change.

/// Names in the order of their numbers.
const NAMES: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

/// The number of a limit, by its name in lower case without `RLIMIT_`.
pub fn number(name: &str) -> Option<u32> {
    NAMES
        .iter()
        .position(|known| *known == name)
        .and_then(|position| u32::try_from(position).ok())
}

/// The name of a limit.
pub fn name(number: u32) -> Option<&'static str> {
    NAMES.get(usize::try_from(number).ok()?).copied()
}

/// The limits (number, soft, hard) that can only be set as high as the caller's own hard limit, since it lacks `CAP_SYS_RESOURCE`; each as a
/// sentence for the user.
pub fn unsupported(limits: &[(u32, u64, u64)]) -> Vec<String> {
    let own = rustix::thread::capabilities(None).map(|sets| sets.effective);
    if own.is_ok_and(|own| own.contains(rustix::thread::CapabilitySet::SYS_RESOURCE)) {
        return Vec::new();
    }
    limits
        .iter()
        .filter_map(|(resource, _, hard)| {
            let (_, highest) = rcompose_sys::limit::resource_limit(*resource).ok()?;
            let name = name(*resource)?;
            (*hard > highest).then(|| {
                format!(
                    "ulimit {name}: {hard} is above this host's hard limit {highest}, which is used instead"
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree_with_the_kernel() {
        for (known, expected) in [
            ("cpu", 0),
            ("core", 4),
            ("nproc", 6),
            ("nofile", 7),
            ("memlock", 8),
            ("rttime", 15),
        ] {
            assert_eq!(number(known), Some(expected));
            assert_eq!(name(expected), Some(known));
        }
        assert_eq!((number("NOFILE"), number("files"), name(16)), (None, None, None));
    }

    #[test]
    fn a_limit_within_the_host_is_no_warning() {
        let (_, highest) = rcompose_sys::limit::resource_limit(7).unwrap();
        assert!(unsupported(&[(7, 10, highest)]).is_empty());
    }
}
