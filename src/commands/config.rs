//! In: `rcompose config`. Out: the project as its files say it, resolved, or one list of what is in it.
//! **Invariant:** nothing of the host is looked at but the files; registries are asked for digests only.

mod digests;
mod explain;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::ValueEnum;

use super::Context;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::error::CliError;
use crate::model::normalise::{View, escape_dollars, printed, printed_raw};
use crate::model::{self, Outcome};
use crate::source::comments::Comments;
use crate::source::load::LoadOptions;
use crate::source::node::{Mapping, Node, Value};
use crate::source::{emit, template, toml};
use crate::ui::table::Table;
use crate::ui::{print, report};

/// Options of `rcompose config`.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one field a flag")]
pub struct Args {
    /// Format (default: yaml; of --variables: a table)
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Print nothing, only check
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Print the names of services, one a line
    #[arg(long = "services")]
    pub only_services: bool,
    /// Print the keys of volumes, one a line
    #[arg(long)]
    pub volumes: bool,
    /// Print the keys of networks, one a line
    #[arg(long)]
    pub networks: bool,
    /// Print the images of services, one a line
    #[arg(long)]
    pub images: bool,
    /// Print the models, one a line
    #[arg(long)]
    pub models: bool,
    /// Print the profiles, one a line
    #[arg(long = "profiles")]
    pub only_profiles: bool,
    /// Print the variables that interpolation sees
    #[arg(long)]
    pub environment: bool,
    /// Print the variables that the files ask for
    #[arg(long)]
    pub variables: bool,
    /// Print the hashes that decide on recreation, of all services (*) or of some, with commas
    #[arg(long, value_name = "SERVICES")]
    pub hash: Option<String>,
    /// Do not put variables in
    #[arg(long)]
    pub no_interpolate: bool,
    /// Do not spell out names, networks and dependencies
    #[arg(long)]
    pub no_normalize: bool,
    /// Do not make paths absolute
    #[arg(long)]
    pub no_path_resolution: bool,
    /// Do not check parts against each other
    #[arg(long)]
    pub no_consistency: bool,
    /// Do not read values of the services' environment
    #[arg(long)]
    pub no_env_resolution: bool,
    /// Pin images to the digests that their registries have now
    #[arg(long)]
    pub resolve_image_digests: bool,
    /// Print an override file that pins images to the digests that their registries have now
    #[arg(long)]
    pub lock_image_digests: bool,
    /// Print where values come from: all, those at or below a path (services.web.environment, services.*.image), or a
    /// variable ($NAME): who sets it, who uses it
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "")]
    pub explain: Option<String>,
    /// Write to a file
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Services; none means all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

impl Args {
    /// Whether images are pinned; lists of names leave them as they are.
    fn pins(&self) -> bool {
        let lists = [
            self.only_services,
            self.volumes,
            self.networks,
            self.models,
            self.images,
            self.only_profiles,
            self.environment,
        ];
        (self.resolve_image_digests || self.lock_image_digests) && !lists.contains(&true)
    }
}

/// Format of the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
    /// TOML.
    Toml,
}

/// Prints the project.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    if args.variables {
        if !args.services.is_empty() {
            print::err("warning: --variables lists the variables of all services\n");
        }
        return write(context, args, &variables(context, args.format)?);
    }
    if let Some(services) = &args.hash {
        return write(context, args, &hashes(context, services)?);
    }
    if let Some(asked) = &args.explain {
        let text = explain::text(context, args, asked)?;
        return if args.quiet {
            Ok(())
        } else {
            write(context, args, &text)
        };
    }
    let mut outcome = load(context, args)?;
    if let (Some(root), true) = (&mut outcome.normalised, args.pins()) {
        digests::pin(context, root, &outcome.sources)?;
    }
    if args.quiet {
        return Ok(());
    }
    let text = match outcome.normalised.take() {
        _ if args.environment => environment(&outcome),
        // Profiles that are off count too, and normalisation leaves their services out.
        _ if args.only_profiles => outcome
            .loaded
            .as_ref()
            .map(|loaded| lines(profiles(&loaded.root)))
            .unwrap_or_default(),
        Some(root) => text(args, root),
        None => String::new(),
    };
    write(context, args, &text)
}

fn load(context: &Context, args: &Args) -> Result<Outcome, CliError> {
    // Lists of names are of the whole project, whatever services are given.
    let whole = args.only_services || args.volumes || args.networks || args.models;
    let services = if whole { &[][..] } else { &args.services };
    if args.no_interpolate && !services.is_empty() {
        print::err("warning: with --no-interpolate all services are printed\n");
    }
    let mut outcome = model::load(&model::Options {
        source: LoadOptions {
            interpolate: !args.no_interpolate,
            resolve_paths: !args.no_path_resolution,
            ..context.load_options()
        },
        services: services.to_vec(),
        normalise: !args.no_normalize,
        consistency: !args.no_consistency,
        environment: !args.no_env_resolution,
    });
    outcome.sources.show_from(&context.cwd);
    if outcome.diagnostics.has_errors() || outcome.normalised.is_none() {
        return Err(CliError::findings(&outcome.findings(), &outcome.sources));
    }
    if let (Some(Format::Json), false, Some(root)) = (args.format, args.no_interpolate, &outcome.normalised) {
        let unprintable = without_json(root);
        if unprintable.has_errors() {
            return Err(CliError::findings(&unprintable, &outcome.sources));
        }
    }
    report::print(&outcome.findings(), &outcome.sources);
    let known = names(outcome.normalised.as_ref(), "services");
    match services.iter().find(|service| !known.contains(*service)) {
        Some(unknown) if !args.no_interpolate => Err(CliError::user(format!("no such service: {unknown}"))),
        Some(_) | None => Ok(outcome),
    }
}

/// What has no form in JSON: the SSH key of a build with its path. Docker compose refuses it, too.
fn without_json(root: &Node) -> Diagnostics {
    let mut findings = Diagnostics::new();
    for (name, service) in services(root) {
        let keys = service.get("build").and_then(|build| build.get("ssh"));
        for key in keys.and_then(Node::as_seq).unwrap_or_default() {
            if let Some((id, _)) = key.as_str().and_then(|key| key.split_once('=')) {
                findings.push(
                    Diagnostic::error(
                        "bad-value",
                        format!(
                            "services.{name}.build.ssh: the path of the key `{id}` cannot be written as JSON"
                        ),
                    )
                    .at(key.span)
                    .help("print YAML (`--format yaml`), or let the agent hold the key and name only its id"),
                );
            }
        }
    }
    findings
}

/// Keys of a section, in the order of the file.
fn names(root: Option<&Node>, section: &str) -> Vec<String> {
    let section = root.and_then(|root| root.get(section)).and_then(Node::as_map);
    section
        .map(|section| section.keys().map(str::to_owned).collect())
        .unwrap_or_default()
}

fn text(args: &Args, root: Node) -> String {
    if args.only_services {
        return lines(dependencies_first(&root));
    }
    if args.models {
        let models = root.get("models").and_then(Node::as_map);
        let models = models.into_iter().flat_map(Mapping::iter);
        return lines(models.filter_map(|(_, model)| Some(model.get("model")?.as_str()?.to_owned())));
    }
    let listed = [(args.volumes, "volumes"), (args.networks, "networks")];
    if let Some((_, section)) = listed.into_iter().find(|(given, _)| *given) {
        return lines(names(Some(&root), section));
    }
    if args.images {
        return lines(images(&root));
    }
    let format = args.format.unwrap_or(Format::Yaml);
    let view = match format {
        Format::Json => View::Json,
        Format::Yaml | Format::Toml => View::Yaml,
    };
    let mut shown = if args.lock_image_digests {
        digests::lock(&root)
    } else if args.no_interpolate {
        printed_raw(&root, view)
    } else {
        printed(root, view)
    };
    if !args.no_interpolate {
        escape_dollars(&mut shown);
    }
    match format {
        Format::Yaml => emit::yaml(&shown),
        Format::Json => emit::json_text(&emit::json(&shown)),
        Format::Toml => toml::write(&shown, &mut Comments::none()),
    }
}

fn lines(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().map(|item| item + "\n").collect()
}

fn services(root: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let services = root.get("services").and_then(Node::as_map);
    services.into_iter().flat_map(Mapping::iter)
}

/// The names of services in the order of their names, but none before what it depends on.
fn dependencies_first(root: &Node) -> Vec<String> {
    fn visit(name: &str, services: &Node, order: &mut Vec<String>, on_the_way: &mut Vec<String>) {
        let Some(service) = services.get(name) else { return };
        if order.iter().chain(&*on_the_way).any(|known| known == name) {
            return;
        }
        on_the_way.push(name.to_owned());
        let dependencies = service.get("depends_on");
        for name in dependencies
            .and_then(Node::as_map)
            .into_iter()
            .flat_map(Mapping::keys)
        {
            visit(name, services, order, on_the_way);
        }
        on_the_way.pop();
        order.push(name.to_owned());
    }
    let (mut order, mut on_the_way) = (Vec::new(), Vec::new());
    if let Some(services) = root.get("services") {
        for name in services.as_map().into_iter().flat_map(Mapping::keys) {
            visit(name, services, &mut order, &mut on_the_way);
        }
    }
    order
}

/// The image of each service; one that is only built has the name its build gives.
fn images(root: &Node) -> Vec<String> {
    let project = root.get("name").and_then(Node::as_str).unwrap_or_default();
    let image = |(name, service): (&str, &Node)| match service.get("image").and_then(Node::as_str) {
        Some(image) => image.to_owned(),
        None => format!("{project}-{name}"),
    };
    services(root).map(image).collect()
}

fn profiles(root: &Node) -> BTreeSet<String> {
    let of = |(_, service)| {
        let profiles = Node::get(service, "profiles").and_then(Node::as_seq);
        profiles.unwrap_or_default().iter().filter_map(Node::as_str)
    };
    services(root).flat_map(of).map(str::to_owned).collect()
}

fn environment(outcome: &Outcome) -> String {
    let variables = outcome.loaded.iter().flat_map(|loaded| loaded.environment.iter());
    lines(variables.map(|(name, variable)| format!("{name}={}", variable.value)))
}

/// The variables of the files, as docker compose lists them; of one that is asked for several times, the most that is said.
fn variables(context: &Context, format: Option<Format>) -> Result<String, CliError> {
    let options = LoadOptions {
        interpolate: false,
        ..context.load_options()
    };
    let (loaded, findings, sources) = crate::source::load::load(&options);
    let Some(mut loaded) = loaded.filter(|_| !findings.has_errors()) else {
        return Err(CliError::findings(&findings, &sources));
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

fn hashes(context: &Context, asked: &str) -> Result<String, CliError> {
    let named: Vec<String> = if asked == "*" {
        Vec::new()
    } else {
        asked.split(',').map(|name| name.trim().to_owned()).collect()
    };
    let prepared = context.load(&named)?.prepare()?;
    let shown = prepared
        .wanted
        .services
        .iter()
        .filter(|(name, _)| named.is_empty() || named.iter().any(|asked| asked == name.as_str()))
        .filter_map(|(name, service)| Some(format!("{name} {}", service.template.as_ref()?.config_hash)));
    Ok(lines(shown))
}

fn write(context: &Context, args: &Args, text: &str) -> Result<(), CliError> {
    let Some(path) = &args.output else {
        return Ok(print::out(text)?);
    };
    let path = context.cwd.join(path);
    std::fs::write(&path, text)
        .map_err(|error| CliError::user(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::span::SourceMap;
    use crate::source::yaml;

    #[test]
    fn an_ssh_key_with_a_path_is_not_written_as_json() {
        let codes = |keys: &str| {
            let text = format!("services: {{web: {{build: {{ssh: [{keys}]}}}}}}\n");
            let file = SourceMap::new().add("compose.yaml", text.as_str());
            let root = yaml::parse(file, &text, &mut Diagnostics::new()).remove(0);
            without_json(&root)
                .iter()
                .map(|finding| finding.code)
                .collect::<Vec<_>>()
        };
        assert_eq!(codes("default, id=/keys/id"), ["bad-value"]);
        assert_eq!(codes("default"), Vec::<&str>::new());
    }
}
