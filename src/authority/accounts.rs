//! The records of one license that a question concerns: what the accounting reads and changes.
//!
//! They are loaded before a question and saved after it, so their number, and the cost of the question, does
//! not depend on the number of seats.

use std::collections::BTreeMap;

use crate::license::protocol::hex::{Digest, RequestId};
use crate::license::protocol::message::{Answer, Denial, Op, Request};
use crate::store::Error;
use crate::util::utc;

use super::database::{Key, Kind, Transaction};
use super::license::License;
use super::records;
use super::replay_ids::ReplayIds;
use super::seat::{Computer, FREE_MOVES, Page, Seat};

/// Denied activations of one license that are remembered.
const MAX_REFUSALS: usize = 1_000;

/// A license with some of its seats, or with all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accounts {
    pub(crate) license: License,
    pub(crate) seats: BTreeMap<Digest, Seat>,
    pub(crate) computers: BTreeMap<String, Computer>,
    /// Activations that were denied: they must not succeed when they are replayed later.
    pub(crate) refused: Vec<(RequestId, Denial)>,
    /// Full pages of answered requests.
    pub(crate) answered: BTreeMap<Page, ReplayIds>,
}

impl Accounts {
    /// A license without any of its seats.
    pub(crate) fn new(license: License) -> Accounts {
        Accounts {
            license,
            seats: BTreeMap::new(),
            computers: BTreeMap::new(),
            refused: Vec::new(),
            answered: BTreeMap::new(),
        }
    }

    /// Loads what a request of this device concerns; `None` when there is no such license.
    ///
    /// # Errors
    /// When a record can't be read or is damaged.
    pub(crate) fn load(
        from: &mut dyn Transaction,
        device: &Digest,
        request: &Request,
    ) -> Result<Option<Accounts>, Error> {
        let code = &request.license;
        from.prefetch(&records::keys_of(device, request))?;
        let Some(license) = records::license(from, code)? else { return Ok(None) };
        let mut accounts = Accounts::new(license);
        if request.op == Op::Activate {
            accounts.refused = records::refused(from, code)?;
        }
        accounts.load_computer(from, &request.computer_id)?;
        accounts.load_device(from, device)?;
        if let Some(page) = accounts.seats.get(device).and_then(|seat| seat.page_of(request)) {
            let ids = records::answered(from, code, &page)?;
            accounts.answered.extend(ids.map(|ids| (page, ids)));
        }
        Ok(Some(accounts))
    }

    /// Loads a computer and the seat that it holds, if there are any.
    ///
    /// # Errors
    /// When a record can't be read or is damaged.
    pub(crate) fn load_computer(
        &mut self,
        from: &mut dyn Transaction,
        id: &str,
    ) -> Result<(), Error> {
        let key = Key::within(Kind::Computer, &self.license.terms.code, id);
        let Some(computer) = records::read(from, &key, records::computer_from)? else {
            return Ok(());
        };
        let holder = computer.holder;
        self.computers.insert(id.to_owned(), computer);
        holder.map_or(Ok(()), |device| self.load_seat(from, &device))
    }

    /// Loads a seat with its computer.
    ///
    /// # Errors
    /// When a record can't be read or is damaged.
    pub(crate) fn load_device(
        &mut self,
        from: &mut dyn Transaction,
        device: &Digest,
    ) -> Result<(), Error> {
        self.load_seat(from, device)?;
        let computer = self.seats.get(device).map(|seat| seat.computer_id.clone());
        computer.map_or(Ok(()), |computer| self.load_computer(from, &computer))
    }

    fn load_seat(&mut self, from: &mut dyn Transaction, device: &Digest) -> Result<(), Error> {
        let key = Key::within(Kind::Seat, &self.license.terms.code, device);
        let seat = records::read(from, &key, records::seat_from)?;
        self.seats.extend(seat.map(|seat| (*device, seat)));
        Ok(())
    }

    /// The records that are not as they were in `before`, and that of the license.
    pub(crate) fn changes_from(&self, before: &Accounts) -> Vec<records::Record> {
        let code = &self.license.terms.code;
        let mut changes = vec![records::license_record(&self.license)];
        for (device, seat) in &self.seats {
            if before.seats.get(device) != Some(seat) {
                changes.push(records::seat_record(code, seat));
            }
        }
        for (id, computer) in &self.computers {
            if before.computers.get(id) != Some(computer) {
                changes.push(records::computer_record(code, id, computer));
            }
        }
        if self.refused != before.refused {
            changes.push(records::refused_record(code, &self.refused));
        }
        let pages = self.answered.iter().filter(|(page, _)| !before.answered.contains_key(page));
        changes.extend(pages.map(|(page, ids)| records::answered_record(code, page, ids)));
        changes
    }

    /// The device key that holds the seat of a computer.
    pub(crate) fn holder(&self, computer: &str) -> Option<Digest> {
        self.computers.get(computer)?.holder
    }

    /// The open seat of a device.
    pub(crate) fn open_seat(&self, device: &Digest) -> Option<&Seat> {
        self.seats.get(device).filter(|seat| seat.open)
    }

    /// Whether the request was answered before, other than as the newest of its device.
    pub(crate) fn has_answered(&self, device: &Digest, request: &Request) -> bool {
        let Some(seat) = self.seats.get(device) else { return false };
        let page = seat.page_of(request).and_then(|page| self.answered.get(&page));
        seat.has_answered(request, page)
            || (request.op == Op::Activate && seat.activated.contains(request.req_id))
    }

    /// Why the request was denied before.
    pub(crate) fn denial_of(&self, device: &Digest, id: RequestId) -> Option<Denial> {
        let of_seat = self.seats.get(device).map_or(&[][..], |seat| &seat.refused);
        let mut refused = self.refused.iter().chain(of_seat);
        refused.find(|(refused, _)| *refused == id).map(|(_, denial)| *denial)
    }

    /// Remembers a denied request.
    pub(crate) fn remember_refused(&mut self, device: &Digest, request: &Request, denial: Denial) {
        match self.seats.get_mut(device) {
            Some(seat) if request.op != Op::Activate => {
                seat.remember_refused(request.req_id, denial);
            }
            _ => {
                self.refused.push((request.req_id, denial));
                let beyond = self.refused.len().saturating_sub(MAX_REFUSALS);
                self.refused.drain(..beyond);
            }
        }
    }

    /// The answer to a denied request; a denied takeover names the date from which it is possible.
    pub(crate) fn denied(&self, request: &Request, now: i64, denial: Denial) -> Answer {
        let answer = Answer::denied(request.req_id, now, denial);
        let computer = self.computers.get(&request.computer_id);
        match computer.and_then(|computer| computer.next_takeover(now)) {
            Some(again) if denial == Denial::TooManyTakeovers => Answer {
                message: format!(
                    "the seat of this computer was taken over {FREE_MOVES} times within 30 days: it is free \
                     again on {}, or ask your vendor to release it",
                    utc::format(again)
                ),
                ..answer
            },
            _ => answer,
        }
    }

    /// Opens `seat`, which is granted its seconds already.
    pub(crate) fn open(&mut self, seat: Seat) {
        self.license.sums.open += 1;
        self.license.sums.granted += seat.granted;
        self.license.sums.consumed += seat.consumed;
        self.computers.entry(seat.computer_id.clone()).or_default().holder = Some(seat.device);
        self.seats.insert(seat.device, seat);
    }

    /// Closes the open seat of `device`; `unused` of its seconds come back, the rest is charged.
    pub(crate) fn close(&mut self, device: &Digest, unused: i64) {
        let Some(seat) = self.seats.get_mut(device).filter(|seat| seat.open) else { return };
        seat.open = false;
        self.license.sums.open -= 1;
        self.license.sums.granted -= seat.granted;
        self.license.sums.consumed -= seat.consumed;
        self.license.balance.settle(seat.granted, unused);
        if let Some(computer) = self.computers.get_mut(&seat.computer_id) {
            computer.holder = None;
        }
    }

    /// Sets what the open seat of `device` has used, and grants it as many of `more` seconds as are left.
    pub(crate) fn settle(&mut self, device: &Digest, consumed: i64, more: i64) {
        let Some(seat) = self.seats.get_mut(device).filter(|seat| seat.open) else { return };
        let taken = self.license.balance.take(more);
        self.license.sums.granted += taken;
        self.license.sums.consumed += consumed - seat.consumed;
        seat.granted += taken;
        seat.consumed = consumed;
    }

    /// Moves the seat of `device` to another computer.
    pub(crate) fn move_to(&mut self, device: &Digest, computer_id: &str, now: i64) {
        let Some(seat) = self.seats.get_mut(device) else { return };
        if let Some(old) = self.computers.get_mut(&seat.computer_id) {
            old.holder = None;
        }
        self.computers.entry(computer_id.to_owned()).or_default().holder = Some(*device);
        computer_id.clone_into(&mut seat.computer_id);
        seat.moves.push(now);
    }

    /// Whether the accounts that are loaded can be true together.
    #[must_use]
    pub(crate) fn is_consistent(&self) -> bool {
        let holds = |(id, computer): (&String, &Computer)| match computer.holder {
            None => true,
            Some(device) => self.open_seat(&device).is_some_and(|seat| seat.computer_id == *id),
        };
        let held = |seat: &Seat| {
            let computer = self.computers.get(&seat.computer_id);
            computer.is_none_or(|computer| computer.holder == Some(seat.device))
        };
        self.license.is_consistent()
            && self.seats.values().all(Seat::is_consistent)
            && self.computers.iter().all(holds)
            && self.seats.values().filter(|seat| seat.open).all(held)
    }
}

#[cfg(test)]
impl Accounts {
    /// Seats that are taken.
    pub(crate) fn open_seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.values().filter(|seat| seat.open)
    }

    /// Whether all seconds add up, where all seats are loaded.
    #[must_use]
    pub(crate) fn is_whole(&self) -> bool {
        let sum = |of: fn(&Seat) -> i64| self.open_seats().map(of).sum::<i64>();
        let sums = self.license.sums;
        self.is_consistent()
            && sum(|_| 1) == sums.open
            && sum(|seat| seat.granted) == sums.granted
            && sum(|seat| seat.consumed) == sums.consumed
    }
}
