//! In: builds that are asked for. Out: the same as a file of `docker buildx bake`, as docker compose prints it.
//! **Invariant:** nothing is built; what has no effect here is left out.

use serde_json::{Map, Value, json};

use super::super::BuildOptions;
use super::super::build_request::labels;
use super::super::project::LoadedProject;
use crate::engine::lower::image_name;
use crate::model::build::Build;
use crate::model::file_object::FileObjectSource;
use crate::model::{Project, Service, ServiceName};

/// The whole file; services that are only contexts of others are in it too.
pub(super) fn bake(files: &LoadedProject, options: &BuildOptions, services: &[&ServiceName]) -> Value {
    let mut names: Vec<String> = services.iter().map(|name| target_name(name.as_str())).collect();
    names.sort();
    let mut targets = Map::new();
    let mut buildable: Vec<&Service> = files.project.services.values().collect();
    buildable.sort_by(|left, right| left.name.cmp(&right.name));
    for service in buildable {
        if let Some(section) = &service.build {
            let target = target(&files.project, options, service, section);
            targets.insert(target_name(service.name.as_str()), target);
        }
    }
    json!({"group": {"default": {"targets": names}}, "target": targets})
}

/// Names of targets have no dots.
fn target_name(service: &str) -> String {
    service.replace('.', "_")
}

/// `${` would be a variable of bake.
fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

fn target(project: &Project, options: &BuildOptions, service: &Service, section: &Build) -> Value {
    let mut target = Map::new();
    let mut put = |key: &str, value: Value| {
        let is_empty = match &value {
            Value::Null => true,
            Value::Bool(flag) => !flag,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(items) => items.is_empty(),
            Value::Number(_) => false,
        };
        if !is_empty {
            target.insert(key.to_owned(), value);
        }
    };
    put("context", json!(section.context));
    let contexts = section.additional_contexts.iter().map(|(name, place)| {
        let place = match place.strip_prefix("service:") {
            Some(other) => format!("target:{}", target_name(other)),
            None => place.clone(),
        };
        (name.clone(), Value::String(place))
    });
    put("contexts", Value::Object(sorted(contexts)));
    let is_local = section.context.starts_with('/');
    let dockerfile = section.dockerfile.as_ref().map(|name| {
        if name.starts_with('/') || !is_local {
            name.clone()
        } else {
            format!("{}/{name}", section.context)
        }
    });
    put("dockerfile", json!(dockerfile));
    put(
        "dockerfile-inline",
        json!(section.dockerfile_inline.as_deref().map(literal)),
    );
    let mut arguments = section.args.clone();
    arguments.extend(options.arguments.clone());
    let arguments = arguments
        .into_iter()
        .filter_map(|(name, value)| Some((name, Value::String(literal(&value?)))));
    put("args", Value::Object(sorted(arguments)));
    let labels = labels(project, service, section).into_iter();
    put(
        "labels",
        Value::Object(sorted(labels.map(|(name, value)| (name, Value::String(value))))),
    );
    let mut tags = section.tags.clone();
    tags.push(image_name(project, service));
    put("tags", json!(tags));
    put("target", json!(section.target));
    put("secret", json!(secrets(project, section)));
    let agents = section.ssh.iter().chain(&options.ssh);
    let agents: Vec<String> = agents
        .map(|agent| {
            if agent.contains('=') {
                agent.clone()
            } else {
                format!("{agent}=")
            }
        })
        .collect();
    put("ssh", json!(agents));
    put("platforms", json!(section.platforms));
    put("pull", json!(section.pull || options.pull));
    put("no-cache", json!(section.no_cache || options.no_cache));
    put("network", json!(section.network));
    put("no-cache-filter", json!(section.no_cache_filter));
    put("shm-size", json!(section.shm_size.map(|bytes| bytes.to_string())));
    let ulimits = section.ulimits.iter();
    put(
        "ulimits",
        ulimits
            .map(|(name, (soft, hard))| format!("{name}={soft}:{hard}"))
            .collect(),
    );
    let hosts = section.extra_hosts.iter();
    put(
        "extra-hosts",
        Value::Object(sorted(
            hosts.map(|(name, address)| (name.clone(), json!(address))),
        )),
    );
    put("output", json!(["type=docker"]));
    Value::Object(target)
}

fn sorted(pairs: impl Iterator<Item = (String, Value)>) -> Map<String, Value> {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_by(|left, right| left.0.cmp(&right.0));
    pairs.into_iter().collect()
}

fn secrets(project: &Project, section: &Build) -> Vec<String> {
    let described = section.secrets.iter().filter_map(|(id, key)| {
        let source = match &project.secrets.get(key)?.source {
            FileObjectSource::File(path) => format!("type=file,src={path}"),
            FileObjectSource::Environment(name, _) => format!("type=env,env={name}"),
            FileObjectSource::Content(_) | FileObjectSource::External => return None,
        };
        Some(format!("id={id},{source}"))
    });
    described.collect()
}
