//! In: a project whose variables are not put in. Out: the variables its files ask for, as a table, JSON or YAML.
//! **Invariant:** of a variable that is asked for several times the most that is said is shown.

use std::collections::BTreeMap;

use super::Format;
use crate::commands::Context;
use crate::error::CliError;
use crate::model;
use crate::source::load::LoadOptions;
use crate::source::node::Value;
use crate::source::{emit, template};
use crate::ui::table::Table;

/// The variables of the files, as docker compose lists them; of one that is asked for several times, the most that is said.
pub(super) fn text(context: &Context, format: Option<Format>) -> Result<String, CliError> {
    let checked = model::check(&model::Options {
        normalise: false,
        consistency: false,
        environment: false,
        ..model::Options::new(LoadOptions {
            interpolate: false,
            ..context.load_options()
        })
    });
    let Some(mut loaded) = checked.loaded.filter(|_| !checked.diagnostics.has_errors()) else {
        return Err(CliError::findings(&checked.diagnostics, &checked.sources));
    };
    let mut all: BTreeMap<String, template::Asked> = BTreeMap::new();
    loaded.root.walk_mut(&mut |node| {
        if let Value::String(text) = &node.value {
            for asked in template::asked(text) {
                let known = all.entry(asked.name.clone()).or_default();
                known.required |= asked.required;
                if known.default.is_empty() {
                    known.default = asked.default;
                }
                if known.alternate.is_empty() {
                    known.alternate = asked.alternate;
                }
            }
        }
    });
    let spelled = |spell: fn(&'static str) -> String| {
        let listed = all.iter().map(|(name, asked)| {
            let value = serde_json::json!({
                spell("Name"): name,
                spell("DefaultValue"): asked.default,
                spell("PresenceValue"): asked.alternate,
                spell("Required"): asked.required,
            });
            (name.clone(), value)
        });
        serde_json::Value::Object(listed.collect())
    };
    // docker compose's keys differ by format, too.
    match format {
        Some(Format::Json) => return Ok(emit::json_text(&spelled(str::to_owned))),
        Some(Format::Yaml) => return Ok(emit::yaml_of_json(&spelled(str::to_ascii_lowercase))),
        Some(Format::Toml) => {
            return Err(
                CliError::usage("--variables has no TOML form").with_hint("use --format json or yaml")
            );
        }
        None => {}
    }
    let mut table = Table::new(&["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"]);
    for (name, asked) in all {
        table.row(vec![
            name,
            asked.required.to_string(),
            asked.default,
            asked.alternate,
        ]);
    }
    Ok(table.render())
}
