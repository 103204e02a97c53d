//! What an administrator asks a running appliance about its license, over its v1 management port.

use serde_json::{Value, json};

use super::appliance::Appliance;
use super::command::Output;

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
