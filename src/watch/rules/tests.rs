//! Rules on changes: what is copied where, what is left out, and in which order things fire.

use super::*;
use crate::source::span::{SourceMap, Span};

fn rule(action: WatchAction, path: &str, target: Option<&str>) -> WatchRule {
    let file = SourceMap::new().add("compose.yaml", "");
    WatchRule {
        path: Utf8PathBuf::from(path),
        action,
        target: target.map(str::to_owned),
        ignore: vec!["node_modules/".to_owned()],
        include: Vec::new(),
        initial_sync: false,
        exec: None,
        span: Span::new(file, 0, 0),
    }
}

fn prepared(service: &str, rule: WatchRule) -> PreparedRule {
    PreparedRule {
        service: ServiceName::new(service),
        ignore: PatternList::new(rule.ignore.iter().map(String::as_str)).expect("patterns"),
        include: PatternList::new(rule.include.iter().map(String::as_str)).expect("patterns"),
        rule,
        context: None,
    }
}

fn changed(path: &str) -> Change {
    Change {
        path: Utf8PathBuf::from(path),
        removed: false,
    }
}

#[test]
fn a_file_goes_below_the_target_and_what_is_ignored_stays() {
    let rules = [prepared(
        "web",
        rule(WatchAction::SyncRestart, "/src", Some("/app/")),
    )];
    let changes = [
        changed("/src/a/b.js"),
        changed("/src/node_modules/x.js"),
        changed("/src/.b.js.swp"),
        changed("/elsewhere/b.js"),
    ];
    let effects = effects(&rules, &changes, &[]);
    let copied: Vec<&str> = effects.sync.iter().map(|item| item.to.as_str()).collect();
    assert_eq!(copied, ["/app/a/b.js"]);
    assert_eq!(effects.restart, [ServiceName::new("web")]);
}

#[test]
fn a_single_file_goes_to_the_target_itself() {
    let rules = [prepared(
        "web",
        rule(WatchAction::Sync, "/etc/app.conf", Some("/etc/other.conf")),
    )];
    let effects = effects(&rules, &[changed("/etc/app.conf")], &[]);
    assert_eq!(effects.sync[0].to, "/etc/other.conf");
    assert!(effects.restart.is_empty());
}

#[test]
fn several_rules_fire_and_a_rebuilt_service_is_not_restarted_as_well() {
    let rules = [
        prepared("web", rule(WatchAction::Rebuild, "/src/package.json", None)),
        prepared("web", rule(WatchAction::Restart, "/src", None)),
        prepared("worker", rule(WatchAction::Restart, "/src", None)),
    ];
    let effects = effects(&rules, &[changed("/src/package.json")], &[]);
    assert_eq!(effects.rebuild, [ServiceName::new("web")]);
    assert_eq!(effects.restart, [ServiceName::new("worker")]);
}

#[test]
fn compose_files_are_not_copied() {
    let rules = [prepared("web", rule(WatchAction::Sync, "/src", Some("/app")))];
    let never = [Utf8PathBuf::from("/src/compose.yaml")];
    assert!(effects(&rules, &[changed("/src/compose.yaml")], &never).is_empty());
}
