//! The seconds of one license: bought, still available, and charged for good.

use crate::license::protocol::claims::UNLIMITED;
use crate::license::protocol::object::object;

object! {
    /// `left`, `charged` and the seconds granted to open activations always add up to `allocated`. An
    /// unlimited license never runs out, and its `charged` only counts what was used.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct Balance {
        /// Seconds bought; [`UNLIMITED`] for no limit.
        pub(crate) allocated: i64 = count,
        /// Seconds that no appliance has been granted.
        pub(crate) left: i64 = count,
        /// Seconds of closed epochs that did not come back.
        pub(crate) charged: i64 = count,
    }
}

impl Balance {
    pub(crate) fn new(allocated: i64) -> Balance {
        Balance { allocated, left: allocated, charged: 0 }
    }

    pub(crate) fn unlimited(&self) -> bool {
        self.allocated == UNLIMITED
    }

    /// Takes as many of the `wanted` seconds as are left; returns how many.
    #[must_use]
    pub(crate) fn take(&mut self, wanted: i64) -> i64 {
        let wanted = wanted.max(0);
        if self.unlimited() {
            return wanted;
        }
        let taken = wanted.min(self.left);
        self.left -= taken;
        taken
    }

    /// Ends an epoch that was granted `granted` seconds, of which `unused` come back.
    pub(crate) fn settle(&mut self, granted: i64, unused: i64) {
        self.charged += granted - unused;
        if !self.unlimited() {
            self.left += unused;
        }
    }

    /// Adds bought seconds; false if the total would be too large for a limited license.
    #[must_use]
    pub(crate) fn extend(&mut self, seconds: i64) -> bool {
        let fits = !self.unlimited() && self.allocated.saturating_add(seconds) < UNLIMITED;
        if fits {
            self.allocated += seconds;
            self.left += seconds;
        }
        fits
    }

    /// Gives charged seconds back; false if fewer were charged.
    #[must_use]
    pub(crate) fn credit(&mut self, seconds: i64) -> bool {
        let fits = seconds <= self.charged;
        if fits {
            self.settle(-seconds, 0);
            if !self.unlimited() {
                self.left += seconds;
            }
        }
        fits
    }

    /// Whether the seconds add up while open activations have been granted `open` of them.
    pub(crate) fn is_consistent(&self, open: i64) -> bool {
        let sum = if self.unlimited() { self.left } else { self.left + open + self.charged };
        self.left >= 0 && self.charged >= 0 && sum == self.allocated
    }
}

#[cfg(test)]
mod tests {
    use super::Balance;
    use crate::license::protocol::claims::UNLIMITED;

    #[test]
    fn never_more_is_taken_than_is_left() {
        let mut balance = Balance::new(100);
        assert_eq!(
            (balance.take(60), balance.take(60), balance.take(60), balance.take(-5)),
            (60, 40, 0, 0)
        );
        assert!(balance.is_consistent(100));
        balance.settle(60, 10);
        assert_eq!((balance.left, balance.charged), (10, 50));
        assert!(balance.is_consistent(40));
    }

    #[test]
    fn only_what_was_charged_can_be_credited() {
        let mut balance = Balance::new(100);
        assert_eq!(balance.take(60), 60);
        balance.settle(60, 0);
        assert!(!balance.credit(61));
        assert!(balance.credit(60));
        assert_eq!((balance.left, balance.charged), (100, 0));
        assert!(balance.is_consistent(0));
    }

    #[test]
    fn an_unlimited_license_never_ends_and_counts_on() {
        let mut balance = Balance::new(UNLIMITED);
        for _ in 0..10 {
            assert_eq!(balance.take(UNLIMITED), UNLIMITED);
            balance.settle(UNLIMITED, 7);
        }
        assert_eq!((balance.left, balance.charged), (UNLIMITED, 10 * (UNLIMITED - 7)));
        assert!(balance.is_consistent(12) && !balance.extend(1));
    }

    #[test]
    fn a_limited_license_does_not_become_unlimited_by_extending() {
        let mut balance = Balance::new(100);
        assert!(!balance.extend(UNLIMITED - 100));
        assert!(balance.extend(UNLIMITED - 101));
        assert!(balance.is_consistent(0));
    }
}
