//! Where a URL leads: its origin, what a `Location` means relative to it, and whether going there keeps the line protected.
//! **Invariant:** pure; two URLs have the same origin only when a secret for one may be sent to the other.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::RegistryError;
use crate::configuration::authority;

/// Scheme, host and port: where a secret may go.
pub(crate) fn origin(url: &str) -> (bool, String) {
    let is_https = url.starts_with("https://");
    let authority = authority(url).to_ascii_lowercase();
    let authority = authority.rsplit('@').next().unwrap_or_default().to_owned();
    let default = if is_https { ":443" } else { ":80" };
    (
        is_https,
        authority
            .strip_suffix(default)
            .map(str::to_owned)
            .unwrap_or(authority),
    )
}

/// Where `location`, given by an answer from `base`, leads; never from https to http, and never nowhere.
pub(crate) fn next(base: &str, location: &str) -> Result<String, RegistryError> {
    let next = absolute(base, location);
    if location.is_empty()
        || base.starts_with("https://") && !next.starts_with("https://")
        || authority(&next).is_empty()
    {
        return Err(RegistryError::Redirect {
            location: location.to_owned(),
        });
    }
    Ok(next)
}

/// `location`, relative to `base` where it is relative (RFC 3986 §5.2).
fn absolute(base: &str, location: &str) -> String {
    let scheme = if base.starts_with("https://") {
        "https:"
    } else {
        "http:"
    };
    if location.starts_with("https://") || location.starts_with("http://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}{location}")
    } else if location.starts_with('/') {
        format!("{scheme}//{}{location}", authority(base))
    } else {
        let directory = base
            .split(['?', '#'])
            .next()
            .unwrap_or(base)
            .rsplit_once('/')
            .map_or(base, |(directory, _)| directory);
        format!("{directory}/{location}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(origin("https://a.b/v2/"), origin("https://A.b:443/x"));
        assert_eq!(origin("http://a.b:80"), origin("http://a.b"));
        for (one, other) in [
            ("https://a.b", "http://a.b"),
            ("https://a.b", "https://a.b:444"),
            ("https://a.b", "https://x.a.b"),
            ("https://a.b", "https://a.b@evil.example/"),
            ("https://a.b", "https://a.b.evil.example/"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001"),
        ] {
            assert_ne!(origin(one), origin(other), "{one} {other}");
        }
    }

    #[test]
    fn resolves_relative_redirects() {
        let base = "https://r.example:5000/v2/a/blobs/x?y=/z";
        let next = |location| next(base, location).ok();
        assert_eq!(next("https://cdn/x").as_deref(), Some("https://cdn/x"));
        assert_eq!(next("//cdn/x").as_deref(), Some("https://cdn/x"));
        assert_eq!(next("/x?y").as_deref(), Some("https://r.example:5000/x?y"));
        assert_eq!(
            next("other").as_deref(),
            Some("https://r.example:5000/v2/a/blobs/other")
        );
        for refused in ["http://cdn/x", "", "https:///x", "//"] {
            assert_eq!(next(refused), None, "{refused:?}");
        }
    }
}
