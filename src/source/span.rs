//! Where something was written: file texts come in, byte ranges and line:column go out.
//! **Invariant:** a span is only ever made from bytes of the file it names.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A file of a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A half-open range of bytes in a file's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file the bytes are in.
    pub file: FileId,
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes `start..end` of `file`.
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        // No file that is read comes near 4 GiB.
        let narrow = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Self {
            file,
            start: narrow(start),
            end: narrow(end.max(start)),
        }
    }

    /// Offset of the first byte.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// Offset after the last byte.
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// The smallest span that covers both, or `self` if they are in different files.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if self.file != other.file {
            return self;
        }
        Self {
            file: self.file,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// A position as people count it: both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One text that was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The path as it should be shown; `-` for standard input.
    pub path: PathBuf,
    /// The text as read, without a byte order mark.
    pub text: String,
    /// Where each line begins, once somebody asks for a line.
    line_starts: OnceLock<Vec<usize>>,
}

impl SourceFile {
    fn line_starts(&self) -> &[usize] {
        self.line_starts.get_or_init(|| {
            let breaks = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(breaks).collect()
        })
    }

    /// Line and column of a byte offset; past the end is the end.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.floor(offset);
        let starts = self.line_starts();
        let line = starts.partition_point(|start| *start <= offset).max(1);
        let start = starts[line - 1];
        Position {
            line,
            column: self.text[start..offset].chars().count() + 1,
        }
    }

    /// The text of a line counted from 1, without its line end.
    pub fn line(&self, line: usize) -> Option<&str> {
        let starts = self.line_starts();
        let start = *starts.get(line.checked_sub(1)?)?;
        let end = starts.get(line).copied().unwrap_or(self.text.len());
        Some(self.text[start..end].trim_end_matches(['\n', '\r']))
    }

    /// The nearest character boundary at or before `offset`.
    fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// All texts that were read for a project, so that any [`Span`] can be shown.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
    shown_from: Option<PathBuf>,
}

impl SourceMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text and names it.
    pub fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> FileId {
        self.files.push(SourceFile {
            path: path.into(),
            text: text.into(),
            line_starts: OnceLock::new(),
        });
        FileId(u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX))
    }

    /// The file behind an id. Every id comes from [`SourceMap::add`] of the same map.
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    /// Shows the paths of files below a directory relative to it.
    pub fn show_from(&mut self, directory: &Path) {
        self.shown_from = Some(directory.to_owned());
    }

    /// The path of a file as a person wants it.
    pub fn shown(&self, id: FileId) -> &Path {
        let path = self.path(id);
        let inside = self
            .shown_from
            .as_deref()
            .and_then(|from| path.strip_prefix(from).ok());
        inside.unwrap_or(path)
    }

    /// The path of a span's file.
    pub fn path(&self, id: FileId) -> &Path {
        &self.file(id).path
    }

    /// The text a span covers.
    pub fn text(&self, span: Span) -> &str {
        let file = self.file(span.file);
        &file.text[file.floor(span.start())..file.floor(span.end())]
    }

    /// Where a span begins.
    pub fn position(&self, span: Span) -> Position {
        self.file(span.file).position(span.start())
    }

    /// `path:line:column` of where a span begins.
    pub fn locate(&self, span: Span) -> String {
        let position = self.position(span);
        format!(
            "{}:{}:{}",
            self.shown(span.file).display(),
            position.line,
            position.column
        )
    }

    /// All files, in the order they were added.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        (0..).map(FileId).zip(&self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_survive_any_offset() {
        let mut map = SourceMap::new();
        let file = map.add("a.yaml", "é: 1\r\nb: ü2\n");
        assert_eq!(map.locate(Span::new(file, 4, 5)), "a.yaml:1:4");
        assert_eq!(map.locate(Span::new(file, 7, 8)), "a.yaml:2:1");
        assert_eq!(map.text(Span::new(file, 10, 12)), "ü");
        assert_eq!(map.locate(Span::new(file, 11, 12)), "a.yaml:2:4");
        assert_eq!(map.file(file).position(999), Position { line: 3, column: 1 });
        assert_eq!(map.file(file).line(1), Some("é: 1"));
        assert_eq!(map.file(file).line(3), Some(""));
        assert_eq!(map.file(file).line(4), None);
    }

    #[test]
    fn files_below_the_working_directory_are_shown_from_there() {
        let mut map = SourceMap::new();
        let inside = map.add("/p/sub/a.yaml", "a: 1\n");
        let outside = map.add("/q/b.yaml", "a: 1\n");
        map.show_from(Path::new("/p"));
        assert_eq!(map.locate(Span::new(inside, 0, 1)), "sub/a.yaml:1:1");
        assert_eq!(map.locate(Span::new(outside, 0, 1)), "/q/b.yaml:1:1");
        assert_eq!(map.path(inside), Path::new("/p/sub/a.yaml"));
    }
}
