//! Documents that mean two things, and the choice of a platform.

use super::*;

const LAYER: &str = r#"{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":3}"#;
const CONFIG: &str = r#"{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":3}"#;

fn manifest(extra: &str) -> String {
    format!(r#"{{"schemaVersion":2,"config":{CONFIG},"layers":[{LAYER}]{extra}}}"#)
}

fn entry(os: &str, architecture: &str, variant: &str, size: u64) -> String {
    format!(
        r#"{{"mediaType":"{OCI_MANIFEST}","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":{size},"platform":{{"os":"{os}","architecture":"{architecture}","variant":"{variant}"}}}}"#
    )
}

fn index(entries: &[String]) -> Index {
    let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
    match ManifestDocument::parse(OCI_INDEX, text.as_bytes()).unwrap() {
        ManifestDocument::Index(index) => index,
        ManifestDocument::Manifest(_) => panic!("an index was read as a manifest"),
    }
}

#[test]
fn reads_both_families() {
    let oci = ManifestDocument::parse(OCI_MANIFEST, manifest("").as_bytes()).unwrap();
    assert!(matches!(&oci, ManifestDocument::Manifest(manifest) if manifest.layers.len() == 1));
    let docker = manifest(&format!(r#","mediaType":"{DOCKER_MANIFEST}""#))
        .replace(OCI_CONFIG, DOCKER_CONFIG)
        .replace(
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        );
    ManifestDocument::parse(DOCKER_MANIFEST, docker.as_bytes()).unwrap();
    ManifestDocument::parse(&format!("{DOCKER_MANIFEST}; charset=utf-8"), docker.as_bytes()).unwrap();
}

#[test]
fn refuses_documents_with_two_meanings() {
    let both = manifest(r#","manifests":[]"#);
    let says_index = manifest(&format!(r#","mediaType":"{OCI_INDEX}""#));
    let index_with_layers = format!(r#"{{"schemaVersion":2,"manifests":[],"layers":[{LAYER}]}}"#);
    let index_with_config = format!(r#"{{"schemaVersion":2,"manifests":[],"config":{CONFIG}}}"#);
    let schema1 = manifest(r#","fsLayers":[]"#);
    let twice = manifest(r#","layers":[]"#);
    let version_1 = manifest("").replace("\"schemaVersion\":2", "\"schemaVersion\":1");
    let no_version = manifest("").replace("\"schemaVersion\":2,", "");
    let null_type = manifest(r#","mediaType":null"#);
    for (media_type, text, expected) in [
        (OCI_MANIFEST, &both, "\"manifests\""),
        (OCI_INDEX, &both, "\"layers\""),
        (OCI_MANIFEST, &says_index, "announced as"),
        (OCI_INDEX, &index_with_layers, "\"layers\""),
        (OCI_INDEX, &index_with_config, "\"config\""),
        (OCI_MANIFEST, &schema1, "\"fsLayers\""),
        (OCI_MANIFEST, &twice, "not valid"),
        (OCI_MANIFEST, &version_1, "schema version 1"),
        (OCI_MANIFEST, &no_version, "schema version 0"),
        (OCI_MANIFEST, &null_type, "announced as"),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            &manifest(""),
            "schema 1",
        ),
        ("application/json", &manifest(""), "not an image manifest"),
        ("", &manifest(""), "not an image manifest"),
        (OCI_MANIFEST, &"[]".to_owned(), "schema version 0"),
        (OCI_MANIFEST, &"{".to_owned(), "not valid"),
        (
            OCI_MANIFEST,
            &manifest("").replace("\"size\":3", "\"size\":-3"),
            "not valid",
        ),
        (
            OCI_MANIFEST,
            &manifest("").replace("sha256:e3", "sha256:../"),
            "not valid",
        ),
    ] {
        let error = ManifestDocument::parse(media_type, text.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{media_type} {text}: {error}");
    }
}

#[test]
fn refuses_what_is_no_image() {
    let chart = manifest("").replace(OCI_CONFIG, "application/vnd.cncf.helm.config.v1+json");
    let error = ManifestDocument::parse(OCI_MANIFEST, chart.as_bytes())
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "not a container image: its configuration is \"application/vnd.cncf.helm.config.v1+json\""
    );
    let odd_layer = manifest("").replace("image.layer.v1.tar+gzip", "image.layer.v1.tar+lzma");
    assert!(
        ManifestDocument::parse(OCI_MANIFEST, odd_layer.as_bytes())
            .unwrap_err()
            .to_string()
            .contains("its layer is")
    );
}

#[test]
fn refuses_a_flood_of_layers() {
    let layers = vec![LAYER; MOST_LAYERS + 1].join(",");
    let text = format!(r#"{{"schemaVersion":2,"config":{CONFIG},"layers":[{layers}]}}"#);
    assert!(
        ManifestDocument::parse(OCI_MANIFEST, text.as_bytes())
            .unwrap_err()
            .to_string()
            .contains("501 layers")
    );
}

#[test]
fn chooses_the_platform() {
    let index = index(&[
        entry("unknown", "unknown", "", 1),
        entry("windows", "amd64", "", 2),
        entry("linux", "arm", "v6", 3),
        entry("linux", "arm", "v7", 4),
        entry("linux", "amd64", "", 5),
        entry("linux", "amd64", "v3", 6),
        entry("linux", "arm64", "v8", 7),
    ]);
    let chosen = |text: &str| {
        index
            .choose(&text.parse().unwrap())
            .map(|descriptor| descriptor.size)
    };
    assert_eq!(chosen("linux/amd64").unwrap(), 5);
    assert_eq!(chosen("linux/amd64/v4").unwrap(), 6);
    assert_eq!(chosen("linux/arm/v7").unwrap(), 4);
    assert_eq!(chosen("linux/arm/v6").unwrap(), 3);
    assert_eq!(chosen("linux/arm64").unwrap(), 7);
    let error = chosen("linux/riscv64").unwrap_err().to_string();
    assert_eq!(
        error,
        "no image for linux/riscv64, only for windows/amd64, linux/arm/v6, linux/arm/v7, linux/amd64, linux/amd64/v3, linux/arm64/v8"
    );
}
