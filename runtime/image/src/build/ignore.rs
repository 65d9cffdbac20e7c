//! In: the text of a `.dockerignore`, or a list of its patterns. Out: whether a path is left out.
//! Rules as moby's patternmatcher has them: `!` brings back, the last match wins, a match of a parent counts for all below it,
//! `*` and `?` stop at `/`, `**` does not; a leading or trailing `/` means nothing.
//! **Invariant:** pure; paths are relative, with `/`, and clean.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use regex::Regex;

use super::path_pattern::{Stars, compiled};

/// A pattern that is none.
#[derive(Debug, thiserror::Error)]
#[error("pattern `{pattern}` is malformed")]
pub struct PatternError {
    /// As written.
    pub pattern: String,
}

/// Patterns in order; of a `.dockerignore`, of `--exclude`, of a watch rule.
#[derive(Debug, Clone, Default)]
pub struct PatternList {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    matcher: Regex,
    brings_back: bool,
    /// The one place where it brings something back; none when it has a wildcard before its end.
    brings_back_at: Option<String>,
}

impl PatternList {
    /// Reads the text of a `.dockerignore`: one pattern a line, `#` at the start of a line is a comment.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::new(text.lines().filter(|line| !line.starts_with('#')))
    }

    /// A list of single patterns.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let mut list = Self::default();
        for written in patterns {
            let pattern = written.trim();
            let (brings_back, pattern) = match pattern.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, pattern),
            };
            let clean = clean(pattern);
            if clean.is_empty() {
                continue;
            }
            let matcher = compiled(&clean, Stars::Across).ok_or_else(|| PatternError {
                pattern: written.to_owned(),
            })?;
            let place = clean.trim_end_matches("/**").trim_end_matches("/*");
            let is_plain = !place.contains(['*', '?', '[', '\\']);
            list.patterns.push(Pattern {
                matcher,
                brings_back,
                brings_back_at: (brings_back && is_plain).then(|| place.to_owned()),
            });
        }
        Ok(list)
    }

    /// Whether the list selects the path (relative, `/` between components): for a `.dockerignore`, leaves it out.
    pub fn matches(&self, path: &str) -> bool {
        let mut left_out = false;
        for pattern in &self.patterns {
            // A pattern can only change the answer when it says the opposite.
            if pattern.brings_back == left_out && pattern.matches(path) {
                left_out = !pattern.brings_back;
            }
        }
        left_out
    }

    /// Whether nothing below the left-out directory can come back, so that it need not be walked.
    pub fn prunes(&self, directory: &str) -> bool {
        let below = format!("{directory}/");
        let may_come_back = |pattern: &Pattern| match &pattern.brings_back_at {
            Some(place) => format!("{place}/").starts_with(&below),
            None => pattern.brings_back,
        };
        self.matches(directory) && !self.patterns.iter().any(may_come_back)
    }

    /// Whether a pattern brings back what another leaves out.
    pub(crate) fn brings_back(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.brings_back)
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }
}

impl Pattern {
    fn matches(&self, path: &str) -> bool {
        self.matcher.is_match(path)
            || path
                .match_indices('/')
                .any(|(end, _)| self.matcher.is_match(&path[..end]))
    }
}

/// Without empty and `.` components and without slashes at either end, as Go's filepath.Clean leaves it: a `..` that leads out stays,
/// and so matches nothing.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if !pattern.starts_with('/') && parts.last().is_none_or(|last| *last == "..") => {
                parts.push(part);
            }
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(patterns: &[&str], path: &str) -> bool {
        PatternList::new(patterns.iter().copied())
            .expect("patterns")
            .matches(path)
    }

    #[test]
    fn patterns_anchor_at_the_root_and_cover_what_is_below() {
        assert!(left_out(&["node_modules"], "node_modules/a/b.js"));
        assert!(!left_out(&["node_modules"], "web/node_modules/a"));
        assert!(left_out(&["**/node_modules"], "web/node_modules/a"));
        assert!(left_out(&["**/node_modules"], "node_modules"));
        assert!(left_out(&["/build/"], "build/x"));
        assert!(left_out(&["*.md"], "README.md"));
        assert!(!left_out(&["*.md"], "docs/README.md"));
        assert!(left_out(&["docs/**"], "docs/a/b"));
        assert!(left_out(&["a?c"], "abc"));
        assert!(!left_out(&["a?c"], "a/c"));
        assert!(!left_out(&["{a,b}"], "a") && left_out(&["d/../b"], "b") && !left_out(&["../b"], "b"));
    }

    #[test]
    fn the_last_match_wins() {
        assert!(!left_out(&["*.md", "!README.md"], "README.md"));
        assert!(left_out(
            &["*.md", "!README*.md", "README-secret.md"],
            "README-secret.md"
        ));
        assert!(!left_out(&["*", "!src"], "src/main.rs"));
        assert!(left_out(&["*", "!src", "src/target"], "src/target/x"));
    }

    #[test]
    fn a_directory_is_walked_when_something_below_may_come_back() {
        assert!(PatternList::new(["target"]).expect("patterns").prunes("target"));
        assert!(
            !PatternList::new(["target", "!target/keep"])
                .expect("patterns")
                .prunes("target")
        );
        let list = PatternList::new(["*", "!src/keep", "!docs/*"]).expect("patterns");
        assert!(list.prunes("node_modules") && list.prunes("src/lib") && list.prunes("documents"));
        assert!(!list.prunes("src") && !list.prunes("docs"));
        assert!(
            !PatternList::new(["*", "!**/keep"])
                .expect("patterns")
                .prunes("node_modules")
        );
    }

    #[test]
    fn comments_and_blanks_are_skipped() {
        let list = PatternList::parse("# all\n\n  *.log  \n#x\n").expect("patterns");
        assert!(list.matches("a.log") && !list.matches("#x"));
    }
}
