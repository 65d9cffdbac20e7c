//! In: `rcompose image diff`. Out: the paths that tell two images' file systems apart, or an image's from that below its last layer.
//! **Invariant:** nothing is changed.

use rcompose_runtime::image_store::{Image, differences};

use super::find;
use crate::commands::Context;
use crate::commands::diff::story;
use crate::error::CliError;
use crate::ui::print;

/// Options of `rcompose image diff`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// text, or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: String,
    /// The older image, or the only one: its last layer is shown
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The newer image
    #[arg(value_name = "OTHER")]
    pub other: Option<String>,
}

/// Compares.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let runtime = context.runtime()?;
    let store = runtime.images()?;
    let image = find(store, &args.image)?;
    let (old, new) = match &args.other {
        Some(other) => (image, find(store, other)?),
        None => (below_last(&image), image),
    };
    let trees = runtime.image_trees([&old, &new])?;
    let [old, new] = &trees.lower;
    print::out(&story(&differences(store, old, new)?, &args.format)?)?;
    Ok(())
}

fn below_last(image: &Image) -> Image {
    let mut below = image.clone();
    below.diff_ids.pop();
    below
}
