//! Variables are put into a file's values: a tree and an environment come in, the tree is changed in place.
//! Keys are never interpolated; numbers and booleans written through variables stay text for the decoder.
//! **Invariant:** every finding points at the expression inside the scalar, not at the whole scalar.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};

use super::env::Environment;
use super::node::{Node, Step, Value, VariableOrigin};
use super::parallel;
use super::path::Trail;
use super::span::{SourceMap, Span};
use super::template::{self, Fault};
use super::written;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Puts the variables of `environment` into all text below `node`.
pub fn interpolate(
    node: &mut Node,
    environment: &Environment,
    sources: &SourceMap,
    diagnostics: &mut Diagnostics,
) {
    let pass = || Pass {
        environment,
        sources,
        diagnostics: Diagnostics::new(),
        unset: BTreeMap::new(),
    };
    let mut done = Vec::new();
    let top = Trail::root();
    match &mut node.value {
        Value::Map(file) => {
            for (key, value) in file.iter_mut() {
                let way = top.key(key);
                if let Some(services) = value.as_map_mut().filter(|_| key == "services") {
                    done.extend(parallel::each(services, |name, service| {
                        let mut pass = pass();
                        pass.node(service, &way.key(name));
                        pass
                    }));
                } else {
                    let mut pass = pass();
                    pass.node(value, &way);
                    done.push(pass);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) | Value::Seq(_) => {
            let mut pass = pass();
            pass.node(node, &top);
            done.push(pass);
        }
    }
    // One missing variable is one warning, however often it is used.
    let mut unset = BTreeSet::new();
    for pass in done {
        diagnostics.append(pass.diagnostics);
        let first = pass
            .unset
            .into_iter()
            .filter(|(name, _)| unset.insert(name.clone()));
        diagnostics.extend(first.map(|(_, warning)| warning));
    }
}

/// How many variables and faults of one text are remembered with their places: finding one reads the text.
const RECORDED: usize = 64;

struct Pass<'a> {
    environment: &'a Environment,
    sources: &'a SourceMap,
    diagnostics: Diagnostics,
    /// The warnings of missing variables: one for each of them.
    unset: BTreeMap<String, Diagnostic>,
}

impl Pass<'_> {
    fn node(&mut self, node: &mut Node, path: &Trail<'_>) {
        match &mut node.value {
            Value::String(text) if text.contains('$') => {
                let text = std::mem::take(text);
                self.text(node, &text, path);
            }
            Value::Seq(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &path.index(index));
                }
            }
            Value::Map(mapping) => {
                for (key, value) in mapping.iter_mut() {
                    self.node(value, &path.key(key));
                }
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
        }
    }

    fn text(&mut self, node: &mut Node, text: &str, path: &Trail<'_>) {
        let found = template::substitute(text, &|name| self.environment.get(name).map(str::to_owned));
        let (sources, scalar) = (self.sources, node.span);
        let place = |start, end| written::place(sources, scalar, text, start..end);
        let mut recorded = 0;
        for one in found.uses {
            let warns = one.blank && !self.unset.contains_key(&one.name);
            if recorded == RECORDED && !warns {
                continue;
            }
            recorded = RECORDED.min(recorded + 1);
            let span = place(one.start, one.end);
            let origin = self.environment.origin(&one.name);
            if warns {
                let name = &one.name;
                let mut warning = Diagnostic::warning(
                    "unset-variable",
                    format!("the variable `{name}` is not set, nothing is put in its place"),
                )
                .label(span, "not set");
                let names = self.environment.iter().map(|(name, _)| name);
                let near = self.diagnostics.nearest(name, names);
                warning = warning.help(near.map_or_else(
                    || format!("set it in `.env` or the environment, or give a default: `${{{name}:-value}}`"),
                    |near| format!("did you mean `{near}`? Otherwise set it in `.env` or give a default: `${{{name}:-value}}`"),
                ));
                self.unset.insert(one.name.clone(), warning);
            }
            node.push_step(Step::Interpolated {
                name: one.name,
                origin,
                span,
            });
        }
        for fault in found.faults.into_iter().take(RECORDED) {
            let diagnostic = self.fault(fault, text, path, &place);
            self.diagnostics.push(diagnostic);
        }
        node.value = Value::String(found.text.into());
    }

    fn fault(
        &self,
        fault: Fault,
        text: &str,
        path: &Trail<'_>,
        place: &dyn Fn(usize, usize) -> Span,
    ) -> Diagnostic {
        match fault {
            Fault::Invalid { start, end, unclosed } => {
                let written = text.get(start..end).unwrap_or(text);
                let label = if unclosed {
                    "never closed"
                } else {
                    "not a variable"
                };
                Diagnostic::error("invalid-interpolation", format!("`{written}` in `{path}` is not a valid interpolation"))
                    .label(place(start, end), label)
                    .help(format!("write `$${}` if a literal `$` is meant; a variable is `${{NAME}}` or `${{NAME:-default}}`", &written[1..]))
            }
            Fault::TooLong { start, end } => template::too_long().label(place(start, end), "with this"),
            Fault::Required {
                name,
                message,
                empty,
                start,
                end,
            } => {
                let message = if message.is_empty() {
                    String::new()
                } else {
                    format!(": {message}")
                };
                let mut diagnostic = Diagnostic::error(
                    "required-variable",
                    format!("the variable `{name}` is required by `{path}`{message}"),
                )
                .label(
                    place(start, end),
                    if empty { "set, but empty" } else { "not set" },
                )
                .help(format!(
                    "set it in `.env`, with `--env-file`, or in the shell: `{name}=… rcompose …`"
                ));
                if let VariableOrigin::File(span) = self.environment.origin(&name) {
                    diagnostic = diagnostic.secondary(span, "set here");
                }
                diagnostic
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::yaml;

    fn run(text: &str) -> (Node, Vec<String>) {
        let mut sources = SourceMap::new();
        let file = sources.add("compose.yaml", text);
        let mut diagnostics = Diagnostics::new();
        let mut node = yaml::parse(file, text, &mut diagnostics).remove(0);
        let mut environment = Environment::new();
        for (name, value) in [("TAG", "1.2"), ("EMPTY", ""), ("PORT", "80")] {
            environment.set(name, value, VariableOrigin::Os);
        }
        interpolate(&mut node, &environment, &sources, &mut diagnostics);
        diagnostics.sort();
        let said = diagnostics.iter().map(|finding| {
            let span = finding.span().expect("a place");
            format!(
                "{} {} `{}`: {} ({})",
                finding.code,
                sources.locate(span),
                sources.text(span),
                finding.message,
                finding.labels[0].text
            )
        });
        (node, said.collect())
    }

    #[test]
    fn values_change_and_keys_do_not() {
        let (node, said) = run("$TAG: ['$TAG', {a: \"${PORT}:80\"}, 5, \"$$TAG\"]\n");
        assert!(said.is_empty());
        let items = node.get("$TAG").and_then(Node::as_seq).expect("key kept");
        assert_eq!(items[0].as_str(), Some("1.2"));
        assert!(items[0].is_interpolated());
        assert_eq!(items[1].get("a").and_then(Node::as_str), Some("80:80"));
        assert_eq!(items[2].as_i64(), Some(5));
        assert_eq!(items[3].as_str(), Some("$TAG"));
        assert!(!items[3].is_interpolated());
    }

    #[test]
    fn findings_point_into_the_scalar() {
        let text = "services:\n  web:\n    image: nginx:${TGA}\n    command: \"echo \\\"${1BAD}\\\" ${EMPTY:?set it}\"\n    entrypoint: |\n      run ${X\n      done ${1BAD}\n    user: $TGA\n";
        let (_, said) = run(text);
        insta::assert_snapshot!(said.join("\n"), @r#"
        unset-variable compose.yaml:3:18 `${TGA}`: the variable `TGA` is not set, nothing is put in its place (not set)
        invalid-interpolation compose.yaml:4:22 `${1BAD}`: `${1BAD}` in `services.web.command` is not a valid interpolation (not a variable)
        required-variable compose.yaml:4:32 `${EMPTY:?set it}`: the variable `EMPTY` is required by `services.web.command`: set it (set, but empty)
        invalid-interpolation compose.yaml:6:11 `${X
              done ${1BAD}`: `${X
        done ${1BAD}` in `services.web.entrypoint` is not a valid interpolation (not a variable)
        "#);
    }
}
