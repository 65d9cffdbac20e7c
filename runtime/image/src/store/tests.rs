//! Names, removal and collection; and what a crash may leave behind.

use std::collections::BTreeSet;
use std::time::Instant;

use super::*;
use crate::image_config::ImageConfig;

struct Ground {
    _scratch: tempfile::TempDir,
    store: ImageStore,
}

impl Ground {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let store = ImageStore::open(&scratch.path().join("images")).unwrap();
        Self {
            _scratch: scratch,
            store,
        }
    }

    fn layer(&self, content: &str) -> Layer {
        let prepared = self.store.prepare_layer().unwrap();
        fs::write(prepared.path().join("file"), content).unwrap();
        // The digest covers times, so that equal layers are equal only with equal times.
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        for path in [prepared.path().join("file"), prepared.path().to_owned()] {
            File::open(path).unwrap().set_modified(time).unwrap();
        }
        self.store.put_layer_directory(prepared.path()).unwrap()
    }

    fn image(&self, contents: &[&str]) -> Image {
        let layers: Vec<Digest> = contents
            .iter()
            .map(|content| self.layer(content).diff_id)
            .collect();
        let config = ImageConfig {
            cmd: Some(vec![contents.join("+")]),
            ..ImageConfig::default()
        };
        let document = ImageDocument {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            config,
            ..ImageDocument::default()
        };
        self.store.put_image(&document, &layers).unwrap()
    }

    fn tag(&self, image: &Image, name: &str) {
        self.store.tag(&image.id, &reference(name), None).unwrap();
    }

    fn remove(&self, name: &str) -> Result<Removal, ImageError> {
        self.store.remove(name, false, &|_| false)
    }

    fn collect(&self) -> Collected {
        self.store.collect(&BTreeSet::new()).unwrap()
    }
}

fn reference(name: &str) -> Reference {
    name.parse().unwrap()
}

#[test]
fn an_image_of_local_layers_is_found_by_name_and_id() {
    let ground = Ground::new();
    let image = ground.image(&["low", "high"]);
    for name in [
        "web",
        "web:2",
        "localhost:5000/team/web",
        "web/deep",
        "ghcr.io/a/b/c/d:e",
    ] {
        ground.tag(&image, name);
        let found = ground.store.resolve(&reference(name)).unwrap().unwrap();
        assert_eq!(
            found,
            Image {
                references: vec![reference(name)],
                ..image.clone()
            }
        );
        assert_eq!(ground.store.find(name).unwrap().unwrap().id, image.id);
    }
    let directories = image.layer_directories();
    assert_eq!(fs::read_to_string(directories[0].join("file")).unwrap(), "high");
    assert_eq!(fs::read_to_string(directories[1].join("file")).unwrap(), "low");
    for name in [
        image.id.to_string(),
        image.id.hex(),
        image.id.short(),
        image.id.hex()[..4].to_owned(),
    ] {
        assert_eq!(ground.store.find(&name).unwrap().unwrap().id, image.id, "{name}");
    }
    for name in [
        "absent",
        "web:3",
        "deadbeef",
        "sha256:",
        "",
        "../../etc/passwd",
        "Web",
        "we",
    ] {
        assert!(ground.store.find(name).unwrap().is_none(), "{name}");
    }
    assert_eq!(ground.store.list().unwrap()[0].references.len(), 5);
    assert_eq!(ground.store.document(&image.id).unwrap().config, image.config);
}

#[test]
fn a_layer_that_occurs_twice_is_mounted_once_where_it_is_highest() {
    let ground = Ground::new();
    let image = ground.image(&["same", "other", "same"]);
    let directories = image.layer_directories();
    assert_eq!(directories.len(), 2);
    assert_eq!(fs::read_to_string(directories[0].join("file")).unwrap(), "same");
}

#[test]
fn looking_up_takes_well_under_a_millisecond() {
    let ground = Ground::new();
    let image = ground.image(&["x"]);
    let name = reference("quick");
    ground.tag(&image, "quick");
    let start = Instant::now();
    for _ in 0..1000 {
        ground.store.resolve(&name).unwrap().unwrap();
    }
    // A bound a hundred times above what it takes: this finds a walk over all images, not a slow machine.
    assert!(
        start.elapsed().as_millis() < 5000,
        "{:?} for 1000 look-ups",
        start.elapsed()
    );
}

#[test]
fn a_name_goes_over_to_the_newer_image() {
    let ground = Ground::new();
    let (old, new) = (ground.image(&["1"]), ground.image(&["2"]));
    ground.tag(&old, "web");
    ground.tag(&new, "web");
    assert_eq!(
        ground.store.resolve(&reference("web")).unwrap().unwrap().id,
        new.id
    );
    let images = ground.store.list().unwrap();
    assert_eq!(
        images.iter().map(|image| image.references.len()).sum::<usize>(),
        1
    );
    assert_eq!(images.len(), 2, "the older one is still there by its id");
}

#[test]
fn the_last_name_takes_the_image_with_it() {
    let ground = Ground::new();
    let image = ground.image(&["x"]);
    ground.tag(&image, "one:1");
    ground.tag(&image, "other");
    ground
        .store
        .tag(
            &image.id,
            &reference("one").with_digest(Digest::of(b"m")),
            Some(Digest::of(b"m")),
        )
        .unwrap();
    let removal = ground.remove("other").unwrap();
    assert_eq!(
        removal,
        Removal {
            untagged: vec![reference("other")],
            deleted: None
        }
    );
    assert!(ground.store.find(&image.id.hex()).unwrap().is_some());
    let removal = ground.remove("one:1").unwrap();
    assert_eq!((removal.untagged.len(), removal.deleted), (2, Some(image.id)));
    assert!(ground.store.find(&image.id.hex()).unwrap().is_none());
    assert_eq!(
        fs::read_dir(ground.store.root().join("refs")).unwrap().count(),
        0,
        "empty directories of names go too"
    );
    assert!(matches!(
        ground.remove("one:1"),
        Err(ImageError::NoSuchImage { .. })
    ));
}

#[test]
fn by_id_all_names_go_but_only_by_force_if_there_are_several() {
    let ground = Ground::new();
    let image = ground.image(&["x"]);
    ground.tag(&image, "one");
    ground.tag(&image, "other");
    let id = image.id.short();
    let error = ground.remove(&id).unwrap_err().to_string();
    assert!(error.contains("it has 2 names"), "{error}");
    assert_eq!(
        ground.store.list().unwrap()[0].references.len(),
        2,
        "nothing was removed"
    );
    let removal = ground.store.remove(&id, true, &|_| false).unwrap();
    assert_eq!((removal.untagged.len(), removal.deleted), (2, Some(image.id)));
}

#[test]
fn an_image_in_use_stays() {
    let ground = Ground::new();
    let image = ground.image(&["x"]);
    ground.tag(&image, "one");
    ground.tag(&image, "two");
    let used = |id: &Digest| *id == image.id;
    assert_eq!(
        ground.store.remove("two", false, &used).unwrap().deleted,
        None,
        "another name is left"
    );
    let error = ground.store.remove("one", false, &used).unwrap_err().to_string();
    assert!(error.contains("a container uses it"), "{error}");
    assert!(ground.store.resolve(&reference("one")).unwrap().is_some());
    let removal = ground.store.remove("one", true, &used).unwrap();
    assert_eq!((removal.untagged.len(), removal.deleted), (1, None));
    assert!(ground.store.image(&image.id).unwrap().is_some());
}

#[test]
fn collecting_frees_what_nothing_needs_and_nothing_else() {
    let ground = Ground::new();
    let (kept, gone, running) = (
        ground.image(&["base", "kept"]),
        ground.image(&["base", "gone"]),
        ground.image(&["running"]),
    );
    for (image, name) in [(&kept, "kept"), (&gone, "gone"), (&running, "running")] {
        ground.tag(image, name);
    }
    ground.remove("gone").unwrap();
    ground.remove("running").unwrap();
    let loose = ground.layer("cached by a build");
    let used: BTreeSet<PathBuf> = running
        .layer_directories()
        .into_iter()
        .chain([loose.directory.clone()])
        .collect();
    let collected = ground.store.collect(&used).unwrap();
    assert_eq!((collected.layers, collected.blobs, collected.busy), (1, 2, false));
    assert!(collected.bytes > 0);
    assert!(
        kept.layer_directories()
            .iter()
            .chain(&used)
            .all(|directory| directory.join("file").exists())
    );
    assert!(!gone.layer_directories()[0].exists());
    assert_eq!(
        ground.store.resolve(&reference("kept")).unwrap().unwrap().id,
        kept.id
    );
    let collected = ground.collect();
    assert_eq!(collected.layers, 2, "once the container and the build are gone");
    assert_eq!(
        ground.collect(),
        Collected::default(),
        "nothing is left to collect"
    );
}

#[test]
fn nothing_is_collected_while_anybody_works() {
    let ground = Ground::new();
    let lease = ground.store.lease().unwrap();
    let other = ground.store.lease().unwrap();
    let layer = ground.layer("fresh");
    assert!(ground.collect().busy);
    drop(lease);
    assert!(ground.collect().busy);
    assert!(layer.directory.exists());
    drop(other);
    assert_eq!(ground.collect().layers, 1);
}

#[test]
fn what_a_crash_left_is_collected_but_a_download_may_be_resumed() {
    let ground = Ground::new();
    let ingest = ground.store.root().join("ingest");
    fs::create_dir_all(ingest.join("layer-1-1-1/deep")).unwrap();
    fs::write(ingest.join("layer-1-1-1/deep/file"), "x").unwrap();
    fs::create_dir_all(ingest.join("trash-1-1-1")).unwrap();
    fs::write(ingest.join("abc.lock"), "").unwrap();
    fs::write(ingest.join("young.part"), "x").unwrap();
    fs::write(ingest.join("old.part"), "x").unwrap();
    let long_ago = SystemTime::now() - std::time::Duration::from_hours(720);
    File::options()
        .write(true)
        .open(ingest.join("old.part"))
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    let images = ground.store.root().join("images");
    for (name, modified) in [(".new-1-1-1", long_ago), (".new-2-2-2", SystemTime::now())] {
        let file = File::create(images.join(name)).unwrap();
        file.set_modified(modified).unwrap();
    }
    ground.collect();
    assert!(!images.join(".new-1-1-1").exists(), "who wrote it was killed");
    assert!(images.join(".new-2-2-2").exists(), "somebody may be at it");
    let left: Vec<_> = fs::read_dir(&ingest)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["young.part"]);
    assert_eq!(ground.store.list().unwrap(), []);
}

#[test]
fn a_layer_without_its_record_or_from_before_a_power_cut_is_absent() {
    let ground = Ground::new();
    let layer = ground.layer("x");
    let record = ground.store.layer_record_path(&layer.diff_id);
    let text = fs::read_to_string(&record).unwrap();
    assert!(
        text.contains("unsynced_since_boot"),
        "not synced before an image needs it: {text}"
    );
    fs::write(
        &record,
        text.replace(
            "\"unsynced_since_boot\":\"",
            "\"unsynced_since_boot\":\"another boot ",
        ),
    )
    .unwrap();
    assert_eq!(ground.store.layer(&layer.diff_id).unwrap(), None);
    let document = ImageDocument::default();
    assert!(matches!(
        ground.store.put_image(&document, &[layer.diff_id]),
        Err(ImageError::NoLayer { .. })
    ));
    assert_eq!(ground.layer("x"), layer, "it is made again in its place");
    ground.store.put_image(&document, &[layer.diff_id]).unwrap();
    assert!(
        !fs::read_to_string(&record)
            .unwrap()
            .contains("unsynced_since_boot")
    );
    fs::remove_file(&record).unwrap();
    assert_eq!(ground.store.layer(&layer.diff_id).unwrap(), None);
}

#[test]
fn a_damaged_record_names_its_file() {
    let ground = Ground::new();
    let image = ground.image(&["x"]);
    let path = ground
        .store
        .root()
        .join("images")
        .join(format!("{}.json", image.id.hex()));
    fs::write(&path, "{").unwrap();
    assert_eq!(
        ground.store.image(&image.id).unwrap_err().to_string(),
        format!("{} is damaged", path.display())
    );
}

#[test]
fn equal_layers_made_at_the_same_time_are_one() {
    let ground = Ground::new();
    std::thread::scope(|scope| {
        let made: Vec<_> = (0..8).map(|_| scope.spawn(|| ground.layer("same"))).collect();
        let made: BTreeSet<_> = made
            .into_iter()
            .map(|thread| thread.join().unwrap().diff_id)
            .collect();
        assert_eq!(made.len(), 1);
    });
    assert_eq!(
        fs::read_dir(ground.store.root().join("layers")).unwrap().count(),
        2,
        "a directory and its record"
    );
    assert_eq!(
        fs::read_dir(ground.store.root().join("ingest")).unwrap().count(),
        0
    );
}
