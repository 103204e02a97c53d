//! The files of a `multipart/form-data` body (RFC 7578), as `curl -F` sends it.
//!
//! The whole body is in memory already and is handed to the decoder in one piece, so a decoder that
//! asks for more means a body without its end. The parts are slices of that one piece, which is wiped
//! when the last of them is dropped; nothing of a private key is copied here.

use bytes::Bytes;
use multiparty::server::sans_io::{FormData, Read};
use zeroize::Zeroizing;

/// Longest boundary (RFC 2046, 5.1.1).
const LONGEST_BOUNDARY: usize = 70;

/// The boundary out of a `Content-Type`, or what is wrong with it.
pub(super) fn boundary(content_type: Option<&str>) -> Result<String, String> {
    let Some(content_type) = content_type else {
        return Err("the request has no Content-Type".to_owned());
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
        .ok_or("the request's Content-Type names no boundary")?;
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
        Err("the boundary in the request's Content-Type is malformed".to_owned())
    }
}

/// The contents of the parts with these `names`; parts with other names are passed over.
pub(super) fn parts<const N: usize>(
    body: Zeroizing<Vec<u8>>,
    boundary: &str,
    names: [&str; N],
) -> Result<[Bytes; N], String> {
    let mut decoder = FormData::new(boundary);
    if body.is_empty() || decoder.write(Bytes::from_owner(body)).is_err() {
        return Err("the request has no body".to_owned());
    }
    let mut found: [Option<Bytes>; N] = [const { None }; N];
    // Which of the wanted parts is being read; None for a part that is passed over.
    let mut current = None;
    loop {
        match decoder.read() {
            Ok(Read::NewPart { headers }) => {
                let name = headers
                    .parse()
                    .map_err(|fault| format!("a part of the body has no name: {fault}"))?
                    .name;
                current = names.iter().position(|wanted| *wanted == name);
                if let Some(index) = current {
                    // The part may be empty, and then no content follows.
                    if found[index].replace(Bytes::new()).is_some() {
                        return Err(format!("the part {name:?} stands twice in the body"));
                    }
                }
            }
            Ok(Read::Part(content)) => {
                if let Some(index) = current {
                    found[index] = Some(content);
                }
            }
            Ok(Read::PartEof | Read::None) => {}
            Ok(Read::Eof) => break,
            Ok(Read::NeedsWrite) => {
                return Err("the body ends before its last boundary".to_owned());
            }
            Err(fault) => return Err(format!("the body is malformed: {fault}")),
        }
    }
    if let Some(missing) = names.iter().zip(&found).find(|(_, part)| part.is_none()) {
        return Err(format!("the part {:?} is missing", missing.0));
    }
    Ok(found.map(Option::unwrap_or_default))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use zeroize::Zeroizing;

    use super::{boundary, parts};

    fn read(body: &str) -> Result<[String; 2], String> {
        let body = Zeroizing::new(body.replace('\n', "\r\n").into_bytes());
        parts(body, "b", ["keyfile", "certfile"])
            .map(|both| both.map(|part| String::from_utf8(part.to_vec()).unwrap()))
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
    fn other_parts_are_passed_over_and_empty_ones_are_empty() {
        let body = format!(
            "{}{}{}--b--",
            part("note", "hello"),
            part("certfile", "c"),
            part("keyfile", "")
        );
        assert_eq!(read(&body).unwrap(), ["", "c"]);
    }

    #[test]
    fn every_fault_has_its_sentence() {
        let (key, certificate) = (part("keyfile", "k"), part("certfile", "c"));
        for (body, wanted) in [
            (format!("{key}--b--"), "\"certfile\" is missing"),
            (format!("{certificate}--b--"), "\"keyfile\" is missing"),
            ("--b--".to_owned(), "\"keyfile\" is missing"),
            (format!("{key}{key}{certificate}--b--"), "\"keyfile\" stands twice"),
            (format!("{key}{certificate}"), "ends before its last boundary"),
            (format!("{key}{certificate}--b"), "ends before its last boundary"),
            (format!("{key}--b\nContent-Dispo"), "ends before its last boundary"),
            (format!("{key}--bx{certificate}"), "malformed"),
            ("nothing of the sort".to_owned(), "ends before its last boundary"),
            ("x".to_owned(), "ends before its last boundary"),
            (String::new(), "no body"),
            ("--b\nX: y\n\nz\n--b--".to_owned(), "has no name"),
        ] {
            let fault = read(&body).unwrap_err();
            assert!(fault.contains(wanted), "{body:?}: {fault}");
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
                (Err(fault), Err(wanted)) => assert!(fault.contains(wanted), "{fault}"),
                (found, _) => panic!("{content_type}: {found:?}"),
            }
        }
        assert!(boundary(None).unwrap_err().contains("no Content-Type"));
        assert!(
            boundary(Some(&format!("multipart/form-data; boundary={}", "x".repeat(71)))).is_err()
        );
    }
}
