//! In: packages. Out: an SPDX 2.3 document in JSON (spdx.github.io/spdx-spec/v2.3) that describes an image.
//! **Invariant:** the same image gives the same bytes: no time but the image's, no name of this host, everything sorted.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Inventory;
use super::os_release::Distribution;
use super::package::{Package, Supplier};
use crate::digest::Digest;

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const SYSTEM: &str = "SPDXRef-OperatingSystem";
const UNKNOWN: &str = "NOASSERTION";

/// The document of the image with this id. `created` is when it was made, in seconds since 1970.
pub(crate) fn document(image: &Digest, created: i64, inventory: &Inventory) -> Value {
    let distribution = inventory.distribution.as_ref();
    let mut packages = vec![described(IMAGE, "image", &image.to_string(), "CONTAINER")];
    if let Some(system) = distribution {
        let version = system.version.as_deref().unwrap_or_default();
        let mut entry = described(SYSTEM, &system.id, version, "OPERATING-SYSTEM");
        entry.extend(system.name.iter().map(|name| ("summary".to_owned(), json!(name))));
        packages.push(entry);
    }
    let mut licences = BTreeMap::new();
    let mut found: Vec<&Package> = inventory.packages.iter().collect();
    found.sort();
    found.dedup();
    packages.extend(
        found
            .into_iter()
            .map(|one| package(one, distribution, &mut licences)),
    );
    let relation = |from: &str, kind: &str, to: &Value| json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to});
    let mut relations = vec![relation(DOCUMENT, "DESCRIBES", &json!(IMAGE))];
    let parts = packages.iter().skip(1).filter_map(|part| part.get("SPDXID"));
    relations.extend(parts.map(|part| relation(IMAGE, "CONTAINS", part)));
    let written: Vec<Value> = licences
        .into_iter()
        .map(|(id, text)| json!({"licenseId": id, "name": text, "extractedText": text}))
        .collect();
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": image.to_string(),
        "documentNamespace": "",
        "creationInfo": {
            "created": seconds(created),
            "creators": [concat!("Tool: rcompose-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relations,
    });
    if !inventory.notes.is_empty() {
        document["comment"] = json!(inventory.notes.join("\n"));
    }
    if !written.is_empty() {
        document["hasExtractedLicensingInfos"] = json!(written);
    }
    // Of the content, so that two documents share a name only when they are one.
    let name = Digest::of(document.to_string().as_bytes()).hex();
    document["documentNamespace"] = json!(format!("https://spdx.org/spdxdocs/rcompose-{name}"));
    document
}

fn described(id: &str, name: &str, version: &str, purpose: &str) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("SPDXID".to_owned(), json!(id));
    entry.insert("name".to_owned(), json!(name));
    if !version.is_empty() {
        entry.insert("versionInfo".to_owned(), json!(version));
    }
    for (key, value) in [
        ("primaryPackagePurpose", json!(purpose)),
        ("downloadLocation", json!(UNKNOWN)),
        ("filesAnalyzed", json!(false)),
        ("licenseConcluded", json!(UNKNOWN)),
        ("licenseDeclared", json!(UNKNOWN)),
        ("copyrightText", json!(UNKNOWN)),
    ] {
        entry.insert(key.to_owned(), value);
    }
    entry
}

fn package(
    package: &Package,
    distribution: Option<&Distribution>,
    licences: &mut BTreeMap<String, String>,
) -> Map<String, Value> {
    let url = package.url(distribution);
    let kind = package.manager.kind();
    let readable: String = package
        .name
        .chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => character,
            _ => '-',
        })
        .collect();
    let id = format!("SPDXRef-{kind}-{readable}-{}", Digest::of(url.as_bytes()).short());
    let mut entry = described(&id, &package.name, &package.version, "LIBRARY");
    // A package of a distribution may be a program as well as a library.
    entry.shift_remove("primaryPackagePurpose");
    let supplier = match &package.supplier {
        None => UNKNOWN.to_owned(),
        Some(Supplier::Organization(name)) => format!("Organization: {name}"),
        Some(Supplier::Person(name)) => format!("Person: {}", with_mail(name)),
    };
    entry.insert("supplier".to_owned(), json!(supplier));
    for (key, value) in [("homepage", &package.homepage), ("summary", &package.summary)] {
        entry.extend(value.iter().map(|value| (key.to_owned(), json!(value))));
    }
    let source = package.source.iter();
    entry.extend(source.map(|source| ("sourceInfo".to_owned(), json!(format!("built from {source}")))));
    if let Some(licence) = &package.licence {
        let declared = declared(licence, licences);
        entry.insert("licenseDeclared".to_owned(), json!(declared));
    }
    let reference = json!([{
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": url,
    }]);
    entry.insert("externalRefs".to_owned(), reference);
    entry
}

/// `A B <a@b>` as `A B (a@b)`.
fn with_mail(name: &str) -> String {
    match name.split_once('<') {
        Some((name, mail)) => format!("{} ({})", name.trim(), mail.trim_end_matches('>').trim()),
        None => name.to_owned(),
    }
}

/// An expression of SPDX as it is; of anything else the id it is quoted under.
fn declared(licence: &str, quoted: &mut BTreeMap<String, String>) -> String {
    if spdx::Expression::parse(licence).is_ok() {
        return licence.to_owned();
    }
    let id = format!("LicenseRef-{}", Digest::of(licence.as_bytes()).short());
    quoted.insert(id.clone(), licence.to_owned());
    id
}

/// SPDX has no fractions of a second.
fn seconds(time: i64) -> String {
    jiff::Timestamp::from_second(time)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}
