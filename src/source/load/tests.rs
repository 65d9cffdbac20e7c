//! What loading promises, over real directories.

use std::fmt::Write as _;
use std::fs;

use super::*;
use crate::source::emit;
use crate::source::node::Step;

/// A directory with files that goes away.
struct Dir(PathBuf);

impl Dir {
    fn new(test: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("rcompose-load-{}-{test}", std::process::id()));
        fs::remove_dir_all(&root).ok();
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
            fs::write(path, text).expect("file");
        }
        Self(fs::canonicalize(root).expect("exists"))
    }

    fn options(&self, files: &[&str]) -> LoadOptions {
        let mut options = LoadOptions::new(&self.0, vec![("HOME".into(), "/home/u".into())]);
        options.files = files.iter().map(PathBuf::from).collect();
        options
    }

    /// The tree as YAML with the directory as `$DIR`, then what was said.
    fn show(&self, options: &LoadOptions) -> String {
        let (loaded, diagnostics, sources) = load(options);
        let mut out = loaded.map(|loaded| emit::yaml(&loaded.root)).unwrap_or_default();
        for finding in &diagnostics {
            write!(
                out,
                "{:?} {}: {}",
                finding.severity, finding.code, finding.message
            )
            .expect("text");
            for label in &finding.labels {
                let (at, text) = (sources.locate(label.span), sources.text(label.span));
                write!(out, " | {at} {text:?} {}", label.text).expect("text");
            }
            if let Some(help) = &finding.help {
                write!(out, " | help: {help}").expect("text");
            }
            out.push('\n');
        }
        out.replace(&self.0.display().to_string(), "$DIR")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[test]
fn files_are_discovered_in_parents_with_their_override_and_env() {
    let dir = Dir::new(
        "discover",
        &[
            ("compose.yaml", "services: {web: {image: 'a:${TAG}'}}\n"),
            ("docker-compose.yml", "services: {}\n"),
            ("compose.override.yaml", "services: {web: {user: $WHO}}\n"),
            (".env", "TAG=1\nWHO=root\nCOMPOSE_PROFILES=x,y\n"),
            ("sub/deep/.env", "WHO=deep\n"),
        ],
    );
    let mut options = dir.options(&[]);
    options.cwd = dir.0.join("sub/deep");
    insta::assert_snapshot!(dir.show(&options), @r#"
    services:
      web:
        image: a:1
        user: deep
    Warning several-compose-files: several compose files, $DIR/compose.yaml is used and $DIR/docker-compose.yml is not | help: say which with `-f FILE`
    "#);
    let (loaded, ..) = load(&options);
    let loaded = loaded.expect("valid");
    assert_eq!(loaded.project_directory, dir.0);
    assert_eq!(
        loaded.files,
        [dir.0.join("compose.yaml"), dir.0.join("compose.override.yaml")]
    );
    assert_eq!(loaded.profiles, ["x", "y"]);
    for looked_for in [
        "sub/deep/.env",
        "sub/compose.yaml",
        "compose.yaml",
        ".env",
        "compose.override.yml",
    ] {
        assert!(
            loaded.watched.contains(&dir.0.join(looked_for)),
            "{looked_for}: {:?}",
            loaded.watched
        );
    }
}

#[test]
fn environment_precedence_is_os_then_files_and_names_follow_it() {
    let dir = Dir::new(
        "env",
        &[
            (
                "a.yaml",
                "name: 'From ${N:-File}'\nservices: {web: {image: '${A}${B}${C}', hostname: $COMPOSE_PROJECT_NAME}}\n",
            ),
            ("b.toml", "[services.web]\nuser = \"$A\"\n"),
            (".env", "A=dot\nB=dot\nC=dot\n"),
            ("one.env", "A=one\nB=one\n"),
            ("two.env", "B=two$A\n"),
        ],
    );
    let mut options = dir.options(&["a.yaml", "b.toml"]);
    insta::assert_snapshot!(dir.show(&options), @r#"
    name: From File
    services:
      web:
        image: dotdotdot
        hostname: fromfile
        user: dot
    Warning changed-project-name: the project name `From File` becomes `fromfile` | $DIR/a.yaml:1:7 "'From ${N:-File}'"  | help: a project name has lower-case letters, digits, `-` and `_`, and begins with a letter or digit
    "#);
    options.os_env.push(("A".into(), "os".into()));
    options.env_files = vec!["one.env".into(), "two.env".into()];
    options.project_name = Some("given".into());
    insta::assert_snapshot!(dir.show(&options), @r#"
    name: From File
    services:
      web:
        image: ostwoos
        hostname: given
        user: os
    Warning unset-variable: the variable `C` is not set, nothing is put in its place | $DIR/a.yaml:2:34 "${C}" not set | help: set it in `.env` or the environment, or give a default: `${C:-value}`
    "#);
    options.env_files = vec!["none.env".into()];
    options.project_name = Some("Bad Name".into());
    insta::assert_snapshot!(dir.show(&options), @r#"
    Error unreadable-file: cannot read the environment file $DIR/none.env: no such file
    Error invalid-project-name: `-p` gives the project name `Bad Name`, which is not valid | help: a project name has lower-case letters, digits, `-` and `_`, and begins with a letter or digit
    Warning unset-variable: the variable `B` is not set, nothing is put in its place | $DIR/a.yaml:2:30 "${B}" not set | help: set it in `.env` or the environment, or give a default: `${B:-value}`
    Warning unset-variable: the variable `C` is not set, nothing is put in its place | $DIR/a.yaml:2:34 "${C}" not set | help: set it in `.env` or the environment, or give a default: `${C:-value}`
    "#);
}

#[test]
fn compose_file_variable_lists_files() {
    let dir = Dir::new(
        "list",
        &[
            ("a.yaml", "services: {a: {image: x}}\n"),
            ("d/b.yaml", "services: {b: {image: y}}\n"),
            (".env", "COMPOSE_FILE=a.yaml,d/b.yaml\nCOMPOSE_PATH_SEPARATOR=,\n"),
        ],
    );
    let (loaded, ..) = load(&dir.options(&[]));
    assert_eq!(
        loaded.map(|loaded| loaded.files),
        Some(vec![dir.0.join("a.yaml"), dir.0.join("d/b.yaml")])
    );
}

#[test]
fn extends_goes_through_chains_and_files_with_their_paths() {
    let dir = Dir::new(
        "extends",
        &[
            (
                "compose.yaml",
                "services:\n  web:\n    extends: {service: mid, file: lib/mid.yaml}\n    environment: [C=3]\n    volumes: !reset []\n  local:\n    extends: web\n    ports: ['2:2']\n",
            ),
            (
                "lib/mid.yaml",
                "services:\n  mid:\n    extends: {service: base, file: deep/base.yaml}\n    build: .\n    environment: {B: '2'}\n",
            ),
            (
                "lib/deep/base.yaml",
                "services:\n  base:\n    image: 'x:${TAG:-1}'\n    env_file: base.env\n    environment: {A: '1', B: '1'}\n    volumes: [./v:/v]\n    ports: ['1:1']\n",
            ),
        ],
    );
    insta::assert_snapshot!(dir.show(&dir.options(&[])), @r#"
    services:
      web:
        image: x:1
        env_file: $DIR/lib/deep/base.env
        environment:
          A: "1"
          B: "2"
          C: "3"
        ports:
          - "1:1"
        build: $DIR/lib
      local:
        image: x:1
        env_file: $DIR/lib/deep/base.env
        environment:
          A: "1"
          B: "2"
          C: "3"
        ports:
          - "1:1"
          - "2:2"
        build: $DIR/lib
    "#);
    let (loaded, _, sources) = load(&dir.options(&[]));
    let root = loaded.expect("valid").root;
    let image = root
        .get("services")
        .and_then(|s| s.get("local"))
        .and_then(|s| s.get("image"))
        .expect("image");
    assert!(sources.locate(image.span).ends_with("lib/deep/base.yaml:3:12"));
    assert_eq!(
        image
            .steps()
            .iter()
            .filter(|step| matches!(step, Step::Extended(_)))
            .count(),
        3
    );
}

#[test]
fn without_path_resolution_paths_are_seen_from_the_project() {
    let dir = Dir::new(
        "relative",
        &[
            (
                "compose.yaml",
                "include: [db/compose.yaml]\nservices:\n  web:\n    extends: {service: mid, file: lib/mid.yaml}\n",
            ),
            (
                "db/compose.yaml",
                "services: {db: {image: x, volumes: [./data:/data:ro]}}\n",
            ),
            (
                "lib/mid.yaml",
                "services: {mid: {extends: {service: base, file: ../other/base.yaml}, build: .}}\n",
            ),
            (
                "other/base.yaml",
                "services: {base: {env_file: base.env, volumes: ['/abs:/a', 'named:/n']}}\n",
            ),
        ],
    );
    let mut options = dir.options(&[]);
    options.resolve_paths = false;
    insta::assert_snapshot!(dir.show(&options), @r#"
    services:
      web:
        env_file: other/base.env
        volumes:
          - /abs:/a
          - named:/n
        build: lib
      db:
        image: x
        volumes:
          - type: bind
            source: db/data
            target: /data
            read_only: true
            bind:
              create_host_path: true
    "#);
}

#[test]
fn a_file_extended_twice_is_read_and_warned_about_once() {
    let dir = Dir::new(
        "twice",
        &[
            (
                "compose.yaml",
                "services:\n  a: {extends: {service: x, file: x.yaml}}\n  b: {extends: {service: x, file: x.yaml}}\n",
            ),
            ("x.yaml", "services: {x: {image: $GONE, user: $GONE}}\n"),
        ],
    );
    let (loaded, diagnostics, sources) = load(&dir.options(&[]));
    assert!(loaded.is_some());
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(sources.files().count(), 2);
}

#[test]
fn extends_errors_name_every_edge() {
    let dir = Dir::new(
        "cycle",
        &[(
            "compose.yaml",
            "services:\n  a: {extends: b}\n  b: {extends: {service: a}}\n  c: {extends: {service: bb}}\n  d: {extends: {file: nope.yaml, service: x}}\n  e: {extends: {}}\n",
        )],
    );
    insta::assert_snapshot!(dir.show(&dir.options(&[])), @r#"
    Error extends-cycle: services extend each other: a → b → a | $DIR/compose.yaml:3:16 "{service: a}" leads back to `a` | $DIR/compose.yaml:2:16 "b" `a` extends here | help: take what they share into a service that extends nothing
    Error unknown-service: `c` extends `bb`, which is not a service of $DIR/compose.yaml | $DIR/compose.yaml:4:26 "bb" no such service
    Error unreadable-file: cannot read $DIR/nope.yaml: no such file | $DIR/compose.yaml:5:23 "nope.yaml" asked for here
    Error invalid-extends: `extends` does not name a service | $DIR/compose.yaml:6:16 "{}"  | help: write `extends: {service: name}`, with `file: other.yaml` if it is in another file
    "#);
}

#[test]
fn include_imports_projects_with_their_own_directory_and_environment() {
    let dir = Dir::new(
        "include",
        &[
            (
                "compose.yaml",
                "include:\n  - db/compose.yaml\n  - {path: [x/a.yaml, x/b.yaml], project_directory: ., env_file: x.env}\nservices:\n  db: {environment: {OWN: '1'}}\n",
            ),
            (".env", "TAG=outer\n"),
            ("x.env", "WHO=x\n"),
            (
                "db/compose.yaml",
                "name: ignored\ninclude: [sub.yaml]\nservices:\n  db:\n    image: 'db:${TAG}-${INNER}'\n    build: {dockerfile: D}\n    volumes: [./data:/data]\nx-y: 1\n",
            ),
            ("db/sub.yaml", "networks: {n: {}}\n"),
            ("db/.env", "TAG=inner\nINNER=yes\n"),
            ("x/a.yaml", "services: {a: {image: $WHO, volumes: ['./a:/a']}}\n"),
            ("x/b.yaml", "services: {a: {command: !override [b]}}\n"),
        ],
    );
    insta::assert_snapshot!(dir.show(&dir.options(&[])), @r#"
    services:
      db:
        image: db:outer-yes
        build:
          dockerfile: D
          context: $DIR/db
        volumes:
          - $DIR/db/data:/data
        environment:
          OWN: "1"
      a:
        image: x
        volumes:
          - $DIR/a:/a
        command:
          - b
    networks:
      "n": {}
    "#);
}

#[test]
fn include_errors_name_the_includer() {
    let dir = Dir::new(
        "include-cycle",
        &[
            (
                "compose.yaml",
                "include: [a.yaml, none.yaml, 'https://x/y.git']\n",
            ),
            ("a.yaml", "include:\n  - path: [b.yaml, compose.yaml]\n"),
            ("b.yaml", "services: {}\n"),
        ],
    );
    insta::assert_snapshot!(dir.show(&dir.options(&[])), @r#"
    Error include-cycle: files include each other: $DIR/compose.yaml → $DIR/a.yaml → $DIR/compose.yaml | $DIR/a.yaml:2:20 "compose.yaml" leads back to the beginning | $DIR/compose.yaml:1:11 "a.yaml" included by $DIR/compose.yaml
    Error unreadable-file: cannot read $DIR/none.yaml: no such file | $DIR/compose.yaml:1:19 "none.yaml" asked for here
    Error remote-file: cannot load `https://x/y.git`: remote files are not fetched here | $DIR/compose.yaml:1:30 "'https://x/y.git'" asked for here
    "#);
}

#[test]
fn entries_of_include_and_extends_have_the_right_kinds() {
    let dir = Dir::new(
        "include-kinds",
        &[(
            "compose.yaml",
            "include: [3, {path: [a, 1]}, {path: a, env_file: {b: c}}, {path: a, project_directory: []}, {paths: a}, {}]\nservices: {web: {extends: {service: base, file: 3}}}\n",
        )],
    );
    insta::assert_snapshot!(dir.show(&dir.options(&[])), @r#"
    services:
      web: {}
    Error invalid-include: an `include` entry must be a path or a mapping | $DIR/compose.yaml:1:11 "3"  | help: the keys are `path`, `env_file` and `project_directory`
    Error invalid-include: `path` of an `include` entry must be text or a list of texts | $DIR/compose.yaml:1:21 "[a, 1]"  | help: the keys are `path`, `env_file` and `project_directory`
    Error invalid-include: `env_file` of an `include` entry must be text or a list of texts | $DIR/compose.yaml:1:50 "{b: c}"  | help: the keys are `path`, `env_file` and `project_directory`
    Error invalid-include: `project_directory` of an `include` entry must be text | $DIR/compose.yaml:1:88 "[]"  | help: the keys are `path`, `env_file` and `project_directory`
    Error invalid-include: `paths` is not a key of an `include` entry | $DIR/compose.yaml:1:101 "a"  | help: the keys are `path`, `env_file` and `project_directory`
    Warning invalid-include: an `include` entry without a path includes nothing | $DIR/compose.yaml:1:105 "{}"  | help: write `- other.yaml` or `- path: other.yaml`
    Error invalid-extends: the `file` of `extends` must be text, not the number 3 | $DIR/compose.yaml:2:49 "3"
    "#);
}

#[test]
fn unusable_files_are_all_said_at_once() {
    let dir = Dir::new(
        "bad",
        &[
            ("list.yaml", "- a\n"),
            ("tab.yaml", "a:\n\tb: 1\n"),
            ("bytes.yaml", ""),
            ("empty.yaml", "# nothing\n"),
            ("dir/x", ""),
        ],
    );
    fs::write(dir.0.join("bytes.yaml"), b"a: \xff\n").expect("file");
    insta::assert_snapshot!(dir.show(&dir.options(&["list.yaml", "tab.yaml", "bytes.yaml", "none.yaml", "dir"])), @r#"
    Error not-a-mapping: a compose file is a mapping, this is a list | $DIR/list.yaml:1:1 "- a"  | help: begin with a top-level key such as `services:`
    Error invalid-yaml: a tab is used for indentation | $DIR/tab.yaml:2:1 "\t" tab | help: YAML allows only spaces here: use two per level
    Error not-utf-8: $DIR/bytes.yaml is not valid UTF-8 | $DIR/bytes.yaml:1:4 ""  | help: save the file as UTF-8
    Error unreadable-file: cannot read $DIR/none.yaml: no such file
    Error unreadable-file: cannot read $DIR/dir: is a directory
    "#);
    insta::assert_snapshot!(dir.show(&dir.options(&["empty.yaml"])), @r#"Error empty-file: the compose file is empty: $DIR/empty.yaml | help: it needs at least a `services:` section"#);
    fs::remove_file(dir.0.join("list.yaml")).expect("removed");
    assert!(dir.show(&dir.options(&[])).starts_with("Error no-compose-file"));
}

#[test]
fn a_bad_env_file_is_pointed_at() {
    let dir = Dir::new(
        "dotenv",
        &[("compose.yaml", "services: {}\n"), (".env", "A=1\nBAD KEY=2\n")],
    );
    insta::assert_snapshot!(dir.show(&dir.options(&[])), @r#"
    services: {}
    Error invalid-env-file: the name `BAD KEY` contains a space | $DIR/.env:2:1 "BAD KEY"  | help: a line is `NAME=value`
    "#);
}
