//! In: `restart:`, `deploy.restart_policy` and `pull_policy:` of a service. Out: [`Restart`] and [`PullPolicy`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use super::deploy::word;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::model::fields::Fields;
use crate::model::service::{PullPolicy, Restart};
use crate::model::units;

const RESTARTS: [&str; 4] = ["no", "always", "on-failure", "unless-stopped"];
const POLICIES: [&str; 7] = [
    "always", "never", "missing", "build", "daily", "weekly", "refresh",
];
const DAY: Duration = Duration::from_hours(24);

/// `deploy.restart_policy` wins over `restart`.
pub(super) fn restart(service: &Fields<'_>, findings: &mut Diagnostics) -> Restart {
    let policy = service
        .child("deploy")
        .and_then(|deploy| deploy.child("restart_policy"));
    if let Some(policy) = policy {
        word(
            &policy,
            "condition",
            &["any", "on-failure", "none", "unless-stopped", "always"],
            findings,
        );
        return match policy.text("condition") {
            Some("none") => Restart::No,
            Some("unless-stopped") => Restart::UnlessStopped,
            condition => Restart::Deploy {
                any: condition != Some("on-failure"),
                delay: policy.duration("delay").unwrap_or(Duration::from_secs(5)),
                maximum: policy.number("max_attempts").unwrap_or(0),
                window: policy.duration("window").unwrap_or_default(),
            },
        };
    }
    let text = service.text("restart").unwrap_or("no");
    match text {
        "no" => Restart::No,
        "always" => Restart::Always,
        "unless-stopped" => Restart::UnlessStopped,
        "on-failure" => Restart::OnFailure(0),
        _ => {
            let times = text
                .strip_prefix("on-failure:")
                .and_then(|times| times.parse().ok());
            times.map_or_else(
                || {
                    let meant = match text {
                        "never" | "none" | "false" => Some("no"),
                        "true" | "yes" | "on" => Some("always"),
                        _ => nearest(text, RESTARTS),
                    };
                    let mut finding = Diagnostic::error(
                        "unknown-value",
                        format!(
                            "{}: `{text}` is not one of no, always, on-failure[:TIMES], unless-stopped",
                            service.path().key("restart")
                        ),
                    )
                    .at(service.value_span("restart"));
                    if let Some(meant) = meant {
                        finding = finding.help(format!("did you mean `{meant}`?"));
                    }
                    findings.push(finding);
                    Restart::No
                },
                Restart::OnFailure,
            )
        }
    }
}

pub(super) fn pull_policy(service: &Fields<'_>, findings: &mut Diagnostics) -> PullPolicy {
    match service.text("pull_policy") {
        None | Some("missing" | "if_not_present") => PullPolicy::Missing,
        Some("always") => PullPolicy::Always,
        Some("never") => PullPolicy::Never,
        Some("build") => PullPolicy::Build,
        Some("daily") => PullPolicy::Every(DAY),
        Some("weekly") => PullPolicy::Every(7 * DAY),
        Some("refresh") => PullPolicy::Every(service.duration("pull_refresh_after").unwrap_or_default()),
        Some(text) => {
            let every = text.strip_prefix("every_").map(units::parse_duration);
            if let Some(Ok(age)) = every {
                return PullPolicy::Every(age);
            }
            let mut finding = Diagnostic::error(
                "unknown-value",
                format!(
                    "{}: `{text}` is not one of {}, every_<duration>",
                    service.path().key("pull_policy"),
                    POLICIES.join(", ")
                ),
            )
            .at(service.value_span("pull_policy"));
            if let Some(near) = nearest(text, POLICIES) {
                finding = finding.help(format!("did you mean `{near}`?"));
            }
            findings.push(finding);
            PullPolicy::Missing
        }
    }
}
