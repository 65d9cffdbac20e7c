//! Pushes: what arrives is what was here, nothing is sent twice, and nothing that is there already.

use std::error::Error;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use rcompose_image::{
    Configuration, Digest, Image, ImageConfig, ImageDocument, ImageStore, PushError, PushEvent, PushPhase,
    Pushed, Reference, pull, push,
};
use tempfile::TempDir;

use crate::tests::depot::Depot;
use crate::tests::real::chain;
use crate::tests::registry::Registry;
use crate::tests::sample::{INDEX, Packing, Sample, index, noise};
use crate::tests::server::{Answer, Request};

pub(crate) struct Ground {
    _directory: TempDir,
    pub(crate) store: ImageStore,
    pub(crate) configuration: Configuration,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = ImageStore::open(&directory.path().join("images")).unwrap();
        Self {
            _directory: directory,
            store,
            configuration: Configuration::default(),
        }
    }

    /// An image that was made here, of layers with one file each.
    pub(crate) fn build(&self, name: &str, layers: &[&str]) -> Image {
        let mut diff_ids = Vec::new();
        for content in layers {
            let prepared = self.store.prepare_layer().unwrap();
            fs::write(prepared.path().join("file"), content).unwrap();
            // The time a file was written is part of its layer.
            let file = fs::File::open(prepared.path().join("file")).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
            fs::File::open(prepared.path())
                .unwrap()
                .set_modified(std::time::UNIX_EPOCH)
                .unwrap();
            diff_ids.push(self.store.put_layer_directory(prepared.path()).unwrap().diff_id);
        }
        let document: ImageDocument = serde_json::from_value(serde_json::json!({
            "architecture": rcompose_image::Platform::host().architecture, "os": "linux",
            "config": ImageConfig::default(), "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }))
        .unwrap();
        let image = self.store.put_image(&document, &diff_ids).unwrap();
        self.store.tag(&image.id, &name.parse().unwrap(), None).unwrap();
        image
    }

    pub(crate) fn push(&self, name: &str) -> Result<Pushed, PushError> {
        self.push_told(name).0
    }

    pub(crate) fn push_told(&self, name: &str) -> (Result<Pushed, PushError>, Vec<PushEvent>) {
        let events = Mutex::new(Vec::new());
        let pushed = push(
            &self.store,
            &self.configuration,
            &name.parse().unwrap(),
            &|event| events.lock().unwrap().push(event),
            &AtomicBool::new(false),
        );
        (pushed, events.into_inner().unwrap())
    }

    pub(crate) fn pull(&self, name: &str) -> Image {
        let reference: Reference = name.parse().unwrap();
        let cancel = AtomicBool::new(false);
        let pulled = pull(
            &self.store,
            &self.configuration,
            &reference,
            None,
            &|_| (),
            &cancel,
        );
        pulled.unwrap_or_else(|error| panic!("{}", chain(&error as &dyn Error)))
    }
}

pub(crate) fn ends(events: &[PushEvent]) -> Vec<PushPhase> {
    let mut layers: Vec<Digest> = Vec::new();
    for event in events {
        if !layers.contains(&event.layer) {
            layers.push(event.layer);
        }
    }
    layers
        .iter()
        .filter_map(|layer| events.iter().rfind(|event| event.layer == *layer))
        .map(|event| event.phase)
        .collect()
}

fn is_write(request: &Request) -> bool {
    !matches!(request.method.as_str(), "GET" | "HEAD")
}

#[test]
fn what_was_made_here_arrives_in_a_real_registry() {
    let registry = Registry::start();
    let name = format!("{}/team/app:1.0", registry.address);
    let ours = Ground::new();
    let big = noise(3 << 20);
    let built = ours.build(&name, &["one", &big, "three"]);
    let (pushed, events) = ours.push_told(&name);
    let pushed = pushed.unwrap();
    assert!(!pushed.existed);
    assert_eq!(ends(&events), [PushPhase::Done; 3]);
    assert!(
        events
            .iter()
            .any(|event| matches!(event.phase, PushPhase::Packing { total, .. } if total > 3 << 20)),
        "{events:?}"
    );

    let theirs = Ground::new();
    let pulled = theirs.pull(&name);
    assert_eq!((pulled.id, pulled.manifest), (built.id, Some(pushed.digest)));
    assert_eq!(
        fs::read_to_string(pulled.layer_directories()[1].join("file")).unwrap(),
        big
    );
    assert_eq!(
        ours.pull(&name).id,
        built.id,
        "what was pushed is up to date here"
    );
    let pinned: Reference = format!("{}/team/app@{}", registry.address, pushed.digest)
        .parse()
        .unwrap();
    assert_eq!(ours.store.resolve(&pinned).unwrap().unwrap().id, built.id);

    let (again, events) = ours.push_told(&name);
    assert_eq!(
        again.unwrap(),
        Pushed {
            existed: true,
            ..pushed
        }
    );
    assert_eq!(events, []);
}

#[test]
fn what_was_pulled_goes_out_byte_by_byte() {
    let registry = Registry::start();
    let sample = Sample::new(&[
        (Packing::Gzip, &[("a", "1")]),
        (Packing::Zstd, &[("b", "2")]),
        (Packing::Plain, &[("c", "3")]),
    ]);
    registry.push("from", "1", &sample);
    let other = Sample::for_platform("linux/s390x", &[(Packing::Gzip, &[("arch", "s390x")])]);
    registry.push("from", "other", &other);
    let host = rcompose_image::Platform::host().to_string();
    let both = index(&[("linux/s390x", &other), (&host, &sample)]);
    registry.push_manifest("from", "multi", INDEX, &both);
    let ground = Ground::new();
    let (single, multi) = (
        format!("{}/from:1", registry.address),
        format!("{}/from:multi", registry.address),
    );
    for name in [&single, &multi] {
        let image = ground.pull(name);
        let depot = Depot::default();
        let server = depot.serve(|_, _| None);
        let copy = format!("{}/copy:1", server.address);
        // As `tag` does it: the further name knows the manifest of the first.
        ground
            .store
            .tag(&image.id, &copy.parse().unwrap(), image.manifest)
            .unwrap();
        let pushed = ground.push(&copy).unwrap();
        assert_eq!(
            pushed.digest,
            sample.digest(),
            "{name}: of an index, the manifest of this platform"
        );
        assert_eq!(depot.manifest("copy", "1").unwrap().1, sample.manifest);
        assert_eq!(depot.blobs("copy").len(), 4);
        assert_eq!(Ground::new().pull(&copy).id, sample.id());
    }
}

#[test]
fn nothing_is_sent_that_is_there() {
    let depot = Depot::default();
    let server = depot.serve(|_, _| None);
    let ground = Ground::new();
    let name = |tag: &str| format!("{}/app:{tag}", server.address);
    ground.build(&name("1"), &["base", "one"]);
    ground.build(&name("2"), &["base", "two"]);
    ground.push(&name("1")).unwrap();
    let before = server.requests().len();
    let (_, events) = ground.push_told(&name("2"));
    assert_eq!(ends(&events), [PushPhase::Exists, PushPhase::Done]);
    let puts: Vec<_> = server.requests()[before..]
        .iter()
        .filter(|request| request.method == "PUT")
        .cloned()
        .collect();
    assert_eq!(puts.len(), 3, "one layer, the configuration and the manifest");

    let before = server.requests().len();
    assert!(ground.push(&name("2")).unwrap().existed);
    let asked = server.requests()[before..].to_vec();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(!asked.iter().any(is_write));
}

#[test]
fn layers_of_a_neighbour_are_taken_over() {
    let depot = Depot::default();
    let server = depot.serve(|_, _| None);
    let ground = Ground::new();
    let (base, app) = (
        format!("{}/base:1", server.address),
        format!("{}/app:1", server.address),
    );
    ground.build(&base, &["base"]);
    ground.push(&base).unwrap();
    ground.build(&app, &["base", "own"]);
    let (pushed, events) = ground.push_told(&app);
    pushed.unwrap();
    assert_eq!(ends(&events), [PushPhase::Mounted, PushPhase::Done]);
    assert!(
        !events
            .iter()
            .any(|event| event.layer == events[0].layer && matches!(event.phase, PushPhase::Packing { .. })),
        "a layer that is taken over is not even compressed"
    );
    assert_eq!(Ground::new().pull(&app).diff_ids.len(), 2);

    // The neighbour has lost it: then it is sent.
    let forgetful = depot.serve(|request, _| {
        let mounts = request.parameter("mount").is_some();
        mounts.then(|| Answer::status(202).with("Location", "/v2/third/blobs/uploads/nobody"))
    });
    ground.build(&format!("{}/base:1", forgetful.address), &["base"]);
    let third = format!("{}/third:1", forgetful.address);
    let image = ground.build(&third, &["base", "third"]);
    let neighbour: Reference = format!("{}/base@{}", forgetful.address, Digest::of(b"x"))
        .parse()
        .unwrap();
    let base_image = ground.store.find(&base).unwrap().unwrap();
    ground.store.tag(&base_image.id, &neighbour, None).unwrap();
    let (pushed, events) = ground.push_told(&third);
    pushed.unwrap();
    assert_eq!(ends(&events), [PushPhase::Done, PushPhase::Done]);
    assert!(forgetful.asked("mount=").len() == 1);
    assert_eq!(Ground::new().pull(&third).id, image.id);
}

#[test]
fn the_same_layer_is_compressed_to_the_same_bytes() {
    let digests = [0, 1].map(|_| {
        let depot = Depot::default();
        let server = depot.serve(|_, _| None);
        let ground = Ground::new();
        let name = format!("{}/app:1", server.address);
        ground.build(&name, &[&noise(200_000)]);
        ground.push(&name).unwrap().digest
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_layer_that_changed_on_disk_is_not_pushed() {
    let depot = Depot::default();
    let server = depot.serve(|_, _| None);
    let ground = Ground::new();
    let name = format!("{}/app:1", server.address);
    let image = ground.build(&name, &["good"]);
    fs::write(image.layer_directories()[0].join("file"), "evil").unwrap();
    let error = chain(&ground.push(&name).unwrap_err());
    assert!(
        error.starts_with(&format!("cannot push {name}: layer on disk has digest sha256:"))
            && error.ends_with(&format!("expected {}", image.diff_ids[0])),
        "{error}"
    );
    assert_eq!(depot.blobs("app"), Vec::<String>::new());
}

#[test]
fn what_cannot_be_pushed_is_named() {
    let ground = Ground::new();
    assert_eq!(
        ground.push("absent:1").unwrap_err().to_string(),
        "cannot push absent:1: there is no such image here"
    );
    let pinned = format!("a@{}", Digest::of(b""));
    assert_eq!(
        ground.push(&pinned).unwrap_err().to_string(),
        format!("cannot push {pinned}: a digest is what a push gives, push a tag")
    );
}
