//! In: where values and variables come from. Out: the same for a person, one line a link of the chain, or as JSON.
//! **Invariant:** both say the same; places are `file:line:column`, from the working directory where they are below it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::Path;

use serde_json::{Map, Value as Json, json};
use unicode_width::UnicodeWidthStr as _;

use crate::model::provenance::{Account, Candidate, Link, Part, Story};
use crate::source::emit;
use crate::source::node::VariableOrigin;
use crate::source::span::{SourceMap, Span};

/// Shows places of these texts to somebody in this directory.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    sources: &'a SourceMap,
    cwd: &'a Path,
}

impl<'a> Shown<'a> {
    /// Places in `sources`, seen from `cwd`.
    pub fn new(sources: &'a SourceMap, cwd: &'a Path) -> Self {
        Self { sources, cwd }
    }

    /// `file:line:column`.
    pub fn place(&self, span: Span) -> String {
        let position = self.sources.position(span);
        let path = self.path(self.sources.path(span.file));
        format!("{path}:{}:{}", position.line, position.column)
    }

    fn path(&self, path: &Path) -> String {
        path.strip_prefix(self.cwd).unwrap_or(path).display().to_string()
    }

    /// Each value with its chain below it.
    pub fn accounts(&self, accounts: &[&Account<'_>]) -> String {
        let mut text = String::new();
        for account in accounts {
            text.extend([
                account.path.to_string(),
                format!(" = {}\n", emit::json(account.node)),
            ]);
            let lines = account
                .links
                .iter()
                .map(|link| (self.link_place(link), words(link)));
            text += &columns("  ", lines.collect());
        }
        text
    }

    fn link_place(&self, link: &Link) -> String {
        match (&link.part, link.place) {
            (_, Some(place)) => self.place(place),
            (Part::Variable { origin, .. }, None) => match origin {
                VariableOrigin::Os => "environment",
                VariableOrigin::Builtin => "rcompose",
                VariableOrigin::Unset | VariableOrigin::File(_) => "nowhere",
            }
            .to_owned(),
            (Part::NameByFlag, None) => "-p".to_owned(),
            (_, None) => "directory".to_owned(),
        }
    }

    /// One object a value.
    pub fn accounts_json(&self, accounts: &[&Account<'_>]) -> Json {
        let account = |account: &&Account<'_>| {
            let chain: Vec<Json> = account.links.iter().map(|link| self.link_json(link)).collect();
            json!({
                "path": account.path.to_string(),
                "value": emit::json(account.node),
                "origin": account.links.first().map(|link| kind(&link.part)),
                "chain": chain,
            })
        };
        Json::Array(accounts.iter().map(account).collect())
    }

    fn link_json(&self, link: &Link) -> Json {
        let mut object = Map::new();
        object.insert("kind".to_owned(), kind(&link.part).into());
        object.insert("says".to_owned(), words(link).into());
        if let Part::Variable {
            name, value, origin, ..
        } = &link.part
        {
            object.insert("variable".to_owned(), name.as_str().into());
            object.insert("variable_value".to_owned(), json!(value));
            let from = match origin {
                VariableOrigin::Os => "environment",
                VariableOrigin::File(_) => "file",
                VariableOrigin::Builtin => "rcompose",
                VariableOrigin::Unset => "unset",
            };
            object.insert("variable_from".to_owned(), from.into());
        }
        if let Some(place) = link.place {
            self.insert_place(&mut object, place);
        }
        Json::Object(object)
    }

    fn insert_place(&self, object: &mut Map<String, Json>, span: Span) {
        let position = self.sources.position(span);
        let path = self.sources.path(span.file).display().to_string();
        object.insert("file".to_owned(), path.into());
        object.insert("line".to_owned(), position.line.into());
        object.insert("column".to_owned(), position.column.into());
    }

    /// All about a variable.
    pub fn story(&self, story: &Story) -> String {
        let Story { name, value, .. } = story;
        let mut text = match value.as_deref() {
            None => format!("{name} is not set\n"),
            Some("") => format!("{name} = \"\", set but empty\n"),
            Some(value) => format!("{name} = {}\n", Json::from(value)),
        };
        text += "  looked up in this order:\n";
        let candidates = story.candidates.iter().map(|candidate| self.candidate(candidate));
        text += &columns("    ", candidates.collect());
        if !story.usages.is_empty() {
            text += "  used in:\n";
            let usages = story.usages.iter().map(|usage| {
                let other = usage
                    .other
                    .map(|span| format!(", where it is from {}", self.place(span)));
                let expression = self.sources.text(usage.place);
                let other = other.unwrap_or_default();
                (
                    self.place(usage.place),
                    format!("{expression} of {}{other}", usage.path),
                )
            });
            text += &columns("    ", usages.collect());
        }
        text.extend(story.hints.iter().map(|hint| format!("  hint: {hint}\n")));
        text
    }

    fn candidate(&self, candidate: &Candidate) -> (String, String) {
        let place = match (&candidate.sets, &candidate.file) {
            (Some((_, Some(span))), _) => self.place(*span),
            (_, Some(path)) => self.path(path),
            (_, None) if candidate.is_builtin => "rcompose".to_owned(),
            (_, None) => "environment".to_owned(),
        };
        let words = match &candidate.sets {
            Some((value, _)) if candidate.counts => {
                format!("{}, this one counts", Json::from(value.as_str()))
            }
            Some((value, _)) => format!("{}, hidden by the one that counts", Json::from(value.as_str())),
            None if !candidate.is_there => "no such file".to_owned(),
            None => "does not set it".to_owned(),
        };
        (place, words)
    }

    /// All about a variable, as data.
    pub fn story_json(&self, story: &Story) -> Json {
        let lookup = story.candidates.iter().map(|candidate| {
            let mut object = Map::new();
            let source = match (&candidate.file, candidate.is_builtin) {
                (Some(path), _) => path.display().to_string(),
                (None, true) => "rcompose".to_owned(),
                (None, false) => "environment".to_owned(),
            };
            object.insert("source".to_owned(), source.into());
            object.insert("exists".to_owned(), candidate.is_there.into());
            let value = candidate.sets.as_ref().map(|(value, _)| value.as_str());
            object.insert("value".to_owned(), json!(value));
            object.insert("counts".to_owned(), candidate.counts.into());
            if let Some((_, Some(span))) = candidate.sets {
                self.insert_place(&mut object, span);
            }
            Json::Object(object)
        });
        let uses = story.usages.iter().map(|usage| {
            let mut object = Map::new();
            object.insert("path".to_owned(), usage.path.to_string().into());
            object.insert("expression".to_owned(), self.sources.text(usage.place).into());
            self.insert_place(&mut object, usage.place);
            Json::Object(object)
        });
        json!({
            "name": story.name,
            "value": story.value,
            "lookup": lookup.collect::<Vec<_>>(),
            "uses": uses.collect::<Vec<_>>(),
            "hints": story.hints,
        })
    }
}

/// Two columns, each line behind `indent`.
fn columns(indent: &str, lines: Vec<(String, String)>) -> String {
    let width = lines
        .iter()
        .map(|(left, _)| left.width())
        .max()
        .unwrap_or_default();
    let line = |(left, right): (String, String)| {
        let gap = " ".repeat(width - left.width() + 2);
        format!("{indent}{left}{gap}{right}\n")
    };
    lines.into_iter().map(line).collect()
}

/// The kind of a link, as data.
fn kind(part: &Part) -> &'static str {
    match part {
        Part::Written(_) => "written",
        Part::Implied(_) => "implied",
        Part::NameByFlag => "flag",
        Part::NameByDirectory => "directory",
        Part::Variable { .. } => "variable",
        Part::ReadFrom => "read-from",
        Part::Aliased(_) => "alias",
        Part::MergedIn(_) => "merge-key",
        Part::Extended => "extends",
        Part::Included => "include",
        Part::Replaced(_) => "replaced",
    }
}

fn words(link: &Link) -> String {
    match &link.part {
        Part::Written(None) => "written here".to_owned(),
        Part::Written(Some(text)) => format!("written as {text}"),
        Part::Implied(rule) => rule.words().to_owned(),
        Part::NameByFlag => "the flag names the project".to_owned(),
        Part::NameByDirectory => "not written: the project is called like its directory".to_owned(),
        Part::Variable {
            name, value, instead, ..
        } => {
            let said = match value.as_deref() {
                None => format!("{name} is not set"),
                Some("") => format!("{name} = \"\", set but empty"),
                Some(value) => format!("{name} = {}", Json::from(value)),
            };
            match instead {
                Some(default) => format!("{said}: the default {} counts", Json::from(default.as_str())),
                None => said,
            }
        }
        Part::ReadFrom => "names the file it was read from".to_owned(),
        Part::Aliased(alias) => format!("the alias {alias} stands for it"),
        Part::MergedIn(merge) => format!("merged in by {merge}"),
        Part::Extended => "inherited by this `extends`".to_owned(),
        Part::Included => "imported by this `include`".to_owned(),
        Part::Replaced(text) if text.is_empty() => "replaced what was said here".to_owned(),
        Part::Replaced(text) => format!("replaced {text}"),
    }
}
