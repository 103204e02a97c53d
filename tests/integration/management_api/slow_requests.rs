//! A setting is one in whatever pieces it comes, and the pieces cost its client alone.

use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::settings::Settings;

const HEAD: &str =
    "POST /v1/security/adminpassword HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWRtaW46aXQ=\r\n";
const SETTING: &str = r#"{"password": "it"}"#;
/// More than what gathers before it goes on.
const LONG: usize = 40_000;

#[test]
fn a_setting_is_taken_in_whatever_pieces_it_comes() {
    let appliance = Appliance::start(&Settings::v1());
    let long = format!("{}{SETTING}", " ".repeat(LONG));
    for mut client in [Client::plain(appliance.ports.http), Client::tls(appliance.ports.https)] {
        // Byte by byte, with its length said before.
        client.send(format!("{HEAD}Content-Length: {}\r\n\r\n", SETTING.len()));
        SETTING.bytes().for_each(|byte| client.send([byte]));
        assert_eq!(client.answer("POST").status, 200);

        // In chunks of a byte.
        client.send(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n"));
        SETTING.chars().for_each(|byte| client.send(format!("1\r\n{byte}\r\n")));
        client.send("0\r\n\r\n");
        assert_eq!(client.answer("POST").status, 200);

        // Once the client is told to go on.
        client.send(format!(
            "{HEAD}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            SETTING.len()
        ));
        assert!(client.head().starts_with("HTTP/1.1 100 "));
        SETTING.bytes().for_each(|byte| client.send([byte]));
        assert_eq!(client.answer("POST").status, 200);

        // Longer than what gathers.
        client.send(format!("{HEAD}Content-Length: {}\r\n\r\n", long.len()));
        long.as_bytes().chunks(1_000).for_each(|piece| client.send(piece));
        assert_eq!(client.answer("POST").status, 200);
    }
    assert_eq!(appliance.read_as("it", &appliance.http("/v1/management/ping")).status, 200);
}

#[test]
fn a_setting_that_comes_byte_by_byte_wakes_nobody_before_it_is_whole() {
    let appliance = Appliance::start(&Settings::v1());
    let ping = "GET /v1/management/ping HTTP/1.1\r\nHost: x\r\n\r\n";
    let [mut slow, mut other] = [0; 2].map(|_| Client::plain(appliance.ports.http));
    slow.send(format!("{HEAD}Content-Length: {}\r\n\r\n", LONG + SETTING.len()));
    let before = woken(&appliance);
    for _ in 0..2_000 {
        slow.send(" ");
        // Answered by whoever has seen the byte before.
        other.send(ping);
        assert_eq!(other.answer("GET").status, 200);
    }
    let after = woken(&appliance);
    assert!(after < before + 200, "{before} times woken before, {after} after");
    slow.send(format!("{}{SETTING}", " ".repeat(LONG - 2_000)));
    assert_eq!(slow.answer("POST").status, 200);
}

/// How often threads that watch no port have gone on after waiting.
fn woken(appliance: &Appliance) -> u64 {
    let tasks = format!("/proc/{}/task", appliance.pid().as_raw_nonzero());
    let read = |task: &std::fs::DirEntry, file: &str| {
        std::fs::read_to_string(task.path().join(file)).unwrap_or_default() // it may have ended
    };
    let switches = |status: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.map_or(0, |count| count.trim().parse::<u64>().unwrap())
    };
    std::fs::read_dir(tasks)
        .unwrap()
        .map(Result::unwrap)
        .filter(|task| !read(task, "comm").starts_with("port-"))
        .map(|task| switches(&read(&task, "status")))
        .sum()
}
