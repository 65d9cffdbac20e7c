//! In: a size as people write it: `20GB`, `1.5g`, `64m`, `512`. Out: bytes.
//! Units are those of docker's options (go-units, `RAMInBytes`): powers of 1024, letter case ignored, `b` and `ib` optional.
//! **Invariant:** what is not wholly understood is no size.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// The bytes of a size.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return None,
    };
    let factor = 1_u64 << shift;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 = whole.parse().ok()?;
    let digits = u32::try_from(fraction.len())
        .ok()
        .filter(|digits| (1..=9).contains(digits))?;
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(factor) / 10_u128.pow(digits);
    whole.checked_mul(factor)?.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_docker() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("512b", Some(512)),
            ("64m", Some(64 << 20)),
            ("64MiB", Some(64 << 20)),
            ("20GB", Some(20 << 30)),
            ("2 gb", Some(2 << 30)),
            ("1.5k", Some(1536)),
            ("1.", None),
            ("", None),
            ("GB", None),
            ("-1", None),
            ("1.2.3g", None),
            ("20 giga", None),
            ("99999999p", None),
        ] {
            assert_eq!(parse(text), bytes, "{text:?}");
        }
    }
}
