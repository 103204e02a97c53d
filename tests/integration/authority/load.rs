//! Many licenses, many appliances, and an authority that is killed again and again under them: no
//! second is lost or made, and one answer costs the same however many licenses there are.
//!
//! Small by itself; `tests/real/authority-load` asks for more through the environment.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use applianced::protocol::message::{Denial, Kind, Mode, Op, Request};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::authority::field::{Account, Appliance, Field, accounts, call};
use crate::authority::machine::Machine;
use crate::support::prerequisites::{can_trace, traceable};
use crate::support::vendor::{Vendor, program};
use crate::support::wait::{SOON, until};

/// Threads that ask at the same time; each has its share of the appliances.
const CALLERS: usize = 20;

/// How often the authority is killed.
const KILLS: u32 = 10;

/// Answers between two kills, at least: an authority that answers nothing can't lose anything.
const BETWEEN_KILLS: usize = 20;

/// Of every license, in seconds.
const ALLOCATED: i64 = 10_000_000;

/// System calls by which two answers may differ: memory is asked for now and then.
const SLACK: usize = 5;

/// The same for answers at different sizes of one license, whose texts differ by digits.
const SEATS_SLACK: usize = 40;

/// Bytes by which what two answers write may differ: numbers have more digits, and more refusals are remembered.
const SLACK_BYTES: usize = 2_000;

fn setting(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is no number")),
        Err(_) => default,
    }
}

#[test]
fn nothing_is_lost_when_it_is_killed_under_load() {
    let licenses = setting("LICENSES", 100);
    let appliances = setting("APPLIANCES", 100).min(licenses * 2);
    let load = Duration::from_secs(setting("LOAD_SECONDS", 3) as u64);
    let mut vendor = Vendor::init();
    let codes = sell(&vendor, licenses);
    // Two appliances to a license, so that some ask about the same one at the same moment.
    let mut shares: Vec<Vec<Appliance>> = (0..CALLERS).map(|_| Vec::new()).collect();
    for number in 0..appliances {
        let machine = Machine::new(&codes[number / 2], vendor.trust());
        shares[number % CALLERS].push(Appliance::new(machine));
    }
    let field = Field::new(vendor.serve(), SOON * 3);
    let appliances: Vec<Appliance> = std::thread::scope(|scope| {
        let callers: Vec<_> = shares
            .into_iter()
            .map(|share| (share, &field))
            .map(|(share, field)| scope.spawn(move || call(share, field)))
            .collect();
        for _ in 0..KILLS {
            let (pause, before) = (Instant::now() + load / KILLS, field.answered());
            until(load + SOON, "appliances are answered", || {
                let enough = field.answered() >= before + BETWEEN_KILLS;
                (enough && Instant::now() >= pause).then_some(())
            });
            vendor.signal(Signal::KILL);
            vendor.ended();
            *field.address.write().unwrap() = vendor.serve();
        }
        field.over.store(true, Ordering::Relaxed);
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    vendor.stop();
    let _ = writeln!(
        std::io::stderr(),
        "{licenses} licenses, {} appliances, {KILLS} kills: {} answers, {} asked again",
        appliances.len(),
        field.answered(),
        field.retries.load(Ordering::Relaxed)
    );
    assert!(field.retries.load(Ordering::Relaxed) > 0, "no kill met a question");
    balance(&vendor, &codes, &appliances);
}

#[test]
fn a_backup_taken_under_load_restores_to_accounts_that_balance() {
    let mut vendor = Vendor::init();
    let codes = sell(&vendor, setting("LICENSES", 50));
    let mut shares: Vec<Vec<Appliance>> = (0..CALLERS).map(|_| Vec::new()).collect();
    for (number, code) in codes.iter().cycle().take(2 * codes.len()).enumerate() {
        shares[number % CALLERS].push(Appliance::new(Machine::new(code, vendor.trust())));
    }
    let field = Field::new(vendor.serve(), SOON * 3);
    let backups: Vec<_> =
        (0..3).map(|number| vendor.scratch(&format!("{number}.backup"))).collect();
    std::thread::scope(|scope| {
        for share in shares {
            let field = &field;
            scope.spawn(move || call(share, field));
        }
        for backup in &backups {
            let before = field.answered();
            vendor.ok(&["backup", backup.to_str().unwrap()]);
            until(SOON * 3, "appliances are answered meanwhile", || {
                (field.answered() >= before + BETWEEN_KILLS).then_some(())
            });
        }
        field.over.store(true, Ordering::Relaxed);
    });
    let mut moved = Vec::new();
    for backup in &backups {
        let dir = backup.with_extension("restored");
        let run = |words: &[&str]| {
            let output = Command::new(program()).args(words).arg("--dir").arg(&dir).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{words:?}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        run(&["restore", backup.to_str().unwrap()]);
        assert!(run(&["verify"]).contains("all are whole"));
        let report: Value = serde_json::from_str(&run(&["report", "--json"])).unwrap();
        let [allocated, left, held, used] = ["allocated", "left", "held", "used"]
            .map(|name| report["total"][format!("secs_{name}")].as_i64().unwrap());
        assert_eq!(allocated, ALLOCATED * i64::try_from(codes.len()).unwrap());
        assert_eq!(allocated, left + held + used);
        moved.push(held + used);
    }
    assert!(moved[0] > 0 && moved[2] > 0, "nothing was moved: {moved:?}");
}

#[test]
fn an_activation_costs_the_same_however_many_licenses_there_are() {
    if !can_trace() {
        return;
    }
    let (few, many) = (10, setting("LICENSES", 100).max(11));
    let mut vendor = Vendor::init();
    sell(&vendor, few - 1);
    let among_few = activation(&mut vendor);
    sell(&vendor, many - few - 1);
    let among_many = activation(&mut vendor);
    let report = report(&vendor);
    assert_eq!(report["total"]["licenses"], many);
    let shown = format!("{among_few} calls among {few} licenses, {among_many} among {many}");
    let _ = writeln!(std::io::stderr(), "an activation takes {shown}");
    assert!(among_few > 10 && among_few.abs_diff(among_many) <= SLACK, "{shown}");
}

#[test]
fn a_question_costs_the_same_however_many_seats_its_license_has() {
    if !can_trace() {
        return;
    }
    let most = setting("SEATS", 1_000);
    let mut vendor = Vendor::init();
    let code = sell(&vendor, setting("LICENSES", 100)).remove(0);
    let mut machines: Vec<Machine> = Vec::new();
    let mut first: Option<[Cost; 3]> = None;
    for seats in [1, 100, 1_000, 10_000].into_iter().filter(|seats| *seats <= most) {
        vendor.ok(&["extend", &code, "--activations", &seats.to_string()]);
        let address = vendor.serve();
        while machines.len() + 1 < seats {
            machines.push(Machine::new(&code, vendor.trust()));
            let answer = machines.last_mut().unwrap().ask(address, Op::Activate);
            assert_eq!(answer.kind, Kind::Lease, "seat {}", machines.len());
        }
        let refused = Machine::new(&code, vendor.trust());
        let offline = Request { mode: Mode::Offline, ..refused.request(Op::Activate) };
        let answer = refused.send(address, &offline).unwrap();
        assert_eq!(
            answer.denial,
            Some(Denial::OfflineNotAllowed),
            "it makes the record of refusals"
        );
        vendor.stop();
        machines.push(Machine::new(&code, vendor.trust()));
        let costs = traced(&mut vendor, |address| {
            let last = machines.last_mut().unwrap();
            assert_eq!(last.ask(address, Op::Activate).kind, Kind::Lease);
            last.consumed += 1;
            assert_eq!(last.ask(address, Op::Sync).kind, Kind::Lease);
            // The first refusal looks for a seat that could be freed, and finds out when there can be one.
            for _ in 0..2 {
                let answer = Machine::new(&code, last.trust.clone()).ask(address, Op::Activate);
                assert_eq!(answer.denial, Some(Denial::ActivationsExceeded));
            }
        });
        let [activation, sync, _, refusal]: [Cost; 4] = costs.try_into().unwrap();
        let milliseconds = milliseconds(&mut vendor, machines.last_mut().unwrap());
        let _ = writeln!(
            std::io::stderr(),
            "{seats} seats: activation {activation:?}, sync {sync:?} in {milliseconds:.2} ms, \
             refusal {refusal:?}"
        );
        let costs = [activation, sync, refusal];
        for (cost, of_one) in costs.iter().zip(first.iter().flatten()) {
            let fits = cost.calls.abs_diff(of_one.calls) <= SEATS_SLACK
                && cost.written.abs_diff(of_one.written) <= SLACK_BYTES;
            assert!(fits, "{seats} seats: {costs:?}; 1 seat: {first:?}");
        }
        first.get_or_insert(costs);
    }
    let shown = vendor.ok(&["verify"]);
    assert!(shown.contains("all are whole"), "{shown}");
}

/// The median of syncs in a row.
fn milliseconds(vendor: &mut Vendor, machine: &mut Machine) -> f64 {
    let address = vendor.serve();
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            let begin = Instant::now();
            machine.ask(address, Op::Sync);
            begin.elapsed()
        })
        .collect();
    vendor.stop();
    times.sort_unstable();
    times[10].as_secs_f64() * 1e3
}

/// So many licenses; their codes.
fn sell(vendor: &Vendor, count: usize) -> Vec<String> {
    let seconds = ALLOCATED.to_string();
    let count = count.to_string();
    #[rustfmt::skip]
    let codes = vendor.ok(&["create", "--secs", &seconds, "--cache", "60", "--expires",
        "2099-01-01T00:00:00Z", "--activations", "2", "--count", &count]);
    codes.lines().map(str::to_owned).collect()
}

fn report(vendor: &Vendor) -> Value {
    serde_json::from_str(&vendor.ok(&["report", "--json"])).unwrap()
}

/// Sells one more license and activates it; how many system calls the answer took.
fn activation(vendor: &mut Vendor) -> usize {
    let code = sell(vendor, 1).remove(0);
    let mut machine = Machine::new(&code, vendor.trust());
    traced(vendor, |address| {
        machine.ask(address, Op::Activate);
    })[0]
        .calls
}

/// What one answer took.
#[derive(Debug)]
struct Cost {
    /// System calls of its thread.
    calls: usize,
    /// Bytes that it wrote, without the answer.
    written: usize,
}

/// Serves under `strace`; what each answer to the questions of `ask` took, in their order.
fn traced(vendor: &mut Vendor, ask: impl FnOnce(SocketAddr)) -> Vec<Cost> {
    let trace = vendor.scratch("cost.strace");
    let mut command = traceable("strace");
    command.args(["-D", "-f", "-qq", "-o"]).arg(&trace).arg(program());
    command.args(["serve", "--listen", "127.0.0.1:0", "--dir"]).arg(vendor.dir());
    ask(vendor.serve_as(command).unwrap_or_else(|status| panic!("serve: {status}")));
    vendor.stop();
    let text = std::fs::read_to_string(&trace).unwrap();
    let answers = text.lines().enumerate().filter(|(_, line)| line.contains("\"HTTP/1.1 200"));
    let costs = answers.map(|(end, line)| cost(text.lines().take(end), line)).collect();
    std::fs::remove_file(&trace).unwrap();
    costs
}

/// Each question has a thread of its own. A call that another one interrupts has a second line, with its result.
fn cost<'a>(before: impl Iterator<Item = &'a str>, answer: &str) -> Cost {
    let thread = answer.split_whitespace().next();
    let mut cost = Cost { calls: 0, written: 0 };
    for line in before.filter(|line| line.split_whitespace().next() == thread) {
        let resumed = line.contains(" resumed>");
        cost.calls += usize::from(!resumed);
        if line.contains("write") {
            let result = line.rsplit_once(" = ").and_then(|(_, result)| result.parse().ok());
            cost.written += result.unwrap_or(0);
        }
    }
    cost
}

/// The authority's books against what the appliances know, license by license.
fn balance(vendor: &Vendor, codes: &[String], appliances: &[Appliance]) {
    let accounts = accounts(appliances);
    let report = report(vendor);
    let listed: Value = serde_json::from_str(&vendor.ok(&["list", "--json"])).unwrap();
    let rows = listed.as_array().unwrap();
    assert_eq!(rows.len(), codes.len(), "every license is still there");
    let nobody = Account::default();
    for row in rows {
        let code = row["license"].as_str().unwrap();
        let account = accounts.get(code).unwrap_or(&nobody);
        let figures = ["secs_allocated", "secs_left", "secs_held", "secs_used", "activated"]
            .map(|name| row[name].as_i64().unwrap());
        let left = ALLOCATED - account.held - account.used;
        let open = i64::try_from(account.open).unwrap();
        assert_eq!(figures, [ALLOCATED, left, account.held, account.used, open], "{code}");
    }
    let held: i64 = accounts.values().map(|account| account.held).sum();
    let used: i64 = accounts.values().map(|account| account.used).sum();
    let all = ALLOCATED * i64::try_from(codes.len()).unwrap();
    let total = &report["total"];
    for (name, value) in [("allocated", all), ("held", held), ("used", used)] {
        assert_eq!(total[format!("secs_{name}")], json!(value), "{name}");
    }
    assert_eq!(total["secs_left"], json!(all - held - used));
    assert!(used > 0 && held > 0, "nothing was moved: {total}");
    assert!(vendor.ok(&["verify"]).contains("all are whole"));
    // One line for the sale and one for every answer: none is missing and none was made twice.
    for (code, account) in accounts {
        let wanted = format!("{} entries, intact", 1 + account.answers);
        assert_eq!(vendor.show(code)["audit"], wanted, "{code}");
    }
}
