//! Compose files in TOML: the same projects as from YAML, mixed with YAML in every way; places of mistakes; `convert`.
//! Through the binary; nothing here needs a kernel's leave.

use std::path::Path;
use std::time::Duration;

use crate::host::Ran;
use crate::loading::Desk;

/// What `config` prints of these files.
#[track_caller]
fn config(desk: &Desk, flags: &str) -> String {
    let line = format!("-p p {flags} config").replace("  ", " ");
    desk.run(&line).success().stdout
}

const BASE_YAML: &str = "services:\n  web:\n    image: 'nginx:${TAG:-1}'\n    ports: ['80:80']\n    environment: {A: 1, B: '2'}\n    volumes: ['data:/data']\nvolumes: {data: {}}\nx-note: kept\n";
const BASE_TOML: &str = "x-note = \"kept\"\n[services.web]\nimage = 'nginx:${TAG:-1}'\nports = [\"80:80\"]\nenvironment.A = 1\nenvironment.B = '2'\nvolumes = [\"data:/data\"]\n[volumes]\ndata = {}\n";
const OVER_YAML: &str = "services:\n  web:\n    ports: !override ['81:81']\n    environment: {A: !reset null, C: 3}\n    volumes: !reset []\n    mem_limit: 64m\n";
const OVER_TOML: &str = "[services.web]\nports = { \"!override\" = ['81:81'] }\nenvironment = { A = { \"!reset\" = true }, C = 3 }\nvolumes.\"!reset\" = true\nmem_limit = '64m'\n";

#[test]
fn files_of_both_languages_merge_in_every_order() {
    let desk = Desk::new(&[
        ("a.yaml", BASE_YAML),
        ("a.toml", BASE_TOML),
        ("b.yaml", OVER_YAML),
        ("b.toml", OVER_TOML),
    ]);
    let yaml = config(&desk, "-f a.yaml -f b.yaml");
    assert!(
        yaml.contains("published: \"81\"") && !yaml.contains("A:") && !yaml.contains("target: /data"),
        "{yaml}"
    );
    for flags in [
        "-f a.toml -f b.toml",
        "-f a.yaml -f b.toml",
        "-f a.toml -f b.yaml",
    ] {
        assert_eq!(config(&desk, flags), yaml, "{flags}");
    }
}

#[test]
fn compose_toml_is_found_with_its_override_and_gives_way_to_yaml() {
    let desk = Desk::new(&[("compose.toml", BASE_TOML), ("compose.override.yaml", OVER_YAML)]);
    assert!(config(&desk, "").contains("published: \"81\""));
    let desk = Desk::new(&[("compose.toml", BASE_TOML), ("compose.override.toml", OVER_TOML)]);
    assert!(config(&desk, "").contains("published: \"81\""));
    let desk = Desk::new(&[
        ("compose.toml", BASE_TOML),
        ("docker-compose.yaml", "services: {old: {image: x}}\n"),
    ]);
    let ran = desk.run("config --services").success();
    assert_eq!(ran.stdout, "old\n");
    ran.mentions(&["several-compose-files", "$HOME/compose.toml is not"]);
}

#[test]
fn includes_and_extends_cross_between_the_languages() {
    let desk = Desk::new(&[
        (
            "base.toml",
            "[services.base]\nimage = \"busybox:${TAG:-1}\"\nenvironment.FROM = \"toml\"\n",
        ),
        (
            "base.yaml",
            "services: {base: {image: 'busybox:${TAG:-1}', environment: {FROM: yaml}}}\n",
        ),
        (
            "part/part.toml",
            "[services.part]\nimage = \"x\"\nbuild.context = \"./here\"\n",
        ),
        (
            "part/part.yaml",
            "services: {part: {image: x, build: {context: ./here}}}\n",
        ),
        (
            "of-toml.yaml",
            "include: [part/part.toml]\nservices: {web: {extends: {file: base.toml, service: base}}}\n",
        ),
        (
            "of-yaml.toml",
            "include = [\"part/part.yaml\"]\n[services.web]\nextends = { file = \"base.yaml\", service = \"base\" }\n",
        ),
        (
            "long.toml",
            "[[include]]\npath = [\"part/part.yaml\"]\nproject_directory = \"elsewhere\"\n",
        ),
    ]);
    let of_toml = config(&desk, "-f of-toml.yaml");
    let of_yaml = config(&desk, "-f of-yaml.toml");
    assert!(
        of_toml.contains("context:") && of_toml.contains("/part/here"),
        "{of_toml}"
    );
    assert_eq!(of_toml, of_yaml.replace("FROM: yaml", "FROM: toml"));
    assert!(config(&desk, "-f long.toml").contains("/elsewhere/here"));
}

#[test]
fn mistakes_point_into_the_toml() {
    for (file, words) in [
        (
            "[services.web]\nimage = 1\nprots = []\n",
            &["compose.toml:2:9", "compose.toml:3:1", "did you mean `ports`"][..],
        ),
        // Dotted keys, inline tables, arrays of tables.
        (
            "services.web.image = 'x'\nservices.web.deploy.replicas = 'two'\n",
            &["compose.toml:2:32"],
        ),
        (
            "[services.web]\nimage = 'x'\nhealthcheck = { test = 'true', interval = '5 seconds' }\n",
            &["compose.toml:3:43"],
        ),
        (
            "[services.web]\nimage = 'x'\n[[services.web.ports]]\ntarget = 80\n[[services.web.ports]]\ntarget = 'http'\n",
            &["compose.toml:6:10"],
        ),
        (
            "[services.web]\nimage = 'x'\nports = [\n  80,\n  '80:eighty', # no\n]\n",
            &["compose.toml:5:3", "eighty"],
        ),
        (
            "[services.web]\nimage = 'x'\nnetworks = ['front']\n",
            &["compose.toml:3:13", "front"],
        ),
        // Behind escapes, in text with several lines.
        (
            "[services.web]\nimage = 'x'\ncommand = \"\\\"\\u00e9\\\" ${1BAD}\"\n",
            &["compose.toml:3:23"],
        ),
        (
            "[services.web]\nimage = 'x'\ncommand = \"\"\"\none \\\n   ${MUST:?say it}\"\"\"\n",
            &["compose.toml:5:4", "say it"],
        ),
        // Tags.
        (
            "[services.web]\nimage = 'x'\nports = { \"!reset\" = false }\n",
            &["invalid-tag", "compose.toml:3:22"],
        ),
        (
            "[services.web]\nimage = 'x'\n[services.web.environment]\nA = 1\n\"!override\" = { B = 1 }\n",
            &["invalid-tag", "compose.toml:4:1", "compose.toml:5:1"],
        ),
        // Not TOML.
        (
            "[services.web]\nimage = 'x'\n[services.web]\n",
            &["duplicate-key", "compose.toml:3:11", "compose.toml:1:11"],
        ),
        (
            "services:\n  web:\n    image: x\n",
            &["compose.toml:1:", "this is YAML", "rcompose convert"],
        ),
        (
            "[services.web]\nimage = nginx\nport = [80\nuser = \"a\\q\"\n",
            &["compose.toml:2:9"],
        ),
        (
            "[services.web]\nimage = nginx\nuser = \"a\\q\"\n",
            &["compose.toml:2:9", "compose.toml:3:1"],
        ),
    ] {
        let desk = Desk::new(&[("compose.toml", file)]);
        let ran = desk.run("config").fails_with(1);
        ran.mentions(words);
    }
}

#[test]
fn numbers_are_what_they_are_in_yaml_and_dates_are_text_with_a_warning() {
    let desk = Desk::new(&[
        (
            "a.yaml",
            "services: {web: {image: x, ports: [80], cpus: 1.50, secrets: [{source: s, mode: 0o755}], environment: {A: 0x1F, B: 1_000, C: 1e3, D: true}}}\nsecrets: {s: {file: ./s}}\n",
        ),
        (
            "a.toml",
            "[services.web]\nimage = 'x'\nports = [80]\ncpus = 1.50\nsecrets = [{ source = 's', mode = 0o755 }]\nenvironment = { A = 0x1F, B = 1_000, C = 1e3, D = true }\n[secrets.s]\nfile = './s'\n",
        ),
        (
            "date.toml",
            "[services.web]\nimage = 'x'\nlabels.since = 2024-05-01\n",
        ),
    ]);
    assert_eq!(config(&desk, "-f a.toml"), config(&desk, "-f a.yaml"));
    let ran = desk.run("-f date.toml config").success();
    assert!(ran.stdout.contains("since: \"2024-05-01\""), "{}", ran.stdout);
    ran.mentions(&["date-as-text", "date.toml:3:16"]);
}

#[test]
fn broken_files_are_refused_in_a_sentence_and_at_once() {
    let deep_keys = format!("a{} = 1\n", ".a".repeat(10_000));
    let deep_header = format!("[a{}]\n", ".a".repeat(10_000));
    let deep_lists = format!("a = {}\n", "[".repeat(10_000));
    let closed_lists = format!("a = {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let deep_tables = format!("a = {}1{}\n", "{a=".repeat(10_000), "}".repeat(10_000));
    let dotted = format!("{}.a", "a".to_owned() + &".a".repeat(70));
    let steps = format!("a = {}1{}\n", format!("{{{dotted}=").repeat(70), "}".repeat(70));
    for (name, file) in [
        ("keys", deep_keys),
        ("header", deep_header),
        ("lists", deep_lists),
        ("closed lists", closed_lists),
        ("tables", deep_tables),
        ("dotted keys in tables", steps),
        ("nul", "a = \"\0\"\n".to_owned()),
        ("nothing", String::new()),
    ] {
        let desk = Desk::new(&[("compose.toml", &file)]);
        let ran = desk.run("config").fails_with(1);
        assert!(
            ran.stderr.contains("compose.toml") && !ran.stderr.contains("panicked"),
            "{name}: {}",
            ran.stderr
        );
        assert!(
            ran.stderr.len() < 20_000,
            "{name}: {} bytes of words",
            ran.stderr.len()
        );
        assert!(ran.took < Duration::from_secs(1), "{name}: {:?}", ran.took);
    }
    let desk = Desk::new(&[]);
    std::fs::write(
        desk.home().join("compose.toml"),
        b"[services.web]\nimage = \"\xff\"\n",
    )
    .expect("write");
    desk.run("config").refuses(&["not-utf-8", "compose.toml:2:10"]);
    let huge = std::fs::File::create(desk.home().join("compose.toml")).expect("file");
    huge.set_len(100 << 20).expect("100 MiB");
    let ran = desk.run("config");
    assert!(ran.took < Duration::from_secs(1), "{:?}", ran.took);
    ran.refuses(&["compose.toml", "larger than 16 megabytes"]);
}

#[test]
fn byte_order_marks_and_carriage_returns_change_nothing() {
    let marked = format!("\u{feff}{}", BASE_TOML.replace('\n', "\r\n"));
    let desk = Desk::new(&[("a.toml", BASE_TOML), ("b.toml", &marked)]);
    assert_eq!(config(&desk, "-f b.toml"), config(&desk, "-f a.toml"));
    let desk = Desk::new(&[("compose.toml", &marked.replace("ports", "prots"))]);
    desk.run("config").refuses(&["compose.toml:4:1"]);
}

#[test]
fn config_in_toml_is_the_same_project() {
    let desk = Desk::new(&[("compose.yaml", BASE_YAML)]);
    let toml = desk.run("-p p config --format toml -o shown.toml").success();
    assert_eq!(toml.stdout, "");
    assert_eq!(config(&desk, "-f shown.toml"), config(&desk, "-f compose.yaml"));
}

fn read(desk: &Desk, name: &str) -> String {
    std::fs::read_to_string(desk.home().join(name)).expect("a file")
}

#[test]
fn convert_turns_one_language_into_the_other() {
    let yaml = "# A shop.\nname: shop\n\nservices:\n  web: # the site\n    image: nginx:${TAG}\n    entrypoint: |\n      #!/bin/sh\n      exec true\n";
    let desk = Desk::new(&[("compose.yaml", yaml), ("taken.toml", "mine")]);
    let toml = "# A shop.\nname = \"shop\"\n\n[services.web] # the site\nimage = \"nginx:${TAG}\"\nentrypoint = \"\"\"\n#!/bin/sh\nexec true\n\"\"\"\n";
    assert_eq!(desk.run_in("deep", "convert").success().stdout, toml);
    desk.run("convert -o new.toml").success();
    assert_eq!(read(&desk, "new.toml"), toml);
    assert_eq!(desk.run("convert new.toml").success().stdout, yaml);
    assert_eq!(
        desk.run_with_input(toml, "convert - --to yaml").success().stdout,
        yaml
    );
    assert_eq!(desk.run_with_input(yaml, "convert -").success().stdout, toml);

    desk.run("convert -o taken.toml")
        .refuses(&["taken.toml is there already", "--force"]);
    assert_eq!(read(&desk, "taken.toml"), "mine");
    desk.run("convert -o taken.toml --force").success();
    assert_eq!(read(&desk, "taken.toml"), toml);
    desk.run("convert -o other.yaml")
        .refuses(&["other.yaml is no name for a TOML file"]);
    desk.run("convert new.toml --to toml")
        .refuses(&["new.toml is TOML already"]);
    desk.run("convert gone.yaml")
        .refuses(&["gone.yaml", "no such file"]);
    desk.write("two.yaml", "services: {}\n---\nservices: {}\n");
    desk.run("convert two.yaml -o two.toml")
        .refuses(&["several-documents", "two.yaml:3:1"]);
    assert!(!desk.home().join("two.toml").exists());
    assert_eq!(read(&desk, "compose.yaml"), yaml);
}

#[test]
fn the_example_in_toml_is_the_example_in_yaml() {
    let desk = Desk::new(&[]);
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let show = |name: &str| -> Ran {
        let file = examples.join(name);
        desk.run(&format!("-f {} config", file.to_str().expect("utf-8 path")))
            .success()
    };
    let (yaml, toml) = (
        show("wordpress/compose.yaml"),
        show("wordpress-toml/compose.toml"),
    );
    assert_eq!((toml.stdout, toml.stderr), (yaml.stdout, yaml.stderr));
}
