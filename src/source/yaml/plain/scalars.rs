//! Scalars on one line: bytes come in, texts with their places go out.
//! **Invariant:** a scalar that could go on behind its line, or mean anything else, is given up.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::borrow::Cow;

use super::{Reader, Scalar, Within};
use crate::source::node::Style;

impl<'a> Reader<'a> {
    /// The scalar at hand; the blanks behind it are gone over.
    pub(super) fn scalar(&mut self, within: Within) -> Option<Scalar<'a>> {
        self.count()?;
        let start = self.at;
        let (text, style) = match self.byte()? {
            b'\'' => (self.single_quoted()?, Style::Quoted),
            b'"' => (self.double_quoted()?, Style::Quoted),
            _ => (Cow::Borrowed(self.bare(within)?), Style::Plain),
        };
        let span = self.span(start);
        self.blanks();
        Some(Scalar { text, style, span })
    }

    /// Up to a colon, a comment or the end of the line, and within brackets up to their punctuation.
    fn bare(&mut self, within: Within) -> Option<&'a str> {
        let ends_entry =
            |byte: u8| within == Within::Flow && matches!(byte, b',' | b'[' | b']' | b'{' | b'}');
        let ends_word =
            |next: Option<u8>| next.is_none_or(|byte| matches!(byte, b' ' | b'\n') || ends_entry(byte));
        match self.byte()? {
            b'-' if ends_word(self.following()) => return None,
            // Indicators: what they begin is something else, or nothing at all.
            b' ' | b'\n' | b'?' | b':' | b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!'
            | b'|' | b'>' | b'\'' | b'"' | b'%' | b'@' | b'`' => return None,
            _ => {}
        }
        let start = self.at;
        let mut end = start;
        while let Some(byte) = self.byte() {
            match byte {
                b'\n' => break,
                b' ' => {}
                b'#' if self.bytes[self.at - 1] == b' ' => break,
                b':' if ends_word(self.following()) => break,
                byte if ends_entry(byte) => break,
                _ => end = self.at + 1,
            }
            self.at += 1;
        }
        self.at = end;
        Some(&self.text[start..end])
    }

    /// Goes to the first of three bytes on the line.
    fn find(&mut self, one: u8, other: u8) -> Option<u8> {
        self.at += memchr::memchr3(one, other, b'\n', &self.bytes[self.at..])?;
        self.byte().filter(|byte| *byte != b'\n')
    }

    fn single_quoted(&mut self) -> Option<Cow<'a, str>> {
        self.at += 1;
        let mut start = self.at;
        let mut before = String::new();
        loop {
            self.find(b'\'', b'\'')?;
            let piece = &self.text[start..self.at];
            if self.following() != Some(b'\'') {
                self.at += 1;
                return Some(joined(before, piece));
            }
            before += piece;
            before.push('\'');
            self.at += 2;
            start = self.at;
        }
    }

    fn double_quoted(&mut self) -> Option<Cow<'a, str>> {
        self.at += 1;
        let mut start = self.at;
        let mut before = String::new();
        loop {
            let found = self.find(b'"', b'\\')?;
            let piece = &self.text[start..self.at];
            if found == b'"' {
                self.at += 1;
                return Some(joined(before, piece));
            }
            before += piece;
            before.push(match self.following()? {
                quoted @ (b'"' | b'\\' | b'/') => char::from(quoted),
                b'n' => '\n',
                b't' => '\t',
                _ => return None,
            });
            self.at += 2;
            start = self.at;
        }
    }
}

fn joined(before: String, piece: &str) -> Cow<'_, str> {
    if before.is_empty() {
        Cow::Borrowed(piece)
    } else {
        Cow::Owned(before + piece)
    }
}
