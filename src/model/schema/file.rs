//! The keys of a Compose file's top level and of its networks, volumes, configs, secrets and models, as printed.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::service::SERVICE;
use super::shape::Shape::{
    Choice, External, Flag, Integer, List, Map, Object as Obj, OrNull, OrText, Pairs, Text, TextMap,
    TextOrTexts, Texts,
};
use super::shape::{Object, key};

/// A whole file.
pub(in crate::model) static FILE: Object = Object {
    title: "a Compose file",
    keys: &[
        key("name", Text),
        key("version", Text),
        key("include", List(&OrText(&Obj(&INCLUDE)))),
        key("services", Map(&Obj(&SERVICE))),
        key("networks", Map(&OrNull(&Obj(&NETWORK)))),
        key("volumes", Map(&OrNull(&Obj(&VOLUME)))),
        key("secrets", Map(&Obj(&SECRET))),
        key("configs", Map(&Obj(&CONFIG))),
        key("models", Map(&Obj(&MODEL))),
    ],
    required: &[],
    always: &[],
    extensible: true,
};

static INCLUDE: Object = Object {
    title: "an include",
    keys: &[
        key("path", TextOrTexts),
        key("env_file", TextOrTexts),
        key("project_directory", Text),
    ],
    required: &[],
    always: &[],
    extensible: false,
};

static NETWORK: Object = Object {
    title: "a network",
    keys: &[
        key("name", Text),
        key("driver", Text),
        key("driver_opts", TextMap),
        key("ipam", Obj(&IPAM)),
        key("external", External),
        key("internal", Flag),
        key("attachable", Flag),
        key("labels", Pairs(false)),
        key("enable_ipv4", Choice),
        key("enable_ipv6", Choice),
    ],
    required: &[],
    always: &[],
    extensible: true,
};

static IPAM: Object = Object {
    title: "an ipam section",
    keys: &[
        key("driver", Text),
        key("config", List(&Obj(&IPAM_POOL))),
        key("options", Map(&Text)),
    ],
    required: &[],
    always: &[],
    extensible: true,
};

static IPAM_POOL: Object = Object {
    title: "an address pool",
    keys: &[
        key("subnet", Text),
        key("gateway", Text),
        key("ip_range", Text),
        key("aux_addresses", Map(&Text)),
    ],
    required: &[],
    always: &[],
    extensible: true,
};

static VOLUME: Object = Object {
    title: "a volume",
    keys: &[
        key("name", Text),
        key("driver", Text),
        key("driver_opts", TextMap),
        key("external", External),
        key("labels", Pairs(false)),
    ],
    required: &[],
    always: &[],
    extensible: true,
};

static SECRET: Object = Object {
    title: "a secret",
    keys: &[
        key("name", Text),
        key("file", Text),
        key("environment", Text),
        key("external", External),
        key("labels", Pairs(false)),
        key("driver", Text),
        key("driver_opts", TextMap),
        key("template_driver", Text),
    ],
    required: &[],
    always: &[],
    extensible: true,
};

static CONFIG: Object = Object {
    title: "a config",
    keys: &[
        key("name", Text),
        key("file", Text),
        key("environment", Text),
        key("content", Text),
        key("external", External),
        key("labels", Pairs(false)),
        key("template_driver", Text),
    ],
    required: &[],
    always: &[],
    extensible: true,
};

static MODEL: Object = Object {
    title: "a model",
    keys: &[
        key("name", Text),
        key("model", Text),
        key("context_size", Integer(0, i64::MAX)),
        key("runtime_flags", Texts),
    ],
    required: &["model"],
    always: &[],
    extensible: true,
};
