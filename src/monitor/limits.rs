//! Limits: the thresholds at which a Glances client colours a value, with Glances' defaults.
//!
//! `limits` has them as numbers under the plugin's name, `config` as the words of a settings file.

use serde_json::{Map, Value};

use super::PLUGINS;

/// Thresholds by the name of their value; the empty name stands for the plugin itself.
type Thresholds = (&'static str, [&'static str; 3]);

const LEVELS: [&str; 3] = ["careful", "warning", "critical"];

const USUAL: [&str; 3] = ["50", "70", "90"];

fn thresholds(plugin: &str) -> &'static [Thresholds] {
    match plugin {
        "quicklook" => &[("cpu_", USUAL), ("mem_", USUAL), ("swap_", USUAL)],
        "cpu" => &[
            ("user_", USUAL),
            ("system_", USUAL),
            ("steal_", USUAL),
            ("iowait_", ["40.0", "45.0", "50.0"]),
            ("ctx_switches_", ["80000.0", "90000.0", "100000.0"]),
        ],
        "percpu" => &[("user_", USUAL), ("system_", USUAL)],
        "load" => &[("", ["0.7", "1.0", "5.0"])],
        "mem" | "memswap" | "fs" => &[("", USUAL)],
        "network" => &[("rx_", USUAL), ("tx_", USUAL)],
        _ => &[],
    }
}

fn named(plugin: &str) -> impl Iterator<Item = (String, &'static str)> {
    thresholds(plugin).iter().flat_map(|(value, numbers)| {
        LEVELS.iter().zip(numbers).map(move |(level, number)| (format!("{value}{level}"), *number))
    })
}

/// The answer to `<plugin>/limits`.
pub(super) fn of(plugin: &str) -> Value {
    let mut limits = Map::new();
    limits.insert("history_size".to_owned(), 28_800.0.into());
    for (name, number) in named(plugin) {
        let number: f64 = number.parse().unwrap_or_default();
        limits.insert(format!("{plugin}_{name}"), number.into());
    }
    limits.into()
}

/// The answer to `all/limits`.
pub(super) fn all() -> Value {
    PLUGINS.iter().map(|(name, _)| ((*name).to_owned(), of(name))).collect::<Map<_, _>>().into()
}

/// The answer to `config`: a section for each plugin that has settings.
pub(super) fn config() -> Map<String, Value> {
    let section = |(plugin, _): &(&'static str, _)| {
        let settings: Map<String, Value> =
            named(plugin).map(|(name, number)| (name, number.into())).collect();
        (!settings.is_empty()).then(|| ((*plugin).to_owned(), settings.into()))
    };
    PLUGINS.iter().filter_map(section).collect()
}

#[cfg(test)]
mod tests {
    use super::{all, config, of};

    #[test]
    fn limits_are_those_of_glances() {
        assert_eq!(
            of("load").to_string(),
            r#"{"history_size":28800.0,"load_careful":0.7,"load_warning":1.0,"load_critical":5.0}"#
        );
        assert_eq!(all()["cpu"]["cpu_iowait_critical"], 50.0);
        assert_eq!(all()["now"].to_string(), r#"{"history_size":28800.0}"#);
        assert_eq!(
            config()["mem"].to_string(),
            r#"{"careful":"50","warning":"70","critical":"90"}"#
        );
        assert!(!config().contains_key("now"));
    }
}
