//! In: how much of the disk what builds keep may take. Out: how much of it stays.
//! The limits are BuildKit's: reserved-space, max-used-space and min-free-space.
//! **Invariant:** no limit is no reason to keep anything; a limit that holds is no reason to remove anything.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// Limits in bytes; those that are not given do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// So much may stay whatever the others say.
    pub reserved: Option<u64>,
    /// No more than this may stay.
    pub max_used: Option<u64>,
    /// So much of the file system is to be free.
    pub min_free: Option<u64>,
}

impl Room {
    /// Whether there is any limit.
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }

    /// How much may stay of `total` bytes, when `free` bytes of the file system are free; nothing without a limit.
    pub(super) fn kept(&self, total: u64, free: u64) -> u64 {
        let beside_free = self.min_free.map(|wanted| {
            let missing = wanted.saturating_sub(free);
            total.saturating_sub(missing)
        });
        let most = match (self.max_used, beside_free) {
            (Some(one), Some(other)) => one.min(other),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => 0,
        };
        most.max(self.reserved.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_bind_together_and_what_is_reserved_stays() {
        let kept = |reserved, max_used, min_free| {
            let room = Room {
                reserved,
                max_used,
                min_free,
            };
            room.kept(100, 30)
        };
        assert_eq!(kept(None, None, None), 0);
        assert_eq!(kept(Some(40), None, None), 40);
        assert_eq!(kept(None, Some(60), None), 60);
        assert_eq!(kept(None, Some(600), None), 600);
        assert_eq!(kept(None, None, Some(50)), 80, "20 are missing");
        assert_eq!(kept(None, None, Some(30)), 100, "nothing is missing");
        assert_eq!(kept(None, None, Some(1000)), 0);
        assert_eq!(kept(None, Some(60), Some(90)), 40);
        assert_eq!(kept(Some(55), Some(60), Some(90)), 55);
    }
}
