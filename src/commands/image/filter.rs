//! In: `--filter KEY=VALUE` of `image ls`, `image prune` and `system prune`. Out: which images fit.
//! **Invariant:** a filter that is not understood is an error, never one that everything passes.

use jiff::Timestamp;
use rcompose_runtime::image_store::{Image, ImageStore, Reference};

use super::find;
use crate::error::CliError;
use crate::model::units::parse_duration;

/// One filter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Filter {
    Dangling(bool),
    Label {
        key: String,
        value: Option<String>,
        present: bool,
    },
    Older(Timestamp),
    Newer(Timestamp),
    Name(String),
}

/// All that were given: an image must pass each, but only one of those of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::commands) struct Filters(Vec<Filter>);

impl Filters {
    /// Reads filters; `known` are the keys that the command takes.
    pub(in crate::commands) fn parse(
        written: &[String],
        known: &[&str],
        store: &ImageStore,
    ) -> Result<Self, CliError> {
        let mut filters = Vec::new();
        for text in written {
            let wrong = |problem: &str| {
                CliError::usage(format!("--filter {text}: {problem}"))
                    .with_hint(format!("filters are {}, each as KEY=VALUE", known.join(", ")))
            };
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| wrong("a filter is KEY=VALUE"))?;
            let (key, present) = match key.strip_suffix('!') {
                Some(key) => (key, false),
                None => (key, true),
            };
            if !known.contains(&key) || !present && key != "label" {
                return Err(wrong("there is no such filter"));
            }
            filters.push(match key {
                "dangling" => Filter::Dangling(match value {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(wrong("expected true or false")),
                }),
                "label" => label(value, present),
                "until" => Filter::Older(moment(value).ok_or_else(|| {
                    wrong("expected an age such as 24h, a time such as 2026-01-02T03:04:05Z, or seconds since 1970")
                })?),
                "before" => Filter::Older(created(&find(store, value)?)),
                "since" => Filter::Newer(created(&find(store, value)?)),
                _ => Filter::Name(value.to_owned()),
            });
        }
        Ok(Self(filters))
    }

    /// Whether an image under one of its names, or under none, fits.
    pub(in crate::commands) fn pass(&self, image: &Image, name: Option<&Reference>) -> bool {
        let names = || self.0.iter().filter(|filter| matches!(filter, Filter::Name(_)));
        let by_name = names().next().is_none() || names().any(|filter| filter.passes(image, name));
        by_name
            && self
                .0
                .iter()
                .all(|filter| matches!(filter, Filter::Name(_)) || filter.passes(image, name))
    }

    /// Whether a thing with these labels, made then, fits; filters of images do not concern it.
    pub(in crate::commands) fn pass_other(
        &self,
        labels: &std::collections::BTreeMap<String, String>,
        made: Option<Timestamp>,
    ) -> bool {
        self.0.iter().all(|filter| match filter {
            Filter::Label { key, value, present } => {
                let found = labels
                    .get(key)
                    .is_some_and(|found| value.as_ref().is_none_or(|value| value == found));
                found == *present
            }
            Filter::Older(limit) => made.is_some_and(|made| made < *limit),
            Filter::Newer(limit) => made.is_some_and(|made| made > *limit),
            Filter::Dangling(_) | Filter::Name(_) => true,
        })
    }
}

impl Filter {
    fn passes(&self, image: &Image, name: Option<&Reference>) -> bool {
        match self {
            Self::Dangling(wanted) => image.references.iter().all(|name| name.tag().is_none()) == *wanted,
            Self::Label { .. } | Self::Older(_) | Self::Newer(_) => {
                Filters(vec![self.clone()]).pass_other(&image.config.labels, Some(created(image)))
            }
            Self::Name(pattern) => name.is_some_and(|name| {
                fits(pattern.as_bytes(), name.familiar().as_bytes())
                    || fits(pattern.as_bytes(), name.familiar_name().as_bytes())
            }),
        }
    }
}

fn label(text: &str, present: bool) -> Filter {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    };
    Filter::Label { key, value, present }
}

/// When an image was made; one that does not say so is older than any.
fn created(image: &Image) -> Timestamp {
    let created = image.created.as_deref().and_then(|text| text.parse().ok());
    created.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// An age before now, a time, a day, or seconds since 1970.
pub(in crate::commands) fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse() {
        return Timestamp::from_second(seconds).ok();
    }
    if let Ok(age) = parse_duration(text) {
        return Timestamp::now().checked_sub(age).ok();
    }
    text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).ok()
}

/// `*` and `?` stand for anything but `/`, as in Go's `path.Match`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            fits(rest, name)
                || name
                    .split_first()
                    .is_some_and(|(first, less)| *first != b'/' && fits(pattern, less))
        }
        (Some((b'?', rest)), Some((first, less))) => *first != b'/' && fits(rest, less),
        (Some((wanted, rest)), Some((found, less))) => wanted == found && fits(rest, less),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names_do_not_cross_slashes() {
        for (pattern, name, expected) in [
            ("busy*", "busybox", true),
            ("*", "team/web", false),
            ("*/web", "team/web", true),
            ("busybox:t?st", "busybox:test", true),
            ("busybox", "busybox:test", false),
        ] {
            assert_eq!(
                fits(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn moments_are_ages_times_days_and_seconds() {
        let age = Timestamp::now().duration_since(moment("24h").unwrap());
        assert!((86_399..=86_401).contains(&age.as_secs()), "{age:?}");
        let time = moment("2026-01-02").unwrap();
        assert_eq!(moment("2026-01-02T00:00:00Z"), Some(time));
        assert_eq!(moment(&time.as_second().to_string()), Some(time));
        assert_eq!(moment("yesterday"), None);
    }
}
