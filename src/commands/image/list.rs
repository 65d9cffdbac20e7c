//! In: `rcompose image ls`. Out: the images of the store, one row a name, newest first, as docker lists them.
//! **Invariant:** nothing is changed.

use jiff::Timestamp;
use rcompose_runtime::image_store::{Image, Reference};
use serde_json::{Value, json};

use super::filter::Filters;
use crate::commands::Context;
use crate::commands::listing::{by_template, lines};
use crate::error::CliError;
use crate::ui::table::Table;
use crate::ui::{age, print};

/// Options of `rcompose image ls`.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub struct Args {
    /// Accepted as docker accepts it: there are no intermediate images to hide
    #[arg(short = 'a', long)]
    pub all: bool,
    /// Show digests
    #[arg(long)]
    pub digests: bool,
    /// Only images that fit: reference=PATTERN, dangling=BOOL, label=KEY[=VALUE], before=IMAGE, since=IMAGE, until=24h
    #[arg(short = 'f', long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// table, json, or a template such as {{.Repository}}
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Print ids only
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Print whole ids
    #[arg(long)]
    pub no_trunc: bool,
    /// Only images of this repository, or with this name
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

const NONE: &str = "<none>";
const FILTERS: [&str; 6] = ["reference", "dangling", "label", "before", "since", "until"];

/// One row: an image under one of its names.
struct Row<'a> {
    image: &'a Image,
    name: Option<&'a Reference>,
}

/// Lists images.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let store = context.runtime()?.images()?;
    let filters = Filters::parse(&args.filter, &FILTERS, store)?;
    let images = store.list()?;
    let rows: Vec<Row<'_>> = images
        .iter()
        .flat_map(rows)
        .filter(|row| is_asked(row, args) && filters.pass(row.image, row.name))
        .collect();
    let now = Timestamp::now();
    let id = |row: &Row<'_>| {
        if args.no_trunc {
            row.image.id.to_string()
        } else {
            row.image.id.short()
        }
    };
    if args.quiet {
        let mut ids: Vec<String> = rows.iter().map(id).collect();
        ids.dedup();
        print::out(&lines(ids.into_iter()))?;
        return Ok(());
    }
    let text = match args.format.as_deref() {
        None | Some("table" | "") => {
            let mut header = vec!["REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"];
            if !args.digests {
                header.remove(2);
            }
            let mut table = Table::new(&header);
            for row in &rows {
                let mut cells = vec![
                    row.repository(),
                    row.tag(),
                    row.digest(),
                    id(row),
                    created(row.image, now),
                    age::size(row.image.size),
                ];
                if !args.digests {
                    cells.remove(2);
                }
                table.row(cells);
            }
            table.render()
        }
        Some("json") => lines(rows.iter().map(|row| record(row, &id(row), now).to_string())),
        Some(template) => by_template(template, &rows, &|row| record(row, &id(row), now))?,
    };
    print::out(&text)?;
    Ok(())
}

/// One row a tag; an image without one has one row.
fn rows(image: &Image) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = image
        .references
        .iter()
        .filter(|name| name.tag().is_some())
        .map(|name| Row {
            image,
            name: Some(name),
        })
        .collect();
    if rows.is_empty() {
        let name = image.references.first();
        rows.push(Row { image, name });
    }
    rows
}

fn is_asked(row: &Row<'_>, args: &Args) -> bool {
    let Some(asked) = &args.name else { return true };
    let Ok(reference) = asked.parse::<Reference>() else {
        return false;
    };
    let tagged = asked.rsplit('/').next().is_some_and(|last| last.contains(':'));
    row.name.is_some_and(|name| {
        name.familiar_name() == reference.familiar_name() && (!tagged || name.tag() == reference.tag())
    })
}

impl Row<'_> {
    fn repository(&self) -> String {
        self.name
            .map_or_else(|| NONE.to_owned(), Reference::familiar_name)
    }

    fn tag(&self) -> String {
        self.name.and_then(Reference::tag).unwrap_or(NONE).to_owned()
    }

    fn digest(&self) -> String {
        self.image
            .manifest
            .map_or_else(|| NONE.to_owned(), |digest| digest.to_string())
    }
}

/// How long ago an image was made.
pub(in crate::commands) fn created(image: &Image, now: Timestamp) -> String {
    match image
        .created
        .as_deref()
        .and_then(|text| text.parse::<Timestamp>().ok())
    {
        Some(then) => {
            let since = now.duration_since(then).try_into().unwrap_or_default();
            format!("{} ago", age::words(since))
        }
        None => "N/A".to_owned(),
    }
}

/// The object of `--format json`, with docker's field names.
fn record(row: &Row<'_>, id: &str, now: Timestamp) -> Value {
    json!({
        "Containers": "N/A",
        "CreatedAt": row.image.created.clone().unwrap_or_default(),
        "CreatedSince": created(row.image, now),
        "Digest": row.digest(),
        "ID": id,
        "Repository": row.repository(),
        "SharedSize": "N/A",
        "Size": age::size(row.image.size),
        "Tag": row.tag(),
        "UniqueSize": "N/A",
        "VirtualSize": age::size(row.image.size),
    })
}
