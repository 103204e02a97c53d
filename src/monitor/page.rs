//! Errors as Glances shows them: a small page with the text in `<pre>`.

use super::{Fault, PLUGINS};

impl Fault {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Fault::WrongMethod => 405,
            Fault::UnknownPlugin(_) => 400,
            Fault::UnknownPath(_) | Fault::UnknownItem { .. } | Fault::Unreadable { .. } => 404,
        }
    }

    /// The sentence in the page, not yet escaped.
    pub fn text(&self) -> String {
        match self {
            Fault::WrongMethod => "Method not allowed.".to_owned(),
            Fault::UnknownPath(path) => format!("Not found: '{path}'"),
            Fault::UnknownPlugin(name) => {
                let known: Vec<String> =
                    PLUGINS.iter().map(|(name, _)| format!("'{name}'")).collect();
                format!("Unknown plugin {name} (available plugins: [{}])", known.join(", "))
            }
            Fault::UnknownItem { item, plugin } => {
                format!("Cannot get item {item} in plugin {plugin}")
            }
            Fault::Unreadable { plugin, cause } => format!("Cannot get plugin {plugin} ({cause})"),
        }
    }

    /// The page.
    pub fn page(&self) -> String {
        let title = match self.status() {
            400 => "Error: 400 Bad Request",
            405 => "Error: 405 Method Not Allowed",
            _ => "Error: 404 Not Found",
        };
        let text = escaped(&self.text());
        format!(
            "<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n\
             <body>\n<h1>{title}</h1>\n<pre>{text}</pre>\n</body>\n</html>\n"
        )
    }
}

/// What was asked for comes back in the page, so it must not become part of it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#039;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn what_was_asked_for_cannot_write_the_page() {
        let page = Fault::UnknownPlugin("<script>'\"&".to_owned()).page();
        assert!(
            page.contains("Unknown plugin &lt;script&gt;&#039;&quot;&amp; (available"),
            "{page}"
        );
        assert!(page.contains("<title>Error: 400 Bad Request</title>"));
    }
}
