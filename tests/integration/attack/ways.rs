//! Ways to come to a listener with `allow`, `trusted_proxies` and `proxy_protocol`, with fields and headers that
//! claim another address, and what each is worth.

use std::net::Ipv4Addr;

/// The settings that these ways are about.
pub(crate) const ALLOW: &str = "127.1.0.0/16";
pub(crate) const MANAGEMENT_FROM: &str = "127.1.1.0/24";
pub(crate) const TRUSTED_PROXIES: &str = "127.2.0.0/16";

/// What somebody may do, as far as the address decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Closed without a byte.
    Silence,
    /// 403 whatever is asked for.
    Forbidden,
    /// 403 where the administrator's password is for.
    NoManagement,
    /// The address is no obstacle.
    All,
}

/// A way to come.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) source: Ipv4Addr,
    /// What is sent before TLS or a request.
    pub(crate) preface: Vec<u8>,
    /// Lines of each head, each with its end.
    pub(crate) fields: String,
    pub(crate) standing: Standing,
}

const MANAGER: Ipv4Addr = Ipv4Addr::new(127, 1, 1, 1);
const USER: Ipv4Addr = Ipv4Addr::new(127, 1, 2, 1);
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 2, 0, 1);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 9, 0, 1);

/// Everything that claims to be a manager, for who is not believed.
const FORGED: &str = "X-Forwarded-For: 127.1.1.1\r\nx-forwarded-for: ::ffff:127.1.1.1\r\n\
    Forwarded: for=127.1.1.1, for=\"[::ffff:127.1.1.1]:80\"\r\nX-Real-IP: 127.1.1.1\r\n\
    X_Forwarded_For: 127.1.1.1\r\nX-Client-IP: 127.1.1.1\r\nTrue-Client-IP: 127.1.1.1\r\nVia: 1.1 127.2.0.1\r\n";

fn way(source: Ipv4Addr, preface: &[u8], fields: &str, standing: Standing) -> Way {
    Way { source, preface: preface.to_vec(), fields: fields.to_owned(), standing }
}

/// Without PROXY protocol.
pub(crate) fn plain() -> Vec<Way> {
    use Standing::{All, Forbidden, NoManagement, Silence};
    let edge = |last, standing| way(Ipv4Addr::from_bits(last), b"", FORGED, standing);
    let mut ways = vec![
        way(STRANGER, b"", FORGED, Silence),
        way(STRANGER, b"PROXY TCP4 127.1.1.1 127.0.0.1 1 2\r\n", FORGED, Silence),
        way(MANAGER, b"", "X-Forwarded-For: 127.9.0.1\r\n", All),
        way(USER, b"", FORGED, NoManagement),
        // The edges of the networks.
        edge(0x7f00_ffff, Silence),
        edge(0x7f01_0001, NoManagement),
        edge(0x7f01_00ff, NoManagement),
        edge(0x7f01_0100, All),
        edge(0x7f01_01ff, All),
        edge(0x7f01_0200, NoManagement),
        edge(0x7f01_ffff, NoManagement),
        edge(0x7f03_0000, Silence),
    ];
    for (fields, standing) in [
        // The proxy names nobody, or itself.
        ("", Forbidden),
        ("X-Real-IP: 127.1.1.1\r\nX_Forwarded_For: 127.1.1.1\r\n", Forbidden),
        ("X-Forwarded-For: 127.2.0.1\r\n", Forbidden),
        // The client has claimed something before.
        ("X-Forwarded-For: 127.1.1.1, 127.9.0.1\r\n", Forbidden),
        ("X-Forwarded-For: 127.1.1.1\r\nX-Forwarded-For: 127.9.0.1\r\n", Forbidden),
        ("X-Forwarded-For: 127.1.1.1, 127.2.0.9, 127.9.0.1, 127.2.0.9\r\n", Forbidden),
        ("X-Forwarded-For: 127.1.1.1, 127.1.2.1\r\n", NoManagement),
        ("X-Forwarded-For: 127.9.0.1, unknown, , 127.1.1.1\r\n", All),
        ("X-Forwarded-For: 127.9.0.1\r\nX-Forwarded-For: 127.1.1.1, 127.2.255.255\r\n", All),
        ("Forwarded: for=127.1.1.1, for=127.9.0.1\r\n", Forbidden),
        ("Forwarded: for=127.1.1.1;by=x, for=127.1.2.1;proto=https\r\n", NoManagement),
        ("Forwarded: for=127.9.0.1, For=\"127.1.1.1:4711\"\r\n", All),
        // Both, of which the proxy has written one.
        ("X-Forwarded-For: 127.1.1.1\r\nForwarded: for=127.9.0.1\r\n", Forbidden),
        ("X-Forwarded-For: 127.9.0.1\r\nForwarded: for=127.1.1.1\r\n", Forbidden),
        ("X-Forwarded-For: 127.1.1.1\r\nForwarded: for=127.1.1.1\r\n", Forbidden),
        // Other spellings of an address.
        ("X-Forwarded-For: ::ffff:127.1.1.1\r\n", All),
        ("X-Forwarded-For: [::ffff:7f01:101]:80\r\n", All),
        ("X-Forwarded-For: 127.1.1.1:80, ::ffff:127.2.0.9\r\n", All),
        ("X-Forwarded-For: [::1]\r\n", Forbidden),
        ("X-Forwarded-For: ::7f01:101\r\n", Forbidden),
        ("Forwarded: for=\"[::ffff:127.9.0.1]\"\r\n", Forbidden),
        ("Forwarded: for=\"[2001:db8::7]:80\"\r\n", Forbidden),
        // What is no address.
        ("X-Forwarded-For: \r\n", Forbidden),
        ("X-Forwarded-For: 127.1.1.1,\r\n", Forbidden),
        ("X-Forwarded-For: 127.1.1.1, unknown\r\n", Forbidden),
        ("X-Forwarded-For: 127.1.1.1, _gazonk, 127.2.0.9\r\n", Forbidden),
        ("X-Forwarded-For: 127.1.1.1/32\r\n", Forbidden),
        ("X-Forwarded-For: 127.001.1.1\r\n", Forbidden),
        ("X-Forwarded-For: 127.1.257\r\n", Forbidden),
        ("X-Forwarded-For: 0x7f010101\r\n", Forbidden),
        ("X-Forwarded-For: localhost\r\n", Forbidden),
        ("Forwarded: for=_hidden\r\n", Forbidden),
        ("Forwarded: for=127.1.1.1;for=127.9.0.1\r\n", Forbidden),
        ("Forwarded: for=\"127.1.1.1, for=127.9.0.1\r\n", Forbidden),
        ("Forwarded: proto=https\r\n", Forbidden),
        ("Forwarded: for=127.1.1.1, for = 127.1.1.1\r\n", Forbidden),
    ] {
        ways.push(way(PROXY, b"", fields, standing));
    }
    ways
}

/// A line of version 1 for a client at `source`.
fn v1(source: Ipv4Addr) -> Vec<u8> {
    format!("PROXY TCP4 {source} 127.0.0.1 4711 443\r\n").into_bytes()
}

/// A block of version 2 with this command, family and content.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, body].concat()
}

fn v2_from(source: Ipv4Addr, additional: &[u8]) -> Vec<u8> {
    let addresses = [source.octets(), [127, 0, 0, 1]].concat();
    v2(0x21, 0x11, &[&addresses[..], &[0x12, 0x67, 1, 0xbb], additional].concat())
}

/// The client as an IPv4-mapped IPv6 address.
fn v2_mapped(source: Ipv4Addr) -> Vec<u8> {
    let mapped = source.to_ipv6_mapped().octets();
    v2(0x21, 0x21, &[&mapped[..], &mapped, &[0x12, 0x67, 1, 0xbb]].concat())
}

/// With PROXY protocol.
pub(crate) fn proxy_protocol() -> Vec<Way> {
    use Standing::{All, Forbidden, NoManagement, Silence};
    let other_proxy = Ipv4Addr::new(127, 2, 0, 9);
    let mapped =
        |source: Ipv4Addr| format!("PROXY TCP6 ::ffff:{source} ::1 4711 443\r\n").into_bytes();
    let mut ways = vec![
        // No proxy, whatever it says.
        way(MANAGER, b"", FORGED, Silence),
        way(MANAGER, &v1(MANAGER), FORGED, Silence),
        way(STRANGER, &v2_from(MANAGER, b""), FORGED, Silence),
    ];
    for (preface, fields, standing) in [
        (v1(MANAGER), "X-Forwarded-For: 127.9.0.1\r\n", All),
        (v2_from(MANAGER, b"\x02\0\x01x"), "X-Forwarded-For: 127.9.0.1\r\n", All),
        (mapped(MANAGER), "Forwarded: for=127.9.0.1\r\n", All),
        (v2_mapped(MANAGER), "", All),
        (v1(USER), FORGED, NoManagement),
        (v2_from(USER, b""), "X-Forwarded-For: 127.1.1.1\r\n", NoManagement),
        (v2_mapped(USER), "Forwarded: for=127.1.1.1\r\n", NoManagement),
        (v1(STRANGER), FORGED, Silence),
        (mapped(STRANGER), FORGED, Silence),
        (v2_from(STRANGER, b"\x04\0\0"), FORGED, Silence),
        // Another trusted proxy, behind which there is somebody.
        (v1(other_proxy), "X-Forwarded-For: 127.9.0.1, 127.1.1.1\r\n", All),
        (v2_from(other_proxy, b""), "X-Forwarded-For: 127.1.1.1, 127.9.0.1\r\n", Forbidden),
        (v2_from(other_proxy, b""), "", Forbidden),
        // Who is not told; the client may have written the fields.
        (b"PROXY UNKNOWN\r\n".to_vec(), "X-Forwarded-For: 127.1.1.1\r\n", Silence),
        (b"PROXY UNKNOWN 127.1.1.1 127.1.1.1 1 2\r\n".to_vec(), FORGED, Silence),
        (v2(0x20, 0, b""), "X-Forwarded-For: 127.1.1.1\r\n", Silence),
        (v2(0x20, 0x11, &[127, 1, 1, 1, 127, 1, 1, 1, 0, 1, 0, 1]), FORGED, Silence),
        (v2(0x21, 0, b""), "X-Forwarded-For: 127.1.1.1\r\n", Silence),
        (v2(0x21, 0x12, &[127, 1, 1, 1, 127, 1, 1, 1, 0, 1, 0, 1]), FORGED, Silence),
        (v2(0x21, 0x31, &[0; 216]), "X-Forwarded-For: 127.1.1.1\r\n", Silence),
        // No header, or nearly one.
        (Vec::new(), FORGED, Silence),
        (b"PROXY TCP4 127.1.1.1 127.0.0.1 4711 443\n".to_vec(), FORGED, Silence),
        (b"PROXY TCP4 127.1.1.1 127.0.0.1 4711\r\n".to_vec(), FORGED, Silence),
        (b"PROXY TCP6 127.1.1.1 127.0.0.1 4711 443\r\n".to_vec(), FORGED, Silence),
        (b"\r\nPROXY TCP4 127.1.1.1 127.0.0.1 4711 443\r\n".to_vec(), FORGED, Silence),
        (v2(0x21, 0x11, &[127, 1, 1, 1]), FORGED, Silence),
        (v2(0x31, 0x11, &[127, 1, 1, 1, 127, 1, 1, 1, 0, 1, 0, 1]), FORGED, Silence),
        (v2_from(MANAGER, b"\x04\0\x09"), FORGED, Silence),
    ] {
        ways.push(way(PROXY, &preface, fields, standing));
    }
    ways
}
