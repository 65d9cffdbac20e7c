//! In: a line of a Dockerfile and what is wrong with it. Out: both as a person reads them: place, line, caret, what to do.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt::Write as _;

/// Lines shown around a RUN that failed.
const AROUND: usize = 2;

/// Where in the line the thing is that the message names first (`in backticks`): characters before it, and its own.
pub fn pointed_at(line: &str, message: &str) -> Option<(usize, usize)> {
    let lower = line.to_ascii_lowercase();
    let named = message
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| !name.is_empty());
    for name in named {
        if let Some(at) = lower.find(&name.to_ascii_lowercase()) {
            return Some((line[..at].chars().count(), name.chars().count()));
        }
    }
    None
}

/// `file:line:column: message`, the line with a caret, and the help that the message ends with.
pub(super) fn step(dockerfile: &str, number: usize, line: &str, message: &str) -> String {
    let (said, help) = match message.split_once("; did you mean ") {
        Some((said, near)) => (said, Some(format!("did you mean {near}"))),
        None => (message, None),
    };
    let start = line.chars().take_while(|letter| letter.is_whitespace()).count();
    let whole = line.trim().chars().count();
    let (column, length) = pointed_at(line, said).unwrap_or((start, whole));
    let mut text = format!("{dockerfile}:{number}:{}: {said}", column + 1);
    if !line.trim().is_empty() {
        let margin = " ".repeat(number.to_string().len());
        let indent: String = line
            .chars()
            .take(column)
            .map(|letter| if letter == '\t' { '\t' } else { ' ' })
            .collect();
        // Writing to a String cannot fail.
        let _infallible = write!(
            text,
            "\n  {number} | {line}\n  {margin} | {indent}{}",
            "^".repeat(length.max(1))
        );
    }
    if let Some(help) = help {
        text.push_str("\n  = help: ");
        text.push_str(&help);
    }
    text
}

/// The lines of an instruction with some around, those of the instruction marked.
pub(super) fn excerpt(dockerfile: &str, first: usize, last: usize) -> String {
    let (from, to) = (first.saturating_sub(AROUND).max(1), last + AROUND);
    let width = to.to_string().len();
    let lines = dockerfile.lines().enumerate().map(|(at, line)| (at + 1, line));
    let shown = lines.filter(|(number, _)| (from..=to).contains(number));
    let mut text = String::new();
    for (number, line) in shown {
        let mark = if (first..=last).contains(&number) {
            ">"
        } else {
            " "
        };
        let _infallible = write!(text, "\n{mark} {number:>width$} | {}", line.trim_end());
    }
    text
}

/// The last lines a command printed.
pub(super) fn tail(output: &str) -> String {
    if output.trim().is_empty() {
        return String::new();
    }
    output
        .lines()
        .fold("\nlast lines it printed:".to_owned(), |text, line| {
            text + "\n  > " + line
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_points_into_its_line() {
        assert_eq!(
            step(
                "D",
                12,
                "FORM x",
                "unknown instruction `FORM`; did you mean `FROM`?"
            ),
            "D:12:1: unknown instruction `FORM`\n  12 | FORM x\n     | ^^^^\n  = help: did you mean `FROM`?"
        );
        assert_eq!(
            step("D", 2, "  COPY ä none /", "`none` is not there"),
            "D:2:10: `none` is not there\n  2 |   COPY ä none /\n    |          ^^^^"
        );
        assert_eq!(
            step("D", 1, "", "the Dockerfile has no FROM"),
            "D:1:1: the Dockerfile has no FROM"
        );
        assert_eq!(
            step("D", 3, "RUN", "RUN needs a command"),
            "D:3:1: RUN needs a command\n  3 | RUN\n    | ^^^"
        );
    }

    #[test]
    fn lines_around_a_command_are_shown() {
        assert_eq!(
            excerpt("a\nb\nc\nd\ne\nf\n", 3, 4),
            "\n  1 | a\n  2 | b\n> 3 | c\n> 4 | d\n  5 | e\n  6 | f"
        );
    }
}
