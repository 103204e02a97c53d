//! Malformed and ambiguous requests at every kind of listener: nothing of them reaches a service in a shape
//! that differs from what was judged, and a request smuggled behind them is never answered.

use crate::speech::cases::odd::{self, ours};
use crate::speech::cases::{Case, chunks, fields, length, request_line, targets};
use crate::support::appliance::Appliance;
use crate::support::client::{Client, Listener};
use crate::support::settings::Settings;
use crate::support::stub::Stub;
use crate::support::wait::{SOON, until};

/// One listener of each kind, and a path that it serves.
fn listeners(appliance: &Appliance) -> [(Listener, &'static str); 6] {
    let ports = &appliance.ports;
    let listener = |name, port, tls| Listener { name, port, tls };
    [
        (listener("all, plain", ports.http, false), "/v2/jobs"),
        (listener("all, TLS", ports.https, true), "/v2/jobs"),
        (listener("speech, plain", ports.speech, false), "/v1.0/user/1/jobs/"),
        (listener("management, plain", ports.management, false), "/v1/management/ping"),
        (listener("monitoring, plain", ports.v1_monitoring, false), "/api/3/now"),
        (listener("realtime, TLS", ports.v2_realtime, true), "/v2/en"),
    ]
}

fn fixture() -> (Stub, Appliance) {
    let stub = Stub::answering("");
    let appliance = Appliance::start(&Settings::both().speech(stub.address).realtime(stub.address));
    (stub, appliance)
}

/// `bytes` with `{path}` filled in.
fn filled(bytes: &[u8], path: &str) -> Vec<u8> {
    const PLACE: &[u8] = b"{path}";
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(PLACE.len()).position(|window| window == PLACE) {
        out.extend(&rest[..at]);
        out.extend(path.as_bytes());
        rest = &rest[at + PLACE.len()..];
    }
    out.extend(rest);
    out
}

fn smuggled(path: &str) -> Vec<u8> {
    filled(b"GET {path}/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
}

/// What is wrong with the reaction to `bytes`, if anything: it must be one answer of an allowed
/// status that announces the end of the connection, and then its end.
fn fault(listener: Listener, bytes: &[u8], statuses: &[u16]) -> Option<String> {
    let mut client = Client::at(listener);
    // The appliance may have heard enough before all is sent.
    let _ = client.try_send(bytes);
    let answer = match client.try_answer("GET") {
        Ok(answer) => answer,
        Err(e) => return Some(format!("no answer: {e}")),
    };
    let behind = client.until_end();
    if !statuses.contains(&answer.status) {
        return Some(format!("status {} instead of {statuses:?}", answer.status));
    }
    if answer.field("connection") != Some("close") {
        return Some(format!("the end is not announced: {}", answer.head));
    }
    match behind {
        Ok(behind) if behind.is_empty() => None,
        Ok(behind) => Some(format!("more behind it: {}", String::from_utf8_lossy(&behind))),
        Err(e) => Some(format!("cut instead of closed: {e}")),
    }
}

/// All cases at all listeners; every fault is told, not the first alone.
fn refuse_everywhere(cases: &[Case]) {
    let (stub, appliance) = fixture();
    let mut faults = Vec::new();
    for case in cases {
        for (listener, path) in listeners(&appliance) {
            let bytes = [filled(&case.bytes, path), smuggled(path)].concat();
            if let Some(fault) = fault(listener, &bytes, case.statuses) {
                faults.push(format!(
                    "{} (RFC {}), {}: {fault}",
                    case.name, case.clause, listener.name
                ));
            }
            let reached = stub.texts().concat();
            if !reached.is_empty() {
                faults
                    .push(format!("{}, {}: the service got {reached:?}", case.name, listener.name));
                stub.forget();
            }
        }
    }
    assert!(!appliance.log().contains("smuggled"), "{}", appliance.log());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn request_lines_that_could_be_read_differently_are_refused_at_every_door() {
    refuse_everywhere(&request_line::cases());
}

#[test]
fn targets_and_hosts_that_could_be_read_differently_are_refused_at_every_door() {
    refuse_everywhere(&targets::cases());
}

#[test]
fn field_lines_that_could_be_read_differently_are_refused_at_every_door() {
    refuse_everywhere(&fields::cases());
}

#[test]
fn lengths_that_could_be_read_differently_are_refused_at_every_door() {
    refuse_everywhere(&length::cases());
}

#[test]
fn chunks_that_could_be_read_differently_are_refused_at_every_door_that_takes_a_body() {
    let heads = |case: Case| {
        let bytes = [chunks::HEAD.as_bytes(), &case.bytes].concat();
        // A port for WebSockets alone has nothing at the path of a POST.
        Case { bytes, statuses: &[400, 404], ..case }
    };
    let cases: Vec<Case> = chunks::cases().into_iter().map(heads).collect();
    let (stub, appliance) = fixture();
    let mut faults = Vec::new();
    for case in &cases {
        for (listener, path) in listeners(&appliance) {
            let bytes = [filled(&case.bytes, path), smuggled(path)].concat();
            let statuses: &[u16] =
                if listener.name.starts_with("realtime") { &[404] } else { &[400] };
            if let Some(fault) = fault(listener, &bytes, statuses) {
                faults.push(format!(
                    "{} (RFC {}), {}: {fault}",
                    case.name, case.clause, listener.name
                ));
            }
            let reached = stub.texts().concat();
            if reached.contains("\r\n0\r\n") || reached.contains("smuggled") {
                faults
                    .push(format!("{}, {}: the service got {reached:?}", case.name, listener.name));
            }
            stub.forget();
        }
    }
    assert!(!appliance.log().contains("smuggled"), "{}", appliance.log());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_chunk_that_turns_out_bad_after_the_service_has_the_head_never_becomes_a_whole_body() {
    let (stub, appliance) = fixture();
    let mut faults = Vec::new();
    for case in chunks::cases() {
        for (listener, path) in listeners(&appliance).into_iter().take(3) {
            stub.forget();
            let mut client = Client::at(listener);
            client.send([&filled(chunks::HEAD.as_bytes(), path)[..], b"3\r\nabc\r\n"].concat());
            let whole_chunk = until(SOON, "the service has the first chunk", || {
                let reached = stub.texts().concat();
                reached.ends_with("3\r\nabc\r\n").then_some(reached)
            });
            let _ = client.try_send(&[&case.bytes[..], &smuggled(path)].concat());
            let status = client.try_answer("POST").map(|answer| answer.status).unwrap_or(0);
            let behind = client.until_end().unwrap_or_default();
            let reached = stub.texts().concat();
            let more = reached.strip_prefix(&whole_chunk).unwrap_or(&reached);
            // Whole chunks before the fault may have gone on.
            if status != 400 || !behind.is_empty() || !["", "5\r\nhello\r\n"].contains(&more) {
                let what =
                    format!("status {status}, behind it {behind:?}, then the service got {more:?}");
                faults.push(format!("{}, {}: {what}", case.name, listener.name));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn requests_that_are_legal_but_odd_reach_the_service_in_one_shape() {
    let (stub, appliance) = fixture();
    let mut faults = Vec::new();
    for case in odd::cases() {
        for (listener, path) in listeners(&appliance).into_iter().take(3) {
            stub.forget();
            let proto = if listener.tls { "https" } else { "http" };
            let mut client = Client::at(listener);
            client.send(case.sent.replace("{path}", path));
            let status = client.try_answer("GET").map(|answer| answer.status).unwrap_or(0);
            let expected = case.seen.replace("{path}", path).replace("{ours}", &ours(proto));
            let seen = stub.texts().concat();
            if status != 200 || seen != expected {
                let what = format!("status {status}, the service got\n{seen:?}, not\n{expected:?}");
                faults.push(format!("{}, {}: {what}", case.name, listener.name));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_table_is_as_long_as_it_should_be_and_names_each_row_once() {
    let tables = [
        request_line::cases(),
        targets::cases(),
        fields::cases(),
        length::cases(),
        chunks::cases(),
    ];
    let cases: Vec<&Case> = tables.iter().flatten().collect();
    assert!(cases.len() >= 250, "{} cases", cases.len());
    for (number, table) in tables.iter().enumerate() {
        let mut names: Vec<&str> = table.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), table.len(), "table {number}");
    }
}
