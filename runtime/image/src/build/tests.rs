//! Whole builds on a real store: COPY and metadata for real, RUN by a stand-in that writes a file into the upper directory.
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::step::{RunStep, StepRunner};
use super::*;
use crate::image::Image;
use crate::platform::Platform;
use crate::store::ImageStore;

mod host;

struct Bench {
    root: tempfile::TempDir,
    store: ImageStore,
    ran: Mutex<Vec<RunStep>>,
    meeting: std::sync::Barrier,
}

impl StepRunner for Bench {
    fn clear(&self) {}

    fn run(
        &self,
        step: &RunStep,
        output: &mut dyn FnMut(bool, &[u8]),
        stopped: &dyn Fn() -> bool,
    ) -> Result<i32, String> {
        let command = step.arguments.last().cloned().unwrap_or_default();
        self.ran.lock().expect("lock").push(step.clone());
        if command == "meet" {
            // Ends only when two of them run at the same time.
            self.meeting.wait();
            return Ok(0);
        }
        if command == "wait to be stopped" {
            while !stopped() {
                std::thread::yield_now();
            }
            return Ok(137);
        }
        if let Some(code) = command.strip_prefix("exit ") {
            output(true, b"it broke\n");
            return Ok(code.parse().expect("code"));
        }
        fs::write(step.upper.join("ran"), command).expect("write");
        Ok(0)
    }

    /// The host of these tests: its files and what is known of them are the test's.
    fn host(&self) -> Result<HostBase, String> {
        let directory = self.root.path().join("host");
        let known = fs::read(directory.join("known")).map_err(|_| "this host is no base".to_owned())?;
        Ok(HostBase {
            identity: crate::Digest::of(&known),
            lower: vec![directory],
        })
    }
}

impl Bench {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().expect("directory");
        let store = ImageStore::open(&root.path().join("store")).expect("store");
        let bench = Self {
            root,
            store,
            ran: Mutex::new(Vec::new()),
            meeting: std::sync::Barrier::new(2),
        };
        for (path, content) in files {
            bench.file(path, content);
        }
        bench
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.root.path().join("context").join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        fs::write(path, content).expect("write");
    }

    fn build_with(
        &self,
        dockerfile: &str,
        change: impl FnOnce(&mut BuildRequest),
    ) -> (Result<Image, BuildError>, usize) {
        let (built, cached) = self.build_whole(dockerfile, change);
        (built.map(|built| built.image), cached)
    }

    fn build_whole(
        &self,
        dockerfile: &str,
        change: impl FnOnce(&mut BuildRequest),
    ) -> (Result<Built, BuildError>, usize) {
        let mut request = BuildRequest {
            context: self.root.path().join("context"),
            dockerfile: dockerfile.to_owned(),
            dockerfile_name: "Dockerfile".to_owned(),
            ..BuildRequest::default()
        };
        change(&mut request);
        let cached = Mutex::new(0);
        let events = |event: BuildEvent| {
            *cached.lock().expect("lock") += usize::from(matches!(event, BuildEvent::Cached { .. }));
        };
        let find = |name: &str, _: &Platform| {
            let found = self.store.find(name).map_err(|error| error.to_string())?;
            found.ok_or_else(|| format!("no image {name}"))
        };
        let result = build(
            &self.store,
            &request,
            &find,
            &[],
            self,
            &events,
            &AtomicBool::new(false),
        );
        (result, cached.into_inner().expect("lock"))
    }

    fn build(&self, dockerfile: &str) -> Image {
        self.build_with(dockerfile, |_| {}).0.expect("builds")
    }

    fn runs(&self) -> usize {
        self.ran.lock().expect("lock").len()
    }
}

fn content(image: &Image, path: &str) -> Option<String> {
    image
        .layer_directories()
        .iter()
        .find_map(|layer| fs::read_to_string(layer.join(path)).ok())
}

const DOCKERFILE: &str = "FROM scratch\nARG WHO=world\nENV GREETING=hello\nWORKDIR /app\nCOPY a.txt .\nRUN make $WHO\nUSER app\nEXPOSE 80\nCMD [\"/app/x\"]\n";

#[test]
fn a_second_build_is_all_cache_and_the_same_image() {
    let bench = Bench::new(&[("a.txt", "a")]);
    let first = bench.build(DOCKERFILE);
    assert_eq!(content(&first, "app/a.txt").as_deref(), Some("a"));
    assert_eq!(
        (first.config.working_dir.as_str(), first.config.user.as_str()),
        ("/app", "app")
    );
    let (second, cached) = bench.build_with(DOCKERFILE, |_| {});
    assert_eq!(
        (second.expect("builds").id, cached, bench.runs()),
        (first.id, 3, 1)
    );
    let environment = bench.ran.lock().expect("lock")[0].environment.clone();
    assert!(
        environment.contains(&"WHO=world".to_owned()) && environment.contains(&"GREETING=hello".to_owned())
    );
}

#[test]
fn a_changed_file_or_argument_redoes_what_depends_on_it() {
    let bench = Bench::new(&[("a.txt", "a")]);
    let first = bench.build(DOCKERFILE);
    bench.file("a.txt", "b");
    let second = bench.build(DOCKERFILE);
    assert_eq!(
        (content(&second, "app/a.txt").as_deref(), bench.runs()),
        (Some("b"), 2)
    );
    assert_ne!(first.id, second.id);
    let argument = BTreeMap::from([("WHO".to_owned(), Some("you".to_owned()))]);
    bench
        .build_with(DOCKERFILE, |request| request.arguments = argument)
        .0
        .expect("builds");
    assert_eq!(bench.runs(), 3);
    bench
        .build_with(DOCKERFILE, |request| request.no_cache = true)
        .0
        .expect("builds");
    assert_eq!(bench.runs(), 4);
}

#[test]
fn stages_feed_each_other_and_unused_ones_are_not_built() {
    let bench = Bench::new(&[("a.txt", "a")]);
    let text = "FROM scratch AS base\nCOPY a.txt /a\nFROM scratch AS unused\nRUN never\nFROM scratch\nCOPY --from=base /a /b\nCOPY --from=0 /a /c/\n";
    let image = bench.build(text);
    assert_eq!(
        (content(&image, "b").as_deref(), content(&image, "c/a").as_deref()),
        (Some("a"), Some("a"))
    );
    assert_eq!(bench.runs(), 0);
    let target = bench
        .build_with(text, |request| request.target = Some("Base".to_owned()))
        .0
        .expect("builds");
    assert_eq!(content(&target, "a").as_deref(), Some("a"));
}

#[test]
fn a_failing_command_shows_its_line_and_its_last_words() {
    let bench = Bench::new(&[("a", "")]);
    let error = bench
        .build_with("FROM scratch\nRUN exit 3\n", |_| {})
        .0
        .expect_err("fails")
        .to_string();
    assert_eq!(
        error,
        "Dockerfile:2: the command ended with exit code 3\n  1 | FROM scratch\n> 2 | RUN exit 3\nlast lines it printed:\n  > it broke"
    );
    assert!(
        bench.build_with("FROM scratch\nRUN exit 3\n", |_| {}).0.is_err(),
        "a failure is not cached"
    );
}

#[test]
fn mistakes_point_into_the_dockerfile() {
    let bench = Bench::new(&[("a", "")]);
    let error = |text: &str| bench.build_with(text, |_| {}).0.expect_err("fails").to_string();
    assert_eq!(
        error("FROM scratch\nCOPY none /\n"),
        "Dockerfile:2:6: `none` is not there\n  2 | COPY none /\n    |      ^^^^"
    );
    assert!(error("FROM scratch\nCOPPY a b\n").contains("did you mean `COPY`?"));
    assert!(error("FROM $BASE\n").contains("expands to nothing"));
    assert!(error("FROM nowhere\n").starts_with("Dockerfile:1:1: no image nowhere"));
    assert!(error("FROM scratch\nCOPY http://a/b /\n").contains("takes no URL"));
    assert!(error("FROM scratch\nRUN --security=insecure x\n").contains("refused"));
}

#[test]
fn heredocs_and_archives() {
    let bench = Bench::new(&[]);
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o640);
    header.set_uid(5);
    archive
        .append_data(&mut header, "inside/.wh.file", &b"hi"[..])
        .expect("entry");
    let bytes = archive
        .into_inner()
        .and_then(flate2::write::GzEncoder::finish)
        .expect("archive");
    fs::create_dir_all(bench.root.path().join("context")).expect("directory");
    fs::write(bench.root.path().join("context/a.tgz"), bytes).expect("write");
    let image = bench.build(
        "FROM scratch\nARG N=5\nCOPY <<EOF /etc/conf\nn=$N\nEOF\nADD a.tgz /opt/\nCOPY a.tgz /plain/\n",
    );
    assert_eq!(content(&image, "etc/conf").as_deref(), Some("n=5\n"));
    assert_eq!(content(&image, "opt/inside/.wh.file").as_deref(), Some("hi"));
    assert!(
        image
            .layer_directories()
            .iter()
            .any(|layer| layer.join("plain/a.tgz").exists())
    );
}

#[test]
fn secrets_reach_the_command_but_neither_key_nor_layer() {
    let bench = Bench::new(&[]);
    let text = "FROM scratch\nRUN --mount=type=secret,id=token,required cat\n";
    let with = |value: &str| {
        bench
            .build_with(text, |request| {
                drop(request.secrets.insert("token".into(), value.into()));
            })
            .0
    };
    with("one").expect("builds");
    with("two").expect("builds");
    assert_eq!(bench.runs(), 1, "another secret is no reason to build again");
    assert!(
        bench
            .build_with(
                "FROM scratch\nRUN --mount=type=secret,id=token,required x\n",
                |_| {}
            )
            .0
            .is_err()
    );
}

#[test]
fn independent_stages_are_built_beside_each_other_and_a_failure_stops_all() {
    let bench = Bench::new(&[]);
    bench.build("FROM scratch AS one\nRUN meet\nFROM scratch\nRUN meet\nCOPY --from=one / /one\n");
    let text = "FROM scratch AS one\nRUN exit 4\nFROM scratch\nRUN wait to be stopped\nCOPY --from=one / /\n";
    let error = bench.build_with(text, |_| {}).0.expect_err("fails").to_string();
    assert!(
        error.contains("Dockerfile:2: the command ended with exit code 4"),
        "{error}"
    );
}

#[test]
fn a_stage_of_the_filter_is_built_again_and_the_others_are_not() {
    let bench = Bench::new(&[]);
    let text = "FROM scratch AS one\nRUN a\nFROM scratch\nRUN b\nCOPY --from=one / /\n";
    bench.build(text);
    let filter = |request: &mut BuildRequest| request.no_cache_filter = vec!["ONE".to_owned()];
    bench.build_with(text, filter).0.expect("builds");
    let ran = bench.ran.lock().expect("lock");
    let commands: Vec<&str> = ran
        .iter()
        .filter_map(|step| step.arguments.last())
        .map(String::as_str)
        .collect();
    assert_eq!(commands.iter().filter(|command| **command == "a").count(), 2);
    assert_eq!(commands.iter().filter(|command| **command == "b").count(), 1);
}

#[test]
fn a_dated_build_is_the_same_image_whenever_it_is_made() {
    let bench = Bench::new(&[("d/a.txt", "a")]);
    let text = "FROM scratch\nCOPY d /new/place/\nRUN make\nWORKDIR /w\n";
    let dated = |request: &mut BuildRequest| {
        request.source_date_epoch = Some(1_000_000_000);
        request.no_cache = true;
    };
    let first = bench.build_with(text, dated).0.expect("builds");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    bench.file("d/a.txt", "a");
    let second = bench.build_with(text, dated).0.expect("builds");
    assert_eq!(first.id, second.id);
    assert_eq!(first.created.as_deref(), Some("2001-09-09T01:46:40Z"));
    let undated = bench
        .build_with(text, |request| request.no_cache = true)
        .0
        .expect("builds");
    assert_ne!(undated.id, first.id);
}

#[test]
fn what_a_copy_takes_from_a_stage_is_known_by_its_content() {
    let bench = Bench::new(&[("a.txt", "a"), ("b.txt", "b")]);
    let text = "FROM scratch AS one\nCOPY *.txt /\nFROM scratch\nCOPY --from=one /a.txt /\nRUN last\n";
    bench.build(text);
    bench.file("b.txt", "changed");
    let (image, cached) = bench.build_with(text, |_| {});
    image.expect("builds");
    assert_eq!(
        (cached, bench.runs()),
        (2, 1),
        "the other file of the stage is no reason"
    );
}

#[test]
fn files_that_did_not_change_are_shared_with_the_layer_of_the_build_before() {
    let bench = Bench::new(&[]);
    for number in 0..80 {
        bench.file(&format!("d/{number}"), &format!("{number}"));
    }
    let twin = |name: &str| {
        bench.file(name, "twin");
        let opened = fs::File::open(bench.root.path().join("context").join(name)).expect("there");
        opened
            .set_modified(std::time::SystemTime::UNIX_EPOCH)
            .expect("time");
    };
    twin("d/twin-1");
    twin("d/twin-2");
    let text = "FROM scratch\nCOPY --chmod=640 d /d/\n";
    let first = bench.build(text);
    bench.file("d/1", "changed");
    fs::set_permissions(
        bench.root.path().join("context/d/2"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .expect("mode");
    fs::File::open(bench.root.path().join("context/d/3"))
        .and_then(|file| file.set_modified(std::time::SystemTime::UNIX_EPOCH))
        .expect("time");
    let second = bench.build(text);
    let inode = |image: &Image, name: &str| {
        let path = image.layer_directories()[0].join("d").join(name);
        std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).expect("there"))
    };
    let shared = (0..80)
        .filter(|number| inode(&first, &number.to_string()) == inode(&second, &number.to_string()))
        .count();
    assert_eq!(
        shared, 78,
        "all but the changed and the dated one; the mode is that of the flag"
    );
    assert_ne!(
        inode(&second, "twin-1"),
        inode(&second, "twin-2"),
        "two files stay two"
    );
    assert_eq!(content(&second, "d/1").as_deref(), Some("changed"));
    assert_eq!(content(&first, "d/1").as_deref(), Some("1"));
}

#[test]
fn dockerfiles_as_people_write_them_are_understood() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/dockerfiles");
    let mut count = 0;
    for entry in fs::read_dir(directory).expect("the directory") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("text");
        let parsed = dockerfile::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let stages = stage::Stages::of(&parsed).stages;
        let written = text.lines().filter(|line| line.starts_with("FROM ")).count();
        assert_eq!(stages.len(), written, "{}", path.display());
        count += 1;
    }
    assert!(count >= 30, "{count}");
}
