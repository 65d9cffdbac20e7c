//! In: a normalised `build:`. Out: the [`Build`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::diagnostic::Diagnostics;
use crate::model::build::Build;
use crate::model::fields::Fields;

/// Keys that change how an image is built elsewhere, with what is said about them.
const IGNORED: [(&str, &str); 11] = [
    ("cache_from", "the local layer cache is used"),
    ("cache_to", "the local layer cache is used"),
    ("entitlements", "builds have no entitlements"),
    ("isolation", "it is for Windows"),
    ("no_cache_filter", "use `no_cache` for the whole build"),
    ("privileged", "builds run with the default capabilities"),
    ("provenance", "no attestation is made"),
    ("sbom", "no attestation is made"),
    ("ssh", "no SSH agent is forwarded into builds"),
    ("ulimits", "builds run with the host's limits"),
    ("platforms", "images are built for this host's platform"),
];

pub(super) fn decode(fields: &Fields<'_>, findings: &mut Diagnostics) -> Build {
    let mut unsupported = Vec::new();
    for (key, why) in IGNORED {
        if let Some(span) = fields.find_key(key) {
            unsupported.push((key.to_owned(), span));
            findings.push(super::unsupported::bearable(fields, key, why));
        }
    }
    Build {
        context: fields.owned("context").unwrap_or_default(),
        dockerfile: fields.owned("dockerfile"),
        dockerfile_inline: fields.owned("dockerfile_inline"),
        args: fields.nullable_pairs("args"),
        target: fields.owned("target"),
        labels: fields.pairs("labels"),
        tags: fields.texts("tags"),
        network: fields.owned("network"),
        no_cache: fields.flag("no_cache"),
        pull: fields.flag("pull"),
        additional_contexts: fields.pairs("additional_contexts"),
        extra_hosts: fields.hosts("extra_hosts"),
        secrets: fields
            .items("secrets")
            .filter_map(|secret| secret.owned("source"))
            .collect(),
        platforms: fields.texts("platforms"),
        shm_size: fields.bytes("shm_size"),
        unsupported,
        span: fields.span(),
    }
}
