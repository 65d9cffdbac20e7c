//! In: a status file of dpkg (deb-control(5), dpkg-query(1)). Out: the packages whose files are there.
//! **Invariant:** a paragraph that is cut or has no name or version is an error, never skipped.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use super::package::{Manager, Package, Supplier};

/// Reads all paragraphs. One without a `Status` counts as installed: files of `status.d` have none.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Package>, String> {
    let text = String::from_utf8_lossy(text);
    let mut packages = Vec::new();
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut first = 1;
    for (number, line) in text.lines().chain([""]).enumerate() {
        if line.trim().is_empty() {
            if !fields.is_empty() {
                packages.extend(package(&fields).map_err(|problem| format!("line {first}: {problem}"))?);
            }
            fields.clear();
            first = number + 2;
        } else if !line.starts_with([' ', '\t']) {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("line {}: no field", number + 1))?;
            fields.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        } else if fields.is_empty() {
            return Err(format!("line {}: goes on with no field", number + 1));
        }
    }
    Ok(packages)
}

fn package(fields: &BTreeMap<String, String>) -> Result<Option<Package>, String> {
    let field = |name: &str| fields.get(name).filter(|value| !value.is_empty()).cloned();
    let name = field("package").ok_or("a paragraph without a package")?;
    if let Some(status) = field("status") {
        let state = status.split_whitespace().nth(2);
        let state = state.ok_or_else(|| format!("{name} has the status `{status}`"))?;
        // Its files are gone.
        if matches!(state, "not-installed" | "config-files") {
            return Ok(None);
        }
    }
    let version = field("version").ok_or_else(|| format!("{name} has no version"))?;
    // `gcc-12 (12.2.0-14)`, where the package's own version is another.
    let source = field("source").map(|source| match source.split_once(" (") {
        Some((name, version)) => format!("{name}@{}", version.trim_end_matches(')')),
        None => source,
    });
    Ok(Some(Package {
        manager: Manager::Dpkg,
        architecture: field("architecture"),
        supplier: field("maintainer").map(Supplier::Person),
        homepage: field("homepage"),
        licence: None,
        summary: field("description"),
        name,
        version,
        source,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: libstdc++6\nStatus: install ok installed\nMaintainer: GCC <gcc@example.org>\n\
        Architecture: amd64\nSource: gcc-12 (12.2.0-14)\nVersion: 12.2.0-14+b1\nConffiles:\n /etc/x 0123\nDescription: C++ library\n \
        more: of it\n .\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\nPackage: half\nStatus: install \
        reinstreq unpacked\nVersion: 2:1\nArchitecture: all\n";

    #[test]
    fn packages_whose_files_are_there_are_found() {
        let packages = parse(STATUS.as_bytes()).unwrap();
        let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["libstdc++6", "half"]);
        assert_eq!(
            packages[0].url(None),
            "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bb1?arch=amd64&upstream=gcc-12%4012.2.0-14"
        );
        assert_eq!(packages[0].summary.as_deref(), Some("C++ library"));
        assert_eq!(packages[1].version, "2:1");
        assert_eq!(parse(b"").unwrap(), []);
    }

    #[test]
    fn a_damaged_file_is_an_error_with_its_line() {
        for (text, problem) in [
            ("Package: a\nVersion: 1\n\nPack", "line 4: no field"),
            (
                "Package: a\nStatus: install ok installed\n",
                "line 1: a has no version",
            ),
            ("\n\nVersion: 1\n", "line 3: a paragraph without a package"),
            (
                "Package: a\nStatus: installed\nVersion: 1\n",
                "line 1: a has the status `installed`",
            ),
            (" lost\n", "line 1: goes on with no field"),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(problem.to_owned()), "{text}");
        }
        assert!(parse(b"\xff\xfe\0").is_err());
    }
}
