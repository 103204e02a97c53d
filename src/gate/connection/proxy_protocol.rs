//! PROXY protocol headers, versions 1 and 2 (HAProxy's `proxy-protocol.txt`, sections 2.1 and 2.2), without I/O.
//!
//! Both are read strictly: what is not exactly a header is none, and what follows a header belongs to the client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Most bytes of a header. Version 1 has [`V1_BYTES`] at most; version 2 may announce 64 KiB of additional
/// information, of which nginx takes so much too.
pub(crate) const LONGEST: usize = 4_096;

/// Most bytes of a header of version 1, with its CRLF (section 2.1).
const V1_BYTES: usize = 107;

const V1_BEGINS: &[u8] = b"PROXY ";

const V2_BEGINS: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of a header of version 2 before its addresses.
const V2_FIXED: usize = 16;

/// Whom a header names as the source of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A client of the proxy.
    Client(SocketAddr),
    /// The proxy itself, as for a health check, or somebody whose address the header does not tell. The
    /// connection counts as one without a header then (sections 2.1 and 2.2).
    Proxy,
}

/// The source and the length of the header with which `bytes` begin; `None` if they may become one.
///
/// # Errors
/// Why they can't: a phrase for the log.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Source, usize)>, &'static str> {
    let agrees = |begins: &[u8]| bytes.iter().zip(begins).all(|(a, b)| a == b);
    match bytes.len() {
        len if agrees(V1_BEGINS) && len > V1_BEGINS.len() => v1(bytes),
        len if agrees(V2_BEGINS) && len >= V2_FIXED => v2(bytes),
        _ if agrees(V1_BEGINS) || agrees(V2_BEGINS) => Ok(None),
        _ => Err("it has neither the signature of version 1 nor that of version 2"),
    }
}

fn v1(bytes: &[u8]) -> Result<Option<(Source, usize)>, &'static str> {
    let longest = bytes.get(..V1_BYTES).unwrap_or(bytes);
    let end = longest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    match end.map(|end| longest.get(end..).unwrap_or_default()) {
        Some([b'\r', b'\n', ..]) => {}
        None | Some([b'\r']) if bytes.len() < V1_BYTES => return Ok(None),
        None | Some([b'\r']) => return Err("its line is longer than 107 bytes"),
        Some(_) => return Err("its line does not end in CRLF"),
    }
    let end = end.unwrap_or_default();
    let line = longest.get(V1_BEGINS.len()..end).unwrap_or_default();
    Ok(Some((v1_source(line)?, end + 2)))
}

/// What stands behind `PROXY `.
fn v1_source(line: &[u8]) -> Result<Source, &'static str> {
    // Whatever follows is ignored (section 2.1).
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Ok(Source::Proxy);
    }
    let text = std::str::from_utf8(line).map_err(|_| "its line is no ASCII")?;
    let parts: Vec<&str> = text.split(' ').collect();
    let [family, source, destination, source_port, destination_port] = parts.as_slice() else {
        return Err("its line has not five words");
    };
    let source = match *family {
        "TCP4" => pair::<Ipv4Addr>(source, destination).map(IpAddr::V4),
        "TCP6" => pair::<Ipv6Addr>(source, destination).map(IpAddr::V6),
        _ => return Err("its line names neither TCP4 nor TCP6 nor UNKNOWN"),
    };
    let source = source.ok_or("its line has an address that is none")?;
    let ports = port(source_port).zip(port(destination_port));
    let (source_port, _) = ports.ok_or("its line has a port that is none")?;
    Ok(Source::Client(SocketAddr::new(source, source_port)))
}

/// The first of two addresses of one family.
fn pair<T: FromStr>(source: &str, destination: &str) -> Option<T> {
    let source = source.parse().ok()?;
    destination.parse::<T>().ok().map(|_| source)
}

/// A port in decimal without leading zeros.
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if digits && !leading_zero { text.parse().ok() } else { None }
}

fn v2(bytes: &[u8]) -> Result<Option<(Source, usize)>, &'static str> {
    let [.., command, family, high, low] = bytes.first_chunk::<V2_FIXED>().ok_or("it is cut")?;
    let length = V2_FIXED + usize::from(u16::from_be_bytes([*high, *low]));
    let family = match (command, family) {
        // The family of a connection of the proxy itself is ignored.
        (0x20, _) => None,
        (0x21, family) if family >> 4 <= 3 && family & 0x0f <= 2 => Some(*family),
        (0x21, _) => return Err("its family or protocol is unknown"),
        _ => return Err("its version or command is unknown"),
    };
    if length > LONGEST {
        return Err("it is longer than 4096 bytes");
    }
    let Some(body) = bytes.get(V2_FIXED..length) else { return Ok(None) };
    let source = match family {
        Some(0x11) => v2_source::<4, 12>(body)?,
        Some(0x21) => v2_source::<16, 36>(body)?,
        // What is neither TCP over IPv4 nor over IPv6 names no client either.
        None | Some(_) => Source::Proxy,
    };
    Ok(Some((source, length)))
}

/// The source in a block of `BLOCK` bytes that holds two addresses of `ADDRESS` bytes and two ports.
fn v2_source<const ADDRESS: usize, const BLOCK: usize>(body: &[u8]) -> Result<Source, &'static str>
where
    IpAddr: From<[u8; ADDRESS]>,
{
    let (block, additional) = body.split_first_chunk::<BLOCK>().ok_or("its addresses are cut")?;
    let source = block.first_chunk::<ADDRESS>().ok_or("its addresses are cut")?;
    let port = block.get(2 * ADDRESS..).and_then(|ports| ports.first_chunk::<2>());
    let port = port.ok_or("its addresses are cut")?;
    check_additional(additional)?;
    Ok(Source::Client(SocketAddr::new(IpAddr::from(*source), u16::from_be_bytes(*port))))
}

/// Skips the additional information: types, lengths of two bytes, and values (section 2.2).
fn check_additional(mut rest: &[u8]) -> Result<(), &'static str> {
    while let Some(([_, high, low], values)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        rest = values.get(length..).ok_or("its additional information is cut")?;
    }
    if rest.is_empty() { Ok(()) } else { Err("its additional information is cut") }
}

#[cfg(test)]
mod tests;
