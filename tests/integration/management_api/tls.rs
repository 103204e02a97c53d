//! Protocol versions, cipher suites, their order, ALPN and key exchange, asked for with openssl.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use rustls::NamedGroup;

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, form};
use crate::support::client::Client;
use crate::support::command::Output;
use crate::support::settings::Settings;
use crate::support::tls::{agree, handshake};
use crate::support::wait::{SOON, until};

const AES_128: &str = "TLS_AES_128_GCM_SHA256";
const AES_256: &str = "TLS_AES_256_GCM_SHA384";
const CHACHA: &str = "TLS_CHACHA20_POLY1305_SHA256";
const TLS_13: [&str; 3] = [AES_128, AES_256, CHACHA];

/// The documented TLS 1.2 suites in the server's order, by openssl's names, for either kind of key.
const TLS_12_RSA: [&str; 3] =
    ["ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"];
const TLS_12_ECDSA: [&str; 3] = [
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
];

/// A TLS 1.3 handshake that offers these suites in this order.
fn offer_13(appliance: &Appliance, suites: &[&str]) -> Output {
    appliance.s_client(&["-brief", "-tls1_3", "-ciphersuites", &suites.join(":")])
}

/// A TLS 1.2 handshake that offers these suites in this order.
fn offer_12(appliance: &Appliance, suites: &[&str]) -> Output {
    appliance.s_client(&["-brief", "-tls1_2", "-cipher", &suites.join(":")])
}

#[track_caller]
fn agreed(answer: &Output, version: &str, suite: &str) {
    assert_eq!(answer.code, 0, "{answer:?}");
    let lines: Vec<&str> = answer.err.lines().collect();
    assert!(lines.contains(&format!("Protocol version: {version}").as_str()), "{answer:?}");
    assert!(lines.contains(&format!("Ciphersuite: {suite}").as_str()), "{answer:?}");
}

/// The server said no; a client that can't even ask would end without an alert.
#[track_caller]
fn refused(answer: &Output, alert: &str) {
    assert_ne!(answer.code, 0, "{answer:?}");
    assert!(answer.err.contains(alert), "{answer:?}");
}

/// Every order in which three suites can be offered.
fn orders([a, b, c]: [&'static str; 3]) -> [[&'static str; 3]; 6] {
    [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]]
}

fn with_ecdsa_certificate() -> Appliance {
    let appliance = Appliance::start(&Settings::v1());
    let pair = Authority::new(appliance.folder()).issue("ecdsa", Key::Ec("P-256"));
    let url = appliance.https("/v1/security/sslcertificate");
    let [a, b, c, d] = form(&pair.key, &pair.cert);
    appliance.curl(&[a, b, c, d, url]).ok();
    appliance
}

#[test]
fn each_documented_suite_connects_when_it_alone_is_offered() {
    let appliance = Appliance::start(&Settings::both());
    for suite in TLS_13 {
        agreed(&offer_13(&appliance, &[suite]), "TLSv1.3", suite);
    }
    for suite in TLS_12_RSA {
        agreed(&offer_12(&appliance, &[suite]), "TLSv1.2", suite);
    }
}

#[test]
fn each_ecdsa_suite_connects_after_an_ecdsa_key_was_uploaded_and_rsa_ones_do_not() {
    let appliance = with_ecdsa_certificate();
    for suite in TLS_12_ECDSA {
        agreed(&offer_12(&appliance, &[suite]), "TLSv1.2", suite);
    }
    for suite in TLS_13 {
        agreed(&offer_13(&appliance, &[suite]), "TLSv1.3", suite);
    }
    refused(&offer_12(&appliance, &TLS_12_RSA), "handshake failure");
}

#[test]
fn tls_1_1_is_refused() {
    let appliance = Appliance::start(&Settings::both());
    let answer = appliance.s_client(&["-brief", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
    // Which of the two reasons is named first is the library's affair: no version, no suite.
    refused(&answer, "alert");
}

#[test]
fn weak_suites_are_refused() {
    let appliance = Appliance::start(&Settings::both());
    for suite in [
        "AES128-SHA",
        "AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA256",
        "ECDHE-RSA-AES256-SHA384",
        "DHE-RSA-AES128-GCM-SHA256",
    ] {
        refused(&offer_12(&appliance, &[suite]), "handshake failure");
    }
    for suite in ["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"] {
        refused(&offer_13(&appliance, &[suite]), "handshake failure");
    }
}

#[test]
fn v1_alone_prefers_aes_256_then_chacha20_in_tls_1_3_whatever_the_client_prefers() {
    let appliance = Appliance::start(&Settings::v1());
    for order in orders(TLS_13) {
        agreed(&offer_13(&appliance, &order), "TLSv1.3", AES_256);
    }
    agreed(&offer_13(&appliance, &[AES_128, CHACHA]), "TLSv1.3", CHACHA);
}

#[test]
fn v2_prefers_aes_128_then_aes_256_in_tls_1_3_whatever_the_client_prefers() {
    for settings in [Settings::v2(), Settings::both()] {
        let appliance = Appliance::start(&settings);
        for order in orders(TLS_13) {
            agreed(&offer_13(&appliance, &order), "TLSv1.3", AES_128);
        }
        agreed(&offer_13(&appliance, &[CHACHA, AES_256]), "TLSv1.3", AES_256);
    }
}

#[test]
fn the_servers_order_wins_in_tls_1_2() {
    let appliance = Appliance::start(&Settings::both());
    for order in orders(TLS_12_RSA) {
        agreed(&offer_12(&appliance, &order), "TLSv1.2", TLS_12_RSA[0]);
    }
    agreed(&offer_12(&appliance, &[TLS_12_RSA[2], TLS_12_RSA[1]]), "TLSv1.2", TLS_12_RSA[1]);

    let appliance = with_ecdsa_certificate();
    for order in orders(TLS_12_ECDSA) {
        agreed(&offer_12(&appliance, &order), "TLSv1.2", TLS_12_ECDSA[0]);
    }
}

#[test]
fn http_1_1_is_agreed_by_alpn_even_when_the_client_would_rather_speak_http_2() {
    let appliance = Appliance::start(&Settings::both());
    for version in ["-tls1_2", "-tls1_3"] {
        let answer = appliance.s_client(&[version, "-alpn", "h2,http/1.1"]).ok();
        assert!(answer.out.lines().any(|line| line == "ALPN protocol: http/1.1"), "{answer:?}");
    }
}

#[test]
fn a_client_that_offers_http_1_0_alone_gets_it_and_one_that_offers_both_gets_http_1_1() {
    let appliance = Appliance::start(&Settings::both());
    for version in ["-tls1_2", "-tls1_3"] {
        for (offered, agreed) in [("http/1.0", "http/1.0"), ("http/1.0,http/1.1", "http/1.1")] {
            let answer = appliance.s_client(&[version, "-alpn", offered]).ok();
            let line = format!("ALPN protocol: {agreed}");
            assert!(answer.out.lines().any(|found| found == line), "{offered}: {answer:?}");
        }
    }
}

#[test]
fn a_client_that_offers_the_post_quantum_exchange_gets_it() {
    let appliance = Appliance::start(&Settings::both());
    let shown = handshake(appliance.ports.https).unwrap();
    assert_eq!(shown.group, Some(NamedGroup::X25519MLKEM768));
}

#[test]
fn a_client_that_says_goodbye_is_told_goodbye_too() {
    let appliance = Appliance::start(&Settings::v1());
    let request = "GET /v1/management/ping HTTP/1.1\r\nHost: x\r\n\r\n";
    for requests in [0, 1, 3] {
        let mut client = Client::tls(appliance.ports.https);
        client.send(request.repeat(requests));
        (0..requests).for_each(|_| assert_eq!(client.answer("GET").status, 200));
        client.finish();
        assert_eq!(client.until_end().unwrap(), b"", "after {requests} requests");
    }
    // Whose goodbye comes with the last request, too.
    let mut client = Client::tls(appliance.ports.https);
    client.send(request);
    client.finish();
    assert_eq!(client.answer("GET").status, 200);
    assert_eq!(client.until_end().unwrap(), b"");
}

#[test]
fn a_handshake_may_come_in_pieces_that_begin_with_any_letter() {
    let appliance = Appliance::start(&Settings::both());
    let mut cuts = 0;
    // A handshake for each letter: one in hundreds of pieces takes a busy machine longer than it may last.
    for letter in b'A'..=b'Z' {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, appliance.ports.https)).unwrap();
        socket.set_nodelay(true).unwrap();
        let mut cut = CutAt { letter, socket, cuts: 0 };
        let agreed = agree(&mut cut).unwrap();
        let group = agreed.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::X25519MLKEM768);
        cuts += cut.cuts;
    }
    // Hardly any client hello is without some of the letters, since most of it is a random key.
    assert!(cuts >= 13, "only {cuts} cuts");
}

/// Sends what comes before a letter, waits until it has been read, and goes on with the letter; once.
struct CutAt {
    letter: u8,
    socket: TcpStream,
    cuts: usize,
}

impl Write for CutAt {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let found = bytes.iter().skip(1).position(|byte| *byte == self.letter);
        let Some(end) = found.filter(|_| self.cuts == 0) else { return self.socket.write(bytes) };
        let sent = self.socket.write(&bytes[..=end])?;
        let ports = [self.socket.peer_addr()?.port(), self.socket.local_addr()?.port()];
        until(SOON, "the appliance has read a piece", || is_read(ports).then_some(()));
        self.cuts += 1;
        Ok(sent)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

impl Read for CutAt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

/// Nothing waits at the far end of a connection between these ports, proc_net_tcp(5).
fn is_read(ports: [u16; 2]) -> bool {
    let [theirs, ours] = ports.map(|port| format!(":{port:04X}"));
    fs::read_to_string("/proc/net/tcp").unwrap().lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&theirs)
            && fields[2].ends_with(&ours)
            && fields[4].ends_with(":00000000")
    })
}

#[test]
fn a_client_that_offers_one_classic_key_exchange_connects() {
    let appliance = Appliance::start(&Settings::both());
    for group in ["X25519", "P-256", "P-384"] {
        let answer = appliance.s_client(&["-brief", "-tls1_3", "-groups", group]);
        assert_eq!(answer.code, 0, "{group}: {answer:?}");
    }
}

#[test]
fn every_tls_port_shows_the_same_certificate() {
    let appliance = Appliance::start(&Settings::both());
    let ports = appliance.ports;
    let shown = [ports.https, ports.v1_realtime, ports.v2_realtime]
        .map(|port| handshake(port).unwrap().fingerprint);
    assert_eq!(shown[0], shown[1]);
    assert_eq!(shown[0], shown[2]);
}

#[test]
fn the_default_certificate_is_an_rsa_one_of_this_appliance_alone_and_survives_a_restart() {
    let mut appliance = Appliance::start(&Settings::both());
    let other = Appliance::start(&Settings::both());
    let shown = handshake(appliance.ports.https).unwrap().fingerprint;
    assert_ne!(shown, handshake(other.ports.https).unwrap().fingerprint);
    appliance.restart();
    assert_eq!(shown, handshake(appliance.ports.https).unwrap().fingerprint);
    let text = appliance
        .page("openssl s_client -connect ${APPLIANCE_HOST}:443 | openssl x509 -noout -text")
        .ok();
    for words in ["Public-Key: (2048 bit)", "rsaEncryption", "DNS:localhost"] {
        assert!(text.out.contains(words), "{words}: {text:?}");
    }
}
