//! In: a normalised `build:`. Out: the [`Build`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::limits;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::attestation;
use crate::model::build::Build;
use crate::model::build_cache;
use crate::model::fields::Fields;

pub(super) fn decode(fields: &Fields<'_>, findings: &mut Diagnostics) -> Build {
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
        cache_from: caches(fields, "cache_from", build_cache::import, findings),
        cache_to: caches(fields, "cache_to", build_cache::export, findings),
        no_cache_filter: match fields.owned("no_cache_filter") {
            Some(stage) => vec![stage],
            None => fields.texts("no_cache_filter"),
        },
        pull: fields.flag("pull"),
        additional_contexts: fields.pairs("additional_contexts"),
        ssh: fields.texts("ssh"),
        platforms: fields.texts("platforms"),
        extra_hosts: fields.hosts("extra_hosts"),
        secrets: fields
            .items("secrets")
            .filter_map(|secret| {
                let source = secret.owned("source")?;
                Some((secret.owned("target").unwrap_or_else(|| source.clone()), source))
            })
            .collect(),
        shm_size: fields.bytes("shm_size"),
        ulimits: limits::ulimits(fields),
        provenance: attested(fields, "provenance", attestation::provenance, findings),
        sbom: attested(fields, "sbom", attestation::sbom, findings),
        span: fields.span(),
    }
}

fn caches<T>(
    fields: &Fields<'_>,
    key: &'static str,
    read: fn(&str) -> Result<T, String>,
    findings: &mut Diagnostics,
) -> Vec<T> {
    let mut found = Vec::new();
    for (index, (text, span)) in fields.spanned_texts(key).enumerate() {
        match read(text) {
            Ok(cache) => found.push(cache),
            Err(problem) => {
                let path = fields.path().key(key).index(index);
                let message = format!("{path} is no cache of builds: `{text}`");
                findings.push(Diagnostic::error("bad-value", message).at(span).help(problem));
            }
        }
    }
    found
}

fn attested<T: Default>(
    fields: &Fields<'_>,
    key: &'static str,
    read: fn(&str) -> Result<T, String>,
    findings: &mut Diagnostics,
) -> T {
    read(fields.text(key).unwrap_or_default()).unwrap_or_else(|problem| {
        let message = format!("{} cannot be attested as it says", fields.path().key(key));
        findings.push(
            Diagnostic::error("bad-value", message)
                .at(fields.value_span(key))
                .help(problem),
        );
        T::default()
    })
}
