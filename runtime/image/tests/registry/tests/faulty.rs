//! Pulls from a server that cuts connections, lies, asks for tokens and sends elsewhere.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rcompose_image::{
    Configuration, Digest, Image, ImageStore, PullError, Reference, RegistryConfiguration, pull,
};
use tempfile::TempDir;

use crate::tests::real::chain;
use crate::tests::sample::{INDEX, MANIFEST, Packing, Sample, noise};
use crate::tests::server::{Answer, Server, honest};

struct Ground {
    directory: TempDir,
    store: ImageStore,
    configuration: Configuration,
}

impl Ground {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = ImageStore::open(&directory.path().join("images")).unwrap();
        Self {
            directory,
            store,
            configuration: Configuration::default(),
        }
    }

    /// With a login for `registry`.
    fn logged_in(registry: &str) -> Self {
        let mut ground = Self::new();
        let path = ground.directory.path().join("config.json");
        // "user:secret"
        fs::write(
            &path,
            format!(r#"{{"auths":{{"{registry}":{{"auth":"dXNlcjpzZWNyZXQ="}}}}}}"#),
        )
        .unwrap();
        ground.configuration.docker_config = Some(path);
        ground
    }

    fn pull(&self, server: &Server) -> Result<Image, PullError> {
        self.pull_until(server, &AtomicBool::new(false))
    }

    fn pull_until(&self, server: &Server, cancel: &AtomicBool) -> Result<Image, PullError> {
        let reference: Reference = format!("{}/app", server.address).parse().unwrap();
        pull(
            &self.store,
            &self.configuration,
            &reference,
            None,
            &|_| (),
            cancel,
        )
    }

    fn part(&self, layer: &[u8]) -> PathBuf {
        self.store
            .root()
            .join("ingest")
            .join(format!("{}.part", Digest::of(layer).hex()))
    }

    /// Nothing that a failed pull must not leave.
    fn assert_nothing_stored(&self) {
        assert_eq!(self.store.list().unwrap(), []);
        for directory in ["layers", "refs", "images"] {
            assert_eq!(
                fs::read_dir(self.store.root().join(directory)).unwrap().count(),
                0,
                "{directory}"
            );
        }
    }
}

fn big_sample() -> Sample {
    let content = noise(1 << 20);
    Sample::new(&[(Packing::Gzip, &[("big", &content)])])
}

fn content(image: &Image, path: &str) -> String {
    fs::read_to_string(image.layer_directories()[0].join(path)).unwrap()
}

fn is_layer(sample: &Sample, path: &str) -> bool {
    path.ends_with(&Digest::of(&sample.layers[0]).to_string())
}

#[test]
fn a_cut_connection_is_resumed_where_it_broke() {
    let sample = big_sample();
    let layer = sample.clone();
    let server = Server::serving(sample, move |request, before| {
        let cut = [300_000, 200_000].get(before).copied();
        (is_layer(&layer, &request.path) && cut.is_some()).then(|| Answer {
            cut,
            ..honest(&layer, request)
        })
    });
    let ground = Ground::new();
    let image = ground.pull(&server).unwrap();
    assert_eq!(content(&image, "big"), noise(1 << 20));
    let starts: Vec<_> = server
        .asked("/blobs/")
        .iter()
        .filter(|request| request.header("range").is_some())
        .map(|request| request.range_start().unwrap())
        .collect();
    assert_eq!(
        starts,
        [300_000, 500_000],
        "each attempt goes on where the last one broke"
    );
}

#[test]
fn a_later_pull_resumes_what_an_earlier_one_left() {
    let sample = big_sample();
    let layer = sample.layers[0].clone();
    let ground = Ground::new();
    fs::write(ground.part(&layer), &layer[..400_000]).unwrap();
    let server = Server::serving(sample, |_, _| None);
    let image = ground.pull(&server).unwrap();
    assert_eq!(content(&image, "big"), noise(1 << 20));
    let ranges: Vec<_> = server
        .asked("/blobs/")
        .iter()
        .filter_map(super::server::Request::range_start)
        .collect();
    assert_eq!(ranges, [400_000]);
    assert!(!ground.part(&layer).exists());
}

#[test]
fn a_server_without_ranges_is_resumed_too() {
    let sample = big_sample();
    let layer = sample.clone();
    let server = Server::serving(sample, move |request, before| {
        is_layer(&layer, &request.path).then(|| Answer {
            cut: (before == 0).then_some(500_000),
            ..Answer::ok(&layer.layers[0])
        })
    });
    let ground = Ground::new();
    let image = ground.pull(&server).unwrap();
    assert_eq!(content(&image, "big"), noise(1 << 20));
}

#[test]
fn a_damaged_leftover_is_thrown_away() {
    let sample = big_sample();
    let layer = sample.layers[0].clone();
    let ground = Ground::new();
    fs::write(ground.part(&layer), vec![b'?'; 100_000]).unwrap();
    let server = Server::serving(sample, |_, _| None);
    let image = ground.pull(&server).unwrap();
    assert_eq!(content(&image, "big"), noise(1 << 20));
    let ranges: Vec<_> = server
        .asked("/blobs/")
        .iter()
        .map(crate::tests::server::Request::range_start)
        .collect();
    assert!(
        ranges.contains(&Some(100_000)) && ranges.iter().filter(|range| range.is_none()).count() == 2,
        "{ranges:?}"
    );
}

#[test]
fn a_layer_with_a_wrong_digest_is_refused() {
    let sample = big_sample();
    let wrong = sample.clone();
    let server = Server::serving(sample.clone(), move |request, _| {
        let mut bytes = wrong.layers[0].clone();
        bytes[500_000] ^= 1;
        is_layer(&wrong, &request.path).then(|| Answer::ranged(request, &bytes))
    });
    let ground = Ground::new();
    let error = chain(&ground.pull(&server).unwrap_err());
    let digest = Digest::of(&sample.layers[0]);
    let expected = format!(
        "cannot pull {0}/app:latest from http://{0}/v2/app/blobs/{digest}: content has digest sha256:",
        server.address
    );
    assert!(
        error.starts_with(&expected) && error.ends_with(&format!("expected {digest}")),
        "{error}"
    );
    ground.assert_nothing_stored();
    assert!(
        !ground.part(&sample.layers[0]).exists(),
        "wrong bytes are not kept for the next attempt"
    );
}

#[test]
fn a_layer_whose_content_is_not_the_announced_one_is_refused() {
    // The compressed digest fits, the configuration names another diff id: manifest and configuration disagree.
    let honest_one = Sample::new(&[(Packing::Gzip, &[("a", "1")])]);
    let other = Sample::new(&[(Packing::Gzip, &[("a", "2")])]);
    let mut mixed = honest_one.clone();
    let text = String::from_utf8(honest_one.manifest.clone()).unwrap();
    let (from, to) = (
        Digest::of(&honest_one.layers[0]).to_string(),
        Digest::of(&other.layers[0]).to_string(),
    );
    mixed.manifest = text.replace(&from, &to).into_bytes();
    mixed.layers = other.layers;
    let ground = Ground::new();
    let server = Server::serving(mixed, |_, _| None);
    let error = chain(&ground.pull(&server).unwrap_err());
    assert!(
        error.contains("unpacked layer") && error.contains(&format!("expected {}", honest_one.diff_ids[0])),
        "{error}"
    );
    ground.assert_nothing_stored();
}

#[test]
fn a_mirror_that_lies_is_passed_over() {
    let sample = big_sample();
    let wrong = sample.clone();
    let liar = Server::serving(sample.clone(), move |request, _| {
        is_layer(&wrong, &request.path).then(|| Answer::ranged(request, &vec![0; wrong.layers[0].len()]))
    });
    let server = Server::serving(sample, |_, _| None);
    let mut ground = Ground::new();
    let settings = RegistryConfiguration {
        mirrors: vec![format!("http://{}", liar.address)],
        ..RegistryConfiguration::default()
    };
    ground
        .configuration
        .registries
        .insert(server.address.clone(), settings);
    let image = ground.pull(&server).unwrap();
    assert_eq!(content(&image, "big"), noise(1 << 20));
    assert_eq!(
        liar.asked("/blobs/").len(),
        2,
        "configuration and layer, once each"
    );
}

#[test]
fn a_pinned_manifest_must_be_the_pinned_one() {
    let (pinned, other) = (
        Sample::new(&[(Packing::Gzip, &[("a", "1")])]),
        Sample::new(&[(Packing::Gzip, &[("a", "2")])]),
    );
    let server = Server::serving(other, |_, _| None);
    let ground = Ground::new();
    let reference: Reference = format!("{}/app@{}", server.address, pinned.digest())
        .parse()
        .unwrap();
    let error = pull(
        &ground.store,
        &ground.configuration,
        &reference,
        None,
        &|_| (),
        &AtomicBool::new(false),
    )
    .unwrap_err();
    assert!(
        chain(&error).contains(&format!("expected {}", pinned.digest())),
        "{}",
        chain(&error)
    );
    ground.assert_nothing_stored();
}

#[test]
fn a_manifest_is_what_its_header_says_or_nothing() {
    let sample = Sample::new(&[(Packing::Gzip, &[("a", "1")])]);
    for (media_type, expected) in [
        (INDEX, "announced as"),
        ("application/json", "not an image manifest"),
        ("", "not an image manifest"),
    ] {
        let body = sample.manifest.clone();
        let server = Server::start(move |_, _| Answer::ok(&body).with("Content-Type", media_type));
        let error = chain(&Ground::new().pull(&server).unwrap_err());
        assert!(error.contains(expected), "{media_type}: {error}");
    }
    let server = Server::start(|_, _| Answer::ok(&vec![b' '; 5 << 20]).with("Content-Type", MANIFEST));
    let error = chain(&Ground::new().pull(&server).unwrap_err());
    assert!(error.contains("longer than 4194304 bytes"), "{error}");
}

/// A registry that wants a token from `realm`, which `issue` gives out.
fn guarded(sample: Sample, realm: String, layer_at: Option<String>) -> Server {
    Server::serving(sample.clone(), move |request, _| {
        if request.path.starts_with("/token") {
            return Some(Answer::ok(br#"{"token":"t0ken"}"#));
        }
        if request.header("authorization") != Some("Bearer t0ken") {
            let realm = if realm.is_empty() {
                format!("http://{}/token", request.header("host").unwrap())
            } else {
                realm.clone()
            };
            let challenge =
                format!("Bearer realm=\"{realm}\",service=\"registry\",scope=\"repository:app:pull\"");
            return Some(Answer::status(401).with("WWW-Authenticate", &challenge));
        }
        let location = layer_at.as_ref().filter(|_| is_layer(&sample, &request.path))?;
        Some(Answer::status(307).with("Location", location))
    })
}

#[test]
fn a_token_is_fetched_with_the_login_and_never_follows_a_redirect() {
    let sample = Sample::new(&[(Packing::Gzip, &[("a", "1")])]);
    let layer = sample.layers[0].clone();
    let elsewhere = Server::start(move |request, _| Answer::ranged(request, &layer));
    let server = guarded(
        sample,
        String::new(),
        Some(format!("http://{}/bucket/layer", elsewhere.address)),
    );
    let ground = Ground::logged_in(&server.address);
    let image = ground.pull(&server).unwrap();
    assert_eq!(content(&image, "a"), "1");
    let token = &server.asked("/token")[0];
    assert_eq!(token.header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    assert!(
        token.path.contains("service=registry") && token.path.contains("account=user"),
        "{}",
        token.path
    );
    assert!(token.path.contains("scope=repository"), "{}", token.path);
    assert_eq!(server.asked("/token").len(), 1, "one token for the whole pull");
    let bucket = elsewhere.requests();
    assert_eq!(bucket.len(), 1);
    assert_eq!(bucket[0].header("authorization"), None, "CVE-2020-15157");
}

#[test]
fn a_foreign_token_server_gets_no_login() {
    let sample = Sample::new(&[(Packing::Gzip, &[("a", "1")])]);
    let foreign = Server::start(|_, _| Answer::ok(br#"{"access_token":"t0ken"}"#));
    let port = foreign.address.rsplit(':').next().unwrap().to_owned();
    // The registry is 127.0.0.1, so another name of the loopback interface is another host.
    let server = guarded(sample, format!("http://localhost:{port}/token"), None);
    let ground = Ground::logged_in(&server.address);
    ground.pull(&server).unwrap();
    let asked = foreign.requests();
    assert!(!asked.is_empty());
    for request in &asked {
        assert_eq!(request.header("authorization"), None);
        assert!(!request.path.contains("user"), "{}", request.path);
    }
}

#[test]
fn the_host_behind_a_redirect_cannot_ask_for_anything() {
    let sample = Sample::new(&[(Packing::Gzip, &[("a", "1")])]);
    let collector = Server::start(|_, _| Answer::ok(br#"{"token":"stolen"}"#));
    let realm = format!("Bearer realm=\"http://{}/collect\"", collector.address);
    let elsewhere = Server::start(move |_, _| Answer::status(401).with("WWW-Authenticate", &realm));
    let server = guarded(
        sample,
        String::new(),
        Some(format!("http://{}/layer", elsewhere.address)),
    );
    let ground = Ground::logged_in(&server.address);
    let error = chain(&ground.pull(&server).unwrap_err());
    assert!(error.contains("access denied"), "{error}");
    assert_eq!(collector.requests().len(), 0);
    assert!(
        elsewhere
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
    ground.assert_nothing_stored();
}

#[test]
fn a_registry_that_wants_a_password_says_how_to_give_one() {
    let sample = Sample::new(&[(Packing::Gzip, &[("a", "1")])]);
    let server = Server::serving(sample, |request, _| {
        let granted = request.header("authorization") == Some("Basic dXNlcjpzZWNyZXQ=");
        (!granted).then(|| Answer::status(401).with("WWW-Authenticate", "Basic realm=\"x\""))
    });
    let error = chain(&Ground::new().pull(&server).unwrap_err());
    assert!(
        error.contains(&format!("rcompose login {}", server.address)),
        "{error}"
    );
    Ground::logged_in(&server.address).pull(&server).unwrap();
}

#[test]
fn a_busy_registry_is_waited_for_as_long_as_it_says() {
    let sample = Sample::new(&[(Packing::Gzip, &[("a", "1")])]);
    let server = Server::serving(sample, |request, before| match before {
        0 if request.path.contains("/manifests/") => Some(Answer::status(429).with("Retry-After", "1")),
        0 | 1 if request.path.contains("/blobs/") => Some(Answer::status(503)),
        _ => None,
    });
    let start = Instant::now();
    Ground::new().pull(&server).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(server.asked("/manifests/").len(), 2);
}

#[test]
fn nobody_waits_for_hours() {
    let server = Server::start(|_, _| Answer::status(429).with("Retry-After", "21600"));
    let start = Instant::now();
    let error = chain(&Ground::new().pull(&server).unwrap_err());
    assert!(
        error.ends_with("the registry is busy and asks to try again in 21600 seconds"),
        "{error}"
    );
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_lying_registry_behind_a_dead_mirror_is_the_one_named() {
    let sample = big_sample();
    let wrong = sample.clone();
    let server = Server::serving(sample, move |request, _| {
        is_layer(&wrong, &request.path).then(|| Answer::ranged(request, &vec![0; wrong.layers[0].len()]))
    });
    let dead = Server::start(|_, _| Answer::status(404));
    let mut ground = Ground::new();
    let settings = RegistryConfiguration {
        mirrors: vec![format!("http://{}", dead.address)],
        ..RegistryConfiguration::default()
    };
    ground
        .configuration
        .registries
        .insert(server.address.clone(), settings);
    let error = chain(&ground.pull(&server).unwrap_err());
    assert!(
        error.contains(&server.address) && error.contains("content has digest"),
        "{error}"
    );
}

#[test]
fn an_error_is_told_in_the_registrys_words() {
    let server = Server::start(|_, _| Answer {
        body: br#"{"errors":[{"code":"TOOBAD","message":"the disk is full"}]}"#.to_vec(),
        ..Answer::status(400)
    });
    let error = chain(&Ground::new().pull(&server).unwrap_err());
    assert!(
        error.ends_with("the registry answered 400 Bad Request: the disk is full"),
        "{error}"
    );
}

#[test]
fn cancelling_is_prompt_and_keeps_what_came() {
    let sample = big_sample();
    let layer = sample.clone();
    let server = Server::serving(sample.clone(), move |request, _| {
        let slow = Answer {
            pause: Some(Duration::from_millis(100)),
            ..honest(&layer, request)
        };
        is_layer(&layer, &request.path).then_some(slow)
    });
    let ground = Ground::new();
    let cancel = AtomicBool::new(false);
    let (error, waited) = thread::scope(|scope| {
        let pulling = scope.spawn(|| ground.pull_until(&server, &cancel));
        thread::sleep(Duration::from_millis(700));
        let start = Instant::now();
        cancel.store(true, Ordering::Relaxed);
        (pulling.join().unwrap().unwrap_err(), start.elapsed())
    });
    assert_eq!(
        error.to_string(),
        format!("pull of {}/app:latest was cancelled", server.address)
    );
    assert!(waited < Duration::from_millis(500), "{waited:?}");
    let kept = fs::metadata(ground.part(&sample.layers[0])).unwrap().len();
    assert!(kept >= 16 << 10, "{kept}");
    ground.assert_nothing_stored();
    let quick = Server::serving(sample, |_, _| None);
    let image = ground.pull(&quick).unwrap();
    assert_eq!(content(&image, "big"), noise(1 << 20));
    assert_eq!(
        quick
            .asked("/blobs/")
            .iter()
            .filter_map(crate::tests::server::Request::range_start)
            .collect::<Vec<_>>()
            .len(),
        1
    );
}

#[test]
fn pulls_at_the_same_time_fetch_everything_once() {
    let content = noise(200_000);
    let sample = Sample::new(&[
        (Packing::Gzip, &[("a", &content)]),
        (Packing::Zstd, &[("b", &content)]),
        (Packing::Gzip, &[("c", "3")]),
    ]);
    let slow = sample.clone();
    let server = Server::serving(sample.clone(), move |request, _| {
        request.path.contains("/blobs/").then(|| Answer {
            pause: Some(Duration::from_millis(20)),
            ..honest(&slow, request)
        })
    });
    let ground = Ground::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| ground.pull(&server).unwrap());
        }
    });
    for layer in &sample.layers {
        assert_eq!(server.asked(&Digest::of(layer).to_string()).len(), 1);
    }
    let left: Vec<_> = fs::read_dir(ground.store.root().join("ingest"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn one_bad_layer_leaves_the_good_ones_for_the_next_pull() {
    let content = noise(100_000);
    let sample = Sample::new(&[
        (Packing::Gzip, &[("good", &content)]),
        (Packing::Gzip, &[("bad", "2")]),
    ]);
    let bad = Digest::of(&sample.layers[1]).to_string();
    let path = bad.clone();
    let server = Server::serving(sample.clone(), move |request, before| {
        let fails = request.path.ends_with(&path) && before == 0;
        // Late enough for the good layer to be finished.
        fails.then(|| {
            thread::sleep(Duration::from_millis(500));
            Answer::status(404)
        })
    });
    let ground = Ground::new();
    let error = chain(&ground.pull(&server).unwrap_err());
    assert!(
        error.contains(&bad) && error.ends_with("not found in the registry"),
        "{error}"
    );
    assert_eq!(ground.store.list().unwrap(), []);
    ground.pull(&server).unwrap();
    assert_eq!(server.asked(&Digest::of(&sample.layers[0]).to_string()).len(), 1);
}
