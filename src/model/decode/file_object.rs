//! In: top-level `configs:` and `secrets:`, and their use by a service. Out: [`FileObject`] and [`FileMount`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use camino::Utf8PathBuf;

use super::unsupported;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::fields::Fields;
use crate::model::file_object::{FileMount, FileObject, FileObjectSource};
use crate::model::normalise::clean;
use crate::model::schema::shape::Object;

pub(super) fn decode(
    key: &str,
    fields: &Fields<'_>,
    object: &'static Object,
    lookup: &dyn Fn(&str) -> Option<String>,
    findings: &mut Diagnostics,
) -> Option<FileObject> {
    unsupported::check(fields, object, findings);
    let source = if fields.flag("external") {
        FileObjectSource::External
    } else if let Some(path) = fields.text("file") {
        FileObjectSource::File(Utf8PathBuf::from(path))
    } else if let Some(name) = fields.text("environment") {
        FileObjectSource::Environment(name.to_owned(), lookup(name))
    } else {
        FileObjectSource::Content(fields.owned("content").unwrap_or_default())
    };
    Some(FileObject {
        key: key.to_owned(),
        name: unsupported::name(fields, findings)?,
        span: fields.span(),
        source,
    })
}

/// The `configs:` or `secrets:` of a service; a relative target is below `directory`.
pub(super) fn mounts(
    service: &Fields<'_>,
    key: &'static str,
    directory: &str,
    findings: &mut Diagnostics,
) -> Vec<FileMount> {
    service
        .items(key)
        .map(|mount| {
            let source = mount.owned("source").unwrap_or_default();
            let target = mount.text("target").unwrap_or(&source);
            let target = if target.starts_with('/') {
                clean(target)
            } else {
                clean(&format!("{directory}/{target}"))
            };
            let mut id = |key: &str| {
                let text = mount.text(key)?;
                let id = text.parse().ok();
                if id.is_none() {
                    findings.push(
                        Diagnostic::error(
                            "bad-value",
                            format!("{}: `{text}` is not a number", mount.path().key(key)),
                        )
                        .at(mount.value_span(key))
                        .help("names are not looked up; write the number"),
                    );
                }
                id
            };
            FileMount {
                target,
                uid: id("uid"),
                gid: id("gid"),
                mode: mount
                    .text("mode")
                    .and_then(|mode| u32::from_str_radix(mode, 8).ok()),
                span: mount.span(),
                source,
            }
        })
        .collect()
}
