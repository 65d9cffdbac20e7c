//! Tables of the short forms, and what they are long.

use super::*;
use crate::source::emit;
use crate::source::span::{SourceMap, Span};
use crate::source::yaml;

fn text(text: &str) -> Node {
    Node::string(text, Span::new(SourceMap::new().add("a", text), 0, text.len()))
}

fn printed(node: &Node) -> String {
    emit::json(node).to_string().replace('"', "")
}

#[test]
fn ports_become_long() {
    let table: [(&str, &[&str]); 12] = [
        ("80", &["{mode:ingress,target:80,protocol:tcp}"]),
        (
            "80:8080",
            &["{mode:ingress,target:8080,published:80,protocol:tcp}"],
        ),
        (
            "80:8080/UDP",
            &["{mode:ingress,target:8080,published:80,protocol:udp}"],
        ),
        ("80/", &["{mode:ingress,target:80,protocol:tcp}"]),
        (
            "80-81:90-91",
            &[
                "{mode:ingress,target:90,published:80,protocol:tcp}",
                "{mode:ingress,target:91,published:81,protocol:tcp}",
            ],
        ),
        (
            "80-80:8080",
            &["{mode:ingress,target:8080,published:80,protocol:tcp}"],
        ),
        (
            "7000-7002:99",
            &["{mode:ingress,target:99,published:7000-7002,protocol:tcp}"],
        ),
        (
            "127.0.0.1:8001:81",
            &["{mode:ingress,host_ip:127.0.0.1,target:81,published:8001,protocol:tcp}"],
        ),
        (
            "127.0.0.1::81",
            &["{mode:ingress,host_ip:127.0.0.1,target:81,protocol:tcp}"],
        ),
        (
            "[::1]:82:82",
            &["{mode:ingress,host_ip:::1,target:82,published:82,protocol:tcp}"],
        ),
        (
            "::1:82:82",
            &["{mode:ingress,host_ip:::1,target:82,published:82,protocol:tcp}"],
        ),
        (
            "3000-3001",
            &[
                "{mode:ingress,target:3000,protocol:tcp}",
                "{mode:ingress,target:3001,protocol:tcp}",
            ],
        ),
    ];
    for (short, long) in table {
        let nodes = port::expand(&text(short), &Trail::root()).expect(short);
        assert_eq!(nodes.iter().map(printed).collect::<Vec<_>>(), long, "{short}");
    }
}

#[test]
fn ports_that_are_none_are_refused() {
    for short in [
        "",
        "tcp",
        "0",
        "80:eighty",
        "eighty:80",
        "9999999",
        "80/xyz",
        "8000-8010:80-81",
        "90-80",
        "127.0.1:80:80",
        "1.2.3.4.5:80:80",
    ] {
        let refused = port::expand(&text(short), &Trail::root());
        assert_eq!(
            refused.map_err(|finding| finding.code),
            Err("bad-port"),
            "{short}"
        );
    }
}

#[test]
fn volumes_become_long() {
    let table = [
        ("/data", "{type:volume,target:/data,volume:{}}"),
        ("data:/data", "{type:volume,source:data,target:/data,volume:{}}"),
        ("data:/a/../b//", "{type:volume,source:data,target:/b,volume:{}}"),
        (
            "./a:/b:ro",
            "{type:bind,source:./a,target:/b,read_only:true,bind:{}}",
        ),
        ("~/a:/b", "{type:bind,source:~/a,target:/b,bind:{}}"),
        (
            "/a:/b:rw,rslave",
            "{type:bind,source:/a,target:/b,bind:{propagation:rslave}}",
        ),
        ("/a:/b:z", "{type:bind,source:/a,target:/b,bind:{selinux:z}}"),
        (
            "data:/data:nocopy",
            "{type:volume,source:data,target:/data,volume:{nocopy:true}}",
        ),
        (
            "data:/data:bogus",
            "{type:volume,source:data,target:/data,volume:{}}",
        ),
        ("C:\\a:/b", "{type:bind,source:C:\\\\a,target:/b,bind:{}}"),
        ("a:/a", "{type:volume,target:a:/a,volume:{}}"),
        ("d:", "{type:volume,target:d:}"),
        (
            "/a:/${B:-c:d}/e",
            "{type:bind,source:/a,target:/${B:-c:d}/e,bind:{}}",
        ),
    ];
    for (short, long) in table {
        let node = volume::expand(&text(short), &Trail::root()).expect(short);
        assert_eq!(printed(&node), long, "{short}");
    }
    for short in ["", "./a:", "/a::rw", ":/b:x", "/a:/b:ro:more"] {
        let refused = volume::expand(&text(short), &Trail::root());
        assert_eq!(
            refused.map_err(|finding| finding.code),
            Err("bad-volume"),
            "{short}"
        );
    }
}

#[test]
fn doubtful_volumes_are_warned_about() {
    let said = |short: &str| {
        let mut findings = Diagnostics::new();
        volume::warn(&text(short), &Trail::root(), &mut findings);
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!(said("data:/data:rx,ro"), ["unknown-volume-option"]);
    assert_eq!(said("c:/d"), ["one-letter-volume"]);
    assert_eq!(said("data:/data:ro,cached"), Vec::<&str>::new());
    assert_eq!(said("./c:/d"), Vec::<&str>::new());
}

#[test]
fn devices_default_to_the_same_path_and_all_permissions() {
    let table = [
        ("/dev/a", "{source:/dev/a,target:/dev/a,permissions:rwm}"),
        ("/dev/a:/dev/b", "{source:/dev/a,target:/dev/b,permissions:rwm}"),
        ("/dev/a:/dev/b:r", "{source:/dev/a,target:/dev/b,permissions:r}"),
    ];
    for (short, long) in table {
        let node = expand_device(&text(short), &Trail::root()).expect(short);
        assert_eq!(printed(&node), long);
    }
    assert!(expand_device(&text("a:b:c:d"), &Trail::root()).is_err());
}

#[test]
fn parts_of_long_forms_and_pairs_are_needed_or_refused() {
    let said = |lines: &str| {
        let text = format!("services: {{web: {{{lines}}}}}");
        let file = SourceMap::new().add("a", text.as_str());
        let mut root = yaml::parse(file, &text, &mut Diagnostics::new()).remove(0);
        let mut findings = Diagnostics::new();
        expand(&mut root, false, &mut findings);
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    let table = [
        ("ports: [{published: 80}]", Some("missing-key")),
        ("ports: [{target: 0}]", None),
        ("ports: [{target: 80, host_ip: ''}]", Some("bad-port")),
        ("devices: [{source: /dev/a}]", Some("missing-key")),
        ("build: {additional_contexts: [a]}", Some("bad-value")),
        ("build: {additional_contexts: [a=]}", None),
        ("build: {ssh: [default, id=key]}", None),
        ("build: {ssh: [id]}", Some("bad-value")),
        ("build: {ssh: {id: }}", None),
    ];
    for (lines, code) in table {
        assert_eq!(said(lines), Vec::from_iter(code), "{lines}");
    }
}
