//! In: the text of `/etc/os-release`. Out: the distribution (freedesktop.org, os-release(5)).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// What an image's files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Distribution {
    /// `debian`, `alpine`, …
    pub(super) id: String,
    /// `12`; rolling ones have none.
    pub(super) version: Option<String>,
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub(super) name: Option<String>,
}

impl Distribution {
    /// `debian-12`.
    pub(super) fn release(&self) -> String {
        match &self.version {
            Some(version) => format!("{}-{version}", self.id),
            None => self.id.clone(),
        }
    }
}

/// The distribution; none when the text names none.
pub(super) fn parse(text: &[u8]) -> Option<Distribution> {
    let text = String::from_utf8_lossy(text);
    let value = |key: &str| {
        let mut lines = text.lines().rev();
        let value = lines.find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
        Some(unquoted(value.trim())).filter(|value| !value.is_empty())
    };
    Some(Distribution {
        id: value("ID")?.to_lowercase(),
        version: value("VERSION_ID"),
        name: value("PRETTY_NAME"),
    })
}

/// As a shell reads an assignment's value, without what these files do not have: expansions.
fn unquoted(value: &str) -> String {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let inner = quote.and_then(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    let mut plain = String::new();
    let mut characters = inner.unwrap_or(value).chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if quote != Some('\'') => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_distribution() {
        let debian =
            b"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME='Debian'\nVERSION_ID=\"12\"\nID=debian\n";
        let debian = parse(debian).unwrap();
        assert_eq!(debian.release(), "debian-12");
        assert_eq!(debian.name.as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(parse(b"ID=Arch\nNAME=\"\\\"x\\\"\"").unwrap().release(), "arch");
        assert_eq!(parse(b"NAME=\"no id\"\nVERSION_ID=\""), None);
        assert_eq!(parse(b"ID=\"\n").unwrap().id, "\"");
    }
}
