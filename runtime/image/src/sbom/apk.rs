//! In: the database of apk (wiki.alpinelinux.org, "Apk spec"). Out: the installed packages.
//! **Invariant:** an entry that is cut or has no name or version is an error, never skipped.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use super::package::{Manager, Package, Supplier};

/// Reads all entries: lines `X:value`, with an empty line after each.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Package>, String> {
    let text = String::from_utf8_lossy(text);
    let mut packages = Vec::new();
    let mut fields: BTreeMap<char, String> = BTreeMap::new();
    for (number, line) in text.lines().chain([""]).enumerate() {
        if line.is_empty() {
            if !fields.is_empty() {
                packages.push(package(&fields).map_err(|problem| format!("line {number}: {problem}"))?);
            }
            fields.clear();
            continue;
        }
        let mut characters = line.chars();
        match (characters.next(), characters.next()) {
            // `F`, `R` and others occur once a file, and say nothing of the package.
            (Some(key), Some(':')) => drop(fields.insert(key, characters.as_str().to_owned())),
            _ => return Err(format!("line {}: no field", number + 1)),
        }
    }
    Ok(packages)
}

fn package(fields: &BTreeMap<char, String>) -> Result<Package, String> {
    let field = |key: char| fields.get(&key).filter(|value| !value.is_empty()).cloned();
    let name = field('P').ok_or("an entry without a package")?;
    let version = field('V').ok_or_else(|| format!("{name} has no version"))?;
    Ok(Package {
        manager: Manager::Apk,
        architecture: field('A'),
        source: field('o'),
        supplier: field('m').map(Supplier::Person),
        homepage: field('U'),
        licence: field('L'),
        summary: field('T'),
        name,
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_packages() {
        let text = b"C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\nS:1\nT:the libc\nU:https://musl.libc.org/\nL:MIT\no:musl\nm:A B <a@b.org>\n\
            F:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1x=\n\nP:busybox-binsh\nV:1.37-r1\nA:x86_64\no:busybox\nL:GPL-2.0-only\n\n";
        let packages = parse(text).unwrap();
        assert_eq!(packages.len(), 2);
        assert_eq!(packages[0].licence.as_deref(), Some("MIT"));
        assert_eq!(
            packages[1].url(None),
            "pkg:apk/alpine/busybox-binsh@1.37-r1?arch=x86_64&upstream=busybox"
        );
    }

    #[test]
    fn a_damaged_file_is_an_error_with_its_line() {
        assert_eq!(parse(b"P:a\nV:1\n\nxx\n"), Err("line 4: no field".to_owned()));
        assert_eq!(parse(b"P:a\nF:lib\n"), Err("line 2: a has no version".to_owned()));
        assert_eq!(
            parse(b"F:lib\n\n"),
            Err("line 1: an entry without a package".to_owned())
        );
    }
}
