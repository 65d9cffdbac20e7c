//! Short forms of one file under the values of another, and the few that docker compose reads in a way of its own.
//! Each expectation is what docker compose 2.40 prints.

use serde_json::{Value, json};

use crate::loading::Desk;

/// What `config` prints at a pointer for two files, the second over the first.
#[track_caller]
fn merged(base: &str, over: &str, pointer: &str) -> Option<Value> {
    let desk = Desk::new(&[("a.yaml", base), ("b.yaml", over)]);
    let project = desk.run("-f a.yaml -f b.yaml config --format json").project();
    project.pointer(pointer).cloned()
}

#[test]
fn all_gpus_meet_a_list_in_files_but_give_way_to_it_in_extends() {
    let all = "services: {s: {image: i, gpus: all}}\n";
    let over = "services: {s: {gpus: [{driver: d, count: 2}]}}\n";
    let both = json!([{"count": -1}, {"driver": "d", "count": 2}]);
    assert_eq!(merged(all, over, "/services/s/gpus"), Some(both));
    let extends = "services: {b: {image: i, gpus: all}, s: {extends: b, gpus: [{driver: d, count: 2}]}, t: {extends: b, gpus: all}, u: {extends: b, gpus: []}}\n";
    let project = Desk::new(&[("compose.yaml", extends)])
        .run("config --format json")
        .project();
    let services = &project["services"];
    assert_eq!(services["s"]["gpus"], json!([{"driver": "d", "count": 2}]));
    assert_eq!(services["t"]["gpus"], json!([{"count": -1}]));
    assert_eq!(services["u"].get("gpus"), None);
}

#[test]
fn the_legacy_form_of_external_meets_the_other() {
    let used =
        |network: &str| format!("services: {{s: {{image: i, networks: [n]}}}}\nnetworks: {{n: {network}}}\n");
    let over = |network: &str| format!("networks: {{n: {network}}}\n");
    for (first, second, name, external) in [
        ("{external: {name: x}}", "{external: true}", "x", true),
        ("{external: {name: x}}", "{external: true, name: y}", "y", true),
        ("{external: {name: x}}", "{name: y}", "y", true),
        ("{external: {}, name: x}", "{external: true}", "x", true),
        ("{external: true}", "{external: {name: x}}", "x", true),
    ] {
        let network = merged(&used(first), &over(second), "/networks/n").expect("a network");
        assert_eq!(network["name"], json!(name), "{first} {second}");
        assert_eq!(network["external"], json!(external), "{first} {second}");
    }
    let (first, second) = (used("{external: {name: x}}"), over("{external: {name: y}}"));
    let desk = Desk::new(&[("a.yaml", &first), ("b.yaml", &second)]);
    desk.run("-f a.yaml -f b.yaml config").refuses(&["two names"]);
    let included = Desk::new(&[
        (
            "compose.yaml",
            &format!("include: [i.yaml]\n{}", over("{external: true}")),
        ),
        ("i.yaml", &first),
    ]);
    let project = included.run("config --format json").project();
    assert_eq!(project["networks"]["n"]["name"], json!("x"));
}

#[test]
fn the_home_of_another_is_taken_for_a_directory_of_ones_own() {
    let text = "services: {s: {build: ~bob/b, volumes: ['~bob/x:/t', {type: bind, source: ~, target: /u}, '~/y:/v']}}\n";
    let text = text.replace("source: ~,", "source: '~',");
    let ran = Desk::new(&[("compose.yaml", &text)]).run("config --format json");
    ran.mentions(&[
        "warning[home-of-another]: `~bob/x` is `bob/x` in your own home",
        "`~bob/b`",
    ]);
    assert_eq!(ran.stderr.matches("home-of-another").count(), 2, "{}", ran.stderr);
    let service = &ran.project()["services"]["s"];
    assert_eq!(service["build"]["context"], json!("$HOME/bob/b"));
    let sources: Vec<&Value> = [0, 1, 2].map(|at| &service["volumes"][at]["source"]).into();
    assert_eq!(
        sources,
        [&json!("$HOME/bob/x"), &json!("$HOME"), &json!("$HOME/y")]
    );
}

#[test]
fn a_profile_without_a_name_is_on_while_none_is_asked_for() {
    let desk = Desk::new(&[(
        "compose.yaml",
        "services: {s: {image: i, profiles: ['']}, t: {image: i}, u: {image: i, profiles: [a]}}\n",
    )]);
    assert_eq!(desk.run("config --services").success().stdout, "s\nt\n");
    assert_eq!(
        desk.run("--profile a config --services").success().stdout,
        "t\nu\n"
    );
}

#[test]
fn a_number_is_no_pair_however_it_is_merged() {
    for key in ["environment", "labels", "sysctls", "annotations"] {
        let base = format!("services: {{s: {{image: i, {key}: {{A: b}}}}}}\n");
        let over = format!("services: {{s: {{{key}: [1]}}}}\n");
        let desk = Desk::new(&[("a.yaml", &base), ("b.yaml", &over)]);
        let place = format!("b.yaml:1:{}", 19 + key.len());
        desk.run("-f a.yaml -f b.yaml config")
            .refuses(&[&place, "must be text, not the number 1"]);
    }
}

#[test]
fn a_secret_that_is_not_external_has_a_source() {
    for secret in ["{external: false}", "{driver: d}", "{external: false, name: n}"] {
        let file = format!("services: {{s: {{image: i}}}}\nsecrets: {{n: {secret}}}\n");
        let desk = Desk::new(&[("compose.yaml", &file)]);
        desk.run("config").refuses(&["neither `file` nor `environment`"]);
        desk.run("config --no-consistency").success();
    }
}

#[test]
fn without_interpolation_the_files_of_a_service_are_printed() {
    let text = "services: {s: {image: i, env_file: [e], label_file: l, environment: {A: $B}}}\n";
    let desk = Desk::new(&[("compose.yaml", text), ("e", "E=1\n"), ("l", "L=1\n")]);
    let service = &desk.run("config --no-interpolate --format json").project()["services"]["s"];
    assert_eq!(service["env_file"][0]["path"], json!("$HOME/e"));
    assert_eq!(service["label_file"], json!(["$HOME/l"]));
    assert_eq!(service["environment"], json!({"A": "$B"}));
    let service = &desk.run("config --format json").project()["services"]["s"];
    assert_eq!(service.get("env_file"), None);
    assert_eq!(service["environment"], json!({"A": "", "E": "1"}));
}

#[test]
fn what_only_lists_names_reads_no_files_of_services() {
    let text = "services: {s: {image: i, env_file: nope, label_file: none, profiles: [p]}}\nvolumes: {v: }\n";
    let desk = Desk::new(&[("compose.yaml", text)]);
    for (flag, listed) in [
        ("--services", "s\n"),
        ("--images", "i\n"),
        ("--profiles", "p\n"),
        ("--networks", "default\n"),
        ("--volumes", ""),
        (
            "--variables",
            "NAME   REQUIRED   DEFAULT VALUE   ALTERNATE VALUE\n",
        ),
    ] {
        let ran = desk.run(&format!("--profile p config {flag}")).success();
        assert_eq!(ran.stdout, listed, "{flag}");
    }
    desk.run("--profile p config -q").refuses(&["nope"]);
}

#[test]
fn variables_are_those_of_files_that_are_right_without_them() {
    let listed = |service: &str| {
        let text = format!("services: {{s: {{image: '${{A:-b}}', {service}}}}}\n");
        Desk::new(&[("compose.yaml", &text)]).run("config --variables")
    };
    listed("prots: [1]").refuses(&["did you mean `ports`?"]);
    listed("volumes: ['/foo::rw']").refuses(&["compose.yaml:1:"]);
    let ran = listed("ports: ['80:eighty', '${P}:80'], depends_on: [none]").success();
    assert_eq!(ran.stdout.lines().count(), 3, "{}", ran.stdout);
}

#[test]
fn a_port_is_the_number_that_is_written_and_whole() {
    let ports = |ports: &str| {
        let text = format!("services: {{s: {{image: i, ports: [{ports}]}}}}\n");
        Desk::new(&[("compose.yaml", &text)]).run("config --format json")
    };
    for port in ["0x50", "0o120", "80"] {
        let project = ports(port).project();
        assert_eq!(
            project["services"]["s"]["ports"][0]["target"],
            json!(80),
            "{port}"
        );
    }
    ports("'0x50'").refuses(&["is not a port of the container"]);
    let project = ports("{target: 80, published: 8080}").project();
    assert_eq!(project["services"]["s"]["ports"][0]["published"], json!("8080"));
    for port in ["80.0", "1e3", "1.5"] {
        ports(&format!("{{target: 80, published: {port}}}"))
            .refuses(&["ports[0].published must be a whole number or text"]);
    }
}
