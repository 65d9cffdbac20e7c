//! In: whether colours are wanted. Out: coloured text, or the same text plain.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// Colours of service prefixes, in the order docker compose hands them out (ANSI SGR).
const SERVICE_COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 96];

/// Whether to colour, decided once from flags, `NO_COLOR` and the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Control sequences may be written.
    pub colour: bool,
}

impl Style {
    /// The text in the colour of the `index`th service.
    pub fn service(self, index: usize, text: &str) -> String {
        self.paint(SERVICE_COLOURS[index % SERVICE_COLOURS.len()], text)
    }

    /// Good news.
    pub fn green(self, text: &str) -> String {
        self.paint(32, text)
    }

    /// Bad news.
    pub fn red(self, text: &str) -> String {
        self.paint(31, text)
    }

    /// News that wants attention.
    pub fn yellow(self, text: &str) -> String {
        self.paint(33, text)
    }

    /// Less important text.
    pub fn dim(self, text: &str) -> String {
        self.paint(2, text)
    }

    fn paint(self, code: u8, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_style_adds_nothing() {
        assert_eq!(Style { colour: false }.red("x"), "x");
        assert_eq!(Style { colour: true }.red("x"), "\x1b[31mx\x1b[0m");
    }
}
