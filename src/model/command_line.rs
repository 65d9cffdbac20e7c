//! In: a command written as one line. Out: its words, split as compose splits them (mattn/go-shellwords): quotes and
//! backslashes as in a shell, but nothing is expanded and an unquoted `;`, `&`, `|`, `<` or `>` ends the command.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// The words of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::model) struct CommandLine {
    /// Program and arguments.
    pub(in crate::model) words: Vec<String>,
    /// What stood behind the first shell operator.
    pub(in crate::model) ignored: Option<String>,
}

/// How long a line may be, in bytes: no program can be started with more.
const LONGEST: usize = 2 << 20;

/// Splits a line into words.
///
/// # Errors
/// A sentence: a quote, backtick or parenthesis is not closed, or the line is too long for any program.
pub(in crate::model) fn split(line: &str) -> Result<CommandLine, String> {
    if line.len() > LONGEST {
        return Err(format!("no program takes more than {} MiB", LONGEST >> 20));
    }
    let mut words = Vec::new();
    let mut word = String::new();
    let mut started = false;
    let mut ignored = None;
    let (mut escaped, mut double, mut single, mut backtick, mut substitution) =
        (false, false, false, false, false);
    for (at, c) in line.char_indices() {
        let quoted = single || double || backtick || substitution;
        if escaped {
            word.push(c);
            (escaped, started) = (false, true);
            continue;
        }
        match c {
            '\\' if single => word.push(c),
            '\\' => escaped = true,
            ' ' | '\t' | '\r' | '\n' if quoted => word.push(c),
            ' ' | '\t' | '\r' | '\n' => {
                if started {
                    words.push(std::mem::take(&mut word));
                    started = false;
                }
            }
            '"' if !single && !substitution => {
                double = !double;
                started |= !double;
            }
            '\'' if !double && !substitution => {
                single = !single;
                started |= !single;
            }
            '(' if !single && !double && !backtick => {
                if substitution || !word.ends_with('$') {
                    return Err("a `(` must be quoted".to_owned());
                }
                substitution = true;
                word.push(c);
            }
            ';' | '&' | '|' | '<' | '>' if !quoted => {
                // `2>file` loses the number too.
                if c == '>' && word.starts_with(|first: char| first.is_ascii_digit()) {
                    started = false;
                }
                ignored = Some(line[at..].to_owned());
                break;
            }
            _ => {
                if c == '`' && !single && !double && !substitution {
                    backtick = !backtick;
                }
                if c == ')' && !single && !double && !backtick {
                    substitution = !substitution;
                }
                word.push(c);
                started = true;
            }
        }
    }
    if started {
        words.push(word);
    }
    if escaped || single || double || backtick || substitution {
        return Err("a quote, backtick or parenthesis is not closed".to_owned());
    }
    Ok(CommandLine { words, ignored })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_group_and_backslashes_escape() {
        let table: [(&str, &[&str]); 8] = [
            (
                "bundle exec thin -p 3000",
                &["bundle", "exec", "thin", "-p", "3000"],
            ),
            (r#"sh -c "echo 'a b' $HOME""#, &["sh", "-c", "echo 'a b' $HOME"]),
            (r"a\ b c", &["a b", "c"]),
            (r"'a\b'", &[r"a\b"]),
            ("a '' \"\"", &["a", "", ""]),
            ("  ", &[]),
            ("echo $(date +%s)", &["echo", "$(date +%s)"]),
            ("x'y'\"z\"", &["xyz"]),
        ];
        for (line, words) in table {
            assert_eq!(
                split(line).map(|line| line.words),
                Ok(words.iter().map(ToString::to_string).collect()),
                "{line}"
            );
        }
    }

    #[test]
    fn an_operator_ends_the_command_and_is_reported() {
        let line = split("echo a && echo b").unwrap();
        assert_eq!(line.words, ["echo", "a"]);
        assert_eq!(line.ignored.as_deref(), Some("&& echo b"));
        assert_eq!(split("run 2>/dev/null").unwrap().words, ["run"]);
        assert_eq!(split("echo 'a && b'").unwrap().ignored, None);
    }

    #[test]
    fn what_is_left_open_is_an_error() {
        for line in ["echo 'a", "echo \"a", "echo `a", "echo $(a", "echo a\\", "(a)"] {
            assert!(split(line).is_err(), "{line}");
        }
    }
}
