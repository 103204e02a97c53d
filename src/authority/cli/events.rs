//! `events`: the audit logs of all licenses as one stream, for a program of the vendor that follows them.
//!
//! Every second the change counters of the shards are read, and then only what changed. Each line of the stream
//! names its license and its number in that license's log, so that a program that begins anew at an earlier date
//! knows what it has seen.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Error;
use super::options::{Options, now};
use crate::authority::database::Scope;
use crate::authority::license::License;
use crate::authority::licenses::Licenses;
use crate::util::{json, utc};

/// How often the change counters are read.
const PERIOD: Duration = Duration::from_secs(1);

/// By how many seconds the clocks of processes that write may differ: so much older lines are still looked for.
const SKEW: i64 = 60;

/// Prints what happened, and with `--follow` what happens.
pub(super) fn events(options: &Options) -> Result<String, Error> {
    let follow = options.given("follow");
    let after = options.date("after")?.unwrap_or(if follow { now() } else { 0 });
    let mut stream = Stream {
        licenses: options.licenses()?,
        after,
        changes: BTreeMap::new(),
        told: HashMap::new(),
    };
    loop {
        if stream.tell()?.is_break() || !follow {
            return Ok(String::new());
        }
        thread::sleep(PERIOD);
    }
}

struct Stream {
    licenses: Licenses,
    after: i64,
    /// The change counters, as they were last.
    changes: BTreeMap<String, i64>,
    /// How many lines of a license were told.
    told: HashMap<String, u64>,
}

impl Stream {
    /// Prints what is new; breaks when nobody reads.
    fn tell(&mut self) -> Result<ControlFlow<()>, Error> {
        let changes = self.licenses.changes()?;
        for (shard, count) in &changes {
            if self.changes.get(shard) != Some(count) && self.tell_shard(shard)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.changes = changes;
        Ok(ControlFlow::Continue(()))
    }

    fn tell_shard(&mut self, shard: &str) -> Result<ControlFlow<()>, Error> {
        let mut changed = Vec::new();
        self.licenses.each_of_shard(shard, &mut |license| {
            let told = self.told.get(&license.terms.code).copied().unwrap_or(0);
            if license.changed >= self.after - SKEW && license.audit.lines > told {
                changed.push(license);
            }
        })?;
        for license in changed {
            if self.tell_license(&license)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn tell_license(&mut self, license: &License) -> Result<ControlFlow<()>, Error> {
        let code = &license.terms.code;
        let known = self.told.get(code).copied();
        let mut number = known.unwrap_or(0);
        let scope = Scope::Lines { code, after: number };
        let mut out = io::stdout().lock();
        let mut gone = ControlFlow::Continue(());
        self.licenses.database().scan(scope, &mut |key, line| {
            number = key.line().unwrap_or(number);
            let Ok(Value::Object(line)) = json::parse(line.as_bytes()) else {
                return Ok(ControlFlow::Continue(()));
            };
            let time = line.get("time").and_then(Value::as_str).and_then(utc::parse);
            // A line that is told for its number may bear an earlier time, of another machine's clock.
            let wanted = known.is_some() || time.is_none_or(|time| time >= self.after);
            if wanted && writeln!(out, "{}", shown(code, number, line)).is_err() {
                gone = ControlFlow::Break(());
            }
            Ok(gone)
        })?;
        self.told.insert(code.clone(), number);
        Ok(if out.flush().is_err() { ControlFlow::Break(()) } else { gone })
    }
}

/// One line of the stream.
fn shown(code: &str, number: u64, mut line: Map<String, Value>) -> Value {
    line.remove("prev");
    let place = [("license".to_owned(), code.into()), ("number".to_owned(), number.into())];
    place.into_iter().chain(line).collect()
}
