//! One license as the authority knows it: its terms, and the totals of all its seats.

use crate::license::protocol::claims::Lease;
use crate::license::protocol::fields::license_code;
use crate::license::protocol::hex::RequestId;
use crate::license::protocol::object::object;
use crate::util::words::words;

use super::audit::AuditHead;
use super::balance::Balance;
use super::seat::Seat;

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// Bytes of a text about a license.
pub(crate) const MAX_WORDS: usize = 1_000;

object! {
    /// What was sold.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct Terms {
        /// The 18 digits.
        pub(crate) code: String = parsed("18 digits", license_code),
        pub(crate) product: String = text(16),
        /// 2 trial, 6 concurrent subscription.
        pub(crate) kind: i64 = count,
        /// How many appliances may be active at a time.
        pub(crate) seats: i64 = count,
        /// Most seconds that an appliance holds while it is online.
        pub(crate) cache: i64 = count,
        /// End of the subscription, in seconds since 1970.
        pub(crate) exp: i64 = number,
        /// Seconds after `exp` in which speech still works, with a warning.
        pub(crate) grace: i64 = count,
        /// How long a lease lasts without contact, in seconds.
        pub(crate) lease: i64 = count,
        /// Whether appliances may go offline or be activated without a network.
        pub(crate) offline: bool = flag,
        /// Most seconds that an appliance holds while it is offline.
        pub(crate) offline_secs: i64 = count,
        /// When it was made, in seconds since 1970.
        pub(crate) created: i64 = number,
    }
}

impl Terms {
    /// The customer: the first four digits of the code.
    pub(crate) fn customer(&self) -> i64 {
        self.code.get(..4).and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    /// When the grace period ends, in seconds since 1970.
    pub(crate) fn end(&self) -> i64 {
        self.exp.saturating_add(self.grace)
    }
}

words! {
    /// Whether the license may be used at all.
    pub(crate) enum Status {
        Active = "active",
        Suspended = "suspended",
        Revoked = "revoked",
    }
}

object! {
    /// Who bought it: for the vendor's own searches, never sent to an appliance.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub(crate) struct Buyer {
        pub(crate) customer_name: String = text(MAX_WORDS),
        pub(crate) order: String = text(MAX_WORDS),
        pub(crate) note: String = text(MAX_WORDS),
    }
}

object! {
    /// Sums over all seats of a license, so that neither a request nor a listing has to read them.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Sums {
        /// Seats that are taken.
        pub(crate) open: i64 = count,
        /// Seconds granted in the epochs of the seats that are taken.
        pub(crate) granted: i64 = count,
        /// Seconds used in these epochs.
        pub(crate) consumed: i64 = count,
        /// Activations ever.
        pub(crate) activations: i64 = count,
        /// Seats that were taken over ever.
        pub(crate) takeovers: i64 = count,
    }
}

object! {
    /// A license: what was sold, and what became of it. Its seats are records of their own.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct License {
        pub(crate) terms: Terms = flat(Terms::read),
        pub(crate) buyer: Buyer = flat(Buyer::read),
        pub(crate) status: Status = parsed("active, suspended or revoked", Status::parse),
        pub(crate) balance: Balance = flat(Balance::read),
        pub(crate) sums: Sums = flat(Sums::read),
        /// When an appliance was last answered, in seconds since 1970; 0 for never.
        pub(crate) last_contact as "heard": i64 = number,
        /// When it last changed, in seconds since 1970: the time of its newest audit line.
        pub(crate) changed: i64 = number,
        /// No lease of an appliance that is online ends before, in seconds since 1970; 0 where that is not known.
        pub(crate) first_end: i64 = number,
        pub(crate) audit: AuditHead = object(AuditHead::read),
        /// The newest line of the audit log that was archived.
        pub(crate) archived: AuditHead = or(AuditHead::none(), AuditHead::read),
    }
}

impl License {
    pub(crate) fn new(terms: Terms, seconds: i64) -> License {
        License {
            terms,
            buyer: Buyer::default(),
            status: Status::Active,
            balance: Balance::new(seconds),
            sums: Sums { open: 0, granted: 0, consumed: 0, activations: 0, takeovers: 0 },
            last_contact: 0,
            changed: 0,
            first_end: 0,
            audit: AuditHead::none(),
            archived: AuditHead::none(),
        }
    }

    /// Seconds that appliances hold and may still use.
    pub(crate) fn outstanding(&self) -> i64 {
        self.sums.granted - self.sums.consumed
    }

    /// Seconds that were used, or lost with an epoch.
    pub(crate) fn used(&self) -> i64 {
        self.balance.charged + self.sums.consumed
    }

    /// Whether the seconds add up; false means that the record was damaged or edited.
    #[must_use]
    pub(crate) fn is_consistent(&self) -> bool {
        self.outstanding() >= 0
            && (self.sums.open > 0 || self.sums.granted == 0)
            && self.balance.is_consistent(self.sums.granted)
    }

    /// When a lease that is granted at `now` to an appliance that is online ends, in seconds since 1970.
    pub(crate) fn lease_end_of(&self, now: i64) -> i64 {
        now.saturating_add(self.terms.lease).min(self.terms.end())
    }

    /// When the lease of a seat ends by these terms; `None` for one that is closed or offline.
    pub(crate) fn lease_end(&self, seat: &Seat) -> Option<i64> {
        (seat.open && !seat.offline).then(|| self.lease_end_of(seat.last_contact))
    }

    /// The lease that matches the accounts of `seat`.
    pub(crate) fn lease(&self, seat: &Seat, req_id: RequestId, now: i64) -> Lease {
        let terms = &self.terms;
        let end = terms.end();
        Lease {
            license: terms.code.clone(),
            customer_id: terms.customer(),
            product: terms.product.clone(),
            computer_id: seat.computer_id.clone(),
            device: seat.device,
            req_id,
            epoch: seat.epoch,
            seq: seat.seq,
            granted: seat.granted,
            allocated: self.balance.allocated,
            pool_left: self.balance.left,
            cache: terms.cache,
            kind: terms.kind,
            features: Vec::new(),
            exp: terms.exp,
            grace: terms.grace,
            lease_exp: if seat.offline { end } else { self.lease_end_of(now) },
            iat: now,
            offline_mode: terms.offline,
            offline_secs: if terms.offline { terms.offline_secs } else { 0 },
            offline_until: if terms.offline { end } else { 0 },
            bundle: None,
        }
    }
}
