//! In: an entry of the top-level `volumes:`. Out: the [`Volume`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::unsupported;
use crate::diagnostic::Diagnostics;
use crate::model::fields::Fields;
use crate::model::schema::VOLUME;
use crate::model::volume::Volume;

pub(super) fn decode(fields: &Fields<'_>, findings: &mut Diagnostics) -> Option<Volume> {
    unsupported::check(fields, &VOLUME, findings);
    let driver = fields.owned("driver");
    if let Some(driver) = driver.as_deref().filter(|driver| *driver != "local") {
        let why = format!("there is no volume driver `{driver}`; use `local`");
        findings.push(unsupported::essential(fields, "driver", &why));
    }
    Some(Volume {
        name: unsupported::name(fields, findings)?,
        span: fields.span(),
        external: fields.flag("external"),
        driver,
        driver_opts: fields.pairs("driver_opts"),
        labels: fields.pairs("labels"),
    })
}
