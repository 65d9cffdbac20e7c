//! In: `/proc/<pid>/status` of a first process, and a signal. Out: whether the kernel throws that signal away.
//! The first process of a pid namespace receives only signals it has a handler for (`pid_namespaces(7)`): asking any other way is
//! asking nobody, and waiting for an answer would make every `stop` of a plain program last its whole grace period.
//! **Invariant:** pure; in doubt the process hears.

/// Whether the process is the first of its namespace and neither handles, nor blocks (signalfd(2), sigwait(3)), nor on purpose ignores the
/// signal: who ignores it was asked, and gets its time.
pub(crate) fn is_deaf(status: &str, signal: i32) -> bool {
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    let mask = |name: &str| u64::from_str_radix(field(name)?.trim(), 16).ok();
    let first = field("NSpid").is_some_and(|ids| {
        let ids: Vec<&str> = ids.split_whitespace().collect();
        ids.len() > 1 && ids.last() == Some(&"1")
    });
    let bit = u32::try_from(signal - 1)
        .ok()
        .and_then(|shift| 1_u64.checked_shl(shift));
    match (first, bit, mask("SigCgt"), mask("SigBlk"), mask("SigIgn")) {
        (true, Some(bit), Some(caught), Some(blocked), Some(ignored)) => {
            (caught | blocked | ignored) & bit == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: i32 = 15;

    fn status(pids: &str, blocked: &str, caught: &str) -> String {
        ignoring(pids, blocked, "0000000000000000", caught)
    }

    fn ignoring(pids: &str, blocked: &str, ignored: &str, caught: &str) -> String {
        format!("Name:\tsleep\nNSpid:\t{pids}\nSigBlk:\t{blocked}\nSigIgn:\t{ignored}\nSigCgt:\t{caught}\n")
    }

    #[test]
    fn only_a_first_process_without_handler_is_deaf() {
        let (none, term) = ("0000000000000000", "0000000000004000");
        assert!(is_deaf(&status("77 1", none, none), TERM));
        assert!(!is_deaf(&status("77 1", none, term), TERM), "a handler");
        assert!(
            !is_deaf(&status("77 1", term, none), TERM),
            "blocked, for signalfd"
        );
        assert!(is_deaf(&status("77 1", term, term), 1), "another signal");
        assert!(
            !is_deaf(&status("77 9", none, none), TERM),
            "not the first of its namespace"
        );
        assert!(!is_deaf(&status("77", none, none), TERM), "the host's namespace");
        assert!(
            !is_deaf(&ignoring("77 1", none, term, none), TERM),
            "ignored on purpose"
        );
        assert!(!is_deaf("", TERM));
    }
}
