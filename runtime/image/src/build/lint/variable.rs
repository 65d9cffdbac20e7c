//! In: a raw word. Out: the variables it uses.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::cell::RefCell;

use crate::build::expand::{Lookup, expand, expand_heredoc};

/// Names a word looks up, each once, in order.
pub(super) fn names_in(word: &str, escape: char) -> Vec<String> {
    looked_up(&|look_up| expand(word, escape, look_up))
}

/// The same of the text of a heredoc.
pub(super) fn names_in_text(text: &str) -> Vec<String> {
    looked_up(&|look_up| expand_heredoc(text, look_up))
}

fn looked_up(expand: &dyn Fn(Lookup<'_>) -> Result<String, String>) -> Vec<String> {
    let names = RefCell::new(Vec::new());
    let look_up = |name: &str| {
        let mut names = names.borrow_mut();
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        None
    };
    // A malformed word is an error of the build, not of its style.
    drop(expand(&look_up));
    names.into_inner()
}
