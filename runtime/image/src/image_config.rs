//! The JSON an image describes itself with (OCI image-spec, config.md) in, typed values out, and back for built images.
//! **Invariant:** nothing read here is an instruction: labels, paths and commands are data for whoever starts a container.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::de::Deserializer;
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::platform::Platform;

/// The whole document: what runs, on what, made of which layers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDocument {
    /// When it was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub author: String,
    /// The processor, in Go's words.
    #[serde(default)]
    pub architecture: String,
    /// The system: `linux`.
    #[serde(default)]
    pub os: String,
    /// The processor's level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// How to run it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: ImageConfig,
    /// What it is made of.
    #[serde(default, deserialize_with = "null_is_default")]
    pub rootfs: RootFileSystem,
    /// How it was made; entries with `empty_layer` have no layer.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub history: Vec<History>,
    /// The layers stand on `@host`, the files of the machine the image was built on; what was known of them then.
    #[serde(default, rename = "rcompose.host", skip_serializing_if = "Option::is_none")]
    pub host: Option<Digest>,
    /// Steps of a build that gave these layers, for builds elsewhere (`cache_to: type=inline`).
    #[serde(
        default,
        rename = "rcompose.buildcache",
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub build_cache: Vec<CachedStep>,
}

/// A step of a build whose result is a layer of the image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedStep {
    /// The digest of all that it depends on.
    pub key: String,
    /// Which layer, from 0, lowest first.
    pub layer: usize,
    /// When it was done, RFC 3339.
    pub created: String,
}

impl ImageDocument {
    /// System and processor the image runs on.
    pub fn platform(&self) -> Platform {
        let variant = self.variant.clone().filter(|variant| !variant.is_empty());
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            variant,
        }
    }
}

/// How to run an image: the defaults a container takes from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageConfig {
    /// `USER[:GROUP]`, names or numbers of the image's own tables; empty is root.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub user: String,
    /// `80/tcp`, `53/udp`: ports the program listens on.
    #[serde(default, with = "set_of_keys", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// `NAME=VALUE`, in order.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub env: Vec<String>,
    /// The program and its first arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The arguments a container may replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Paths that get an anonymous volume.
    #[serde(default, with = "set_of_keys", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// Where the program starts; empty is `/`.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub working_dir: String,
    /// Free text by key.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// `SIGTERM` or a number; empty is the default.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub stop_signal: String,
    /// The shell of `RUN`, `CMD` and `ENTRYPOINT` in shell form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// Set with `CMD`; it says something of Windows only, but stands in every image that BuildKit made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    /// How to ask whether the program is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthCheck>,
    /// Instructions for a build that starts from this image.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub on_build: Vec<String>,
}

/// A health probe as an image carries it; times are nanoseconds, zero means the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthCheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", …]`; empty inherits.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub test: Vec<String>,
    /// Between two probes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// How long one probe may take.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// While failures do not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Between two probes during the start period.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// The layers of an image, lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFileSystem {
    /// Always `layers`.
    #[serde(rename = "type", default = "layers")]
    pub kind: String,
    /// Digests of the uncompressed layer archives, lowest first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFileSystem {
    fn default() -> Self {
        Self {
            kind: layers(),
            diff_ids: Vec::new(),
        }
    }
}

/// One step of making an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instruction.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub created_by: String,
    /// Who.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub author: String,
    /// A remark.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub comment: String,
    /// The step changed no file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

fn layers() -> String {
    "layers".to_owned()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Go writes an absent list, map or text as `null`.
fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    input: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// Go's `map[string]struct{}`: `{"80/tcp": {}}`.
mod set_of_keys {
    use super::{BTreeMap, BTreeSet, Deserialize, Deserializer, SerializeMap, Serializer};

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Nothing {}

    pub(super) fn serialize<S: Serializer>(set: &BTreeSet<String>, output: S) -> Result<S::Ok, S::Error> {
        let mut map = output.serialize_map(Some(set.len()))?;
        for key in set {
            map.serialize_entry(key, &Nothing {})?;
        }
        map.end()
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeSet<String>, D::Error> {
        let map = Option::<BTreeMap<String, Option<Nothing>>>::deserialize(input)?;
        Ok(map.unwrap_or_default().into_keys().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_writes() {
        let text = r#"{"architecture":"amd64","os":"linux","created":"2026-01-02T03:04:05.6Z","author":null,
            "config":{"Hostname":"","Domainname":"","User":"1000:1000","AttachStdin":false,"ExposedPorts":{"80/tcp":{},"53/udp":null},
            "Env":["PATH=/bin","A=b=c"],"Cmd":["sh"],"Entrypoint":null,"Image":"sha256:x","Volumes":null,"WorkingDir":"/w",
            "OnBuild":null,"Labels":null,"StopSignal":"SIGQUIT","Shell":["/bin/bash","-c"],
            "Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":30000000000,"Retries":3}},
            "container_config":{"Cmd":["/bin/sh"]},"docker_version":"28.0",
            "history":[{"created_by":"CMD [\"sh\"]","empty_layer":true}],
            "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}"#;
        let document: ImageDocument = serde_json::from_str(text).unwrap();
        assert_eq!(document.platform().to_string(), "linux/amd64");
        let config = &document.config;
        assert_eq!(config.user, "1000:1000");
        assert_eq!(
            config.exposed_ports,
            BTreeSet::from(["53/udp".to_owned(), "80/tcp".to_owned()])
        );
        assert_eq!(config.env, ["PATH=/bin", "A=b=c"]);
        assert_eq!(
            (config.entrypoint.as_deref(), config.cmd.as_deref()),
            (None, Some(["sh".to_owned()].as_slice()))
        );
        assert_eq!(config.healthcheck.as_ref().unwrap().interval, 30_000_000_000);
        assert_eq!(document.rootfs.diff_ids, [Digest::of(b"")]);
        assert!(document.history[0].empty_layer);

        let again: ImageDocument = serde_json::from_slice(&serde_json::to_vec(&document).unwrap()).unwrap();
        assert_eq!(again, document);
        assert!(
            serde_json::to_string(&document)
                .unwrap()
                .contains(r#""ExposedPorts":{"53/udp":{},"80/tcp":{}}"#)
        );
    }

    #[test]
    fn an_empty_entrypoint_is_not_an_absent_one() {
        let config: ImageConfig = serde_json::from_str(r#"{"Entrypoint":[]}"#).unwrap();
        assert_eq!(config.entrypoint, Some(Vec::new()));
        assert_eq!(serde_json::to_string(&config).unwrap(), r#"{"Entrypoint":[]}"#);
    }

    #[test]
    fn refuses_a_key_given_twice() {
        assert!(serde_json::from_str::<ImageDocument>(r#"{"os":"linux","os":"windows"}"#).is_err());
    }
}
