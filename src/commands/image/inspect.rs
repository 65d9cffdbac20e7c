//! In: `rcompose image inspect`. Out: everything the store knows of images, with docker's field names.
//! **Invariant:** nothing is changed; an image that is not there is named, and the others are shown.

use rcompose_runtime::image_store::{Image, ImageStore, Reference};
use serde_json::{Value, json};

use crate::commands::Context;
use crate::commands::listing::by_template;
use crate::error::CliError;
use crate::ui::print;

/// Options of `rcompose image inspect`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// json, or a template such as {{.Id}}
    #[arg(short = 'f', long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// Shows images.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let store = context.runtime()?.images()?;
    let mut found = Vec::new();
    let mut missing = Vec::new();
    let all = store.list()?;
    for name in &args.images {
        match store.find(name)? {
            Some(image) => {
                let named = all.iter().find(|known| known.id == image.id).cloned();
                found.push(record(store, &named.unwrap_or(image))?);
            }
            None => missing.push(format!("no such image: {name}")),
        }
    }
    let text = match args.format.as_deref() {
        None => format!("{}\n", pretty(&Value::Array(found))),
        Some("json") => format!("{}\n", Value::Array(found)),
        Some(template) => by_template(template, &found, &Value::clone)?,
    };
    print::out(&text)?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(CliError::user(missing.join("\n")))
}

fn pretty(value: &Value) -> String {
    // Values of JSON have no other way to fail than maps with keys that are no strings.
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

fn record(store: &ImageStore, image: &Image) -> Result<Value, CliError> {
    let document = store.document(&image.id)?;
    let names = |digests: bool| -> Vec<String> {
        let wanted = image
            .references
            .iter()
            .filter(|name| name.digest().is_some() == digests);
        wanted.map(Reference::familiar).collect()
    };
    let layers: Vec<String> = image.diff_ids.iter().map(ToString::to_string).collect();
    let mut record = json!({
        "Id": image.id.to_string(),
        "RepoTags": names(false),
        "RepoDigests": names(true),
        "Parent": "",
        "Comment": document.history.last().map(|step| step.comment.clone()).unwrap_or_default(),
        "Created": image.created,
        "Author": document.author,
        "Architecture": image.platform.architecture,
        "Variant": image.platform.variant,
        "Os": image.platform.os,
        "Size": image.size,
        "Config": image.config,
        "RootFS": {"Type": "layers", "Layers": layers},
        "Metadata": {"LastTagTime": Value::Null},
    });
    if !image.attestations.is_empty() {
        let attestations = image.attestations.iter().map(|attestation| {
            json!({"PredicateType": attestation.predicate_type, "Predicate": attestation.predicate})
        });
        record["Attestations"] = attestations.collect();
    }
    Ok(record)
}
