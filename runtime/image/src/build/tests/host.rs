//! `FROM @host`, with a directory of the test's in the host's place.
use super::*;
use crate::Digest;
use crate::archive::{Format, Output, save};
use crate::error::ImageError;

/// The host these tests stand on: `known` is what is known of it.
fn host(known: &str) -> Bench {
    let bench = Bench::new(&[("../host/known", known), ("../host/etc/app", "of the host")]);
    bench.file("a.txt", "one");
    bench
}

fn failure(bench: &Bench, dockerfile: &str, change: impl FnOnce(&mut BuildRequest)) -> String {
    let (built, _) = bench.build_with(dockerfile, change);
    built.expect_err("is refused").to_string()
}

#[test]
fn a_step_on_the_host_is_done_again_when_another_host_is_known() {
    let bench = host("1");
    let dockerfile = "FROM @host\nRUN make\nCOPY a.txt /etc/\n";
    let image = bench.build(dockerfile);
    assert_eq!(image.host, Some(Digest::of(b"1")));
    assert_eq!(image.diff_ids.len(), 2, "the host is no layer");
    let directory = bench.root.path().join("host");
    assert_eq!(
        bench.ran.lock().unwrap()[0].lower,
        std::slice::from_ref(&directory)
    );
    assert_eq!(image.config.cmd, Some(vec!["/bin/sh".to_owned()]));
    let again = bench.build_with(dockerfile, |_| {});
    assert_eq!((again.0.unwrap().id, again.1), (image.id, 2));
    bench.file("../host/known", "2");
    let (other, cached) = bench.build_with(dockerfile, |_| {});
    assert_eq!((cached, bench.runs()), (0, 2));
    assert_eq!(other.unwrap().host, Some(Digest::of(b"2")));

    // Another image on this one: the host is the one of now, the layers are those of then.
    let above = format!("FROM {}\nRUN more\n", image.id);
    let top = bench.build(&above);
    assert_eq!(
        (top.host, &top.diff_ids[..2]),
        (Some(Digest::of(b"2")), &image.diff_ids[..])
    );
    let lower = bench.ran.lock().unwrap().last().unwrap().lower.clone();
    assert_eq!((lower.len(), lower.last()), (3, Some(&directory)));
    fs::remove_file(directory.join("known")).unwrap();
    assert!(failure(&bench, &above, |_| {}).contains("this host is no base"));
}

#[test]
fn what_is_copied_from_the_host_is_known_by_its_content() {
    let bench = host("1");
    let dockerfile =
        "FROM @host AS base\nFROM scratch\nCOPY --from=@host /etc/app /a\nCOPY --from=base /etc/app /b\n";
    let image = bench.build(dockerfile);
    assert_eq!(image.host, None, "files of the host are files like others");
    assert_eq!(content(&image, "b").as_deref(), Some("of the host"));
    bench.file("../host/known", "2");
    assert_eq!(bench.build_with(dockerfile, |_| {}).1, 2, "the same content");
    bench.file("../host/etc/app", "changed");
    let (image, cached) = bench.build_with(dockerfile, |_| {});
    assert_eq!(cached, 0, "though nothing else is known of the host");
    assert_eq!(content(&image.unwrap(), "a").as_deref(), Some("changed"));
    // By the name of a context, too.
    let (image, _) = bench.build_with("FROM files\nRUN make\n", |request| {
        let context = NamedContext::Image("@host".to_owned());
        request.contexts.insert("files".to_owned(), context);
    });
    assert!(image.unwrap().host.is_some());
}

#[test]
fn nothing_that_stands_on_the_host_is_told_elsewhere() {
    let bench = host("1");
    let on_host = "FROM @host\nRUN make\n";
    for (key, change) in [
        (
            "cache_to",
            (|request| request.steps_kept = StepsKept::InImage) as fn(&mut BuildRequest),
        ),
        ("cache_to", |request| request.steps_kept = StepsKept::InCaches),
        ("sbom", |request| request.attestations.sbom = true),
        ("provenance", |request| {
            request.attestations.provenance = Some(ProvenanceRequest::default());
        }),
    ] {
        let said = failure(&bench, on_host, change);
        assert!(said.contains(&format!("leave `{key}` out")), "{said}");
    }
    assert_eq!(bench.runs(), 0, "it is said before the work is done");
    let said = failure(&bench, "FROM --platform=linux/s390x @host\n", |_| {});
    assert!(said.contains("not for linux/s390x"), "{said}");

    // A stage may stand on it, if the result does not.
    let stages = "FROM @host AS on\nRUN make\nFROM scratch\nCOPY --from=on /ran /\nCOPY a.txt /\n";
    let (built, _) = bench.build_whole(stages, |request| {
        request.steps_kept = StepsKept::InCaches;
        request.attestations.provenance = Some(ProvenanceRequest::default());
    });
    let built = built.expect("builds");
    assert!(built.steps.iter().all(|step| step.of_result), "{:?}", built.steps);
    let attested = &built.image.attestations[0].predicate;
    let attested = fs::read_to_string(bench.store.blob_path(attested)).unwrap();
    assert!(
        attested.contains("rcompose:@host"),
        "what it is made of is told: {attested}"
    );

    let image = bench.build(on_host);
    assert!(matches!(image.can_leave(), Err(ImageError::StandsOnHost { .. })));
    let mut archive = Vec::new();
    let saved = save(
        &bench.store,
        &[image.id.to_string()],
        None,
        Format::Docker,
        &mut Output::Tar(&mut archive),
    );
    assert!(matches!(saved, Err(ImageError::StandsOnHost { .. })) && archive.is_empty());
}

#[test]
fn an_image_from_elsewhere_gets_nothing_of_the_host() {
    let bench = host("1");
    let image = bench.build("FROM @host\nRUN make\n");
    let bytes = bench.store.read_blob(&image.id).unwrap().unwrap();
    let document = bench.store.document(&image.id).unwrap();
    let taken = bench.store.record_image(&bytes, &document, None);
    assert!(matches!(taken, Err(ImageError::StandsOnOtherHost { id }) if id == image.id));
}
