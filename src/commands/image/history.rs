//! In: `rcompose image history`. Out: the steps an image was made in, newest first, with docker's columns.
//! **Invariant:** every layer is on one line and no other, whatever the history says of it.

use jiff::Timestamp;
use rcompose_runtime::image_store::{History, Image, ImageStore};
use serde_json::{Value, json};

use super::find;
use crate::commands::Context;
use crate::commands::listing::{by_template, lines};
use crate::error::CliError;
use crate::ui::table::Table;
use crate::ui::{age, print};

/// Options of `rcompose image history`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// table, json, or a template such as {{.Comment}}
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Sizes and times for people
    #[arg(
        short = 'H',
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub human: bool,
    /// Print whole ids and instructions
    #[arg(long)]
    pub no_trunc: bool,
    /// Fail unless the image is for this system and processor
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Print ids only
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Name or id
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

/// Characters of an instruction that are shown.
const SHOWN: usize = 45;

/// One step.
struct Step {
    /// The image, for its last step.
    id: Option<String>,
    history: History,
    /// Bytes its layer has.
    size: u64,
}

/// Shows the steps.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let store = context.runtime()?.images()?;
    let image = find(store, &args.image)?;
    super::check_platform(&image, args.platform.as_deref())?;
    let steps = steps(store, &image)?;
    let now = Timestamp::now();
    if args.quiet {
        print::out(&lines(steps.iter().map(|step| step.id(args))))?;
        return Ok(());
    }
    let text = match args.format.as_deref() {
        None | Some("table" | "") => {
            let created = if args.human { "CREATED" } else { "CREATED AT" };
            let mut table = Table::new(&["IMAGE", created, "CREATED BY", "SIZE", "COMMENT"]);
            for step in &steps {
                table.row(vec![
                    step.id(args),
                    if args.human { step.since(now) } else { step.at() },
                    step.by(args),
                    step.size(args),
                    step.history.comment.clone(),
                ]);
            }
            table.render()
        }
        Some("json") => lines(steps.iter().map(|step| step.record(args, now).to_string())),
        Some(template) => by_template(template, &steps, &|step| step.record(args, now))?,
    };
    print::out(&text)?;
    Ok(())
}

/// Newest first. The history names only some of the layers of images that were not made by steps: the others come first of all.
fn steps(store: &ImageStore, image: &Image) -> Result<Vec<Step>, CliError> {
    let document = store.document(&image.id)?;
    let mut sizes = Vec::new();
    for diff_id in &image.diff_ids {
        sizes.push(store.layer(diff_id)?.map_or(0, |layer| layer.size));
    }
    let told = document.history.iter().filter(|step| !step.empty_layer).count();
    let untold = sizes.len().saturating_sub(told);
    let mut sizes = sizes.into_iter();
    let step = |history: History, size: u64| Step {
        id: None,
        history,
        size,
    };
    let mut steps: Vec<Step> = sizes
        .by_ref()
        .take(untold)
        .map(|size| step(History::default(), size))
        .collect();
    for history in document.history {
        let size = if history.empty_layer {
            0
        } else {
            sizes.next().unwrap_or(0)
        };
        steps.push(step(history, size));
    }
    steps.reverse();
    if let Some(last) = steps.first_mut() {
        last.id = Some(image.id.to_string());
    }
    Ok(steps)
}

impl Step {
    fn id(&self, args: &Args) -> String {
        let Some(id) = &self.id else {
            return "<missing>".to_owned();
        };
        if args.no_trunc {
            return id.clone();
        }
        let hexadecimal = id.strip_prefix("sha256:").unwrap_or(id);
        hexadecimal.chars().take(12).collect()
    }

    fn time(&self) -> Option<Timestamp> {
        self.history.created.as_deref()?.parse().ok()
    }

    fn since(&self, now: Timestamp) -> String {
        self.time().map_or_else(
            || "N/A".to_owned(),
            |then| {
                format!(
                    "{} ago",
                    age::words(now.duration_since(then).try_into().unwrap_or_default())
                )
            },
        )
    }

    /// In whole seconds, as docker shows it.
    fn at(&self) -> String {
        let seconds = self
            .time()
            .and_then(|time| Timestamp::from_second(time.as_second()).ok());
        seconds.map_or_else(String::new, |time| time.to_string())
    }

    fn by(&self, args: &Args) -> String {
        let text = self.history.created_by.replace(['\t', '\n'], " ");
        if args.no_trunc || text.chars().count() <= SHOWN {
            return text;
        }
        let shown: String = text.chars().take(SHOWN - 1).collect();
        format!("{shown}…")
    }

    fn size(&self, args: &Args) -> String {
        if args.human {
            age::size(self.size)
        } else {
            self.size.to_string()
        }
    }

    /// The object of `--format json`, with docker's field names.
    fn record(&self, args: &Args, now: Timestamp) -> Value {
        json!({
            "Comment": self.history.comment,
            "CreatedAt": self.at(),
            "CreatedBy": self.by(args),
            "CreatedSince": self.since(now),
            "ID": self.id(args),
            "Size": self.size(args),
        })
    }
}
