//! Pulls from a real registry.

use std::error::Error;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rcompose_image::archive;
use rcompose_image::{
    Configuration, Image, ImageStore, Platform, PullError, PullEvent, PullPhase, Reference,
    RegistryConfiguration, pull,
};
use tempfile::TempDir;

use crate::tests::registry::Registry;
use crate::tests::sample::{INDEX, Packing, Sample, index, noise};

fn store() -> (TempDir, ImageStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = ImageStore::open(&directory.path().join("images")).unwrap();
    (directory, store)
}

fn pull_with(
    store: &ImageStore,
    configuration: &Configuration,
    name: &str,
) -> (Result<Image, PullError>, Vec<PullEvent>) {
    let events = Mutex::new(Vec::new());
    let reference: Reference = name.parse().unwrap();
    let result = pull(
        store,
        configuration,
        &reference,
        None,
        &|event| events.lock().unwrap().push(event),
        &AtomicBool::new(false),
    );
    (result, events.into_inner().unwrap())
}

fn pull_plainly(store: &ImageStore, name: &str) -> Image {
    pull_with(store, &Configuration::default(), name).0.unwrap()
}

/// A message with all its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[test]
fn an_image_arrives_whole_and_is_not_fetched_twice() {
    let registry = Registry::start();
    let big = noise(3 << 20);
    let sample = Sample::new(&[
        (
            Packing::Gzip,
            &[
                ("etc/", ""),
                ("etc/os-release", "ID=test\n"),
                ("etc/old", "x"),
                ("big", &big),
            ],
        ),
        (
            Packing::Zstd,
            &[("etc/.wh.old", ""), ("usr/bin/tool", "#!/bin/sh\n")],
        ),
        (
            Packing::Plain,
            &[
                ("usr/share/", ""),
                ("usr/share/.wh..wh..opq", ""),
                ("usr/share/doc", "d"),
            ],
        ),
    ]);
    registry.push("library/sample", "1.0", &sample);
    let (_directory, store) = store();
    let name = format!("{}/library/sample:1.0", registry.address);

    let (image, events) = pull_with(&store, &Configuration::default(), &name);
    let image = image.unwrap();
    assert_eq!(image.id, sample.id());
    assert_eq!(image.manifest, Some(sample.digest()));
    assert_eq!(image.diff_ids, sample.diff_ids);
    assert_eq!(
        image.config.cmd.as_deref(),
        Some(["/bin/true".to_owned()].as_slice())
    );
    assert_eq!(image.created.as_deref(), Some("2026-01-02T03:04:05Z"));
    let directories = image.layer_directories();
    let names: Vec<_> = directories
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let top_first: Vec<_> = sample
        .diff_ids
        .iter()
        .rev()
        .map(rcompose_image::Digest::hex)
        .collect();
    assert_eq!(names, top_first);
    assert_eq!(fs::read_to_string(directories[2].join("big")).unwrap(), big);
    assert_eq!(
        fs::read_to_string(directories[2].join("etc/os-release")).unwrap(),
        "ID=test\n"
    );
    assert_eq!(
        fs::read_to_string(directories[1].join("usr/bin/tool")).unwrap(),
        "#!/bin/sh\n"
    );
    let whiteout = fs::symlink_metadata(directories[1].join("etc/old")).unwrap();
    assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
    assert_eq!(
        fs::read_to_string(directories[0].join("usr/share/doc")).unwrap(),
        "d"
    );

    for layer in &sample.layers {
        let of_layer: Vec<PullPhase> = events
            .iter()
            .filter(|event| event.layer == rcompose_image::Digest::of(layer))
            .map(|event| event.phase)
            .collect();
        let total = layer.len() as u64;
        assert_eq!(of_layer.first(), Some(&PullPhase::Waiting));
        assert!(
            of_layer.contains(&PullPhase::Downloading { done: total, total }),
            "{of_layer:?}"
        );
        assert_eq!(of_layer.last(), Some(&PullPhase::Done));
    }

    assert_eq!(store.resolve(&name.parse().unwrap()).unwrap().unwrap(), image);
    let pinned: Reference = format!("{}/library/sample@{}", registry.address, sample.digest())
        .parse()
        .unwrap();
    assert_eq!(store.resolve(&pinned).unwrap().unwrap().id, image.id);
    assert_eq!(store.list().unwrap()[0].references.len(), 2);

    let (again, events) = pull_with(&store, &Configuration::default(), &name);
    assert_eq!(again.unwrap(), image);
    assert_eq!(events, []);
    drop(registry);
    let (offline, _) = pull_with(&store, &Configuration::default(), &pinned.to_string());
    assert_eq!(
        offline.unwrap().id,
        image.id,
        "a pinned image that is here needs no registry"
    );
}

#[test]
fn a_layer_that_is_here_is_shared() {
    let registry = Registry::start();
    let base: (Packing, &[(&str, &str)]) = (Packing::Gzip, &[("base", "1")]);
    registry.push("a", "latest", &Sample::new(&[base]));
    registry.push(
        "b",
        "latest",
        &Sample::new(&[base, (Packing::Gzip, &[("top", "2")])]),
    );
    let (_directory, store) = store();
    pull_plainly(&store, &format!("{}/a", registry.address));
    let (image, events) = pull_with(
        &store,
        &Configuration::default(),
        &format!("{}/b", registry.address),
    );
    assert_eq!(image.unwrap().layer_directories().len(), 2);
    assert_eq!(
        events
            .iter()
            .filter(|event| event.phase == PullPhase::Exists)
            .count(),
        1
    );
    assert_eq!(
        events
            .iter()
            .filter(|event| event.phase == PullPhase::Done)
            .count(),
        1
    );
}

#[test]
fn an_index_gives_the_image_for_this_host_or_the_one_asked_for() {
    let registry = Registry::start();
    let host = Platform::host().to_string();
    let ours = Sample::new(&[(Packing::Gzip, &[("arch", "host")])]);
    let other = Sample::for_platform("linux/s390x", &[(Packing::Gzip, &[("arch", "s390x")])]);
    registry.push("multi", "ours", &ours);
    registry.push("multi", "other", &other);
    let bytes = index(&[("linux/s390x", &other), (&host, &ours)]);
    registry.push_manifest("multi", "latest", INDEX, &bytes);
    let name = format!("{}/multi", registry.address);
    let (_directory, store) = store();
    let image = pull_plainly(&store, &name);
    assert_eq!(
        (image.id, image.manifest),
        (ours.id(), Some(rcompose_image::Digest::of(&bytes)))
    );

    let reference: Reference = name.parse().unwrap();
    let for_platform = |platform: &str| {
        let platform: Platform = platform.parse().unwrap();
        pull(
            &store,
            &Configuration::default(),
            &reference,
            Some(&platform),
            &|_| (),
            &AtomicBool::new(false),
        )
    };
    assert_eq!(for_platform("linux/s390x").unwrap().id, other.id());
    let error = chain(&for_platform("linux/riscv64").unwrap_err());
    assert!(
        error.contains("no image for linux/riscv64, only for linux/s390x, linux/"),
        "{error}"
    );
}

#[test]
fn mirrors_are_asked_in_order() {
    let registry = Registry::start();
    let sample = Sample::new(&[(Packing::Gzip, &[("x", "1")])]);
    registry.push("library/mirrored", "latest", &sample);
    let dead = Registry::start();
    let mirrors = vec![
        format!("http://{}", dead.address),
        format!("http://{}", registry.address),
    ];
    drop(dead);
    let settings = RegistryConfiguration {
        mirrors,
        ..RegistryConfiguration::default()
    };
    let configuration = Configuration {
        registries: [("docker.io".to_owned(), settings)].into(),
        ..Configuration::default()
    };
    let (_directory, store) = store();
    let image = pull_with(&store, &configuration, "mirrored").0.unwrap();
    assert_eq!(image.id, sample.id());
    assert_eq!(image.references[0].familiar(), "mirrored:latest");
}

#[test]
fn errors_name_image_and_url() {
    let registry = Registry::start();
    registry.push("here", "latest", &Sample::new(&[(Packing::Gzip, &[("x", "1")])]));
    let (_directory, store) = store();
    let failing = |name: &str| chain(&pull_with(&store, &Configuration::default(), name).0.unwrap_err());
    let address = registry.address.clone();
    let error = failing(&format!("{address}/here:absent"));
    assert_eq!(
        error,
        format!(
            "cannot pull {address}/here:absent from http://{address}/v2/here/manifests/absent: not found in the registry"
        )
    );
    drop(registry);
    let start = Instant::now();
    let error = failing(&format!("{address}/here"));
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "nobody listens: there is nothing to wait for"
    );
    let expected = format!(
        "cannot pull {address}/here:latest from http://{address}/v2/here/manifests/latest: cannot reach the registry: "
    );
    assert!(
        error.starts_with(&expected) && error.contains("refused"),
        "{error}"
    );
    assert_eq!(store.list().unwrap(), []);
}

#[test]
fn a_saved_image_loads_elsewhere_with_the_same_id() {
    let registry = Registry::start();
    let sample = Sample::new(&[
        (Packing::Gzip, &[("a", "1")]),
        (Packing::Zstd, &[("b", "2"), (".wh.a", "")]),
    ]);
    registry.push("saved", "1", &sample);
    let name = format!("{}/saved:1", registry.address);
    let (_one, from) = store();
    let (_other, to) = store();
    let pulled = pull_plainly(&from, &name);
    let mut bytes = Vec::new();
    archive::save(
        &from,
        std::slice::from_ref(&name),
        None,
        archive::Format::Docker,
        &mut archive::Output::Tar(&mut bytes),
    )
    .unwrap();
    let loaded = archive::load(&to, bytes.as_slice(), None).unwrap();
    assert_eq!(loaded[0].id, pulled.id);
    assert_eq!(to.resolve(&name.parse().unwrap()).unwrap().unwrap().id, pulled.id);
    assert_eq!(
        fs::read_to_string(loaded[0].layer_directories()[0].join("b")).unwrap(),
        "2"
    );
}
