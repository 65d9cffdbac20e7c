//! Relative host paths of a tree become absolute: a tree and the directory it speaks from come in, the tree is
//! changed in place. **Invariant:** paths are only joined and cleaned as text; what is remote or a name stays.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::{Component, Path, PathBuf};

use super::canonical::ShortVolume;
use super::implied::Implied;
use super::node::{Mapping, Node, Style, Value};
use super::parallel;

/// Where relative paths lead.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// The directory that relative paths are relative to; absolute, unless paths are to stay relative.
    pub directory: &'a Path,
    /// What `~` stands for.
    pub home: Option<&'a str>,
}

impl Base<'_> {
    /// A path as it is from here: absolute and without `.` and `..`.
    pub fn resolve(&self, path: &str) -> PathBuf {
        let expanded = match (path.strip_prefix('~'), self.home) {
            // `~user/x` too is taken for `~/user/x` (compose-go); [`super::home`] warns of it.
            (Some(rest), Some(home)) => format!("{home}/{rest}"),
            _ => path.to_owned(),
        };
        clean(&self.directory.join(expanded))
    }

    fn text(&self, path: &str) -> String {
        self.resolve(path).to_string_lossy().into_owned()
    }
}

/// A path without `.`, `..` and double slashes, as text; `..` above the root vanishes.
pub fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            Component::ParentDir if out.has_root() => {}
            Component::ParentDir | Component::Normal(_) | Component::RootDir | Component::Prefix(_) => {
                out.push(component);
            }
        }
    }
    if out.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        out
    }
}

/// Makes the paths of a whole project absolute. `build` sections without a context get the directory itself when
/// `defaults` is set, for projects that are imported into one with another directory.
pub fn project(root: &mut Node, base: Base<'_>, defaults: bool) {
    let services = root.as_map_mut().and_then(|root| root.get_mut("services"));
    if let Some(services) = services.and_then(Node::as_map_mut) {
        parallel::each(services, |_, service| {
            self::service(service, base);
            if defaults {
                default_context(service, base);
            }
        });
    }
    for section in ["configs", "secrets"] {
        for (_, object) in entries(root, section) {
            with(object, "file", &mut |file| local(file, base));
        }
    }
    for (_, volume) in entries(root, "volumes") {
        let is_local = volume
            .get("driver")
            .is_some_and(|driver| driver.as_str() == Some("local"));
        let Some(options) = volume
            .as_map_mut()
            .and_then(|volume| volume.get_mut("driver_opts"))
        else {
            continue;
        };
        if is_local && options.get("o").and_then(Node::as_str) == Some("bind") {
            with(options, "device", &mut |device| {
                if device.as_str() == Some("") {
                    // No device is the directory itself, as compose-go has it.
                    device.value = Value::String(base.text(".").into());
                } else {
                    local(device, base);
                }
            });
        }
    }
}

/// Makes the paths of one service absolute.
pub fn service(service: &mut Node, base: Base<'_>) {
    with(service, "build", &mut |build| {
        if build.is_scalar() {
            return context(build, base);
        }
        with(build, "context", &mut |node| context(node, base));
        with(build, "additional_contexts", &mut |contexts| {
            pair_values(contexts, &|path| {
                (!path.is_empty() && is_local_context(path)).then(|| base.text(path))
            });
        });
        with(build, "ssh", &mut |keys| {
            pair_values(keys, &|path| (!path.is_empty()).then(|| base.text(path)));
        });
    });
    with(service, "extends", &mut |extends| {
        with(extends, "file", &mut |file| local(file, base));
    });
    for key in ["env_file", "label_file"] {
        with(service, key, &mut |files| {
            each(files, &mut |file| {
                if file.as_map().is_some() {
                    with(file, "path", &mut |path| local(path, base));
                } else {
                    local(file, base);
                }
            });
        });
    }
    with(service, "develop", &mut |develop| {
        with(develop, "watch", &mut |rules| {
            each(rules, &mut |rule| {
                with(rule, "path", &mut |path| local(path, base));
            });
        });
    });
    with(service, "volumes", &mut |volumes| {
        each(volumes, &mut |mount| volume(mount, base));
    });
}

fn default_context(service: &mut Node, base: Base<'_>) {
    with(service, "build", &mut |build| {
        let span = build.span;
        if let Some(mapping) = build
            .as_map_mut()
            .filter(|mapping| !mapping.contains_key("context"))
        {
            let directory = Node::string(base.text("."), span).implied_by(Implied::BuildContext);
            mapping.insert("context", span, directory);
        }
    });
}

fn entries<'a>(root: &'a mut Node, section: &str) -> impl Iterator<Item = (&'a str, &'a mut Node)> {
    let section = root.as_map_mut().and_then(|root| root.get_mut(section));
    section
        .and_then(Node::as_map_mut)
        .into_iter()
        .flat_map(Mapping::iter_mut)
}

fn with(node: &mut Node, key: &str, change: &mut dyn FnMut(&mut Node)) {
    if let Some(value) = node.as_map_mut().and_then(|mapping| mapping.get_mut(key)) {
        change(value);
    }
}

/// One value, or each item of a list.
fn each(node: &mut Node, change: &mut dyn FnMut(&mut Node)) {
    match &mut node.value {
        Value::Seq(items) => items.iter_mut().for_each(change),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) | Value::Map(_) => {
            change(node);
        }
    }
}

fn local(node: &mut Node, base: Base<'_>) {
    if let Value::String(path) = &mut node.value
        && !path.is_empty()
        && !is_windows(path)
    {
        *path = base.text(path).into();
    }
}

fn context(node: &mut Node, base: Base<'_>) {
    if let Value::String(path) = &mut node.value
        && is_local_context(path)
    {
        *path = base.text(path).into();
    }
}

/// Whether a build context is a directory of this host, as compose-go tells it from a URL, a repository or
/// another service's image.
pub fn is_local_context(context: &str) -> bool {
    let remote = ["git@", "github.com/", "service:", "target:"];
    !context.contains("://")
        && !remote.iter().any(|prefix| context.starts_with(prefix))
        && !is_windows(context)
}

/// `C:\…` or a named pipe.
fn is_windows(path: &str) -> bool {
    let mut chars = path.chars();
    let drive = chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.next() == Some(':');
    path.starts_with("\\\\") || (drive && matches!(chars.next(), Some('\\' | '/')))
}

/// Changes the values of a mapping or of a `K=V` list.
fn pair_values(node: &mut Node, change: &dyn Fn(&str) -> Option<String>) {
    match &mut node.value {
        Value::Map(mapping) => {
            for value in mapping.values_mut() {
                if let Some(text) = value.as_str().and_then(change) {
                    value.value = Value::String(text.into());
                }
            }
        }
        Value::Seq(items) => {
            for item in items {
                let changed = item.as_str().and_then(|text| text.split_once('='));
                if let Some((key, value)) = changed.and_then(|(key, value)| Some((key, change(value)?))) {
                    item.value = Value::String(format!("{key}={value}").into());
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
    }
}

fn volume(mount: &mut Node, base: Base<'_>) {
    if mount.as_map().is_some() {
        let is_bind = mount.get("type").and_then(Node::as_str) == Some("bind");
        if is_bind {
            with(mount, "source", &mut |source| local(source, base));
        }
        return;
    }
    let Some(short) = mount.as_str().and_then(ShortVolume::parse) else {
        return;
    };
    let Some(path) = short.host_path().filter(|path| !is_windows(path)) else {
        return;
    };
    let resolved = base.text(path);
    if resolved.contains(':') || !resolved.starts_with('/') {
        let long = long_bind(mount, &resolved, short);
        mount.value = long;
        mount.style = Style::Plain;
        return;
    }
    let options = short
        .options
        .map_or_else(String::new, |options| format!(":{options}"));
    mount.value = Value::String(format!("{resolved}:{}{options}", short.target).into());
}

/// A short bind whose source has a colon or no leading slash now cannot be written short any more.
fn long_bind(mount: &Node, source: &str, short: ShortVolume<'_>) -> Value {
    let span = mount.span;
    let text = |text: &str| mount.remade_text(text);
    let mut bind = Mapping::new();
    let made = mount
        .remade(Value::Bool(true))
        .implied_by(Implied::CreateHostPath);
    bind.insert("create_host_path", span, made);
    let mut long = Mapping::new();
    long.insert("type", span, text("bind").implied_by(Implied::VolumeType));
    long.insert("source", span, text(source));
    long.insert("target", span, text(short.target));
    for option in short.options.unwrap_or_default().split(',') {
        match option {
            "ro" => {
                let read_only = mount.remade(Value::Bool(true)).implied_by(Implied::VolumeOption);
                long.insert("read_only", span, read_only);
            }
            "z" | "Z" => {
                bind.insert("selinux", span, text(option));
            }
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                bind.insert("propagation", span, text(option));
            }
            _ => {}
        }
    }
    long.insert("bind", span, mount.remade(Value::Map(bind)));
    Value::Map(long)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostics;
    use crate::source::span::SourceMap;
    use crate::source::{emit, yaml};

    fn rebased(text: &str, directory: &str) -> String {
        let mut sources = SourceMap::new();
        let file = sources.add("a.yaml", text);
        let mut root = yaml::parse(file, text, &mut Diagnostics::new()).remove(0);
        project(
            &mut root,
            Base {
                directory: Path::new(directory),
                home: Some("/home/u"),
            },
            true,
        );
        emit::yaml(&root)
    }

    #[test]
    fn host_paths_become_absolute_and_everything_else_stays() {
        let text = "services:\n  a:\n    build: {context: ./x/.., additional_contexts: {b: ../c, d: 'docker-image://e', s: 'service:f'}}\n    env_file: [x.env, {path: ../y.env}]\n    label_file: l\n    volumes: ['./v:/v:ro', 'data:/d', '~/h:/h', '/abs/../q:/q', {type: bind, source: ., target: /t}, {type: volume, source: ., target: /u}, 'C:\\w:/w', '/anon']\n    develop: {watch: [{path: src, action: sync}]}\n  b:\n    build: {dockerfile: D}\n  c:\n    build: https://x.example/y.git\nconfigs: {c: {file: ./c.txt}}\nvolumes: {v: {driver: local, driver_opts: {o: bind, device: ./dev}}}\n";
        insta::assert_snapshot!(rebased(text, "/p/q"), @r#"
        services:
          a:
            build:
              context: /p/q
              additional_contexts:
                b: /p/c
                d: docker-image://e
                s: service:f
            env_file:
              - /p/q/x.env
              - path: /p/y.env
            label_file: /p/q/l
            volumes:
              - /p/q/v:/v:ro
              - data:/d
              - /home/u/h:/h
              - /q:/q
              - type: bind
                source: /p/q
                target: /t
              - type: volume
                source: .
                target: /u
              - C:\w:/w
              - /anon
            develop:
              watch:
                - path: /p/q/src
                  action: sync
          b:
            build:
              dockerfile: D
              context: /p/q
          c:
            build: https://x.example/y.git
        configs:
          c:
            file: /p/q/c.txt
        volumes:
          v:
            driver: local
            driver_opts:
              o: bind
              device: /p/q/dev
        "#);
    }

    #[test]
    fn a_directory_with_a_colon_makes_short_binds_long() {
        insta::assert_snapshot!(rebased("services: {a: {volumes: ['.:/v:ro,z']}}\n", "/p:q"), @r#"
        services:
          a:
            volumes:
              - type: bind
                source: /p:q
                target: /v
                read_only: true
                bind:
                  create_host_path: true
                  selinux: z
        "#);
    }
}
