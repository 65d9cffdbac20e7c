//! What the short forms of Compose stand for, as far as merging needs it: an item of a list comes in, the key by
//! which it is told from others goes out. **Invariant:** a short form and its long form have the same key; an
//! item that is not valid has none and is left for the decoder to refuse.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::Path;

use super::implied::Implied;
use super::node::{Mapping, Node, Value};
use super::rebase::clean;

/// The key of `K=V` or `K`.
pub fn pair_key(item: &Node) -> Option<String> {
    let text = item.scalar_text()?;
    Some(
        text.split_once('=')
            .map_or(text.as_ref(), |(key, _)| key)
            .to_owned(),
    )
}

/// A scalar as it stands.
pub fn text_key(item: &Node) -> Option<String> {
    item.scalar_text().map(std::borrow::Cow::into_owned)
}

/// The path of an `env_file` entry.
pub fn env_file_key(item: &Node) -> Option<String> {
    text_key(item.get("path").unwrap_or(item))
}

/// Where a config or secret is mounted; `directory` is where those without a target go.
pub fn file_object_key(item: &Node, directory: &str) -> Option<String> {
    if let Some(target) = item.get("target") {
        return text_key(target);
    }
    let source = text_key(item.get("source").unwrap_or(item))?;
    Some(format!("{directory}/{source}"))
}

/// The path of a device inside the container.
pub fn device_key(item: &Node) -> Option<String> {
    if item.as_map().is_some() {
        return text_key(item.get("target").or_else(|| item.get("source"))?);
    }
    let text = item.as_str()?;
    let mut parts = text.split(':');
    let host = parts.next()?;
    Some(parts.next().unwrap_or(host).to_owned())
}

/// The path a volume is mounted at; compose-go cleans that of the short form only.
pub fn volume_key(item: &Node) -> Option<String> {
    if item.as_map().is_some() {
        return text_key(item.get("target")?);
    }
    let target = ShortVolume::parse(item.as_str()?)?.target;
    Some(clean(Path::new(target)).to_string_lossy().into_owned())
}

/// `host_ip:published:target/protocol` of a port.
pub fn port_key(item: &Node) -> Option<String> {
    if let Some(long) = item.as_map() {
        let text = |key: &str| long.get(key).and_then(text_key).filter(|text| !text.is_empty());
        let host = text("host_ip").unwrap_or_else(|| "0.0.0.0".to_owned());
        let protocol = text("protocol").unwrap_or_else(|| "tcp".to_owned());
        let (published, target) = (text("published").unwrap_or_default(), text("target")?);
        return Some(format!("{host}:{published}:{target}/{protocol}"));
    }
    let text = item.scalar_text()?;
    let port = ShortPort::parse(&text);
    let ip = port.ip.trim_start_matches('[').trim_end_matches(']');
    let host = if ip.is_empty() { "0.0.0.0" } else { ip };
    Some(format!(
        "{host}:{}:{}/{}",
        port.published,
        port.target,
        port.protocol.to_lowercase()
    ))
}

/// Short ports with ranges as one item per port, so that each can be told from others. Ranges that do not pair
/// up, or that publish one port on any of several, stay as they are.
pub fn expand_ports(items: Vec<Node>) -> Vec<Node> {
    let expand = |item: Node| -> Vec<Node> {
        let Some(texts) = item.as_str().and_then(expand_port) else {
            return vec![item];
        };
        texts
            .into_iter()
            .map(|text| {
                item.with_value(Value::String(text.into()))
                    .implied_by(Implied::PortOfRange)
            })
            .collect()
    };
    items.into_iter().flat_map(expand).collect()
}

fn expand_port(text: &str) -> Option<Vec<String>> {
    let port = ShortPort::parse(text);
    let targets = range(port.target).filter(|targets| targets.len() > 1)?;
    let ip = if port.ip.is_empty() {
        String::new()
    } else {
        format!("{}:", port.ip)
    };
    let suffix = if text.contains('/') {
        format!("/{}", port.protocol)
    } else {
        String::new()
    };
    if port.published.is_empty() {
        let colon = if ip.is_empty() { "" } else { ":" };
        return Some(
            targets
                .map(|target| format!("{ip}{colon}{target}{suffix}"))
                .collect(),
        );
    }
    let published = range(port.published).filter(|published| published.len() == targets.len())?;
    Some(
        published
            .zip(targets)
            .map(|(published, target)| format!("{ip}{published}:{target}{suffix}"))
            .collect(),
    )
}

/// How many ports a short form with a range in the container stands for; 0 without one.
pub fn ports_of_range(text: &str) -> usize {
    let targets = range(ShortPort::parse(text).target).map_or(0, |targets| targets.len());
    if targets > 1 { targets } else { 0 }
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(first..=last)
}

/// `[[ip:]published:]target[/protocol]` taken apart, not checked.
struct ShortPort<'a> {
    ip: &'a str,
    published: &'a str,
    target: &'a str,
    protocol: &'a str,
}

impl<'a> ShortPort<'a> {
    fn parse(text: &'a str) -> Self {
        let (address, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (host, target) = address.rsplit_once(':').unwrap_or(("", address));
        let (ip, published) = if host.ends_with(']') {
            (host, "")
        } else {
            host.rsplit_once(':').unwrap_or(("", host))
        };
        Self {
            ip,
            published,
            target,
            protocol,
        }
    }
}

/// `[source:]target[:options]` taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortVolume<'a> {
    /// The host path or volume name.
    pub source: Option<&'a str>,
    /// The path in the container.
    pub target: &'a str,
    /// The comma-separated options.
    pub options: Option<&'a str>,
}

impl<'a> ShortVolume<'a> {
    /// Splits at the colons, but not at the one of a drive letter (`C:\data`), as compose-go does for any single
    /// letter. `None` if a section is empty or there are too many.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut sections = Vec::new();
        let mut start = 0;
        for (at, _) in text.match_indices(':') {
            let section = &text[start..at];
            let is_drive =
                section.chars().count() == 1 && section.chars().all(char::is_alphabetic) && text.len() > 2;
            if !is_drive {
                sections.push(section);
                start = at + 1;
            }
        }
        sections.push(&text[start..]);
        if sections.iter().any(|section| section.is_empty()) {
            return None;
        }
        match sections[..] {
            [target] => Some(Self {
                source: None,
                target,
                options: None,
            }),
            [source, target] => Some(Self {
                source: Some(source),
                target,
                options: None,
            }),
            [source, target, options] => Some(Self {
                source: Some(source),
                target,
                options: Some(options),
            }),
            _ => None,
        }
    }

    /// The source, if it is a path of the host rather than a volume's name.
    pub fn host_path(self) -> Option<&'a str> {
        let source = self.source?;
        let mut chars = source.chars();
        let is_drive = chars.next().is_some_and(char::is_alphabetic) && chars.next() == Some(':');
        (source.starts_with(['.', '/', '~']) || source.starts_with("\\\\") || is_drive).then_some(source)
    }
}

/// `K=V` items as a mapping, `K` alone as a key without a value; `None` if an item is no scalar.
pub fn pairs_to_mapping(items: &[Node]) -> Option<Mapping> {
    let mut mapping = Mapping::new();
    for item in items {
        let text = item.scalar_text()?;
        let (key, value) = text
            .split_once('=')
            .map_or((text.as_ref(), None), |(key, value)| (key, Some(value)));
        let value = value.map_or(Value::Null, |value| Value::String(value.into()));
        mapping.insert(key, item.span, item.with_value(value));
    }
    Some(mapping)
}

/// A list of names as a mapping from each name to what `default` gives; `None` if an item is no text.
pub fn names_to_mapping(items: &[Node], default: &dyn Fn(&Node) -> Node) -> Option<Mapping> {
    let mut mapping = Mapping::new();
    for item in items {
        mapping.insert(item.as_str()?, item.span, default(item));
    }
    Some(mapping)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::span::{SourceMap, Span};

    fn text(text: &str) -> Node {
        Node::string(text, Span::new(SourceMap::new().add("a", ""), 0, 0))
    }

    fn long(pairs: &[(&str, &str)]) -> Node {
        let here = text("").span;
        let mut mapping = Mapping::new();
        for (key, value) in pairs {
            mapping.insert(*key, here, Node::string(*value, here));
        }
        Node::map(mapping, here)
    }

    #[test]
    fn short_and_long_forms_have_the_same_key() {
        let port = long(&[("target", "80"), ("published", "8080")]);
        assert_eq!(port_key(&text("8080:80")), port_key(&port));
        assert_eq!(port_key(&text("0.0.0.0:8080:80/tcp")), port_key(&port));
        assert_ne!(port_key(&text("8080:80/udp")), port_key(&port));
        assert_ne!(port_key(&text("127.0.0.1:8080:80")), port_key(&port));
        assert_eq!(port_key(&text("[::1]:82:83")).as_deref(), Some("::1:82:83/tcp"));
        assert_eq!(
            volume_key(&text("data:/x/:ro")),
            volume_key(&long(&[("type", "bind"), ("target", "/x")]))
        );
        assert_eq!(volume_key(&text("/x")), volume_key(&text("./a:/x")));
        assert_eq!(volume_key(&text("./a:")), None);
        assert_eq!(
            file_object_key(&text("s"), "/run/secrets"),
            file_object_key(&long(&[("source", "s")]), "/run/secrets")
        );
        assert_eq!(
            device_key(&text("/dev/a:/dev/b:rwm")),
            device_key(&long(&[("target", "/dev/b")]))
        );
        assert_eq!(pair_key(&text("A=b=c")).as_deref(), Some("A"));
    }

    #[test]
    fn drive_letters_are_not_separators() {
        let volume = ShortVolume::parse("C:\\data:/x:ro").expect("valid");
        assert_eq!(
            (volume.source, volume.target, volume.options),
            (Some("C:\\data"), "/x", Some("ro"))
        );
        assert!(volume.host_path().is_some());
        assert_eq!(
            ShortVolume::parse("data:/x").and_then(ShortVolume::host_path),
            None
        );
        assert_eq!(
            ShortVolume::parse("~/a:/x").and_then(ShortVolume::host_path),
            Some("~/a")
        );
        assert!(ShortVolume::parse("a:/x:ro:more:").is_none());
    }

    #[test]
    fn port_ranges_become_single_ports_only_where_they_pair_up() {
        let texts = |spec: &str| -> Vec<String> {
            expand_ports(vec![text(spec)])
                .iter()
                .filter_map(|node| node.as_str().map(String::from))
                .collect()
        };
        assert_eq!(texts("9000-9001:90-91/udp"), ["9000:90/udp", "9001:91/udp"]);
        assert_eq!(texts("127.0.0.1::5-6"), ["127.0.0.1::5", "127.0.0.1::6"]);
        assert_eq!(texts("3000-3001"), ["3000", "3001"]);
        assert_eq!(texts("7000-7002:99"), ["7000-7002:99"]);
        assert_eq!(texts("8000-8010:80-81"), ["8000-8010:80-81"]);
        assert_eq!(texts("9-3"), ["9-3"]);
    }
}
