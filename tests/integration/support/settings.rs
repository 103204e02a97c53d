//! What a test's appliance is told: free ports on loopback and a settings file.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Map, Value, json};

/// The generations, the speech engine and whatever else a test changes.
#[derive(Clone)]
pub(crate) struct Settings {
    api: Value,
    services: Map<String, Value>,
    others: Map<String, Value>,
}

impl Settings {
    pub(crate) fn v1() -> Settings {
        Settings::with_api(&["v1"])
    }

    pub(crate) fn v2() -> Settings {
        Settings::with_api(&["v2"])
    }

    pub(crate) fn both() -> Settings {
        Settings::with_api(&["v1", "v2"])
    }

    fn with_api(api: &[&str]) -> Settings {
        Settings { api: json!(api), services: Map::new(), others: Map::new() }
    }

    /// Where the speech engine listens.
    pub(crate) fn speech(mut self, address: SocketAddr) -> Settings {
        self.services.insert("speech".into(), json!({"address": address.to_string()}));
        self
    }

    /// Where live transcription listens.
    pub(crate) fn realtime(self, address: SocketAddr) -> Settings {
        self.service("realtime", json!({"address": address.to_string()}))
    }

    /// A service as the settings file words it.
    pub(crate) fn service(mut self, name: &str, value: Value) -> Settings {
        self.services.insert(name.into(), value);
        self
    }

    /// True if a speech engine stands behind the gate and the test leaves the license to us.
    pub(crate) fn has_engine(&self) -> bool {
        let engine = ["speech", "realtime"].iter().any(|name| self.services.contains_key(*name));
        engine && !self.others.contains_key("license")
    }

    /// Sets or overrides one key of the settings file.
    pub(crate) fn with(mut self, key: &str, value: Value) -> Settings {
        self.others.insert(key.into(), value);
        self
    }

    /// Writes the settings file of an appliance that keeps everything in `folder`.
    pub(crate) fn write(&self, file: &Path, folder: &Path, ports: &Ports) {
        let mut all = json!({
            "state_dir": folder.join("state"),
            "run_dir": folder.join("run"),
            "api": self.api,
            "listen": ports.listeners(),
            "https_port": ports.https,
            "services": self.services,
        });
        let keys = all.as_object_mut().unwrap();
        for (key, value) in &self.others {
            keys.insert(key.clone(), value.clone());
        }
        std::fs::write(file, serde_json::to_string_pretty(&all).unwrap()).unwrap();
    }
}

/// One free port for each of the documented ones, which the comments name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// 80
    pub(crate) http: u16,
    /// 443
    pub(crate) https: u16,
    /// 3000
    pub(crate) v1_monitoring: u16,
    /// 8080
    pub(crate) management: u16,
    /// 8082
    pub(crate) speech: u16,
    /// 9000
    pub(crate) v1_realtime: u16,
    /// 9001
    pub(crate) v2_monitoring: u16,
    /// 9004
    pub(crate) v2_realtime: u16,
}

impl Ports {
    pub(crate) fn free() -> Ports {
        Ports {
            http: free_port(),
            https: free_port(),
            v1_monitoring: free_port(),
            management: free_port(),
            speech: free_port(),
            v1_realtime: free_port(),
            v2_monitoring: free_port(),
            v2_realtime: free_port(),
        }
    }

    /// The default table of listeners, on loopback and these ports.
    pub(crate) fn listeners(&self) -> Value {
        let at = |port: u16| format!("127.0.0.1:{port}");
        json!([
            {"address": at(self.http), "serves": "all", "http_disabled": "redirect"},
            {"address": at(self.https), "serves": "all", "tls": true},
            {"address": at(self.v1_monitoring), "serves": "monitoring", "http_disabled": "close"},
            {"address": at(self.management), "serves": "management", "http_disabled": "close"},
            {"address": at(self.speech), "serves": "speech", "http_disabled": "close"},
            {"address": at(self.v1_realtime), "serves": "realtime", "tls": true},
            {"address": at(self.v2_monitoring), "serves": "monitoring", "http_disabled": "redirect"},
            {"address": at(self.v2_realtime), "serves": "realtime", "tls": true},
        ])
    }

    /// A command of src/manual.md with this appliance's ports in place of those of M1-3 and M2-2.
    pub(crate) fn in_command(&self, typed: &str) -> String {
        typed
            .replace(
                "${APPLIANCE_HOST}:8080/",
                &format!("${{APPLIANCE_HOST}}:{}/", self.management),
            )
            .replace("${APPLIANCE_HOST}:443", &format!("${{APPLIANCE_HOST}}:{}", self.https))
            .replace(
                "https://${APPLIANCE_HOST}/",
                &format!("https://${{APPLIANCE_HOST}}:{}/", self.https),
            )
            .replace(
                "http://${APPLIANCE_HOST}/",
                &format!("http://${{APPLIANCE_HOST}}:{}/", self.http),
            )
    }
}

/// A port on which nothing listens. Below the range the kernel gives to outgoing connections, so that no
/// client of another test can sit on it between this look and the appliance's bind.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 20_000;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    for _ in 0..COUNT {
        let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap();
        let offset = TAKEN.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + offset) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT)
}
