//! What must hold for any text read as a Dockerfile, as a `.dockerignore` and as a word to expand: nothing panics, every instruction
//! stands on lines of the text and in their order, what an instruction keeps as written is there, and an expansion is bounded.

use rcompose_runtime::image_store::build::dockerfile::{Instruction, parse, parse_trigger};
use rcompose_runtime::image_store::build::expand::{expand, expand_heredoc, expand_words};
use rcompose_runtime::image_store::build::ignore::PatternList;

/// An expansion ends at a mebibyte; what stands around its last value comes on top.
const LARGEST: usize = 2 << 20;

fn value(name: &str) -> Option<String> {
    match name {
        "A" => Some("value.tar.gz".to_owned()),
        "B" => Some(String::new()),
        "C" => Some("a b/c *?[x]\\ $A".to_owned()),
        _ => None,
    }
}

fn expanded(text: &str, escape: char) {
    if let Ok(whole) = expand(text, escape, &value) {
        assert!(whole.len() <= LARGEST, "{text:?} grows to {}", whole.len());
        let words = expand_words(text, escape, &value).expect("what expands has words");
        assert!(words.iter().all(|word| !word.is_empty()), "{words:?}");
    }
    let _mistake = expand_heredoc(text, &value);
}

fn words_of(instruction: &Instruction) -> Vec<&str> {
    match instruction {
        Instruction::Env(pairs) | Instruction::Label(pairs) => pairs
            .iter()
            .flat_map(|pair| [pair.name.as_str(), pair.value.as_str()])
            .collect(),
        Instruction::Arg(arguments) => arguments
            .iter()
            .filter_map(|(_, default)| default.as_deref())
            .collect(),
        Instruction::Copy(copy) | Instruction::Add(copy) => copy
            .sources
            .iter()
            .chain([&copy.destination])
            .map(String::as_str)
            .chain(copy.heredocs.iter().map(|document| document.content.as_str()))
            .collect(),
        Instruction::Workdir(word) | Instruction::User(word) | Instruction::StopSignal(word) => vec![word],
        Instruction::Expose(words) | Instruction::Volume(words) => words.iter().map(String::as_str).collect(),
        Instruction::From(_)
        | Instruction::Run(_)
        | Instruction::Cmd(_)
        | Instruction::Entrypoint(_)
        | Instruction::Shell(_)
        | Instruction::Healthcheck(_)
        | Instruction::OnBuild(_)
        | Instruction::Maintainer(_) => Vec::new(),
    }
}

/// Any text as a Dockerfile.
pub fn dockerfile(bytes: &[u8]) {
    let Some(text) = super::text(bytes) else {
        return;
    };
    expanded(text, '\\');
    if let Ok(list) = PatternList::parse(text) {
        for path in ["a", "a/b", "d/sub/x.txt", text.lines().next().unwrap_or_default()] {
            assert!(
                !list.prunes(path) || list.matches(path),
                "{path:?} is left out with all below, but not itself"
            );
        }
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let parsed = match parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(
                (1..=lines.len().max(1)).contains(&error.line),
                "{error} is not in the text"
            );
            return;
        }
    };
    let mut before = 0;
    for located in &parsed.instructions {
        let (first, last) = (located.first_line, located.last_line);
        assert!(
            before < first && first <= last && last <= lines.len(),
            "{first}-{last} after {before}"
        );
        assert!(
            lines[first - 1..last].concat().starts_with(&located.source),
            "{:?}",
            located.source
        );
        before = last;
        for word in words_of(&located.instruction) {
            expanded(word, parsed.directives.escape);
        }
        if let Instruction::OnBuild(trigger) = &located.instruction {
            let _mistake = parse_trigger(trigger, first);
        }
    }
}
