//! The keys of a Compose file's top level and of its networks, volumes, configs, secrets and models, as printed.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::keys::Keys;
use super::service::SERVICE;
use super::shape::Shape::{
    Choice, External, Flag, List, Map, Object as Obj, OrNull, OrText, Pairs, StrictNatural, Text, TextMap,
    TextOrTexts, Texts,
};
use super::shape::{Object, key};

const NO_STORE: &str = "there is no store of configs and secrets; use `file:` or `environment:`";
const NAME_IN_A_STORE: &str = "shown by `config`; there is no store that would need it";

/// A whole file.
pub(in crate::model) static FILE: Object = Object {
    title: "a Compose file",
    keys: Keys::of(&[
        key("name", Text),
        key("version", Text).ignored("it is obsolete; remove the line"),
        key("include", List(&OrText(&Obj(&INCLUDE)))),
        key("services", Map(&Obj(&SERVICE))),
        key("networks", Map(&OrNull(&Obj(&NETWORK)))),
        key("volumes", Map(&OrNull(&Obj(&VOLUME)))),
        key("secrets", Map(&Obj(&SECRET))),
        key("configs", Map(&Obj(&CONFIG))),
        key("models", Map(&Obj(&MODEL)))
            .refused("language models are not run; said where a service uses one"),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static INCLUDE: Object = Object {
    title: "an include",
    keys: Keys::of(&[
        key("path", TextOrTexts),
        key("env_file", TextOrTexts),
        key("project_directory", Text),
    ]),
    required: &[],
    always: &[],
    extensible: false,
};

pub(in crate::model) static NETWORK: Object = Object {
    title: "a network",
    keys: Keys::of(&[
        key("name", Text),
        key("driver", Text).within("`bridge`"),
        key("driver_opts", TextMap).within("name of the bridge, MTU, and traffic between containers"),
        key("ipam", Obj(&IPAM)),
        key("external", External),
        key("internal", Flag),
        key("attachable", Flag).within("every network can be joined"),
        key("labels", Pairs(false)),
        key("enable_ipv4", Choice).within("`true`: addresses are IPv4 only"),
        key("enable_ipv6", Choice).within("`false`: addresses are IPv4 only"),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static IPAM: Object = Object {
    title: "an ipam section",
    keys: Keys::of(&[
        key("driver", Text).within("`default`"),
        key("config", List(&Obj(&IPAM_POOL))).within("the first IPv4 pool"),
        key("options", Map(&Text)).ignored("addresses are given by rcompose"),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static IPAM_POOL: Object = Object {
    title: "an address pool",
    keys: Keys::of(&[
        key("subnet", Text),
        key("gateway", Text),
        key("ip_range", Text),
        key("aux_addresses", Map(&Text)),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

pub(in crate::model) static VOLUME: Object = Object {
    title: "a volume",
    keys: Keys::of(&[
        key("name", Text),
        key("driver", Text).within("`local`"),
        key("driver_opts", TextMap).within("`type`, `o` and `device` of a bind or tmpfs"),
        key("external", External),
        key("labels", Pairs(false)),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

pub(in crate::model) static SECRET: Object = Object {
    title: "a secret",
    keys: Keys::of(&[
        key("name", Text).within(NAME_IN_A_STORE),
        key("file", Text),
        key("environment", Text),
        key("external", External).refused(NO_STORE),
        key("labels", Pairs(false)).ignored("there is no store to find it in by labels"),
        key("driver", Text).ignored("contents are taken as they are"),
        key("driver_opts", TextMap).ignored("contents are taken as they are"),
        key("template_driver", Text).ignored("contents are taken as they are"),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

pub(in crate::model) static CONFIG: Object = Object {
    title: "a config",
    keys: Keys::of(&[
        key("name", Text).within(NAME_IN_A_STORE),
        key("file", Text),
        key("environment", Text),
        key("content", Text),
        key("external", External).refused(NO_STORE),
        key("labels", Pairs(false)).ignored("there is no store to find it in by labels"),
        key("template_driver", Text).ignored("contents are taken as they are"),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static MODEL: Object = Object {
    title: "a model",
    keys: Keys::of(&[
        key("name", Text),
        key("model", Text),
        key("context_size", StrictNatural),
        key("runtime_flags", Texts),
    ]),
    required: &["model"],
    always: &[],
    extensible: true,
};
