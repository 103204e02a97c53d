//! The state of our own parts and of every configured service, checked now.
//!
//! A service is running if it accepts a connection. All are checked at the same time, so that a check takes no
//! longer than the slowest.

use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::config::{Config, OWN_PARTS, Service, ServiceAddress};
use crate::util::{resolve, unix_listen};

/// How long a service may take to accept a connection; local ones need microseconds.
const TIMEOUT: Duration = Duration::from_millis(250);

/// Stack in bytes of a thread that resolves one name and connects once.
const STACK: usize = 128 * 1024;

/// Every service whose name is `asked` for as `{"service", "status"}`; `daemon_runs` says whether the daemon is running.
pub(crate) fn states(
    config: &Config,
    daemon_runs: bool,
    asked: impl Fn(&str) -> bool,
) -> Vec<Value> {
    let configured: Vec<&Service> =
        config.services.iter().filter(|service| asked(&service.name)).collect();
    let running = accepting(&configured);
    // The gate and this API run whenever the daemon does; monitoring also needs `/proc`.
    let runs =
        |name: &str| daemon_runs && (name != "monitoring" || Path::new("/proc/meminfo").exists());
    let own = OWN_PARTS.iter().filter(|name| asked(name)).map(|name| entry(name, runs(name)));
    let others = configured
        .iter()
        .enumerate()
        .map(|(index, service)| entry(&service.name, running.contains(&index)));
    own.chain(others).collect()
}

fn entry(name: &str, running: bool) -> Value {
    json!({"service": name, "status": if running { "running" } else { "exited" }})
}

/// Indices of the services that accepted a connection in time.
pub(crate) fn accepting(services: &[&Service]) -> Vec<usize> {
    let (found, answers) = mpsc::channel();
    let until = Instant::now() + TIMEOUT;
    for (index, service) in services.iter().enumerate() {
        let (found, address) = (found.clone(), service.address.clone());
        // The deadline below does not wait for a slow name lookup.
        let _ = thread::Builder::new().name("look".to_owned()).stack_size(STACK).spawn(move || {
            let _ = found.send((index, accepts(&address)));
        });
    }
    drop(found);
    let mut running = Vec::new();
    while let Ok((index, accepted)) =
        answers.recv_timeout(until.saturating_duration_since(Instant::now()))
    {
        if accepted {
            running.push(index);
        }
    }
    running
}

fn accepts(address: &ServiceAddress) -> bool {
    match address {
        ServiceAddress::Unix(path) => unix_listen::is_listening(path).unwrap_or(false),
        ServiceAddress::Tcp { host, port } => {
            let found = resolve::addresses(host, *port).unwrap_or_default();
            found.iter().any(|address| TcpStream::connect_timeout(address, TIMEOUT).is_ok())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, Instant};

    use super::accepting;
    use crate::config::Config;

    #[test]
    fn what_accepts_runs_and_what_does_not_has_exited() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let path = std::env::temp_dir().join(format!("applianced-look-{}", std::process::id()));
        let _unix = UnixListener::bind(&path).unwrap();
        let settings = format!(
            r#"{{"services": {{"speech": {{"address": "{}"}}, "realtime": {{"address": "{gone}"}},
               "u": {{"address": "unix:{}", "paths": ["/u/"]}},
               "v": {{"address": "unix:{}x", "paths": ["/v/"]}},
               "far": {{"address": "192.0.2.1:9", "paths": ["/far/"]}}}}}}"#,
            tcp.local_addr().unwrap(),
            path.display(),
            path.display(),
        );
        let config = Config::parse(settings.as_bytes()).unwrap();
        let begin = Instant::now();
        let mut running = accepting(&config.services.iter().collect::<Vec<_>>());
        running.sort_unstable();
        std::fs::remove_file(&path).unwrap();
        let names: Vec<&str> =
            running.iter().map(|&index| config.services[index].name.as_str()).collect();
        assert_eq!(names, ["speech", "u"]);
        assert!(begin.elapsed() < Duration::from_secs(5), "bounded by the timeout");
    }
}
