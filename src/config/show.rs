//! Prints the settings in force as JSON that is a valid settings file.

use serde_json::{Value, json};

use super::{CommandKind, Config, Listen, Service};
use crate::util::networks::Networks;

impl Config {
    /// Every setting with its value, defaults included.
    pub(crate) fn to_json(&self) -> Value {
        let generations = [("v1", self.api.v1), ("v2", self.api.v2)];
        let api: Vec<&str> =
            generations.iter().filter(|(_, mounted)| *mounted).map(|(word, _)| *word).collect();
        let services: serde_json::Map<String, Value> =
            self.services.iter().map(|one| (one.name.clone(), service(one))).collect();
        let argv = |kind: &CommandKind| json!(self.commands.argv(*kind));
        let commands: serde_json::Map<String, Value> =
            CommandKind::ALL.iter().map(|kind| (kind.name().to_owned(), argv(kind))).collect();
        let mut settings = json!({
            "state_dir": self.state_dir.to_string_lossy(),
            "run_dir": self.run_dir.to_string_lossy(),
            "api": api,
            "listen": self.listen.iter().map(listener).collect::<Vec<_>>(),
            "https_port": self.https_port,
            "hsts_max_age": self.hsts_max_age,
            "services": services,
            "license": {
                "authority_url": self.license.authority_url,
                "trust_file": self.license.trust_file.to_string_lossy(),
                "product": self.license.product,
                "customer_id": self.license.customer_id,
                "transcription_secs_allocated": self.license.transcription_secs_allocated,
            },
            "about": {
                "version": self.about.version,
                "variant": self.about.variant,
                "languages": self.about.languages,
            },
            "commands": commands,
            "access_log": self.access_log,
            "log_format": self.log_format,
        });
        set_networks(&mut settings, "management_from", &self.management_from);
        if let Some(user) = &self.user {
            settings["user"] = json!(user);
        }
        if let Some(acme) = &self.acme {
            settings["acme"] = acme.to_public_json();
        }
        settings
    }
}

fn listener(listen: &Listen) -> Value {
    let mut value =
        json!({"address": listen.address.to_string(), "serves": listen.serves, "tls": listen.tls});
    if !listen.tls {
        value["http_disabled"] = json!(listen.http_disabled);
    }
    set_networks(&mut value, "allow", &listen.allow);
    set_networks(&mut value, "trusted_proxies", &listen.trusted_proxies);
    if listen.proxy_protocol {
        value["proxy_protocol"] = json!(true);
    }
    value
}

/// Adds the list, unless it is not set.
fn set_networks(object: &mut Value, key: &str, networks: &Networks) {
    if !networks.is_empty() {
        object[key] = networks.iter().map(ToString::to_string).collect();
    }
}

fn service(service: &Service) -> Value {
    if service.is_built_in() {
        return json!({"address": service.address.to_string(), "timeout": service.timeout});
    }
    json!({
        "address": service.address.to_string(),
        "paths": service.paths,
        "auth": service.auth,
        "licensed": service.licensed,
        "websocket": service.websocket,
        "timeout": service.timeout,
    })
}
