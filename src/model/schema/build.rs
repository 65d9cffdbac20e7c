//! The keys of `build:`, in the order they are printed (Compose Build Specification).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::keys::Keys;
use super::service::ULIMITS;
use super::shape::Shape::{
    Flag, FlagOrText, Hosts, List, Mode, Object as Obj, OrText, Pairs, Ssh, Text, TextOrTexts, Texts,
    WholeBytes,
};
use super::shape::{Object, key};

/// `build:` of a service.
pub(super) static BUILD: Object = Object {
    title: "a build",
    keys: Keys::of(&[
        key("context", Text),
        key("dockerfile", Text),
        key("dockerfile_inline", Text),
        key("entitlements", Texts).ignored("builds have no entitlements"),
        key("args", Pairs(true)),
        key("provenance", FlagOrText),
        key("sbom", FlagOrText).within("`true` and `false`: no generator is run"),
        key("ssh", Ssh),
        key("labels", Pairs(false)),
        key("cache_from", Texts)
            .within("registry and local caches, and images with their own steps on record"),
        key("cache_to", Texts).within("type=registry, local and inline"),
        key("no_cache", Flag),
        key("no_cache_filter", TextOrTexts),
        key("additional_contexts", Pairs(false)),
        key("pull", Flag),
        key("extra_hosts", Hosts),
        key("isolation", Text).windows("leave it out"),
        key("network", Text),
        key("target", Text),
        key("secrets", List(&OrText(&Obj(&SECRET)))),
        key("shm_size", WholeBytes),
        key("tags", Texts),
        key("ulimits", ULIMITS),
        key("platforms", Texts).within("one is built: the service's, or this machine's"),
        key("privileged", Flag).ignored("builds run with the default capabilities"),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static SECRET: Object = Object {
    title: "a secret of a build",
    keys: Keys::of(&[
        key("source", Text),
        key("target", Text),
        key("uid", Text).ignored(SAID_BY_THE_MOUNT),
        key("gid", Text).ignored(SAID_BY_THE_MOUNT),
        key("mode", Mode).ignored(SAID_BY_THE_MOUNT),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

const SAID_BY_THE_MOUNT: &str = "write it in the Dockerfile: `RUN --mount=type=secret,uid=…,gid=…,mode=…`";
