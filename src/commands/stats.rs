//! In: `rcompose stats`. Out: what running containers use of processor, memory, network and disks, once or again and again.
//! **Invariant:** figures are differences of the kernel's counters; a container that ends meanwhile is left out.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use rcompose_runtime::Statistics;
use rcompose_runtime::state::{ContainerState, Status};
use serde_json::{Value, json};

use super::listing::{by_template, lines};
use super::{Context, Subject};
use crate::error::CliError;
use crate::ui::table::Table;
use crate::ui::{age, print};

/// Options of `rcompose stats`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Show containers that do not run, too
    #[arg(short = 'a', long)]
    pub all: bool,
    /// table, json, or a template such as {{.Name}}
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Show the figures once
    #[arg(long)]
    pub no_stream: bool,
    /// Print whole ids
    #[arg(long)]
    pub no_trunc: bool,
    /// Service; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Between two measurements of a processor's share when figures are shown once.
const ONCE: Duration = Duration::from_millis(200);
/// Between two measurements when they are shown again and again.
const AGAIN: Duration = Duration::from_secs(1);

/// Counters of one container at a moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    used: Statistics,
    network: Option<(u64, u64)>,
}

/// Shows figures.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let subject = context.subject(false)?;
    let mut before = HashMap::new();
    measure(context, &subject, args, &mut before)?;
    loop {
        std::thread::sleep(if args.no_stream { ONCE } else { AGAIN });
        let records = measure(context, &subject, args, &mut before)?;
        let text = text(&records, args.format.as_deref())?;
        if args.no_stream {
            print::out(&text)?;
            return Ok(());
        }
        // The screen begins anew where there is one (ECMA-48: ED, CUP).
        let clear = if context.stdout.terminal {
            "\x1b[2J\x1b[H"
        } else {
            ""
        };
        print::out(&format!("{clear}{text}"))?;
    }
}

/// One record a container; the processor's share since what was measured before.
fn measure(
    context: &Context,
    subject: &Subject,
    args: &Args,
    before: &mut HashMap<String, Sample>,
) -> Result<Vec<Value>, CliError> {
    let mut containers = context.containers_of(subject, &args.services)?;
    containers.retain(|container| args.services.is_empty() || args.services.contains(&container.service));
    containers.sort_by(|one, other| one.name.cmp(&other.name));
    let mut records = Vec::new();
    for container in &containers {
        let now = match container.status {
            Status::Running | Status::Paused => sample(context, container),
            Status::Created | Status::Restarting | Status::Exited { .. } => None,
        };
        if now.is_none() && !args.all {
            continue;
        }
        let last = now.and_then(|now| before.insert(container.id.clone(), now));
        records.push(record(container, now, last, args.no_trunc));
    }
    Ok(records)
}

fn sample(context: &Context, container: &ContainerState) -> Option<Sample> {
    Some(Sample {
        at: Instant::now(),
        used: context.runtime().ok()?.statistics(&container.id).ok()?,
        network: container.pid.and_then(network),
    })
}

/// Bytes received and sent by all interfaces but `lo` that a process sees (`proc_pid_net(5)`, dev).
fn network(pid: i32) -> Option<(u64, u64)> {
    traffic(&fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?)
}

fn traffic(text: &str) -> Option<(u64, u64)> {
    let mut total = (0, 0);
    for line in text.lines() {
        let Some((name, counters)) = line.split_once(':') else {
            continue;
        };
        if name.trim() == "lo" {
            continue;
        }
        let counters: Vec<u64> = counters
            .split_whitespace()
            .map_while(|word| word.parse().ok())
            .collect();
        total = (total.0 + counters.first()?, total.1 + counters.get(8)?);
    }
    Some(total)
}

/// The object of `--format json`, with docker's field names.
fn record(container: &ContainerState, now: Option<Sample>, last: Option<Sample>, whole: bool) -> Value {
    let none = || "--".to_owned();
    let used = now.map(|now| now.used).unwrap_or_default();
    let memory = used
        .memory_bytes
        .map(|bytes| bytes.saturating_sub(used.inactive_file_bytes.unwrap_or(0)));
    let limit = used
        .memory_limit_bytes
        .or_else(|| now.and_then(|_| host_memory()));
    let usage = |memory, limit| format!("{} / {}", binary_size(memory), binary_size(limit));
    let both = |(one, other)| format!("{} / {}", age::size(one), age::size(other));
    let id = if whole {
        container.id.as_str()
    } else {
        container.id.get(..12).unwrap_or(&container.id)
    };
    json!({
        "BlockIO": used.block_bytes.map_or_else(none, both),
        "CPUPerc": now.map_or_else(none, |now| percent(processor_share(now, last))),
        "Container": id,
        "ID": id,
        "MemPerc": memory.zip(limit).map_or_else(none, |(memory, limit)| percent(share(memory, limit))),
        "MemUsage": memory.map_or_else(none, |memory| usage(memory, limit.unwrap_or(0))),
        "Name": container.name,
        "NetIO": now.and_then(|now| now.network).map_or_else(none, both),
        "PIDs": used.pids.map_or_else(none, |pids| pids.to_string()),
        "Service": container.service,
    })
}

/// Processor time over time, 1 for one whole processor.
fn processor_share(now: Sample, last: Option<Sample>) -> f64 {
    let Some(last) = last else { return 0.0 };
    let (Some(to), Some(from)) = (now.used.cpu_nanoseconds, last.used.cpu_nanoseconds) else {
        return 0.0;
    };
    let busy = Duration::from_nanos(to.saturating_sub(from)).as_secs_f64();
    let passed = now.at.duration_since(last.at).as_secs_f64();
    if passed > 0.0 { busy / passed } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "two decimals are printed")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

/// Bytes as docker prints memory: binary units, at most four significant digits (go-units, `BytesSize`).
fn binary_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most four significant digits are printed"
    )]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = match value {
        value if value >= 1000.0 => 0,
        value if value >= 100.0 => 1,
        value if value >= 10.0 => 2,
        _ => 3,
    };
    let number = format!("{value:.digits$}");
    let number = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        &number
    };
    format!("{number}{}", UNITS[unit])
}

/// Memory of this machine in bytes.
fn host_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let number: u64 = kilobytes.split_whitespace().next()?.parse().ok()?;
    Some(number * 1024)
}

fn text(records: &[Value], format: Option<&str>) -> Result<String, CliError> {
    match format {
        None | Some("table" | "") => {
            const COLUMNS: [(&str, &str); 8] = [
                ("CONTAINER ID", "ID"),
                ("NAME", "Name"),
                ("CPU %", "CPUPerc"),
                ("MEM USAGE / LIMIT", "MemUsage"),
                ("MEM %", "MemPerc"),
                ("NET I/O", "NetIO"),
                ("BLOCK I/O", "BlockIO"),
                ("PIDS", "PIDs"),
            ];
            let mut table = Table::new(&COLUMNS.map(|(header, _)| header));
            for record in records {
                let cell = |(_, key)| record[key].as_str().unwrap_or_default().to_owned();
                table.row(COLUMNS.map(cell).to_vec());
            }
            Ok(table.render())
        }
        Some("json") => Ok(lines(records.iter().map(Value::to_string))),
        Some(template) => by_template(template, records, &Value::clone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_reads_as_docker_prints_it() {
        let cases = [
            (0, "0B"),
            (1536, "1.5KiB"),
            (2_228_224, "2.125MiB"),
            (134_217_728, "128MiB"),
            (1_048_051_712, "999.5MiB"),
            (4_294_967_296, "4GiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(binary_size(bytes), text);
        }
    }

    #[test]
    fn a_share_is_busy_time_over_time() {
        let at = Instant::now();
        let sample = |milliseconds: u64, busy: u64| Sample {
            at: at + Duration::from_millis(milliseconds),
            used: Statistics {
                cpu_nanoseconds: Some(busy * 1_000_000),
                ..Statistics::default()
            },
            network: None,
        };
        assert_eq!(
            percent(processor_share(sample(200, 150), Some(sample(0, 50)))),
            "50.00%"
        );
        assert_eq!(percent(processor_share(sample(200, 150), None)), "0.00%");
    }

    #[test]
    fn loopback_is_no_traffic() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets\n    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n  eth0: 100 2 0 0 0 0 0 0 50 1 0 0 0 0 0 0\n  eth1: 1 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0\n";
        assert_eq!(traffic(text), Some((101, 52)));
    }
}
