//! The management page: one self-contained HTML document.
//!
//! In: its pieces in `page/`, joined at compile time, and settings as attributes of the root element. Out:
//! everything else the page shows, which it gets from the API like any other client, so that there is only
//! one way to change a thing.

use std::sync::LazyLock;

use super::html;
use crate::config::{Config, Serves};
use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::Response;

/// Everything behind the root element's opening tag. The scripts share one scope.
const PIECES: [&str; 19] = [
    include_str!("page/head.html"),
    "<style>",
    include_str!("page/page.css"),
    "</style>\n",
    include_str!("page/page.html"),
    NETWORK[0],
    include_str!("page/license.html"),
    include_str!("page/machine.html"),
    "<script>",
    include_str!("page/calls.js"),
    include_str!("page/view.js"),
    include_str!("page/security.js"),
    include_str!("page/token.js"),
    include_str!("page/acme.js"),
    include_str!("page/license.js"),
    include_str!("page/machine.js"),
    include_str!("page/refresh.js"),
    NETWORK[1],
    "</script>\n",
];

/// Left out where the image has no command for network or clock.
const NETWORK: [&str; 2] = [include_str!("page/network.html"), include_str!("page/network.js")];

/// The document as sent: without indentation and comment lines.
static SENT: LazyLock<String> = LazyLock::new(|| sent(|piece| !NETWORK.contains(piece)));

/// With all pieces.
static SENT_WITH_NETWORK: LazyLock<String> = LazyLock::new(|| sent(|_| true));

fn sent(belongs: impl Fn(&&str) -> bool) -> String {
    let lines = PIECES.iter().filter(|piece| belongs(piece)).flat_map(|piece| piece.lines());
    let lines = lines.map(str::trim_start);
    let kept: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with("//")).collect();
    kept.join("\n")
}

pub(crate) fn show(context: &Context, _: &mut Request) -> Response {
    html::page(document(&context.config))
}

fn document(config: &Config) -> String {
    let words = |all: &[(bool, &str)]| {
        let chosen: Vec<&str> = all.iter().filter(|word| word.0).map(|word| word.1).collect();
        chosen.join(" ")
    };
    let api = words(&[(config.api.v1, "v1"), (config.api.v2, "v2")]);
    let commands = &config.commands;
    let can = words(&[
        (!commands.reboot.is_empty(), "reboot"),
        (!commands.shutdown.is_empty(), "shutdown"),
        (!commands.restart_services.is_empty(), "restart"),
        (!commands.network.is_empty(), "network"),
        (!commands.clock.is_empty(), "clock"),
    ]);
    let rest = match commands.network.is_empty() && commands.clock.is_empty() {
        true => &SENT,
        false => &SENT_WITH_NETWORK,
    };
    format!(
        "<!doctype html>\n<html lang=\"en\" data-api=\"{api}\" data-https=\"{}\" data-can=\"{can}\">\n{}\n",
        https_port(config).map(|port| port.to_string()).unwrap_or_default(),
        **rest
    )
}

/// The port on which this page is served over HTTPS, if there is one.
fn https_port(config: &Config) -> Option<u16> {
    let has_page = |serves| matches!(serves, Serves::All | Serves::Management);
    let served = config.listen.iter().any(|listen| listen.tls && has_page(listen.serves));
    served.then_some(config.https_port)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{SENT, SENT_WITH_NETWORK, document};
    use crate::config::Config;

    fn root(settings: &str) -> String {
        let text = document(&Config::parse(settings.as_bytes()).unwrap());
        text.lines().nth(1).unwrap().to_owned()
    }

    #[test]
    fn the_root_element_tells_what_the_settings_decide() {
        assert_eq!(root("{}"), r#"<html lang="en" data-api="v1 v2" data-https="443" data-can="">"#);
        assert_eq!(
            root(
                r#"{"api": ["v2"], "listen": [{"address": "127.0.0.1:0", "serves": "all"}],
                    "commands": {"reboot": ["/sbin/reboot"], "restart_services": ["/bin/true"]}}"#
            ),
            r#"<html lang="en" data-api="v2" data-https="" data-can="reboot restart">"#
        );
    }

    #[test]
    fn an_image_without_commands_for_network_and_clock_has_nothing_of_them_in_the_page() {
        let text = |settings: &str| document(&Config::parse(settings.as_bytes()).unwrap());
        assert!(!text("{}").contains("clock-form"));
        for command in ["network", "clock"] {
            let settings = format!(r#"{{"commands": {{"{command}": ["/bin/true"]}}}}"#);
            assert!(text(&settings).contains("clock-form"), "{command}");
        }
    }

    /// What the policy would block: handlers and styles in attributes, and anything from elsewhere.
    #[test]
    fn nothing_in_the_document_needs_a_weaker_policy() {
        // Leaves room for the answers of the first look within 72 KB.
        assert!(SENT.len() < 66_000, "{} bytes", SENT.len());
        for forbidden in [" style=", " onclick=", " onsubmit=", "javascript:", "src=", "innerHTML"]
        {
            assert!(!SENT_WITH_NETWORK.contains(forbidden), "{forbidden}");
        }
        let elsewhere = SENT_WITH_NETWORK.replace("http://www.w3.org/2000/svg", "");
        assert!(!elsewhere.contains("http://"));
    }
}
