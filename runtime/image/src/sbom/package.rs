//! In: what a database says of a package. Out: the same, whatever kind of database it was.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::os_release::Distribution;
use crate::package_url::package_url;

/// Who installs packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Manager {
    Apk,
    Dpkg,
    Rpm,
}

impl Manager {
    /// The type of its packages' URLs.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Apk => "apk",
            Self::Dpkg => "deb",
            Self::Rpm => "rpm",
        }
    }

    /// Where its packages come from when the image does not say.
    fn distribution(self) -> &'static str {
        match self {
            Self::Apk => "alpine",
            Self::Dpkg => "debian",
            Self::Rpm => "",
        }
    }
}

/// Who stands behind a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Supplier {
    Person(String),
    Organization(String),
}

/// An installed package. Fields that the database does not have are none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) architecture: Option<String>,
    pub(super) manager: Manager,
    /// What it was built from: `name`, `name@version`, or the file of a source package.
    pub(super) source: Option<String>,
    pub(super) supplier: Option<Supplier>,
    pub(super) homepage: Option<String>,
    pub(super) licence: Option<String>,
    pub(super) summary: Option<String>,
}

impl Package {
    pub(super) fn url(&self, distribution: Option<&Distribution>) -> String {
        let namespace = distribution.map_or_else(|| self.manager.distribution(), |known| known.id.as_str());
        let release = distribution.map(Distribution::release).unwrap_or_default();
        // An rpm's epoch is no part of its version in its URL.
        let (epoch, version) = match self.version.split_once(':') {
            Some((epoch, version)) if self.manager == Manager::Rpm => (epoch, version),
            _ => ("", self.version.as_str()),
        };
        package_url(
            self.manager.kind(),
            namespace,
            &self.name,
            version,
            &[
                ("arch", self.architecture.as_deref().unwrap_or_default()),
                ("distro", &release),
                ("epoch", epoch),
                ("upstream", self.source.as_deref().unwrap_or_default()),
            ],
        )
    }
}
