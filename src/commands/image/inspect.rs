//! In: `rcompose image inspect`. Out: everything the store knows of images, with docker's field names.
//! **Invariant:** nothing is changed; an image that is not there is named, and the others are shown.

use std::collections::BTreeSet;

use rcompose_runtime::HOST;
use rcompose_runtime::image_store::{Image, ImageConfig, ImageStore, Reference};
use serde_json::{Map, Value, json};

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
    /// Fail unless the images are for this system and processor
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
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
                super::check_platform(&image, args.platform.as_deref())?;
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
    let directories: Vec<String> = image
        .layer_directories()
        .iter()
        .map(|directory| directory.display().to_string())
        .collect();
    let tagged = image
        .references
        .iter()
        .filter_map(|name| store.named_at(name).ok().flatten())
        .max();
    let tagged = tagged.and_then(|time| jiff::Timestamp::try_from(time).ok());
    let mut record = json!({
        "Id": image.id.to_string(),
        "RepoTags": names(false),
        "RepoDigests": names(true),
        "Parent": "",
        "Comment": document.history.last().map(|step| step.comment.clone()).unwrap_or_default(),
        "Created": image.created,
        "DockerVersion": "",
        "Author": document.author,
        "Architecture": image.platform.architecture,
        "Variant": image.platform.variant,
        "Os": image.platform.os,
        "Size": image.size,
        "GraphDriver": {"Data": graph(&directories), "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": layers},
        "Metadata": {"LastTagTime": tagged.map(|time| time.to_string())},
        "Config": config(&image.config),
    });
    // docker leaves out what the image does not say.
    if image.platform.variant.is_none()
        && let Some(fields) = record.as_object_mut()
    {
        fields.shift_remove("Variant");
    }
    if let (Some(host), Some(fields)) = (image.host, record.as_object_mut()) {
        fields.insert(
            "StandsOn".to_owned(),
            json!({"Image": HOST, "Known": host.to_string()}),
        );
    }
    if !image.attestations.is_empty() {
        let attestations = image.attestations.iter().map(|attestation| {
            json!({"PredicateType": attestation.predicate_type, "Predicate": attestation.predicate})
        });
        record["Attestations"] = attestations.collect();
    }
    Ok(record)
}

/// The layers' directories, as the overlay of a container has them.
fn graph(directories: &[String]) -> Value {
    match directories {
        [] => json!({}),
        [upper] => json!({"UpperDir": upper}),
        [upper, lower @ ..] => json!({"LowerDir": lower.join(":"), "UpperDir": upper}),
    }
}

/// The configuration with docker's fields: some are there even when empty, some only when set.
fn config(config: &ImageConfig) -> Value {
    let mut fields = Map::new();
    let set = |keys: &BTreeSet<String>| -> Value {
        if keys.is_empty() {
            return Value::Null;
        }
        Value::Object(keys.iter().map(|key| (key.clone(), json!({}))).collect())
    };
    let list = |items: &[String]| {
        if items.is_empty() {
            Value::Null
        } else {
            json!(items)
        }
    };
    fields.insert("Cmd".to_owned(), json!(config.cmd));
    fields.insert("Entrypoint".to_owned(), json!(config.entrypoint));
    fields.insert("Env".to_owned(), list(&config.env));
    if !config.exposed_ports.is_empty() {
        fields.insert("ExposedPorts".to_owned(), set(&config.exposed_ports));
    }
    if let Some(check) = &config.healthcheck {
        fields.insert("Healthcheck".to_owned(), json!(check));
    }
    let labels = if config.labels.is_empty() {
        Value::Null
    } else {
        json!(config.labels)
    };
    fields.insert("Labels".to_owned(), labels);
    fields.insert("OnBuild".to_owned(), list(&config.on_build));
    if let Some(shell) = &config.shell {
        fields.insert("Shell".to_owned(), json!(shell));
    }
    if !config.stop_signal.is_empty() {
        fields.insert("StopSignal".to_owned(), json!(config.stop_signal));
    }
    fields.insert("User".to_owned(), json!(config.user));
    fields.insert("Volumes".to_owned(), set(&config.volumes));
    fields.insert("WorkingDir".to_owned(), json!(config.working_dir));
    Value::Object(fields)
}
