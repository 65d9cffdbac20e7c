//! Pulls from a server that breaks off early and late, miscounts, wanders, forgets tokens, and dresses one thing up as another.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rcompose_image::{Digest, PullError, Reference, pull};
use serde_json::{Value, json};

use crate::tests::push::Ground;
use crate::tests::real::chain;
use crate::tests::sample::{INDEX, MANIFEST, Packing, Sample, index, noise};
use crate::tests::server::{Answer, Request, Server, honest};

fn pulled(ground: &Ground, server: &Server) -> Result<rcompose_image::Image, PullError> {
    let reference: Reference = format!("{}/app:1", server.address).parse().unwrap();
    let cancel = std::sync::atomic::AtomicBool::new(false);
    pull(
        &ground.store,
        &ground.configuration,
        &reference,
        None,
        &|_| (),
        &cancel,
    )
}

/// The pull fails with one error that names image and URL, and leaves nothing that could be used.
#[track_caller]
fn fails(server: &Server) -> String {
    let ground = Ground::new();
    let error = chain(&pulled(&ground, server).unwrap_err() as &dyn Error);
    let image = format!("{}/app:1", server.address);
    assert!(error.contains(&image), "{error}");
    assert_eq!(ground.store.list().unwrap(), []);
    for directory in ["layers", "refs", "images"] {
        let left = std::fs::read_dir(ground.store.root().join(directory))
            .unwrap()
            .count();
        assert_eq!(left, 0, "{directory}: {error}");
    }
    error
}

fn sample() -> Sample {
    Sample::new(&[(Packing::Gzip, &[("big", &noise(400_000))])])
}

fn serves(server: &Server) {
    let ground = Ground::new();
    let image = pulled(&ground, server).unwrap_or_else(|error| panic!("{}", chain(&error)));
    let text = std::fs::read_to_string(image.layer_directories()[0].join("big")).unwrap();
    assert!(text == noise(400_000));
}

#[test]
fn a_connection_may_break_anywhere() {
    let sample = sample();
    let layer = sample.layers[0].len();
    for cuts in [
        vec![0],
        vec![0, 0, 0],
        vec![layer - 1],
        vec![1, 0, layer / 2, 10_000, 0],
        vec![30_000; 7],
    ] {
        let (broken, wanted) = (sample.clone(), cuts.clone());
        let server = Server::serving(sample.clone(), move |request, before| {
            let cut = wanted.get(before).copied();
            // Manifest and configuration break, too, but are not resumed.
            let is_layer = request.path.contains(&Digest::of(&broken.layers[0]).to_string());
            let cut = if is_layer {
                cut
            } else {
                cut.filter(|_| before < 3).map(|cut| cut.min(9))
            };
            cut.map(|cut| Answer {
                cut: Some(cut),
                ..honest(&broken, request)
            })
        });
        serves(&server);
    }
}

#[test]
fn a_layer_that_always_breaks_ends_with_one_error() {
    let sample = sample();
    let broken = sample.clone();
    let server = Server::serving(sample, move |request, _| {
        request.path.contains("/blobs/").then(|| Answer {
            cut: Some(0),
            ..honest(&broken, request)
        })
    });
    let error = fails(&server);
    assert!(
        error.contains(&format!("http://{}/v2/app/blobs/", server.address)),
        "{error}"
    );
}

#[test]
fn a_date_in_retry_after_is_waited_for() {
    let server = Server::serving(sample(), |request, before| {
        let busy = request.path.contains("/manifests/") && before == 0;
        busy.then(|| {
            let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(2500);
            let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&soon);
            Answer::status(503).with("Retry-After", &date.unwrap())
        })
    });
    let start = Instant::now();
    serves(&server);
    // Dates have no fractions.
    assert!(
        start.elapsed() >= Duration::from_millis(1400),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_size_that_is_not_the_announced_one_is_refused() {
    let sample = sample();
    let (layer, config) = (
        Digest::of(&sample.layers[0]).to_string(),
        Digest::of(&sample.config).to_string(),
    );
    for (blob, change) in [(&layer, -1), (&layer, 1), (&config, -1), (&config, 1)] {
        let (wrong, path) = (sample.clone(), blob.clone());
        let server = Server::serving(sample.clone(), move |request, _| {
            request.path.ends_with(&path).then(|| {
                let mut bytes = wrong.blob(&path).unwrap().to_vec();
                if change < 0 {
                    bytes.pop();
                } else {
                    bytes.push(b'x');
                }
                Answer::ok(&bytes)
            })
        });
        let error = fails(&server);
        assert!(
            error.contains(blob) && (error.contains(" bytes, expected ") || error.contains("longer than")),
            "{change}: {error}"
        );
    }
}

#[test]
fn redirects_are_followed_so_far_and_no_farther() {
    let sample = sample();
    let away = sample.clone();
    // Relative, absolute in the host, and back.
    let server = Server::serving(sample.clone(), move |request, _| {
        if let Some(rest) = request.path.strip_prefix("/moved/") {
            let bytes = away.blob(rest).unwrap();
            return Some(Answer::ranged(request, bytes));
        }
        let digest = request.path.rsplit('/').next()?;
        (request.path.contains("/blobs/sha256"))
            .then(|| Answer::status(302).with("Location", &format!("../../../moved/{digest}")))
    });
    serves(&server);
    let away = sample.clone();
    let server = Server::serving(sample.clone(), move |request, _| {
        if let Some(rest) = request.path.strip_prefix("/moved/") {
            return Some(Answer::ranged(request, away.blob(rest).unwrap()));
        }
        let digest = request.path.rsplit('/').next()?;
        (request.path.contains("/blobs/sha256"))
            .then(|| Answer::status(301).with("Location", &format!("/moved/{digest}")))
    });
    serves(&server);

    let server = Server::serving(sample, |request, _| {
        (request.path.contains("/blobs/"))
            .then(|| Answer::status(307).with("Location", &format!("{}x", request.path)))
    });
    let error = fails(&server);
    assert!(error.contains("refused redirect to"), "{error}");
    assert!(server.asked("/blobs/").len() < 10, "circles end");
}

#[test]
fn a_slow_drip_is_waited_for() {
    let sample = sample();
    let slow = sample.clone();
    let server = Server::serving(sample, move |request, _| {
        Some(Answer {
            pause: Some(Duration::from_millis(60)),
            ..honest(&slow, request)
        })
    });
    serves(&server);
}

#[test]
fn a_page_for_people_is_no_image() {
    let page = b"<html><body>Please log in to the hotel's network</body></html>";
    let server = Server::start(move |_, _| Answer::ok(page).with("Content-Type", "text/html; charset=utf-8"));
    let error = fails(&server);
    assert!(
        error.contains("\"text/html\" is not an image manifest"),
        "{error}"
    );
    let server = Server::start(move |_, _| {
        Answer {
            body: page.to_vec(),
            ..Answer::status(404)
        }
        .with("Content-Type", "text/html")
    });
    let error = fails(&server);
    assert!(error.ends_with("not found in the registry"), "{error}");
    // Where a layer should be, too.
    let sample = sample();
    let path = Digest::of(&sample.layers[0]).to_string();
    let server = Server::serving(sample, move |request, _| {
        request.path.ends_with(&path).then(|| Answer::ok(page))
    });
    let error = fails(&server);
    assert!(error.contains("62 bytes, expected"), "{error}");
}

#[test]
fn a_layer_that_is_no_archive_is_refused() {
    for garbage in [
        b"\x1f\x8b\x08 and no more of gzip".to_vec(),
        b"no tar".repeat(1000),
        {
            let mut gzip = sample().layers[0].clone();
            gzip.truncate(gzip.len() / 2);
            gzip
        },
    ] {
        // Its digest is right: it is what was pushed.
        let mut sample = sample();
        let text = String::from_utf8(sample.manifest.clone()).unwrap();
        let mut manifest: Value = serde_json::from_str(&text).unwrap();
        manifest["layers"][0]["digest"] = json!(Digest::of(&garbage));
        manifest["layers"][0]["size"] = json!(garbage.len());
        sample.manifest = manifest.to_string().into_bytes();
        sample.layers[0] = garbage;
        let server = Server::serving(sample, |_, _| None);
        let error = fails(&server);
        assert!(error.starts_with("cannot store"), "{error}");
    }
}

fn with_manifest(change: impl Fn(&mut Value)) -> Sample {
    let mut sample = sample();
    let mut manifest: Value = serde_json::from_slice(&sample.manifest).unwrap();
    change(&mut manifest);
    sample.manifest = manifest.to_string().into_bytes();
    sample
}

#[test]
fn a_manifest_has_one_meaning_and_an_end() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 7] = [
        (
            |manifest| manifest["manifests"] = json!([]),
            "belongs to another kind of document",
        ),
        (
            |manifest| manifest["fsLayers"] = json!([]),
            "belongs to another kind of document",
        ),
        (|manifest| manifest["mediaType"] = json!(INDEX), "announced as"),
        (
            |manifest| {
                let layer = manifest["layers"][0].clone();
                manifest["layers"] = Value::Array(vec![layer; 501]);
            },
            "501 layers are more than the 500 allowed",
        ),
        (
            |manifest| manifest["config"]["size"] = json!(1_u64 << 30),
            "longer than 8388608 bytes",
        ),
        (
            |manifest| manifest["config"]["size"] = json!(3),
            "longer than 3 bytes",
        ),
        (|manifest| manifest["layers"] = json!([]), "names 1"),
    ];
    for (change, expected) in cases {
        let server = Server::serving(with_manifest(change), |_, _| None);
        let error = fails(&server);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn an_index_leads_to_one_manifest_of_this_platform() {
    let sample = sample();
    let host = rcompose_image::Platform::host().to_string();
    let inner = index(&[(&host, &sample)]);
    let mut outer: Value = serde_json::from_slice(&index(&[(&host, &sample)])).unwrap();
    outer["manifests"][0] = json!({"mediaType": INDEX, "digest": Digest::of(&inner), "size": inner.len(), "platform": {"os": "linux", "architecture": rcompose_image::Platform::host().architecture}});
    let outer = outer.to_string().into_bytes();
    let server = Server::start(move |request, _| {
        let bytes = if request.path.ends_with("/1") {
            &outer
        } else {
            &inner
        };
        Answer::ok(bytes).with("Content-Type", INDEX)
    });
    let error = fails(&server);
    assert!(error.contains("an index inside an index"), "{error}");

    let others = index(&[("linux/s390x", &sample), ("windows/amd64", &sample)]);
    let server = Server::start(move |_, _| Answer::ok(&others).with("Content-Type", INDEX));
    let error = fails(&server);
    assert!(
        error.ends_with(&format!(
            "no image for {host}, only for linux/s390x, windows/amd64"
        )),
        "{error}"
    );

    // An entry that is another manifest than the index says, or another kind of document.
    let both = index(&[(&host, &sample)]);
    let other = Sample::new(&[(Packing::Gzip, &[("a", "1")])]);
    let server = Server::start(move |request, _| {
        if request.path.ends_with("/1") {
            Answer::ok(&both).with("Content-Type", INDEX)
        } else {
            Answer::ok(&other.manifest).with("Content-Type", MANIFEST)
        }
    });
    let error = fails(&server);
    assert!(error.contains("content has digest"), "{error}");
}

#[test]
fn layers_that_name_other_places_are_not_fetched_from_there() {
    let trap = Server::start(|_, _| Answer::ok(b"x"));
    let url = format!("http://{}/layer", trap.address);
    let sample = with_manifest(|manifest| {
        manifest["layers"][0]["mediaType"] =
            json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        manifest["layers"][0]["urls"] = json!([url]);
    });
    let lost = sample.clone();
    let server = Server::serving(sample.clone(), |_, _| None);
    serves(&server);
    let server = Server::serving(sample, move |request, _| {
        let path = Digest::of(&lost.layers[0]).to_string();
        request.path.ends_with(&path).then(|| Answer::status(404))
    });
    let error = fails(&server);
    assert!(error.contains("not found"), "{error}");
    assert_eq!(trap.requests().len(), 0, "CVE-2020-15157");
}

#[test]
fn a_token_that_ends_in_the_middle_is_fetched_again() {
    let sample = Sample::new(&[
        (Packing::Gzip, &[("a", "1")]),
        (Packing::Gzip, &[("b", "2")]),
        (Packing::Gzip, &[("c", "3")]),
    ]);
    let (issued, used) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let server = Server::serving(sample, move |request: &Request, _| {
        if request.path.starts_with("/token") {
            used.store(0, Ordering::Relaxed);
            let token = issued.fetch_add(1, Ordering::Relaxed) + 1;
            // The token server has bad moments, too.
            if token == 1 {
                return Some(Answer::status(503));
            }
            return Some(
                Answer::ok(format!(r#"{{"token":"t{token}"}}"#).as_bytes()).with("Set-Cookie", "id=1"),
            );
        }
        let token = format!("Bearer t{}", issued.load(Ordering::Relaxed));
        let good =
            request.header("authorization") == Some(&token) && used.fetch_add(1, Ordering::Relaxed) < 4;
        (!good).then(|| {
            let realm = format!("http://{}/token", request.header("host").unwrap());
            Answer::status(401)
                .with("WWW-Authenticate", &format!("Bearer realm=\"{realm}\""))
                .with("Set-Cookie", "session=1")
        })
    });
    let ground = Ground::new();
    pulled(&ground, &server).unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert!(server.asked("/token").len() > 2);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.header("cookie").is_none())
    );
}
