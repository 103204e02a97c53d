//! A running appliance in a folder of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::command::{Output, collect, furnish, run};
use super::folder::Folder;
use super::settings::{Ports, Settings};
use super::vendor::Vendor;
use super::wait::{SOON, until, within};

/// What the appliance promises for a stop (10 s) and some air for a busy machine.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// The program under test: `APPLIANCED_BIN` if set, so that the binary that ships can be tried too.
pub(crate) fn program() -> PathBuf {
    match std::env::var_os("APPLIANCED_BIN") {
        Some(path) => std::fs::canonicalize(&path)
            .unwrap_or_else(|error| panic!("APPLIANCED_BIN={}: {error}", path.to_string_lossy())),
        None => PathBuf::from(env!("CARGO_BIN_EXE_applianced")),
    }
}

/// An appliance with a folder, ports and settings; the daemon runs unless a test stopped it.
pub(crate) struct Appliance {
    pub(crate) ports: Ports,
    folder: Folder,
    /// The root certificate that the user's machine trusts, once the user has made it so.
    trusted: Option<PathBuf>,
    /// The vendor of its license, unless the test sees to that.
    vendor: Option<Vendor>,
    daemon: Option<Daemon>,
}

struct Daemon {
    child: Child,
    said: Arc<Mutex<String>>,
    logged: Arc<Mutex<String>>,
}

impl Appliance {
    /// An appliance that has just been imported, ready to be asked.
    pub(crate) fn start(settings: &Settings) -> Appliance {
        let mut appliance = Appliance::prepare(settings);
        appliance.launch();
        if let Some(vendor) = &appliance.vendor {
            vendor.license(&appliance);
        }
        appliance
    }

    /// An appliance that may have only so many descriptors.
    pub(crate) fn start_with_descriptors(count: usize, settings: &Settings) -> Appliance {
        let mut appliance = Appliance::prepare(settings);
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--nofile={count}")).arg(program());
        limited.args(["serve", "--config"]).arg(appliance.config()).env_remove("NOTIFY_SOCKET");
        appliance.launch_as(&mut limited).unwrap();
        appliance
    }

    /// Folder, ports and settings, and no daemon yet.
    pub(crate) fn prepare(settings: &Settings) -> Appliance {
        let folder = Folder::new();
        let ports = Ports::free();
        // An engine is of no use without a license, so an appliance that has one gets the other too.
        let vendor = settings.has_engine().then(Vendor::init);
        let settings = match &vendor {
            Some(vendor) => {
                &settings.clone().with("license", json!({"trust_file": vendor.trust_file()}))
            }
            None => settings,
        };
        settings.write(&folder.path().join("config.json"), folder.path(), &ports);
        furnish(&folder.path().join("home"));
        Appliance { ports, folder, trusted: None, vendor, daemon: None }
    }

    /// Starts the daemon on the state that is there and waits until it says `ready`.
    pub(crate) fn launch(&mut self) {
        let mut command = self.command("serve");
        if let Err(status) = self.launch_as(&mut command) {
            panic!("the daemon ended with {status} instead of starting:\n{}", self.log());
        }
    }

    /// Runs a command line that ends in the daemon; the status if it ends before it is ready.
    pub(crate) fn launch_as(&mut self, command: &mut Command) -> Result<(), ExitStatus> {
        self.launch_with_input(command, Stdio::null())
    }

    /// Runs a command line that ends in the daemon, with something on its standard input.
    pub(crate) fn launch_with_input(
        &mut self,
        command: &mut Command,
        input: impl Into<Stdio>,
    ) -> Result<(), ExitStatus> {
        assert!(self.daemon.is_none(), "the daemon runs already");
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = collect(child.stdout.take().unwrap());
        let logged = collect(child.stderr.take().unwrap());
        let daemon = self.daemon.insert(Daemon { child, said: Arc::clone(&said), logged });
        let ended = until(SOON, "the daemon says ready or ends", || {
            if said.lock().unwrap().lines().any(|line| line == "ready") {
                return Some(None);
            }
            daemon.child.try_wait().unwrap().map(Some)
        });
        ended.map_or(Ok(()), Err)
    }

    /// A command of the program with this appliance's settings.
    pub(crate) fn command(&self, word: &str) -> Command {
        let mut command = Command::new(program());
        command.arg(word).arg("--config").arg(self.config()).env_remove("NOTIFY_SOCKET");
        command
    }

    /// SIGTERM, then the exit status; fails the test if the daemon outlives its limit.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended(STOP_LIMIT)
    }

    /// Waits for the daemon's end.
    pub(crate) fn ended(&mut self, limit: Duration) -> ExitStatus {
        let daemon = self.daemon.as_mut().expect("no daemon to wait for");
        let status = until(limit, "the daemon has ended", || daemon.child.try_wait().unwrap());
        self.daemon = None;
        status
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.launch();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.daemon.as_ref().expect("the daemon doesn't run").child)
    }

    /// A line of the daemon's `/proc/PID/status`, such as `VmRSS` or `VmHWM`, in KiB.
    pub(crate) fn memory(&self, line: &str) -> u64 {
        let pid = self.pid().as_raw_nonzero();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let value = status.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
        value.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// What the daemon wrote to standard output since its last start.
    pub(crate) fn said(&self) -> String {
        self.daemon.as_ref().map(|daemon| daemon.said.lock().unwrap().clone()).unwrap_or_default()
    }

    /// What the daemon wrote to standard error since its last start.
    pub(crate) fn log(&self) -> String {
        self.daemon.as_ref().map(|daemon| daemon.logged.lock().unwrap().clone()).unwrap_or_default()
    }

    /// Waits for a line in the log that holds `words`, among those after the first `known` bytes.
    pub(crate) fn logs(&self, known: usize, words: &str) {
        let found = within(SOON, || {
            self.log()[known..].lines().any(|line| line.contains(words)).then_some(())
        });
        assert!(found.is_some(), "the log never said {words:?}:\n{}", self.log());
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder().join("config.json")
    }

    /// A file of the state folder.
    pub(crate) fn state(&self, file: &str) -> PathBuf {
        self.folder().join("state").join(file)
    }

    pub(crate) fn control_socket(&self) -> PathBuf {
        self.folder().join("run/control.sock")
    }

    /// From now on the user's machine trusts what `root` has signed.
    pub(crate) fn trust(&mut self, root: &Path) {
        self.trusted = Some(root.to_owned());
    }

    /// The user's machine trusts its own list alone again.
    pub(crate) fn distrust(&mut self) {
        self.trusted = None;
    }

    pub(crate) fn http(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.http)
    }

    pub(crate) fn https(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.ports.https)
    }

    /// The v1 management port.
    pub(crate) fn management(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.management)
    }

    /// Runs a command as src/manual.md prints it: ports are substituted, nothing else.
    pub(crate) fn page(&self, typed: &str) -> Output {
        self.shell(&self.ports.in_command(typed))
    }

    /// Runs `line` as a user at a prompt whose folder is this appliance's.
    pub(crate) fn shell(&self, line: &str) -> Output {
        run(self.outside("sh").arg("-c").arg(line))
    }

    /// curl with these arguments, certificates not checked.
    pub(crate) fn curl<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        run(self.outside("curl").arg("--insecure").args(arguments))
    }

    /// curl in the background, for responses that take their time.
    pub(crate) fn curl_in_background(&self, arguments: &[&str]) -> Child {
        self.outside("curl")
            .arg("--insecure")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// GET without credentials.
    pub(crate) fn read(&self, url: &str) -> Output {
        self.curl(&[url])
    }

    /// GET as `admin` with `password`.
    pub(crate) fn read_as(&self, password: &str, url: &str) -> Output {
        self.curl(&["-u", &format!("admin:{password}"), url])
    }

    /// A JSON body sent without credentials.
    pub(crate) fn post(&self, url: &str, body: &str) -> Output {
        self.curl(&["-H", "Content-Type: application/json", "-d", body, url])
    }

    /// A JSON body sent as `admin` with `password`.
    pub(crate) fn post_as(&self, password: &str, url: &str, body: &str) -> Output {
        let json = "Content-Type: application/json";
        self.curl(&["-u", &format!("admin:{password}"), "-H", json, "-d", body, url])
    }

    /// openssl s_client to the HTTPS port, input closed at once.
    pub(crate) fn s_client(&self, arguments: &[&str]) -> Output {
        let address = format!("127.0.0.1:{}", self.ports.https);
        run(self.outside("openssl").args(["s_client", "-connect", &address]).args(arguments))
    }

    /// Runs another command of the program on this appliance's settings.
    pub(crate) fn program(&self, word: &str, arguments: &[&str]) -> Output {
        run(self.command(word).args(arguments))
    }

    /// A program of the user's machine, free of what the developer's own environment may hold.
    fn outside(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.current_dir(self.folder()).env("HOME", self.folder().join("home"));
        command.env("APPLIANCE_HOST", "localhost").env("NO_PROXY", "*").env("LC_ALL", "C");
        for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        for name in ["CURL_CA_BUNDLE", "SSL_CERT_FILE"] {
            match &self.trusted {
                Some(root) => command.env(name, root),
                None => command.env_remove(name),
            };
        }
        command
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        let _ = kill_process(Pid::from_child(&daemon.child), Signal::TERM);
        let ended = within(STOP_LIMIT, || daemon.child.try_wait().ok().flatten());
        if ended.is_none() {
            let _ = daemon.child.kill();
            let _ = daemon.child.wait();
        }
        // Shown by the test runner when the test has failed, and only then.
        println!("--- log of the appliance ---\n{}", daemon.logged.lock().unwrap());
    }
}
