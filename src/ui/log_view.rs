//! In: records of containers' logs. Out: lines such as `web-1  | text`, names padded to the longest and coloured per service.
//! **Invariant:** a line of a container is never cut by one of another, however many records it came in.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::io::{self, Write};

use super::style::Style;
use crate::logs::record::Record;

/// A line without an end is shown once it has this many bytes.
const LONGEST_LINE: usize = 1024 * 1024;
/// Bytes that are gathered before they are written.
const GATHERED: usize = 256 * 1024;

/// How lines look.
#[derive(Debug, Clone, Copy)]
pub struct LineStyle {
    /// Colours of the names.
    pub style: Style,
    /// The name in front of each line.
    pub prefix: bool,
    /// The time in front of each line.
    pub timestamps: bool,
}

/// Lines of any number of containers on their way to one stream.
#[derive(Debug)]
pub struct LogView {
    look: LineStyle,
    shown: Vec<Shown>,
    /// In the order in which they got their colours.
    services: Vec<String>,
    width: usize,
    gathered: Vec<u8>,
}

/// One container.
#[derive(Debug)]
struct Shown {
    label: String,
    colour: usize,
    prefix: String,
    /// Lines that have not ended yet: of standard output and of standard error.
    unended: [Vec<u8>; 2],
}

impl LogView {
    /// A view without containers.
    pub fn new(look: LineStyle) -> Self {
        Self {
            look,
            shown: Vec::new(),
            services: Vec::new(),
            width: 0,
            gathered: Vec::new(),
        }
    }

    /// Adds a container; the number it has in this view. Names of later lines are as wide as the longest so far.
    pub fn add(&mut self, label: &str, service: &str) -> usize {
        let known = self.services.iter().position(|known| known == service);
        let colour = known.unwrap_or(self.services.len());
        if known.is_none() {
            self.services.push(service.to_owned());
        }
        self.width = self.width.max(label.chars().count());
        self.shown.push(Shown {
            label: label.to_owned(),
            colour,
            prefix: String::new(),
            unended: [Vec::new(), Vec::new()],
        });
        if self.look.prefix {
            for shown in &mut self.shown {
                let name = format!("{:width$}  | ", shown.label, width = self.width);
                shown.prefix = self.look.style.service(shown.colour, &name);
            }
        }
        self.shown.len() - 1
    }

    /// Takes a record of a container.
    pub fn record(&mut self, container: usize, record: Record<'_>) {
        let Some(shown) = self.shown.get_mut(container) else {
            return;
        };
        let out = &mut self.gathered;
        let unended = &mut shown.unended[usize::from(record.stderr)];
        let begin = out.len();
        if unended.is_empty() {
            out.extend_from_slice(shown.prefix.as_bytes());
            if self.look.timestamps {
                record.append_time(out);
                out.push(b' ');
            }
        } else {
            out.append(unended);
        }
        record.append_text(out);
        if out.last() == Some(&b'\n') {
            return;
        }
        if out.len() - begin >= LONGEST_LINE {
            out.push(b'\n');
        } else {
            unended.extend_from_slice(&out[begin..]);
            out.truncate(begin);
        }
    }

    /// A container's lines are all there: what has no end gets one.
    pub fn finish(&mut self, container: usize) {
        if let Some(shown) = self.shown.get_mut(container) {
            for unended in shown.unended.iter_mut().filter(|line| !line.is_empty()) {
                self.gathered.append(unended);
                self.gathered.push(b'\n');
            }
        }
    }

    /// Says something about a container, such as `exited with code 0`.
    pub fn status(&mut self, container: usize, text: &str) {
        if let Some(shown) = self.shown.get(container) {
            let name = self.look.style.service(shown.colour, &shown.label);
            self.gathered
                .extend_from_slice(format!("{name} {text}\n").as_bytes());
        }
    }

    /// Writes what was gathered once it is much.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_much(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.gathered.len() < GATHERED {
            return Ok(());
        }
        self.write(out)
    }

    /// Writes what was gathered.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !self.gathered.is_empty() {
            out.write_all(&self.gathered)?;
            self.gathered.clear();
        }
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, stream: &str) -> String {
        let text = serde_json::to_string(text).expect("JSON");
        format!("{{\"log\":{text},\"stream\":\"{stream}\",\"time\":\"2026-01-02T03:04:05.5Z\"}}")
    }

    fn show(look: LineStyle, records: &[(usize, &str, &str)]) -> String {
        let mut view = LogView::new(look);
        let containers = [view.add("web-1", "web"), view.add("database-1", "database")];
        for (container, text, stream) in records {
            let line = line(text, stream);
            view.record(
                containers[*container],
                Record::parse(line.as_bytes()).expect("valid"),
            );
        }
        for container in containers {
            view.finish(container);
        }
        let mut out = Vec::new();
        view.write(&mut out).expect("memory");
        String::from_utf8(out).expect("text")
    }

    const PLAIN: LineStyle = LineStyle {
        style: Style { colour: false },
        prefix: true,
        timestamps: false,
    };

    #[test]
    fn names_line_up_and_unended_lines_are_joined() {
        let records = [
            (0, "first half, ", "stdout"),
            (1, "other\n", "stdout"),
            (0, "error\n", "stderr"),
            (0, "second half\n", "stdout"),
            (1, "no end", "stderr"),
        ];
        let expected = "database-1  | other\nweb-1       | error\nweb-1       | first half, second half\ndatabase-1  | no end\n";
        assert_eq!(show(PLAIN, &records), expected);
    }

    #[test]
    fn times_stand_once_in_a_joined_line_and_the_prefix_can_be_left_out() {
        let look = LineStyle {
            prefix: false,
            timestamps: true,
            ..PLAIN
        };
        let records = [(0, "a", "stdout"), (0, "b\n", "stdout")];
        assert_eq!(show(look, &records), "2026-01-02T03:04:05.500000000Z ab\n");
    }

    #[test]
    fn services_have_colours() {
        let look = LineStyle {
            style: Style { colour: true },
            ..PLAIN
        };
        let text = show(look, &[(0, "a\n", "stdout"), (1, "b\n", "stdout")]);
        assert_eq!(
            text,
            "\x1b[36mweb-1       | \x1b[0ma\n\x1b[33mdatabase-1  | \x1b[0mb\n"
        );
    }

    #[test]
    fn a_line_without_end_is_shown_when_it_is_very_long() {
        let part = "x".repeat(LONGEST_LINE / 2);
        let text = show(
            PLAIN,
            &[
                (0, &part, "stdout"),
                (0, &part, "stdout"),
                (0, "rest\n", "stdout"),
            ],
        );
        assert_eq!(text.lines().count(), 2);
        assert!(text.ends_with("web-1       | rest\n"));
    }
}
