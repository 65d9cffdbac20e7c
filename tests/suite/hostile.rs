//! Files made to hurt: each is refused with a few words, in bounded memory, without waiting and without a crash.

mod abundance;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SERVICE: &str = "services:\n  a:\n    image: x\n";

/// What a file may cost, in KiB of memory.
const MOST_MEMORY: u64 = 256 * 1024;

/// How long a build without optimisation may take, which is ten times as slow as one with.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `config -q` in a directory; it must end in time and within [`MOST_MEMORY`].
#[track_caller]
fn config(directory: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let said = tempfile::NamedTempFile::new().expect("a file");
    let mut child = Command::new(env!("CARGO_BIN_EXE_rcompose"))
        .args(flags)
        .args(["config", "-q"])
        .current_dir(directory)
        .env("A", "a")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said.reopen().expect("a file"))
        .spawn()
        .expect("a process");
    let begun = Instant::now();
    let status = loop {
        let memory = peak(child.id());
        if memory > MOST_MEMORY || begun.elapsed() > PATIENCE {
            child.kill().expect("killed");
            child.wait().expect("ended");
            panic!("{memory} KiB after {:?}", begun.elapsed());
        }
        if let Some(status) = child.try_wait().expect("a state") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let said = std::fs::read(said.path()).expect("read");
    (status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// The most memory that a process had at once, in KiB; 0 when it has ended.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[track_caller]
fn refused(files: &[(&str, &[u8])], flags: &[&str], words: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, bytes) in files {
        std::fs::write(directory.path().join(name), bytes).expect("written");
    }
    let (code, said) = config(directory.path(), flags);
    let short: String = said.chars().take(2_000).collect();
    assert_eq!(code, Some(1), "{short}");
    assert!(said.contains(words), "`{words}` is missing in: {short}");
    assert!(said.len() < 100_000, "{} bytes: {short}", said.len());
}

#[track_caller]
fn yaml(text: &str, words: &str) {
    refused(&[("compose.yaml", text.as_bytes())], &[], words);
}

#[test]
fn aliases_that_stand_for_too_much_are_refused() {
    let mut laughs = String::from("x-a: &a {k: v}\n");
    for (before, name) in ('a'..='h').zip('b'..='i') {
        let aliases = vec![format!("*{before}"); 9].join(", ");
        writeln!(laughs, "x-{name}: &{name} [{aliases}]").expect("text");
    }
    yaml(&laughs, "too-many-nodes");
    yaml(
        &format!(
            "x-a: &a [{}]\nx-b: [{}]\n",
            "1, ".repeat(2000),
            "*a, ".repeat(2000)
        ),
        "too-many-nodes",
    );
    yaml(&format!("x-a: [{}]\n", "1,".repeat(1_100_000)), "too-many-nodes");
}

#[test]
fn depth_is_refused_not_crashed_on() {
    for opening in ["[", "{a: ", "- ", "? "] {
        yaml(&format!("x-a:\n  {}x\n", opening.repeat(10_000)), "255 levels");
    }
    for text in [
        format!("a = {}", "[".repeat(10_000)),
        format!("a = {}", "{a = ".repeat(10_000)),
        format!("{} = 1\n", vec!["a"; 100_000].join(".")),
    ] {
        refused(&[("compose.toml", text.as_bytes())], &[], "levels of nesting");
    }
    let nested = format!("{}x{}", "${B:-".repeat(10_000), "}".repeat(10_000));
    yaml(
        &format!("{SERVICE}    command: '{nested}'\n"),
        "invalid-interpolation",
    );
    let mut chain = String::from("services:\n  a0: {image: x}\n");
    for number in 1..2_000 {
        writeln!(chain, "  a{number}: {{extends: a{}}}", number - 1).expect("text");
    }
    yaml(&chain, "more than 100 deep");
}

#[test]
fn inclusions_are_bounded_in_depth_and_number() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("written");
    for number in 0..200 {
        write(
            &format!("c{number}.yaml"),
            &format!("include: [c{}.yaml]\n", number + 1),
        );
    }
    write("c200.yaml", SERVICE);
    write("compose.yaml", "include: [c0.yaml]\n");
    let (code, said) = config(directory.path(), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("more than 100 deep"), "{said}");
    for number in 0..20 {
        write(
            &format!("c{number}.yaml"),
            &format!("include: [c{0}.yaml, ./c{0}.yaml]\n", number + 1),
        );
    }
    write("c20.yaml", SERVICE);
    let (code, said) = config(directory.path(), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("files are included"), "{said}");
}

#[test]
fn what_is_no_text_is_named() {
    for (mark, bytes) in [
        ([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]),
        ([0xfe, 0xff], u16::to_be_bytes),
    ] {
        let utf16: Vec<u8> = SERVICE.encode_utf16().flat_map(bytes).collect();
        refused(&[("compose.yaml", &utf16)], &[], "is UTF-16, not UTF-8");
        let marked: Vec<u8> = mark.into_iter().chain(utf16).collect();
        refused(&[("compose.yaml", &marked)], &[], "is UTF-16, not UTF-8");
        let service = format!("{SERVICE}    env_file: e\n");
        refused(
            &[("compose.yaml", service.as_bytes()), ("e", &marked)],
            &[],
            "is UTF-16, not UTF-8",
        );
    }
    refused(
        &[("compose.yaml", b"services: {a: {image: \xff}}")],
        &[],
        "not valid UTF-8",
    );
    yaml(
        &format!("{SERVICE}    command: 'a\0b'\n"),
        "the control character \\u{0} cannot stand here",
    );
    let large = vec![b'#'; 100_000_000];
    refused(&[("compose.yaml", &large)], &[], "larger than 16 megabytes");
    let service = format!("{SERVICE}    env_file: e\n");
    refused(
        &[("compose.yaml", service.as_bytes()), ("e", &large)],
        &[],
        "larger than 16 megabytes",
    );
    refused(
        &[("compose.yaml", service.as_bytes()), ("e", b"A=\xff\n")],
        &[],
        "not valid UTF-8",
    );
}

#[test]
fn variables_that_double_are_refused() {
    let mut doubling = String::from("A0=xxxxxxxxxx\n");
    for number in 0..40 {
        writeln!(doubling, "A{}=${{A{number}}}${{A{number}}}", number + 1).expect("text");
    }
    for (name, compose) in [
        ("e", format!("{SERVICE}    env_file: e\n")),
        (".env", SERVICE.to_owned()),
    ] {
        refused(
            &[("compose.yaml", compose.as_bytes()), (name, doubling.as_bytes())],
            &[],
            "error[too-long",
        );
    }
}

#[test]
fn a_thousand_mistakes_are_not_a_thousand_pages() {
    let mut text = String::from(SERVICE);
    for number in 0..100_000 {
        writeln!(text, "    k{number}: 1").expect("text");
    }
    yaml(&text, "… and 99900 more");
    let key = "k".repeat(1_000_000);
    yaml(&format!("{SERVICE}    {key}: 1\n"), "compose.yaml:4:5");
}

#[test]
fn directories_devices_pipes_and_circles_of_links_do_not_hang() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    std::os::unix::fs::symlink("b.yaml", path("a.yaml")).expect("a link");
    std::os::unix::fs::symlink("a.yaml", path("b.yaml")).expect("a link");
    let made = Command::new("mkfifo").arg(path("pipe")).status().expect("mkfifo");
    assert!(made.success());
    for (file, words) in [
        ("a.yaml", "symbolic links"),
        (".", "directory"),
        ("/dev/zero", "larger than 16 megabytes"),
        ("/dev/null", "empty"),
        ("pipe", "nobody writes to it"),
    ] {
        let (code, said) = config(directory.path(), &["-f", file]);
        assert_eq!(code, Some(1), "{file}: {said}");
        assert!(said.contains(words), "{file}: {said}");
    }
}
