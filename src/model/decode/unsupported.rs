//! In: keys that are valid Compose, but that this engine cannot honour on this host. Out: an error where the service
//! would not run as meant, else a warning, each at its line (code `unsupported-key`).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::model::fields::Fields;
use crate::source::span::Span;

/// How much is lost without a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// The service would not run as meant.
    Essential,
    /// It runs, less well or less confined.
    Bearable,
}
use Loss::{Bearable, Essential};

/// Keys of a service that are refused or ignored whenever they are there.
const SERVICE_KEYS: [(&str, Loss, &str); 14] = [
    ("cpu_count", Bearable, "it is for Windows; use `cpus`"),
    ("cpu_percent", Bearable, "it is for Windows; use `cpus`"),
    ("cpu_rt_period", Bearable, "real-time scheduling is not set up"),
    ("cpu_rt_runtime", Bearable, "real-time scheduling is not set up"),
    ("credential_spec", Essential, "it is for Windows"),
    (
        "external_links",
        Bearable,
        "share a network with the other project instead",
    ),
    ("gpus", Essential, "GPUs are not passed into containers"),
    ("isolation", Bearable, "it is for Windows"),
    ("models", Essential, "language models are not run"),
    (
        "pre_start",
        Essential,
        "use a service with `depends_on` and `condition: service_completed_successfully`",
    ),
    ("provider", Essential, "providers are not run"),
    (
        "storage_opt",
        Bearable,
        "the size of a container's file system is not limited",
    ),
    (
        "use_api_socket",
        Essential,
        "there is no engine API to give to the container",
    ),
    ("volume_driver", Bearable, "give each volume its driver"),
];

/// Finds what a service asks for in vain; gives back each key with its place.
pub(super) fn service(fields: &Fields<'_>, findings: &mut Diagnostics) -> Vec<(String, Span)> {
    let mut found = Found {
        keys: Vec::new(),
        findings,
    };
    for (key, loss, why) in SERVICE_KEYS {
        if let Some(span) = fields.find_key(key) {
            found.add(fields, key, span, loss, why);
        }
    }
    if let Some(mode) = fields.text("userns_mode").filter(|mode| *mode != "host") {
        let span = fields.value_span("userns_mode");
        found.add(
            fields,
            "userns_mode",
            span,
            Bearable,
            &format!("`{mode}` is not set up; users are the host's"),
        );
    }
    if let Some(runtime) = fields
        .text("runtime")
        .filter(|runtime| !["runc", "rcompose"].contains(runtime))
    {
        let span = fields.value_span("runtime");
        found.add(
            fields,
            "runtime",
            span,
            Essential,
            &format!("there is no runtime `{runtime}`, remove the key"),
        );
    }
    if let Some(logging) = fields.child("logging") {
        let known = ["json-file", "local", "none"];
        if let Some(driver) = logging.text("driver").filter(|driver| !known.contains(driver)) {
            let span = logging.value_span("driver");
            found.add(
                &logging,
                "driver",
                span,
                Bearable,
                &format!("`{driver}` is not there; logs are kept as with `json-file`"),
            );
        }
    }
    deploy(fields, &mut found);
    for (_, network) in fields.members("networks") {
        for key in ["ipv6_address", "link_local_ips"] {
            if let Some(span) = network.find_key(key) {
                found.add(
                    &network,
                    key,
                    span,
                    Bearable,
                    "IPv6 and link-local addresses are not set up",
                );
            }
        }
        if let Some(span) = network.find_key("driver_opts") {
            found.add(
                &network,
                "driver_opts",
                span,
                Bearable,
                "options of an endpoint have no effect",
            );
        }
    }
    if let Some(blkio) = fields.child("blkio_config")
        && let Some(span) = blkio.find_key("weight_device")
    {
        found.add(
            &blkio,
            "weight_device",
            span,
            Bearable,
            "weights of single devices are not set",
        );
    }
    found.keys
}

fn deploy(fields: &Fields<'_>, found: &mut Found<'_>) {
    let Some(deploy) = fields.child("deploy") else {
        return;
    };
    if let Some(placement) = deploy.child("placement") {
        for key in ["constraints", "preferences"] {
            if let Some(span) = placement.find_key(key) {
                found.add(
                    &placement,
                    key,
                    span,
                    Bearable,
                    "there is one host only, everything is placed on it",
                );
            }
        }
    }
    let reservations = deploy
        .child("resources")
        .and_then(|resources| resources.child("reservations"));
    if let Some(reservations) = reservations {
        if let Some(span) = reservations.find_key("devices") {
            found.add(
                &reservations,
                "devices",
                span,
                Essential,
                "GPUs are not passed into containers",
            );
        }
        if let Some(span) = reservations.find_key("generic_resources") {
            found.add(
                &reservations,
                "generic_resources",
                span,
                Bearable,
                "there is one host only",
            );
        }
    }
}

struct Found<'a> {
    keys: Vec<(String, Span)>,
    findings: &'a mut Diagnostics,
}

impl Found<'_> {
    fn add(&mut self, parent: &Fields<'_>, key: &str, span: Span, loss: Loss, why: &str) {
        self.keys.push((key.to_owned(), span));
        self.findings.push(finding(parent, key, span, loss, why));
    }
}

fn finding(parent: &Fields<'_>, key: &str, span: Span, loss: Loss, why: &str) -> Diagnostic {
    let path = parent.path().key(key);
    let (severity, message) = match loss {
        Essential => (Severity::Error, format!("{path} cannot be honoured here")),
        Bearable => (Severity::Warning, format!("{path} has no effect here")),
    };
    let mut finding = Diagnostic::warning("unsupported-key", message).at(span).help(why);
    finding.severity = severity;
    finding
}

/// A value of a resource that cannot be had, as an error.
pub(super) fn essential(parent: &Fields<'_>, key: &str, why: &str) -> Diagnostic {
    finding(parent, key, parent.value_span(key), Essential, why)
}

/// A value of a resource that is ignored, as a warning.
pub(super) fn bearable(parent: &Fields<'_>, key: &str, why: &str) -> Diagnostic {
    finding(parent, key, parent.value_span(key), Bearable, why)
}

/// The name of a resource on the host; an empty one is an error.
pub(super) fn name(resource: &Fields<'_>, findings: &mut Diagnostics) -> Option<String> {
    let name = resource.owned("name");
    if name.is_none() {
        findings.push(
            Diagnostic::error("bad-name", format!("{} has an empty name", resource.path()))
                .at(resource.value_span("name"))
                .help("give it a `name:`, or leave the key out"),
        );
    }
    name
}
