//! Archives as docker, podman and buildkit write them; archives nobody should write; and imports.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::error::ImageError;
use crate::image_config::ImageConfig;
use crate::manifest::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use crate::platform::Platform;
use crate::sample_tar::{Sample, SampleTar};
use crate::store::ImageStore;

fn load(store: &ImageStore, archive: &[u8]) -> Result<Vec<crate::Image>, ImageError> {
    super::load(store, archive, None)
}

fn save(store: &ImageStore, names: &[String], archive: &mut Vec<u8>) -> Result<(), ImageError> {
    super::save(store, names, None, Format::Docker, &mut Output::Tar(archive))
}

struct Ground {
    scratch: tempfile::TempDir,
    store: ImageStore,
}

impl Ground {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let store = ImageStore::open(&scratch.path().join("images")).unwrap();
        Self { scratch, store }
    }

    fn import(&self, name: &str) -> crate::Image {
        let archive = SampleTar::new()
            .directory("bin", 0o755)
            .file("bin/tool", "tool")
            .symlink("sh", "bin/tool")
            .finish();
        let config = ImageConfig {
            cmd: Some(vec!["/bin/tool".to_owned()]),
            ..ImageConfig::default()
        };
        let name = name.parse().unwrap();
        import(
            &self.store,
            archive.as_slice(),
            Some(&name),
            &config,
            "made by a test",
            &Platform::host(),
            "2026-01-02T03:04:05Z",
        )
        .unwrap()
    }
}

fn layer(name: &str, content: &str) -> Vec<u8> {
    SampleTar::new().file(name, content).finish()
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    serde_json::to_vec(&json!({"os": "linux", "architecture": "amd64", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}})).unwrap()
}

fn member<'a>(path: &'a str, content: &'a [u8]) -> Sample<'a> {
    Sample {
        path: path.as_bytes(),
        content,
        ..Sample::default()
    }
}

#[test]
fn an_imported_image_is_one_layer() {
    let ground = Ground::new();
    let image = ground.import("imported:1");
    assert_eq!(image.diff_ids.len(), 1);
    assert_eq!(
        image.config.cmd.as_deref(),
        Some(["/bin/tool".to_owned()].as_slice())
    );
    let directory = &image.layer_directories()[0];
    assert_eq!(fs::read_to_string(directory.join("bin/tool")).unwrap(), "tool");
    assert_eq!(
        ground
            .store
            .resolve(&"imported:1".parse().unwrap())
            .unwrap()
            .unwrap(),
        image
    );
    assert_eq!(
        ground.store.document(&image.id).unwrap().history[0].comment,
        "made by a test"
    );
    assert_eq!(
        ground.import("again").id,
        image.id,
        "the same archive gives the same image"
    );
}

#[test]
fn what_is_saved_loads_with_the_same_id_and_names() {
    let (from, to) = (Ground::new(), Ground::new());
    let image = from.import("one:1");
    from.store
        .tag(&image.id, &"registry.example/team/two".parse().unwrap(), None)
        .unwrap();
    let mut bytes = Vec::new();
    save(
        &from.store,
        &["one:1".to_owned(), "registry.example/team/two".to_owned()],
        &mut bytes,
    )
    .unwrap();
    let mut again = Vec::new();
    save(
        &from.store,
        &["one:1".to_owned(), "registry.example/team/two".to_owned()],
        &mut again,
    )
    .unwrap();
    assert_eq!(bytes, again);
    let loaded = load(&to.store, bytes.as_slice()).unwrap();
    assert_eq!(loaded.len(), 1);
    assert_eq!(loaded[0].id, image.id);
    for name in ["one:1", "registry.example/team/two:latest"] {
        assert_eq!(to.store.find(name).unwrap().unwrap().id, image.id);
    }
    let mut from_loaded = Vec::new();
    save(
        &to.store,
        &["one:1".to_owned(), "registry.example/team/two".to_owned()],
        &mut from_loaded,
    )
    .unwrap();
    assert_eq!(from_loaded, bytes);
    let compressed = zstd::encode_all(bytes.as_slice(), 1).unwrap();
    assert_eq!(
        load(&Ground::new().store, compressed.as_slice()).unwrap()[0].id,
        image.id
    );
}

#[test]
fn a_saved_archive_is_an_oci_layout_and_a_docker_archive() {
    let ground = Ground::new();
    let image = ground.import("both:1");
    let mut bytes = Vec::new();
    save(&ground.store, &["both:1".to_owned()], &mut bytes).unwrap();
    let out = ground.scratch.path().join("out");
    tar::Archive::new(bytes.as_slice()).unpack(&out).unwrap();
    let read = |path: &str| fs::read(out.join(path)).unwrap();
    let json = |path: &str| serde_json::from_slice::<serde_json::Value>(&read(path)).unwrap();
    assert_eq!(read("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#);
    let docker = json("manifest.json");
    assert_eq!(docker[0]["RepoTags"], json!(["both:1"]));
    assert_eq!(docker[0]["Config"], format!("blobs/sha256/{}", image.id.hex()));
    let descriptor = &json("index.json")["manifests"][0];
    assert_eq!(
        descriptor["annotations"]["io.containerd.image.name"],
        "docker.io/library/both:1"
    );
    assert_eq!(
        descriptor["annotations"]["org.opencontainers.image.ref.name"],
        "1"
    );
    for entry in fs::read_dir(out.join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(
            Digest::of(&fs::read(&path).unwrap()).hex(),
            path.file_name().unwrap().to_str().unwrap()
        );
    }
    // As skopeo reads it: without docker's part.
    fs::remove_file(out.join("manifest.json")).unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all(".", &out).unwrap();
    let other = Ground::new();
    let loaded = load(&other.store, builder.into_inner().unwrap().as_slice()).unwrap();
    assert_eq!(
        (loaded[0].id, loaded[0].references[0].familiar()),
        (image.id, "both:1".to_owned())
    );
}

#[test]
fn a_layer_changed_on_disk_is_not_saved_under_its_old_digest() {
    let ground = Ground::new();
    let image = ground.import("changed");
    fs::write(image.layer_directories()[0].join("bin/tool"), "evil").unwrap();
    let error = save(&ground.store, &["changed".to_owned()], &mut Vec::new())
        .unwrap_err()
        .to_string();
    assert!(error.contains("layer on disk has digest"), "{error}");
}

#[test]
fn old_docker_archives_with_linked_layers_load() {
    let (one, two) = (layer("a", "1"), layer("b", "2"));
    let config = config(&[&one, &two, &one]);
    let manifest = json!([{"Config": "abc.json", "RepoTags": ["old:1", "old:2"], "Layers": ["x/layer.tar", "y/layer.tar", "z/layer.tar"]}]);
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let archive = SampleTar::new()
        .directory("x", 0o755)
        .add(&member("x/layer.tar", &one))
        .add(&member("y/layer.tar", &two))
        .symlink("z/layer.tar", "../x/layer.tar")
        .add(&member("abc.json", &config))
        .add(&member("manifest.json", &manifest))
        .finish();
    let ground = Ground::new();
    let images = load(&ground.store, archive.as_slice()).unwrap();
    assert_eq!(images[0].id, Digest::of(&config));
    assert_eq!(images[0].layer_directories().len(), 2);
    assert_eq!(ground.store.find("old:2").unwrap().unwrap().id, images[0].id);
    let twice = load(&ground.store, archive.as_slice()).unwrap();
    assert_eq!(twice[0].id, images[0].id);
}

#[test]
fn an_oci_layout_loads_and_attestations_are_passed_over() {
    let plain = layer("a", "1");
    let packed = zstd::encode_all(plain.as_slice(), 1).unwrap();
    let config = config(&[&plain]);
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": Digest::of(&config), "size": config.len()},
        "layers": [{"mediaType": format!("{OCI_LAYER}+zstd"), "digest": Digest::of(&packed), "size": packed.len()}]});
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let attestation = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": Digest::of(&config), "size": 3},
        "layers": [{"mediaType": "application/vnd.in-toto+json", "digest": Digest::of(b""), "size": 0}]});
    let attestation = serde_json::to_vec(&attestation).unwrap();
    let index = json!({"schemaVersion": 2, "manifests": [
        {"mediaType": OCI_MANIFEST, "digest": Digest::of(&attestation), "size": attestation.len()},
        {"mediaType": OCI_MANIFEST, "digest": Digest::of(&manifest), "size": manifest.len(),
         "annotations": {"org.opencontainers.image.ref.name": "registry.example/app:7"}}]});
    let index = serde_json::to_vec(&index).unwrap();
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::of(bytes).hex());
    let archive = SampleTar::new()
        .add(&member("./index.json", &index))
        .add(&member(&blob(&attestation), &attestation))
        .add(&member(&blob(&manifest), &manifest))
        .add(&member(&blob(&config), &config))
        .add(&member(&blob(&packed), &packed))
        .finish();
    let ground = Ground::new();
    let images = load(&ground.store, archive.as_slice()).unwrap();
    assert_eq!(images.len(), 1);
    assert_eq!(images[0].references[0].familiar(), "registry.example/app:7");
    assert_eq!(
        fs::read_to_string(images[0].layer_directories()[0].join("a")).unwrap(),
        "1"
    );
}

/// A docker archive with one layer called `name`, after `prepare` put other things into it.
fn archive_with_layer(name: &str, prepare: impl Fn(SampleTar) -> SampleTar) -> Vec<u8> {
    let plain = layer("a", "1");
    let config = config(&[&plain]);
    let manifest =
        serde_json::to_vec(&json!([{"Config": "config.json", "RepoTags": ["evil:1"], "Layers": [name]}]))
            .unwrap();
    prepare(
        SampleTar::new()
            .add(&member("config.json", &config))
            .add(&member("manifest.json", &manifest)),
    )
    .finish()
}

#[test]
fn names_of_an_archive_never_reach_the_host() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), layer("a", "1")).unwrap();
    let outside = secret.path().to_str().unwrap().to_owned();
    let dots = format!("../../../../../../../..{outside}");
    for (name, prepare) in [
        (outside.as_str(), None),
        (dots.as_str(), None),
        ("link", Some(outside.as_str())),
        ("link", Some(dots.as_str())),
        ("link", Some("link")),
    ] {
        let archive = archive_with_layer(name, |tar| match prepare {
            Some(target) => tar.symlink("link", target),
            None => tar,
        });
        let ground = Ground::new();
        let error = load(&ground.store, archive.as_slice()).unwrap_err();
        assert!(matches!(error, ImageError::NoMember { .. }), "{name}: {error}");
        assert_eq!(ground.store.list().unwrap(), []);
    }
}

#[test]
fn members_with_dots_are_not_written_anywhere() {
    let plain = layer("a", "1");
    let ground = Ground::new();
    let archive = archive_with_layer("layer", |tar| {
        tar.file("../../escaped", "evil")
            .file("/absolute", "evil")
            .add(&member("layer", &plain))
    });
    load(&ground.store, archive.as_slice()).unwrap();
    let mut pending = vec![ground.scratch.path().to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            assert!(
                !path.ends_with("escaped") && !path.ends_with("absolute"),
                "{}",
                path.display()
            );
            if path.is_dir() {
                pending.push(path);
            }
        }
    }
    assert!(!Path::new("/absolute").exists());
    assert_eq!(
        fs::read_dir(ground.store.root().join("ingest")).unwrap().count(),
        0
    );
}

#[test]
fn a_layer_must_be_the_one_the_configuration_names() {
    let other = layer("a", "2");
    let ground = Ground::new();
    let archive = archive_with_layer("layer", |tar| tar.add(&member("layer", &other)));
    let error = load(&ground.store, archive.as_slice()).unwrap_err().to_string();
    assert!(error.starts_with("layer has digest sha256:"), "{error}");
    assert_eq!(ground.store.list().unwrap(), []);
    assert_eq!(
        fs::read_dir(ground.store.root().join("layers")).unwrap().count(),
        0
    );
}

#[test]
fn errors_say_what_is_missing() {
    let ground = Ground::new();
    let failing = |archive: &[u8]| load(&ground.store, archive).unwrap_err().to_string();
    assert_eq!(
        failing(&SampleTar::new().file("x", "1").finish()),
        "the archive has no \"manifest.json or index.json\""
    );
    assert_eq!(
        failing(&archive_with_layer("absent", |tar| tar)),
        "the archive has no \"absent\""
    );
    assert_eq!(
        failing(&SampleTar::new().file("manifest.json", "{").finish()),
        "the archive's \"manifest.json\" is not valid"
    );
    assert_eq!(failing(b"no tar at all"), "cannot read the archive");
    let error = save(&ground.store, &["absent".to_owned()], &mut Vec::new())
        .unwrap_err()
        .to_string();
    assert_eq!(error, "no such image: absent");
}

#[test]
fn manifest_and_index_have_dockers_keys() {
    let ground = Ground::new();
    let image = ground.import("one:1");
    ground
        .store
        .tag(&image.id, &"one:2".parse().unwrap(), None)
        .unwrap();
    let mut bytes = Vec::new();
    // A repository means all of its tags.
    save(&ground.store, &["one".to_owned()], &mut bytes).unwrap();
    let members = members(&bytes);
    let layer = image.diff_ids[0];
    let size = ground.store.layer(&layer).unwrap().unwrap().size;
    let json = |name: &str| -> serde_json::Value { serde_json::from_slice(&members[name]).unwrap() };
    assert_eq!(
        json("manifest.json"),
        json!([{
            "Config": format!("blobs/sha256/{}", image.id.hex()),
            "RepoTags": ["one:1", "one:2"],
            "Layers": [format!("blobs/sha256/{}", layer.hex())],
            "LayerSources": {layer.to_string(): {
                "mediaType": "application/vnd.oci.image.layer.v1.tar", "size": size, "digest": layer,
            }},
        }])
    );
    assert_eq!(
        json("repositories"),
        json!({"one": {"1": layer.hex(), "2": layer.hex()}})
    );
    let index = json("index.json");
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(
        index["manifests"][0]["annotations"],
        json!({"io.containerd.image.name": "docker.io/library/one:1", "org.opencontainers.image.ref.name": "1"})
    );
    assert_eq!(index["manifests"][0].as_object().unwrap().len(), 4);
    let (mut unnamed, id) = (Vec::new(), image.id.hex());
    save(&ground.store, &[id], &mut unnamed).unwrap();
    let unnamed = self::members(&unnamed);
    assert!(!unnamed.contains_key("repositories"));
    let manifest: serde_json::Value = serde_json::from_slice(&unnamed["manifest.json"]).unwrap();
    assert_eq!(manifest[0]["RepoTags"], json!(null));
}

fn members(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(Result::unwrap);
    let read = |mut entry: tar::Entry<'_, &[u8]>| {
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        (entry.path().unwrap().display().to_string(), content)
    };
    entries.map(read).collect()
}

#[test]
fn an_oci_layout_goes_out_and_comes_in_as_archive_and_as_directory() {
    let ground = Ground::new();
    let image = ground.import("one:1");
    let names = ["one:1".to_owned()];
    let mut bytes = Vec::new();
    super::save(
        &ground.store,
        &names,
        None,
        Format::Oci,
        &mut Output::Tar(&mut bytes),
    )
    .unwrap();
    let files = members(&bytes);
    assert!(!files.contains_key("manifest.json") && !files.contains_key("repositories"));
    let directory = ground.scratch.path().join("layout");
    super::save(
        &ground.store,
        &names,
        None,
        Format::Oci,
        &mut Output::Directory(directory.clone()),
    )
    .unwrap();
    for (name, content) in &files {
        assert!(fs::read(directory.join(name)).unwrap() == *content, "{name}");
    }
    let (one, two) = (Ground::new(), Ground::new());
    for loaded in [
        load(&one.store, &bytes).unwrap(),
        load_directory(&two.store, &directory, None).unwrap(),
    ] {
        assert_eq!(loaded[0].id, image.id);
        assert_eq!(loaded[0].references, [names[0].parse().unwrap()]);
    }
    // A link in a directory is no file of it.
    let index = directory.join("index.json");
    fs::rename(&index, directory.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", &index).unwrap();
    let error = load_directory(&Ground::new().store, &directory, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the archive has no \"manifest.json or index.json\""
    );
}

#[test]
fn the_plain_directory_of_skopeo_loads() {
    let plain = layer("a", "1");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let config = config(&[&plain]);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": Digest::of(&config), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": Digest::of(&gzip), "size": gzip.len()}],
    });
    let ground = Ground::new();
    let directory = ground.scratch.path().join("dir");
    fs::create_dir(&directory).unwrap();
    for (name, content) in [
        (
            "version".to_owned(),
            b"Directory Transport Version: 1.1\n".to_vec(),
        ),
        ("manifest.json".to_owned(), serde_json::to_vec(&manifest).unwrap()),
        (Digest::of(&config).hex(), config.clone()),
        (Digest::of(&gzip).hex(), gzip.clone()),
    ] {
        fs::write(directory.join(name), content).unwrap();
    }
    let images = load_directory(&ground.store, &directory, None).unwrap();
    assert_eq!(images[0].id, Digest::of(&config));
    assert!(images[0].references.is_empty());
    // The archive it came as is kept as it is, and not packed a second time.
    assert!(ground.store.blob_path(&Digest::of(&gzip)).exists());
}

#[test]
fn a_platform_that_is_asked_for_is_the_one_that_comes() {
    let plain = layer("a", "1");
    let of = |architecture: &str| {
        let config = json!({
            "os": "linux", "architecture": architecture, "config": {},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&plain)]},
        });
        serde_json::to_vec(&config).unwrap()
    };
    let (amd64, arm64) = (of("amd64"), of("arm64"));
    let mut archive = SampleTar::new();
    let mut manifests = Vec::new();
    let mut put = |content: &[u8]| {
        let name = format!("blobs/sha256/{}", Digest::of(content).hex());
        archive = std::mem::take(&mut archive).add(&member(&name, content));
    };
    put(&plain);
    for (architecture, config) in [("amd64", &amd64), ("arm64", &arm64)] {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": Digest::of(config), "size": config.len()},
            "layers": [{"mediaType": OCI_LAYER, "digest": Digest::of(&plain), "size": plain.len()}],
        });
        let manifest = serde_json::to_vec(&manifest).unwrap();
        put(config);
        put(&manifest);
        manifests.push(json!({
            "mediaType": OCI_MANIFEST, "digest": Digest::of(&manifest), "size": manifest.len(),
            "platform": {"os": "linux", "architecture": architecture},
            "annotations": {"org.opencontainers.image.ref.name": "many:1"},
        }));
    }
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    let archive = archive
        .add(&member("index.json", &serde_json::to_vec(&index).unwrap()))
        .finish();
    for (platform, config) in [("linux/amd64", &amd64), ("linux/arm64", &arm64)] {
        let wanted = platform.parse().unwrap();
        let ground = Ground::new();
        let images = super::load(&ground.store, archive.as_slice(), Some(&wanted)).unwrap();
        assert_eq!(
            (images.len(), images[0].id),
            (1, Digest::of(config)),
            "{platform}"
        );
        let names = ["many:1".to_owned()];
        let riscv = "linux/riscv64".parse().unwrap();
        let error = super::save(
            &ground.store,
            &names,
            Some(&riscv),
            Format::Docker,
            &mut Output::Tar(&mut Vec::new()),
        );
        let expected = format!("image many:1 is for {platform}, not for linux/riscv64");
        assert_eq!(error.unwrap_err().to_string(), expected);
    }
}
