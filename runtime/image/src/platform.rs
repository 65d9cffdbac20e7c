//! `linux/arm64/v8` in, a normalised `Platform` out; and which of the offered platforms suits the wanted one best.
//! **Invariant:** an offer for another system or processor is never chosen.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A text that is no platform.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("platform {text:?} is not OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/arm64")]
pub struct PlatformError {
    /// What was read.
    pub text: String,
}

/// System and processor of an image, in Go's words (`linux`, `amd64`), as OCI image-spec, image-index.md spells them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// The processor: `amd64`, `arm64`, `arm`, `riscv64`, …
    #[serde(default)]
    pub architecture: String,
    /// The system: `linux`.
    #[serde(default)]
    pub os: String,
    /// The processor's level: `v7` of `arm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform this program was built for.
    pub fn host() -> Self {
        Self {
            architecture: architecture(std::env::consts::ARCH).to_owned(),
            os: "linux".to_owned(),
            variant: None,
        }
    }

    /// How well `offered` suits `self`: `None` not at all, otherwise higher is better.
    pub fn suits(&self, offered: &Self) -> Option<u32> {
        let wanted = architecture(&self.architecture);
        if self.os != offered.os || wanted != architecture(&offered.architecture) {
            return None;
        }
        let wanted_level = level(wanted, self.variant.as_deref())?;
        let offered_level = level(wanted, offered.variant.as_deref())?;
        (offered_level <= wanted_level).then_some(offered_level)
    }
}

/// Go's word for a processor that other tools call otherwise.
fn architecture(name: &str) -> &str {
    match name {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "armhf" | "armel" => "arm",
        "i386" | "i686" | "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// The number in `v7`; without a variant, the level every processor of that name has (containerd/platforms, database.go).
fn level(architecture: &str, variant: Option<&str>) -> Option<u32> {
    match (variant.filter(|variant| !variant.is_empty()), architecture) {
        (Some(variant), _) => variant.strip_prefix('v').unwrap_or(variant).parse().ok(),
        (None, "arm64") => Some(8),
        (None, "arm") => Some(7),
        (None, _) => Some(1),
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let bad = || PlatformError {
            text: text.to_owned(),
        };
        let parts: Vec<&str> = text.split('/').collect();
        let word = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        };
        if !parts.iter().all(word) {
            return Err(bad());
        }
        let of = |os: &str, name: &str, variant: Option<&str>| Self {
            architecture: architecture(name).to_owned(),
            os: os.to_ascii_lowercase(),
            variant: variant.map(str::to_owned),
        };
        match parts.as_slice() {
            ["linux"] => Ok(Self::host()),
            [name] => Ok(of("linux", name, None)),
            [os, name] => Ok(of(os, name, None)),
            [os, name, variant] => Ok(of(os, name, Some(variant))),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        match self.variant.as_deref() {
            Some("") | None => Ok(()),
            Some(variant) => write!(formatter, "/{variant}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn reads_the_names_people_use() {
        for (typed, printed) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("arm64", "linux/arm64"),
            ("linux/arm/v6", "linux/arm/v6"),
        ] {
            assert_eq!(platform(typed).to_string(), printed);
        }
        for typed in ["", "linux/", "a/b/c/d", "linux/../x", "li nux/amd64"] {
            assert!(typed.parse::<Platform>().is_err(), "{typed}");
        }
    }

    #[test]
    fn prefers_the_highest_level_that_runs() {
        let arm = platform("linux/arm/v7");
        assert!(arm.suits(&platform("linux/arm/v6")) < arm.suits(&platform("linux/arm/v7")));
        assert_eq!(arm.suits(&platform("linux/arm/v8")), None);
        assert_eq!(platform("linux/arm/v6").suits(&platform("linux/arm")), None);
        assert!(
            platform("linux/arm64")
                .suits(&platform("linux/arm64/v8"))
                .is_some()
        );
        assert_eq!(platform("linux/amd64").suits(&platform("linux/amd64/v3")), None);
        assert_eq!(platform("linux/amd64").suits(&platform("windows/amd64")), None);
        assert_eq!(platform("linux/amd64").suits(&platform("linux/arm64")), None);
    }
}
