//! In: the value of `--chmod`. Out: the mode of what is copied, given the mode of its source.
//! Octal (`755`, `4755`) or as chmod(1) has it (`u=rwX,go=rX`, `+x`, `a-w`); without a who, all are meant, whatever the umask.
//! **Invariant:** pure.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// What `--chmod` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ModeChange {
    /// This mode, for files and directories alike.
    Exact(u32),
    /// Clauses, applied in order to the source's mode.
    Symbolic(Vec<Clause>),
}

/// `ug+rx`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clause {
    /// Bits of those it is for: 0o700, 0o070, 0o007.
    who: u32,
    operator: char,
    /// `r`, `w`, `x` as 4, 2, 1.
    bits: u32,
    /// `X`: execution where it is a directory or somebody may execute it.
    execute_too: bool,
    set_id: bool,
    sticky: bool,
    /// `u`, `g` or `o` on the right: as they have it now, by how far their bits are shifted.
    as_of: Option<u32>,
}

impl ModeChange {
    /// Reads a `--chmod`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("--chmod={text} is no mode: write 755, u=rwX,go=rX or +x");
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
            return mode.map(Self::Exact).ok_or_else(wrong);
        }
        let mut clauses = Vec::new();
        for part in text.split(',') {
            let who_end = part.find(['+', '-', '=']).ok_or_else(wrong)?;
            let mut who = 0;
            for name in part[..who_end].chars() {
                who |= match name {
                    'u' => 0o700,
                    'g' => 0o070,
                    'o' => 0o007,
                    'a' => 0o777,
                    _ => return Err(wrong()),
                };
            }
            if who == 0 {
                who = 0o777;
            }
            // `u+r-w`: several operators for the same who.
            for character in part[who_end..].chars() {
                if matches!(character, '+' | '-' | '=') {
                    clauses.push(Clause {
                        who,
                        operator: character,
                        bits: 0,
                        execute_too: false,
                        set_id: false,
                        sticky: false,
                        as_of: None,
                    });
                    continue;
                }
                let clause = clauses.last_mut().ok_or_else(wrong)?;
                match character {
                    'r' => clause.bits |= 4,
                    'w' => clause.bits |= 2,
                    'x' => clause.bits |= 1,
                    'X' => clause.execute_too = true,
                    's' => clause.set_id = true,
                    't' => clause.sticky = true,
                    'u' => clause.as_of = Some(6),
                    'g' => clause.as_of = Some(3),
                    'o' => clause.as_of = Some(0),
                    _ => return Err(wrong()),
                }
            }
        }
        Ok(Self::Symbolic(clauses))
    }

    /// The mode of a copy of something with this mode.
    pub(crate) fn of(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Self::Exact(mode) => *mode,
            Self::Symbolic(clauses) => clauses
                .iter()
                .fold(mode & 0o7777, |mode, clause| clause.apply(mode, is_directory)),
        }
    }

    /// The mode of a directory that has to be made for a copy: what mkdir(2) makes of it under the usual umask.
    pub(crate) fn of_made_directory(&self) -> u32 {
        match self {
            Self::Exact(mode) => mode & 0o755,
            Self::Symbolic(_) => 0o755,
        }
    }
}

impl Clause {
    fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let mut bits = self.bits;
        if self.execute_too && (is_directory || mode & 0o111 != 0) {
            bits |= 1;
        }
        if let Some(shift) = self.as_of {
            bits |= (mode >> shift) & 7;
        }
        let mut change = (bits * 0o111) & self.who;
        let set_id = (self.who & 0o100) * 0o40 + (self.who & 0o010) * 0o200;
        if self.set_id {
            change |= set_id;
        }
        if self.sticky && self.who == 0o777 {
            change |= 0o1000;
        }
        match self.operator {
            '+' => mode | change,
            '-' => mode & !change,
            _ => (mode & !(self.who | set_id)) | change,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_and_symbolic_modes() {
        let cases = [
            ("755", 0o600, false, 0o755),
            ("0", 0o600, false, 0),
            ("4755", 0o600, false, 0o4755),
            ("+x", 0o600, false, 0o711),
            ("u=rwX,go=rX", 0o4755, false, 0o755),
            ("u=rwX,go=rX", 0o1777, true, 0o1755),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u+x,g-w,o=", 0o4755, false, 0o4750),
            ("a=r", 0o644, false, 0o444),
            ("go-rwx", 0o1777, true, 0o1700),
            ("u+s", 0o600, false, 0o4600),
            ("ug+s", 0o600, false, 0o6600),
            ("g=u", 0o600, false, 0o660),
            ("o+t", 0o700, true, 0o700),
            ("+t", 0o700, true, 0o1700),
            ("a+X", 0o600, false, 0o600),
            ("u=rw,a+X", 0o4755, false, 0o755),
            ("u+r-w", 0o200, false, 0o400),
        ];
        for (text, mode, is_directory, expected) in cases {
            let change = ModeChange::parse(text).expect(text);
            assert_eq!(change.of(mode, is_directory), expected, "{text} of {mode:o}");
        }
        for wrong in ["", "999", "17777", "q+x", "u", "u+q", "+x,", "-1", "0x1"] {
            assert!(ModeChange::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            ModeChange::parse("4777").map(|change| change.of_made_directory()),
            Ok(0o755)
        );
    }
}
