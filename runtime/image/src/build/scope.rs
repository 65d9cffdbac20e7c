//! In: build arguments, ARG and ENV so far. Out: the value of a variable, and the environment of a RUN.
//! **Invariant:** an ARG is known only from its line on, an ENV of the same name wins, and proxies never reach the history.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use crate::platform::Platform;

/// Names that every RUN sees when they are given as build arguments (Dockerfile reference, predefined ARGs).
const PROXIES: [&str; 8] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Arguments given to the build, and those of the machine.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    values: BTreeMap<String, String>,
}

/// Arguments of one stage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    declared: BTreeMap<String, String>,
}

impl Given {
    pub(crate) fn new(arguments: &BTreeMap<String, Option<String>>) -> Self {
        Self {
            values: arguments
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
                .collect(),
        }
    }

    /// `TARGETPLATFORM` and its kin: known where ARG declares them.
    fn machine(name: &str, target: Option<&str>) -> Option<String> {
        let host = Platform::host();
        let value = match name {
            "BUILDPLATFORM" | "TARGETPLATFORM" => host.to_string(),
            "BUILDOS" | "TARGETOS" => host.os,
            "BUILDARCH" | "TARGETARCH" => host.architecture,
            "BUILDVARIANT" | "TARGETVARIANT" => host.variant.unwrap_or_default(),
            "TARGETSTAGE" => target.unwrap_or("default").to_owned(),
            _ => return None,
        };
        Some(value)
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// The value in `FROM` and in the ARGs before it.
    pub(crate) fn global(
        name: &str,
        declared: &BTreeMap<String, String>,
        target: Option<&str>,
    ) -> Option<String> {
        declared
            .get(name)
            .cloned()
            .or_else(|| Self::machine(name, target))
    }
}

impl Scope {
    /// `ARG name` or `ARG name=default` (expanded).
    pub(crate) fn declare(
        &mut self,
        name: &str,
        default: Option<String>,
        given: &Given,
        globals: &BTreeMap<String, String>,
        target: Option<&str>,
    ) {
        let value = given
            .get(name)
            .or(default)
            .or_else(|| globals.get(name).cloned())
            .or_else(|| Given::machine(name, target));
        if let Some(value) = value {
            self.declared.insert(name.to_owned(), value);
        }
    }

    /// The value of a variable in an instruction; `environment` is the image's.
    pub(crate) fn value(&self, name: &str, environment: &[String]) -> Option<String> {
        environment
            .iter()
            .find_map(|entry| entry.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
            .or_else(|| self.declared.get(name).cloned())
    }

    /// What a RUN sees, and (first) the part that makes its cache key: proxies are no part of it.
    pub(crate) fn environment(&self, environment: &[String], given: &Given) -> (Vec<String>, Vec<String>) {
        let mut keyed = environment.to_vec();
        let missing =
            |keyed: &[String], name: &str| !keyed.iter().any(|entry| entry.split('=').next() == Some(name));
        for (name, value) in &self.declared {
            if missing(&keyed, name) && !PROXIES.contains(&name.as_str()) {
                keyed.push(format!("{name}={value}"));
            }
        }
        let mut whole = keyed.clone();
        for (name, value) in &given.values {
            let twin = if name.starts_with(char::is_uppercase) {
                name.to_lowercase()
            } else {
                name.to_uppercase()
            };
            for name in [name, &twin] {
                if PROXIES.contains(&name.as_str()) && missing(&whole, name) {
                    whole.push(format!("{name}={value}"));
                }
            }
        }
        (keyed, whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_arguments_win_over_defaults_and_env_over_both() {
        let given = Given::new(&BTreeMap::from([
            ("A".into(), Some("given".into())),
            ("B".into(), None),
            ("HTTP_PROXY".into(), Some("p".into())),
        ]));
        let globals = BTreeMap::from([("G".to_owned(), "global".to_owned())]);
        let mut scope = Scope::default();
        for (name, default) in [
            ("A", Some("default")),
            ("B", Some("default")),
            ("G", None),
            ("N", None),
            ("TARGETOS", None),
        ] {
            scope.declare(name, default.map(str::to_owned), &given, &globals, None);
        }
        let value = |name: &str| scope.value(name, &["E=env".to_owned()]);
        assert_eq!(value("A").as_deref(), Some("given"));
        assert_eq!(value("B").as_deref(), Some("default"));
        assert_eq!(value("G").as_deref(), Some("global"));
        assert_eq!(value("TARGETOS").as_deref(), Some("linux"));
        assert_eq!((value("N"), value("E").as_deref()), (None, Some("env")));
        assert_eq!(scope.value("A", &["A=env".to_owned()]).as_deref(), Some("env"));
        let (keyed, whole) = scope.environment(&["A=env".to_owned()], &given);
        assert!(
            keyed.contains(&"A=env".to_owned())
                && keyed.contains(&"B=default".to_owned())
                && !keyed.contains(&"A=given".to_owned())
        );
        assert!(
            whole.contains(&"http_proxy=p".to_owned()) && !keyed.iter().any(|entry| entry.contains("proxy"))
        );
    }
}
