//! In: a normalised entry of `services:`. Out: the [`Service`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use camino::Utf8PathBuf;
use indexmap::IndexMap;

use super::environment;
use super::{
    build, deploy, develop, file_object, health, limits, mount, namespace, network, port, start, unsupported,
};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::fields::Fields;
use crate::model::name::{NetworkKey, ServiceName};
use crate::model::schema::SERVICE;
use crate::model::service::{Condition, Dependency, Logging, Service};

pub(super) fn decode(name: &str, fields: &Fields<'_>, findings: &mut Diagnostics) -> Service {
    unsupported::check(fields, &SERVICE, findings);
    unsupported::values(fields, findings);
    let network_mode = namespace::network_mode(fields, findings);
    let mut networks: IndexMap<NetworkKey, _> = fields
        .members("networks")
        .map(|(name, fields)| (NetworkKey::new(name), network::attachment(&fields)))
        .collect();
    if network_mode.is_none() && networks.is_empty() && fields.has("network_mode") {
        let attachment = network::attachment(fields);
        networks.insert(NetworkKey::new("default"), attachment);
    }
    Service {
        name: ServiceName::new(name),
        span: fields.span(),
        key_spans: fields.keys().collect(),
        image: fields.owned("image"),
        build: fields.child("build").map(|build| build::decode(&build, findings)),
        pull_policy: start::pull_policy(fields, findings),
        platform: fields.owned("platform"),
        command: fields.optional_texts("command"),
        entrypoint: fields.optional_texts("entrypoint"),
        environment: fields.nullable_pairs("environment"),
        env_files: environment::files(fields, findings),
        label_files: fields
            .texts("label_file")
            .into_iter()
            .map(Utf8PathBuf::from)
            .collect(),
        labels: fields.pairs("labels"),
        annotations: fields.pairs("annotations"),
        depends_on: dependencies(fields),
        networks,
        network_mode,
        ports: port::decode(fields, findings),
        expose: fields.texts("expose"),
        links: links(fields),
        mounts: mount::decode(fields, findings),
        volumes_from: mount::volumes_from(fields),
        configs: file_object::mounts(fields, "configs", "", findings),
        secrets: file_object::mounts(fields, "secrets", "/run/secrets", findings),
        healthcheck: fields.child("healthcheck").map(|health| health::decode(&health)),
        deploy: deploy::decode(fields, findings),
        scale: deploy::scale(fields),
        watch: develop::watch(fields),
        post_start: develop::hooks(fields, "post_start"),
        pre_stop: develop::hooks(fields, "pre_stop"),
        container_name: fields.owned("container_name"),
        hostname: fields.owned("hostname"),
        domainname: fields.owned("domainname"),
        user: fields.owned("user"),
        group_add: fields.texts("group_add"),
        working_dir: fields.owned("working_dir"),
        init: fields.flag("init"),
        tty: fields.flag("tty"),
        stdin_open: fields.flag("stdin_open"),
        privileged: fields.flag("privileged"),
        read_only: fields.flag("read_only"),
        restart: start::restart(fields, findings),
        stop_signal: fields.owned("stop_signal"),
        stop_grace_period: fields.duration("stop_grace_period"),
        attach: fields.choice("attach") != Some(false),
        cap_add: fields.texts("cap_add"),
        cap_drop: fields.texts("cap_drop"),
        security_opt: fields.texts("security_opt"),
        devices: devices(fields, findings),
        device_cgroup_rules: fields.texts("device_cgroup_rules"),
        dns: fields.texts("dns"),
        dns_opt: fields.texts("dns_opt"),
        dns_search: fields.texts("dns_search"),
        extra_hosts: fields.hosts("extra_hosts"),
        ipc: namespace::mode(fields, "ipc", findings),
        pid: namespace::mode(fields, "pid", findings),
        uts_host: namespace::is_host(fields, "uts", findings),
        cgroup_host: fields.text("cgroup") == Some("host"),
        cgroup_parent: fields.owned("cgroup_parent"),
        userns_mode: fields.owned("userns_mode"),
        sysctls: fields.pairs("sysctls"),
        ulimits: limits::ulimits(fields),
        shm_size: fields.bytes("shm_size"),
        limits: limits::decode(fields),
        oom_score_adj: fields.number("oom_score_adj"),
        oom_kill_disable: fields.choice("oom_kill_disable"),
        logging: fields
            .child("logging")
            .map_or_else(Logging::default, |logging| Logging {
                driver: logging.owned("driver"),
                options: logging.pairs("options"),
            }),
        profiles: fields.texts("profiles"),
        mac_address: fields.owned("mac_address"),
        runtime: fields.owned("runtime"),
    }
}

fn dependencies(fields: &Fields<'_>) -> IndexMap<ServiceName, Dependency> {
    let condition = |word: Option<&str>| match word {
        Some("service_healthy") => Condition::Healthy,
        Some("service_completed_successfully") => Condition::CompletedSuccessfully,
        _ => Condition::Started,
    };
    fields
        .members("depends_on")
        .map(|(name, entry)| {
            let dependency = Dependency {
                condition: condition(entry.text("condition")),
                restart: entry.flag("restart"),
                required: entry.choice("required") != Some(false),
                span: entry.span(),
            };
            (ServiceName::new(name), dependency)
        })
        .collect()
}

fn links(fields: &Fields<'_>) -> Vec<(ServiceName, String)> {
    fields
        .texts("links")
        .into_iter()
        .map(|link| match link.split_once(':') {
            Some((service, alias)) => (ServiceName::new(service), alias.to_owned()),
            None => (ServiceName::new(link.clone()), link),
        })
        .collect()
}

fn devices(fields: &Fields<'_>, findings: &mut Diagnostics) -> Vec<(String, String, String)> {
    let mut devices = Vec::new();
    for device in fields.items("devices") {
        let source = device.owned("source").unwrap_or_default();
        let target = device.owned("target").unwrap_or_else(|| source.clone());
        let permissions = device.owned("permissions").unwrap_or_else(|| "rwm".to_owned());
        if !source.starts_with('/') {
            findings.push(
                Diagnostic::error(
                    "bad-device",
                    format!("{}: `{source}` is not the path of a device", device.path()),
                )
                .at(device.value_span("source"))
                .help("name a device file such as `/dev/fuse`; names of CDI devices are not known here"),
            );
        } else if permissions.is_empty() || permissions.chars().any(|c| !"rwm".contains(c)) {
            findings.push(
                Diagnostic::error(
                    "bad-device",
                    format!(
                        "{}: `{permissions}` are not permissions of a device",
                        device.path()
                    ),
                )
                .at(device.value_span("permissions"))
                .help("permissions are letters of `rwm`"),
            );
        }
        devices.push((source, target, permissions));
    }
    devices
}
