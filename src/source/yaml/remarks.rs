//! What a YAML text says beside its values: the text comes in, the places of comments, aliases and documents go out.
//! **Invariant:** a text that cannot be parsed gives what stands before the mistake.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::ops::Range;

use granit_parser::{Event, Parser, Span, options};

/// The places of what is no value, in order.
#[derive(Clone, Debug, Default)]
pub struct Remarks {
    /// Comments, with their `#`.
    pub comments: Vec<Range<usize>>,
    /// Aliases: `*name`.
    pub aliases: Vec<Range<usize>>,
    /// Where each document begins.
    pub documents: Vec<usize>,
}

/// Reads a text for what is no value.
pub fn remarks(text: &str) -> Remarks {
    let options = options! { emit_comments: true, max_buffered_comment_events: usize::MAX };
    let range = |span: Span| {
        let at = |offset: Option<usize>| offset.unwrap_or(text.len()).min(text.len());
        at(span.start.byte_offset())..at(span.end.byte_offset())
    };
    let mut found = Remarks::default();
    for (event, span) in Parser::new_from_str_with_options(text, options).map_while(Result::ok) {
        match event {
            Event::Comment(..) => found.comments.push(range(span)),
            Event::Alias(_) => found.aliases.push(range(span)),
            Event::DocumentStart(..) => found.documents.push(range(span).start),
            _ => {}
        }
    }
    // A comment may be told after the key that follows it.
    found.comments.sort_by_key(|comment| comment.start);
    found
}
