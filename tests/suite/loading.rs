//! Which files a command line means and what they are read with: discovery, `-f`, `COMPOSE_*`, environment files, names, paths.
//! Through the binary; nothing here needs a kernel's leave.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::host::{Ran, run};

/// A home with files in it.
pub(crate) struct Desk {
    directory: TempDir,
    environment: Vec<(String, String)>,
}

impl Desk {
    /// Files by path, with their text.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("desk")
            .tempdir()
            .expect("temporary directory");
        let desk = Self {
            directory,
            environment: Vec::new(),
        };
        std::fs::create_dir(desk.home()).expect("home");
        for (path, text) in files {
            desk.write(path, text);
        }
        desk
    }

    /// The directory that files are in and commands run in.
    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("proj")
    }

    /// The data root of commands.
    pub(crate) fn data_root(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.home().join(path);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        std::fs::write(path, text).expect("write");
    }

    /// The same with one more variable.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rcompose"));
        command
            .args(line.split(' '))
            .current_dir(self.home())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.home())
            .env("RCOMPOSE_DATA_ROOT", self.data_root())
            .env("RCOMPOSE_RUN_ROOT", self.directory.path().join("run"))
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command line, split at blanks; what it prints has `$HOME` for the home.
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.shown(&run(&mut self.command(line)))
    }

    pub(crate) fn run_in(&self, directory: &str, line: &str) -> Ran {
        let directory = self.home().join(directory);
        std::fs::create_dir_all(&directory).expect("directory");
        self.shown(&run(self.command(line).current_dir(directory)))
    }

    pub(crate) fn run_with_input(&self, input: &str, line: &str) -> Ran {
        self.write(".input", input);
        let input = std::fs::File::open(self.home().join(".input")).expect("input");
        self.shown(&run(self.command(line).stdin(input)))
    }

    fn shown(&self, ran: &Ran) -> Ran {
        let home = self.home().display().to_string();
        Ran {
            stdout: ran.stdout.replace(&home, "$HOME"),
            stderr: ran.stderr.replace(&home, "$HOME"),
            code: ran.code,
            took: ran.took,
        }
    }
}

impl Ran {
    /// The project that `config --format json` printed.
    #[track_caller]
    pub(crate) fn project(self) -> serde_json::Value {
        let ran = self.success();
        serde_json::from_str(&ran.stdout).expect("a project")
    }

    #[track_caller]
    pub(crate) fn refuses(self, words: &[&str]) {
        self.fails_with(1).mentions(words);
    }

    #[track_caller]
    pub(crate) fn mentions(&self, words: &[&str]) {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "`{word}` is missing in:\n{}",
                self.stderr
            );
        }
    }
}

const CONFIG: &str = "config --format json";
const TAGGED: &str = "services: {web: {image: 'a:${TAG:-none}'}}\n";

fn service(name: &str) -> String {
    format!("services: {{{name}: {{image: x}}}}\n")
}

#[test]
fn the_nearest_compose_file_counts_with_the_override_beside_it() {
    for name in [
        "compose.override.yml",
        "compose.override.yaml",
        "docker-compose.override.yml",
        "docker-compose.override.yaml",
        "compose.override.toml",
    ] {
        let text = if name.ends_with("toml") {
            "[services.web]\nuser = \"u\"\n"
        } else {
            "services: {web: {user: u}}\n"
        };
        let desk = Desk::new(&[("docker-compose.yaml", TAGGED), (name, text)]);
        let project = desk.run_in("deep/down", CONFIG).project();
        assert_eq!(project["name"], "proj");
        assert_eq!(project["services"]["web"]["user"], "u", "{name}");
        let explicit = desk.run(&format!("-f docker-compose.yaml {CONFIG}")).project();
        assert!(explicit["services"]["web"]["user"].is_null(), "{name}");
    }
    let desk = Desk::new(&[
        ("compose.yml", &service("yml")),
        ("compose.yaml", &service("yaml")),
    ]);
    let ran = desk.run("config --services").success();
    assert_eq!(ran.stdout, "yaml\n");
    ran.mentions(&["several-compose-files", "$HOME/compose.yml is not"]);
    let directory = Desk::new(&[("compose.yaml/x", ""), ("compose.yml", TAGGED)]);
    directory.run(CONFIG).refuses(&["compose.yaml", "is a directory"]);
}

#[test]
fn files_are_named_by_flags_standard_input_and_compose_file() {
    let desk = Desk::new(&[
        ("a.yaml", &service("a")),
        ("sub/b.yaml", "services: {b: {build: ./c}}\n"),
        ("sub/compose.yaml", TAGGED),
        ("stray/x", ""),
    ]);
    let both = desk.run(&format!("-f a.yaml -f sub/b.yaml {CONFIG}")).project();
    assert_eq!(both["services"]["b"]["build"]["context"], "$HOME/c");
    let piped = desk
        .run_with_input(TAGGED, &format!("-f - -f sub/b.yaml {CONFIG}"))
        .project();
    assert_eq!(piped["name"], "sub");
    assert_eq!(piped["services"]["b"]["build"]["context"], "$HOME/sub/c");
    assert_eq!(piped["services"]["web"]["image"], "a:none");
    let moved = desk.run_with_input(
        "services: {b: {build: ./c}}\n",
        &format!("--project-directory stray -f - {CONFIG}"),
    );
    assert_eq!(
        moved.project()["services"]["b"]["build"]["context"],
        "$HOME/stray/c"
    );
    desk.run("-f sub config").refuses(&[
        "$HOME/sub",
        "is a directory",
        "name the file in it: `$HOME/sub/compose.yaml`",
    ]);
    desk.run("-f none.yaml config")
        .refuses(&["$HOME/none.yaml", "no such file"]);
    let listed = desk
        .with("COMPOSE_FILE", "a.yaml::sub/b.yaml")
        .with("COMPOSE_PATH_SEPARATOR", "::");
    assert_eq!(listed.run("config --services").success().stdout, "a\nb\n");
    assert_eq!(
        listed
            .run("-f sub/compose.yaml config --services")
            .success()
            .stdout,
        "web\n"
    );
}

#[test]
fn documents_of_one_file_are_merged_in_order_and_none_may_be_empty() {
    let desk = Desk::new(&[(
        "compose.yaml",
        "name: one\nservices: {web: {image: a, expose: ['1']}}\n---\nname: two\nservices: {web: {image: b, expose: ['2']}}\n",
    )]);
    let project = desk.run(CONFIG).project();
    assert_eq!(project["name"], "two");
    assert_eq!(project["services"]["web"]["image"], "b");
    assert_eq!(
        project["services"]["web"]["expose"],
        serde_json::json!(["1", "2"])
    );
    for text in [
        "services: {web: {image: a}}\n---\n",
        "---\n---\nservices: {web: {image: a}}\n",
    ] {
        Desk::new(&[("compose.yaml", text)])
            .run(CONFIG)
            .refuses(&["not-a-mapping", "compose.yaml:"]);
    }
    for text in ["", "# nothing\n", "---\n", "{}\n"] {
        Desk::new(&[("compose.yaml", text)])
            .run(CONFIG)
            .refuses(&["empty-file"]);
    }
}

#[test]
fn environment_files_fill_what_the_process_does_not_set() {
    let files = [
        ("compose.yaml", "services: {web: {image: 'x${A}-${B}-${C:-}'}}\n"),
        (".env", "A=dot\nB=dot\nC=dot\n"),
        ("1.env", "A=1\nB=1\n"),
        ("2.env", "B=2$A\n"),
        ("sub/.env", "A=sub\n"),
    ];
    let image = |desk: &Desk, line: &str| {
        let project = desk.run(&format!("{line} {CONFIG}")).project();
        project["services"]["web"]["image"]
            .as_str()
            .expect("image")
            .to_owned()
    };
    let desk = Desk::new(&files);
    assert_eq!(image(&desk, "--parallel -1"), "xdot-dot-dot");
    assert_eq!(image(&desk, "--env-file 1.env --env-file 2.env"), "x1-21-");
    assert_eq!(image(&desk, "--env-file ~/1.env"), "x1-1-");
    assert_eq!(image(&desk, "-f compose.yaml --project-directory sub"), "xsub--");
    desk.run("--env-file none.env config")
        .refuses(&["$HOME/none.env", "no such file"]);
    desk.run("--env-file sub config")
        .refuses(&["$HOME/sub", "is a directory"]);
    let from_sub = desk.run_in("sub", CONFIG).project();
    assert_eq!(from_sub["services"]["web"]["image"], "xsub-dot-dot");
    let desk = desk.with("A", "os").with("COMPOSE_ENV_FILES", "1.env,2.env");
    assert_eq!(image(&desk, "--parallel -1"), "xos-2os-");
    assert_eq!(image(&desk, "--env-file 1.env"), "xos-1-");
}

#[test]
fn the_env_file_can_be_switched_off() {
    for (value, image) in [("1", "a:none"), ("true", "a:none"), ("0", "a:dot"), ("", "a:dot")] {
        let desk = Desk::new(&[("compose.yaml", TAGGED), (".env", "TAG=dot\n")]);
        let project = desk.with("COMPOSE_DISABLE_ENV_FILE", value).run(CONFIG).project();
        assert_eq!(project["services"]["web"]["image"], image, "{value}");
    }
    let desk = Desk::new(&[("compose.yaml", TAGGED)]).with("COMPOSE_DISABLE_ENV_FILE", "yes");
    desk.run(CONFIG).refuses(&["COMPOSE_DISABLE_ENV_FILE", "`yes`"]);
    let itself = Desk::new(&[
        ("compose.yaml", TAGGED),
        (
            ".env",
            "TAG=dot\nCOMPOSE_DISABLE_ENV_FILE=1\nCOMPOSE_PROJECT_NAME=given\n",
        ),
    ]);
    let project = itself.run(CONFIG).project();
    assert_eq!(project["services"]["web"]["image"], "a:none");
    assert_eq!(project["name"], "given");
}

#[test]
fn a_project_name_is_given_by_flag_variable_file_or_directory() {
    let named = format!("name: from-file\n{TAGGED}");
    let desk = Desk::new(&[("compose.yaml", &named)]);
    let name = |desk: &Desk, line: &str| desk.run(&format!("{line} {CONFIG}")).project()["name"].clone();
    assert_eq!(name(&desk, "--parallel -1"), "from-file");
    let desk = desk.with("COMPOSE_PROJECT_NAME", "from-env");
    assert_eq!(name(&desk, "--parallel -1"), "from-env");
    assert_eq!(name(&desk, "-p from-flag"), "from-flag");
    desk.run("-p Flag config").refuses(&["-p", "`Flag`"]);
    let desk = desk.with("COMPOSE_PROJECT_NAME", "Bad");
    desk.run(CONFIG).refuses(&["COMPOSE_PROJECT_NAME", "`Bad`"]);
    for (written, name, warned) in [
        ("name: My App\n", "myapp", true),
        ("name: ''\n", "proj", false),
        ("", "proj", false),
    ] {
        let desk = Desk::new(&[("compose.yaml", &format!("{written}{TAGGED}"))]);
        let ran = desk.run(CONFIG);
        assert_eq!(
            ran.stderr.contains("changed-project-name"),
            warned,
            "{}",
            ran.stderr
        );
        assert_eq!(ran.project()["name"], name);
    }
    let desk = Desk::new(&[
        ("Mein Übungs_Projekt/compose.yaml", TAGGED),
        ("日本/compose.yaml", TAGGED),
    ]);
    let ran = desk.run_in("Mein Übungs_Projekt", CONFIG);
    assert_eq!(ran.project()["name"], "meinbungs_projekt");
    desk.run_in("日本", CONFIG)
        .refuses(&["$HOME/日本", "gives no project name"]);
}

#[test]
fn profiles_come_from_flags_or_the_variable() {
    let text =
        "services: {a: {image: x}, b: {image: y, profiles: [dev]}, c: {image: z, profiles: [test, dev]}}\n";
    let services = |desk: &Desk, line: &str| desk.run(&format!("{line} config --services")).success().stdout;
    let desk = Desk::new(&[("compose.yaml", text)]);
    assert_eq!(services(&desk, "--parallel -1"), "a\n");
    assert_eq!(services(&desk, "--profile dev"), "a\nb\nc\n");
    assert_eq!(services(&desk, "--profile *"), "a\nb\nc\n");
    let desk = desk.with("COMPOSE_PROFILES", "other , test");
    assert_eq!(services(&desk, "--parallel -1"), "a\nc\n");
    assert_eq!(services(&desk, "--profile other"), "a\n");
    assert_eq!(desk.run("config --profiles").success().stdout, "dev\ntest\n");
    let desk = Desk::new(&[("compose.yaml", text), (".env", "COMPOSE_PROFILES=*\n")]);
    assert_eq!(services(&desk, "--parallel -1"), "a\nb\nc\n");
}

#[test]
fn variables_that_stand_for_flags_count_from_the_process_and_from_the_env_file() {
    let desk = Desk::new(&[("compose.yaml", TAGGED)]);
    for (variable, value) in [
        ("COMPOSE_ANSI", "sometimes"),
        ("COMPOSE_PROGRESS", "fancy"),
        ("COMPOSE_PARALLEL_LIMIT", "many"),
    ] {
        let mut command = desk.command(CONFIG);
        run(command.env(variable, value)).refuses(&[variable, value]);
        run(command.env(variable, "")).success();
        let written = Desk::new(&[
            ("compose.yaml", TAGGED),
            (".env", &format!("{variable}={value}\n")),
        ]);
        written.run(CONFIG).refuses(&[variable, value]);
        // What the process says wins, also when it says nothing.
        run(written.command(CONFIG).env(variable, "")).success();
    }
    for variable in [
        "COMPOSE_MENU",
        "COMPOSE_EXPERIMENTAL",
        "COMPOSE_CONVERT_WINDOWS_PATHS",
    ] {
        let ran = run(desk.command(CONFIG).env(variable, "1")).success();
        ran.mentions(&[&format!("warning: {variable} changes nothing")]);
    }
    for command in ["plan", "up -d", "ps", "check"] {
        run(desk.command(command).env("COMPOSE_COMPATIBILITY", "true")).refuses(&["COMPOSE_COMPATIBILITY"]);
        desk.run(&format!("--compatibility {command}"))
            .refuses(&["COMPOSE_COMPATIBILITY"]);
    }
    run(desk.command("check").env("COMPOSE_COMPATIBILITY", "0")).success();
}

/// As in docker compose, where the flag switches normalisation off, too, and the variable does not.
#[test]
fn config_takes_compatibility() {
    let desk = Desk::new(&[(
        "compose.yaml",
        "name: p\nservices: {a: {build: .}, b: {image: x}}\n",
    )]);
    let project = desk.run("--compatibility config --format json").project();
    assert!(project["networks"].is_null(), "{project}");
    assert!(
        project["services"]["a"]["build"]["dockerfile"].is_null(),
        "{project}"
    );
    let images = desk.run("--compatibility config --images").success().stdout;
    assert_eq!(images, "p_a\nx\n");
    let desk = desk.with("COMPOSE_COMPATIBILITY", "1");
    assert_eq!(desk.run("config --images").success().stdout, "p_a\nx\n");
    let project = desk.run("config --format json").project();
    assert_eq!(project["networks"]["default"]["name"], "p_default");
}

#[test]
fn symbolic_links_blanks_and_letters_of_any_script_are_only_names() {
    let desk = Desk::new(&[
        (
            "real/compose.yaml",
            "services: {a: {build: ./c, image: 'x${TAG:-}'}}\n",
        ),
        ("my dir/ü.yaml", "services: {a: {build: './c d'}}\n"),
        ("real/.env", "TAG=real\n"),
    ]);
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, desk.home().join(name)).expect("link");
    };
    link("real", "link");
    link("real/compose.yaml", "linked.yaml");
    link("compose.loop", "compose.loop");
    let linked = desk.run(&format!("-f link/compose.yaml {CONFIG}"));
    linked.mentions(&["linked-project-name", "`link`", "$HOME/real"]);
    let linked = linked.project();
    assert_eq!(linked["name"], "link");
    assert_eq!(linked["services"]["a"]["build"]["context"], "$HOME/link/c");
    // A linked file belongs to the directory of the link.
    let linked = desk.run(&format!("-f linked.yaml {CONFIG}")).project();
    assert_eq!(linked["services"]["a"]["build"]["context"], "$HOME/c");
    assert_eq!(linked["services"]["a"]["image"], "x");
    // A shell in a linked directory says so in PWD.
    let believed = desk.home().join("link");
    let ran = run(desk.command(CONFIG).current_dir(&believed).env("PWD", &believed));
    assert_eq!(ran.project()["name"], "link");
    let lying = run(desk
        .command(CONFIG)
        .current_dir(&believed)
        .env("PWD", Path::new("/")));
    assert_eq!(lying.project()["name"], "real");
    desk.run("-f compose.loop config")
        .refuses(&["compose.loop", "too many"]);
    let mut command = desk.command("-f");
    let ran = run(command.args(["my dir/ü.yaml", "config", "--format", "json"]));
    let project = desk.shown(&ran).project();
    assert_eq!(project["name"], "mydir");
    assert_eq!(project["services"]["a"]["build"]["context"], "$HOME/my dir/c d");
}

#[test]
fn lists_of_config_are_those_of_docker_compose() {
    let desk = Desk::new(&[(
        "compose.yaml",
        "name: p\nservices:\n  a: {image: 'x:${TAG:-1}', depends_on: [z]}\n  b: {build: ., user: '${U:?needed}', domainname: '${ALT:+yes}'}\n  z: {image: zz}\n",
    )])
    .with("U", "u");
    assert_eq!(desk.run("config --services").success().stdout, "z\na\nb\n");
    assert_eq!(desk.run("config --services b").success().stdout, "z\na\nb\n");
    assert_eq!(desk.run("config --images a").success().stdout, "x:1\nzz\n");
    assert_eq!(desk.run("config --images b").success().stdout, "p-b\n");
    let models = Desk::new(&[(
        "compose.yaml",
        "services: {a: {image: x, models: [m]}}\nmodels: {m: {model: ai/smollm}}\n",
    )]);
    assert_eq!(models.run("config --models").success().stdout, "ai/smollm\n");
    desk.run("config --no-interpolate a")
        .success()
        .mentions(&["all services are printed"]);
    let spare = Desk::new(&[(
        "compose.yaml",
        "services: {a: {image: x}}\nvolumes: {spare: {}}\nnetworks: {idle: {}}\n",
    )]);
    let ran = spare.run("--all-resources config --format json");
    assert!(!ran.stderr.contains("unused-resource"), "{}", ran.stderr);
    let project = ran.project();
    assert_eq!(project["volumes"]["spare"]["name"], "proj_spare");
    assert_eq!(project["networks"]["idle"]["name"], "proj_idle");
    assert!(spare.run(CONFIG).project()["volumes"].is_null());
    desk.run("config nope").refuses(&["no such service: nope"]);
    let ran = desk.run("config --variables --format json").success();
    let listed: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let row = |name: &str, default: &str, presence: &str, required: bool| serde_json::json!({"Name": name, "DefaultValue": default, "PresenceValue": presence, "Required": required});
    assert_eq!(
        listed,
        serde_json::json!({"ALT": row("ALT", "", "yes", false), "TAG": row("TAG", "1", "", false), "U": row("U", "", "", true)})
    );
    let ran = desk.run("config --variables --format yaml b").success();
    assert!(
        ran.stdout.contains("TAG:\n  name: TAG\n  defaultvalue: \"1\"\n"),
        "{}",
        ran.stdout
    );
    ran.mentions(&["variables of all services"]);
    let environment = desk.run("config --environment").success().stdout;
    assert!(
        environment.lines().any(|line| line == "COMPOSE_PROJECT_NAME=p"),
        "{environment}"
    );
    assert!(environment.lines().any(|line| line == "U=u"), "{environment}");
}
