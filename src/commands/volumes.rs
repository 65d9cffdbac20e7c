//! In: `rcompose volumes`. Out: the volumes of a project, or those that some of its services mount.
//! **Invariant:** nothing is changed.

use rcompose_runtime::Runtime;
use rcompose_runtime::state::{ContainerState, VolumeState};
use serde_json::{Value, json};

use super::Context;
use super::listing::{by_template, lines};
use crate::error::CliError;
use crate::ui::print;
use crate::ui::table::Table;

/// Options of `rcompose volumes`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// table, json, or a template such as {{.Name}}
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    /// Print names only
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Lists volumes.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let subject = context.subject(false)?;
    let mut volumes = context.runtime()?.volumes(&subject.project)?;
    if !args.services.is_empty() {
        let containers = context.containers_of(&subject, &args.services)?;
        volumes.retain(|volume| is_mounted(volume, &containers, &args.services));
    }
    volumes.sort_by(|one, other| one.request.name.cmp(&other.request.name));
    let text = if args.quiet {
        lines(volumes.iter().map(|volume| volume.request.name.clone()))
    } else {
        match args.format.as_str() {
            "table" | "" => {
                let mut table = Table::new(&["DRIVER", "VOLUME NAME"]);
                for volume in &volumes {
                    table.row(vec!["local".to_owned(), volume.request.name.clone()]);
                }
                table.render()
            }
            "json" => format!("{}\n", Value::Array(volumes.iter().map(record).collect())),
            template => by_template(template, &volumes, &record)?,
        }
    };
    print::out(&text)?;
    Ok(())
}

fn is_mounted(volume: &VolumeState, containers: &[ContainerState], services: &[String]) -> bool {
    let mut asked = containers
        .iter()
        .filter(|container| services.contains(&container.service));
    asked.any(|container| {
        let mut mounts = container.mounts.iter();
        mounts.any(|mount| mount.kind == "volume" && mount.source == volume.request.name)
    })
}

/// The object of `--format json`, with docker's field names.
fn record(volume: &VolumeState) -> Value {
    let labels: Vec<String> = volume
        .request
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    json!({
        "Availability": "N/A",
        "Driver": "local",
        "Group": "N/A",
        "Labels": labels.join(","),
        "Links": "N/A",
        "Mountpoint": volume.mountpoint,
        "Name": volume.request.name,
        "Scope": "local",
        "Size": "N/A",
        "Status": "N/A",
    })
}
