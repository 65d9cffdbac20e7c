//! In: `config --explain`. Out: where the values at a path come from, or all about a variable, as text or JSON.
//! **Invariant:** a path that means nothing is an error that says what is near.

use super::load::load;
use super::{Args, Format};
use crate::commands::Context;
use crate::error::CliError;
use crate::model::env_file;
use crate::model::normalise::{View, printed};
use crate::model::provenance::{self, Absence};
use crate::source::emit;
use crate::source::node::Node;
use crate::ui::provenance::Shown;

pub(super) fn text(context: &Context, args: &Args, asked: &str) -> Result<String, CliError> {
    if args.format == Some(Format::Toml) {
        return Err(CliError::usage(
            "--explain prints text, or JSON with --format json",
        ));
    }
    match variable_name(asked) {
        Some(name) => variable(context, args, name),
        None => values(context, args, asked),
    }
}

/// The variable that is meant: `$NAME`, `${NAME}` or a name all in capitals.
fn variable_name(asked: &str) -> Option<&str> {
    let of = |text: &str, letter: fn(&char) -> bool| {
        let name = |c: char| letter(&c) || c.is_ascii_digit() || c == '_';
        !text.is_empty() && text.chars().all(name)
    };
    let bare = asked.strip_prefix('$').map(|rest| {
        let braced = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        braced.unwrap_or(rest)
    });
    bare.filter(|name| of(name, char::is_ascii_alphabetic))
        .or_else(|| Some(asked).filter(|name| of(name, char::is_ascii_uppercase)))
}

fn values(context: &Context, args: &Args, asked: &str) -> Result<String, CliError> {
    let (root, checked) = load(context, args, |parts| printed(parts.whole(), View::Yaml))?;
    let Some(loaded) = &checked.loaded else {
        return Ok(String::new());
    };
    let accounts = provenance::accounts(&root, loaded, &checked.sources);
    let is_service = root
        .get("services")
        .and_then(|services| services.get(asked))
        .is_some();
    let in_services = format!("services.{asked}");
    let path = if is_service && root.get(asked).is_none() {
        &in_services
    } else {
        asked
    };
    let selected = provenance::select(&accounts, path);
    let shown = Shown::new(&checked.sources, &context.cwd);
    if selected.is_empty() {
        let absence = provenance::absence(path, &root, loaded, &checked.sources);
        return Err(CliError::user(nothing_at(asked, &absence, &root, &shown)));
    }
    Ok(match args.format {
        Some(Format::Json) => emit::json_text(&shown.accounts_json(&selected)),
        Some(Format::Yaml | Format::Toml) | None => shown.accounts(&selected),
    })
}

fn nothing_at(asked: &str, absence: &Absence, printed: &Node, shown: &Shown<'_>) -> String {
    match absence {
        Absence::Near(near) => format!("there is nothing at `{asked}`: did you mean `{near}`?"),
        Absence::Unprinted(span) => {
            let mut parts = asked.split('.');
            let service = parts
                .next()
                .filter(|first| *first == "services")
                .and(parts.next());
            let services = printed.get("services");
            let why = match (service, parts.next()) {
                (Some(service), _) if services.and_then(|all| all.get(service)).is_none() => {
                    format!("the service `{service}` is not selected, or its profiles are off")
                }
                (Some(service), Some("env_file")) => {
                    format!("what the files say is in `services.{service}.environment`")
                }
                (Some(service), Some("label_file")) => {
                    format!("what the files say is in `services.{service}.labels`")
                }
                _ => "it says nothing, or something else in its place is printed".to_owned(),
            };
            format!(
                "`{asked}` is written at {}, but config does not print it: {why}",
                shown.place(*span)
            )
        }
        Absence::Reset(span) => format!(
            "there is nothing at `{asked}`: the `!reset` at {} removed it",
            shown.place(*span)
        ),
        Absence::Unknown { known, keys } if keys.is_empty() => {
            format!("there is nothing at `{asked}`: `{known}` has nothing below it")
        }
        Absence::Unknown { known, keys } if known.is_empty() => {
            format!("there is nothing at `{asked}`: the file has {}", keys.join(", "))
        }
        Absence::Unknown { known, keys } => {
            format!("there is nothing at `{asked}`: `{known}` has {}", keys.join(", "))
        }
    }
}

/// A variable can be asked about even when it is what makes the files invalid.
fn variable(context: &Context, args: &Args, name: &str) -> Result<String, CliError> {
    let options = context.load_options();
    let (loaded, findings, mut sources) = crate::source::load::load(&options);
    let Some(loaded) = loaded else {
        return Err(CliError::findings(&findings, &sources));
    };
    let definitions = env_file::definitions(&loaded, &mut sources);
    let shown = Shown::new(&sources, &context.cwd);
    let place = |span| shown.place(span);
    let story = provenance::story(name, &loaded, &sources, &options.os_env, &definitions, &place);
    Ok(match args.format {
        Some(Format::Json) => emit::json_text(&shown.story_json(&story)),
        Some(Format::Yaml | Format::Toml) | None => shown.story(&story),
    })
}
