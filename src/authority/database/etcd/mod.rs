//! Records in etcd (3.4 and later), through the JSON gateway that each member serves beside gRPC.
//!
//! In: steps as one txn each, scans page by page, a check that writes. Out: what the texts mean.
//!
//! A record is one key, `PREFIX` and then [`Key::as_str`]; its text is the value. `PREFIXcheck` is written
//! by [`Database::check`].
//!
//! **Steps.** The first read is linearizable and tells the revision of the store; all further reads are of
//! that revision. So a work function never sees one record before and another after the change of someone
//! else, its errors can be believed, and a step that only reads needs no txn. A step that writes is one txn:
//! if each record that was read has still the `mod_revision` that it had, all is written. Otherwise someone
//! was faster, nothing is written, and the work runs again on what is there now. What is prefetched is read
//! in one round trip, so that most questions of appliances take two: one to read and one to write.
//!
//! **Open outcomes.** When a member dies or hangs after it was sent a txn, or loses its leader, the txn may
//! have happened, or may happen later. Then the step returns an error and is not run again here, because not
//! every work is harmless twice: `extend --secs` is not. The appliance repeats its request under the same
//! id; that is a new step, which reads what became of the first one. Should the first one still be on its
//! way, only one of both commits, because each changes a record that the other has read.
//!
//! **Members.** The one that answered last is asked first; the next one when it can't be reached, hangs (5
//! seconds) or has no leader, and the request changes nothing or certainly did nothing.
//!
//! **For the cluster's operator.** Every change leaves the old text in etcd's history until it is compacted:
//! `--auto-compaction-mode=periodic --auto-compaction-retention=1h`, and a quota (`--quota-backend-bytes`)
//! that holds the records and an hour of changes. A user needs a role with `readwrite` on the prefix. etcd's
//! gateway takes no user from a client certificate, so a cluster with users wants name and password, and
//! refuses certificates with a common name. Where members want client certificates, their own ones must be
//! good for clients too (`extendedKeyUsage`), because a member's gateway is a client of the member.

mod client;
mod failure;
mod options;
mod step;
mod tls;
mod wire;

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use self::client::{Client, Effect};
use self::failure::{Failure, Kind};
pub(crate) use self::options::Options;
use self::step::Step;
use self::wire::Page;
use super::{Database, Key, SHARDS, Scope, Visit, Work, redacted};
use crate::store::Error;

const RANGE: &str = "/v3/kv/range";
const TXN: &str = "/v3/kv/txn";

/// The key, behind the prefix, that [`Database::check`] writes.
const CHECK: &str = "check";

/// Records of a page of a scan.
const PAGE: usize = 256;

/// More records than this are read shard by shard: for each page, etcd counts all that follow in the range, so the
/// time for one range grows with the square of its records.
const LARGE: i64 = 4_096;

/// How often a step runs at most, when others are faster each time.
const TRIES: u32 = 64;

/// Longest pause before a step runs again.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The records of an authority in a cluster.
pub(crate) struct Etcd {
    client: Client,
    prefix: String,
    /// Steps that had to run again.
    conflicts: AtomicU64,
}

impl Etcd {
    /// Reads the files that the options name, and connects to nothing yet.
    ///
    /// # Errors
    /// Which file can't be used.
    pub(crate) fn new(options: &Options) -> Result<Etcd, Error> {
        let conflicts = AtomicU64::new(0);
        Ok(Etcd { client: Client::new(options)?, prefix: options.prefix.clone(), conflicts })
    }

    fn path(&self, key: &Key) -> String {
        format!("{}{}", self.prefix, key.as_str())
    }

    /// Commits a step; false when someone else was faster.
    fn commit(&self, step: &Step<'_>) -> Result<bool, Error> {
        let Some(txn) = step.txn()? else { return Ok(true) };
        let answer = self.client.ask(TXN, &txn, Effect::Once).map_err(|failure| error(&failure))?;
        wire::succeeded(&answer).ok_or_else(|| {
            error(&Failure::new(Kind::Unknown, "its answer is not one to a txn: check the URL"))
        })
    }

    /// One page of the records from `first` up to and without `end`.
    fn page(&self, first: &str, end: &str, revision: Option<i64>) -> Result<Page, Failure> {
        let request = wire::range(first, end, PAGE, revision);
        let answer = self.client.ask(RANGE, &request, Effect::None)?;
        let what = "a record is not text as it was written";
        wire::page(&answer).ok_or_else(|| Failure::new(Kind::Refused, what))
    }

    /// Whether a scope has too many records to be read as one range.
    fn is_large(&self, scope: Scope<'_>) -> Result<bool, Error> {
        let (first, end) = self.bounds(scope);
        let answer = self.client.ask(RANGE, &wire::count(&first, &end), Effect::None);
        let answer = answer.map_err(|failure| error(&failure))?;
        wire::counted(&answer).map(|records| records > LARGE).ok_or_else(not_etcd)
    }

    /// Visits the records of a scope, all as they were at `revision`, or at that of the first page.
    fn scan_range(
        &self,
        scope: Scope<'_>,
        revision: &mut Option<i64>,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        let (mut first, end) = self.bounds(scope);
        loop {
            let page = match self.page(&first, &end, *revision) {
                // The rest as it is now.
                Err(failure) if failure.kind == Kind::Revision && revision.is_some() => {
                    *revision = None;
                    continue;
                }
                other => other.map_err(|failure| error(&failure))?,
            };
            *revision = revision.or(Some(page.revision));
            if let Some(last) = page.records.last() {
                first = format!("{}\0", last.key);
            }
            let is_last = !page.more || page.records.is_empty();
            for record in page.records {
                let key = record.key.strip_prefix(&self.prefix).and_then(Key::parse);
                let key = key.ok_or_else(foreign)?;
                if visit(key, record.text)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            if is_last {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }

    /// The first key of a scope, and the one behind its last.
    fn bounds(&self, scope: Scope<'_>) -> (String, String) {
        let prefix = &self.prefix;
        // '0' follows '/', and '\0' precedes every other character.
        let all = match scope {
            Scope::All { kind } => format!("{prefix}{}", kind.name()),
            Scope::Shard { kind, shard } => format!("{prefix}{}/{shard}", kind.name()),
            Scope::License { kind, code } => self.path(&Key::of_license(kind, code)),
            Scope::Lines { code, .. } => self.path(&Key::of_license(super::Kind::Audit, code)),
        };
        let first = match scope {
            Scope::All { .. } | Scope::Shard { .. } => format!("{all}/"),
            Scope::License { .. } => all.clone(),
            Scope::Lines { code, after } => format!("{}\0", self.path(&Key::audit(code, after))),
        };
        (first, format!("{all}0"))
    }
}

impl Database for Etcd {
    fn transact(&self, _shard: &str, work: &mut Work<'_>) -> Result<(), Error> {
        for number in 1..=TRIES {
            let mut step = Step::new(self);
            let done = work(&mut step);
            match step.failure() {
                Some(failure) if failure.kind == Kind::Revision => {}
                Some(failure) => return Err(error(&failure)),
                None => {
                    done?;
                    if self.commit(&step)? {
                        return Ok(());
                    }
                }
            }
            self.conflicts.fetch_add(1, Ordering::Relaxed);
            pause(number)?;
        }
        Err(Error::new(format!(
            "others changed the same records {TRIES} times in a row: nothing was changed; try again"
        )))
    }

    fn scan(&self, scope: Scope<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        let mut revision = None;
        match scope {
            // Totals are one record a shard, and what belongs to the keys is in no shard.
            Scope::All { kind }
                if !matches!(
                    kind,
                    super::Kind::Totals | super::Kind::Keys | super::Kind::KeyAudit
                ) && self.is_large(scope)? =>
            {
                for shard in 0..SHARDS {
                    let shard = Scope::Shard { kind, shard: &format!("{shard:03}") };
                    if self.scan_range(shard, &mut revision, visit)?.is_break() {
                        break;
                    }
                }
            }
            _ => {
                let _ = self.scan_range(scope, &mut revision, visit)?;
            }
        }
        Ok(())
    }

    fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    fn is_shared(&self) -> bool {
        true
    }

    /// Writes a key and reads it. A change is proposed to the leader and agreed on by more than half of the
    /// members, and is what fails when the space is used up; so one small txn tells what a read, the status
    /// of each member and the list of alarms would tell, and whether the user has the right to do it.
    fn check(&self) -> Result<(), Error> {
        let request = wire::write_and_read(&format!("{}{CHECK}", self.prefix), "1");
        let answer = self.client.ask(TXN, &request, Effect::None).map_err(|why| error(&why))?;
        wire::succeeded(&answer).filter(|done| *done).map(drop).ok_or_else(not_etcd)
    }
}

/// Waits a random time, longer after each try, so that those who compete for a record get out of step.
fn pause(tries: u32) -> Result<(), Error> {
    let mut bytes = [0; 2];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new("cannot get random bytes from the system"))?;
    let longest = LONGEST_PAUSE.min(Duration::from_millis(2) * tries);
    thread::sleep(longest * u32::from(u16::from_le_bytes(bytes)) / u32::from(u16::MAX));
    Ok(())
}

fn error(failure: &Failure) -> Error {
    let what = &failure.what;
    Error::new(match failure.kind {
        Kind::Unknown => {
            format!(
                "etcd gave no answer, and a change may have happened or not: {what}; look at what is there \
                 before you repeat a command"
            )
        }
        _ => format!("etcd can't be used: {what}"),
    })
}

fn not_etcd() -> Error {
    error(&Failure::new(Kind::Refused, "it does not answer as etcd does"))
}

fn foreign() -> Error {
    Error::new(
        "etcd holds a key that this program did not write among its own: another program uses the same \
         --etcd-prefix",
    )
}

/// A record for a message; the code is not told in full.
fn named(key: &Key) -> String {
    let kind = key.kind().map_or("", |kind| kind.name());
    match key.code() {
        Some(code) => format!("the record `{kind}` of license {}", redacted(code)),
        None => format!("the record `{kind}` of shard {}", key.shard()),
    }
}
