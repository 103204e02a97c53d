//! Sums over many licenses, kept up to date with every change, so that nobody has to read them all.

use crate::license::protocol::object::object;

use super::license::License;

object! {
    /// What many licenses have together. Seconds of unlimited licenses count only where they were granted
    /// or used.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub(crate) struct Totals {
        pub(crate) licenses: i64 = count,
        /// Licenses whose seconds are not counted down.
        pub(crate) unlimited: i64 = count,
        /// Seats that are taken.
        pub(crate) activated: i64 = count,
        pub(crate) secs_allocated: i64 = number,
        pub(crate) secs_left: i64 = number,
        pub(crate) secs_held: i64 = number,
        pub(crate) secs_used: i64 = number,
        /// How often any of them changed, so that a reader knows that there is something new.
        pub(crate) changes: i64 = count,
    }
}

impl Totals {
    /// The share of one license.
    pub(crate) fn of(license: &License) -> Totals {
        let unlimited = license.balance.unlimited();
        let limited = |seconds| if unlimited { 0 } else { seconds };
        Totals {
            licenses: 1,
            unlimited: i64::from(unlimited),
            activated: license.sums.open,
            secs_allocated: limited(license.balance.allocated),
            secs_left: limited(license.balance.left),
            secs_held: license.outstanding(),
            secs_used: license.used(),
            changes: 0,
        }
    }

    pub(crate) fn add(&mut self, other: &Totals) {
        self.merge(other, 1);
    }

    pub(crate) fn subtract(&mut self, other: &Totals) {
        self.merge(other, -1);
    }

    fn merge(&mut self, other: &Totals, sign: i64) {
        self.licenses += sign * other.licenses;
        self.unlimited += sign * other.unlimited;
        self.activated += sign * other.activated;
        self.secs_allocated += sign * other.secs_allocated;
        self.secs_left += sign * other.secs_left;
        self.secs_held += sign * other.secs_held;
        self.secs_used += sign * other.secs_used;
        self.changes += sign * other.changes;
    }
}
