//! In: `--filter` of `builder du` and `builder prune`: KEY=VALUE, KEY!=VALUE or KEY~=VALUE, as docker buildx spells it. Out: what fits.
//! **Invariant:** a filter that is not understood is an error, never one that everything passes.

use jiff::Timestamp;
use rcompose_runtime::image_store::build::{CacheRecord, RecordKind};
use regex::bytes::{Regex, RegexBuilder};

use crate::commands::image::filter::moment;
use crate::error::CliError;

const KEYS: &str = "id, type, description, until (or unused-for), inuse, shared, private, mutable, immutable";

/// A text of a record.
#[derive(Debug, Clone, Copy)]
enum Text {
    Id,
    Type,
    Description,
}

/// A property of a record.
#[derive(Debug, Clone, Copy)]
enum Property {
    InUse,
    Shared,
    Private,
    Mutable,
    Immutable,
}

#[derive(Debug)]
enum Filter {
    Is(Property, bool),
    /// Not used since.
    Older(Timestamp),
    Equal(Text, String, bool),
    Like(Text, Regex),
}

/// All that were given: each must fit.
#[derive(Debug, Default)]
pub(super) struct Filters(Vec<Filter>);

impl Filters {
    /// Reads filters.
    pub(super) fn parse(written: &[String]) -> Result<Self, CliError> {
        let filters = written.iter().map(|text| parse(text));
        Ok(Self(filters.collect::<Result<_, _>>()?))
    }

    /// Whether a record fits.
    pub(super) fn pass(&self, record: &CacheRecord) -> bool {
        self.0.iter().all(|filter| match filter {
            Filter::Is(property, wanted) => property.of(record) == *wanted,
            Filter::Older(limit) => Timestamp::try_from(record.last_used).is_ok_and(|used| used < *limit),
            // The beginning of an id is enough, as everywhere.
            Filter::Equal(Text::Id, value, wanted) => record.id.starts_with(value.as_str()) == *wanted,
            Filter::Equal(text, value, wanted) => (text.of(record) == value) == *wanted,
            Filter::Like(text, pattern) => pattern.is_match(text.of(record).as_bytes()),
        })
    }
}

impl Text {
    fn of(self, record: &CacheRecord) -> &str {
        match self {
            Self::Id => &record.id,
            Self::Type => record.kind.name(),
            Self::Description => &record.description,
        }
    }
}

impl Property {
    fn of(self, record: &CacheRecord) -> bool {
        match self {
            Self::InUse => record.in_use,
            Self::Shared => record.shared,
            Self::Private => !record.shared,
            Self::Mutable => record.kind.is_mutable(),
            Self::Immutable => !record.kind.is_mutable(),
        }
    }
}

fn parse(written: &str) -> Result<Filter, CliError> {
    let wrong = |problem: &str| {
        CliError::usage(format!("--filter {written}: {problem}")).with_hint(format!(
            "filters are {KEYS}; as KEY=VALUE, KEY!=VALUE or KEY~=PATTERN"
        ))
    };
    let (key, operator, value) = split(written);
    let property = match key {
        "inuse" => Some(Property::InUse),
        "shared" => Some(Property::Shared),
        "private" => Some(Property::Private),
        "mutable" => Some(Property::Mutable),
        "immutable" => Some(Property::Immutable),
        _ => None,
    };
    if let Some(property) = property {
        let wanted = match value {
            "true" | "1" => true,
            "false" | "0" => false,
            // A property alone is asked for.
            "" if operator.is_empty() => true,
            _ => return Err(wrong("expected true or false")),
        };
        return match operator {
            "" | "=" => Ok(Filter::Is(property, wanted)),
            "!=" => Ok(Filter::Is(property, !wanted)),
            _ => Err(wrong("it is true or false: only = and != are for it")),
        };
    }
    let text = match key {
        "id" => Text::Id,
        "type" => Text::Type,
        "description" => Text::Description,
        "until" | "unused-for" if operator == "=" => {
            return moment(value).map(Filter::Older).ok_or_else(|| {
                wrong(
                    "expected an age such as 24h, a time such as 2026-01-02T03:04:05Z, or seconds since 1970",
                )
            });
        }
        "until" | "unused-for" => return Err(wrong("it is given as until=24h")),
        "parent" | "parents" => return Err(wrong("which step was built on which is not on record")),
        _ => return Err(wrong("there is no such filter")),
    };
    let is_known = |value: &str| RecordKind::ALL.iter().any(|kind| kind.name() == value);
    if matches!(text, Text::Type) && matches!(operator, "=" | "!=") && !is_known(value) {
        let known: Vec<&str> = RecordKind::ALL.iter().map(|kind| kind.name()).collect();
        return Err(wrong(&format!(
            "there is no such type; types are {}",
            known.join(", ")
        )));
    }
    match operator {
        "=" => Ok(Filter::Equal(text, value.to_owned(), true)),
        "!=" => Ok(Filter::Equal(text, value.to_owned(), false)),
        "~=" => RegexBuilder::new(value)
            .unicode(false)
            .build()
            .map(|pattern| Filter::Like(text, pattern))
            .map_err(|error| wrong(&format!("the pattern is none: {error}"))),
        _ => Err(wrong("a filter is KEY=VALUE")),
    }
}

/// Key, operator and value; `==` is `=`.
fn split(written: &str) -> (&str, &str, &str) {
    let Some(at) = written.find('=') else {
        return (written, "", "");
    };
    let (before, value) = (&written[..at], &written[at + 1..]);
    let value = value.strip_prefix('=').unwrap_or(value);
    if let Some(key) = before.strip_suffix('!') {
        (key, "!=", value)
    } else if let Some(key) = before.strip_suffix('~') {
        (key, "~=", value)
    } else {
        (before, "=", value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_wrong(text: &str) -> String {
        Filters::parse(&[text.to_owned()]).expect_err("no filter").text()
    }

    #[test]
    fn filters_are_split_at_their_operator() {
        for (text, parts) in [
            ("inuse", ("inuse", "", "")),
            ("id=ab", ("id", "=", "ab")),
            ("type==regular", ("type", "=", "regular")),
            ("type!=regular", ("type", "!=", "regular")),
            ("description~=a=b", ("description", "~=", "a=b")),
        ] {
            assert_eq!(split(text), parts, "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_said() {
        for (text, problem) in [
            ("colour=red", "there is no such filter"),
            ("id", "a filter is KEY=VALUE"),
            ("inuse=maybe", "expected true or false"),
            ("shared~=true", "only = and != are for it"),
            ("type=layer", "types are regular, exec.cachemount"),
            ("until!=24h", "it is given as until=24h"),
            ("until=soon", "expected an age such as 24h"),
            ("description~=(", "the pattern is none"),
            ("parents=abc", "is not on record"),
            ("mutable=true,inuse=true", "expected true or false"),
        ] {
            let said = is_wrong(text);
            assert!(said.contains(problem), "{text}: {said}");
        }
    }
}
