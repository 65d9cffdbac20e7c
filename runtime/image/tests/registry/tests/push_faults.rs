//! Pushes to a server that cuts connections, forgets, asks for tokens, sends elsewhere and lies.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rcompose_image::{PushError, push};

use crate::tests::depot::Depot;
use crate::tests::push::Ground;
use crate::tests::real::chain;
use crate::tests::sample::noise;
use crate::tests::server::{Answer, Request, Server};

const SIZE: usize = 1 << 20;

/// A ground with an image of one layer that gzip cannot make smaller than half a megabyte.
fn ground(server: &Server) -> (Ground, String) {
    let ground = Ground::new();
    let name = format!("{}/app:1", server.address);
    ground.build(&name, &[&noise(SIZE)]);
    (ground, name)
}

fn is_layer_upload(request: &Request) -> bool {
    let length = request
        .header("content-length")
        .and_then(|text| text.parse().ok());
    matches!(request.method.as_str(), "PUT" | "PATCH")
        && request.path.contains("/uploads/")
        && length.is_some_and(|length: usize| length > SIZE / 4)
}

/// What was pushed is whole: another store can pull it.
fn assert_arrived(name: &str) {
    let ground = Ground::new();
    let pulled = ground.pull(name);
    let file = pulled.layer_directories()[0].join("file");
    assert_eq!(fs::read_to_string(file).unwrap(), noise(SIZE));
}

fn assert_nothing_named(depot: &Depot) {
    assert!(
        depot.manifest("app", "1").is_none(),
        "a manifest without its blobs is named"
    );
}

fn push_fails(server: &Server) -> String {
    let (ground, name) = ground(server);
    chain(&ground.push(&name).unwrap_err())
}

#[test]
fn a_cut_upload_goes_on_where_it_broke() {
    for cuts in [
        vec![0],
        vec![200_000, 100_000, 50_000],
        vec![1],
        // As many in a row as never come one after the other: each brings something.
        vec![50_000; 7],
    ] {
        let depot = Depot::default();
        let (wanted, done) = (cuts.clone(), Arc::new(AtomicUsize::new(0)));
        let at = Arc::clone(&done);
        let server = depot.serve_cutting(
            |_, _| None,
            move |request, _| {
                is_layer_upload(request).then(|| wanted.get(at.fetch_add(1, Ordering::Relaxed)).copied())?
            },
        );
        let (ground, name) = ground(&server);
        ground.push(&name).unwrap();
        assert_arrived(&name);
        assert!(done.load(Ordering::Relaxed) > cuts.len());
        let resumed: Vec<u64> = server
            .requests()
            .iter()
            .filter(|request| request.method == "PATCH")
            .map(|request| {
                let range = request.header("content-range").unwrap();
                range.split_once('-').unwrap().0.parse().unwrap()
            })
            .collect();
        let mut sum = 0;
        let expected: Vec<u64> = cuts
            .iter()
            .map(|cut| {
                sum += cut;
                sum
            })
            // Nobody can tell one byte from none.
            .filter(|sum| *sum > 1)
            .collect();
        assert_eq!(resumed, expected, "{cuts:?}");
    }
}

#[test]
fn a_connection_that_breaks_at_the_last_byte_is_no_success() {
    let depot = Depot::default();
    let server = depot.serve_cutting(
        |_, _| None,
        |request, before| {
            let length: u64 = request.header("content-length")?.parse().ok()?;
            (is_layer_upload(request) && before == 0).then(|| length - 1)
        },
    );
    let (ground, name) = ground(&server);
    ground.push(&name).unwrap();
    assert_arrived(&name);
    // All of it arrived, and only the answer was lost.
    let depot = Depot::default();
    let server = depot.serve_cutting(
        |_, _| None,
        |request, before| {
            let length: u64 = request.header("content-length")?.parse().ok()?;
            (is_layer_upload(request) && before == 0).then_some(length)
        },
    );
    let (ground, name) = self::ground(&server);
    ground.push(&name).unwrap();
    assert_arrived(&name);
}

#[test]
fn an_upload_that_always_breaks_ends_with_one_error() {
    let depot = Depot::default();
    let server = depot.serve_cutting(|_, _| None, |request, _| is_layer_upload(request).then_some(0));
    let (ground, name) = ground(&server);
    let error = chain(&ground.push(&name).unwrap_err());
    assert!(
        error.starts_with(&format!(
            "cannot push {name} to http://{}/v2/app/blobs/uploads/",
            server.address
        )) && error.contains("cannot reach the registry"),
        "{error}"
    );
    assert_nothing_named(&depot);
    assert_eq!(
        ground
            .store
            .resolve(&name.parse().unwrap())
            .unwrap()
            .unwrap()
            .manifest,
        None
    );
}

#[test]
fn a_forgotten_upload_begins_again() {
    let depot = Depot::default();
    let server = depot.serve_cutting(
        |request, _| {
            let asks_how_far = request.method == "GET" && request.path.contains("/uploads/");
            asks_how_far.then(|| Answer::status(404))
        },
        |request, before| {
            (is_layer_upload(request) && before == 0 && request.path.contains("upload0")).then_some(9000)
        },
    );
    let (ground, name) = ground(&server);
    ground.push(&name).unwrap();
    assert_arrived(&name);
    assert_eq!(
        server.asked("/uploads/upload1").len(),
        1,
        "the whole of it, once more"
    );
}

#[test]
fn a_busy_registry_is_waited_for() {
    let depot = Depot::default();
    let sent = AtomicUsize::new(0);
    let server = depot.serve(move |request, before| match request.method.as_str() {
        "POST" if before == 0 => Some(Answer::status(429).with("Retry-After", "1")),
        "PUT" if is_layer_upload(request) && sent.fetch_add(1, Ordering::Relaxed) == 0 => {
            Some(Answer::status(503))
        }
        "PUT" if request.path.contains("/manifests/") && before < 2 => Some(Answer {
            body: b"<html><body>Bad Gateway</body></html>".to_vec(),
            ..Answer::status(502)
        }),
        _ => None,
    });
    let (ground, name) = ground(&server);
    let start = Instant::now();
    ground.push(&name).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_arrived(&name);
    // Nobody waits for hours.
    let server = Server::start(|_, _| Answer::status(503).with("Retry-After", "7200"));
    assert!(push_fails(&server).ends_with("asks to try again in 7200 seconds"));
}

#[test]
fn a_registry_that_takes_no_large_request_gets_pieces() {
    let depot = Depot::default();
    let server = depot.serve_cutting(
        |request, _| {
            let is_whole = request.method == "PUT" && is_layer_upload(request);
            is_whole.then(|| Answer::status(413))
        },
        |_, _| None,
    );
    let (ground, name) = ground(&server);
    ground.push(&name).unwrap();
    assert_arrived(&name);
    let pieces = server.requests();
    assert!(pieces.iter().any(|request| {
        request.method == "PATCH"
            && request
                .header("content-range")
                .is_some_and(|range| range.starts_with("0-"))
    }));
}

#[test]
fn what_a_registry_refuses_is_told_in_its_words() {
    for (part, method, answer, expected) in [
        (
            "/uploads/",
            "POST",
            Answer::status(403),
            "access denied: the repository does not exist, or you need to run `rcompose login 127.0.0.1:",
        ),
        (
            "/uploads/",
            "POST",
            Answer::status(202),
            "the registry's answer (202 Accepted) does not say where to upload to",
        ),
        (
            "/uploads/",
            "POST",
            Answer::status(302).with("Location", "/elsewhere"),
            "refused redirect to \"/elsewhere\"",
        ),
        (
            "digest=",
            "PUT",
            Answer {
                body: br#"{"errors":[{"message":"the disk is full"}]}"#.to_vec(),
                ..Answer::status(400)
            },
            "the registry answered 400 Bad Request: the disk is full",
        ),
        (
            "digest=",
            "PUT",
            Answer::status(201).with(
                "Docker-Content-Digest",
                "sha256:0000000000000000000000000000000000000000000000000000000000000000",
            ),
            "content has digest sha256:0000",
        ),
        (
            "/manifests/",
            "PUT",
            Answer {
                body: b"<html>no</html>".to_vec(),
                ..Answer::status(405)
            },
            "the registry answered 405 Method Not Allowed",
        ),
    ] {
        let depot = Depot::default();
        let server = depot.serve(move |request, _| {
            (request.method == method && request.path.contains(part)).then(|| answer.clone())
        });
        let error = push_fails(&server);
        assert!(
            error.contains(expected) && error.starts_with("cannot push 127.0.0.1:"),
            "{method} {part}: {error}"
        );
        assert!(
            error.contains(&format!("to http://{}/v2/app/", server.address)),
            "{error}"
        );
        assert_nothing_named(&depot);
    }
}

/// A registry that wants a token for each of its own requests, and lets a token be used so often.
fn guarded(
    depot: &Depot,
    uses: usize,
    twist: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
) -> Server {
    let issued = AtomicUsize::new(0);
    let used = AtomicUsize::new(0);
    depot.serve(move |request, _| {
        if request.path.starts_with("/token") {
            used.store(0, Ordering::Relaxed);
            let token = issued.fetch_add(1, Ordering::Relaxed) + 1;
            return Some(Answer::ok(format!(r#"{{"token":"t{token}"}}"#).as_bytes()));
        }
        let token = format!("Bearer t{}", issued.load(Ordering::Relaxed));
        let is_good = request.header("authorization") == Some(&token);
        if !is_good || used.fetch_add(1, Ordering::Relaxed) >= uses {
            let realm = format!("http://{}/token", request.header("host").unwrap());
            let challenge = format!("Bearer realm=\"{realm}\",service=\"r\",scope=\"repository:app:pull\"");
            return Some(Answer::status(401).with("WWW-Authenticate", &challenge));
        }
        twist(request)
    })
}

fn logged_in(server: &Server) -> (Ground, String) {
    let (mut ground, name) = ground(server);
    let path = ground.store.root().join("config.json");
    // "user:secret"
    let text = format!(
        r#"{{"auths":{{"{}":{{"auth":"dXNlcjpzZWNyZXQ="}}}}}}"#,
        server.address
    );
    fs::write(&path, text).unwrap();
    ground.configuration.docker_config = Some(path);
    (ground, name)
}

#[test]
fn a_token_that_ends_in_the_middle_is_fetched_again() {
    let depot = Depot::default();
    let server = guarded(&depot, 3, |_| None);
    let (ground, name) = logged_in(&server);
    ground.push(&name).unwrap();
    let tokens = server.asked("/token");
    assert!(tokens.len() > 1, "{}", tokens.len());
    for token in &tokens {
        assert!(
            token.path.contains("scope=repository%3Aapp%3Apull%2Cpush")
                || token.path.contains("scope=repository:app:pull,push"),
            "{}",
            token.path
        );
        assert_eq!(token.path.matches("scope=").count(), 1, "{}", token.path);
        assert_eq!(token.header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    }
    assert_eq!(depot.blobs("app").len(), 2);
}

#[test]
fn an_upload_elsewhere_gets_the_bytes_and_no_token() {
    let elsewhere = Arc::new(Depot::default());
    let shelf = Arc::clone(&elsewhere);
    // Takes any upload, as a bucket does.
    let bucket = Server::start(move |request, _| match request.method.as_str() {
        "PUT" => Answer::status(201),
        _ => shelf.answer(request),
    });
    let depot = Depot::default();
    let address = bucket.address.clone();
    let server = guarded(&depot, 1000, move |request| {
        if request.method == "POST" {
            return Some(Answer::status(202).with("Location", &format!("http://{address}/bucket/1?sig=x")));
        }
        None
    });
    let (ground, name) = logged_in(&server);
    // The registry never learns of the blobs, so the manifest is refused at the end.
    let error = chain(&ground.push(&name).unwrap_err());
    assert!(error.contains("/manifests/1: not found"), "{error}");
    let sent = bucket.requests();
    assert_eq!(sent.len(), 2);
    for request in &sent {
        assert_eq!(request.header("authorization"), None, "CVE-2020-15157");
        assert!(
            request.path.starts_with("/bucket/1?sig=x&digest=sha256:"),
            "{}",
            request.path
        );
        assert!(!request.body.is_empty());
    }
}

#[test]
fn a_redirected_upload_is_sent_again_without_the_token() {
    let bucket = Server::start(|_, _| Answer::status(201));
    let depot = Depot::default();
    let address = bucket.address.clone();
    let server = guarded(&depot, 1000, move |request| {
        let moved = request.method == "PUT" && request.path.contains("/uploads/");
        moved.then(|| Answer::status(307).with("Location", &format!("http://{address}/b")))
    });
    let (ground, name) = logged_in(&server);
    ground.push(&name).unwrap_err();
    let layer = bucket.requests();
    assert!(
        layer
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
    assert!(layer.iter().any(|request| request.body.len() > SIZE / 4));
}

#[test]
fn cancelling_a_push_is_prompt() {
    let depot = Depot::default();
    let server = depot.serve(|request, _| {
        if request.method == "POST" {
            thread::sleep(Duration::from_secs(3));
        }
        None
    });
    let (ground, name) = ground(&server);
    let cancel = AtomicBool::new(false);
    let (error, waited) = thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            push(
                &ground.store,
                &ground.configuration,
                &name.parse().unwrap(),
                &|_| (),
                &cancel,
            )
        });
        while server.asked("/uploads/").is_empty() {
            thread::sleep(Duration::from_millis(10));
        }
        let start = Instant::now();
        cancel.store(true, Ordering::Relaxed);
        (pushing.join().unwrap().unwrap_err(), start.elapsed())
    });
    assert!(matches!(error, PushError::Cancelled { .. }), "{error}");
    assert!(waited < Duration::from_millis(1500), "{waited:?}");
    assert_nothing_named(&depot);
    let left = fs::read_dir(ground.store.root().join("ingest")).unwrap().count();
    assert_eq!(left, 0, "what was compressed for the push is gone");
}
