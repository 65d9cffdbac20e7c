//! In: an entry of `cache_from` or `cache_to`: a name, or `type=…,key=value`. Out: where a cache is taken from, or brought to.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

/// Where steps of other builds are taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheImport {
    /// An image of a registry: one that `cache_to` brought there, or one with its own steps on record.
    Registry(String),
    /// A directory of this host, an OCI layout; relative to the project.
    Local(String),
}

/// Where the steps of a build are brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheExport {
    /// The place.
    pub place: CachePlace,
    /// The steps of all stages, not only of the result (`mode=max`).
    pub all_stages: bool,
    /// That it fails is no failure of the build.
    pub ignore_error: bool,
}

/// The place of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachePlace {
    /// The image itself.
    Inline,
    /// An image of a registry.
    Registry(String),
    /// A directory of this host, an OCI layout; relative to the project.
    Local(String),
}

/// Reads an entry of `cache_from`.
///
/// # Errors
/// What is wrong with it.
pub fn import(text: &str) -> Result<CacheImport, String> {
    let Some(mut entry) = Entry::of(text)? else {
        return Ok(CacheImport::Registry(text.to_owned()));
    };
    let import = match entry.kind.as_str() {
        "registry" => CacheImport::Registry(entry.needs("ref")?),
        "local" => CacheImport::Local(entry.needs("src")?),
        "inline" => {
            return Err("`inline` is for `cache_to`: name the image to take its steps from".to_owned());
        }
        other => return Err(unknown(other)),
    };
    entry.ends()?;
    Ok(import)
}

/// Reads an entry of `cache_to`.
///
/// # Errors
/// What is wrong with it.
pub fn export(text: &str) -> Result<CacheExport, String> {
    let Some(mut entry) = Entry::of(text)? else {
        return Ok(CacheExport {
            place: CachePlace::Registry(text.to_owned()),
            all_stages: false,
            ignore_error: false,
        });
    };
    let place = match entry.kind.as_str() {
        "inline" => CachePlace::Inline,
        "registry" => CachePlace::Registry(entry.needs("ref")?),
        "local" => CachePlace::Local(entry.needs("dest")?),
        other => return Err(unknown(other)),
    };
    let all_stages = match entry.take("mode").as_deref() {
        None | Some("min") => false,
        Some("max") if place == CachePlace::Inline => {
            return Err(
                "an image has the layers of its own steps only: `mode=max` needs type=registry or type=local"
                    .to_owned(),
            );
        }
        Some("max") => true,
        Some(other) => return Err(format!("mode={other} is neither min nor max")),
    };
    let ignore_error = match entry.take("ignore-error").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(format!("ignore-error={other} is neither true nor false")),
    };
    // What these say is how it is done here, whatever they say.
    for (key, done) in [
        ("oci-mediatypes", "true"),
        ("image-manifest", "true"),
        ("compression", "gzip"),
    ] {
        if let Some(value) = entry.take(key).filter(|value| value != done) {
            return Err(format!(
                "{key}={value} cannot be had: caches are images with {key}={done}"
            ));
        }
    }
    entry.ends()?;
    Ok(CacheExport {
        place,
        all_stages,
        ignore_error,
    })
}

fn unknown(kind: &str) -> String {
    format!("type={kind} is not known here: there are registry, local and inline")
}

struct Entry {
    kind: String,
    fields: BTreeMap<String, String>,
}

impl Entry {
    /// None for a plain name of an image.
    fn of(text: &str) -> Result<Option<Self>, String> {
        if !text.contains('=') {
            return Ok(None);
        }
        let mut fields = BTreeMap::new();
        for field in text.split(',') {
            let (key, value) = field
                .split_once('=')
                .ok_or_else(|| format!("`{field}` is not KEY=VALUE"))?;
            fields.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
        let kind = fields.remove("type").ok_or("it has no `type=`")?;
        Ok(Some(Self { kind, fields }))
    }

    fn take(&mut self, key: &str) -> Option<String> {
        self.fields.remove(key)
    }

    fn needs(&mut self, key: &str) -> Result<String, String> {
        self.take(key)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("type={} needs `{key}=`", self.kind))
    }

    fn ends(self) -> Result<(), String> {
        match self.fields.into_keys().next() {
            Some(key) => Err(format!("`{key}` is not known with type={}", self.kind)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_the_three_kinds() {
        assert_eq!(import("a/b:c"), Ok(CacheImport::Registry("a/b:c".to_owned())));
        assert_eq!(
            import("type=registry,ref=a/b"),
            Ok(CacheImport::Registry("a/b".to_owned()))
        );
        assert_eq!(
            import("type=local,src=.cache"),
            Ok(CacheImport::Local(".cache".to_owned()))
        );
        let to =
            |text: &str| export(text).map(|export| (export.place, export.all_stages, export.ignore_error));
        assert_eq!(to("type=inline"), Ok((CachePlace::Inline, false, false)));
        assert_eq!(
            to("type=registry,ref=a/b,mode=max,ignore-error=true,compression=gzip"),
            Ok((CachePlace::Registry("a/b".to_owned()), true, true))
        );
        assert_eq!(
            to("type=local,dest=x"),
            Ok((CachePlace::Local("x".to_owned()), false, false))
        );
    }

    #[test]
    fn nothing_is_left_out_silently() {
        for (text, words) in [
            ("type=gha", "not known here"),
            ("type=registry", "needs `ref=`"),
            ("type=local,dest=", "needs `dest=`"),
            ("type=inline,mode=max", "mode=max"),
            ("type=registry,ref=a,mode=mid", "neither min nor max"),
            ("type=registry,ref=a,compression=zstd", "cannot be had"),
            ("type=registry,ref=a,colour=red", "`colour` is not known"),
            ("ref=a", "no `type=`"),
            ("type=local,dest", "not KEY=VALUE"),
        ] {
            let error = export(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(import("type=inline").is_err() && import("type=s3,bucket=x").is_err());
    }
}
