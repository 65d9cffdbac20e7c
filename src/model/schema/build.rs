//! The keys of `build:`, in the order they are printed (Compose Build Specification).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::attached::FILE_MOUNTS;
use super::service::ULIMITS;
use super::shape::Shape::{Bytes, Flag, FlagOrText, Hosts, Pairs, Ssh, Text, TextOrTexts, Texts};
use super::shape::{Object, key};

/// `build:` of a service.
pub(super) static BUILD: Object = Object {
    title: "a build",
    keys: &[
        key("context", Text),
        key("dockerfile", Text),
        key("dockerfile_inline", Text),
        key("entitlements", Texts),
        key("args", Pairs(true)),
        key("provenance", FlagOrText),
        key("sbom", FlagOrText),
        key("ssh", Ssh),
        key("labels", Pairs(false)),
        key("cache_from", Texts),
        key("cache_to", Texts),
        key("no_cache", Flag),
        key("no_cache_filter", TextOrTexts),
        key("additional_contexts", Pairs(false)),
        key("pull", Flag),
        key("extra_hosts", Hosts),
        key("isolation", Text),
        key("network", Text),
        key("target", Text),
        key("secrets", FILE_MOUNTS),
        key("shm_size", Bytes),
        key("tags", Texts),
        key("ulimits", ULIMITS),
        key("platforms", Texts),
        key("privileged", Flag),
    ],
    required: &[],
    always: &[],
    extensible: true,
};
