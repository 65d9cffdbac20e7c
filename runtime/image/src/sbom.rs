//! In: the merged tree of an image. Out: its bill of materials: what the package managers of distributions have installed there.
//! **Invariant:** nothing of the image is executed, every path is resolved inside it, and what cannot be read whole is an error or is
//! named in a note: nothing is left out in silence.

mod apk;
mod dpkg;
mod files;
mod os_release;
mod package;
mod rpm;
mod spdx;
mod sqlite;
mod write_ahead_log;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

pub(crate) use self::spdx::document;
use crate::build::overlay::Tree;
use files::Files;
use os_release::Distribution;
use package::Package;

/// The type of an SPDX document in an attestation (in-toto, "SPDX Predicate").
pub(crate) const PREDICATE_TYPE: &str = "https://spdx.dev/Document";

const RPM: [&str; 3] = ["usr/lib/sysimage/rpm", "var/lib/rpm", "usr/share/rpm"];
/// Where others keep what they have installed, none of which is read.
const UNREAD: [(&str, &str); 4] = [
    ("var/lib/pacman/local", "pacman"),
    ("var/db/pkg", "Portage"),
    ("nix/store", "Nix"),
    ("var/db/xbps", "XBPS"),
];

/// Why an image has no bill of materials.
#[derive(Debug, Error)]
pub enum SbomError {
    /// A system call failed.
    #[error("cannot read /{} of the image", path.display())]
    Read {
        /// Inside the image.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Larger than any real one.
    #[error("/{} of the image has more than {limit} bytes", path.display())]
    TooLarge {
        /// Inside the image.
        path: PathBuf,
        /// How many it may have.
        limit: u64,
    },
    /// It is not what it should be.
    #[error("/{} of the image is damaged: {problem}", path.display())]
    Damaged {
        /// Inside the image.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// What is installed in an image.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    distribution: Option<Distribution>,
    packages: Vec<Package>,
    /// What is there but was not read.
    pub(crate) notes: Vec<String>,
}

/// Reads what is installed in a tree.
pub(crate) fn inventory(tree: &Tree) -> Result<Inventory, SbomError> {
    let files = Files(tree);
    let mut found = Inventory::default();
    for path in ["etc/os-release", "usr/lib/os-release"] {
        if let Some(text) = files.text(path)? {
            found.distribution = os_release::parse(&text);
            break;
        }
    }
    let mut databases = 0;
    let mut paths = vec!["var/lib/dpkg/status".to_owned()];
    let paragraphs = files.names("var/lib/dpkg/status.d")?;
    paths.extend(
        paragraphs
            .iter()
            .filter(|name| !name.ends_with(".md5sums"))
            .map(|name| format!("var/lib/dpkg/status.d/{name}")),
    );
    for path in paths {
        databases += found.add(&path, files.text(&path)?, dpkg::parse)?;
    }
    // The first is a link to the other where they are the same.
    for path in ["lib/apk/db/installed", "usr/lib/apk/db/installed"] {
        let read = found.add(path, files.text(path)?, apk::parse)?;
        databases += read;
        if read > 0 {
            break;
        }
    }
    for directory in RPM {
        let path = format!("{directory}/rpmdb.sqlite");
        if let Some(database) = files.database(&path)? {
            let log = files.database(&format!("{path}-wal"))?.unwrap_or_default();
            let parse = |database: &[u8]| rpm::parse(database, &log);
            databases += found.add(&path, Some(database), parse)?;
            break;
        }
        let older = [("Packages.db", "ndb"), ("Packages", "Berkeley DB")];
        let older = older
            .iter()
            .find(|(name, _)| files.is_there(&format!("{directory}/{name}")));
        if let Some((name, kind)) = older {
            let note = format!("/{directory}/{name} is not read: rpm's database in the format {kind}");
            found.notes.push(note);
            break;
        }
    }
    for (path, name) in UNREAD {
        if files.is_there(path) {
            found
                .notes
                .push(format!("/{path} is not read: packages of {name}"));
        }
    }
    if databases == 0 && found.notes.is_empty() {
        found
            .notes
            .push("no database of dpkg, apk or rpm is in the image".to_owned());
    }
    Ok(found)
}

impl Inventory {
    /// Adds a database's packages; how many databases that were: one or none.
    fn add(
        &mut self,
        path: &str,
        content: Option<Vec<u8>>,
        parse: impl Fn(&[u8]) -> Result<Vec<Package>, String>,
    ) -> Result<usize, SbomError> {
        let Some(content) = content else { return Ok(0) };
        let packages = parse(&content).map_err(|problem| SbomError::Damaged {
            path: path.into(),
            problem,
        })?;
        self.packages.extend(packages);
        Ok(1)
    }
}

#[cfg(test)]
#[path = "sbom/tests.rs"]
mod tests;
