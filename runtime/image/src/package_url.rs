//! What a package is in: out: the URL it has everywhere (package-url.github.io, `purl-spec`).
//! **Invariant:** equal packages have equal URLs: qualifiers are sorted, empty ones left out.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt::Write as _;

use crate::platform::Platform;
use crate::reference::Reference;

/// `pkg:kind/namespace/name@version?key=value&…`; an empty namespace or version is left out.
pub(crate) fn package_url(
    kind: &str,
    namespace: &str,
    name: &str,
    version: &str,
    qualifiers: &[(&str, &str)],
) -> String {
    let mut url = format!("pkg:{kind}/");
    for segment in namespace.split('/').filter(|segment| !segment.is_empty()) {
        encode(&mut url, segment);
        url.push('/');
    }
    encode(&mut url, name);
    if !version.is_empty() {
        url.push('@');
        encode(&mut url, version);
    }
    let mut qualifiers = qualifiers.to_vec();
    qualifiers.retain(|(_, value)| !value.is_empty());
    qualifiers.sort_unstable();
    for (index, (key, value)) in qualifiers.into_iter().enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        url.push_str(key);
        url.push('=');
        encode(&mut url, value);
    }
    url
}

/// An image as BuildKit names it (moby/buildkit, util/purl): `pkg:docker/debian@bookworm?platform=linux%2Famd64`.
pub(crate) fn image_url(image: &Reference, platform: &Platform) -> String {
    let whole = image.familiar_name();
    let (namespace, name) = whole.rsplit_once('/').unwrap_or(("", &whole));
    let digest = image.digest().map(ToString::to_string).unwrap_or_default();
    let tag = match image.tag() {
        None if digest.is_empty() => "latest",
        tag => tag.unwrap_or_default(),
    };
    let platform = platform.to_string();
    package_url(
        "docker",
        namespace,
        name,
        tag,
        &[("digest", &digest), ("platform", &platform)],
    )
}

/// Everything but letters, digits, `.-_~` and the colon is written as `%XX`.
fn encode(url: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _written = write!(url, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_images_are_named_as_others_name_them() {
        assert_eq!(
            package_url(
                "deb",
                "debian",
                "libstdc++6",
                "1:12.2.0-14+deb12u1",
                &[("upstream", "gcc-12"), ("arch", "amd64"), ("distro", "")]
            ),
            "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14%2Bdeb12u1?arch=amd64&upstream=gcc-12"
        );
        let amd64 = "linux/amd64".parse().unwrap();
        let url = |name: &str| image_url(&name.parse().unwrap(), &amd64);
        assert_eq!(url("alpine"), "pkg:docker/alpine@latest?platform=linux%2Famd64");
        assert_eq!(
            url("localhost:5000/team/app:1"),
            "pkg:docker/localhost:5000/team/app@1?platform=linux%2Famd64"
        );
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(
            url(&format!("alpine@{digest}")),
            format!("pkg:docker/alpine?digest={digest}&platform=linux%2Famd64")
        );
    }
}
