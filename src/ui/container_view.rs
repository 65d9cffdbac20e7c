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
    let then = text
        .and_then(|text| text.parse::<Timestamp>().ok())
        .unwrap_or(now);
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
        .map(|port| {
            format!(
                "{}:{}->{}/{}",
                bracketed(&port.host_ip),
                port.host_port,
                port.target,
                port.protocol
            )
        })
        .collect();
    let published = |exposed: &String| {
        container
            .ports
            .iter()
            .any(|port| *exposed == format!("{}/{}", port.target, port.protocol))
    };
    if matches!(container.status, Status::Running | Status::Paused) {
        parts.extend(
            container
                .exposed
                .iter()
                .filter(|exposed| !published(exposed))
                .cloned(),
        );
    }
    parts.join(", ")
}

fn bracketed(address: &str) -> String {
    if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    }
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
    let labels: Vec<String> = container
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let networks: Vec<&str> = container.networks.keys().map(String::as_str).collect();
    let mounts: Vec<&str> = container
        .mounts
        .iter()
        .map(|mount| mount.source.as_str())
        .collect();
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NOW: &str = "2026-01-02T03:04:05Z";

    fn container(status: Status, health: Health) -> ContainerState {
        ContainerState {
            id: "0123456789abcdef".repeat(4),
            name: "shop-web-1".to_owned(),
            project: "shop".to_owned(),
            service: "web".to_owned(),
            number: 1,
            one_off: false,
            config_hash: String::new(),
            labels: BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]),
            image: "busybox:1".to_owned(),
            image_id: "sha256:0".to_owned(),
            command: ["httpd", "-f", "-p", "80", "-h", "/etc"]
                .map(str::to_owned)
                .to_vec(),
            created_at: "2026-01-02T02:00:00Z".to_owned(),
            status,
            health,
            restart_count: 0,
            pid: None,
            started_at: Some("2026-01-02T03:04:00Z".to_owned()),
            finished_at: Some("2026-01-02T03:02:05Z".to_owned()),
            stopped_by_user: false,
            networks: BTreeMap::from([("shop_default".to_owned(), None)]),
            ports: ["127.0.0.1", "::1"]
                .map(|host_ip| PublishedPort {
                    host_ip: host_ip.to_owned(),
                    host_port: 8080,
                    target: 80,
                    protocol: "tcp".to_owned(),
                })
                .to_vec(),
            exposed: ["80/tcp", "443/tcp"].map(str::to_owned).to_vec(),
            mounts: Vec::new(),
            tty: false,
            anonymous_volumes: Vec::new(),
            request: None,
            joined: BTreeMap::new(),
        }
    }

    fn now() -> Timestamp {
        NOW.parse().expect("valid")
    }

    #[test]
    fn states_read_as_docker_prints_them() {
        let text = |status, health| status_text(&container(status, health), now());
        assert_eq!(text(Status::Running, Health::None), "Up 5 seconds");
        assert_eq!(
            text(Status::Running, Health::Starting),
            "Up 5 seconds (health: starting)"
        );
        assert_eq!(text(Status::Running, Health::Healthy), "Up 5 seconds (healthy)");
        assert_eq!(text(Status::Paused, Health::None), "Up 5 seconds (Paused)");
        assert_eq!(
            text(Status::Exited { code: 3 }, Health::None),
            "Exited (3) 2 minutes ago"
        );
        assert_eq!(text(Status::Created, Health::None), "Created");
    }

    #[test]
    fn a_row_shows_published_ports_before_exposed_ones() {
        let cells = row(&container(Status::Running, Health::None), now(), false);
        let ports = "127.0.0.1:8080->80/tcp, [::1]:8080->80/tcp, 443/tcp";
        let command = "\"httpd -f -p 80 -h /…\"";
        assert_eq!(
            cells,
            [
                "shop-web-1",
                "busybox:1",
                command,
                "web",
                "About an hour ago",
                "Up 5 seconds",
                ports
            ]
        );
        let whole = row(&container(Status::Exited { code: 0 }, Health::None), now(), true);
        assert_eq!(
            (whole[2].as_str(), whole[6].contains("443")),
            ("\"httpd -f -p 80 -h /etc\"", false)
        );
    }

    #[test]
    fn the_record_has_docker_composes_fields() {
        let record = record(&container(Status::Running, Health::Healthy), now());
        let mut keys: Vec<&str> = record
            .as_object()
            .expect("object")
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        let expected = "Command CreatedAt ExitCode Health ID Image Labels LocalVolumes Mounts Name Names Networks Ports Project \
                        Publishers RunningFor Service Size State Status";
        assert_eq!(keys.join(" "), expected);
        assert_eq!(
            (&record["ID"], &record["Labels"]),
            (&"0123456789ab".into(), &"a=1,b=2".into())
        );
        let publisher =
            json!({"URL": "127.0.0.1", "TargetPort": 80, "PublishedPort": 8080, "Protocol": "tcp"});
        assert_eq!(record["Publishers"][0], publisher);
    }
}
