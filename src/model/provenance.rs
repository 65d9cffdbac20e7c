//! In: a loaded project. Out: for each value that `config` prints, where it was written and what happened to it on the
//! way ([`accounts`]); for a variable, who sets it and who uses it ([`story`]).
//! **Invariant:** every account begins with a place in a file or with the rule that made the value.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod query;
mod variable;
mod written;

use std::collections::BTreeSet;
use std::path::PathBuf;

pub use self::query::{Absence, absence, select};
pub use self::variable::{Candidate, Story, Usage, story};
use self::written::Written;
use crate::diagnostic::Diagnostics;
use crate::source::dotenv;
use crate::source::env::Environment;
use crate::source::implied::Implied;
use crate::source::load::{Loaded, NameOrigin};
use crate::source::node::{Node, Step, Value, VariableOrigin};
use crate::source::path::{NodePath, Segment};
use crate::source::span::{FileId, SourceMap, Span};
use crate::source::template;

/// What is known of one value that has no values below it.
#[derive(Clone, Debug)]
pub struct Account<'a> {
    /// Where in the printed tree it is.
    pub path: NodePath,
    /// The value.
    pub node: &'a Node,
    /// What led to it: first where it was written or what implied it, then the rest.
    pub links: Vec<Link>,
}

/// One thing that had a part in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its part.
    pub part: Part,
    /// Where it is written, or used if nothing sets it; none for what comes from outside all files.
    pub place: Option<Span>,
}

/// The part that something had in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// It was written here, as this text if that is not the value itself.
    Written(Option<String>),
    /// No file says it, a rule does; the place is what the rule was applied to.
    Implied(Implied),
    /// The project is called by `-p`.
    NameByFlag,
    /// The project is called like its directory.
    NameByDirectory,
    /// The value of a variable was put in.
    Variable {
        /// Its name.
        name: String,
        /// Its value; none if it is not set.
        value: Option<String>,
        /// Where it was set.
        origin: VariableOrigin,
        /// What counted in its place, if it was not set or empty.
        instead: Option<String>,
    },
    /// It was read from a file that this `env_file` or `label_file` names.
    ReadFrom,
    /// The alias here stands for it.
    Aliased(String),
    /// The `<<` here merged it in.
    MergedIn(String),
    /// The `extends` here inherited it.
    Extended,
    /// The `include` here imported it.
    Included,
    /// It took the place of this.
    Replaced(String),
}

/// The accounts of all values below `root`, the tree as `config` prints it, in its order.
pub fn accounts<'a>(root: &'a Node, loaded: &Loaded, sources: &SourceMap) -> Vec<Account<'a>> {
    let teller = Teller {
        loaded,
        sources,
        compose_files: compose_files(loaded, sources),
    };
    let mut accounts = Vec::new();
    teller.below(root, &NodePath::root(), &mut Vec::new(), &mut accounts);
    accounts
}

/// The files that values of the tree were written in, and those that were given.
pub(super) fn compose_files(loaded: &Loaded, sources: &SourceMap) -> BTreeSet<FileId> {
    fn below(node: &Node, found: &mut BTreeSet<FileId>) {
        found.insert(node.span.file);
        match &node.value {
            Value::Seq(items) => items.iter().for_each(|item| below(item, found)),
            Value::Map(mapping) => mapping.iter().for_each(|(_, node)| below(node, found)),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
        }
    }
    let given = sources
        .files()
        .filter(|(_, file)| loaded.files.contains(&file.path));
    let mut found = given.map(|(id, _)| id).collect();
    below(&loaded.root, &mut found);
    found
}

struct Teller<'a> {
    loaded: &'a Loaded,
    sources: &'a SourceMap,
    compose_files: BTreeSet<FileId>,
}

impl Teller<'_> {
    fn below<'n>(
        &self,
        node: &'n Node,
        path: &NodePath,
        around: &mut Vec<&'n Node>,
        accounts: &mut Vec<Account<'n>>,
    ) {
        let children: Vec<(NodePath, &Node)> = match &node.value {
            Value::Seq(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| (path.index(index), item)).collect()
            }
            Value::Map(mapping) => {
                let entries = mapping.iter();
                entries.map(|(key, node)| (path.key(key), node)).collect()
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => Vec::new(),
        };
        if children.is_empty() {
            accounts.push(Account {
                path: path.clone(),
                node,
                links: self.links(node, path, around),
            });
        }
        around.push(node);
        for (path, child) in children {
            self.below(child, &path, around, accounts);
        }
        around.pop();
    }

    fn links(&self, node: &Node, path: &NodePath, around: &[&Node]) -> Vec<Link> {
        let steps = history(node, around);
        let mut links = self.origin(node, path);
        for step in &steps {
            if let Step::Interpolated { name, origin, span } = step {
                links.push(self.variable(name, origin, Some(*span)));
            }
        }
        for (at, step) in steps.iter().enumerate() {
            let (part, span) = match step {
                // The alias after `<<` is told with it.
                Step::Aliased(_) if matches!(steps.get(at + 1), Some(Step::MergedIn(_))) => continue,
                Step::Aliased(span) => (Part::Aliased(self.first_line(*span)), *span),
                Step::MergedIn(span) => (Part::MergedIn(self.rest_of_line(*span)), *span),
                Step::Extended(span) => (Part::Extended, *span),
                Step::Included(span) => (Part::Included, *span),
                Step::Overrode(_) | Step::Interpolated { .. } => continue,
            };
            links.push(Link {
                part,
                place: Some(span),
            });
        }
        for step in steps.iter().rev() {
            if let Step::Overrode(span) = step {
                links.push(Link {
                    part: Part::Replaced(self.first_line(*span)),
                    place: Some(*span),
                });
            }
        }
        links
    }

    /// Where the value was written, or what implied it.
    fn origin(&self, node: &Node, path: &NodePath) -> Vec<Link> {
        let written = Written::of(self.sources, node, path);
        let link = |part| Link {
            part,
            place: Some(written.place),
        };
        match node.implied {
            Some(Implied::ProjectName) => return self.project_name(node),
            // A range is only told where the port itself is not written.
            Some(Implied::PortOfRange) if written.is_verbatim => {}
            Some(Implied::FromEnvironment) => {
                let name = path.last_key().unwrap_or_default();
                let origin = self.loaded.environment.origin(name);
                return vec![
                    link(Part::Implied(Implied::FromEnvironment)),
                    self.variable(name, &origin, None),
                ];
            }
            Some(rule) => return vec![link(Part::Implied(rule))],
            None => {}
        }
        let mut links = vec![link(Part::Written(written.text.clone()))];
        if !self.compose_files.contains(&node.span.file)
            && let Some((place, is_raw)) = self.named_by(node.span.file, path)
        {
            if !is_raw && !written.is_literal {
                for name in template::variables(self.sources.text(written.place)) {
                    let origin = self.loaded.environment.origin(&name);
                    links.push(self.variable(&name, &origin, None));
                }
            }
            links.push(Link {
                part: Part::ReadFrom,
                place: Some(place),
            });
        }
        links
    }

    fn project_name(&self, node: &Node) -> Vec<Link> {
        let outside = |part| vec![Link { part, place: None }];
        match &self.loaded.name_origin {
            NameOrigin::Flag => outside(Part::NameByFlag),
            NameOrigin::Directory => outside(Part::NameByDirectory),
            NameOrigin::Variable(origin) => vec![self.variable("COMPOSE_PROJECT_NAME", origin, None)],
            NameOrigin::File(_) => {
                let written = Written::of(self.sources, node, &NodePath::root());
                vec![Link {
                    part: Part::Written(written.text),
                    place: Some(written.place),
                }]
            }
        }
    }

    /// The part of a variable; `used` is where its expression is written.
    fn variable(&self, name: &str, origin: &VariableOrigin, used: Option<Span>) -> Link {
        let expression = used.map(|span| self.sources.text(span)).unwrap_or_default();
        let value = self.value(name, origin);
        let is_empty = value.as_deref().unwrap_or_default().is_empty();
        let asked = template::asked(expression).into_iter().next();
        let instead = asked.filter(|asked| {
            let counts = value.is_none() || (is_empty && expression.contains(":-"));
            counts && !asked.default.is_empty()
        });
        Link {
            part: Part::Variable {
                name: name.to_owned(),
                value,
                origin: origin.clone(),
                instead: instead.map(|asked| asked.default),
            },
            place: match origin {
                VariableOrigin::File(span) => Some(*span),
                VariableOrigin::Unset => used,
                VariableOrigin::Os | VariableOrigin::Builtin => None,
            },
        }
    }

    /// A variable's value; that of an included project's own environment is read again from its file.
    fn value(&self, name: &str, origin: &VariableOrigin) -> Option<String> {
        let environment: &Environment = &self.loaded.environment;
        if let Some(variable) = environment.variable(name)
            && (variable.origin == *origin || *origin == VariableOrigin::Builtin)
        {
            return Some(variable.value.clone());
        }
        let VariableOrigin::File(span) = origin else {
            return None;
        };
        let text = &self.sources.file(span.file).text;
        let lookup = |name: &str| environment.get(name).map(str::to_owned);
        let entries = dotenv::parse(span.file, text, &lookup, &mut Diagnostics::new());
        let entry = entries.into_iter().find(|entry| entry.span == *span);
        entry.map(|entry| entry.value)
    }

    /// The `env_file` or `label_file` entry of the service at `path` that names a file, and whether it is raw.
    fn named_by(&self, file: FileId, path: &NodePath) -> Option<(Span, bool)> {
        let [_, Segment::Key(service), ..] = path.segments() else {
            return None;
        };
        let wanted: PathBuf = self.sources.path(file).to_owned();
        let service = self.loaded.root.get("services")?.get(service)?;
        ["env_file", "label_file"].into_iter().find_map(|key| {
            let files = service.get(key)?;
            let entries = files.as_seq().unwrap_or(std::slice::from_ref(files));
            let entry = entries.iter().find_map(|entry| {
                let path = entry.get("path").unwrap_or(entry);
                (path
                    .as_str()
                    .is_some_and(|text| wanted == self.loaded.project_directory.join(text)))
                .then_some((entry, path))
            });
            entry.map(|(entry, path)| {
                let is_raw = entry.get("format").and_then(Node::as_str) == Some("raw");
                (path.span, is_raw)
            })
        })
    }

    fn first_line(&self, span: Span) -> String {
        written::first_line(self.sources.text(span))
    }

    fn rest_of_line(&self, span: Span) -> String {
        let file = self.sources.file(span.file);
        let rest = file.text.get(span.start()..).unwrap_or_default();
        written::first_line(rest.lines().next().unwrap_or_default())
    }
}

/// What happened to a value, and to the collections around it as far as they were written around it.
fn history(node: &Node, around: &[&Node]) -> Vec<Step> {
    let mut steps = node.steps().to_vec();
    for outer in around.iter().rev() {
        let covers = |span: Span| {
            span.file == outer.span.file
                && outer.span.start() <= span.start()
                && span.end() <= outer.span.end()
        };
        let arrived = |step: &Step| match step {
            Step::Aliased(span) | Step::MergedIn(span) => covers(*span),
            Step::Overrode(_) | Step::Extended(_) | Step::Included(_) | Step::Interpolated { .. } => false,
        };
        if !covers(node.span) && !node.steps().iter().any(arrived) {
            continue;
        }
        for step in outer.steps() {
            if !steps.contains(step) {
                steps.push(step.clone());
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests;
