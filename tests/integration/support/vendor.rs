//! The vendor's side: a license authority in a folder of its own, its commands, and its running `serve`.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use applianced::protocol::trust::Trust;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::appliance::Appliance;
use super::certificates::text;
use super::clock::{Clock, DAY};
use super::command::{Output, collect, finished, run};
use super::folder::Folder;
use super::network::Network;
use super::settings::{Settings, free_port};
use super::wait::{SOON, until};

/// Far enough that no test meets it.
pub(crate) const EXPIRES: &str = "2097-10-16T12:26:37Z";

/// The program under test: `LICENSE_AUTHORITY_BIN` if set, so that the binary that ships can be tried too.
pub(crate) fn program() -> OsString {
    let built = || env!("CARGO_BIN_EXE_license-authority").into();
    std::env::var_os("LICENSE_AUTHORITY_BIN").unwrap_or_else(built)
}

/// An authority of customer 4949; it serves unless a test has not started it, or stopped it.
pub(crate) struct Vendor {
    folder: Folder,
    /// Where it serves, also after a restart.
    port: u16,
    /// What its server looks at, where that is not the machine's clock.
    clock: Option<Clock>,
    server: Option<Server>,
}

struct Server {
    child: Child,
    address: SocketAddr,
    logged: Arc<Mutex<String>>,
}

impl Vendor {
    /// An authority without licenses that does not serve.
    pub(crate) fn init() -> Vendor {
        let vendor = Vendor { folder: Folder::new(), port: free_port(), clock: None, server: None };
        vendor.ok(&["init", "--customer", "4949"]);
        vendor
    }

    /// An authority without licenses, serving.
    pub(crate) fn new() -> Vendor {
        let mut vendor = Vendor::init();
        vendor.serve();
        vendor
    }

    /// An authority whose server has a clock of its own, right at first.
    pub(crate) fn with_clock() -> Vendor {
        let mut vendor = Vendor::init();
        vendor.clock = Some(Clock::right());
        vendor.serve();
        vendor
    }

    /// Sets the clock of its server so many days ahead, and says that this is right.
    pub(crate) fn ahead(&mut self, days: i64) {
        self.set_clock(days * DAY);
        if self.server.is_some() {
            self.stop();
            self.serve_with(&["--clock-is-right"]);
        }
    }

    /// Sets the clock of its server so many seconds ahead.
    pub(crate) fn set_clock(&self, seconds: i64) {
        self.clock.as_ref().unwrap().set(seconds, 0);
    }

    /// Everything it keeps.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("authority")
    }

    /// A path beside what it keeps.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the image of an appliance gets.
    pub(crate) fn trust_file(&self) -> PathBuf {
        self.dir().join("trust.json")
    }

    /// The content of the trust file.
    pub(crate) fn trust(&self) -> Trust {
        Trust::parse(&std::fs::read(self.trust_file()).unwrap()).unwrap()
    }

    /// A command of the authority on its folder.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(words).arg("--dir").arg(self.dir());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        run(&mut self.command(words))
    }

    /// Runs a command that must work; what it printed, without the line end.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        self.run(words).ok().out.trim_end().to_owned()
    }

    /// Runs a command with something on standard input.
    pub(crate) fn feed(&self, words: &[&str], input: &str) -> Output {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        finished(&child.wait_with_output().unwrap())
    }

    /// Sells a license of 500 hours, an hour of them cached, unless `more` says otherwise; its code.
    #[track_caller]
    pub(crate) fn sell(&self, more: &[&str]) -> String {
        let mut words = vec!["create"];
        for (flag, value) in [("--secs", "1800000"), ("--cache", "3600"), ("--expires", EXPIRES)] {
            if !more.contains(&flag) {
                words.extend([flag, value]);
            }
        }
        words.extend(more);
        self.ok(&words)
    }

    /// Signs an activation certificate.
    #[track_caller]
    pub(crate) fn sign(&self, certificate: &str) -> String {
        self.feed(&["sign", "-"], certificate).ok().out.trim_end().to_owned()
    }

    /// Credits what a return certificate gives back; what was said about it.
    #[track_caller]
    pub(crate) fn redeem(&self, certificate: &str) -> String {
        self.feed(&["redeem", "-"], certificate).ok().out.trim_end().to_owned()
    }

    /// What the authority knows of a license.
    #[track_caller]
    pub(crate) fn show(&self, code: &str) -> Value {
        serde_json::from_str(&self.ok(&["show", code, "--json"])).unwrap()
    }

    /// Starts `serve` on its port.
    pub(crate) fn serve(&mut self) -> SocketAddr {
        self.serve_with(&[])
    }

    /// Starts `serve` on its port with more flags.
    pub(crate) fn serve_with(&mut self, flags: &[&str]) -> SocketAddr {
        let address = format!("127.0.0.1:{}", self.port);
        let mut command = self.command(&[&["serve", "--listen", &address], flags].concat());
        if let Some(clock) = &self.clock {
            command = clock.of(&command);
        }
        self.serve_as(command).unwrap_or_else(|status| panic!("serve ended with {status}"))
    }

    /// Runs a command line that ends in `serve`; the status if it ends before it is ready.
    pub(crate) fn serve_as(&mut self, command: Command) -> Result<SocketAddr, ExitStatus> {
        self.serve_given(command, Stdio::null())
    }

    /// The same with something as standard input.
    pub(crate) fn serve_given(
        &mut self,
        mut command: Command,
        input: impl Into<Stdio>,
    ) -> Result<SocketAddr, ExitStatus> {
        assert!(self.server.is_none(), "it serves already");
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
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
        let mut addresses = said.lines().filter_map(|line| line.strip_prefix("listening on "));
        let address = addresses.find_map(|address| address.parse().ok()).unwrap();
        self.server = Some(Server { child, address, logged });
        Ok(address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.as_ref().unwrap().address
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.server.as_ref().unwrap().child)
    }

    /// What `serve` has written to its log.
    pub(crate) fn log(&self) -> String {
        self.server.as_ref().unwrap().logged.lock().unwrap().clone()
    }

    /// Waits until `serve` has written `text` to its log; all that is in it.
    pub(crate) fn logged(&self, text: &str) -> String {
        let logged = &self.server.as_ref().unwrap().logged;
        until(SOON, &format!("{text:?} is in the log"), || {
            Some(logged.lock().unwrap().clone()).filter(|log| log.contains(text))
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until `serve` has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut server = self.server.take().unwrap();
        until(SOON, "serve ends", || server.child.try_wait().unwrap())
    }

    /// Ends `serve` in order.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Ends `serve` at once, if it runs.
    pub(crate) fn kill(&mut self) {
        self.server = None;
    }

    /// A network between this authority and an appliance, whose faults the test decides.
    pub(crate) fn network(&self) -> Network {
        Network::to(self.port)
    }

    /// Settings of an appliance at the other end of a network.
    pub(crate) fn settings_over(&self, network: &Network) -> Settings {
        self.settings(network.port)
    }

    /// Settings of an appliance whose authority is at `port`.
    pub(crate) fn settings(&self, port: u16) -> Settings {
        let url = format!("http://127.0.0.1:{port}/");
        Settings::both().with("license", self.license_settings(&url))
    }

    pub(crate) fn license_settings(&self, url: &str) -> Value {
        json!({"authority_url": url, "trust_file": self.trust_file()})
    }

    /// An appliance that reaches this authority directly.
    pub(crate) fn appliance(&self) -> Appliance {
        Appliance::start(&self.settings(self.port))
    }

    /// Sells a license to an appliance that runs, and applies it by certificates: nothing has to serve.
    pub(crate) fn license(&self, appliance: &Appliance) {
        let code = self.sell(&["--offline-mode"]);
        let asked = call(appliance, "POST", &json!({ "license": code }));
        let certificate = self.sign(asked["certificate"].as_str().unwrap());
        let given = json!({"license": code, "certificate": certificate});
        assert_eq!(call(appliance, "PUT", &given)["licensed"], true);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Shown by the test runner when the test has failed, and only then.
        println!("--- log of the authority ---\n{}", self.logged.lock().unwrap());
    }
}

/// Offline activation on the control socket, which asks for no password and takes either generation that
/// is mounted.
fn call(appliance: &Appliance, method: &str, body: &Value) -> Value {
    let (socket, body) = (appliance.control_socket(), body.to_string());
    let answers = ["v1", "v2"].map(|generation| {
        let url = format!("http://x/{generation}/management/license/offlineactivation");
        appliance.curl(&["--unix-socket", text(&socket), "-X", method, "-d", &body, &url])
    });
    let mounted = answers.into_iter().find(|answer| answer.status != 404).unwrap();
    mounted.ok().json()
}
