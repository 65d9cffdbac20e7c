//! Compose files elsewhere: git repositories through the `git` program, artifacts and digests from a real registry.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::host::run;
use crate::loading::Desk;
use crate::registry::{MANIFEST, Registry};

const CONFIG: &str = "config --format json";

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t.example"])
        .args(arguments)
        .current_dir(directory)
        .env_remove("GIT_DIR")
        .output()
        .expect("git is installed");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A home with a repository in `repo` beside it; its address.
fn with_repository(files: &[(&str, &str)]) -> (Desk, String) {
    let in_repository: Vec<(String, &str)> = files
        .iter()
        .map(|(path, text)| (format!("repo/{path}"), *text))
        .collect();
    let files: Vec<(&str, &str)> = in_repository
        .iter()
        .map(|(path, text)| (path.as_str(), *text))
        .collect();
    let desk = Desk::new(&files);
    let repository = desk.home().join("repo");
    git(&repository, &["init", "-q", "-b", "main", "."]);
    commit(&repository);
    let url = format!("file://{}", repository.display());
    (desk, url)
}

fn commit(repository: &Path) -> String {
    git(repository, &["add", "-A"]);
    git(repository, &["commit", "-q", "-m", "x"]);
    git(repository, &["rev-parse", "HEAD"])
}

fn context(project: &Value, service: &str) -> String {
    let context = &project["services"][service]["build"]["context"];
    context.as_str().expect("a context").to_owned()
}

#[test]
fn a_git_repository_is_included_with_its_own_paths_and_variables() {
    let (desk, url) = with_repository(&[
        ("compose.yaml", "services: {root: {build: ./ctx}}\n"),
        (
            "sub/compose.yml",
            "services: {sub: {image: 's:${TAG:-none}', build: ./ctx}}\n",
        ),
        ("sub/.env", "TAG=there\n"),
        ("sub/ctx/Dockerfile", "FROM scratch\n"),
    ]);
    let first = git(&desk.home().join("repo"), &["rev-parse", "HEAD"]);
    desk.write(
        "compose.yaml",
        &format!("include: ['{url}#main:sub', '{url}']\nservices: {{web: {{image: w}}}}\n"),
    );
    let ran = desk.run(CONFIG);
    ran.mentions(&["fetched", &first]);
    let project = ran.project();
    assert_eq!(project["name"], "proj");
    assert_eq!(project["services"]["sub"]["image"], "s:there");
    assert!(
        context(&project, "sub").ends_with(&format!("{first}/sub/ctx")),
        "{project}"
    );
    assert!(
        context(&project, "root").ends_with(&format!("{first}/ctx")),
        "{project}"
    );
    // What is here is not fetched again; what moved is.
    assert_eq!(desk.run(CONFIG).success().stderr, "");
    desk.write("repo/sub/.env", "TAG=later\n");
    let second = commit(&desk.home().join("repo"));
    let ran = desk.run(CONFIG);
    ran.mentions(&[&second]);
    assert_eq!(ran.project()["services"]["sub"]["image"], "s:later");
    // A whole commit is asked of nobody once it is here.
    desk.write(
        "compose.yaml",
        &format!("include: ['{url}#{first}:sub/compose.yml']\n"),
    );
    assert_eq!(desk.run(CONFIG).project()["services"]["sub"]["image"], "s:there");
    std::fs::rename(desk.home().join("repo"), desk.home().join("gone")).expect("rename");
    assert_eq!(desk.run(CONFIG).project()["services"]["sub"]["image"], "s:there");
}

#[test]
fn a_git_repository_is_named_by_flag_extended_from_and_given_another_directory() {
    let (desk, url) = with_repository(&[(
        "sub/compose.yaml",
        "services: {sub: {image: 's:${TAG:-none}', build: ./ctx}}\n",
    )]);
    git(&desk.home().join("repo"), &["tag", "-a", "v1", "-m", "one"]);
    desk.write(".env", "TAG=here\n");
    let project = desk.run(&format!("-f {url}#v1:sub {CONFIG}")).project();
    assert_eq!(project["name"], "proj", "the working directory names it");
    assert_eq!(project["services"]["sub"]["image"], "s:here");
    assert!(context(&project, "sub").contains("/remote/"), "{project}");
    assert!(context(&project, "sub").ends_with("/sub/ctx"), "{project}");
    let queried = desk
        .run(&format!("-f {url}?tag=v1&subdir=sub {CONFIG}"))
        .project();
    assert_eq!(queried["services"]["sub"]["image"], "s:here");
    desk.write(
        "compose.yaml",
        &format!("services: {{web: {{extends: {{file: '{url}#main:sub/compose.yaml', service: sub}}}}}}\n"),
    );
    let extended = context(&desk.run(CONFIG).project(), "web");
    assert!(
        extended.ends_with("/ctx") && !extended.ends_with("/sub/ctx"),
        "from the root: {extended}"
    );
    desk.write(
        "compose.yaml",
        &format!("include:\n  - path: ['{url}#main:sub', more.yaml]\n    project_directory: moved\n    env_file: other.env\n"),
    );
    desk.write("more.yaml", "services: {sub: {user: me}}\n");
    desk.write("other.env", "TAG=other\n");
    let project = desk.run(CONFIG).project();
    assert_eq!(context(&project, "sub"), "$HOME/moved/ctx");
    assert_eq!(project["services"]["sub"]["user"], "me");
    assert_eq!(
        project["services"]["sub"]["image"], "s:here",
        "what .env of the project says wins"
    );
}

#[test]
fn what_cannot_be_fetched_is_said_at_the_line_that_asks() {
    let (desk, url) = with_repository(&[
        ("sub/compose.yaml", "services: {sub: {image: s}}\n"),
        ("empty/x", ""),
    ]);
    let repository = desk.home().join("repo");
    std::os::unix::fs::symlink("/etc", repository.join("out")).expect("link");
    let head = commit(&repository);
    let url = url.replace(&desk.home().display().to_string(), "$HOME");
    // Addresses are shown as they are written, so they are written with the home's real name.
    let real = |path: &str| path.replace("$HOME", &desk.home().display().to_string());
    let refused = |path: &str, words: &[&str]| {
        desk.write(
            "compose.yaml",
            &format!(
                "services: {{web: {{image: w}}}}\ninclude:\n  - \"{}\"\n",
                real(path)
            ),
        );
        let ran = desk.run(CONFIG);
        ran.mentions(&[path, "compose.yaml:3:5", "remote-file"]);
        ran.refuses(words);
    };
    refused(&format!("{url}#nope"), &["no ref `nope`"]);
    refused(&format!("{url}#main:none"), &["cannot find `none`"]);
    refused(&format!("{url}#main:empty"), &["no compose file"]);
    refused(&format!("{url}#main:../x"), &["leads out"]);
    refused(&format!("{url}#main:out"), &["leads out"]);
    refused(&format!("{url}#--upload-pack=x"), &["no ref"]);
    refused(
        &format!("{url}?commit=0123456789&branch=main"),
        &["is at commit", &head],
    );
    refused("file://$HOME/none", &["git says"]);
    refused("https://h.example/compose.yaml", &["`.git`"]);
    refused("s3://b/compose.yaml", &["no kind of remote file"]);
    desk.write("compose.yaml", &real(&format!("include: ['{url}#main:sub']\n")));
    for (value, word) in [("0", "forbids"), ("maybe", "neither true nor false")] {
        let ran = run(desk.command(CONFIG).env("COMPOSE_EXPERIMENTAL_GIT_REMOTE", value));
        ran.refuses(&["COMPOSE_EXPERIMENTAL_GIT_REMOTE", word]);
    }
    // Nothing half fetched stays, and no repository that a hook runs in is touched.
    let ran = run(desk.command(CONFIG).env("GIT_DIR", desk.home().join("nowhere")));
    ran.success();
    let copies = std::fs::read_dir(desk.data_root().join("remote")).expect("copies");
    let names: Vec<String> = copies
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    assert!(names.iter().all(|name| !name.contains(".tmp")), "{names:?}");
}

/// Pushes a project made of these files: media type, annotations and text of each.
fn push_project(registry: &Registry, tag: &str, kind: Option<&str>, files: &[(&str, Value, &str)]) -> String {
    let config = registry.push_blob("team/app", b"{}");
    let layers: Vec<Value> = files
        .iter()
        .map(|(media_type, annotations, text)| {
            json!({
                "mediaType": media_type, "size": text.len(), "annotations": annotations,
                "digest": registry.push_blob("team/app", text.as_bytes()),
            })
        })
        .collect();
    let config_type = if kind.is_some() {
        "application/vnd.oci.empty.v1+json"
    } else {
        "application/vnd.docker.compose.config.empty.v1+json"
    };
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
        "config": {"mediaType": config_type, "size": 2, "digest": config},
    });
    if let Some(kind) = kind {
        manifest["artifactType"] = json!(kind);
    }
    registry.push_manifest("team/app", tag, &manifest)
}

const PROJECT: &str = "application/vnd.docker.compose.project";
const COMPOSE: &str = "application/vnd.docker.compose.file+yaml";
const ENVIRONMENT: &str = "application/vnd.docker.compose.envfile";

#[test]
fn a_published_project_is_loaded_from_a_registry() {
    let registry = Registry::start();
    let named = |key: &str, name: &str| json!({format!("com.docker.compose.{key}"): name});
    let files = [
        (
            COMPOSE,
            named("file", "compose.yaml"),
            "services: {app: {image: 'a:1', env_file: [app.env], extends: {file: base.yaml, service: base}}}\n",
        ),
        (ENVIRONMENT, named("envfile", "app.env"), "FROM_FILE=yes\n"),
        (
            COMPOSE,
            named("file", "over.yaml"),
            "services: {app: {image: 'a:2'}}\n",
        ),
        (
            COMPOSE,
            json!({"com.docker.compose.file": "base.yaml", "com.docker.compose.extends": "true"}),
            "services: {base: {user: base}}\n",
        ),
    ];
    let digest = push_project(&registry, "1", Some(PROJECT), &files);
    push_project(&registry, "old", None, &files);
    let address = format!("oci://{}/team/app", registry.address());
    let desk = Desk::new(&[]);
    let ran = desk.run(&format!("-f {address}:1 {CONFIG}"));
    ran.mentions(&["fetched", &address, digest.trim_start_matches("sha256:")]);
    let project = ran.project();
    let app = &project["services"]["app"];
    assert_eq!((&app["image"], &app["user"]), (&json!("a:2"), &json!("base")));
    assert_eq!(app["environment"]["FROM_FILE"], "yes");
    desk.write(
        "compose.yaml",
        &format!("include: ['{address}:old']\nservices: {{app: {{user: me}}}}\n"),
    );
    assert_eq!(desk.run(CONFIG).project()["services"]["app"]["user"], "me");
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"mediaType": MANIFEST, "artifactType": PROJECT, "digest": digest, "size": 1}],
    });
    registry.push_manifest("team/app", "bundle", &index);
    desk.run(&format!("-f {address}:bundle {CONFIG}")).project();

    let refused = |tag: &str, words: &[&str]| {
        desk.write("compose.yaml", &format!("include:\n  - {address}:{tag}\n"));
        let ran = desk.run(CONFIG);
        ran.mentions(&[&format!("{address}:{tag}"), "compose.yaml:2:5", "remote-file"]);
        ran.refuses(words);
    };
    refused("none", &["not found"]);
    refused("Bad!", &["invalid tag"]);
    push_project(
        &registry,
        "evil",
        Some(PROJECT),
        &[(ENVIRONMENT, named("envfile", "../evil"), "A=1\n")],
    );
    refused("evil", &["a file is called \"../evil\""]);
    push_project(&registry, "chart", Some("application/vnd.cncf.helm"), &[]);
    refused("chart", &["no Compose project", "application/vnd.cncf.helm"]);
    push_project(&registry, "bare", Some(PROJECT), &[]);
    refused("bare", &["no compose file"]);
    registry.push("team/app", "image", b"");
    refused(
        "image",
        &["no Compose project", "application/vnd.oci.image.config"],
    );
    let ran = run(desk
        .command(CONFIG)
        .env("COMPOSE_EXPERIMENTAL_OCI_REMOTE", "false"));
    ran.refuses(&["COMPOSE_EXPERIMENTAL_OCI_REMOTE", "forbids"]);

    // Pinned to a digest, a project needs no registry once it is here.
    desk.write("compose.yaml", &format!("include: ['{address}@{digest}']\n"));
    desk.run(CONFIG).project();
    drop(registry);
    assert_eq!(desk.run(CONFIG).project()["services"]["app"]["image"], "a:2");
}

#[test]
fn config_pins_images_to_the_digests_of_their_registry() {
    let registry = Registry::start();
    let image = registry.push("team/web", "1", b"");
    let manifest = ureq::get(format!("http://{}/v2/team/web/manifests/1", registry.address()))
        .header("accept", MANIFEST)
        .call()
        .expect("manifest");
    let digest = manifest.headers()["docker-content-digest"]
        .to_str()
        .expect("text")
        .to_owned();
    let name = image.trim_end_matches(":1");
    let desk = Desk::new(&[]);
    desk.write(
        "compose.yaml",
        &format!(
            "services:\n  web: {{image: '{image}', user: u}}\n  pinned: {{image: '{image}@{digest}'}}\n  host: {{image: '@host'}}\n  built: {{build: .}}\n  \
             data: {{image: '{image}', volumes: [{{type: image, source: '{image}', target: /i}}, './d:/d']}}\n"
        ),
    );
    let project = desk.run(&format!("{CONFIG} --resolve-image-digests")).project();
    let services = &project["services"];
    let pinned = format!("{image}@{digest}");
    assert_eq!(services["web"]["image"], pinned.as_str());
    assert_eq!(services["pinned"]["image"], format!("{name}@{digest}"));
    assert_eq!(services["host"]["image"], "@host");
    assert_eq!(services["data"]["volumes"][0]["source"], pinned.as_str());
    assert_eq!(services["web"]["user"], "u");
    let locked = desk.run("config --lock-image-digests").success().stdout;
    desk.write("lock.yaml", &locked);
    let lock = desk.run("config --lock-image-digests --format json").project();
    assert_eq!(lock["services"]["web"], json!({"image": pinned}));
    assert_eq!(
        lock["services"]["data"]["volumes"].as_array().map(Vec::len),
        Some(1)
    );
    assert!(lock["services"]["built"].is_null() && lock.as_object().is_some_and(|lock| lock.len() == 1));
    let both = desk
        .run(&format!("-f compose.yaml -f lock.yaml {CONFIG}"))
        .project();
    assert_eq!(both["services"]["web"], services["web"]);
    assert_eq!(
        desk.run("config --images --resolve-image-digests web")
            .success()
            .stdout,
        format!("{image}\n")
    );

    let gone = format!("{}/team/none:1", registry.address());
    desk.write(
        "compose.yaml",
        &format!("services:\n  a:\n    image: {gone}\n  b:\n    image: 'Bad Name'\n"),
    );
    let ran = desk.run(&format!("{CONFIG} --resolve-image-digests"));
    ran.refuses(&[
        "compose.yaml:3:12",
        &gone,
        "not found",
        "compose.yaml:5:12",
        "Bad Name",
    ]);
}
