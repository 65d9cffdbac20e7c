//! In: the definition of our table as applied and as wanted. Out: the `nft` script that leads from one to the other.
//!
//! **Invariant:** a script is one transaction, after which the table is as wanted; where only elements are missing it
//! deletes nothing, since deleting makes `nft` wait some ten milliseconds for the kernel when it exits.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What is known of the table in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied<'a> {
    /// It is not there.
    Absent,
    /// It is there and was defined by this text.
    Known(&'a str),
    /// It is there, and what is in it is not known.
    Unknown,
}

/// The script that makes `inet <table>` what `wanted` defines; `None` when it is that already.
pub(crate) fn script(table: &str, applied: Applied<'_>, wanted: &str) -> Option<String> {
    match applied {
        Applied::Absent if wanted.is_empty() => None,
        Applied::Absent => Some(wanted.to_owned()),
        Applied::Known(applied) if applied == wanted => None,
        Applied::Known(applied) => {
            Some(additions(table, applied, wanted).unwrap_or_else(|| replacement(table, wanted)))
        }
        Applied::Unknown => Some(replacement(table, wanted)),
    }
}

fn replacement(table: &str, wanted: &str) -> String {
    format!("add table inet {table}\ndelete table inet {table}\n{wanted}")
}

/// The elements that `wanted` has more than `applied`, when that is all the difference.
fn additions(table: &str, applied: &str, wanted: &str) -> Option<String> {
    if applied.lines().count() != wanted.lines().count() {
        return None;
    }
    let mut script = String::new();
    for (old, new) in applied
        .lines()
        .zip(wanted.lines())
        .filter(|(old, new)| old != new)
    {
        let (old_head, old_elements) = definition(old)?;
        let (new_head, new_elements) = definition(new)?;
        if old_head != new_head || !old_elements.is_subset(&new_elements) {
            return None;
        }
        let name = new_head.split_whitespace().nth(1)?;
        let added: Vec<_> = new_elements.difference(&old_elements).copied().collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            script,
            "add element inet {table} {name} {{ {} }}",
            added.join(", ")
        );
    }
    Some(script)
}

/// The head and the elements of a line that defines a set or map, as [`crate::ruleset`] writes it.
fn definition(line: &str) -> Option<(&str, BTreeSet<&str>)> {
    let line = line.trim();
    if !line.starts_with("set ") && !line.starts_with("map ") {
        return None;
    }
    match line.split_once(" elements = { ") {
        Some((head, elements)) => Some((head, elements.strip_suffix(" } }")?.split(", ").collect())),
        None => Some((line.strip_suffix(" }")?, BTreeSet::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "table inet t {\n\tset a { type ifname; elements = { \"x\" } }\n\tmap m { type p : q; }\n}\n";
    const TWO: &str = "table inet t {\n\tset a { type ifname; elements = { \"x\", \"y\" } }\n\
        \tmap m { type p : q; elements = { 1 : 2, 3 : 4 } }\n}\n";

    #[test]
    fn what_is_only_missing_is_added_and_all_else_replaces_the_table() {
        assert_eq!(
            script("t", Applied::Known(ONE), TWO).as_deref(),
            Some("add element inet t a { \"y\" }\nadd element inet t m { 1 : 2, 3 : 4 }\n")
        );
        let replaced = |text: Option<String>| {
            text.expect("a script")
                .starts_with("add table inet t\ndelete table")
        };
        assert!(replaced(script("t", Applied::Known(TWO), ONE)));
        assert!(replaced(script("t", Applied::Unknown, TWO)));
        assert!(replaced(script("t", Applied::Known(ONE), "")));
        let ruled = ONE.replace("\tmap", "\tchain c {\n\t}\n\tmap");
        assert!(replaced(script("t", Applied::Known(ONE), &ruled)));
        let other_type = ONE.replace("ifname", "ipv4_addr");
        assert!(replaced(script("t", Applied::Known(ONE), &other_type)));
        let other_value = TWO.replace("3 : 4", "3 : 5");
        assert!(replaced(script("t", Applied::Known(TWO), &other_value)));
    }

    #[test]
    fn nothing_is_run_when_nothing_is_to_be_done() {
        assert_eq!(script("t", Applied::Known(ONE), ONE), None);
        assert_eq!(script("t", Applied::Absent, ""), None);
        assert_eq!(script("t", Applied::Absent, ONE).as_deref(), Some(ONE));
    }
}
