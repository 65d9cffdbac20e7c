//! In: `env_file:` of a service. Out: [`EnvFile`] entries.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use camino::Utf8PathBuf;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::fields::Fields;
use crate::model::service::EnvFile;

pub(super) fn files(fields: &Fields<'_>, findings: &mut Diagnostics) -> Vec<EnvFile> {
    let mut files = Vec::new();
    for file in fields.items("env_file") {
        let format = file.text("format");
        if let Some(format) = format.filter(|format| *format != "raw") {
            findings.push(
                Diagnostic::error(
                    "unknown-value",
                    format!("{}: `{format}` is not a format", file.path()),
                )
                .at(file.value_span("format"))
                .help("the only format is `raw`; leave the key out for the usual one"),
            );
        }
        files.push(EnvFile {
            path: Utf8PathBuf::from(file.owned("path").unwrap_or_default()),
            required: file.choice("required") != Some(false),
            raw: format == Some("raw"),
            span: file.value_span("path"),
        });
    }
    files
}
