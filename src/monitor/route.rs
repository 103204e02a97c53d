//! Routes a path as Glances does: nothing is trimmed, no segment is empty.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Content, GlancesError, Monitor, PLUGINS, limits};

/// `path` is decoded, and begins with a slash.
pub(super) fn get(monitor: &Monitor, path: &str) -> Result<Content, GlancesError> {
    let rest = path.strip_prefix("/api/3/").ok_or_else(no_route)?;
    // A value may contain slashes, as mount points do.
    let words: Vec<&str> = rest.splitn(3, '/').collect();
    if words.contains(&"") {
        return Err(no_route());
    }
    match words[..] {
        ["status"] => Ok(Content::Active),
        ["pluginslist"] => Ok(Content::Stats(PLUGINS.iter().map(|(name, _)| *name).collect())),
        ["all"] => Ok(Content::Stats(monitor.all())),
        ["all", "limits"] => Ok(Content::Limits(limits::all())),
        ["all", "views"] => Err(not_kept("views")),
        ["help"] => Err(not_kept("help view data")),
        ["config"] => Ok(Content::Stats(limits::config().into())),
        ["config", item] => match limits::config().remove(item) {
            Some(section) => Ok(Content::Stats(section)),
            None => Err(GlancesError::bad(format!("Unknown configuration item {item}"))),
        },
        ["args"] => Ok(Content::Stats(arguments().into())),
        ["args", item] => match arguments().remove(item) {
            Some(value) => Ok(Content::Stats(value)),
            None => Err(GlancesError::bad(format!("Unknown argument item {item}"))),
        },
        [plugin, ..] if !PLUGINS.iter().any(|(name, _)| *name == plugin) => {
            Err(GlancesError::unknown_plugin(plugin))
        }
        [plugin, "limits"] => Ok(Content::Limits(limits::of(plugin))),
        [plugin, "views"] => Err(not_kept(&format!("views for plugin {plugin}"))),
        [plugin, "history"] => Err(not_kept(&format!("plugin history {plugin}"))),
        [plugin, "history", count] if is_number(count) => {
            Err(not_kept(&format!("plugin history {plugin}")))
        }
        [plugin, item, tail] if is_history(tail) => {
            Err(no_item(&format!("{item}history "), plugin))
        }
        [plugin] => stats(monitor, plugin).map(Content::Stats),
        [plugin, item] => match members(&stats(monitor, plugin)?, item) {
            Some(found) => Ok(Content::Stats(json!({item: found}))),
            None => Err(no_item(item, plugin)),
        },
        [plugin, item, value] => match entries(stats(monitor, plugin)?, item, value) {
            Some((value, found)) => Ok(Content::Stats(json!({value: found}))),
            None => Err(no_item(&format!("({item}={value})"), plugin)),
        },
        _ => Err(no_route()),
    }
}

fn stats(monitor: &Monitor, plugin: &str) -> Result<Value, GlancesError> {
    let stats = monitor.stats(plugin).map(Arc::unwrap_or_clone);
    stats.map_err(|error| GlancesError::absent(format!("Cannot get plugin {plugin} ({error})")))
}

/// The member of an object, or of every entry of a list.
fn members(stats: &Value, item: &str) -> Option<Value> {
    match stats {
        Value::Object(members) => members.get(item).cloned(),
        Value::Array(entries) => entries.iter().map(|entry| entry.get(item).cloned()).collect(),
        _ => None,
    }
}

/// The entries of a list whose `item` is `value`, and the value as Glances writes it: as a number if it
/// has only digits.
fn entries(stats: Value, item: &str, value: &str) -> Option<(String, Vec<Value>)> {
    let Value::Array(entries) = stats else { return None };
    if entries.iter().any(|entry| entry.get(item).is_none()) {
        return None;
    }
    let value = if is_number(value) {
        let digits = value.trim_start_matches('0');
        if digits.is_empty() { "0" } else { digits }
    } else {
        value
    };
    let number = if is_number(value) { value.parse::<f64>().ok() } else { None };
    let fits = |found: &Value| match (number, found) {
        (Some(number), Value::Number(found)) => found.as_f64() == Some(number),
        // In Python, true is 1.
        (Some(number), Value::Bool(found)) => f64::from(u8::from(*found)) == number,
        (None, Value::String(found)) => found == value,
        _ => false,
    };
    let found = entries.into_iter().filter(|entry| entry.get(item).is_some_and(fits)).collect();
    Some((value.to_owned(), found))
}

/// Glances' command line; only the refresh interval of its web page makes sense here.
fn arguments() -> Map<String, Value> {
    Map::from_iter([("time".to_owned(), 3.into())])
}

/// No route matches; Glances then looks for a file of its web pages.
fn no_route() -> GlancesError {
    GlancesError::absent("File does not exist.")
}

fn no_item(item: &str, plugin: &str) -> GlancesError {
    GlancesError::absent(format!("Cannot get item {item} in plugin {plugin}"))
}

/// Glances draws its own screens from this.
fn not_kept(what: &str) -> GlancesError {
    GlancesError::absent(format!("Cannot get {what} (not kept here)"))
}

fn is_history(tail: &str) -> bool {
    tail == "history" || tail.strip_prefix("history/").is_some_and(is_number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::super::{Content, Monitor};
    use super::{entries, members};

    fn stats(path: &str) -> Value {
        match Monitor::default().get(true, path).unwrap() {
            Content::Stats(value) | Content::Limits(value) => value,
            Content::Active => "Active".into(),
        }
    }

    #[track_caller]
    fn refused(path: &str, status: u16, text: &str) {
        let error = Monitor::default().get(true, path).unwrap_err();
        assert_eq!((error.status, error.text.as_str()), (status, text), "{path}");
    }

    #[test]
    fn plugins_items_and_lists_are_found() {
        let plugins = stats("/api/3/pluginslist");
        assert_eq!((&plugins[0], plugins.as_array().unwrap().len()), (&"quicklook".into(), 14));
        let all = stats("/api/3/mem");
        assert_eq!(stats("/api/3/mem/total"), json!({"total": all["total"]}));
        assert_eq!(stats("/api/3/all")["mem"]["total"], all["total"]);
        assert_eq!(stats("/api/3/percpu/cpu_number/00")["0"][0]["cpu_number"], 0);
        assert_eq!(stats("/api/3/percpu/cpu_number/x"), json!({"x": []}));
        assert_eq!(stats("/api/3/all/limits")["mem"]["mem_careful"], 50.0);
        assert_eq!(stats("/api/3/status"), "Active");
        assert_eq!(stats("/api/3/args/time"), 3);
        assert_eq!(stats("/api/3/config/mem")["warning"], "70");
    }

    #[test]
    fn what_is_not_there_is_said_in_glances_words() {
        refused("/api/3/mem/nosuch", 404, "Cannot get item nosuch in plugin mem");
        refused("/api/3/mem/total/x", 404, "Cannot get item (total=x) in plugin mem");
        refused("/api/3/mem/a/b/c", 404, "Cannot get item (a=b/c) in plugin mem");
        refused("/api/3/mem/history/x", 404, "Cannot get item (history=x) in plugin mem");
        refused("/api/3/uptime/x", 404, "Cannot get item x in plugin uptime");
        refused("/api/3/percpu/x/1", 404, "Cannot get item (x=1) in plugin percpu");
        refused("/api/3/mem/views", 404, "Cannot get views for plugin mem (not kept here)");
        refused("/api/3/mem/history/3", 404, "Cannot get plugin history mem (not kept here)");
        refused("/api/3/mem/x/history", 404, "Cannot get item xhistory  in plugin mem");
        refused("/api/3/config/x", 400, "Unknown configuration item x");
        refused("/api/3/args/x", 400, "Unknown argument item x");
        for path in ["nosuch", "status/x", "all/x", "nosuch/limits", "config/a/b"] {
            let error = Monitor::default().get(true, &format!("/api/3/{path}")).unwrap_err();
            let plugin = path.split('/').next().unwrap();
            let text = format!("Unknown plugin {plugin} (available plugins: ['quicklook', '");
            assert_eq!(error.status, 400, "{path}");
            assert!(error.text.starts_with(&text), "{path}: {}", error.text);
        }
        for path in [
            "/",
            "/api/3",
            "/api/3/",
            "/api/3/mem/",
            "/api/3/mem/total/",
            "/api/3/status/",
            "/api/2/mem",
            "/api/3//mem",
            "/api/3/mem//x",
        ] {
            refused(path, 404, "File does not exist.");
        }
    }

    #[test]
    fn only_reading_is_allowed() {
        for path in ["/api/3/mem", "/api/3/nosuch", "/x"] {
            let error = Monitor::default().get(false, path).unwrap_err();
            assert_eq!((error.status, error.text.as_str()), (405, "Method not allowed."));
        }
    }

    #[test]
    fn lists_are_searched_as_python_compares() {
        let list = json!([
            {"name": "/a b", "speed": 0, "up": true, "load": 1.0},
            {"name": "7", "speed": 10, "up": false, "load": 2.5},
        ]);
        let count = |item: &str, value: &str| {
            entries(list.clone(), item, value).map(|(value, found)| (value, found.len()))
        };
        assert_eq!(count("name", "/a b"), Some(("/a b".to_owned(), 1)));
        assert_eq!(count("name", "7"), Some(("7".to_owned(), 0)), "digits are a number");
        assert_eq!(count("speed", "010"), Some(("10".to_owned(), 1)));
        assert_eq!(count("up", "1"), Some(("1".to_owned(), 1)));
        assert_eq!(count("up", "true"), Some(("true".to_owned(), 0)));
        assert_eq!(count("load", "1"), Some(("1".to_owned(), 1)));
        assert_eq!(count("nosuch", "1"), None);
        assert_eq!(members(&list, "speed"), Some(json!([0, 10])));
        assert_eq!(members(&list, "nosuch"), None);
    }
}
