//! Many licenses, many appliances, and an authority that is killed again and again under them: no
//! second is lost or made, and one answer costs the same however many licenses there are.
//!
//! Small by itself; `tests/real/authority-load` asks for more through the environment.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use applianced::protocol::hex::RequestId;
use applianced::protocol::message::{Answer, Kind, Op};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::authority::machine::Machine;
use crate::support::prerequisites::can_trace_open;
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
        shares[number % CALLERS].push(Appliance { machine, used: 0, answers: 0 });
    }
    let field = Field {
        address: RwLock::new(vendor.serve()),
        over: AtomicBool::new(false),
        answers: AtomicUsize::new(0),
        retries: AtomicUsize::new(0),
    };
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
fn an_activation_costs_the_same_however_many_licenses_there_are() {
    if !can_trace_open() {
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
    let trace = vendor.scratch("cost.strace");
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-qq", "-o"]).arg(&trace).arg(program());
    command.args(["serve", "--listen", "127.0.0.1:0", "--dir"]).arg(vendor.dir());
    let address = vendor.serve_as(command).unwrap_or_else(|status| panic!("serve: {status}"));
    machine.ask(address, Op::Activate);
    vendor.stop();
    // Each question has a thread of its own. One that is interrupted in a call has a second line for it.
    let text = std::fs::read_to_string(&trace).unwrap();
    let answer = text.lines().find(|line| line.contains("\"HTTP/1.1 200"));
    let answer = answer.unwrap_or_else(|| panic!("no answer in the trace:\n{text}"));
    let thread = answer.split_whitespace().next();
    let its_own = |line: &&str| line.split_whitespace().next() == thread;
    let calls = text.lines().filter(its_own).filter(|line| !line.contains(" resumed>"));
    calls.take_while(|line| *line != answer).count()
}

/// What all appliances share.
struct Field {
    /// Where the authority is now.
    address: RwLock<SocketAddr>,
    over: AtomicBool,
    answers: AtomicUsize,
    retries: AtomicUsize,
}

impl Field {
    fn answered(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }
}

/// An appliance and its own account of what it used.
struct Appliance {
    machine: Machine,
    /// Seconds used in activations that were given back.
    used: i64,
    answers: usize,
}

impl Appliance {
    /// Asks the same question until it is answered, as an appliance does.
    fn ask(&mut self, op: Op, field: &Field) {
        let request = self.machine.request(op);
        let mut first = true;
        let answer: Answer = until(SOON * 3, "the question is answered", || {
            let address = *field.address.read().unwrap();
            let answer = self.machine.send(address, &request).ok();
            if !std::mem::replace(&mut first, false) {
                field.retries.fetch_add(1, Ordering::Relaxed);
            }
            answer
        });
        let expected = if op == Op::Return { Kind::Returned } else { Kind::Lease };
        assert_eq!((answer.kind, answer.denial), (expected, None), "{op:?}");
        if op == Op::Return {
            assert_eq!(answer.returned, self.machine.granted - self.machine.consumed);
            self.used += self.machine.consumed;
        }
        self.machine.take_in(op, &answer);
        self.answers += 1;
        field.answers.fetch_add(1, Ordering::Relaxed);
    }
}

/// Lets the appliances of one share ask at random, each first for its license, until it is over.
fn call(mut share: Vec<Appliance>, field: &Field) -> Vec<Appliance> {
    let mut dice = Dice::new();
    while !share.is_empty() && !field.over.load(Ordering::Relaxed) {
        let chosen = dice.below(share.len() as u64);
        let appliance = &mut share[usize::try_from(chosen).unwrap()];
        let machine = &mut appliance.machine;
        let op = if machine.granted == 0 {
            Op::Activate
        } else {
            let unused = u64::try_from(machine.granted - machine.consumed).unwrap();
            machine.consumed += i64::try_from(dice.below(unused + 1)).unwrap();
            if dice.below(10) == 0 { Op::Return } else { Op::Sync }
        };
        appliance.ask(op, field);
    }
    share
}

/// Xorshift: the order of questions needs no better chance.
struct Dice(u64);

impl Dice {
    fn new() -> Dice {
        let id = RequestId::random().unwrap().to_string();
        Dice(u64::from_str_radix(&id[..16], 16).unwrap() | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The authority's books against what the appliances know, license by license.
fn balance(vendor: &Vendor, codes: &[String], appliances: &[Appliance]) {
    #[derive(Default)]
    struct Account {
        held: i64,
        used: i64,
        open: usize,
        answers: usize,
    }
    let mut accounts: BTreeMap<&str, Account> = BTreeMap::new();
    for Appliance { machine, used, answers } in appliances {
        let account = accounts.entry(&machine.code).or_default();
        account.held += machine.granted - machine.consumed;
        account.used += used;
        account.open += usize::from(machine.granted > 0);
        account.answers += answers;
    }
    // What an appliance used since its last answer the authority has not heard of: there is none here.
    for Appliance { machine, .. } in appliances {
        accounts.get_mut(machine.code.as_str()).unwrap().used += machine.consumed;
    }
    let report = report(vendor);
    let rows = report["licenses"].as_array().unwrap();
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
    // One line for the sale and one for every answer: none is missing and none was made twice.
    for (code, account) in accounts {
        let wanted = format!("{} entries, intact", 1 + account.answers);
        assert_eq!(vendor.show(code)["audit"], wanted, "{code}");
    }
}
