//! In: `develop.watch` and lifecycle hooks of a service. Out: [`WatchRule`]s and [`Hook`]s.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use camino::Utf8PathBuf;

use crate::model::develop::{WatchAction, WatchRule};
use crate::model::fields::Fields;
use crate::model::service::Hook;

pub(super) fn watch(service: &Fields<'_>) -> Vec<WatchRule> {
    let Some(develop) = service.child("develop") else {
        return Vec::new();
    };
    develop
        .items("watch")
        .map(|rule| WatchRule {
            path: Utf8PathBuf::from(rule.owned("path").unwrap_or_default()),
            action: match rule.text("action") {
                Some("sync") => WatchAction::Sync,
                Some("sync+restart") => WatchAction::SyncRestart,
                Some("sync+exec") => WatchAction::SyncExec,
                Some("restart") => WatchAction::Restart,
                _ => WatchAction::Rebuild,
            },
            target: rule.owned("target"),
            ignore: rule.texts("ignore"),
            include: rule.texts("include"),
            initial_sync: rule.flag("initial_sync"),
            exec: rule
                .child("exec")
                .filter(|exec| exec.has("command"))
                .map(|exec| hook(&exec)),
            span: rule.span(),
        })
        .collect()
}

pub(super) fn hooks(service: &Fields<'_>, key: &'static str) -> Vec<Hook> {
    service.items(key).map(|item| hook(&item)).collect()
}

fn hook(fields: &Fields<'_>) -> Hook {
    Hook {
        command: fields.texts("command"),
        user: fields.owned("user"),
        privileged: fields.flag("privileged"),
        working_dir: fields.owned("working_dir"),
        environment: fields.nullable_pairs("environment"),
    }
}
