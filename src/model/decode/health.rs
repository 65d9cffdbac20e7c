//! In: a normalised `healthcheck:`. Out: the [`Healthcheck`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::model::fields::Fields;
use crate::model::health::Healthcheck;

pub(super) fn decode(fields: &Fields<'_>) -> Healthcheck {
    let test = fields.optional_texts("test");
    let none = test
        .as_ref()
        .is_some_and(|test| test.first().is_some_and(|word| word == "NONE"));
    Healthcheck {
        disabled: fields.flag("disable") || none,
        test: test.filter(|_| !none),
        interval: fields.duration("interval"),
        timeout: fields.duration("timeout"),
        retries: fields.number("retries"),
        start_period: fields.duration("start_period"),
        start_interval: fields.duration("start_interval"),
    }
}
