//! Job 1, bootstrap: MariaDB and WordPress built from Debian packages, installed over HTTP, seen in a real browser, kept over `down`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::host::{Host, eventually};

const TITLE: &str = "A site made by rcompose";

fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port()
}

fn home(port: u16) -> String {
    match ureq::get(format!("http://127.0.0.1:{port}/")).call() {
        Ok(answer) => answer.into_body().read_to_string().unwrap_or_default(),
        Err(error) => format!("{error}"),
    }
}

/// The rendered page as Chromium sees it, and a screenshot beside the test's artefacts.
fn in_chromium(port: u16, screenshot: &Path) -> String {
    let profile = tempfile::tempdir().expect("profile");
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1024,768",
    ];
    let chromium = |last: &str| {
        let output = Command::new("chromium")
            .args(flags)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(last)
            .arg(format!("http://127.0.0.1:{port}/"))
            .stdin(Stdio::null())
            .output()
            .expect("chromium is installed (scripts/install-test-packages.sh all)");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    chromium(&format!("--screenshot={}", screenshot.display()));
    chromium("--dump-dom")
}

#[test]
fn privileged_wordpress_from_nothing_to_a_site_in_a_browser() {
    let host = Host::empty();
    crate::images::debian(&host);

    let port = port();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/wordpress/compose.yaml");
    let compose = |arguments: &[&str]| {
        let mut command = host.command(["-f", file.to_str().expect("utf-8 path")]);
        command.args(arguments).env("WORDPRESS_PORT", port.to_string());
        crate::host::run(&mut command)
    };
    compose(&["up", "-d", "--wait"]).success();

    let form = [
        ("weblog_title", TITLE),
        ("user_name", "admin"),
        ("admin_password", "test-only-7Xq"),
        ("admin_password2", "test-only-7Xq"),
        ("pw_weak", "1"),
        ("admin_email", "admin@example.invalid"),
        ("blog_public", "0"),
    ];
    let installed = ureq::post(format!("http://127.0.0.1:{port}/wp-admin/install.php?step=2"))
        .send_form(form)
        .expect("the installer answers")
        .into_body()
        .read_to_string()
        .expect("text");
    assert!(installed.contains("Success"), "{installed}");
    assert!(home(port).contains(TITLE), "the home page has the title");

    let artefacts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/artifacts");
    std::fs::create_dir_all(&artefacts).expect("directory");
    let screenshot = artefacts.join("wordpress.png");
    let _absent = std::fs::remove_file(&screenshot);
    let page = in_chromium(port, &screenshot);
    assert!(page.contains(TITLE), "Chromium renders the title");
    assert!(
        std::fs::metadata(&screenshot).is_ok_and(|file| file.len() > 5_000),
        "a screenshot was taken"
    );

    // Data survives down and up; nothing is built or pulled again.
    compose(&["down"]).success();
    compose(&["up", "-d", "--wait"]).success();
    assert!(home(port).contains(TITLE), "the title survived down and up");

    // down -v removes it: the same site is new again.
    compose(&["down", "-v"]).success();
    let volumes = std::fs::read_dir(host.data_root().join("volumes")).map_or(0, Iterator::count);
    assert_eq!(volumes, 0, "no volume is left");
    compose(&["up", "-d", "--wait"]).success();
    eventually("the installer is back", Duration::from_secs(10), || {
        ureq::get(format!("http://127.0.0.1:{port}/wp-admin/install.php"))
            .call()
            .ok()
            .and_then(|answer| answer.into_body().read_to_string().ok())
            .is_some_and(|page| page.contains("weblog_title") || page.contains("language"))
    });
    compose(&["down", "-v"]).success();
    host.finish();
}
