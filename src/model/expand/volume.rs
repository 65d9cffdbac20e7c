//! In: an entry of a service's `volumes:`. Out: its long form (grammar of compose-go's `format.ParseVolume`, which
//! takes any single letter before a colon for a Windows drive and ignores options it does not know).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::normalise::clean;
use crate::source::implied::Implied;
use crate::source::node::{Mapping, Node, Value};
use crate::source::path::Trail;

const FORM: &str =
    "write `SOURCE:/path/in/container[:ro]`; SOURCE is a path (`./data`) or the name of a volume";
const PROPAGATIONS: [&str; 6] = ["rprivate", "private", "rshared", "shared", "rslave", "slave"];

/// The long form of an entry; a long form stays as it is.
pub(super) fn expand(item: &Node, path: &Trail<'_>) -> Result<Node, Diagnostic> {
    let Some(text) = item.as_str() else {
        return Ok(item.clone());
    };
    let refuse = |reason: &str| {
        Diagnostic::error("bad-volume", format!("{path}: {reason}"))
            .at(item.span)
            .help(FORM)
    };
    let string = |text: &str| item.remade_text(text);
    let flag = || item.remade(Value::Bool(true)).implied_by(Implied::VolumeOption);
    let section = |of: Mapping| item.remade(Value::Map(of)).implied_by(Implied::VolumeSection);
    let mut volume = Mapping::new();
    let mut put = |key: &str, node: Node| {
        volume.insert(key, item.span, node);
    };
    let long = |volume: Mapping| item.remade(Value::Map(volume));
    if text.is_empty() {
        return Err(refuse("an empty volume"));
    }
    if text.len() <= 2 {
        put("type", string("volume").implied_by(Implied::VolumeType));
        put("target", string(text));
        return Ok(long(volume));
    }
    let sections = sections(text);
    if sections.iter().any(|section| section.is_empty()) {
        return Err(refuse(&format!(
            "`{text}` has nothing between two colons or at an end"
        )));
    }
    let (source, target, options) = match sections[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => return Err(refuse(&format!("`{text}` has too many colons"))),
    };
    let is_bind = source.is_some_and(is_host_path);
    let kind = string(if is_bind { "bind" } else { "volume" });
    put("type", kind.implied_by(Implied::VolumeType));
    if let Some(source) = source {
        put("source", string(source));
    }
    put("target", string(&clean(target)));
    let (mut bind, mut named) = (Mapping::new(), Mapping::new());
    let mut read_only = false;
    for option in options.split(',') {
        match option {
            "ro" => read_only = true,
            "rw" => read_only = false,
            "nocopy" => {
                named.insert("nocopy", item.span, flag());
            }
            "z" | "Z" => {
                bind.insert("selinux", item.span, string(option));
            }
            _ if PROPAGATIONS.contains(&option) => {
                bind.insert("propagation", item.span, string(option));
            }
            _ => {}
        }
    }
    if read_only {
        put("read_only", flag());
    }
    if is_bind || !bind.is_empty() {
        put("bind", section(bind));
    }
    if !is_bind || !named.is_empty() {
        put("volume", section(named));
    }
    Ok(long(volume))
}

/// Warns about what compose accepts in a short form but hardly anybody means.
pub(super) fn warn(item: &Node, path: &Trail<'_>, findings: &mut Diagnostics) {
    let Some(text) = item.as_str() else {
        return;
    };
    let sections = sections(text);
    if let Some(options) = sections.get(2) {
        for option in options.split(',') {
            let known = ["ro", "rw", "nocopy", "z", "Z"].contains(&option)
                || PROPAGATIONS.contains(&option)
                || ["consistent", "cached", "delegated"].contains(&option);
            if !known {
                findings.push(
                    Diagnostic::warning("unknown-volume-option", format!("{path}: the option `{option}` is not known and has no effect"))
                        .at(item.span)
                        .help("the options are ro, rw, z, Z, nocopy and rprivate, rshared, rslave, private, shared, slave"),
                );
            }
        }
    }
    let first = text.split(':').next().unwrap_or_default();
    if first.chars().count() == 1 && first.chars().all(char::is_alphabetic) && text.contains(":/") {
        findings.push(
            Diagnostic::warning(
                "one-letter-volume",
                format!("{path}: `{first}:` is taken for a Windows drive, not for a volume"),
            )
            .at(item.span)
            .help("give the volume a name of two letters or more, or use the long form with `type: volume`"),
        );
    }
}

/// Splits at colons, but not at the one of a drive letter or inside `${…}`.
fn sections(text: &str) -> Vec<&str> {
    let mut sections = Vec::new();
    let (mut start, mut depth) = (0, 0_u32);
    for (at, c) in text.char_indices() {
        match c {
            '$' if text[at..].starts_with("${") => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => {
                let mut section = text[start..at].chars();
                let letter = section.next().is_some_and(char::is_alphabetic) && section.next().is_none();
                if !letter {
                    sections.push(&text[start..at]);
                    start = at + 1;
                }
            }
            _ => {}
        }
    }
    sections.push(&text[start..]);
    sections
}

/// Whether a source is a path of the host rather than the name of a volume.
fn is_host_path(source: &str) -> bool {
    let mut chars = source.chars();
    let drive = chars.next().is_some_and(char::is_alphabetic) && chars.next() == Some(':');
    source.starts_with(['.', '/', '~']) || source.starts_with(r"\\") || drive
}
