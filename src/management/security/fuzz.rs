//! Bodies that the management API takes apart, for the fuzzer.

use zeroize::Zeroizing;

use super::multipart;
use crate::management::query;

/// The first line is the `Content-Type`, the rest the body.
pub fn upload(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, body) = data.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return };
    let _ = query::values(line, "count");
    let Ok(boundary) = multipart::boundary(Some(line)) else { return };
    if let Ok(parts) =
        multipart::parts(Zeroizing::new(body.to_vec()), &boundary, ["keyfile", "certfile"])
    {
        // No byte of a part is made up.
        for part in parts {
            assert!(part.is_empty() || body.windows(part.len()).any(|window| window == &part[..]));
        }
    }
}
