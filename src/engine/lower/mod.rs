//! In: a service of a project and the content of the files it names. Out: the [`ContainerRequest`] of one replica, with its hash.
//! **Invariant:** no I/O; whatever the service asks for is in the request, or in the diagnostics.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod files;
mod hash;
mod label;
mod limits;
mod mounts;
mod network;
mod relations;
mod resources;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use indexmap::IndexMap;
use rcompose_runtime::request::{
    ContainerRequest, ExecRequest, HealthRequest, LogRequest, NamespaceRequest, RestartRequest,
};

pub(in crate::engine) use mounts::lent_volumes;
pub use network::container_name;
pub(in crate::engine) use relations::Relations;
pub(in crate::engine) use resources::plain_volume;
pub use resources::{network_request, volume_request};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::service::{Hook, NamespaceMode, NamespaceRef, Restart};
use crate::model::units::parse_bytes;
use crate::model::{Project, Service};
use crate::source::span::Span;

/// What files said, read before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Where the project came from.
    pub origin: Origin,
    /// Content of the files behind configs and secrets.
    pub contents: BTreeMap<Utf8PathBuf, Content>,
}

/// Where a project came from, as its containers' labels say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Compose files, absolute.
    pub config_files: Vec<String>,
    /// `--env-file` and `.env` files, absolute.
    pub env_files: Vec<String>,
}

/// What was found at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A file.
    Bytes(Vec<u8>),
    /// A directory.
    Directory,
    /// Why it could not be read.
    Unreadable(String),
}

/// The request of one replica, numbered from 1; warnings go to `diagnostics`.
///
/// # Errors
/// None when `diagnostics` got an error.
pub fn lower(
    project: &Project,
    service: &Service,
    number: u32,
    facts: &Facts,
    diagnostics: &mut Diagnostics,
) -> Option<ContainerRequest> {
    lower_among(
        project,
        &Relations::of(project),
        service,
        number,
        facts,
        diagnostics,
    )
}

/// As [`lower`], with relations found before.
pub(in crate::engine) fn lower_among(
    project: &Project,
    relations: &Relations<'_>,
    service: &Service,
    number: u32,
    facts: &Facts,
    diagnostics: &mut Diagnostics,
) -> Option<ContainerRequest> {
    let mut found = Diagnostics::new();
    let mut request = request(project, relations, service, facts, &mut found);
    request.network = network::networking(project, relations, service, &mut found);
    request.config_hash = hash::config_hash(&request, &files::contents(project, service, facts));
    request.number = number;
    request.name = container_name(project, service, number);
    label::add(&mut request, project, service, facts);
    let failed = found.has_errors();
    diagnostics.append(found);
    (!failed).then_some(request)
}

/// The request of a container made by `run`: the service without its ports, names and restart policy. `slug` is 12 hexadecimal digits.
///
/// # Errors
/// None when `diagnostics` got an error.
pub fn lower_one_off(
    project: &Project,
    service: &Service,
    slug: &str,
    facts: &Facts,
    diagnostics: &mut Diagnostics,
) -> Option<ContainerRequest> {
    let mut request = lower(project, service, 0, facts, diagnostics)?;
    request.one_off = true;
    request.name = format!("{}-{}-run-{slug}", project.name, service.name);
    request.ports.clear();
    request.restart = RestartRequest::No;
    network::forget_names(&mut request.network);
    label::mark_one_off(&mut request, slug);
    Some(request)
}

/// A hook as the runtime runs it.
pub fn lower_hook(hook: &Hook) -> ExecRequest {
    ExecRequest {
        command: hook.command.clone(),
        environment: pairs(&hook.environment),
        user: hook.user.clone(),
        working_directory: hook.working_dir.clone(),
        privileged: hook.privileged,
        tty: false,
    }
}

/// The name of the image a service runs: `image:`, or `<project>-<service>` of a built one.
pub fn image_name(project: &Project, service: &Service) -> String {
    let built = || format!("{}-{}", project.name, service.name);
    service.image.clone().unwrap_or_else(built)
}

fn request(
    project: &Project,
    relations: &Relations<'_>,
    service: &Service,
    facts: &Facts,
    diagnostics: &mut Diagnostics,
) -> ContainerRequest {
    let (no_new_privileges, seccomp_unconfined) = security(service, diagnostics);
    let (mounts, files) = mounts::all(project, relations, service, facts, diagnostics);
    ContainerRequest {
        name: String::new(),
        project: project.name.to_string(),
        service: service.name.to_string(),
        number: 0,
        one_off: false,
        config_hash: String::new(),
        labels: resources::own(&service.labels),
        image: image_name(project, service),
        command: service.command.clone(),
        entrypoint: service.entrypoint.clone(),
        environment: pairs(&service.environment),
        working_directory: service.working_dir.clone(),
        user: service.user.clone(),
        additional_groups: service.group_add.clone(),
        hostname: service.hostname.clone(),
        domainname: service.domainname.clone(),
        tty: service.tty,
        terminal_size: None,
        stdin_open: service.stdin_open,
        init: service.init,
        privileged: service.privileged,
        read_only: service.read_only,
        mounts,
        files,
        network: rcompose_runtime::request::NetworkingRequest::None,
        ports: network::ports(service, diagnostics),
        expose: service.expose.clone(),
        extra_hosts: service.extra_hosts.clone(),
        dns: service.dns.clone(),
        dns_search: service.dns_search.clone(),
        dns_options: service.dns_opt.clone(),
        pid: namespace(project, service.pid.as_ref()),
        ipc: namespace(project, service.ipc.as_ref()),
        uts_host: service.uts_host,
        cgroup_host: service.cgroup_host,
        cap_add: service.cap_add.clone(),
        cap_drop: service.cap_drop.clone(),
        no_new_privileges,
        seccomp_unconfined,
        devices: service.devices.clone(),
        device_rules: service.device_cgroup_rules.clone(),
        sysctls: service.sysctls.clone().into_iter().collect(),
        ulimits: service.ulimits.clone().into_iter().collect(),
        shm_size: service.shm_size,
        limits: limits::limits(service),
        oom_score_adj: service.oom_score_adj,
        stop_signal: service.stop_signal.clone(),
        stop_grace: service.stop_grace_period,
        restart: restart(service.restart),
        health: health(service),
        log: logging(service, diagnostics),
    }
}

fn pairs(map: &IndexMap<String, Option<String>>) -> Vec<(String, Option<String>)> {
    map.iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn namespace(project: &Project, mode: Option<&NamespaceMode>) -> NamespaceRequest {
    match mode {
        None | Some(NamespaceMode::Private) => NamespaceRequest::Private,
        Some(NamespaceMode::Host) => NamespaceRequest::Host,
        Some(NamespaceMode::Join(who)) => NamespaceRequest::Container(joined_name(project, who)),
    }
}

/// The container behind `service:X` (its first replica) or `container:X`.
fn joined_name(project: &Project, who: &NamespaceRef) -> String {
    match who {
        NamespaceRef::Container(name) => name.clone(),
        NamespaceRef::Service(name) => match project.services.get(name) {
            Some(service) => container_name(project, service, 1),
            None => format!("{}-{name}-1", project.name),
        },
    }
}

/// `no-new-privileges` and an unconfined seccomp filter.
fn security(service: &Service, diagnostics: &mut Diagnostics) -> (bool, bool) {
    let (mut no_new_privileges, mut seccomp_unconfined) = (false, false);
    for option in &service.security_opt {
        match option.replacen(':', "=", 1).as_str() {
            "no-new-privileges" | "no-new-privileges=true" => no_new_privileges = true,
            "no-new-privileges=false" => no_new_privileges = false,
            "seccomp=unconfined" => seccomp_unconfined = true,
            "apparmor=unconfined" | "label=disable" | "systempaths=confined" => {}
            _ => diagnostics.push(
                Diagnostic::error("unsupported-value", format!("security_opt {option:?} is not supported"))
                    .at(place(service, "security_opt"))
                    .help("supported are no-new-privileges, seccomp=unconfined, apparmor=unconfined and label=disable"),
            ),
        }
    }
    (no_new_privileges, seccomp_unconfined)
}

fn restart(policy: Restart) -> RestartRequest {
    match policy {
        Restart::No => RestartRequest::No,
        Restart::Always => RestartRequest::Always,
        Restart::UnlessStopped => RestartRequest::UnlessStopped,
        Restart::OnFailure(maximum) => RestartRequest::OnFailure(maximum),
        Restart::Deploy {
            any,
            delay,
            maximum,
            window,
        } => RestartRequest::Deploy {
            any,
            delay,
            maximum,
            window,
        },
    }
}

fn health(service: &Service) -> Option<HealthRequest> {
    let check = service.healthcheck.as_ref()?;
    Some(HealthRequest {
        disabled: check.disabled,
        test: check.test.clone(),
        interval: check.interval,
        timeout: check.timeout,
        retries: check.retries,
        start_period: check.start_period,
        start_interval: check.start_interval,
    })
}

/// The log file by `driver` and the options `max-size` and `max-file` (Docker's json-file driver).
fn logging(service: &Service, diagnostics: &mut Diagnostics) -> LogRequest {
    let mut log = LogRequest::default();
    let at = place(service, "logging");
    // Of a driver that is not there, decoding has warned.
    log.discard = service.logging.driver.as_deref() == Some("none");
    for (option, value) in &service.logging.options {
        let wrong = |diagnostics: &mut Diagnostics, expected: &str| {
            let message = format!("logging option {option} is {value:?}, expected {expected}");
            diagnostics.push(Diagnostic::error("bad-value", message).at(at));
        };
        match option.as_str() {
            // Unlimited to Docker; a file that fills the disk is nobody's wish.
            "max-size" if value == "-1" => log.max_size = u64::MAX,
            "max-size" => match parse_bytes(value)
                .ok()
                .and_then(|bytes| u64::try_from(bytes).ok())
            {
                Some(bytes) if bytes > 0 => log.max_size = bytes,
                Some(_) | None => wrong(diagnostics, "a size such as 10m"),
            },
            "max-file" => match value.parse() {
                Ok(files) if files > 0 => log.max_files = files,
                Ok(_) | Err(_) => wrong(diagnostics, "a number of files from 1"),
            },
            _ => diagnostics.push(
                Diagnostic::warning("logging-option", format!("logging option {option} has no effect"))
                    .at(at),
            ),
        }
    }
    log
}

/// Where a key of the service stands, else the service.
fn place(service: &Service, key: &str) -> Span {
    service.key_spans.get(key).unwrap_or(service.span)
}
