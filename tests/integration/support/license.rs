//! A license for an appliance with a speech engine, got the offline way: nothing has to run for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::appliance::Appliance;
use super::authority::text;
use super::command::run;

/// Far enough that no test meets it.
const EXPIRES: &str = "2097-10-16T12:26:37Z";

/// A vendor whose books lie in one folder.
pub(crate) struct Desk(PathBuf);

impl Desk {
    /// Opens a shop in `folder`.
    pub(crate) fn open(folder: &Path) -> Desk {
        let desk = Desk(folder.join("vendor"));
        desk.say(&["init", "--customer", "4949"]);
        desk
    }

    /// What the image of an appliance gets.
    pub(crate) fn trust_file(&self) -> PathBuf {
        self.0.join("trust.json")
    }

    /// Sells a license to `appliance`, which runs, and applies it.
    pub(crate) fn license(&self, appliance: &Appliance) {
        let terms = ["--secs", "1800000", "--cache", "3600", "--expires", EXPIRES];
        let code = self.say(&[&["create", "--offline-mode"][..], &terms].concat());
        let asked = call(appliance, "POST", &format!(r#"{{"license": "{code}"}}"#));
        let request = self.0.join("request.txt");
        std::fs::write(&request, asked["certificate"].as_str().unwrap()).unwrap();
        let certificate = self.say(&["sign", text(&request)]);
        let body = format!(r#"{{"license": "{code}", "certificate": "{certificate}"}}"#);
        assert_eq!(call(appliance, "PUT", &body)["licensed"], true);
    }

    fn say(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_license-authority"));
        let (verb, rest) = arguments.split_first().unwrap();
        let output = run(command.arg(verb).arg("--dir").arg(&self.0).args(rest));
        assert_eq!(output.code, 0, "{arguments:?}: {output:?}");
        output.out.trim().to_owned()
    }
}

/// On the control socket, which asks for no password and takes either generation that is mounted.
fn call(appliance: &Appliance, method: &str, body: &str) -> serde_json::Value {
    let socket = appliance.control_socket();
    let answer = ["v1", "v2"].map(|generation| {
        let url = format!("http://x/{generation}/management/license/offlineactivation");
        appliance.curl(&["--unix-socket", text(&socket), "-X", method, "-d", body, &url])
    });
    let mounted = answer.into_iter().find(|answer| answer.status != 404).unwrap();
    mounted.ok().json()
}
