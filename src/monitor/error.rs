//! Error pages in Glances' own wording and form: a small page with the text in `<pre>`.

use super::PLUGINS;

/// An error as Glances answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GlancesError {
    /// 400, 404 or 405.
    pub(crate) status: u16,
    /// The text of the page, not yet escaped.
    pub(crate) text: String,
}

impl GlancesError {
    pub(super) fn bad(text: String) -> GlancesError {
        GlancesError { status: 400, text }
    }

    pub(super) fn absent(text: impl Into<String>) -> GlancesError {
        GlancesError { status: 404, text: text.into() }
    }

    pub(super) fn unknown_plugin(name: &str) -> GlancesError {
        let known: Vec<String> = PLUGINS.iter().map(|(name, _)| format!("'{name}'")).collect();
        let known = known.join(", ");
        GlancesError::bad(format!("Unknown plugin {name} (available plugins: [{known}])"))
    }

    /// The HTML page.
    pub(crate) fn page(&self) -> String {
        let title = match self.status {
            400 => "Error: 400 Bad Request",
            405 => "Error: 405 Method Not Allowed",
            _ => "Error: 404 Not Found",
        };
        let text = escaped(&self.text);
        format!(
            "<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n\
             <body>\n<h1>{title}</h1>\n<pre>{text}</pre>\n</body>\n</html>\n"
        )
    }
}

/// Escapes the text, which quotes the request, for HTML.
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
    use super::GlancesError;

    #[test]
    fn what_was_asked_for_cannot_write_the_page() {
        let page = GlancesError::unknown_plugin("<script>'\"&").page();
        assert!(
            page.contains("Unknown plugin &lt;script&gt;&#039;&quot;&amp; (available"),
            "{page}"
        );
        assert!(page.contains("<title>Error: 400 Bad Request</title>"));
    }
}
