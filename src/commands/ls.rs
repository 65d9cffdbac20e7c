//! In: `rcompose ls`. Out: the projects of this host, with how many of their containers are in which state.
//! **Invariant:** nothing is changed, and no compose file is read.

use std::collections::BTreeMap;

use rcompose_runtime::Runtime;
use rcompose_runtime::state::ContainerState;
use serde_json::{Value, json};

use super::Context;
use super::listing::lines;
use crate::error::CliError;
use crate::state;
use crate::ui::container_view::state_word;
use crate::ui::print;
use crate::ui::table::Table;

/// Options of `rcompose ls`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Show projects whose containers are all stopped too
    #[arg(short = 'a', long)]
    pub all: bool,
    /// Filter by name, such as name=shop; `*` and `?` stand for anything
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// table or json
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    /// Print names only
    #[arg(short = 'q', long)]
    pub quiet: bool,
}

/// One project.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: String,
    status: String,
    config_files: String,
}

/// Lists projects.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    let patterns = patterns(&args.filter)?;
    let runtime = context.runtime()?;
    let records = state::projects(context.data_root()?)?;
    let mut rows = Vec::new();
    for name in runtime.projects()? {
        let is_asked = patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, &name));
        if !is_asked {
            continue;
        }
        let containers = runtime.containers(&name)?;
        let counted = counted(&containers);
        let runs = counted.contains_key("running");
        if containers.is_empty() || !runs && !args.all {
            continue;
        }
        let record = records.iter().find(|record| record.name == name);
        rows.push(Row {
            status: status(&counted),
            config_files: config_files(&containers, record.map(|record| record.config_files.as_slice())),
            name,
        });
    }
    print::out(&text(&rows, args)?)?;
    Ok(())
}

/// `--filter name=PATTERN`.
fn patterns(filters: &[String]) -> Result<Vec<&str>, CliError> {
    filters
        .iter()
        .map(|filter| match filter.split_once('=') {
            Some(("name", pattern)) => Ok(pattern),
            Some((key, _)) => {
                Err(CliError::usage(format!("unknown filter {key}")).with_hint("use --filter name=NAME"))
            }
            None => Err(CliError::usage(format!(
                "--filter {filter}: a filter is KEY=VALUE"
            ))),
        })
        .collect()
}

/// Whether a name fits a pattern: as a part of it, or as a whole with `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    fn whole(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                whole(rest, name) || name.split_first().is_some_and(|(_, less)| whole(pattern, less))
            }
            (Some((b'?', rest)), Some((_, less))) => whole(rest, less),
            (Some((wanted, rest)), Some((found, less))) => wanted == found && whole(rest, less),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
    if pattern.contains(['*', '?']) {
        whole(pattern.as_bytes(), name.as_bytes())
    } else {
        name.contains(pattern)
    }
}

/// Containers by state.
fn counted(containers: &[ContainerState]) -> BTreeMap<&'static str, usize> {
    let mut counted = BTreeMap::new();
    for container in containers {
        *counted.entry(state_word(container.status)).or_insert(0) += 1;
    }
    counted
}

/// `exited(1), running(2)`.
fn status(counted: &BTreeMap<&'static str, usize>) -> String {
    let parts: Vec<String> = counted
        .iter()
        .map(|(state, count)| format!("{state}({count})"))
        .collect();
    parts.join(", ")
}

/// The files a project came from, as its containers say, else as its record says.
fn config_files(containers: &[ContainerState], recorded: Option<&[std::path::PathBuf]>) -> String {
    let label = |container: &ContainerState| {
        let files = container.labels.get("com.docker.compose.project.config_files");
        files.filter(|files| !files.is_empty()).cloned()
    };
    let mut files: Vec<String> = containers.iter().filter_map(label).collect();
    files.sort();
    files.dedup();
    if let Some(recorded) = recorded.filter(|_| files.is_empty()) {
        files = recorded.iter().map(|path| path.display().to_string()).collect();
    }
    files.join(",")
}

fn text(rows: &[Row], args: &Args) -> Result<String, CliError> {
    if args.quiet {
        return Ok(lines(rows.iter().map(|row| row.name.clone())));
    }
    match args.format.as_str() {
        "table" | "pretty" | "" => {
            let mut table = Table::new(&["NAME", "STATUS", "CONFIG FILES"]);
            for row in rows {
                table.row(vec![
                    row.name.clone(),
                    row.status.clone(),
                    row.config_files.clone(),
                ]);
            }
            Ok(table.render())
        }
        "json" => {
            let record =
                |row: &Row| json!({"Name": row.name, "Status": row.status, "ConfigFiles": row.config_files});
            Ok(format!("{}\n", Value::Array(rows.iter().map(record).collect())))
        }
        other => Err(CliError::usage(format!(
            "--format {other}: expected table or json"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_parts_or_the_whole() {
        assert!(matches("sho", "shop"));
        assert!(matches("s*p", "shop"));
        assert!(matches("sh?p", "shop"));
        assert!(!matches("s*x", "shop"));
        assert!(!matches("?shop", "shop"));
    }

    #[test]
    fn states_are_counted_in_the_order_of_their_names() {
        let counted = BTreeMap::from([("running", 2), ("exited", 1)]);
        assert_eq!(status(&counted), "exited(1), running(2)");
    }

    #[test]
    fn projects_are_one_array_or_one_table() {
        let rows = [Row {
            name: "shop".to_owned(),
            status: "running(2)".to_owned(),
            config_files: "/srv/compose.yaml".to_owned(),
        }];
        let mut args = Args {
            all: false,
            filter: Vec::new(),
            format: "json".to_owned(),
            quiet: false,
        };
        let json = r#"[{"Name":"shop","Status":"running(2)","ConfigFiles":"/srv/compose.yaml"}]"#;
        assert_eq!(text(&rows, &args).unwrap(), format!("{json}\n"));
        args.format = "table".to_owned();
        let table = "NAME   STATUS       CONFIG FILES\nshop   running(2)   /srv/compose.yaml\n";
        assert_eq!(text(&rows, &args).unwrap(), table);
        args.format = "yaml".to_owned();
        assert!(text(&rows, &args).unwrap_err().message.contains("yaml"));
    }
}
