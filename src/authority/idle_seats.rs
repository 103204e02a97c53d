//! Seats of appliances that went silent: the one that is silent longest is freed when another appliance needs
//! a seat and the license has none.
//!
//! Only an online appliance loses its seat so, and only long after its lease has ended, when it can't work any
//! more without asking. What it held is charged, because silence doesn't prove that it was not used.
//!
//! Finding that seat means to read all of them. So a license remembers a time before which no lease ends
//! ([`License::first_end`]), and its seats are read only when one of them may be free.

use serde_json::{Value, json};

use crate::license::protocol::hex::Digest;
use crate::store::Error;
use crate::util::utc;

use super::accounts::Accounts;
use super::license::License;
use super::licenses::Licenses;
use super::seat::Seat;

/// Which seats may be freed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct IdleSeats<'a> {
    /// Those whose lease ended before, in seconds since 1970; none without.
    pub(crate) ended_before: Option<i64>,
    /// What reading the seats has shown, if they were read.
    pub(crate) survey: Option<&'a Survey>,
}

/// What reading all seats of a license has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survey {
    /// The seat whose lease ended first, if it may be freed.
    pub(crate) idle: Option<Digest>,
    /// No other lease ends before, in seconds since 1970.
    first_end: i64,
}

impl Survey {
    /// Reads the seats of a license, one at a time; `now` in seconds since 1970.
    ///
    /// # Errors
    /// When one can't be read.
    pub(crate) fn of(
        licenses: &Licenses,
        license: &License,
        ended_before: i64,
        now: i64,
    ) -> Result<Survey, Error> {
        let mut ends = Ends::default();
        licenses.each_seat(&license.terms.code, &mut |seat| ends.see(license, &seat))?;
        Ok(ends.survey(license, ended_before, now))
    }
}

/// The two leases that end first.
#[derive(Default)]
pub(super) struct Ends {
    first: Option<(i64, Digest)>,
    second: Option<i64>,
}

impl Ends {
    pub(super) fn see(&mut self, license: &License, seat: &Seat) {
        let Some(end) = license.lease_end(seat) else { return };
        match self.first {
            Some((least, _)) if least <= end => {
                self.second = Some(self.second.map_or(end, |second| second.min(end)));
            }
            first => {
                self.second = first.map(|(least, _)| least);
                self.first = Some((end, seat.device));
            }
        }
    }

    pub(super) fn survey(self, license: &License, ended_before: i64, now: i64) -> Survey {
        let idle = self.first.filter(|(end, _)| *end < ended_before).map(|(_, device)| device);
        let rest = if idle.is_some() { self.second } else { self.first.map(|(end, _)| end) };
        // Leases that were granted while the seats were read, and may not have been seen, end later than this.
        let granted_meanwhile = license.lease_end_of(now);
        Survey { idle, first_end: rest.map_or(granted_meanwhile, |end| end.min(granted_meanwhile)) }
    }
}

/// What became of the search for a seat.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Room {
    /// There was no need for one, or there is none.
    #[default]
    None,
    Freed(Freed),
    /// The seats have to be read first, and nothing was changed.
    Unknown,
}

/// A seat that was freed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Freed {
    pub(crate) computer_id: String,
    /// Seconds.
    pub(crate) charged: i64,
    /// In seconds since 1970.
    pub(crate) last_contact: i64,
}

impl Freed {
    /// The entry for the license's audit log.
    pub(crate) fn event(&self) -> Value {
        json!({
            "event": "freed",
            "computer_id": self.computer_id,
            "charged": self.charged,
            "last_contact": utc::format(self.last_contact),
        })
    }
}

/// Frees a seat of a full license, if one is idle.
pub(crate) fn make_room(accounts: &mut Accounts, idle: IdleSeats<'_>) -> Room {
    let Some(ended_before) = idle.ended_before else { return Room::None };
    let Some(survey) = idle.survey else {
        let none_yet = accounts.license.first_end >= ended_before;
        return if none_yet { Room::None } else { Room::Unknown };
    };
    accounts.license.first_end = survey.first_end;
    let Some(device) = survey.idle else { return Room::None };
    let license = &accounts.license;
    let ended = |seat: &_| license.lease_end(seat).is_some_and(|end| end < ended_before);
    let Some(seat) = accounts.seats.get(&device).filter(|seat| ended(seat)) else {
        // Its appliance has asked since, or another activation was faster.
        return Room::Unknown;
    };
    let freed = Freed {
        computer_id: seat.computer_id.clone(),
        charged: seat.outstanding(),
        last_contact: seat.last_contact,
    };
    accounts.close(&device, 0);
    Room::Freed(freed)
}
