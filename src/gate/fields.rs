//! Header fields as they came: order and spelling kept, names compared without regard to case.

/// One field line. The value has no surrounding white space and no control character but tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: Vec<u8>,
}

/// All field lines of one head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<Field>);

/// Fields that belong to one connection and never cross a proxy (RFC 9110 section 7.6.1), beside those
/// that `Connection` names. `Trailer` may cross, `Transfer-Encoding` is set anew by the side that sends.
const HOP_BY_HOP: [&str; 7] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Fields meant for all recipients: `Connection` must not name them (RFC 9110 section 7.6.1), and a
/// message whose framing went with it would be read differently behind us.
const END_TO_END: [&str; 4] = ["content-length", "host", "authorization", "expect"];

impl Fields {
    /// Takes what httparse found; its values have no surrounding white space.
    pub(crate) fn from_parsed(parsed: &[httparse::Header<'_>]) -> Fields {
        let field = |header: &httparse::Header<'_>| Field {
            name: header.name.to_owned(),
            value: header.value.trim_ascii().to_vec(),
        };
        Fields(parsed.iter().map(field).collect())
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Every value of `name`, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |f| f.name.eq_ignore_ascii_case(name)).map(|f| f.value.as_slice())
    }

    /// The first value of `name`.
    pub(crate) fn first<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The members of a comma-separated list field, over all its lines, trimmed, empty ones left out.
    pub(crate) fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.all(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }

    /// True if the list field `name` has the member `token`, in any case.
    pub(crate) fn lists(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|f| !f.name.eq_ignore_ascii_case(name));
    }

    pub(crate) fn push(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.0.push(Field { name: name.to_owned(), value: value.into() });
    }

    /// Takes off what only the first proxy may say. CGI and its heirs take `_` for `-`, so a name is
    /// looked at as they see it; so are names that frame a message and would be spelt wrongly here.
    pub(crate) fn remove_claims(&mut self) {
        self.0.retain(|field| {
            let seen = field.name.to_ascii_lowercase().replace('_', "-");
            let misspelt = field.name.contains('_')
                && matches!(seen.as_str(), "content-length" | "transfer-encoding");
            let claim = matches!(seen.as_str(), "forwarded" | "x-real-ip")
                || seen.starts_with("x-forwarded-");
            !misspelt && !claim
        });
    }

    /// Takes off what belongs to the connection it came on.
    pub(crate) fn remove_hop_by_hop(&mut self) {
        let named: Vec<Vec<u8>> = self.list("connection").map(<[u8]>::to_ascii_lowercase).collect();
        self.0.retain(|field| {
            let name = field.name.to_ascii_lowercase();
            let named = named.iter().any(|n| n == name.as_bytes());
            !HOP_BY_HOP.contains(&name.as_str()) && (!named || END_TO_END.contains(&name.as_str()))
        });
    }

    /// Appends the lines and the empty line that ends a head.
    pub(crate) fn write_to(&self, head: &mut Vec<u8>) {
        for field in &self.0 {
            head.extend_from_slice(field.name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(&field.value);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in lines {
            fields.push(name, *value);
        }
        fields
    }

    #[test]
    fn what_connection_names_does_not_cross() {
        let mut crossing = fields(&[
            ("Connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Host", "a"),
        ]);
        crossing.remove_hop_by_hop();
        assert_eq!(crossing, fields(&[("Host", "a")]));
    }

    #[test]
    fn lists_are_read_over_all_their_lines() {
        let lines = fields(&[("Connection", "keep-alive ,"), ("connection", "Upgrade")]);
        assert!(lines.lists("Connection", "upgrade"));
        assert_eq!(lines.list("connection").count(), 2);
    }
}
