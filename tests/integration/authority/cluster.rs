//! An authority on several machines: appliances ask through a load balancer while its processes, and the members of
//! the store below them, are killed and stopped. `tests/real/authority-cluster` starts all that and does the harm.
//!
//! In the environment: `AUTHORITY_ADDRESS` of the load balancer, `AUTHORITY_STORE`, the flags of the store, one a
//! line, `AUTHORITY_TRUST`, the trust file, and `AUTHORITY_CODES`, a file with one code a line.

use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use applianced::protocol::trust::Trust;
use serde_json::Value;

use crate::authority::field::{Account, Appliance, Field, accounts, call};
use crate::authority::machine::Machine;
use crate::support::vendor::program;
use crate::support::wait::until;

/// Threads that ask at the same time; each has its share of the appliances.
const CALLERS: usize = 16;

/// An appliance asks for one answer so long at most.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

pub(crate) fn number(name: &str) -> usize {
    variable(name).parse().unwrap()
}

/// A command of the authority on its store.
fn command(words: &[&str]) -> String {
    let store = variable("AUTHORITY_STORE");
    let output = Command::new(program()).args(words).args(store.lines()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs a cluster: tests/real/authority-cluster"]
fn every_second_is_accounted_for_whatever_happens_to_the_machines() {
    let trust = Trust::parse(&std::fs::read(variable("AUTHORITY_TRUST")).unwrap()).unwrap();
    let codes = std::fs::read_to_string(variable("AUTHORITY_CODES")).unwrap();
    let codes: Vec<&str> = codes.lines().collect();
    let mut shares: Vec<Vec<Appliance>> = (0..CALLERS).map(|_| Vec::new()).collect();
    for appliance in 0..number("APPLIANCES") {
        let machine = Machine::new(codes[appliance % codes.len()], trust.clone());
        shares[appliance % CALLERS].push(Appliance::new(machine));
    }
    let field = Field::new(variable("AUTHORITY_ADDRESS").parse().unwrap(), PATIENCE);
    let end = Instant::now() + Duration::from_secs(number("LOAD_SECONDS") as u64);
    let _ = writeln!(std::io::stdout(), "asking");
    let appliances: Vec<Appliance> = std::thread::scope(|scope| {
        let callers: Vec<_> = shares
            .into_iter()
            .map(|share| (share, &field))
            .map(|(share, field)| scope.spawn(move || call(share, field)))
            .collect();
        until(PATIENCE + (end - Instant::now()), "the time is over", || {
            (Instant::now() >= end).then_some(())
        });
        field.over.store(true, Ordering::Relaxed);
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    let accounts = accounts(&appliances);
    let listed: Value = serde_json::from_str(&command(&["list", "--json"])).unwrap();
    let rows = listed.as_array().unwrap();
    assert_eq!(rows.len(), codes.len());
    let nobody = Account::default();
    for row in rows {
        let code = row["license"].as_str().unwrap();
        let account = accounts.get(code).unwrap_or(&nobody);
        let figures =
            ["secs_held", "secs_used", "activated"].map(|name| row[name].as_i64().unwrap());
        let open = i64::try_from(account.open).unwrap();
        assert_eq!(figures, [account.held, account.used, open], "{code}");
        let left = row["secs_allocated"].as_i64().unwrap() - account.held - account.used;
        assert_eq!(row["secs_left"], left, "{code}");
    }
    for (code, account) in accounts.iter().take(20) {
        let shown: Value = serde_json::from_str(&command(&["show", code, "--json"])).unwrap();
        assert_eq!(shown["audit"], format!("{} entries, intact", 1 + account.answers), "{code}");
    }
    assert!(command(&["verify"]).contains("all are whole"));
    let figures = [&field.answers, &field.retries, &field.longest]
        .map(|figure| figure.load(Ordering::Relaxed));
    let [answers, retries, longest] = figures;
    let _ = writeln!(
        std::io::stdout(),
        "figures: {answers} answers, {retries} asked again, longest wait {longest} ms"
    );
}
