//! In: `rcompose config`. Out: the project as its files say it, resolved, or one list of what is in it.
//! **Invariant:** nothing of the host is looked at but the files; registries are asked for digests only.

mod digests;
mod explain;
mod listing;
mod load;
mod variables;

use std::path::PathBuf;

use clap::ValueEnum;

use self::listing::lines;
use super::Context;
use crate::error::CliError;
use crate::model::normalise::{View, escape_dollars, printed, printed_raw, yaml_text};
use crate::source::comments::Comments;
use crate::source::node::{Mapping, Node};
use crate::source::{emit, toml};
use crate::ui::print;

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
    /// Whether one list of what is in the project is printed.
    fn lists(&self) -> bool {
        self.only_services || self.volumes || self.networks || self.models || self.images
    }

    /// Whether the project itself is printed, as YAML and with its variables.
    fn is_plain(&self) -> bool {
        let is_yaml = matches!(self.format, None | Some(Format::Yaml));
        is_yaml && !self.lists() && !self.lock_image_digests && !self.no_interpolate
    }

    /// Whether images are pinned; lists of names leave them as they are.
    fn pins(&self) -> bool {
        let asked = self.resolve_image_digests || self.lock_image_digests;
        asked && !self.lists() && !self.only_profiles && !self.environment
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

/// What became of the tree while the project was decoded.
enum Shown {
    /// It is printed as this text.
    Text(String),
    /// Something else is printed, or more is to be done first.
    Tree(Node),
}

/// Prints the project.
pub fn run(context: &Context, args: &Args) -> Result<(), CliError> {
    if args.variables {
        if !args.services.is_empty() {
            print::err("warning: --variables lists the variables of all services\n");
        }
        return write(context, args, &variables::text(context, args.format)?);
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
    let other = args.quiet || args.environment || args.only_profiles || args.pins();
    let (shown, checked) = load::load(context, args, |parts| {
        if other {
            Shown::Tree(parts.whole())
        } else if args.is_plain() {
            Shown::Text(yaml_text(parts))
        } else {
            Shown::Text(text(context, args, parts.whole()))
        }
    })?;
    let text = match shown {
        Shown::Text(text) => text,
        Shown::Tree(mut root) => {
            if args.pins() {
                digests::pin(context, &mut root, &checked.sources)?;
            }
            match &checked.loaded {
                _ if args.quiet => return Ok(()),
                Some(loaded) if args.environment => listing::environment(loaded),
                // Profiles that are off count too, and normalisation leaves their services out.
                Some(loaded) if args.only_profiles => lines(listing::profiles(&loaded.root)),
                Some(_) | None => text(context, args, root),
            }
        }
    };
    let written = write(context, args, &text);
    // The process ends here: giving a large tree back piece by piece would take longer than printing it.
    let _left = std::mem::ManuallyDrop::new(checked);
    written
}

fn text(context: &Context, args: &Args, root: Node) -> String {
    if args.only_services {
        return lines(listing::dependencies_first(&root));
    }
    if args.models {
        let models = root.get("models").and_then(Node::as_map);
        let models = models.into_iter().flat_map(Mapping::iter);
        return lines(models.filter_map(|(_, model)| Some(model.get("model")?.as_str()?.to_owned())));
    }
    let listed = [(args.volumes, "volumes"), (args.networks, "networks")];
    if let Some((_, section)) = listed.into_iter().find(|(given, _)| *given) {
        return lines(listing::names(&root, section));
    }
    if args.images {
        return lines(listing::images(
            &root,
            if context.is_compatible() { '_' } else { '-' },
        ));
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
