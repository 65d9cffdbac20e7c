//! In: `rcompose schema`. Out: the JSON Schema of a Compose file for editors, or the table of keys and their fates.
//! **Invariant:** what is committed as `schemas/compose.schema.json` and as the book's page is what this prints.

use super::Context;
use crate::error::CliError;
use crate::model::schema;
use crate::source::emit;
use crate::ui::print;

/// Options of `rcompose schema`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Print every key of the Compose language and what becomes of it here, in Markdown
    #[arg(long)]
    pub keys: bool,
}

/// Prints the schema.
pub fn run(_context: &Context, args: &Args) -> Result<(), CliError> {
    let text = if args.keys {
        schema::page()
    } else {
        emit::json_text(&schema::json_schema())
    };
    print::out(&text)?;
    Ok(())
}

#[cfg(test)]
mod tests;
