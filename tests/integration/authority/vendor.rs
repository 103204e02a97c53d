//! An authority in a folder of its own, and its running `serve`.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use applianced::license::trust::Trust;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::command::{Output, finished, run};
use crate::support::folder::Folder;
use crate::support::wait::{SOON, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_license-authority");

/// The program under test: the one built beside the tests, or `LICENSE_AUTHORITY_BIN`.
pub(crate) fn program() -> OsString {
    std::env::var_os("LICENSE_AUTHORITY_BIN").unwrap_or_else(|| PROGRAM.into())
}

pub(crate) struct Vendor {
    folder: Folder,
    serving: Option<Serving>,
}

struct Serving {
    child: Child,
    address: SocketAddr,
    logged: Arc<Mutex<String>>,
}

impl Vendor {
    /// An authority of customer 4949 without licenses.
    pub(crate) fn new() -> Vendor {
        let vendor = Vendor { folder: Folder::new(), serving: None };
        vendor.ok(&["init", "--customer", "4949"]);
        vendor
    }

    /// Everything it keeps.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("authority")
    }

    /// A folder that is not the authority's.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(words).arg("--dir").arg(self.dir());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        run(&mut self.command(words))
    }

    /// Runs a command that must work; what it printed, without the line end.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        self.run(words).ok().out.trim_end().to_owned()
    }

    /// The same with something on standard input.
    pub(crate) fn feed(&self, words: &[&str], input: &str) -> Output {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        finished(&child.wait_with_output().unwrap())
    }

    /// A license of 1,000 seconds, 60 of them at a time, with `more` flags; its code.
    pub(crate) fn sell(&self, more: &[&str]) -> String {
        let flags =
            ["create", "--secs", "1000", "--cache", "60", "--expires", "2099-01-01T00:00:00Z"];
        self.ok(&[&flags[..], more].concat())
    }

    pub(crate) fn show(&self, code: &str) -> Value {
        serde_json::from_str(&self.ok(&["show", code, "--json"])).unwrap()
    }

    /// What the image of an appliance gets.
    pub(crate) fn trust(&self) -> Trust {
        Trust::parse(&std::fs::read(self.dir().join("trust.json")).unwrap()).unwrap()
    }

    /// Starts `serve` on a free port.
    pub(crate) fn serve(&mut self) -> SocketAddr {
        let command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        self.serve_as(command).unwrap_or_else(|status| panic!("serve ended with {status}"))
    }

    /// The same by another command line that ends in it; the status if it ends before it is ready.
    pub(crate) fn serve_as(&mut self, mut command: Command) -> Result<SocketAddr, ExitStatus> {
        assert!(self.serving.is_none(), "it serves already");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = collect(child.stdout.take().unwrap());
        let logged = collect(child.stderr.take().unwrap());
        let ended = until(SOON, "serve says ready or ends", || {
            if said.lock().unwrap().lines().any(|line| line == "ready") {
                return Some(None);
            }
            child.try_wait().unwrap().map(Some)
        });
        if let Some(status) = ended {
            println!("{}", logged.lock().unwrap());
            return Err(status);
        }
        let said = said.lock().unwrap().clone();
        let address = said.lines().find_map(|line| line.strip_prefix("listening on "));
        let address = address.unwrap().parse().unwrap();
        self.serving = Some(Serving { child, address, logged });
        Ok(address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.serving.as_ref().unwrap().address
    }

    /// Waits until `serve` has written `text` to its log; all that is in it.
    pub(crate) fn logged(&self, text: &str) -> String {
        let logged = &self.serving.as_ref().unwrap().logged;
        until(SOON, &format!("{text:?} is in the log"), || {
            Some(logged.lock().unwrap().clone()).filter(|log| log.contains(text))
        })
    }

    /// Waits until `serve` has ended by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut serving = self.serving.take().unwrap();
        until(SOON, "serve ends", || serving.child.try_wait().unwrap())
    }

    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.serving.as_ref().unwrap().child)
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        if let Some(serving) = &mut self.serving {
            let _ = serving.child.kill();
            let _ = serving.child.wait();
        }
    }
}

fn collect(stream: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let kept = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&kept);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut sink = sink.lock().unwrap();
            sink.push_str(&line);
            sink.push('\n');
        }
    });
    kept
}
