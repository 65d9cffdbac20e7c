//! In: the text of `# check=`. Out: which rules are off, which experimental ones are on, and whether findings are errors.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeSet;

/// Rules that have to be asked for.
const EXPERIMENTAL: [&str; 2] = ["CopyIgnoredFile", "InvalidDefinitionDescription"];

/// What `# check=` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LintOptions {
    skip: BTreeSet<String>,
    skip_all: bool,
    experimental: BTreeSet<String>,
    experimental_all: bool,
    /// A finding ends the build.
    pub error: bool,
}

impl LintOptions {
    /// `skip=A,B;error=true;experimental=C`, `all` for every rule.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| {
                format!(
                    "`# check=` has `{part}`; expected are skip=RULE,…, error=true and experimental=RULE,…"
                )
            })?;
            let rules = || value.split(',').map(|rule| rule.trim().to_owned()).collect();
            match name.trim() {
                "skip" if value.trim() == "all" => options.skip_all = true,
                "skip" => options.skip = rules(),
                "experimental" if value.trim() == "all" => options.experimental_all = true,
                "experimental" => options.experimental = rules(),
                "error" => {
                    options.error = match value.trim() {
                        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
                        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
                        other => return Err(format!("`# check=error={other}`: error is true or false")),
                    }
                }
                other => {
                    return Err(format!(
                        "`# check=` has `{other}`; expected are skip=RULE,…, error=true and experimental=RULE,…"
                    ));
                }
            }
        }
        Ok(options)
    }

    /// Whether findings of a rule count.
    pub(super) fn wants(&self, rule: &str) -> bool {
        let asked = self.experimental_all || self.experimental.contains(rule);
        let on = !EXPERIMENTAL.contains(&rule) || asked;
        on && !self.skip_all && !self.skip.contains(rule)
    }
}
