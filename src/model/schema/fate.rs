//! What becomes of a key on this host, as data beside its shape: whether it works, within which limits, or why not.
//! **Invariant:** a key without a fate of its own claims to work; a test proves that something reads it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::shape::Key;

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Fate {
    /// It works as the specification says.
    Honoured,
    /// It works within these limits; a value beyond them is found where it is decoded.
    Limited(&'static str),
    /// It has no effect here, which a warning says: why, or what to do instead.
    Ignored(&'static str),
    /// The service would not run as meant without it, so it is an error: why, or what to do instead.
    Refused(&'static str),
    /// It is for Windows, and a warning says so: what to use here.
    Windows(&'static str),
}

impl Fate {
    /// Whether the key, and all below it, is told about at its line and then left out.
    pub(in crate::model) fn is_left_out(self) -> bool {
        matches!(self, Self::Ignored(_) | Self::Refused(_) | Self::Windows(_))
    }

    /// The word of the book.
    pub(in crate::model) fn word(self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::Limited(_) => "honoured with limits",
            Self::Ignored(_) => "no effect (warning)",
            Self::Refused(_) => "refused (error)",
            Self::Windows(_) => "Windows (warning)",
        }
    }

    /// The limits, the reason or the way out.
    pub(in crate::model) fn remark(self) -> &'static str {
        match self {
            Self::Honoured => "",
            Self::Limited(remark) | Self::Ignored(remark) | Self::Refused(remark) | Self::Windows(remark) => {
                remark
            }
        }
    }
}

impl Key {
    /// Works within limits.
    pub(super) const fn within(self, limits: &'static str) -> Self {
        self.with(Fate::Limited(limits))
    }

    /// Has no effect here.
    pub(super) const fn ignored(self, why: &'static str) -> Self {
        self.with(Fate::Ignored(why))
    }

    /// Cannot be done here.
    pub(super) const fn refused(self, why: &'static str) -> Self {
        self.with(Fate::Refused(why))
    }

    /// Is for Windows.
    pub(super) const fn windows(self, instead: &'static str) -> Self {
        self.with(Fate::Windows(instead))
    }

    const fn with(self, fate: Fate) -> Self {
        Self { fate, ..self }
    }
}
