//! The keys of `deploy:`, in the order they are printed (Compose Deploy Specification).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::keys::Keys;
use super::shape::Shape::{
    BytesText, Count, Decimal, DeviceCount, Duration, Integer, List, Natural, Number, Object as Obj, Pairs,
    Set, Text, Texts, Wait, Word,
};
use super::shape::{Key, Object, key};

/// `deploy:` of a service.
pub(super) static DEPLOY: Object = Object {
    title: "a deploy section",
    keys: Keys::of(&[
        key("mode", Text).within("every service is `replicated`, on one host"),
        key("replicas", Count),
        key("labels", Pairs(false)).ignored("containers get the labels of the service's `labels`"),
        key("update_config", Obj(&UPDATE)).ignored("replicas are not replaced in turns"),
        key("rollback_config", Obj(&UPDATE)).ignored("an `up` that fails is not rolled back"),
        key("resources", Obj(&RESOURCES)),
        key("restart_policy", Obj(&RESTART_POLICY)),
        key("placement", Obj(&PLACEMENT)),
        key("endpoint_mode", Text).within("`dnsrr`: names resolve to the replicas themselves"),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static UPDATE: Object = Object {
    title: "an update_config",
    keys: Keys::of(&[
        key("parallelism", Natural),
        key("delay", Wait),
        key("failure_action", Text),
        key("monitor", Wait),
        key("max_failure_ratio", Decimal),
        key("order", Word(&["start-first", "stop-first"])),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static RESOURCES: Object = Object {
    title: "the resources of a deploy section",
    keys: Keys::of(&[
        key("limits", Obj(&LIMITS)),
        key("reservations", Obj(&RESERVATIONS)),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static LIMITS: Object = Object {
    title: "resource limits",
    keys: Keys::of(&[
        key("cpus", Decimal),
        key("memory", BytesText),
        key("pids", Integer(i64::MIN, i64::MAX)),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static RESERVATIONS: Object = Object {
    title: "resource reservations",
    keys: Keys::of(&[
        key("cpus", Decimal).ignored("processors are not set aside; use `cpu_shares`"),
        key("memory", BytesText),
        key("devices", List(&Obj(&DEVICE_REQUEST))).refused("GPUs are not passed into containers"),
        key("generic_resources", List(&Obj(&GENERIC_RESOURCE))).ignored("there is one host only"),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

const REQUEST_KEYS: &[Key] = &[
    key("capabilities", Set),
    key("driver", Text),
    key("count", DeviceCount),
    key("device_ids", Set),
    key("options", Pairs(false)),
];

static DEVICE_REQUEST: Object = Object {
    title: "a device request",
    keys: Keys::of(REQUEST_KEYS),
    required: &["capabilities"],
    always: &[],
    extensible: true,
};

/// One entry of `gpus:`.
pub(super) static GPU: Object = Object {
    title: "a GPU request",
    keys: Keys::of(REQUEST_KEYS),
    required: &[],
    always: &[],
    extensible: true,
};

static GENERIC_RESOURCE: Object = Object {
    title: "a generic resource",
    keys: Keys::of(&[key("discrete_resource_spec", Obj(&DISCRETE_RESOURCE))]),
    required: &[],
    always: &[],
    extensible: true,
};

static DISCRETE_RESOURCE: Object = Object {
    title: "a discrete resource",
    keys: Keys::of(&[key("kind", Text), key("value", Number)]),
    required: &[],
    always: &[],
    extensible: true,
};

static RESTART_POLICY: Object = Object {
    title: "a restart_policy",
    keys: Keys::of(&[
        key("condition", Text),
        key("delay", Duration),
        key("max_attempts", Natural),
        key("window", Duration),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

const ONE_HOST: &str = "there is one host only, everything is placed on it";

static PLACEMENT: Object = Object {
    title: "a placement",
    keys: Keys::of(&[
        key("constraints", Texts).ignored(ONE_HOST),
        key("preferences", List(&Obj(&PREFERENCE))).ignored(ONE_HOST),
        key("max_replicas_per_node", Integer(0, i64::MAX)).ignored(ONE_HOST),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static PREFERENCE: Object = Object {
    title: "a placement preference",
    keys: Keys::of(&[key("spread", Text)]),
    required: &[],
    always: &[],
    extensible: true,
};
