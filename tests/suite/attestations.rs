//! Provenance and bills of materials: what is asked for goes with the image, and says what is so.

use serde_json::Value;

use crate::host::Host;
use crate::registry::{Registry, digest};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A document of the registry, which must have the digest it is asked for by.
fn document(registry: &Registry, path: &str) -> Value {
    let answer = ureq::get(format!("http://{}/v2/{path}", registry.address()))
        .header("accept", INDEX)
        .header("accept", crate::registry::MANIFEST)
        .call()
        .expect("it is there");
    let bytes = answer.into_body().read_to_vec().expect("a body");
    if let Some((_, wanted)) = path
        .rsplit_once('/')
        .filter(|(_, name)| name.starts_with("sha256:"))
    {
        assert_eq!(digest(&bytes), wanted);
    }
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The statements that go with an image, and the image's manifest descriptor.
fn statements(registry: &Registry, repository: &str, tag: &str) -> (Value, Vec<Value>) {
    let index = document(registry, &format!("{repository}/manifests/{tag}"));
    assert_eq!(index["mediaType"], INDEX, "{index}");
    let [image, about] = index["manifests"].as_array().expect("manifests").as_slice() else {
        panic!("an image and its attestations: {index}");
    };
    assert_eq!(image["platform"]["os"], "linux");
    assert_eq!(
        about["platform"],
        serde_json::json!({"architecture": "unknown", "os": "unknown"})
    );
    assert_eq!(
        about["annotations"]["vnd.docker.reference.type"],
        "attestation-manifest"
    );
    assert_eq!(
        about["annotations"]["vnd.docker.reference.digest"],
        image["digest"]
    );
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let manifest = document(
        registry,
        &format!("{repository}/manifests/{}", text(&about["digest"])),
    );
    let config = document(
        registry,
        &format!("{repository}/blobs/{}", text(&manifest["config"]["digest"])),
    );
    let layers = manifest["layers"].as_array().expect("layers");
    let digests: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
    assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!(digests));
    let statements = layers.iter().map(|layer| {
        assert_eq!(layer["mediaType"], "application/vnd.in-toto+json");
        let statement = document(
            registry,
            &format!("{repository}/blobs/{}", text(&layer["digest"])),
        );
        assert_eq!(
            statement["predicateType"],
            layer["annotations"]["in-toto.io/predicate-type"]
        );
        assert_eq!(
            statement["subject"][0]["digest"]["sha256"],
            text(&image["digest"]).trim_start_matches("sha256:")
        );
        statement
    });
    let statements = statements.collect();
    (image.clone(), statements)
}

#[test]
fn privileged_a_debian_image_is_pushed_with_its_packages_and_how_it_was_built() {
    let registry = Registry::start();
    let at = registry.address();
    let host = Host::empty();
    crate::images::debian(&host);
    host.write("key", "sesame");
    host.write(
        "compose.yaml",
        &format!(
            "name: p\nsecrets: {{key: {{file: ./key}}}}\nservices:\n  app:\n    image: {at}/team/app:1\n    build:\n      provenance: mode=max\n      sbom: true\n      \
             args: {{COLOUR: blue}}\n      secrets: [key]\n      dockerfile_inline: |\n        FROM debian:bookworm-slim\n        ARG COLOUR\n        \
             RUN --mount=type=secret,id=key test -s /run/secrets/key\n        RUN dpkg-query -W -f '$${{Package}} $${{Version}} $${{Architecture}}\\n' > /listed\n  plain:\n    \
             image: {at}/plain:1\n    build: {{dockerfile_inline: FROM debian:bookworm-slim}}\n"
        ),
    );
    host.rcompose(["build"]).success();
    host.rcompose(["push"]).success();

    let (image, statements) = statements(&registry, "team/app", "1");
    let [sbom, provenance] = statements.as_slice() else {
        panic!("two statements: {statements:?}");
    };
    let subject = sbom["subject"][0]["name"].as_str().expect("a name");
    assert!(
        subject.starts_with(&format!("pkg:docker/{at}/team/app@1?platform=linux%2F")),
        "{subject}"
    );
    let ran = host.rcompose(["run", "--rm", "app", "cat", "/listed"]).success();
    host.rcompose(["down"]).success();
    let mut listed: Vec<&str> = ran.stdout.lines().collect();
    listed.sort_unstable();
    assert!(listed.len() > 50, "{listed:?}");
    let packages = sbom["predicate"]["packages"].as_array().expect("packages");
    let mut described: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let url = package["externalRefs"][0]["referenceLocator"].as_str()?;
            let (_, architecture) = url.split_once("arch=")?;
            let architecture = architecture.split('&').next()?;
            assert!(
                url.starts_with("pkg:deb/debian/") && url.contains("distro=debian-12"),
                "{url}"
            );
            Some(format!(
                "{} {} {architecture}",
                package["name"].as_str()?,
                package["versionInfo"].as_str()?
            ))
        })
        .collect();
    described.sort_unstable();
    assert_eq!(described, listed);

    assert_eq!(provenance["predicateType"], "https://slsa.dev/provenance/v0.2");
    let told = &provenance["predicate"];
    assert_eq!(
        told["invocation"]["parameters"]["args"]["build-arg:COLOUR"],
        "blue"
    );
    assert_eq!(
        told["invocation"]["parameters"]["secrets"],
        serde_json::json!([{"id": "key"}])
    );
    assert!(!provenance.to_string().contains("sesame"));
    let material = &told["materials"][0];
    let uri = material["uri"].as_str().expect("a material");
    assert!(
        uri.starts_with("pkg:docker/debian@bookworm-slim?platform="),
        "{uri}"
    );
    let base = host
        .rcompose(["image", "inspect", "debian:bookworm-slim"])
        .success();
    let base: Value = serde_json::from_str(&base.stdout).expect("JSON");
    // What it is in its registry, if it came from one.
    let pinned = base[0]["RepoDigests"][0].as_str().or(base[0]["Id"].as_str());
    let (_, digest) = pinned.expect("an id").split_once("sha256:").expect("a digest");
    assert_eq!(material["digest"]["sha256"], digest);

    let plain = document(&registry, "plain/manifests/1");
    assert_eq!(
        plain["mediaType"],
        crate::registry::MANIFEST,
        "nothing was asked for: {plain}"
    );

    // Others get the image itself, whichever name it goes by.
    let elsewhere = Host::empty();
    let name = format!("{at}/team/app:1");
    elsewhere.rcompose(["image", "pull", "-q", &name]).success();
    let id = |host: &Host| {
        host.rcompose(["image", "inspect", "-f", "{{.Id}}", &name])
            .success()
            .stdout
    };
    assert_eq!(id(&elsewhere), id(&host));
    let again = host.rcompose(["push", "app"]).success();
    assert!(again.stderr.contains("Pushed"), "{}", again.stderr);
    let (same, _) = self::statements(&registry, "team/app", "1");
    assert_eq!(same["digest"], image["digest"]);
}

#[test]
fn privileged_flags_go_before_the_file_and_the_next_build_decides() {
    let host = Host::with_busybox();
    let attested = |host: &Host| {
        let shown = host.rcompose(["image", "inspect", "p:1"]).success().stdout;
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        let kinds = shown[0]["Attestations"].as_array().into_iter().flatten();
        kinds
            .map(|one| one["PredicateType"].as_str().expect("a type").to_owned())
            .collect::<Vec<_>>()
    };
    host.write(
        "compose.yaml",
        "name: p\nservices:\n  app:\n    image: p:1\n    build:\n      provenance: mode=min,version=v1\n      dockerfile_inline: FROM busybox:test\n",
    );
    let built = host.rcompose(["build", "--sbom", "true"]).success();
    assert_eq!(
        attested(&host),
        ["https://spdx.dev/Document", "https://slsa.dev/provenance/v1"]
    );
    assert!(
        built
            .stderr
            .contains("no database of dpkg, apk or rpm is in the image"),
        "{}",
        built.stderr
    );
    // A collection keeps them.
    host.rcompose(["image", "prune", "-f"]).success();
    host.rcompose(["image", "save", "--format", "oci-dir", "-o", "layout", "p:1"])
        .success();
    let at = |name: &str| -> Value {
        let bytes = std::fs::read(host.work().join("layout").join(name)).expect("a file");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    let top = at("index.json");
    let blob = |value: &Value| {
        at(&format!(
            "blobs/sha256/{}",
            &value["digest"].as_str().expect("a digest")[7..]
        ))
    };
    let index = blob(&top["manifests"][0]);
    let statements = blob(&index["manifests"][1]);
    assert_eq!(statements["layers"].as_array().map(Vec::len), Some(2));
    let statement = blob(&statements["layers"][1]);
    assert_eq!(
        statement["predicate"]["buildDefinition"]["externalParameters"]["request"]["frontend"],
        "dockerfile.v0"
    );
    let id = host
        .rcompose(["image", "inspect", "-f", "{{.Id}}", "p:1"])
        .success()
        .stdout;
    let elsewhere = Host::empty();
    let layout = host.work().join("layout");
    elsewhere
        .rcompose(["image", "load", "-i", layout.to_str().expect("utf-8 path")])
        .success();
    let loaded = elsewhere
        .rcompose(["image", "inspect", "-f", "{{.Id}}", "p:1"])
        .success();
    assert_eq!(loaded.stdout, id);

    host.rcompose(["build", "--provenance", "false"]).success();
    assert_eq!(attested(&host), [""; 0]);
    let refused = host.rcompose(["build", "--provenance", "mode=most"]);
    assert!(
        refused
            .fails_with(1)
            .stderr
            .contains("mode=most is neither min nor max")
    );
    host.write(
        "compose.yaml",
        "name: p\nservices:\n  app:\n    build:\n      sbom: generator=some/scanner\n      dockerfile_inline: FROM busybox:test\n",
    );
    let refused = host.rcompose(["build"]).fails_with(1);
    assert!(
        refused.stderr.contains("compose.yaml:5:13") && refused.stderr.contains("is not run"),
        "{}",
        refused.stderr
    );
}

#[test]
fn privileged_a_damaged_database_is_told_and_no_image_is_made() {
    let host = Host::with_busybox();
    host.write(
        "compose.yaml",
        "name: p\nservices:\n  app:\n    image: p:1\n    build:\n      sbom: true\n      dockerfile_inline: |\n        FROM busybox:test\n        COPY <<X /var/lib/dpkg/status\n        Package: half\n        X\n",
    );
    let failed = host.rcompose(["build"]).fails_with(1);
    assert!(
        failed.stderr.contains("no bill of materials can be made")
            && failed
                .stderr
                .contains("/var/lib/dpkg/status of the image is damaged: line 1: half has no version"),
        "{}",
        failed.stderr
    );
    host.rcompose(["image", "inspect", "p:1"]).fails_with(1);
}
