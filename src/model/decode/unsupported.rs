//! In: keys that are valid Compose, and their fates. Out: an error where the service would not run as meant without a
//! key, else a warning, each at its line (code `unsupported-key`). **Invariant:** what is left out is said.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::model::fields::Fields;
use crate::model::schema::fate::Fate;
use crate::model::schema::shape::{Object, Shape};
use crate::source::node::{Mapping, Node};
use crate::source::path::NodePath;
use crate::source::span::Span;

/// Finds every key of a normalised mapping, and of those below it, that its table leaves out.
pub(super) fn check(fields: &Fields<'_>, object: &'static Object, findings: &mut Diagnostics) {
    let mut walk = Walk {
        base: fields,
        steps: Vec::new(),
        findings,
    };
    walk.object(fields.node(), object);
}

/// One step below the base.
#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Paths are only made for findings: most projects have none.
struct Walk<'a> {
    base: &'a Fields<'a>,
    steps: Vec<Step<'a>>,
    findings: &'a mut Diagnostics,
}

impl<'a> Walk<'a> {
    fn object(&mut self, node: &'a Node, object: &'static Object) {
        let entries = node.as_map().into_iter().flat_map(Mapping::entries);
        for (name, entry) in entries {
            let Some(key) = object.key(name) else { continue };
            match key.fate {
                Fate::Honoured | Fate::Limited(_) => {
                    self.below(Step::Key(name), &entry.node, &key.shape);
                }
                Fate::Ignored(_) | Fate::Refused(_) | Fate::Windows(_) => {
                    let path = self.path().key(name);
                    self.findings.push(finding(&path, entry.key_span, key.fate));
                }
            }
        }
    }

    fn below(&mut self, step: Step<'a>, node: &'a Node, shape: &Shape) {
        self.steps.push(step);
        self.value(node, shape);
        self.steps.pop();
    }

    fn value(&mut self, node: &'a Node, shape: &Shape) {
        if let Shape::Object(object) = shape {
            self.object(node, object);
        } else if let Shape::Map(inner) = shape {
            for (name, value) in node.as_map().into_iter().flat_map(Mapping::iter) {
                self.below(Step::Key(name), value, inner);
            }
        } else if let Shape::List(inner) = shape {
            for (index, item) in node.as_seq().into_iter().flatten().enumerate() {
                self.below(Step::Index(index), item, inner);
            }
        } else if let Shape::OrText(inner)
        | Shape::OrPort(inner)
        | Shape::OrNames(inner)
        | Shape::OrInteger(inner)
        | Shape::OrNull(inner) = shape
        {
            self.value(node, inner);
        }
    }

    fn path(&self) -> NodePath {
        self.steps.iter().fold(self.base.path(), |path, step| match step {
            Step::Key(name) => path.key(name),
            Step::Index(index) => path.index(*index),
        })
    }
}

fn finding(path: &NodePath, span: Span, fate: Fate) -> Diagnostic {
    let (severity, message) = match fate {
        Fate::Refused(_) => (Severity::Error, format!("{path} cannot be honoured here")),
        Fate::Honoured | Fate::Limited(_) | Fate::Ignored(_) | Fate::Windows(_) => {
            (Severity::Warning, format!("{path} has no effect here"))
        }
    };
    let help = match fate {
        Fate::Windows(instead) => format!("it is for Windows; {instead}"),
        Fate::Honoured | Fate::Limited(_) | Fate::Ignored(_) | Fate::Refused(_) => fate.remark().to_owned(),
    };
    let mut finding = Diagnostic::warning("unsupported-key", message)
        .at(span)
        .help(help);
    finding.severity = severity;
    finding
}

/// Finds values of a service beyond the limits of keys that are read elsewhere, or not at all.
pub(super) fn values(service: &Fields<'_>, findings: &mut Diagnostics) {
    if let Some(mode) = service.text("userns_mode").filter(|mode| *mode != "host") {
        let why = format!("`{mode}` is not set up; users are the host's");
        findings.push(bearable(service, "userns_mode", &why));
    }
    if let Some(runtime) = service
        .text("runtime")
        .filter(|runtime| !["runc", "rcompose"].contains(runtime))
    {
        let why = format!("there is no runtime `{runtime}`, remove the key");
        findings.push(essential(service, "runtime", &why));
    }
    if let Some(logging) = service.child("logging") {
        let known = ["json-file", "local", "none"];
        if let Some(driver) = logging.text("driver").filter(|driver| !known.contains(driver)) {
            let why = format!("`{driver}` is not there; logs are kept as with `json-file`");
            findings.push(bearable(&logging, "driver", &why));
        }
    }
    if let Some(deploy) = service.child("deploy") {
        let why = match deploy.text("mode") {
            Some("global") => Some("there is one host only; `replicas` says how many containers there are"),
            Some("replicated-job" | "global-job") => {
                Some("a job is run like any service; `depends_on` can wait for its end")
            }
            _ => None,
        };
        if let Some(why) = why {
            findings.push(bearable(&deploy, "mode", why));
        }
        if deploy.text("endpoint_mode") == Some("vip") {
            let why = "names resolve to the replicas themselves, in turns (`dnsrr`)";
            findings.push(bearable(&deploy, "endpoint_mode", why));
        }
    }
}

/// A value beyond the limits of its key that cannot be done without, as an error.
pub(super) fn essential(parent: &Fields<'_>, key: &str, why: &str) -> Diagnostic {
    let mut finding = bearable(parent, key, why);
    finding.severity = Severity::Error;
    finding.message = format!("{} cannot be honoured here", parent.path().key(key));
    finding
}

/// A value beyond the limits of its key that is ignored, as a warning.
pub(super) fn bearable(parent: &Fields<'_>, key: &str, why: &str) -> Diagnostic {
    let message = format!("{} has no effect here", parent.path().key(key));
    Diagnostic::warning("unsupported-key", message)
        .at(parent.value_span(key))
        .help(why)
}

/// The name of a resource on the host; an empty one is an error.
pub(super) fn name(resource: &Fields<'_>, findings: &mut Diagnostics) -> Option<String> {
    let name = resource.owned("name");
    if name.is_none() {
        findings.push(
            Diagnostic::error("bad-name", format!("{} has an empty name", resource.path()))
                .at(resource.value_span("name"))
                .help("give it a `name:`, or leave the key out"),
        );
    }
    name
}
