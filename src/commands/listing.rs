//! In: records of things to list. Out: the text of `--format`: lines, or a template's lines and columns.
//! **Invariant:** a template that asks for what a record does not have is an error, never an empty cell.

use serde_json::Value;

use crate::error::CliError;
use crate::ui::table::Table;
use crate::ui::template::Template;

/// Each on a line of its own.
pub(in crate::commands) fn lines(items: impl Iterator<Item = String>) -> String {
    items.map(|item| item + "\n").collect()
}

/// Records by a template, one a line; a `table ` template has a header and columns.
pub(in crate::commands) fn by_template<T>(
    template: &str,
    items: &[T],
    record: &dyn Fn(&T) -> Value,
) -> Result<String, CliError> {
    let template = Template::parse(template).map_err(|error| CliError::usage(error.to_string()))?;
    let mut rendered = Vec::new();
    for item in items {
        let line = template.render(&record(item));
        rendered.push(line.map_err(|error| CliError::usage(error.to_string()))?);
    }
    if template.table {
        let header = template.header();
        let mut table = Table::new(&header.split('\t').collect::<Vec<_>>());
        for line in rendered {
            table.row(line.split('\t').map(str::to_owned).collect());
        }
        return Ok(table.render());
    }
    Ok(lines(rendered.into_iter()))
}
