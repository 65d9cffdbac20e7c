//! In: `rcompose system df`. Out: what images, containers, volumes and builds take of the disk, and how much of it nobody needs.
//! **Invariant:** nothing is changed; a layer that several images share counts once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rcompose_runtime::image_store::build::CacheRecord;
use rcompose_runtime::image_store::build::cache::BuildCache;
use rcompose_runtime::image_store::{Digest, Image, ImageStore, Reference};
use rcompose_runtime::state::{ContainerState, Status};
use rcompose_runtime::{Runtime as _, VolumeUsage};
use serde_json::{Value, json};

use crate::commands::Context;
use crate::commands::image::list::created;
use crate::commands::listing::{by_template, lines};
use crate::error::CliError;
use crate::ui::table::Table;
use crate::ui::{age, print};

/// Options of `rcompose system df`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// table, json, or a template such as {{.Type}}
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Show every image, container and volume, and all that builds keep
    #[arg(short = 'v', long)]
    pub verbose: bool,
}

/// Everything there is.
struct Everything {
    images: Vec<Image>,
    /// Bytes of every layer of an image.
    layers: BTreeMap<Digest, u64>,
    containers: Vec<(ContainerState, u64)>,
    volumes: Vec<VolumeUsage>,
    kept: Vec<CacheRecord>,
}

/// Shows it.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let everything = Everything::look(context)?;
    let text = match (args.format.as_deref(), args.verbose) {
        (None | Some("table" | ""), false) => table(&everything.rows()),
        (None | Some("table" | ""), true) => everything.details(Timestamp::now()),
        (Some("json"), false) => lines(everything.rows().iter().map(|row| row.record().to_string())),
        (Some("json"), true) => format!("{}\n", everything.records(Timestamp::now())),
        (Some(template), false) => by_template(template, &everything.rows(), &Row::record)?,
        (Some(other), true) => {
            return Err(CliError::usage(format!(
                "--format {other}: with --verbose expected table or json"
            )));
        }
    };
    print::out(&text)?;
    Ok(())
}

/// One kind of thing.
struct Row {
    kind: &'static str,
    total: usize,
    active: usize,
    size: u64,
    reclaimable: u64,
}

impl Row {
    /// The share is docker's: without bytes there is none.
    fn reclaimable(&self) -> String {
        let bytes = age::size(self.reclaimable);
        match (self.reclaimable * 100).checked_div(self.size) {
            Some(share) => format!("{bytes} ({share}%)"),
            None => bytes,
        }
    }

    fn record(&self) -> Value {
        json!({
            "Active": self.active.to_string(),
            "Reclaimable": self.reclaimable(),
            "Size": age::size(self.size),
            "TotalCount": self.total.to_string(),
            "Type": self.kind,
        })
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]);
    for row in rows {
        table.row(vec![
            row.kind.to_owned(),
            row.total.to_string(),
            row.active.to_string(),
            age::size(row.size),
            row.reclaimable(),
        ]);
    }
    table.render()
}

fn is_up(container: &ContainerState) -> bool {
    matches!(
        container.status,
        Status::Running | Status::Paused | Status::Restarting
    )
}

impl Everything {
    fn look(context: &Context) -> Result<Self, CliError> {
        let runtime = context.runtime()?;
        let store: &ImageStore = runtime.images()?;
        let images = store.list()?;
        let mut layers = BTreeMap::new();
        for diff_id in images.iter().flat_map(|image| &image.diff_ids) {
            layers.insert(*diff_id, store.layer_usage(diff_id)?);
        }
        let mut containers = Vec::new();
        for project in runtime.projects()? {
            for container in runtime.containers(&project)? {
                let size = runtime.container_size(&container.id)?;
                containers.push((container, size));
            }
        }
        Ok(Self {
            images,
            layers,
            containers,
            volumes: runtime.all_volumes()?,
            kept: BuildCache::of(store).records()?,
        })
    }

    fn users(&self, image: &Image) -> usize {
        let id = image.id.to_string();
        self.containers
            .iter()
            .filter(|(container, _)| container.image_id == id)
            .count()
    }

    fn rows(&self) -> [Row; 4] {
        let active: Vec<&Image> = self.images.iter().filter(|image| self.users(image) > 0).collect();
        let needed: BTreeSet<&Digest> = active.iter().flat_map(|image| &image.diff_ids).collect();
        let unneeded = self.layers.iter().filter(|(layer, _)| !needed.contains(layer));
        let down = self.containers.iter().filter(|(container, _)| !is_up(container));
        let unused = self.volumes.iter().filter(|volume| volume.users == 0);
        // What an image has, too, is counted there.
        let own = || self.kept.iter().filter(|record| !record.shared);
        [
            Row {
                kind: "Images",
                total: self.images.len(),
                active: active.len(),
                size: self.layers.values().sum(),
                reclaimable: unneeded.map(|(_, size)| size).sum(),
            },
            Row {
                kind: "Containers",
                total: self.containers.len(),
                active: self
                    .containers
                    .iter()
                    .filter(|(container, _)| is_up(container))
                    .count(),
                size: self.containers.iter().map(|(_, size)| size).sum(),
                reclaimable: down.map(|(_, size)| size).sum(),
            },
            Row {
                kind: "Local Volumes",
                total: self.volumes.len(),
                active: self.volumes.iter().filter(|volume| volume.users > 0).count(),
                size: self.volumes.iter().map(|volume| volume.size).sum(),
                reclaimable: unused.map(|volume| volume.size).sum(),
            },
            Row {
                kind: "Build Cache",
                total: self.kept.len(),
                active: self.kept.iter().filter(|record| record.in_use).count(),
                size: own().map(|record| record.size).sum(),
                reclaimable: own()
                    .filter(|record| !record.in_use)
                    .map(|record| record.size)
                    .sum(),
            },
        ]
    }

    /// Bytes of an image's layers that others have too, and that only it has.
    fn shares(&self, image: &Image) -> (u64, u64) {
        let others = self.images.iter().filter(|other| other.id != image.id);
        let others: BTreeSet<&Digest> = others.flat_map(|other| &other.diff_ids).collect();
        let own: BTreeSet<&Digest> = image.diff_ids.iter().collect();
        let bytes = |shared: bool| {
            let layers = own.iter().filter(|layer| others.contains(*layer) == shared);
            layers.filter_map(|layer| self.layers.get(*layer)).sum()
        };
        (bytes(true), bytes(false))
    }

    fn details(&self, now: Timestamp) -> String {
        let mut images = Table::new(&[
            "REPOSITORY",
            "TAG",
            "IMAGE ID",
            "CREATED",
            "SIZE",
            "SHARED SIZE",
            "UNIQUE SIZE",
            "CONTAINERS",
        ]);
        for image in &self.images {
            let name = image.references.iter().find(|name| name.tag().is_some());
            let none = || "<none>".to_owned();
            let (shared, unique) = self.shares(image);
            images.row(vec![
                name.map_or_else(none, Reference::familiar_name),
                name.and_then(Reference::tag).map_or_else(none, str::to_owned),
                image.id.short(),
                created(image, now),
                age::size(shared + unique),
                age::size(shared),
                age::size(unique),
                self.users(image).to_string(),
            ]);
        }
        let mut containers = Table::new(&[
            "CONTAINER ID",
            "IMAGE",
            "COMMAND",
            "LOCAL VOLUMES",
            "SIZE",
            "STATUS",
            "NAMES",
        ]);
        for (container, size) in &self.containers {
            let volumes = container
                .mounts
                .iter()
                .filter(|mount| mount.kind == "volume")
                .count();
            containers.row(vec![
                container.id.chars().take(12).collect(),
                container.image.clone(),
                format!("\"{}\"", container.command.join(" ")),
                volumes.to_string(),
                age::size(*size),
                crate::ui::container_view::state_word(container.status).to_owned(),
                container.name.clone(),
            ]);
        }
        let mut volumes = Table::new(&["VOLUME NAME", "LINKS", "SIZE"]);
        for volume in &self.volumes {
            volumes.row(vec![
                volume.volume.request.name.clone(),
                volume.users.to_string(),
                age::size(volume.size),
            ]);
        }
        let mut kept = Table::new(&["CACHE ID", "CACHE TYPE", "SIZE", "LAST USED", "SHARED", "IN USE"]);
        for record in &self.kept {
            let since = record.last_used.elapsed().unwrap_or_default();
            kept.row(vec![
                record.id.chars().take(12).collect(),
                record.kind.name().to_owned(),
                age::size(record.size),
                format!("{} ago", age::words(since)),
                record.shared.to_string(),
                record.in_use.to_string(),
            ]);
        }
        format!(
            "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}\nBuild cache usage: {}\n\n{}",
            images.render(),
            containers.render(),
            volumes.render(),
            age::size(self.rows()[3].size),
            kept.render()
        )
    }

    fn records(&self, now: Timestamp) -> Value {
        let image = |image: &Image| {
            let (shared, unique) = self.shares(image);
            let name = image.references.iter().find(|name| name.tag().is_some());
            json!({
                "Containers": self.users(image).to_string(),
                "CreatedAt": image.created,
                "CreatedSince": created(image, now),
                "ID": image.id.to_string(),
                "Repository": name.map_or_else(|| "<none>".to_owned(), Reference::familiar_name),
                "SharedSize": age::size(shared),
                "Size": age::size(shared + unique),
                "Tag": name.and_then(Reference::tag).unwrap_or("<none>"),
                "UniqueSize": age::size(unique),
            })
        };
        let container = |(container, size): &(ContainerState, u64)| {
            json!({
                "Command": format!("\"{}\"", container.command.join(" ")),
                "CreatedAt": container.created_at,
                "ID": container.id,
                "Image": container.image,
                "Names": container.name,
                "Size": age::size(*size),
                "State": crate::ui::container_view::state_word(container.status),
            })
        };
        let volume = |volume: &VolumeUsage| {
            json!({
                "Driver": "local",
                "Links": volume.users.to_string(),
                "Mountpoint": volume.volume.mountpoint,
                "Name": volume.volume.request.name,
                "Size": age::size(volume.size),
            })
        };
        let kept = |record: &CacheRecord| {
            json!({
                "CacheType": record.kind.name(),
                "CreatedAt": record.created,
                "Description": record.description,
                "ID": record.id,
                "InUse": record.in_use.to_string(),
                "Shared": record.shared.to_string(),
                "Size": age::size(record.size),
            })
        };
        json!({
            "Images": self.images.iter().map(image).collect::<Vec<_>>(),
            "Containers": self.containers.iter().map(container).collect::<Vec<_>>(),
            "Volumes": self.volumes.iter().map(volume).collect::<Vec<_>>(),
            "BuildCache": self.kept.iter().map(kept).collect::<Vec<_>>(),
        })
    }
}
