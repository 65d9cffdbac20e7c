//! In: text. Out: names of projects, services, networks and volumes as distinct types.
//! **Invariant:** a value of these types is never empty.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $type(String);

        impl $type {
            /// Wraps a name that was validated where it was read.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $type {
            fn from(name: &str) -> Self {
                Self(name.to_owned())
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A project: `^[a-z0-9][a-z0-9_-]*$` (compose-go loader, project name rules).
    ProjectName
);
name!(
    /// A key of `services:`.
    ServiceName
);
name!(
    /// A key of the top-level `networks:`.
    NetworkKey
);
name!(
    /// A key of the top-level `volumes:`.
    VolumeKey
);
