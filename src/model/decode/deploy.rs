//! In: `deploy:` and `scale:` of a service. Out: [`Deploy`] and the number of replicas.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::model::deploy::{Deploy, Mode, Update};
use crate::model::fields::Fields;

const MODES: [&str; 4] = ["replicated", "global", "replicated-job", "global-job"];
const FAILURE_ACTIONS: [&str; 3] = ["pause", "continue", "rollback"];

pub(super) fn decode(service: &Fields<'_>, findings: &mut Diagnostics) -> Deploy {
    let Some(deploy) = service.child("deploy") else {
        return Deploy::default();
    };
    word(&deploy, "mode", &MODES, findings);
    word(&deploy, "endpoint_mode", &["vip", "dnsrr"], findings);
    Deploy {
        mode: match deploy.text("mode") {
            Some("global") => Mode::Global,
            Some("replicated-job") => Mode::ReplicatedJob,
            Some("global-job") => Mode::GlobalJob,
            _ => Mode::Replicated,
        },
        endpoint_mode: deploy.owned("endpoint_mode"),
        labels: deploy.pairs("labels"),
        update: deploy
            .child("update_config")
            .map(|update| self::update(&update, findings)),
        rollback: deploy
            .child("rollback_config")
            .map(|update| self::update(&update, findings)),
        constraints: deploy
            .child("placement")
            .map(|placement| placement.texts("constraints"))
            .unwrap_or_default(),
    }
}

/// Defaults are swarm's: one at a time, without delay, watched for 5 s.
fn update(fields: &Fields<'_>, findings: &mut Diagnostics) -> Update {
    word(fields, "failure_action", &FAILURE_ACTIONS, findings);
    Update {
        parallelism: fields.number("parallelism").unwrap_or(1),
        delay: fields.duration("delay").unwrap_or_default(),
        failure_action: fields.owned("failure_action"),
        monitor: fields.duration("monitor").unwrap_or(Duration::from_secs(5)),
        max_failure_ratio: fields.decimal("max_failure_ratio").unwrap_or_default(),
        start_first: fields.text("order") == Some("start-first"),
    }
}

/// `scale`, else `deploy.replicas`, else one.
pub(super) fn scale(service: &Fields<'_>) -> u32 {
    let replicas = service
        .child("deploy")
        .and_then(|deploy| deploy.number("replicas"));
    service.number("scale").or(replicas).unwrap_or(1)
}

/// Refuses a text that is none of the words the engine knows.
pub(super) fn word(fields: &Fields<'_>, key: &str, words: &[&str], findings: &mut Diagnostics) {
    let Some(text) = fields.text(key).filter(|text| !words.contains(text)) else {
        return;
    };
    let mut finding = Diagnostic::error(
        "unknown-value",
        format!(
            "{}: `{text}` is not one of {}",
            fields.path().key(key),
            words.join(", ")
        ),
    )
    .at(fields.value_span(key));
    if let Some(near) = nearest(text, words.iter().copied()) {
        finding = finding.help(format!("did you mean `{near}`?"));
    }
    findings.push(finding);
}
