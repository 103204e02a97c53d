//! Whether all records fit each other.

use std::ops::ControlFlow;

use crate::authority::database::{Key, Kind, Scope, read, redacted};

use super::{Error, Fields, License, Licenses, Totals, records};

/// How often something that changes while it is looked at is looked at again.
const ATTEMPTS: usize = 10;

/// What was verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    /// Licenses that are whole.
    pub(crate) licenses: u64,
    /// Entries in their audit logs.
    pub(crate) entries: u64,
}

/// The licenses of the shard that is being read.
#[derive(Default)]
struct Shard {
    /// Its three digits; empty before the first license.
    name: String,
    sums: Totals,
    /// Whether all of its licenses could be read.
    readable: bool,
}

impl Licenses {
    /// Checks everything; `progress` gets the number of whole licenses so far.
    ///
    /// # Errors
    /// The first thing that is not whole.
    pub(crate) fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<Verified, Error> {
        let mut first = None;
        let verified = self.verify_all(progress, &mut |fault| {
            first.get_or_insert(fault);
        })?;
        first.map_or(Ok(verified), Err)
    }

    /// Checks every license with all its records, and the sums of all. `progress` gets the number of whole
    /// licenses so far, `fault` each thing that is not whole.
    ///
    /// Licenses that change meanwhile are read again.
    ///
    /// # Errors
    /// When the database can't be read.
    pub(crate) fn verify_all(
        &self,
        progress: &mut dyn FnMut(u64),
        fault: &mut dyn FnMut(Error),
    ) -> Result<Verified, Error> {
        let mut verified = Verified::default();
        let mut shard = Shard::default();
        let mut stopped = Ok(());
        self.database.scan(Scope::All { kind: Kind::License }, &mut |key, text| {
            if shard.name != key.shard() {
                stopped = self.verify_sums(&shard, fault);
                let name = key.shard().to_owned();
                shard = Shard { name, readable: true, ..Shard::default() };
            }
            let license = records::parse_record(&key, &text, records::license_from);
            shard.readable &= license.is_ok();
            let sums = license.as_ref().map(Totals::of).unwrap_or_default();
            shard.sums.add(&sums);
            match license.and_then(|license| self.verify_license(&license)) {
                Ok(lines) => {
                    verified.entries += lines;
                    verified.licenses += 1;
                    progress(verified.licenses);
                }
                Err(error) => fault(error),
            }
            Ok(if stopped.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        stopped?;
        self.verify_sums(&shard, fault)?;
        Ok(verified)
    }

    /// Compares the sums of a shard with its licenses.
    fn verify_sums(&self, shard: &Shard, fault: &mut dyn FnMut(Error)) -> Result<(), Error> {
        let Ok(number) = shard.name.parse() else { return Ok(()) };
        if !shard.readable {
            return Ok(());
        }
        let mut sums = shard.sums.clone();
        for _ in 0..ATTEMPTS {
            let before = self.totals_of(number)?;
            let stated = Totals { changes: 0, ..before.clone() };
            if stated == sums {
                return Ok(());
            }
            sums = self.sum(shard)?;
            if sums != stated && self.totals_of(number)? == before {
                let what = format!("the sums of the licenses that end in {} are wrong", shard.name);
                fault(Error::new(what));
                return Ok(());
            }
        }
        fault(Error::new(format!(
            "the licenses that end in {} changed too often to compare their sums: verify again",
            shard.name
        )));
        Ok(())
    }

    fn totals_of(&self, shard: u16) -> Result<Totals, Error> {
        let key = Key::totals(shard);
        let parse = |text: String| {
            records::parse_record(&key, &text, |value| Totals::read(&Fields::of(value)?))
        };
        Ok(read(self.database(), &key)?.map(parse).transpose()?.unwrap_or_default())
    }

    /// The sums of the licenses of a shard, read again.
    fn sum(&self, shard: &Shard) -> Result<Totals, Error> {
        let mut sums = Totals::default();
        self.each_of_shard(&shard.name, &mut |license| sums.add(&Totals::of(&license)))?;
        Ok(sums)
    }

    /// The number of entries of a license's audit log, if its seats and it fit its sums.
    fn verify_license(&self, license: &License) -> Result<u64, Error> {
        let code = &license.terms.code;
        let mut current = license.clone();
        loop {
            let (mut seats, mut granted, mut consumed) = (0, 0, 0);
            self.each_seat(code, &mut |seat| {
                if seat.open {
                    seats += 1;
                    granted += seat.granted;
                    consumed += seat.consumed;
                }
            })?;
            let sums = current.sums;
            let audit = self.audit(&current);
            let fits = (seats, granted, consumed) == (sums.open, sums.granted, sums.consumed);
            if fits && audit.is_ok() {
                return audit;
            }
            match self.read(code)? {
                Some(again) if again != current => current = again,
                _ => {
                    let license = format!("license {}", redacted(code));
                    let what = match audit {
                        Err(fault) => format!("{license}: audit log: {fault}"),
                        Ok(_) => format!("{license}: its seats do not add up to its sums"),
                    };
                    return Err(Error::new(what));
                }
            }
        }
    }
}
