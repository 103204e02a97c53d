//! One appliance and one authority, the same before every try.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Play;
use crate::support::appliance::Appliance;
use crate::support::command::Output;
use crate::support::folder::copy;
use crate::support::network::Network;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

pub(super) struct Scene {
    pub(super) vendor: Vendor,
    pub(super) network: Network,
    pub(super) appliance: Appliance,
    pub(super) code: String,
}

impl Scene {
    /// After what comes before the call.
    pub(super) fn new(play: &Play) -> Scene {
        let vendor = Vendor::new();
        let code = vendor.sell(&["--offline-mode", "--offline-secs", "180000"]);
        let network = vendor.network();
        let mut appliance = Appliance::prepare(&vendor.settings(network.port));
        appliance.launch();
        let mut scene = Scene { vendor, network, appliance, code };
        (play.prepare)(&scene);
        scene.appliance.stop();
        scene.vendor.kill();
        copy(&scene.appliance.state(""), &scene.base("state"));
        copy(&scene.vendor.dir(), &scene.base("authority"));
        scene
    }

    fn base(&self, name: &str) -> PathBuf {
        self.appliance.folder().join(format!("base-{name}"))
    }

    pub(super) fn mail(&self) -> PathBuf {
        self.appliance.folder().join("mail.txt")
    }

    /// A call of the local administrator, which passes no other socket of the daemon than its own.
    pub(super) fn call(&self, method: &str, path: &str, body: &str) -> Output {
        let socket = self.appliance.control_socket();
        let url = format!("http://localhost{path}");
        let socket = socket.to_str().unwrap();
        self.appliance.curl(&["--unix-socket", socket, "-X", method, "-d", body, &url])
    }

    /// What the authority's accounts must say in the end.
    #[track_caller]
    pub(super) fn accounts(&self, seats: u64, held: u64, used: u64) {
        let known = self.vendor.show(&self.code);
        let told = ["activated", "secs_held", "secs_used", "secs_left", "takeovers"]
            .map(|name| known[name].clone());
        let left = 1_800_000 - held - used;
        assert_eq!(told, [seats, held, used, left, 0].map(Value::from), "{known}");
    }

    /// Makes appliance and authority what they were before the first try.
    pub(super) fn rewind(&mut self) {
        self.vendor.kill();
        copy(&self.base("state"), &self.appliance.state(""));
        copy(&self.base("authority"), &self.vendor.dir());
        self.vendor.serve();
    }

    /// Waits until what the daemon does at its start by itself is over.
    pub(super) fn settle(&self) {
        until(SOON, "the start is over", || self.is_settled());
    }

    /// An online license writes its question and its answer at the start; any other writes nothing.
    fn is_settled(&self) -> Option<()> {
        let Some((before, true)) = written(&self.base("state")) else { return Some(()) };
        written(&self.appliance.state("")).filter(|(now, _)| *now >= before + 2).map(drop)
    }
}

/// How often the license file was written, and whether it is of a license that is kept up to date.
fn written(folder: &Path) -> Option<(u64, bool)> {
    let text = std::fs::read_to_string(folder.join("license.json")).ok()?;
    let file: Value = serde_json::from_str(&text).ok()?;
    let online = file["body"].as_str()?.contains(r#""phase":"online""#);
    Some((file["gen"].as_u64()?, online))
}
