//! The management page: one self-contained HTML document.
//!
//! In: its pieces in `page/`, joined at compile time, and settings as attributes of the root element. Out:
//! everything else the page shows, which it gets from the API like any other client, so that there is only
//! one way to change a thing.

use super::compact::compact;
use super::html;
use crate::config::{CommandKind, Config, Serves};
use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::Answer;

/// Everything behind the root element's opening tag. The scripts share one scope.
const PIECES: [&str; 19] = [
    compact!(lines "page/head.html"),
    "<style>\n",
    compact!(lines "page/page.css"),
    "</style>\n",
    compact!(lines "page/page.html"),
    NETWORK[0],
    compact!(lines "page/license.html"),
    compact!(lines "page/machine.html"),
    "<script>\n",
    compact!(lines "page/calls.js"),
    compact!(lines "page/view.js"),
    compact!(lines "page/security.js"),
    compact!(lines "page/token.js"),
    compact!(lines "page/acme.js"),
    compact!(lines "page/license.js"),
    compact!(lines "page/machine.js"),
    compact!(lines "page/refresh.js"),
    NETWORK[1],
    "</script>\n",
];

/// Left out where the image has no command for network or clock.
const NETWORK: [&str; 2] = [compact!(lines "page/network.html"), compact!(lines "page/network.js")];

pub(crate) fn show(context: &Context, _: &mut Request) -> Answer {
    Ok(html::page(document(&context.config)))
}

fn document(config: &Config) -> String {
    let words = |all: &[(bool, &str)]| {
        let chosen: Vec<&str> = all.iter().filter(|word| word.0).map(|word| word.1).collect();
        chosen.join(" ")
    };
    let api = words(&[(config.api.v1, "v1"), (config.api.v2, "v2")]);
    let has = |kind| config.commands.has(kind);
    let can = words(&[
        (has(CommandKind::Reboot), "reboot"),
        (has(CommandKind::Shutdown), "shutdown"),
        (has(CommandKind::RestartServices), "restart"),
        (has(CommandKind::Network), "network"),
        (has(CommandKind::Clock), "clock"),
    ]);
    let has_network = has(CommandKind::Network) || has(CommandKind::Clock);
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\" data-api=\"{api}\" data-https=\"{}\" data-can=\"{can}\">\n",
        https_port(config).map(|port| port.to_string()).unwrap_or_default(),
    );
    text.extend(PIECES.into_iter().filter(|piece| has_network || !NETWORK.contains(piece)));
    text
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

    use super::document;
    use crate::config::Config;

    const WITH_NETWORK: &str = r#"{"commands": {"network": ["/bin/true"]}}"#;

    fn text(settings: &str) -> String {
        document(&Config::parse(settings.as_bytes()).unwrap())
    }

    fn root(settings: &str) -> String {
        text(settings).lines().nth(1).unwrap().to_owned()
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
        assert!(text("{}").len() < 66_000, "{} bytes", text("{}").len());
        let whole = text(WITH_NETWORK);
        for forbidden in [" style=", " onclick=", " onsubmit=", "javascript:", "src=", "innerHTML"]
        {
            assert!(!whole.contains(forbidden), "{forbidden}");
        }
        let elsewhere = whole.replace("http://www.w3.org/2000/svg", "");
        assert!(!elsewhere.contains("http://"));
    }
}
