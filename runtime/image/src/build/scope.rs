//! In: build arguments, ARG and ENV so far. Out: the value of a variable, and the environment of a RUN.
//! **Invariant:** an ARG is known only from its line on, of an ARG and an ENV the later one holds, and proxies never reach the history.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use crate::platform::Platform;

/// Names that every RUN sees, in upper and lower case, when they are given as build arguments (Dockerfile reference, predefined ARGs).
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// Arguments given to the build, and those of the machine.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    values: BTreeMap<String, String>,
    /// What is built for.
    platform: Platform,
}

/// Variables of one stage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// ENV and ARG alike, in the order of their last appearance.
    variables: Vec<(String, String)>,
    /// ARGs in the order of their first appearance, with the value they had where nothing else gives one.
    arguments: Vec<(String, String)>,
}

impl Given {
    pub(crate) fn new(arguments: &BTreeMap<String, Option<String>>, platform: Platform) -> Self {
        Self {
            values: arguments
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
                .collect(),
            platform,
        }
    }

    /// `TARGETPLATFORM` and its kin: known where ARG declares them.
    fn machine(&self, name: &str, target: Option<&str>) -> Option<String> {
        let (host, wanted) = (Platform::host(), self.platform.clone());
        let value = match name {
            "BUILDPLATFORM" => host.to_string(),
            "BUILDOS" => host.os,
            "BUILDARCH" => host.architecture,
            "BUILDVARIANT" => host.variant.unwrap_or_default(),
            "TARGETPLATFORM" => wanted.to_string(),
            "TARGETOS" => wanted.os,
            "TARGETARCH" => wanted.architecture,
            "TARGETVARIANT" => wanted.variant.unwrap_or_default(),
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
        &self,
        name: &str,
        declared: &BTreeMap<String, String>,
        target: Option<&str>,
    ) -> Option<String> {
        declared.get(name).cloned().or_else(|| self.machine(name, target))
    }
}

impl Scope {
    /// The variables of an image, `NAME=value`, at the start of a stage.
    pub(crate) fn of_image(environment: &[String]) -> Self {
        let mut scope = Self::default();
        for entry in environment {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            scope.set(name, value);
        }
        scope
    }

    /// `ENV name=value`.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// `ARG name` or `ARG name=default` (expanded). Returns the value it has from now on.
    pub(crate) fn declare(
        &mut self,
        name: &str,
        default: Option<String>,
        given: &Given,
        globals: &BTreeMap<String, String>,
        target: Option<&str>,
    ) -> Option<String> {
        let value = given
            .get(name)
            .or(default)
            .or_else(|| given.global(name, globals, target));
        if let Some(value) = &value {
            self.set(name, value);
        }
        let text = value.as_deref().unwrap_or_default();
        match self.arguments.iter_mut().find(|(known, _)| known == name) {
            Some((_, existing)) => text.clone_into(existing),
            None => self.arguments.push((name.to_owned(), text.to_owned())),
        }
        value
    }

    /// The value of a variable in an instruction.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    /// The ARGs so far as a RUN's line in the history has them: `NAME=value` each, with the value of now.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let now = |(name, value): &(String, String)| {
            format!("{name}={}", self.value(name).unwrap_or_else(|| value.clone()))
        };
        self.arguments.iter().map(now).collect()
    }

    /// What a RUN sees, and (first) the part that makes its cache key: proxies that are merely given are no part of it.
    pub(crate) fn environment(&self, given: &Given) -> (Vec<String>, Vec<String>) {
        let entry = |(name, value): &(String, String)| format!("{name}={value}");
        let keyed: Vec<String> = self.variables.iter().map(entry).collect();
        let mut whole = keyed.clone();
        for (name, value) in &given.values {
            let upper = name.to_ascii_uppercase();
            if PROXIES.contains(&upper.as_str()) {
                for name in [upper.to_ascii_lowercase(), upper] {
                    if self.value(&name).is_none() {
                        whole.push(format!("{name}={value}"));
                    }
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
    fn build_arguments_win_over_defaults_and_the_later_of_arg_and_env_holds() {
        let given = Given::new(
            &BTreeMap::from([
                ("A".into(), Some("given".into())),
                ("B".into(), None),
                ("HTTP_PROXY".into(), Some("p".into())),
            ]),
            Platform::host(),
        );
        let globals = BTreeMap::from([("G".to_owned(), "global".to_owned())]);
        let mut scope = Scope::of_image(&["E=env".to_owned(), "A=image".to_owned()]);
        for (name, default) in [
            ("A", Some("default")),
            ("B", Some("default")),
            ("G", None),
            ("N", None),
            ("TARGETOS", None),
        ] {
            scope.declare(name, default.map(str::to_owned), &given, &globals, None);
        }
        let value = |name: &str| scope.value(name);
        assert_eq!(value("A").as_deref(), Some("given"));
        assert_eq!(value("B").as_deref(), Some("default"));
        assert_eq!(value("G").as_deref(), Some("global"));
        assert_eq!(value("TARGETOS").as_deref(), Some("linux"));
        assert_eq!((value("N"), value("E").as_deref()), (None, Some("env")));
        scope.set("A", "later");
        assert_eq!(scope.value("A").as_deref(), Some("later"));
        assert_eq!(
            scope.arguments(),
            ["A=later", "B=default", "G=global", "N=", "TARGETOS=linux"]
        );
        let (keyed, whole) = scope.environment(&given);
        assert_eq!(
            keyed,
            ["E=env", "B=default", "G=global", "TARGETOS=linux", "A=later"]
        );
        assert!(
            whole.contains(&"http_proxy=p".to_owned())
                && whole.contains(&"HTTP_PROXY=p".to_owned())
                && !keyed.iter().any(|entry| entry.contains("proxy"))
        );
    }
}
