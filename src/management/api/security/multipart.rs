//! The files of a `multipart/form-data` body (RFC 7578), as `curl -F` sends it.
//!
//! The whole body is in memory, and the parts are slices of it: nothing of a private key is copied here.
//! Of a part's head only the name is used, and whether it is a file; file names come in whatever encoding
//! the client's system has.

use crate::security;

/// Longest boundary (RFC 2046, 5.1.1).
const LONGEST_BOUNDARY: usize = 70;

/// The boundary of a `Content-Type`, or what is wrong with it.
pub(crate) fn boundary(content_type: Option<&str>) -> Result<String, String> {
    let Some(content_type) = content_type else {
        return Err("the request has no Content-Type".into());
    };
    let mut parameters = content_type.split(';').map(str::trim);
    let kind = parameters.next().unwrap_or_default();
    if !kind.eq_ignore_ascii_case("multipart/form-data") {
        let kind: String = kind.chars().take(60).collect();
        return Err(format!("the request's Content-Type is {kind:?}, not \"multipart/form-data\""));
    }
    let boundary = parameters
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("boundary"))
        .map(|(_, value)| value)
        .ok_or("the request's Content-Type names no boundary".to_owned())?;
    let bare = match boundary.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').unwrap_or_default(),
        None => boundary,
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let fits = (1..=LONGEST_BOUNDARY).contains(&bare.len())
        && bare.bytes().all(allowed)
        && !bare.ends_with(' ');
    if fits {
        Ok(bare.to_owned())
    } else {
        Err("the boundary in the request's Content-Type is malformed".into())
    }
}

/// Longest name of an unknown part that is quoted, in bytes; real ones are words.
const LONGEST_NAME: usize = 30;

/// An upload of a certificate.
pub(crate) struct Upload<'a> {
    pub(crate) certfile: &'a [u8],
    /// Absent if the appliance has the key.
    pub(crate) keyfile: Option<&'a [u8]>,
}

/// The files of an upload. Other parts are ignored unless they are files.
///
/// # Errors
/// What is wrong with the body.
pub(crate) fn upload<'a>(body: &'a [u8], boundary: &str) -> Result<Upload<'a>, String> {
    if body.is_empty() {
        return Err("the request has no body".into());
    }
    let (mut certfile, mut keyfile, mut stray) = (None, None, None);
    let mut parts = Parts::of(body, boundary)?;
    while let Some(Part { head, content }) = parts.next_part()? {
        let Some(Named { name, is_file }) = Named::read(head) else {
            return Err(
                "a part of the body has no name: its Content-Disposition is not `form-data; \
                        name=\"…\"`"
                    .into(),
            );
        };
        let earlier = match name {
            b"certfile" => certfile.replace(content),
            b"keyfile" => keyfile.replace(content),
            _ if is_file => {
                stray = stray.or(Some(name));
                None
            }
            _ => None,
        };
        if earlier.is_some() {
            return Err(format!("{} stands twice in the body", shown(name)));
        }
    }
    match (certfile, stray) {
        (None, Some(b"p12file")) => Err(security::PKCS12.to_owned()),
        (None, _) => Err("the part \"certfile\" is missing".into()),
        (Some(_), Some(name)) => Err(format!(
            "{} is an unexpected file: the chain belongs into certfile, after your \
             certificate",
            shown(name)
        )),
        (Some(certfile), None) => Ok(Upload { certfile, keyfile }),
    }
}

/// The name of an unknown part, if it looks like a name.
fn shown(name: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    match std::str::from_utf8(name) {
        Ok(word) if (1..=LONGEST_NAME).contains(&name.len()) && name.iter().all(plain) => {
            format!("the part {word:?}")
        }
        _ => "a part of the body".to_owned(),
    }
}

/// Iterates over the parts of a body (RFC 2046 section 5.1.1).
struct Parts<'a> {
    /// The text after the last delimiter.
    rest: &'a [u8],
    delimiter: Vec<u8>,
}

struct Part<'a> {
    head: &'a [u8],
    content: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(body: &'a [u8], boundary: &str) -> Result<Parts<'a>, String> {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The line break before the first one may be missing, and a preamble may precede it.
        let start = match body.strip_prefix(&delimiter[2..]) {
            Some(rest) => Some(rest),
            None => split_at(body, &delimiter).map(|(_, rest)| rest),
        };
        let rest = start.ok_or("the body ends before its last boundary".to_owned())?;
        Ok(Parts { rest, delimiter })
    }

    /// `None` after the last delimiter.
    fn next_part(&mut self) -> Result<Option<Part<'a>>, String> {
        let cut_short = || "the body ends before its last boundary".to_owned();
        if self.rest.starts_with(b"--") {
            return Ok(None);
        }
        let padding = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        // The line break stays: a part without a head starts with the empty line.
        let part = match &self.rest[padding..] {
            part @ [b'\r', b'\n', ..] => part,
            [] | [b'\r' | b'-'] => return Err(cut_short()),
            [b'\n', ..] => {
                return Err("the body is malformed: its lines end in LF, not in CR LF".into());
            }
            _ => return Err("the body is malformed: something follows a boundary".into()),
        };
        let (head, content) = split_at(part, b"\r\n\r\n").ok_or_else(cut_short)?;
        if split_at(head, &self.delimiter).is_some() {
            return Err("the body is malformed: a part has no empty line after its head".into());
        }
        let (content, rest) = split_at(content, &self.delimiter).ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(Some(Part { head, content }))
    }
}

/// The name in the head of a part.
struct Named<'a> {
    name: &'a [u8],
    is_file: bool,
}

impl<'a> Named<'a> {
    fn read(head: &'a [u8]) -> Option<Named<'a>> {
        let disposition = head.split(|byte| *byte == b'\n').find_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at(colon);
            name.trim_ascii().eq_ignore_ascii_case(b"content-disposition").then(|| &value[1..])
        })?;
        let (kind, mut rest) = until_semicolon(disposition);
        if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
            return None;
        }
        let (mut name, mut is_file) = (None, false);
        while !rest.is_empty() {
            let (parameter, after) = until_semicolon(rest);
            rest = after;
            let Some(equals) = parameter.iter().position(|byte| *byte == b'=') else { continue };
            let (key, value) = parameter.split_at(equals);
            match key.trim_ascii() {
                b"name" => name = name.or(Some(unquoted(value[1..].trim_ascii()))),
                b"filename" | b"filename*" => is_file = true,
                _ => {}
            }
        }
        Some(Named { name: name?, is_file })
    }
}

/// Splits at the first semicolon outside of quotes.
fn until_semicolon(text: &[u8]) -> (&[u8], &[u8]) {
    let (mut quoted, mut escaped) = (false, false);
    let end = text.iter().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' => return !quoted,
            _ => {}
        }
        false
    });
    match end {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[]),
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    inner.unwrap_or(value)
}

/// Splits at `mark`, which is in neither part.
fn split_at<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).position(|window| window == mark)?;
    Some((&text[..at], &text[at + mark.len()..]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::{boundary, upload};

    fn read(body: impl AsRef<[u8]>) -> Result<[String; 2], String> {
        let lines: Vec<&[u8]> = body.as_ref().split(|byte| *byte == b'\n').collect();
        let text = |part: &[u8]| String::from_utf8(part.to_vec()).unwrap();
        upload(&lines.join(&b"\r\n"[..]), "b")
            .map(|files| [files.keyfile.map_or("none".to_owned(), text), text(files.certfile)])
    }

    fn part(name: &str, content: &str) -> String {
        format!(
            "--b\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x\"\n\
             Content-Type: application/octet-stream\n\n{content}\n"
        )
    }

    #[test]
    fn both_files_arrive_whole_in_either_order() {
        let (key, certificate) = (part("keyfile", "a\n--\nb\n"), part("certfile", "--b"));
        // A delimiter begins with a line break, so "--b" at the start of a part's content is content.
        for body in [format!("{key}{certificate}--b--\n"), format!("{certificate}{key}--b--")] {
            assert_eq!(read(&body).unwrap(), ["a\r\n--\r\nb\r\n", "--b"]);
        }
    }

    #[test]
    fn other_fields_are_passed_over_and_empty_parts_are_empty() {
        let note = "--b\nContent-Disposition: form-data; name=note\n\nhello\n";
        let body = format!("{note}{}{}--b--", part("certfile", "c"), part("keyfile", ""));
        assert_eq!(read(&body).unwrap(), ["", "c"]);
    }

    #[test]
    fn another_file_is_refused_and_a_missing_part_is_told_first() {
        let both = format!("{}{}", part("keyfile", "k"), part("certfile", "c"));
        let error = read(format!("{both}{}--b--", part("chainfile", "x"))).unwrap_err();
        assert!(
            error.contains("\"chainfile\"") && error.contains("chain belongs into certfile"),
            "{error}"
        );
        let error = read(format!("{both}{}--b--", part("MIIE a/b", "x"))).unwrap_err();
        assert!(!error.contains("MIIE") && error.contains("belongs into certfile"), "{error}");
        let error = read(format!("{}{}--b--", part("key", "k"), part("cert", "c"))).unwrap_err();
        assert!(error.contains("\"certfile\" is missing"), "{error}");
    }

    #[test]
    fn a_certificate_may_come_without_a_key() {
        assert_eq!(read(format!("{}--b--", part("certfile", "c"))).unwrap(), ["none", "c"]);
    }

    #[test]
    fn pkcs12_is_refused_with_the_command_that_converts_it() {
        let error = read(format!("{}--b--", part("p12file", "c"))).unwrap_err();
        assert!(error.contains("openssl pkcs12 -in"), "{error}");
    }

    #[test]
    fn a_file_may_have_any_name() {
        let certificate = part("certfile", "c");
        for name in [
            &b"schl\xfcssel.key"[..],
            b"a;name=certfile",
            b"a\\\"; name=\\\"certfile",
            "schl\u{fc}ssel.key".as_bytes(),
            b"",
        ] {
            for (before, after) in [("; name=\"keyfile\"", ""), ("", "; name=keyfile")] {
                let head = format!("--b\ncontent-disposition:form-data{before}; filename=\"");
                let tail = format!("\"{after}\n\nk\n{certificate}--b--");
                let body = [head.as_bytes(), name, tail.as_bytes()].concat();
                assert_eq!(read(&body).unwrap(), ["k", "c"], "{:?}", name.escape_ascii());
            }
        }
    }

    #[test]
    fn every_fault_has_its_sentence() {
        let (key, certificate) = (part("keyfile", "k"), part("certfile", "c"));
        for (body, wanted) in [
            (format!("{key}--b--"), "\"certfile\" is missing"),
            (format!("{key}--b--"), "\"certfile\" is missing"),
            ("--b--".to_owned(), "\"certfile\" is missing"),
            (format!("{key}{key}{certificate}--b--"), "\"keyfile\" stands twice"),
            (format!("{key}{certificate}"), "ends before its last boundary"),
            (format!("{key}{certificate}--b"), "ends before its last boundary"),
            (format!("{key}--b\nContent-Dispo"), "ends before its last boundary"),
            (format!("{key}--bx{certificate}"), "malformed"),
            (format!("--b\nContent-Disposition: form-data; name=a\n{key}--b--"), "no empty line"),
            ("nothing of the sort".to_owned(), "ends before its last boundary"),
            ("x".to_owned(), "ends before its last boundary"),
            (String::new(), "no body"),
            ("--b\nX: y\n\nz\n--b--".to_owned(), "has no name"),
            ("--b\n\nz\n--b--".to_owned(), "has no name"),
            ("--b\nContent-Disposition: attachment; name=a\n\nz\n--b--".to_owned(), "no name"),
        ] {
            let error = read(&body).unwrap_err();
            assert!(error.contains(wanted), "{body:?}: {error}");
        }
    }

    #[test]
    fn a_body_cut_anywhere_is_refused() {
        let whole = format!("{}{}--b--", part("keyfile", "k"), part("certfile", "c"));
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_preamble_blanks_after_a_boundary_and_an_epilogue_are_passed_over() {
        let both = format!("{}{}", part("keyfile", "k"), part("certfile", "c"));
        let padded = both.replace("--b\n", "--b \t\n");
        for body in [format!("preamble\n{both}--b--\nmore"), format!("\n{padded}--b--")] {
            assert_eq!(read(&body).unwrap(), ["k", "c"], "{body:?}");
        }
        let lines = upload(format!("{both}--b--").as_bytes(), "b").err().unwrap().to_string();
        assert!(lines.contains("LF"), "{lines}");
    }

    #[test]
    fn a_boundary_is_bare_or_quoted() {
        for (content_type, wanted) in [
            ("multipart/form-data; boundary=abc", Ok("abc")),
            ("Multipart/Form-Data; charset=x; BOUNDARY=\"a b\"", Ok("a b")),
            ("multipart/form-data", Err("names no boundary")),
            ("multipart/form-data; boundary=", Err("malformed")),
            ("multipart/form-data; boundary=\"", Err("malformed")),
            ("multipart/form-data; boundary=\u{e4}", Err("malformed")),
            ("application/json", Err("not \"multipart/form-data\"")),
        ] {
            match (boundary(Some(content_type)), wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted),
                (Err(error), Err(wanted)) => assert!(error.to_string().contains(wanted), "{error}"),
                (found, _) => panic!("{content_type}: {found:?}"),
            }
        }
        assert!(boundary(None).unwrap_err().to_string().contains("no Content-Type"));
        assert!(
            boundary(Some(&format!("multipart/form-data; boundary={}", "x".repeat(71)))).is_err()
        );
    }
}
