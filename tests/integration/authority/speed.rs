//! How many questions a second an authority answers: a measurement that `SPEED=1 tests/real/authority-cluster`
//! starts, and no test of anything.
//!
//! In the environment: `AUTHORITY_ADDRESSES`, one a line, `AUTHORITY_TRUST`, the trust file, `AUTHORITY_CODES`,
//! a file with one code a line, `SPEED_SECONDS`, `SPEED_CALLERS`, appliances that ask at the same time, each for a
//! license of its own, and `SPEED_SEATS`, how many seats of the first license are taken meanwhile.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use applianced::protocol::message::{Kind, Op};
use applianced::protocol::trust::Trust;

use crate::authority::cluster::{number, variable};
use crate::authority::machine::Machine;

#[test]
#[ignore = "a measurement: SPEED=1 tests/real/authority-cluster"]
fn questions_a_second() {
    let trust = Trust::parse(&std::fs::read(variable("AUTHORITY_TRUST")).unwrap()).unwrap();
    let codes = std::fs::read_to_string(variable("AUTHORITY_CODES")).unwrap();
    let addresses: Vec<SocketAddr> =
        variable("AUTHORITY_ADDRESSES").lines().map(|line| line.parse().unwrap()).collect();
    let callers = number("SPEED_CALLERS");
    let mut machines: Vec<Machine> =
        codes.lines().take(callers).map(|code| Machine::new(code, trust.clone())).collect();
    assert_eq!(machines.len(), callers, "each has a license of its own");
    for _ in machines.len()..number("SPEED_SEATS") {
        let mut other = Machine::new(&machines[0].code, trust.clone());
        assert_eq!(other.ask(addresses[0], Op::Activate).kind, Kind::Lease);
    }
    for machine in &mut machines {
        assert_eq!(machine.ask(addresses[0], Op::Activate).kind, Kind::Lease);
    }
    let seconds = number("SPEED_SECONDS");
    let (answers, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let _ = writeln!(std::io::stdout(), "asking");
    std::thread::scope(|scope| {
        for (caller, machine) in machines.iter_mut().enumerate() {
            let address = addresses[caller % addresses.len()];
            let (answers, over) = (&answers, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    machine.consumed += i64::from(machine.consumed < machine.granted);
                    assert_eq!(machine.ask(address, Op::Sync).kind, Kind::Lease);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(Duration::from_secs(seconds as u64));
        over.store(true, Ordering::Relaxed);
    });
    let rate = answers.into_inner() / seconds;
    for mut machine in machines {
        assert_eq!(machine.ask(addresses[0], Op::Return).kind, Kind::Returned);
    }
    let _ = writeln!(std::io::stdout(), "figures: {rate} syncs/s");
}
