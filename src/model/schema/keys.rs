//! In: the table of an object's keys. Out: the same table, in which a key is found by its name in next to no time.
//! **Invariant:** the index is made when the program is compiled; the order of the keys is the table's.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use super::shape::Key;

/// Places of the index: more than twice the keys of the largest table.
const PLACES: usize = 256;
/// What stands at a place that no key has; no table is as long.
const NOBODY: u8 = u8::MAX;

/// The keys of an object, in the order they are printed.
#[derive(Debug)]
pub(in crate::model) struct Keys {
    all: &'static [Key],
    /// Where in `all` a key is that belongs at a place; one whose place is taken is at the next free one.
    index: [u8; PLACES],
}

impl Keys {
    /// A table; a name stands in it once.
    pub(in crate::model) const fn of(all: &'static [Key]) -> Self {
        let mut index = [NOBODY; PLACES];
        assert!(all.len() < PLACES / 2, "the index is too small");
        let mut at = 0;
        while at < all.len() {
            let mut place = place(all[at].name.as_bytes());
            while index[place] != NOBODY {
                place = (place + 1) % PLACES;
            }
            #[expect(clippy::cast_possible_truncation, reason = "fewer than 128 keys")]
            {
                index[place] = at as u8;
            }
            at += 1;
        }
        Self { all, index }
    }

    /// The keys, in their order.
    pub(in crate::model) const fn all(&self) -> &'static [Key] {
        self.all
    }

    /// Where the key of this name stands, from 0.
    pub(in crate::model) fn rank(&self, name: &str) -> Option<usize> {
        let mut place = place(name.as_bytes());
        loop {
            let rank = usize::from(self.index[place]);
            // No key is at a place that is nobody's.
            if self.all.get(rank)?.name == name {
                return Some(rank);
            }
            place = (place + 1) % PLACES;
        }
    }
}

/// Where a name belongs: keys of one object differ in length, at the ends or in the middle.
const fn place(name: &[u8]) -> usize {
    let length = name.len();
    if length == 0 {
        return 0;
    }
    let (first, middle, last) = (
        name[0] as usize,
        name[length / 2] as usize,
        name[length - 1] as usize,
    );
    (length * 31 + first * 7 + middle * 13 + last * 3) % PLACES
}

#[cfg(test)]
mod tests {
    use crate::model::schema::{FILE, SERVICE};

    #[test]
    fn every_key_is_found_where_it_stands_and_nothing_else_is() {
        for object in [&FILE, &SERVICE] {
            for (rank, key) in object.keys.all().iter().enumerate() {
                assert_eq!(object.keys.rank(key.name), Some(rank));
                assert_eq!(object.keys.rank(&format!("{}s", key.name)), None);
            }
            assert_eq!(object.keys.rank(""), None);
        }
    }
}
