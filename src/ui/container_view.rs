//! In: a container's state and the time now. Out: what `ps` shows of it, for people and, with docker compose's field names, for scripts.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use jiff::Timestamp;
use rcompose_runtime::state::{ContainerState, Health, PublishedPort, Status};
use serde_json::{Value, json};

use super::age;

/// One word for the state, as docker has them.
pub fn state_word(status: Status) -> &'static str {
    match status {
        Status::Created => "created",
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Restarting => "restarting",
        Status::Exited { .. } => "exited",
    }
}

/// One word for the health; empty without a probe.
pub fn health_word(health: Health) -> &'static str {
    match health {
        Health::None => "",
        Health::Starting => "starting",
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
    }
}

/// Exit code of the last run, 0 while there is none.
pub fn exit_code(status: Status) -> i32 {
    match status {
        Status::Exited { code } => code,
        Status::Created | Status::Running | Status::Paused | Status::Restarting => 0,
    }
}

fn since(text: Option<&String>, now: Timestamp) -> Duration {
    let then = text.and_then(|text| text.parse::<Timestamp>().ok()).unwrap_or(now);
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

/// The STATUS column: `Up 5 seconds (healthy)`, `Exited (1) 2 minutes ago`.
pub fn status_text(container: &ContainerState, now: Timestamp) -> String {
    let up = || format!("Up {}", age::words(since(container.started_at.as_ref(), now)));
    let ago = || age::words(since(container.finished_at.as_ref(), now));
    match container.status {
        Status::Created => "Created".to_owned(),
        Status::Paused => format!("{} (Paused)", up()),
        Status::Restarting => "Restarting".to_owned(),
        Status::Exited { code } => format!("Exited ({code}) {} ago", ago()),
        Status::Running => match container.health {
            Health::None => up(),
            Health::Starting => format!("{} (health: starting)", up()),
            Health::Healthy => format!("{} (healthy)", up()),
            Health::Unhealthy => format!("{} (unhealthy)", up()),
        },
    }
}

/// The PORTS column: published ports, then exposed ones that are not published.
pub fn ports_text(container: &ContainerState) -> String {
    let mut parts: Vec<String> = container
        .ports
        .iter()
        .map(|port| format!("{}:{}->{}/{}", bracketed(&port.host_ip), port.host_port, port.target, port.protocol))
        .collect();
    let published = |exposed: &String| {
        container.ports.iter().any(|port| *exposed == format!("{}/{}", port.target, port.protocol))
    };
    if matches!(container.status, Status::Running | Status::Paused) {
        parts.extend(container.exposed.iter().filter(|exposed| !published(exposed)).cloned());
    }
    parts.join(", ")
}

fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

/// The COMMAND column, quoted and cut to 20 characters unless `whole`.
pub fn command_text(command: &[String], whole: bool) -> String {
    let text = command.join(" ");
    if whole || text.chars().count() <= 20 {
        return format!("\"{text}\"");
    }
    let cut: String = text.chars().take(19).collect();
    format!("\"{cut}…\"")
}

/// The object of `ps --format json`.
pub fn record(container: &ContainerState, now: Timestamp) -> Value {
    let labels: Vec<String> = container.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let networks: Vec<&str> = container.networks.keys().map(String::as_str).collect();
    let mounts: Vec<&str> = container.mounts.iter().map(|mount| mount.source.as_str()).collect();
    let created = container.created_at.parse::<Timestamp>().unwrap_or(now);
    json!({
        "Command": command_text(&container.command, false),
        "CreatedAt": created.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
        "ExitCode": exit_code(container.status),
        "Health": health_word(container.health),
        "ID": container.id.get(..12).unwrap_or(&container.id),
        "Image": container.image,
        "Labels": labels.join(","),
        "LocalVolumes": container.mounts.iter().filter(|mount| mount.kind == "volume").count().to_string(),
        "Mounts": mounts.join(","),
        "Name": container.name,
        "Names": container.name,
        "Networks": networks.join(","),
        "Ports": ports_text(container),
        "Project": container.project,
        "Publishers": container.ports.iter().map(publisher).collect::<Vec<_>>(),
        "RunningFor": format!("{} ago", age::words(since(Some(&container.created_at), now))),
        "Service": container.service,
        "Size": "0B",
        "State": state_word(container.status),
        "Status": status_text(container, now),
    })
}

fn publisher(port: &PublishedPort) -> Value {
    json!({"URL": port.host_ip, "TargetPort": port.target, "PublishedPort": port.host_port, "Protocol": port.protocol})
}

/// The cells of one row: NAME IMAGE COMMAND SERVICE CREATED STATUS PORTS.
pub fn row(container: &ContainerState, now: Timestamp, whole: bool) -> Vec<String> {
    vec![
        container.name.clone(),
        container.image.clone(),
        command_text(&container.command, whole),
        container.service.clone(),
        format!("{} ago", age::words(since(Some(&container.created_at), now))),
        status_text(container, now),
        ports_text(container),
    ]
}
