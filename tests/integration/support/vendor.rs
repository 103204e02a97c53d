//! The vendor's side: a real authority in a folder of its own, and an appliance that trusts it.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::appliance::Appliance;
use crate::support::clock::{Clock, DAY};
use crate::support::command::{Output, run};
use crate::support::folder::Folder;
use crate::support::settings::{Settings, free_port};
use crate::support::wait::{SOON, until};
use crate::wire::Wire;

/// Far enough that no test meets it.
pub(crate) const EXPIRES: &str = "2097-10-16T12:26:37Z";

/// An authority that serves until it is dropped.
pub(crate) struct Vendor {
    folder: Folder,
    port: u16,
    server: Option<Child>,
    /// What its server looks at, where that is not the machine's clock.
    clock: Option<Clock>,
}

impl Vendor {
    /// A fresh authority, serving.
    pub(crate) fn new() -> Vendor {
        Vendor::by(None)
    }

    /// One whose server has a clock of its own, right at first.
    pub(crate) fn with_clock() -> Vendor {
        Vendor::by(Some(Clock::right()))
    }

    fn by(clock: Option<Clock>) -> Vendor {
        let mut vendor = Vendor { folder: Folder::new(), port: free_port(), server: None, clock };
        vendor.say(&["init", "--customer", "4949"]);
        vendor.serve();
        vendor
    }

    pub(crate) fn serve(&mut self) {
        let address = format!("127.0.0.1:{}", self.port);
        let mut command = self.command(&["serve", "--listen", &address]);
        if let Some(clock) = &self.clock {
            command = clock.of(&command);
        }
        let mut server = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(server.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                println!("authority: {line}");
            }
        });
        self.server = Some(server);
        until(SOON, "the authority listens", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()
        });
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// Sets the clock of its server so many days ahead.
    pub(crate) fn ahead(&self, days: i64) {
        self.clock.as_ref().unwrap().set(days * DAY, 0);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_license-authority"));
        let (verb, rest) = arguments.split_first().unwrap();
        command.arg(verb).arg("--dir").arg(self.dir()).args(rest);
        command
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where the authority keeps its books.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("authority")
    }

    pub(crate) fn trust_file(&self) -> PathBuf {
        self.dir().join("trust.json")
    }

    /// Runs a command of the authority that must succeed.
    pub(crate) fn say(&self, arguments: &[&str]) -> String {
        let output = run(&mut self.command(arguments));
        assert_eq!(output.code, 0, "{arguments:?}: {output:?}");
        output.out.trim().to_owned()
    }

    /// Sells a license: 500 hours, an hour cached, and whatever `more` says; the code.
    pub(crate) fn sell(&self, more: &[&str]) -> String {
        let mut arguments = vec!["create"];
        for (flag, value) in [("--secs", "1800000"), ("--cache", "3600"), ("--expires", EXPIRES)] {
            if !more.contains(&flag) {
                arguments.extend([flag, value]);
            }
        }
        arguments.extend(more);
        let code = self.say(&arguments);
        assert!(code.len() == 18 && code.bytes().all(|b| b.is_ascii_digit()), "{code}");
        code
    }

    /// Signs an activation certificate.
    pub(crate) fn sign(&self, certificate: &str) -> String {
        let file = self.folder.path().join("request.txt");
        std::fs::write(&file, certificate).unwrap();
        self.say(&["sign", file.to_str().unwrap()])
    }

    /// Credits what a return certificate gives back; what it said.
    pub(crate) fn redeem(&self, certificate: &str) -> String {
        let file = self.folder.path().join("return.txt");
        std::fs::write(&file, certificate).unwrap();
        self.say(&["redeem", file.to_str().unwrap()])
    }

    /// What the authority knows of a license.
    pub(crate) fn show(&self, code: &str) -> Value {
        serde_json::from_str(&self.say(&["show", code, "--json"])).unwrap()
    }

    /// A wire to this authority.
    pub(crate) fn wire(&self) -> Wire {
        Wire::to(self.port)
    }

    /// Settings of an appliance whose authority is at `port`.
    pub(crate) fn settings(&self, port: u16) -> Settings {
        Settings::both()
            .with("license", self.license_settings(&format!("http://127.0.0.1:{port}/")))
    }

    /// The same at the other end of a wire.
    pub(crate) fn settings_of(&self, wire: &Wire) -> Settings {
        self.settings(wire.port)
    }

    pub(crate) fn license_settings(&self, url: &str) -> Value {
        json!({"authority_url": url, "trust_file": self.trust_file()})
    }

    /// An appliance that reaches this authority directly.
    pub(crate) fn appliance(&self) -> Appliance {
        Appliance::start(&self.settings(self.port))
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The license calls of an administrator.
pub(crate) trait Licensed {
    fn license(&self) -> Value;
    fn apply(&self, code: &str) -> Output;
    fn remove(&self) -> Output;
    fn call(&self, method: &str, path: &str, body: &str) -> Output;
}

impl Licensed for Appliance {
    fn license(&self) -> Value {
        self.read(&self.management("/v1/management/license")).ok().json()
    }

    fn apply(&self, code: &str) -> Output {
        self.call("POST", "/v1/management/license", &json!({ "license": code }).to_string())
    }

    fn remove(&self) -> Output {
        self.curl(&["-X", "DELETE", &self.management("/v1/management/license")])
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Output {
        let json = "Content-Type: application/json";
        self.curl(&["-X", method, "-H", json, "-d", body, &self.management(path)])
    }
}
