//! The keys of a service, in the order they are printed (Compose Specification, "services top-level element").
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::attached::{DEVICE, FILE_MOUNTS, PORT, SERVICE_NETWORK, VOLUME};
use super::build::BUILD;
use super::deploy::{DEPLOY, GPU};
use super::keys::Keys;
use super::shape::Shape::{
    Bytes, Choice, Command, Count, Decimal, Duration, Flag, Hosts, Integer, IntegerOrText, List, Map, Number,
    Object as Obj, OptOut, Options, OrInteger, OrNames, OrNull, OrPort, OrText, Pairs, Probe, Set, SetOf,
    StrictFlag, Text, TextLists, TextOrNull, TextOrSet, TextOrTexts, Tries, WholeBytes, Word,
};
use super::shape::{Key, Object, Shape, key};

const ANY_INTEGER: Shape = Integer(i64::MIN, i64::MAX);
const NATURAL: Shape = Integer(0, i64::MAX);

/// One entry of `services:`.
pub(in crate::model) static SERVICE: Object = Object {
    title: "a service",
    keys: Keys::of(&SERVICE_KEYS),
    required: &[],
    always: &["command", "entrypoint"],
    extensible: true,
};

static SERVICE_KEYS: [Key; 93] = [
    key("profiles", Set),
    key("annotations", Pairs(false)).ignored("nothing reads annotations here; use `labels`"),
    key("attach", Choice),
    key("build", OrText(&Obj(&BUILD))),
    key("develop", OrNull(&Obj(&DEVELOP))),
    key("blkio_config", Obj(&BLKIO)),
    key("cap_add", Set),
    key("cap_drop", Set),
    key("cgroup_parent", Text).ignored("control groups are below rcompose's own"),
    key("cgroup", Word(&["host", "private"])),
    key("cpu_count", NATURAL).windows("use `cpus`"),
    key("cpu_percent", Integer(0, 100)).windows("use `cpus`"),
    key("cpu_period", Number),
    key("cpu_quota", Number),
    key("cpu_rt_period", Number).ignored("real-time scheduling is not set up"),
    key("cpu_rt_runtime", Number).ignored("real-time scheduling is not set up"),
    key("cpus", Decimal),
    key("cpuset", Text),
    key("cpu_shares", Number),
    key("command", Command),
    key("configs", FILE_MOUNTS),
    key("container_name", Text),
    key("credential_spec", Obj(&CREDENTIAL_SPEC)).refused("it is for Windows"),
    key("depends_on", OrNames(&Map(&Obj(&DEPENDENCY)))),
    key("deploy", OrNull(&Obj(&DEPLOY))),
    key("device_cgroup_rules", Set),
    key("devices", List(&OrText(&Obj(&DEVICE)))),
    key("dns", TextOrSet),
    key("dns_opt", Set),
    key("dns_search", TextOrSet),
    key("domainname", Text),
    key("entrypoint", Command),
    key("provider", Obj(&PROVIDER)).refused("providers are not run"),
    key("environment", Pairs(true)),
    key("env_file", OrText(&List(&OrText(&Obj(&ENV_FILE))))),
    key("expose", SetOf(&IntegerOrText)),
    key("extends", OrText(&Obj(&EXTENDS))),
    key("external_links", Set).ignored("share a network with the other project instead"),
    key("extra_hosts", Hosts),
    key("group_add", SetOf(&IntegerOrText)),
    key("gpus", OrText(&List(&Obj(&GPU)))).refused("GPUs are not passed into containers"),
    key("hostname", Text),
    key("healthcheck", Obj(&HEALTHCHECK)),
    key("image", Text),
    key("init", Choice),
    key("ipc", Text).within("`none` is `private`"),
    key("isolation", Text).windows("leave it out"),
    key("labels", Pairs(false)),
    key("label_file", TextOrTexts),
    key("links", Set),
    key("logging", Obj(&LOGGING)),
    key("mem_limit", Bytes),
    key("mem_reservation", WholeBytes),
    key("memswap_limit", Bytes),
    key("mem_swappiness", WholeBytes).within("control groups version 1"),
    key("mac_address", Text),
    key("models", OrNames(&Map(&OrNull(&Obj(&SERVICE_MODEL))))).refused("language models are not run"),
    key("network_mode", Text),
    key("networks", OrNames(&Map(&OrNull(&Obj(&SERVICE_NETWORK))))),
    key("oom_kill_disable", Flag).within("control groups version 1"),
    key("oom_score_adj", Integer(-1000, 1000)),
    key("pid", TextOrNull),
    key("pids_limit", Number),
    key("platform", Text),
    key("ports", List(&OrPort(&Obj(&PORT)))),
    key("privileged", Flag),
    key("pull_policy", Text),
    key("pull_refresh_after", Text).within("with `pull_policy: refresh`"),
    key("read_only", Flag),
    key("restart", Text),
    key("runtime", Text).within("`runc` and `rcompose`, which are this one"),
    key("scale", Count),
    key("secrets", FILE_MOUNTS),
    key("security_opt", Set)
        .within("`no-new-privileges`, `seccomp=unconfined`, `apparmor=unconfined`, `label=disable`"),
    key("shm_size", Bytes),
    key("stdin_open", Flag),
    key("stop_grace_period", Duration),
    key("stop_signal", Text),
    key("storage_opt", Options).ignored("the size of a container's file system is not limited"),
    key("sysctls", Pairs(false)),
    key("tmpfs", TextOrSet),
    key("tty", Flag),
    key("ulimits", ULIMITS),
    key("use_api_socket", StrictFlag).refused("there is no engine API to give to the container"),
    key("user", Text),
    key("userns_mode", Text).within("`host`: users are the host's"),
    key("uts", Text).within("`host`"),
    key("volumes", List(&OrText(&Obj(&VOLUME)))),
    key("volumes_from", Set).within("services of the project, no other containers"),
    key("working_dir", Text),
    key("pre_start", List(&Obj(&INIT_CONTAINER)))
        .refused("use a service with `depends_on` and `condition: service_completed_successfully`"),
    key("post_start", List(&Obj(&HOOK))),
    key("pre_stop", List(&Obj(&HOOK))),
];

/// `ulimits:` of services and builds.
pub(super) const ULIMITS: Shape = Map(&OrInteger(&Obj(&ULIMIT)));

static ULIMIT: Object = Object {
    title: "a ulimit",
    keys: Keys::of(&[key("soft", ANY_INTEGER), key("hard", ANY_INTEGER)]),
    required: &["soft", "hard"],
    always: &[],
    extensible: true,
};

static DEVELOP: Object = Object {
    title: "a develop section",
    keys: Keys::of(&[key("watch", List(&Obj(&WATCH)))]),
    required: &[],
    always: &[],
    extensible: true,
};

static WATCH: Object = Object {
    title: "a watch rule",
    keys: Keys::of(&[
        key("path", Text),
        key(
            "action",
            Word(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"]),
        ),
        key("target", Text),
        key("exec", Obj(&HOOK)),
        key("include", TextOrSet),
        key("ignore", TextOrSet),
        key("initial_sync", StrictFlag),
    ]),
    required: &["path", "action"],
    always: &[],
    extensible: true,
};

static HOOK: Object = Object {
    title: "a hook",
    keys: Keys::of(&[
        key("command", Command),
        key("user", Text),
        key("privileged", Flag),
        key("working_dir", Text),
        key("environment", Pairs(true)),
    ]),
    required: &["command"],
    always: &["command"],
    extensible: true,
};

static INIT_CONTAINER: Object = Object {
    title: "an init container",
    keys: Keys::of(&[
        key("command", Command),
        key("image", Text),
        key("user", Text),
        key("privileged", Flag),
        key("working_dir", Text),
        key("environment", Pairs(true)),
        key("per_replica", Flag),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static BLKIO: Object = Object {
    title: "a blkio_config",
    keys: Keys::of(&[
        key("weight", Integer(0, 1000)),
        key("weight_device", List(&Obj(&BLKIO_WEIGHT))).ignored("weights of single devices are not set"),
        key("device_read_bps", List(&Obj(&BLKIO_RATE))),
        key("device_read_iops", List(&Obj(&BLKIO_RATE))),
        key("device_write_bps", List(&Obj(&BLKIO_RATE))),
        key("device_write_iops", List(&Obj(&BLKIO_RATE))),
    ]),
    required: &[],
    always: &[],
    extensible: false,
};

static BLKIO_WEIGHT: Object = Object {
    title: "a device weight",
    keys: Keys::of(&[key("path", Text), key("weight", Integer(0, 1000))]),
    required: &[],
    always: &[],
    extensible: false,
};

static BLKIO_RATE: Object = Object {
    title: "a device rate",
    keys: Keys::of(&[key("path", Text), key("rate", WholeBytes)]),
    required: &[],
    always: &[],
    extensible: false,
};

static CREDENTIAL_SPEC: Object = Object {
    title: "a credential_spec",
    keys: Keys::of(&[key("config", Text), key("file", Text), key("registry", Text)]),
    required: &[],
    always: &[],
    extensible: true,
};

static DEPENDENCY: Object = Object {
    title: "a dependency",
    keys: Keys::of(&[
        key(
            "condition",
            Word(&[
                "service_started",
                "service_healthy",
                "service_completed_successfully",
            ]),
        ),
        key("restart", Flag),
        key("required", Choice),
    ]),
    required: &["condition"],
    always: &[],
    extensible: true,
};

static PROVIDER: Object = Object {
    title: "a provider",
    keys: Keys::of(&[key("type", Text), key("options", TextLists)]),
    required: &["type"],
    always: &[],
    extensible: true,
};

static ENV_FILE: Object = Object {
    title: "an env_file",
    keys: Keys::of(&[
        key("path", Text),
        key("required", OptOut),
        key("format", Text).within("`raw`"),
    ]),
    required: &["path"],
    always: &[],
    extensible: false,
};

static EXTENDS: Object = Object {
    title: "an extends",
    keys: Keys::of(&[key("file", Text), key("service", Text)]),
    required: &["service"],
    always: &[],
    extensible: false,
};

static HEALTHCHECK: Object = Object {
    title: "a healthcheck",
    keys: Keys::of(&[
        key("test", Probe),
        key("timeout", Duration),
        key("interval", Duration),
        key("retries", Tries),
        key("start_period", Duration),
        key("start_interval", Duration),
        key("disable", Flag),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static LOGGING: Object = Object {
    title: "a logging section",
    keys: Keys::of(&[
        key("driver", Text).within("`json-file`, `local` and `none`"),
        key("options", Options).within("`max-size` and `max-file`"),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static SERVICE_MODEL: Object = Object {
    title: "a model of a service",
    keys: Keys::of(&[key("endpoint_var", Text), key("model_var", Text)]),
    required: &[],
    always: &[],
    extensible: true,
};
