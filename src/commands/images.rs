//! In: `rcompose images`. Out: the images that a project's containers were made from.
//! **Invariant:** an image that is gone is shown by the id its container remembers.

use jiff::Timestamp;
use rcompose_runtime::image_store::{Image, ImageStore, Reference};
use rcompose_runtime::state::ContainerState;
use serde_json::{Value, json};

use super::Context;
use super::image::list::created;
use super::listing::lines;
use crate::error::CliError;
use crate::ui::table::Table;
use crate::ui::{age, print};

/// Options of `rcompose images`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// table or json
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    /// Print ids only
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// A container's image.
struct Row {
    container: String,
    repository: String,
    tag: String,
    id: String,
    image: Option<Image>,
}

/// Lists images.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let subject = context.subject(false)?;
    let mut containers = context.containers_of(&subject, &args.services)?;
    containers.retain(|container| args.services.is_empty() || args.services.contains(&container.service));
    containers.sort_by(|one, other| one.name.cmp(&other.name));
    let store = context.runtime()?.images()?;
    let rows = containers
        .iter()
        .map(|container| row(container, store))
        .collect::<Result<Vec<Row>, CliError>>()?;
    print::out(&text(&rows, args, Timestamp::now())?)?;
    Ok(())
}

fn row(container: &ContainerState, store: &ImageStore) -> Result<Row, CliError> {
    let image = store.find(&container.image_id)?;
    let reference = container.image.parse::<Reference>().ok();
    let none = || "<none>".to_owned();
    Ok(Row {
        container: container.name.clone(),
        repository: reference
            .as_ref()
            .map_or_else(|| container.image.clone(), Reference::familiar_name),
        tag: reference
            .as_ref()
            .and_then(|reference| reference.tag())
            .map_or_else(none, str::to_owned),
        id: container.image_id.clone(),
        image,
    })
}

fn text(rows: &[Row], args: &Args, now: Timestamp) -> Result<String, CliError> {
    let hexadecimal = |row: &Row| row.id.strip_prefix("sha256:").unwrap_or(&row.id).to_owned();
    if args.quiet {
        let mut ids: Vec<String> = rows.iter().map(hexadecimal).collect();
        ids.sort();
        ids.dedup();
        return Ok(lines(ids.into_iter()));
    }
    match args.format.as_str() {
        "table" | "pretty" | "" => {
            let mut table = Table::new(&[
                "CONTAINER",
                "REPOSITORY",
                "TAG",
                "PLATFORM",
                "IMAGE ID",
                "SIZE",
                "CREATED",
            ]);
            for row in rows {
                let id = hexadecimal(row);
                table.row(vec![
                    row.container.clone(),
                    row.repository.clone(),
                    row.tag.clone(),
                    row.image
                        .as_ref()
                        .map_or_else(String::new, |image| image.platform.to_string()),
                    id.get(..12).unwrap_or(&id).to_owned(),
                    row.image
                        .as_ref()
                        .map_or_else(String::new, |image| age::size(image.size)),
                    row.image
                        .as_ref()
                        .map_or_else(String::new, |image| created(image, now)),
                ]);
            }
            Ok(table.render())
        }
        "json" => Ok(format!("{}\n", Value::Array(rows.iter().map(record).collect()))),
        other => Err(CliError::usage(format!(
            "--format {other}: expected table or json"
        ))),
    }
}

fn record(row: &Row) -> Value {
    json!({
        "ID": row.id,
        "ContainerName": row.container,
        "Repository": row.repository,
        "Tag": row.tag,
        "Platform": row.image.as_ref().map_or_else(String::new, |image| image.platform.to_string()),
        "Size": row.image.as_ref().map_or(0, |image| image.size),
        "Created": row.image.as_ref().and_then(|image| image.created.clone()),
    })
}
