//! Standard error that nobody reads: the log suffers, and nobody else.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use crate::support::appliance::{Appliance, program};
use crate::support::client::Client;
use crate::support::settings::Settings;
use crate::support::wait::{SOON, until};

/// A pipe with a name and this end of it, from which a read never waits.
fn pipe(path: &Path) -> File {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options.open(path).unwrap()
}

#[test]
fn requests_are_answered_while_nobody_reads_the_log_and_what_was_lost_is_told() {
    const REQUESTS: usize = 300;
    let mut appliance = Appliance::prepare(&Settings::v1());
    let path = appliance.folder().join("log");
    let mut log = pipe(&path);
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec "$0" serve --config "$1" 2>"$2""#]);
    command.arg(program()).arg(appliance.config()).arg(&path).env_remove("NOTIFY_SOCKET");
    appliance.launch_as(&mut command).unwrap();

    // A pipe holds 64 KiB, and each of these is a line of more than 1,000 bytes.
    let request = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(1_000));
    let mut client = Client::plain(appliance.ports.http).with_patience(Duration::from_secs(5));
    for number in 0..REQUESTS {
        client.send(&request);
        let answer = client.answer("GET");
        assert_eq!(answer.status, 404, "request {number}: {answer:?}");
    }
    // Those on other connections and ports, too.
    let ping = appliance.https("/v1/management/ping");
    appliance.read(&ping).ok();

    let mut read = Vec::new();
    let told = until(SOON, "the log goes on and says what is missing", || {
        let _ = log.read_to_end(&mut read); // ends in `WouldBlock`
        appliance.read(&ping).ok();
        let text = String::from_utf8_lossy(&read);
        text.lines().find(|line| line.contains(" were lost")).map(str::to_owned)
    });
    let lost = told.split(' ').find_map(|word| word.parse::<usize>().ok()).unwrap();
    assert!((200..REQUESTS).contains(&lost), "{told}");
    assert_eq!(told.split(' ').nth(1), Some("warning"), "{told}");
    assert!(appliance.stop().success());
}
