//! In: what a build was asked for, made of and did. Out: its provenance, in the form that BuildKit gives it (slsa.dev/provenance v0.2 and
//! v1; moby/buildkit, docs/attestations/slsa-provenance.md).
//! **Invariant:** no content of a secret and no path of this host is told; arguments are told only when all is asked for.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::material::{Material, without_login};
use super::remote::ContextPlace;
use super::request::{BuildRequest, NamedContext, ProvenanceRequest, ProvenanceVersion};
use crate::platform::Platform;

/// What `externalParameters` and `invocation` mean: BuildKit's words are used for them.
const BUILD_TYPE: &str = "https://mobyproject.org/buildkit@v1";
const BUILD_TYPE_1: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
/// Who builds, unless the user says (SLSA: a URI).
const BUILDER: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "@v", env!("CARGO_PKG_VERSION"));

/// A build that has come to its end.
pub(super) struct Done<'b> {
    pub(super) request: &'b BuildRequest,
    pub(super) materials: &'b [Material],
    pub(super) platform: &'b Platform,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
    /// Tells this build from all others.
    pub(super) invocation: &'b str,
}

impl ProvenanceVersion {
    /// The type of the predicate.
    pub(super) fn predicate_type(self) -> &'static str {
        match self {
            Self::V02 => "https://slsa.dev/provenance/v0.2",
            Self::V1 => "https://slsa.dev/provenance/v1",
        }
    }
}

/// The predicate.
pub(super) fn predicate(done: &Done<'_>, asked: &ProvenanceRequest) -> Value {
    let builder = json!({"id": asked.builder.as_deref().unwrap_or(BUILDER)});
    let materials: Vec<Value> = done
        .materials
        .iter()
        .map(|material| json!({"uri": material.uri, "digest": digest(material)}))
        .collect();
    let parameters = parameters(done.request, asked.all);
    // What is in a directory of this host is not told.
    let has_all_materials = locals(done.request).is_empty();
    let buildkit = metadata(done.request, asked.all);
    let platform = done.platform.to_string();
    let (started, finished) = (done.started.to_string(), done.finished.to_string());
    match asked.version {
        ProvenanceVersion::V02 => {
            let mut metadata = json!({
                "buildInvocationID": done.invocation,
                "buildStartedOn": started,
                "buildFinishedOn": finished,
                "completeness": {"parameters": asked.all, "environment": true, "materials": has_all_materials},
                "reproducible": asked.reproducible,
            });
            metadata["https://mobyproject.org/buildkit@v1#metadata"] = buildkit;
            json!({
                "builder": builder,
                "buildType": BUILD_TYPE,
                "materials": materials,
                "invocation": {
                    "configSource": config_source(done, "entryPoint"),
                    "parameters": parameters,
                    "environment": {"platform": platform},
                },
                "metadata": metadata,
            })
        }
        ProvenanceVersion::V1 => json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE_1,
                "externalParameters": {"configSource": config_source(done, "path"), "request": parameters},
                "internalParameters": {"builderPlatform": platform},
                "resolvedDependencies": materials,
            },
            "runDetails": {
                "builder": builder,
                "metadata": {
                    "invocationId": done.invocation,
                    "startedOn": started,
                    "finishedOn": finished,
                    "buildkit_metadata": buildkit,
                    "buildkit_completeness": {"request": asked.all, "resolvedDependencies": has_all_materials},
                    "buildkit_reproducible": asked.reproducible,
                },
            },
        }),
    }
}

/// Where the Dockerfile is; its key differs between the versions.
fn config_source(done: &Done<'_>, path: &str) -> Value {
    let mut source = Map::new();
    if let Some(context) = &done.request.context_material {
        source.insert("uri".to_owned(), json!(context.uri));
        source.insert("digest".to_owned(), digest(context));
    }
    source.insert(path.to_owned(), json!(dockerfile_name(done.request)));
    Value::Object(source)
}

fn digest(material: &Material) -> Value {
    json!(BTreeMap::from([(material.algorithm, &material.digest)]))
}

/// The Dockerfile inside the context; of one that is elsewhere, its name; one that is no file has the usual name.
fn dockerfile_name(request: &BuildRequest) -> String {
    if request.dockerfile_is_inline {
        return "Dockerfile".to_owned();
    }
    let path = Path::new(&request.dockerfile_name);
    let inside = path.strip_prefix(&request.context).ok();
    let name = inside.map(Path::to_string_lossy).or_else(|| {
        let name = path.file_name()?;
        Some(name.to_string_lossy())
    });
    name.unwrap_or_default().into_owned()
}

fn parameters(request: &BuildRequest, all: bool) -> Value {
    let mut parameters = json!({"frontend": "dockerfile.v0", "args": arguments(request, all)});
    let ids = |ids: Vec<&String>| -> Vec<Value> { ids.into_iter().map(|id| json!({"id": id})).collect() };
    if all {
        for (name, known) in [
            ("secrets", ids(request.secrets.keys().collect())),
            ("ssh", ids(request.ssh.keys().collect())),
        ] {
            if !known.is_empty() {
                parameters[name] = json!(known);
            }
        }
    }
    let locals = locals(request);
    if !locals.is_empty() {
        let locals: Vec<Value> = locals.into_iter().map(|name| json!({"name": name})).collect();
        parameters["locals"] = json!(locals);
    }
    parameters
}

/// In the words of BuildKit's Dockerfile frontend.
fn arguments(request: &BuildRequest, all: bool) -> BTreeMap<String, String> {
    let mut arguments = BTreeMap::new();
    if all {
        let given = request.arguments.iter();
        let given = given.filter_map(|(name, value)| Some((name, value.as_ref()?)));
        arguments.extend(given.map(|(name, value)| (format!("build-arg:{name}"), value.clone())));
        let labels = request.labels.iter();
        arguments.extend(labels.map(|(name, value)| (format!("label:{name}"), value.clone())));
    }
    let mut tell = |name: &str, value: String| drop(arguments.insert(name.to_owned(), value));
    if let Some(target) = &request.target {
        tell("target", target.clone());
    }
    if request.no_cache || !request.no_cache_filter.is_empty() {
        // Without names it is every stage.
        let stages = if request.no_cache {
            String::new()
        } else {
            request.no_cache_filter.join(",")
        };
        tell("no-cache", stages);
    }
    if let Some(network) = &request.network {
        tell("force-network-mode", network.clone());
    }
    if !request.extra_hosts.is_empty() {
        let hosts = request.extra_hosts.iter();
        let hosts: Vec<String> = hosts.map(|(name, address)| format!("{name}={address}")).collect();
        tell("add-hosts", hosts.join(","));
    }
    if let Some(size) = request.shm_size {
        tell("shm-size", size.to_string());
    }
    if !request.ulimits.is_empty() {
        let ulimits = request.ulimits.iter();
        let ulimits: Vec<String> = ulimits
            .map(|(name, (soft, hard))| format!("{name}={soft}:{hard}"))
            .collect();
        tell("ulimit", ulimits.join(","));
    }
    for (name, context) in &request.contexts {
        let place = match context {
            NamedContext::Image(image) => format!("docker-image://{image}"),
            NamedContext::Directory(_) => format!("local:{name}"),
            NamedContext::Elsewhere(ContextPlace::Git(address)) => without_login(&address.url),
            NamedContext::Elsewhere(ContextPlace::Web(url)) => without_login(url),
            NamedContext::Layout(_) => format!("oci-layout:{name}"),
        };
        tell(&format!("context:{name}"), place);
    }
    arguments
}

/// Directories of this host, by the names they have in the build.
fn locals(request: &BuildRequest) -> Vec<String> {
    let mut locals = Vec::new();
    if request.context_material.is_none() {
        locals.extend(["context".to_owned(), "dockerfile".to_owned()]);
    }
    for (name, context) in &request.contexts {
        if matches!(context, NamedContext::Directory(_)) {
            locals.push(name.clone());
        }
    }
    locals
}

/// The Dockerfile itself.
fn metadata(request: &BuildRequest, all: bool) -> Value {
    if !all {
        return json!({});
    }
    json!({"source": {"infos": [{
        "filename": dockerfile_name(request),
        "language": "Dockerfile",
        "data": STANDARD.encode(&request.dockerfile),
    }]}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::ssh::SshSource;

    fn provenance(asked: &ProvenanceRequest) -> Value {
        let request = BuildRequest {
            context: "/home/ann/project".into(),
            dockerfile: "FROM scratch\n".to_owned(),
            dockerfile_name: "/home/ann/project/build/Dockerfile.prod".to_owned(),
            arguments: [
                ("TOKEN".to_owned(), Some("hush".to_owned())),
                ("UNSET".to_owned(), None),
            ]
            .into(),
            labels: [("team".to_owned(), "blue".to_owned())].into(),
            secrets: [("key".to_owned(), b"sesame".to_vec())].into(),
            target: Some("final".to_owned()),
            contexts: [
                (
                    "shared".to_owned(),
                    NamedContext::Directory("/home/ann/shared".into()),
                ),
                ("base".to_owned(), NamedContext::Image("alpine:3".to_owned())),
            ]
            .into(),
            context_material: asked
                .reproducible
                .then(|| Material::commit("https://ann:hush2@h/r.git", Some("main"), "c0ffee")),
            ssh: [("agent".to_owned(), SshSource::Agent("/home/ann/agent".into()))].into(),
            ..BuildRequest::default()
        };
        let materials = [Material {
            uri: "pkg:docker/alpine@3?platform=linux%2Famd64".to_owned(),
            algorithm: "sha256",
            digest: "ab".repeat(32),
        }];
        let done = Done {
            request: &request,
            materials: &materials,
            platform: &"linux/amd64".parse().unwrap(),
            started: Timestamp::UNIX_EPOCH,
            finished: Timestamp::from_second(2).unwrap(),
            invocation: "once",
        };
        predicate(&done, asked)
    }

    #[test]
    fn the_least_tells_no_argument_no_secret_and_no_path() {
        for version in [ProvenanceVersion::V02, ProvenanceVersion::V1] {
            let least = provenance(&ProvenanceRequest {
                version,
                ..ProvenanceRequest::default()
            });
            let text = least.to_string();
            for told in ["hush", "sesame", "blue", "/home", "key", "RlJPTSBzY3JhdGNoCg=="] {
                assert!(!text.contains(told), "{told}: {text}");
            }
            assert!(
                text.contains("build/Dockerfile.prod") && text.contains(r#""target":"final""#),
                "{text}"
            );
            assert!(text.contains("pkg:docker/alpine@3"), "{text}");
        }
    }

    #[test]
    fn all_has_arguments_and_the_dockerfile_but_never_a_secret_or_a_path() {
        let asked = ProvenanceRequest {
            all: true,
            builder: Some("https://ci.example.org/7".to_owned()),
            reproducible: true,
            ..ProvenanceRequest::default()
        };
        let most = provenance(&asked);
        let parameters = &most["invocation"]["parameters"];
        assert_eq!(parameters["args"]["build-arg:TOKEN"], "hush");
        assert_eq!(parameters["args"]["context:base"], "docker-image://alpine:3");
        assert_eq!(parameters["secrets"], json!([{"id": "key"}]));
        assert_eq!(parameters["ssh"], json!([{"id": "agent"}]));
        assert_eq!(parameters["locals"], json!([{"name": "shared"}]));
        assert_eq!(
            most["invocation"]["configSource"],
            json!({"uri": "https://h/r.git#main", "digest": {"sha1": "c0ffee"}, "entryPoint": "build/Dockerfile.prod"})
        );
        assert_eq!(most["builder"]["id"], "https://ci.example.org/7");
        assert_eq!(most["metadata"]["reproducible"], true);
        assert_eq!(
            most["metadata"]["completeness"],
            json!({"parameters": true, "environment": true, "materials": false})
        );
        let text = most.to_string();
        assert!(text.contains("RlJPTSBzY3JhdGNoCg=="), "{text}");
        assert!(
            !text.contains("sesame") && !text.contains("/home") && !text.contains("UNSET"),
            "{text}"
        );
    }

    #[test]
    fn version_1_has_the_same_in_its_own_words() {
        let asked = ProvenanceRequest {
            all: true,
            version: ProvenanceVersion::V1,
            ..ProvenanceRequest::default()
        };
        let one = provenance(&asked);
        let definition = &one["buildDefinition"];
        assert_eq!(
            definition["externalParameters"]["configSource"]["path"],
            "build/Dockerfile.prod"
        );
        assert_eq!(
            definition["externalParameters"]["request"]["args"]["label:team"],
            "blue"
        );
        assert_eq!(
            definition["resolvedDependencies"][0]["digest"]["sha256"],
            "ab".repeat(32)
        );
        assert_eq!(
            one["runDetails"]["metadata"]["finishedOn"],
            "1970-01-01T00:00:02Z"
        );
        assert_eq!(one["runDetails"]["metadata"]["invocationId"], "once");
        assert_eq!(
            definition["externalParameters"]["request"]["locals"],
            json!([{"name": "context"}, {"name": "dockerfile"}, {"name": "shared"}])
        );
    }
}
