//! In: what `provenance` and `sbom` of a `build:`, or the flags of the same names, say: yes, no, or options. Out: what is attested.
//! **Invariant:** an option that is not known here is an error, and no foreign program is ever run for one.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// What a provenance tells, and in which form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Arguments and the Dockerfile too (`mode=max`).
    pub all: bool,
    /// SLSA's version 1 instead of 0.2 (`version=v1`).
    pub version_1: bool,
    /// Who builds (`builder-id`).
    pub builder: Option<String>,
    /// The user says that the build is (`reproducible`).
    pub reproducible: bool,
}

/// Reads `true`, `false` or `mode=max,version=v1`. A plain yes is all of it, as in BuildKit (docs/attestations/slsa-provenance.md).
///
/// # Errors
/// What is wrong with it.
pub fn provenance(text: &str) -> Result<Option<Provenance>, String> {
    let all = Provenance {
        all: true,
        ..Provenance::default()
    };
    if let Some(wanted) = yes_or_no(text) {
        return Ok(wanted.then_some(all));
    }
    let mut provenance = all;
    let mut is_wanted = true;
    for option in text.split(',') {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        let bool_value =
            || yes_or_no(value).ok_or_else(|| format!("{key}={value} is neither true nor false"));
        match key {
            "mode" => {
                provenance.all = match value {
                    "max" | "full" => true,
                    "min" => false,
                    _ => return Err(format!("mode={value} is neither min nor max")),
                }
            }
            "version" => {
                provenance.version_1 = match value {
                    "v1" => true,
                    "v0.2" => false,
                    _ => return Err(format!("version={value} is neither v0.2 nor v1")),
                }
            }
            "builder-id" => provenance.builder = Some(value.to_owned()),
            "reproducible" => provenance.reproducible = bool_value()?,
            "disabled" => is_wanted = !bool_value()?,
            // An image is what it may always be put into.
            "inline-only" => drop(bool_value()?),
            _ => {
                return Err(format!(
                    "`{option}` is not known here: write `true`, `false`, or `mode=min|max`, `version=v0.2|v1`, `builder-id=URI` and \
                     `reproducible=true` with commas"
                ));
            }
        }
    }
    Ok(Some(provenance).filter(|_| is_wanted))
}

/// Reads `true` or `false`.
///
/// # Errors
/// What is wrong with it.
pub fn sbom(text: &str) -> Result<bool, String> {
    if let Some(wanted) = yes_or_no(text) {
        return Ok(wanted);
    }
    if let Some(disabled) = text.strip_prefix("disabled=").and_then(yes_or_no) {
        return Ok(!disabled);
    }
    if text.split(',').any(|option| option.starts_with("generator=")) {
        return Err(format!(
            "`{text}` is not run: packages are read from the databases of dpkg, apk and rpm, write `true`"
        ));
    }
    Err(format!("`{text}` is not known here: write `true` or `false`"))
}

/// A yes or a no in any spelling that docker takes (Go's `strconv.ParseBool`); nothing is no.
fn yes_or_no(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provenance_is_asked_for_in_full_or_by_its_options() {
        let asked = |text: &str| provenance(text).unwrap();
        let all = asked("true").unwrap();
        assert!(all.all && !all.version_1);
        for no in ["", "false", "0", "disabled=true", "mode=max,disabled=1"] {
            assert_eq!(asked(no), None, "{no}");
        }
        assert_eq!(
            asked(
                "mode=min,version=v1,builder-id=https://ci.example.org/7,reproducible=true,inline-only=true"
            ),
            Some(Provenance {
                all: false,
                version_1: true,
                builder: Some("https://ci.example.org/7".to_owned()),
                reproducible: true,
            })
        );
        for (wrong, problem) in [
            ("mode=most", "mode=most is neither min nor max"),
            ("version=v2", "version=v2 is neither v0.2 nor v1"),
            ("reproducible=yes", "reproducible=yes is neither true nor false"),
        ] {
            assert_eq!(provenance(wrong), Err(problem.to_owned()));
        }
        assert!(
            provenance("filename=x")
                .unwrap_err()
                .starts_with("`filename=x` is not known here")
        );
    }

    #[test]
    fn a_bill_of_materials_is_made_here_or_not_at_all() {
        assert_eq!(
            (sbom("true"), sbom("F"), sbom("disabled=false")),
            (Ok(true), Ok(false), Ok(true))
        );
        assert!(sbom("generator=evil/scanner").unwrap_err().contains("is not run"));
        assert!(sbom("scan-stage=true").is_err());
    }
}
