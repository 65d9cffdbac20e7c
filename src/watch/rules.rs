//! In: the `develop.watch` rules of a project, and paths that changed. Out: what to rebuild, copy, restart and run, in that order.
//! **Invariant:** pure; a file may match several rules, and all of them fire.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use camino::{Utf8Path, Utf8PathBuf};
use rcompose_runtime::image_store::build::ignore::{PatternError, PatternList};

use super::ignored::is_noise;
use crate::diagnostic::Diagnostic;
use crate::model::develop::{WatchAction, WatchRule};
use crate::model::mount::MountSource;
use crate::model::service::Hook;
use crate::model::{Project, Service, ServiceName};

/// A rule made ready.
#[derive(Debug, Clone)]
pub struct PreparedRule {
    /// Whose.
    pub service: ServiceName,
    /// As the file has it.
    pub rule: WatchRule,
    ignore: PatternList,
    include: PatternList,
    context: Option<(Utf8PathBuf, PatternList)>,
}

/// A path that changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Absolute.
    pub path: Utf8PathBuf,
    /// It is gone.
    pub removed: bool,
}

/// One file to bring into every replica of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncItem {
    /// Whose.
    pub service: ServiceName,
    /// Absolute path of the host.
    pub from: Utf8PathBuf,
    /// Absolute path in the container.
    pub to: String,
    /// Remove instead of copy.
    pub removed: bool,
}

/// What a batch of changes asks for; the fields are done in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Build and recreate.
    pub rebuild: Vec<ServiceName>,
    /// Copy or remove.
    pub sync: Vec<SyncItem>,
    /// Restart.
    pub restart: Vec<ServiceName>,
    /// Run inside every replica.
    pub exec: Vec<(ServiceName, Hook)>,
}

impl Effects {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.rebuild.is_empty() && self.sync.is_empty() && self.restart.is_empty() && self.exec.is_empty()
    }
}

/// Prepares all rules of a project. `dockerignore` gives the patterns of a build context, when it has any.
/// A sync below a bind mount of its service would loop: it is left out, with a warning.
pub fn prepare(
    project: &Project,
    dockerignore: &dyn Fn(&Service) -> Option<PatternList>,
) -> Result<(Vec<PreparedRule>, Vec<Diagnostic>), PatternError> {
    let mut rules = Vec::new();
    let mut warnings = Vec::new();
    for service in project.services.values() {
        let context = service
            .build
            .as_ref()
            .and_then(|build| Some((Utf8PathBuf::from(&build.context), dockerignore(service)?)));
        for rule in &service.watch {
            if copies(rule.action) && below_bind_mount(service, &rule.path) {
                let message = format!(
                    "`{}` is already visible in {} through a bind mount; the sync rule is left out",
                    rule.path, service.name
                );
                warnings.push(Diagnostic::warning("watch-below-bind-mount", message).at(rule.span));
                continue;
            }
            rules.push(PreparedRule {
                service: service.name.clone(),
                rule: rule.clone(),
                ignore: PatternList::new(rule.ignore.iter().map(String::as_str))?,
                include: PatternList::new(rule.include.iter().map(String::as_str))?,
                context: context.clone(),
            });
        }
    }
    Ok((rules, warnings))
}

fn copies(action: WatchAction) -> bool {
    match action {
        WatchAction::Sync | WatchAction::SyncRestart | WatchAction::SyncExec => true,
        WatchAction::Restart | WatchAction::Rebuild => false,
    }
}

fn below_bind_mount(service: &Service, path: &Utf8Path) -> bool {
    service.mounts.iter().any(
        |mount| matches!(&mount.source, MountSource::Bind { path: bound, .. } if path.starts_with(bound)),
    )
}

impl PreparedRule {
    /// The path relative to the rule's, when the rule counts it; empty when it is the rule's path itself.
    pub fn matches(&self, path: &Utf8Path) -> Option<Utf8PathBuf> {
        let relative = path.strip_prefix(&self.rule.path).ok()?;
        let text = relative.as_str();
        if text.is_empty() {
            return Some(relative.to_owned());
        }
        let left_out_of_context = self
            .context
            .as_ref()
            .and_then(|(context, list)| Some(list.matches(path.strip_prefix(context).ok()?.as_str())))
            .unwrap_or(false);
        let included = self.include.is_empty() || self.include.matches(text);
        (included && !is_noise(text) && !self.ignore.matches(text) && !left_out_of_context)
            .then(|| relative.to_owned())
    }

    /// Where the path goes in the container.
    pub fn destination(&self, relative: &Utf8Path) -> Option<String> {
        let target = self.rule.target.as_deref()?.trim_end_matches('/');
        if relative.as_str().is_empty() {
            Some(target.to_owned())
        } else {
            Some(format!("{target}/{relative}"))
        }
    }
}

/// What the changes ask for. Files of `never` (compose files, env files) are not copied into containers.
pub fn effects(rules: &[PreparedRule], changes: &[Change], never: &[Utf8PathBuf]) -> Effects {
    let mut effects = Effects::default();
    for rule in rules {
        let mut fired = false;
        for change in changes {
            let Some(relative) = rule.matches(&change.path) else {
                continue;
            };
            if copies(rule.rule.action) {
                let Some(to) = rule.destination(&relative) else {
                    continue;
                };
                if never.contains(&change.path) {
                    continue;
                }
                let item = SyncItem {
                    service: rule.service.clone(),
                    from: change.path.clone(),
                    to,
                    removed: change.removed,
                };
                if !effects.sync.contains(&item) {
                    effects.sync.push(item);
                }
            }
            fired = true;
        }
        if !fired {
            continue;
        }
        match rule.rule.action {
            WatchAction::Sync => {}
            WatchAction::SyncRestart | WatchAction::Restart => add(&mut effects.restart, &rule.service),
            WatchAction::Rebuild => add(&mut effects.rebuild, &rule.service),
            WatchAction::SyncExec => {
                if let Some(hook) = &rule.rule.exec {
                    effects.exec.push((rule.service.clone(), hook.clone()));
                }
            }
        }
    }
    // A service that is rebuilt gets a new container anyway.
    let rebuilt = effects.rebuild.clone();
    effects.restart.retain(|service| !rebuilt.contains(service));
    effects
}

fn add(list: &mut Vec<ServiceName>, name: &ServiceName) {
    if !list.contains(name) {
        list.push(name.clone());
    }
}

#[cfg(test)]
mod tests;
