//! What a service is attached to, in the order it is printed: networks, ports, volumes, files and devices.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::keys::Keys;
use super::shape::Shape::{
    Flag, Integer, List, Mode, NumberOrText, Object as Obj, OptOut, OrText, Pairs, Set, Size, StrictNumber,
    Text, TextMap, Word,
};
use super::shape::{Object, Shape, key};

/// `configs:` and `secrets:` of services and builds.
pub(super) const FILE_MOUNTS: Shape = List(&OrText(&Obj(&FILE_MOUNT)));

static FILE_MOUNT: Object = Object {
    title: "a config or secret of a service",
    keys: Keys::of(&[
        key("source", Text),
        key("target", Text),
        key("uid", Text).within("a number"),
        key("gid", Text).within("a number"),
        key("mode", Mode),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

/// One entry of `devices:`.
pub(super) static DEVICE: Object = Object {
    title: "a device",
    keys: Keys::of(&[
        key("source", Text).within("a device file; no CDI names"),
        key("target", Text),
        key("permissions", Text),
    ]),
    required: &["source"],
    always: &[],
    extensible: true,
};

/// One entry of `networks:`.
pub(super) static SERVICE_NETWORK: Object = Object {
    title: "a network of a service",
    keys: Keys::of(&[
        key("aliases", Set),
        key("driver_opts", TextMap).ignored("options of an endpoint have no effect"),
        key("gw_priority", StrictNumber),
        key("interface_name", Text),
        key("ipv4_address", Text),
        key("ipv6_address", Text).ignored("IPv6 and link-local addresses are not set up"),
        key("link_local_ips", Set).ignored("IPv6 and link-local addresses are not set up"),
        key("mac_address", Text),
        key("priority", StrictNumber).within("among networks of one `gw_priority`"),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

/// One entry of `ports:`.
pub(super) static PORT: Object = Object {
    title: "a port",
    keys: Keys::of(&[
        key("name", Text).within("a note for readers, shown by `config`"),
        key("mode", Text).within("`ingress` and `host` are the same on one host"),
        key("host_ip", Text),
        key("target", Integer(0, u32::MAX as i64)),
        key("published", NumberOrText),
        key("protocol", Text).within("`tcp` and `udp`"),
        key("app_protocol", Text).within("a note for readers, shown by `config`"),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

/// One entry of `volumes:`.
pub(super) static VOLUME: Object = Object {
    title: "a volume of a service",
    keys: Keys::of(&[
        key(
            "type",
            Word(&["bind", "volume", "tmpfs", "cluster", "npipe", "image"]),
        )
        .within("`bind`, `volume`, `tmpfs` and `image`"),
        key("source", Text),
        key("target", Text),
        key("read_only", Flag),
        key("consistency", Text).within("a bind is the host's own directory, always consistent"),
        key("bind", Obj(&VOLUME_BIND)),
        key("volume", Obj(&VOLUME_VOLUME)),
        key("tmpfs", Obj(&VOLUME_TMPFS)),
        key("image", Obj(&VOLUME_IMAGE)),
    ]),
    required: &["type"],
    always: &[],
    extensible: true,
};

static VOLUME_BIND: Object = Object {
    title: "the bind options of a volume",
    keys: Keys::of(&[
        key("selinux", Word(&["z", "Z"])).ignored("files are not relabelled"),
        key("propagation", Text),
        key("create_host_path", OptOut),
        key(
            "recursive",
            Word(&["enabled", "disabled", "writable", "readonly"]),
        )
        .within("all but `writable`"),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static VOLUME_VOLUME: Object = Object {
    title: "the volume options of a volume",
    keys: Keys::of(&[
        key("labels", Pairs(false)).ignored("label the volume under `volumes:` at the top level"),
        key("nocopy", Flag),
        key("subpath", Text),
    ]),
    required: &[],
    always: &[],
    extensible: true,
};

static VOLUME_TMPFS: Object = Object {
    title: "the tmpfs options of a volume",
    keys: Keys::of(&[key("size", Size), key("mode", Integer(0, i64::MAX))]),
    required: &[],
    always: &[],
    extensible: true,
};

static VOLUME_IMAGE: Object = Object {
    title: "the image options of a volume",
    keys: Keys::of(&[key("subpath", Text)]),
    required: &[],
    always: &[],
    extensible: true,
};
