//! The vendor's daily work: terms that change, lists, exports and imports, checks, and seats of appliances that
//! went silent.

use std::io::Write as _;
use std::process::{Command, Stdio};

use applianced::protocol::claims::Lease;
use applianced::protocol::message::{Denial, Kind, Op};
use applianced::protocol::token::Type;
use applianced::protocol::trust::Dates;
use serde_json::{Value, json};

use crate::authority::fixture::{sell, serving};
use crate::authority::machine::Machine;
use crate::support::vendor::Vendor;

const DAY: i64 = 86_400;

/// A sync, and the lease that it brought.
fn synced(vendor: &Vendor, machine: &mut Machine) -> (Lease, i64) {
    let answer = machine.ask(vendor.address(), Op::Sync);
    let token = answer.token.unwrap();
    let lease = machine.trust.verify(Type::Lease, &token, Dates::At(answer.server_time)).unwrap();
    (Lease::from_json(&lease).unwrap(), answer.server_time)
}

/// The newest line of a license's audit log.
fn newest_line(vendor: &Vendor, code: &str) -> Value {
    let path = vendor.dir().join(format!("records/{}/{code}/audit.log", &code[15..]));
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn an_appliance_learns_of_every_changed_term_at_its_next_sync() {
    let (vendor, code, mut machine) = serving(&[]);
    machine.ask(vendor.address(), Op::Activate);
    let mut change = |flags: &[&str]| {
        vendor.ok(&[&["extend", &code], flags].concat());
        synced(&vendor, &mut machine)
    };
    assert_eq!(change(&["--secs", "500"]).0.allocated, 1_500);
    assert_eq!(change(&["--cache", "90"]).0.granted, 90);
    let (lease, now) = change(&["--lease-days", "3"]);
    assert_eq!(lease.lease_exp, now + 3 * DAY);
    assert_eq!(change(&["--grace-days", "0"]).0.grace, 0);
    assert_eq!(change(&["--expires", "2098-01-01T00:00:00Z"]).0.exp, 4_039_372_800);
    let (lease, _) = change(&["--offline-mode", "yes", "--offline-secs", "70"]);
    assert_eq!((lease.offline_mode, lease.offline_secs), (true, 70));
    assert!(!change(&["--offline-mode", "no"]).0.offline_mode);
    assert_eq!(change(&["--product", "104"]).0.product, "104");
    let said = vendor.ok(&["extend", &code, "--activations", "2", "--product", "103"]);
    assert!(said.ends_with("1 of 2 seats taken"), "{said}");
    let mut second = Machine::new(&code, vendor.trust());
    assert_eq!(second.ask(vendor.address(), Op::Activate).kind, Kind::Lease);
    // Fewer seats than are taken: those stay, and nobody gets another one.
    assert!(vendor.ok(&["extend", &code, "--activations", "1"]).ends_with("2 of 1 seats taken"));
    assert_eq!(second.ask(vendor.address(), Op::Sync).kind, Kind::Lease);
    let mut third = Machine::new(&code, vendor.trust());
    let refused = third.ask(vendor.address(), Op::Activate);
    assert_eq!(refused.denial, Some(Denial::ActivationsExceeded));
}

#[test]
fn an_end_in_the_past_has_to_be_meant() {
    let (vendor, code, mut machine) = serving(&["--grace-days", "0"]);
    machine.ask(vendor.address(), Op::Activate);
    let past = ["extend", &code, "--expires", "2001-01-01T00:00:00Z"];
    let refused = vendor.run(&past);
    assert!(refused.code == 2 && refused.err.contains("add --yes"), "{refused:?}");
    assert_eq!(machine.ask(vendor.address(), Op::Sync).kind, Kind::Lease);
    vendor.ok(&[&past[..], &["--yes"]].concat());
    assert_eq!(machine.ask(vendor.address(), Op::Sync).denial, Some(Denial::Expired));
}

#[test]
fn the_audit_log_tells_who_changed_what() {
    let vendor = Vendor::init();
    let code = sell(&vendor, &["--operator", "desk 4"]);
    assert_eq!(newest_line(&vendor, &code)["operator"], "desk 4");
    for (words, event) in [
        (vec!["extend", &code, "--secs", "5", "--note", "by phone"], "extended"),
        (vec!["suspend", &code], "suspended"),
        (vec!["resume", &code], "active"),
        (vec!["revoke", &code], "revoked"),
    ] {
        vendor.ok(&[&words[..], &["--operator", "desk 5"]].concat());
        let line = newest_line(&vendor, &code);
        assert_eq!((&line["event"], &line["operator"]), (&json!(event), &json!("desk 5")));
    }
    let code = sell(&vendor, &[]);
    let mut command = vendor.command(&["extend", &code, "--secs", "7", "--order", "A-1"]);
    assert!(command.env("LOGNAME", "night").output().unwrap().status.success());
    let line = newest_line(&vendor, &code);
    let told = ["operator", "secs", "order"].map(|name| line[name].clone());
    assert_eq!(told, [json!("night"), json!(7), json!("A-1")]);
}

#[test]
fn a_list_shows_what_is_looked_for_as_text_and_as_json() {
    let (vendor, seen, mut machine) =
        serving(&["--customer-name", "Käse, Brot & Co", "--order", "A-17"]);
    machine.ask(vendor.address(), Op::Activate);
    let suspended = sell(&vendor, &["--note", "pays late"]);
    vendor.ok(&["suspend", &suspended]);
    let revoked = sell(&vendor, &[]);
    vendor.ok(&["revoke", &revoked]);
    let ends = |code: &str, grace| {
        let past = "2001-01-01T00:00:00Z";
        vendor.ok(&["extend", code, "--expires", past, "--grace-days", grace, "--yes"]);
    };
    let (expired, in_grace) = (sell(&vendor, &["--order", "B-17"]), sell(&vendor, &[]));
    ends(&expired, "0");
    ends(&in_grace, "36500");
    let all = [&seen, &suspended, &revoked, &expired, &in_grace];
    let soon = "2002-01-01T00:00:00Z";
    for (flags, wanted) in [
        (vec![], all.to_vec()),
        (vec!["--search", "käse"], vec![&seen]),
        (vec!["--search", "-17"], vec![&seen, &expired]),
        (vec!["--search", "LATE"], vec![&suspended]),
        (vec!["--search", &revoked[4..]], vec![&revoked]),
        (vec!["--search", "nothing of it"], vec![]),
        (vec!["--state", "active"], vec![&seen]),
        (vec!["--state", "suspended"], vec![&suspended]),
        (vec!["--state", "revoked"], vec![&revoked]),
        (vec!["--state", "expired"], vec![&expired]),
        (vec!["--state", "in grace"], vec![&in_grace]),
        (vec!["--ends-before", soon], vec![&expired, &in_grace]),
        (vec!["--ends-before", soon, "--state", "expired"], vec![&expired]),
        (vec!["--seen-before", soon], vec![&suspended, &revoked, &expired, &in_grace]),
        (vec!["--seen-before", "2999-01-01T00:00:00Z"], all.to_vec()),
    ] {
        let mut wanted: Vec<&str> = wanted.into_iter().map(String::as_str).collect();
        wanted.sort_unstable();
        let text = vendor.ok(&[&["list"], &flags[..]].concat());
        let mut found: Vec<&str> = text.lines().skip(1).map(|line| &line[..18]).collect();
        found.sort_unstable();
        assert_eq!(found, wanted, "{flags:?}");
        let listed = vendor.run(&[&["list", "--json"], &flags[..]].concat()).json();
        let licenses = listed.as_array().unwrap();
        let mut found: Vec<&str> =
            licenses.iter().map(|license| license["license"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, wanted, "{flags:?}");
    }
    let listed = vendor.run(&["list", "--json", "--search", "A-17"]).json();
    assert_eq!(listed[0]["customer_name"], "Käse, Brot & Co");
    assert_eq!(listed[0]["appliances"][0]["computer_id"], machine.computer_id);
    assert_eq!(listed[0]["appliances"][0]["version"], "5.0.0");
}

/// Licenses whose texts are hard on a table.
fn awkward(vendor: &Vendor) -> Vec<String> {
    let texts = ["a, b", "say \"hi\"", "=1+1", "+4989", "-", "@x", "'quoted'", "'=2", "Größe", ""];
    let codes = texts.map(|text| sell(vendor, &["--customer-name", text, "--note", text]));
    vendor.ok(&["extend", &codes[0], "--secs", "5", "--activations", "7", "--offline-mode", "yes"]);
    vendor.ok(&["suspend", &codes[1]]);
    vendor.ok(&["revoke", &codes[2]]);
    [&codes[..], &[vendor.sell(&["--secs", "unlimited", "--cache", "60", "--trial"])]].concat()
}

#[test]
fn a_spreadsheet_reads_an_export_and_finds_no_formula_in_it() {
    let vendor = Vendor::init();
    let codes = awkward(&vendor);
    let script = "import csv, json, sys; print(json.dumps(list(csv.DictReader(sys.stdin))))";
    let mut python = Command::new("python3");
    python.args(["-c", script]).env("PYTHONUTF8", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    let exported = vendor.run(&["export", "--csv"]).ok().out;
    python.stdin.take().unwrap().write_all(exported.as_bytes()).unwrap();
    let read = python.wait_with_output().unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(rows.len(), codes.len());
    let row = |code: &String| rows.iter().find(|row| row["license"] == code.as_str()).unwrap();
    let notes: Vec<&str> = codes.iter().map(|code| row(code)["note"].as_str().unwrap()).collect();
    let wanted =
        ["a, b", "say \"hi\"", "'=1+1", "'+4989", "'-", "'@x", "'quoted'", "''=2", "Größe", "", ""];
    assert_eq!(notes, wanted);
    let first = row(&codes[0]);
    assert_eq!(
        (&first["secs_allocated"], &first["offline_mode"]),
        (&json!("1005"), &json!("true"))
    );
    assert_eq!(row(&codes[1])["status"], "suspended");
}

#[test]
fn an_export_brings_back_what_is_missing_and_names_what_differs() {
    let vendor = Vendor::init();
    let codes = awkward(&vendor);
    let count = codes.len();
    for format in ["--csv", "--json"] {
        let exported = vendor.run(&["export", format]).ok().out;
        let other = Vendor::init();
        let imported = other.feed(&["import", "-"], &exported);
        assert_eq!(imported.code, 0, "{imported:?}");
        assert!(imported.out.starts_with(&format!("made: {count}; ")), "{imported:?}");
        assert!(imported.out.contains("all their seconds again"), "{imported:?}");
        assert_eq!(other.run(&["export", format]).ok().out, exported);
        assert_eq!(newest_line(&other, &codes[0])["event"], "imported");
        other.ok(&["extend", &codes[3], "--note", "new", "--secs", "1"]);
        let file = other.scratch("export");
        std::fs::write(&file, &exported).unwrap();
        let again = other.run(&["import", file.to_str().unwrap()]);
        let redacted = format!("{}…{}", &codes[3][..4], &codes[3][14..]);
        let differs = format!("the license {redacted} is there with other secs_allocated, note");
        assert!(again.code == 1 && again.err.contains(&differs), "{again:?}");
        let (there, said) = (count - 1, again.out.trim_end());
        let wanted = format!(
            "made: 0; there already with the same terms: {there}; different: 1; lines with errors: 0"
        );
        assert_eq!(said, wanted);
        assert!(other.ok(&["verify"]).contains("all are whole"));
    }
}

#[test]
fn each_line_that_cannot_be_imported_is_named_and_the_others_are() {
    let vendor = Vendor::init();
    let codes = [sell(&vendor, &[]), sell(&vendor, &[]), sell(&vendor, &[])];
    let exported = vendor.run(&["export", "--csv"]).ok().out;
    let mut lines: Vec<String> = exported.lines().map(|line| format!("{line}\n")).collect();
    lines[1] = lines[1].replace(&lines[1][..18], "4.94954E+17");
    let foreign = format!("1111{}", &lines[2][4..]);
    lines.insert(3, foreign);
    lines.insert(3, lines[2].replace("active", "sleeping"));
    lines.insert(3, "\"\n".to_owned());
    let other = Vendor::init();
    let imported = other.feed(&["import", "-"], &format!("\u{feff}{}", lines.concat()));
    assert_eq!(imported.code, 1);
    assert!(imported.out.starts_with("made: 2; "), "{imported:?}");
    assert!(imported.out.contains("lines with errors: 4"), "{imported:?}");
    for said in [
        "line 2: `license` is not 18 digits (spreadsheets round",
        "line 4: a quote is not closed",
        "line 5: `status` is not active, suspended or revoked",
        "line 6: the codes of this authority begin with 4949",
    ] {
        assert!(imported.err.contains(said), "{said}: {imported:?}");
    }
    assert!(codes.iter().all(|code| !imported.err.contains(code.as_str())), "{imported:?}");
    let headless = other.feed(&["import", "-"], "license,note\n");
    assert!(headless.code == 1 && headless.err.contains("columns are missing"), "{headless:?}");
    assert_eq!(other.run(&["import", "/nowhere"]).code, 1);
}

#[test]
fn a_changed_record_is_found_wherever_it_is() {
    let (mut vendor, code, mut machine) = serving(&[]);
    machine.ask(vendor.address(), Op::Activate);
    sell(&vendor, &[]);
    vendor.stop();
    let shard = vendor.dir().join(format!("records/{}", &code[15..]));
    let seat = format!("{code}/seat-{}.json", machine.device.public().fingerprint());
    let redacted = format!("{}…{}", &code[..4], &code[14..]);
    let ending = format!("end in {}", &code[15..]);
    assert!(vendor.ok(&["verify"]).starts_with("2 licenses with 3 entries"));
    for (name, old, new, said, whole) in [
        (format!("{code}/audit.log"), "activated", "Activated", redacted.as_str(), 1),
        (seat.clone(), "\"granted\":60", "\"granted\":61", &redacted, 1),
        (seat.clone(), "\"granted\":60", "\"granted\":-1", &redacted, 1),
        (seat, "{", "", &redacted, 1),
        (format!("{code}/license.json"), "\"left\":940", "\"left\":941", &redacted, 1),
        ("totals.json".to_owned(), "\"secs_held\":60", "\"secs_held\":61", &ending, 2),
    ] {
        let path = shard.join(&name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{name}: {text}");
        std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
        let verified = vendor.run(&["verify"]);
        assert!(verified.code == 1 && verified.err.contains(said), "{name}: {verified:?}");
        let counted = format!("{whole} licenses with ");
        assert!(verified.err.contains(&counted), "{name}: {verified:?}");
        assert!(!verified.err.contains(&code), "{verified:?}");
        std::fs::write(&path, text).unwrap();
    }
    assert!(vendor.ok(&["verify"]).contains("all are whole"));
}

#[test]
fn a_seat_is_freed_for_another_appliance_long_after_its_lease_has_ended() {
    let mut vendor = Vendor::with_clock();
    let code = sell(&vendor, &["--lease-days", "2"]);
    let (mut silent, mut other) =
        (Machine::new(&code, vendor.trust()), Machine::new(&code, vendor.trust()));
    silent.ask(vendor.address(), Op::Activate);
    vendor.ahead(31);
    let refused = other.ask(vendor.address(), Op::Activate);
    assert_eq!(refused.denial, Some(Denial::ActivationsExceeded));
    vendor.ahead(33);
    assert_eq!(other.ask(vendor.address(), Op::Activate).kind, Kind::Lease);
    let log = vendor.logged("freed a seat of ");
    let who = format!("computer {}, silent since ", silent.computer_id);
    assert!(log.contains(&who) && log.contains("was charged 60 seconds"), "{log}");
    assert_eq!(silent.ask(vendor.address(), Op::Sync).denial, Some(Denial::Duplicate));
    let path = vendor.dir().join(format!("records/{}/{code}/audit.log", &code[15..]));
    let audit = std::fs::read_to_string(path).unwrap();
    let line = audit.lines().find(|line| line.contains("\"freed\"")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["computer_id"], &line["charged"]), (&json!(silent.computer_id), &json!(60)));
    let shown = vendor.show(&code);
    let figures = ["secs_left", "secs_held", "secs_charged", "activated"].map(|name| &shown[name]);
    assert_eq!(figures, [&json!(880), &json!(60), &json!(60), &json!(1)]);
    vendor.ok(&["credit", &code, "--secs", "60"]);
    vendor.stop();
    assert!(vendor.ok(&["verify"]).contains("all are whole"));
}

#[test]
fn how_long_a_silent_appliance_keeps_its_seat_is_a_number_of_days_or_for_ever() {
    let mut vendor = Vendor::init();
    for wrong in ["soon", "-1", "36501", ""] {
        let words = ["serve", "--listen", "127.0.0.1:0", "--free-seats-after", wrong];
        let output = vendor.run(&words);
        assert!(output.code == 2 && output.err.contains("--free-seats-after"), "{output:?}");
    }
    for right in ["never", "0", "36500"] {
        let words = ["serve", "--listen", "127.0.0.1:0", "--free-seats-after", right];
        vendor.serve_as(vendor.command(&words)).unwrap();
        vendor.stop();
    }
}
