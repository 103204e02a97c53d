//! Monitoring: the Glances REST API v3 (`/api/3/…`), read from `/proc`.
//!
//! In: routes, plugins (one file each) and the errors a Glances client expects, which are pages, not
//! JSON. Out: HTTP, which the management API speaks for us, and the `/monitor` prefix, which is off
//! already. Values come in Glances' own member order.

mod mem;
mod page;

use serde_json::{Map, Value, json};

/// What one plugin sees, as an object; the error is the cause for the person.
type Plugin = fn() -> Result<Map<String, Value>, String>;

const PLUGINS: &[(&str, Plugin)] = &[("mem", mem::look)];

/// Why there is nothing to show.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// 405
    WrongMethod,
    /// 404; the path.
    UnknownPath(String),
    /// 400; its name.
    UnknownPlugin(String),
    /// 404; what was asked of which plugin.
    UnknownItem {
        /// The item, or `item=value`.
        item: String,
        /// The plugin.
        plugin: &'static str,
    },
    /// 404; the system tells us nothing.
    Unreadable {
        /// The plugin.
        plugin: &'static str,
        /// Why.
        cause: String,
    },
}

/// What stands at `path` now; `readable` is whether the method is one that reads.
pub fn look(readable: bool, path: &str) -> Result<Value, Fault> {
    let unknown = || Fault::UnknownPath(path.to_owned());
    let words: Vec<&str> = path.strip_prefix("/api/3/").ok_or_else(unknown)?.split('/').collect();
    if words.len() > 3 || words.contains(&"") {
        return Err(unknown());
    }
    if !readable {
        return Err(Fault::WrongMethod);
    }
    if words == ["pluginslist"] {
        return Ok(PLUGINS.iter().map(|(name, _)| *name).collect());
    }
    let Some((plugin, seen)) = PLUGINS.iter().find(|(name, _)| *name == words[0]) else {
        return Err(Fault::UnknownPlugin(words[0].to_owned()));
    };
    let stats = seen().map_err(|cause| Fault::Unreadable { plugin, cause })?;
    match words[1..] {
        [] => Ok(Value::Object(stats)),
        [item] => match stats.get(item) {
            Some(value) => Ok(json!({item: value})),
            None => Err(Fault::UnknownItem { item: item.to_owned(), plugin }),
        },
        // Glances looks for a value in lists only; these plugins are objects.
        _ => Err(Fault::UnknownItem { item: format!("({}={})", words[1], words[2]), plugin }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{Fault, look};

    #[test]
    fn a_plugin_an_item_and_the_list_are_found() {
        assert_eq!(look(true, "/api/3/pluginslist").unwrap(), json!(["mem"]));
        let all = look(true, "/api/3/mem").unwrap();
        let total = look(true, "/api/3/mem/total").unwrap();
        assert_eq!(total, json!({"total": all["total"]}));
    }

    #[test]
    fn what_is_not_there_is_said_as_glances_says_it() {
        let fault = look(true, "/api/3/nosuch").unwrap_err();
        assert_eq!(
            (fault.status(), fault.text()),
            (400, "Unknown plugin nosuch (available plugins: ['mem'])".to_owned())
        );
        let fault = look(true, "/api/3/mem/nosuch").unwrap_err();
        assert_eq!(
            (fault.status(), fault.text()),
            (404, "Cannot get item nosuch in plugin mem".to_owned())
        );
        let fault = look(true, "/api/3/mem/total/x").unwrap_err();
        assert_eq!(
            (fault.status(), fault.text()),
            (404, "Cannot get item (total=x) in plugin mem".to_owned())
        );
        for path in [
            "/",
            "/api/3",
            "/api/3/",
            "/api/3/mem/",
            "/api/2/mem",
            "/api/3/mem/a/b/c",
            "/api/3//mem",
        ] {
            assert_eq!(look(true, path).unwrap_err(), Fault::UnknownPath(path.to_owned()));
        }
    }

    #[test]
    fn only_reading_is_allowed() {
        let fault = look(false, "/api/3/mem").unwrap_err();
        assert_eq!((fault.status(), fault.text()), (405, "Method not allowed.".to_owned()));
        assert_eq!(look(false, "/x").unwrap_err().status(), 404);
    }
}
