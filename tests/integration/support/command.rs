//! Running programs to their end and keeping what they said.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// What a finished program left behind.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// The exit code; -1 when a signal ended it.
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    /// The last HTTP status curl saw; 0 where there was none (or no curl).
    pub(crate) status: u16,
}

impl Output {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        match serde_json::from_str(&self.out) {
            Ok(value) => value,
            Err(error) => panic!("not JSON ({error}): {self:?}"),
        }
    }

    /// The `message` of an answer of the security endpoints.
    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_else(|| panic!("no message: {self:?}")).to_owned()
    }

    /// Fails the test unless the program ended well and, if it was curl, the answer was a 200.
    #[track_caller]
    pub(crate) fn ok(self) -> Output {
        assert!(self.code == 0 && matches!(self.status, 0 | 200), "{self:?}");
        self
    }
}

/// What stands before the status code in the line that [`CURLRC`] makes curl write.
const STATUS: &str = "http_code=";

/// curl's settings file in a test's home folder: commands stay as a user types them, and the status
/// code is told on standard error, apart from the body.
const CURLRC: &str =
    "silent\nshow-error\nmax-time = 300\nwrite-out = \"%{stderr}http_code=%{http_code}\\n\"\n";

/// Makes `home` a home folder in which curl tells the status code.
pub(crate) fn furnish(home: &Path) {
    std::fs::create_dir_all(home).unwrap();
    std::fs::write(home.join(".curlrc"), CURLRC).unwrap();
}

/// Runs `command` with nothing on standard input.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; `make test` installs what is needed")
    });
    finished(&output)
}

/// Reads a finished program's output; the line with the status code is taken out of it.
pub(crate) fn finished(output: &std::process::Output) -> Output {
    let mut status = 0;
    let mut err = String::new();
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        match line.strip_prefix(STATUS) {
            Some(code) => status = code.parse().unwrap_or(0),
            None => {
                err.push_str(line);
                err.push('\n');
            }
        }
    }
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    Output { code: output.status.code().unwrap_or(-1), out, err, status }
}

/// Runs openssl in `folder` and fails the test if it fails.
pub(crate) fn openssl(folder: &Path, arguments: &[&str]) -> Output {
    let output = run(Command::new("openssl").args(arguments).current_dir(folder));
    assert!(output.code == 0, "openssl {}: {output:?}", arguments.join(" "));
    output
}

/// Reads lines on a thread of its own, so that a daemon never waits for a test to read.
pub(crate) fn collect(stream: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let kept = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&kept);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            sink.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    kept
}
