//! In: what a command was asked to load. Out: the project, the tree `config` prints, and everything that is to be said.
//! **Invariant:** no stage stops at its first finding; a later stage only runs on what an earlier one left whole.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::checked::{Checked, CheckedTree};
use super::consequence::independent;
use super::project::Project;
use super::service_files::ServiceFiles;
use super::{env_file, expand, normalise, profile, schema, validate};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::source::load::{self as source, LoadOptions, Loaded};
use crate::source::node::Node;
use crate::source::parallel::{beside, is_large};
use crate::source::span::SourceMap;

/// How far a project is loaded.
#[derive(Clone, Debug)]
pub struct Options {
    /// Files, names, profiles and environment.
    pub source: LoadOptions,
    /// Services named on the command line: their profiles are switched on. Which of them are acted on is the
    /// command's matter ([`profile::select`]); [`Outcome::normalised`] has them and what they depend on.
    pub services: Vec<String>,
    /// Names, networks and dependencies are spelled out (off with `config --no-normalize`).
    pub normalise: bool,
    /// The parts are checked against each other (off with `config --no-consistency`).
    pub consistency: bool,
    /// Variables get their values from the environment and from `env_file` (off with `config --no-env-resolution`).
    pub environment: bool,
}

impl Options {
    /// A project as every command but `config` loads it.
    pub fn new(source: LoadOptions) -> Self {
        Self {
            source,
            services: Vec::new(),
            normalise: true,
            consistency: true,
            environment: true,
        }
    }
}

/// What came of loading.
#[derive(Debug)]
pub struct Outcome {
    /// The project; none when any finding is an error.
    pub project: Option<Project>,
    /// The tree to print, with the selected services; none when the files are no valid Compose files. It may be there
    /// without a project: when the files are right, but this host cannot do what they ask for.
    pub normalised: Option<Node>,
    /// What is wrong with the files, ordered by place.
    pub diagnostics: Diagnostics,
    /// What is right, but not possible here (code `unsupported-key` and the like), ordered by place.
    pub refusals: Diagnostics,
    /// All texts read, for showing findings.
    pub sources: SourceMap,
    /// The merged tree and what was read for it; none when a file could not be read.
    pub loaded: Option<Loaded>,
}

impl Outcome {
    /// All findings, ordered by place.
    pub fn findings(&self) -> Diagnostics {
        together(&self.diagnostics, &self.refusals)
    }
}

/// What is wrong with the files and what is not possible here, ordered by place; a warning that is refused at the same
/// place for the same reason is left out.
pub fn together(diagnostics: &Diagnostics, refusals: &Diagnostics) -> Diagnostics {
    let refused = |warning: &Diagnostic| {
        let same = |refusal: &Diagnostic| refusal.code == warning.code && refusal.span() == warning.span();
        warning.severity < Severity::Error && refusals.iter().any(same)
    };
    let stated = diagnostics.iter().filter(|finding| !refused(finding));
    let mut all: Diagnostics = stated.chain(refusals).cloned().collect();
    all.sort();
    all
}

/// Loads a project through all stages.
pub fn load(options: &Options) -> Outcome {
    let checked = check(options);
    let (project, refusals) = checked.project();
    checked.with(project, refusals)
}

/// Loads a project up to the tree that can be printed and decoded.
pub fn check(options: &Options) -> Checked {
    let (loaded, mut diagnostics, mut sources) = source::load(&options.source);
    let mut tree = None;
    if let Some(loaded) = &loaded {
        diagnostics = env_file::explain_missing(diagnostics, loaded, &mut sources);
        tree = stages(options, loaded, &mut diagnostics, &mut sources);
    }
    diagnostics.sort();
    Checked {
        tree,
        all_resources: options.source.all_resources,
        environment: options.environment,
        diagnostics,
        sources,
        loaded,
    }
}

fn stages(
    options: &Options,
    loaded: &Loaded,
    diagnostics: &mut Diagnostics,
    sources: &mut SourceMap,
) -> Option<CheckedTree> {
    let lookup = |name: &str| loaded.environment.get(name).map(str::to_owned);
    let directory = loaded.project_directory.to_string_lossy();
    let raw = !options.source.interpolate;
    for earlier in &loaded.earlier {
        let found = schema::validate(earlier, raw);
        let mut short = Diagnostics::new();
        expand::expand(&mut earlier.clone(), raw, &mut short);
        let short = independent(short, &found, earlier);
        diagnostics.append(found);
        diagnostics.append(short);
    }
    let context = normalise::Context {
        project: &loaded.project_name,
        directory: if options.source.resolve_paths {
            &directory
        } else {
            "."
        },
        lookup: &lookup,
        implied: options.normalise,
        raw,
        environment: options.environment,
    };
    let large = is_large(&loaded.root);
    let (found, (mut root, findings)) = beside(
        large,
        || schema::validate(&loaded.root, raw),
        || normalise::normalise(&loaded.root, context),
    );
    diagnostics.append(independent(found, diagnostics, &loaded.root));
    diagnostics.append(independent(findings, diagnostics, &loaded.root));
    diagnostics.append(validate::sources(&loaded.root));
    if raw {
        return (!diagnostics.has_errors()).then_some(CheckedTree::Raw(root));
    }
    let enabled = profile::enabled(&root, &loaded.profiles, &options.services);
    // Doubts only count in a project without errors, but they are found while those are looked for.
    let ((doubts, mut found), inconsistent) = beside(
        large,
        || (validate::doubts(&root, &enabled), validate::parts(&root)),
        || {
            options
                .consistency
                .then(|| validate::consistency(&root, &enabled))
        },
    );
    found.append(inconsistent.unwrap_or_default());
    if options.consistency {
        normalise::agree_on_replicas(&mut root);
    }
    diagnostics.append(independent(found, diagnostics, &loaded.root));
    if options.environment && !diagnostics.has_errors() {
        ServiceFiles {
            lookup: &lookup,
            sources,
            diagnostics,
        }
        .read_all(&mut root, &enabled);
    }
    if diagnostics.has_errors() {
        return None;
    }
    let all = options.source.all_resources;
    let is_wanted = |doubt: &Diagnostic| !(all && doubt.code == "unused-resource");
    diagnostics.extend(doubts.into_iter().filter(is_wanted));
    let selected = profile::selected(&root, &enabled, &options.services);
    let tree = if all {
        root
    } else {
        profile::narrow_resources(root, &enabled)
    };
    Some(CheckedTree::Whole {
        tree,
        enabled,
        selected,
    })
}
