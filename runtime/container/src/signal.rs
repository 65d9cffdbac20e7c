//! In: a signal as Compose files spell it. Out: its number on Linux (x86-64, aarch64), and back.
//! **Invariant:** 1 to 64, whatever the spelling.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// Names in the order of their numbers, from 1, without `SIG`.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
/// Second names of some.
const ALIASES: [(&str, i32); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];
/// First and last real-time signal as libc counts them.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// SIGTERM, what stops a container unless told otherwise.
pub const TERM: i32 = 15;
/// SIGKILL.
pub const KILL: i32 = 9;

/// The number of `SIGTERM`, `term`, `15`, `RTMIN`, `SIGRTMIN+3` or `RTMAX-1`.
pub fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(position) = NAMES.iter().position(|known| *known == name) {
        return i32::try_from(position).ok().map(|position| position + 1);
    }
    if let Some((_, number)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        return Some(*number);
    }
    let real_time = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => RTMIN,
        (_, Some("")) => RTMAX,
        (Some(rest), _) => RTMIN + offset(rest, '+')?,
        (_, Some(rest)) => RTMAX - offset(rest, '-')?,
        (None, None) => return None,
    };
    (RTMIN..=RTMAX).contains(&real_time).then_some(real_time)
}

fn offset(text: &str, sign: char) -> Option<i32> {
    let digits = text.strip_prefix(sign)?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
        .filter(|offset| *offset <= RTMAX)
}

/// The name of a number, such as `SIGTERM` or `SIGRTMIN+3`; none outside 1 to 64 and for libc's own two.
pub fn name(number: i32) -> Option<String> {
    match number {
        1..=31 => usize::try_from(number - 1)
            .ok()
            .map(|index| format!("SIG{}", NAMES[index])),
        RTMIN => Some("SIGRTMIN".into()),
        35..=RTMAX => Some(format!("SIGRTMIN+{}", number - RTMIN)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_finds_its_number() {
        let known = [
            ("SIGTERM", 15),
            ("TERM", 15),
            ("term", 15),
            ("15", 15),
            ("SIGKILL", 9),
            ("SIGWINCH", 28),
            ("sigusr1", 10),
            ("SIGQUIT", 3),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("SIGRTMAX", 64),
            ("POLL", 29),
            ("64", 64),
        ];
        for (text, expected) in known {
            assert_eq!(number(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "SIG",
            "0",
            "65",
            "-1",
            "SIGSIGTERM",
            "RTMIN+31",
            "RTMIN-1",
            "RTMAX+1",
            "RTMIN+",
            "RTMIN++1",
            "TERMINATE",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn names_lead_back_to_their_numbers() {
        for signal in (1..=31).chain(34..=64) {
            assert_eq!(number(&name(signal).unwrap()), Some(signal));
        }
        assert_eq!((name(0), name(32), name(65)), (None, None, None));
    }
}
