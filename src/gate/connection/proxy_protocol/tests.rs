//! The examples of the specification, and what is nearly a header.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use super::{LONGEST, Source, V2_BEGINS, parse};

fn from(address: &str) -> Source {
    Source::Client(address.parse::<SocketAddr>().unwrap())
}

/// A header of version 2.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [V2_BEGINS, &[command, family], &length, body].concat()
}

/// 192.0.2.7:4711 to 198.51.100.1:443, and this behind it.
fn v4_with(additional: &[u8]) -> Vec<u8> {
    let block = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb];
    v2(0x21, 0x11, &[&block, additional].concat())
}

/// 2001:db8::7 port 4711 to ::1 port 443.
fn v6() -> Vec<u8> {
    let mut block = [0; 36];
    block[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    (block[15], block[31], block[32], block[33], block[34], block[35]) =
        (7, 1, 0x12, 0x67, 0x01, 0xbb);
    v2(0x21, 0x21, &block)
}

/// Asserts that `header` is one wherever it is cut and whatever follows it.
fn is_read(header: &[u8], source: Source) {
    for cut in 0..header.len() {
        let (text, cut) = (String::from_utf8_lossy(header), &header[..cut]);
        assert_eq!(parse(cut), Ok(None), "{} bytes of {text:?}", cut.len());
    }
    for rest in ["", "\r\n", "\n", "G", "PROXY TCP4 198.51.100.9 198.51.100.1 1 2\r\n"] {
        let bytes = [header, rest.as_bytes()].concat();
        assert_eq!(parse(&bytes), Ok(Some((source, header.len()))), "{bytes:?}");
    }
}

#[test]
fn a_line_of_version_1_names_the_client() {
    for (line, source) in [
        ("TCP4 192.0.2.7 198.51.100.1 4711 443", from("192.0.2.7:4711")),
        ("TCP4 255.255.255.255 255.255.255.255 65535 65535", from("255.255.255.255:65535")),
        ("TCP4 192.0.2.7 198.51.100.1 0 0", from("192.0.2.7:0")),
        ("TCP6 2001:db8::7 2001:DB8::1 4711 443", from("[2001:db8::7]:4711")),
        ("TCP6 ::ffff:192.0.2.7 ::1 4711 443", from("[::ffff:192.0.2.7]:4711")),
        (
            "TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
            from("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
        ),
        ("UNKNOWN", Source::Proxy),
        ("UNKNOWN 192.0.2.7 whatever \0", Source::Proxy),
        (
            "UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
            Source::Proxy,
        ),
    ] {
        is_read(format!("PROXY {line}\r\n").as_bytes(), source);
    }
}

#[test]
fn what_is_nearly_a_line_of_version_1_is_none() {
    for line in [
        "",
        "GET / HTTP/1.1\r\n",
        "\x16\x03\x01",
        "proxy TCP4 192.0.2.7 198.51.100.1 4711 443\r\n",
        " PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n",
        "PROXY\tTCP4 192.0.2.7 198.51.100.1 4711 443\r\n",
        "PROXY  TCP4 192.0.2.7 198.51.100.1 4711 443\r\n",
        "PROXY TCP4 192.0.2.7  198.51.100.1 4711 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 \r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1\r\n4711 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 1\r\n",
        "PROXY tcp4 192.0.2.7 198.51.100.1 4711 443\r\n",
        "PROXY TCP5 192.0.2.7 198.51.100.1 4711 443\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 4711 443\r\n",
        "PROXY TCP4 2001:db8::7 198.51.100.1 4711 443\r\n",
        "PROXY TCP4 192.0.2.7 ::1 4711 443\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 4711 443\r\n",
        "PROXY TCP6 [::1] ::1 4711 443\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 4711 443\r\n",
        "PROXY TCP4 192.0.2.007 198.51.100.1 4711 443\r\n",
        "PROXY TCP4 192.0.2 198.51.100.1 4711 443\r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.1 4711 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 0443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +4711 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 -1\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1  443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 ４ 443\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY UNKNOWN\n",
        "PROXY UNKNOWN x\ny\r\n",
        "PROXY \r\n",
    ] {
        match line {
            "" => assert_eq!(parse(b""), Ok(None)),
            line => assert!(parse(line.as_bytes()).is_err(), "{line:?}"),
        }
    }
    let long = |bytes: usize| format!("PROXY UNKNOWN {}", "x".repeat(bytes - 14));
    assert_eq!(parse(format!("{}\r\n", long(105)).as_bytes()), Ok(Some((Source::Proxy, 107))));
    assert_eq!(parse(format!("{}\r", long(105)).as_bytes()), Ok(None));
    for text in [long(107), format!("{}\r\n", long(106)), format!("{}\r", long(106))] {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn a_block_of_version_2_names_the_client() {
    is_read(&v4_with(b""), from("192.0.2.7:4711"));
    is_read(&v6(), from("[2001:db8::7]:4711"));
    // Additional information: a host name, nothing, and a checksum.
    is_read(&v4_with(b"\x02\0\x03a.b\x04\0\0\x03\0\x04\0\0\0\0"), from("192.0.2.7:4711"));
    let largest = [&[4, 0x0f, 0xe1][..], &[0; 4_065]].concat();
    assert_eq!(v4_with(&largest).len(), LONGEST);
    is_read(&v4_with(&largest), from("192.0.2.7:4711"));
}

#[test]
fn the_proxy_itself_and_who_is_not_told_are_the_proxy() {
    for (family, body) in [(0, &b""[..]), (0x11, &[9; 12]), (0x55, b"whatever")] {
        is_read(&v2(0x20, family, body), Source::Proxy);
    }
    let unix = [0; 216];
    for (family, body) in
        [(0, &b""[..]), (0, b"whatever"), (0x31, &unix), (0x12, &[0; 12]), (0x22, &[0; 36])]
    {
        is_read(&v2(0x21, family, body), Source::Proxy);
    }
}

#[test]
fn what_is_nearly_a_block_of_version_2_is_none() {
    let cut = |bytes: &[u8], end: usize| v2(0x21, 0x11, &bytes[16..end]);
    let whole = v4_with(b"");
    for bytes in [
        cut(&whole, 27),
        cut(&whole, 16),
        v2(0x21, 0x21, &[0; 35]),
        v2(0x11, 0x11, &whole[16..]),
        v2(0x22, 0x11, &whole[16..]),
        v2(0x2f, 0x11, &whole[16..]),
        v2(0x21, 0x41, &whole[16..]),
        v2(0x21, 0x13, &whole[16..]),
        v4_with(b"\x04"),
        v4_with(b"\x04\0"),
        v4_with(b"\x04\0\x01"),
        v4_with(b"\x04\0\x02x"),
        [b"\r\n\r\n\0\r\nQUIX\n", &whole[12..]].concat(),
        [b"\r\n", whole.as_slice()].concat(),
    ] {
        assert!(parse(&bytes).is_err(), "{bytes:?}");
    }
    // Announced, and not waited for.
    let huge = [V2_BEGINS, &[0x21, 0x11, 0x0f, 0xf1]].concat();
    assert!(parse(&huge).is_err());
    assert!(parse(&[V2_BEGINS, &[0x20, 0x00, 0xff, 0xff]].concat()).is_err());
}
