//! TLS that does not come about leaves a line in the log that says with whom and why.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::support::appliance::Appliance;
use crate::support::settings::Settings;
use crate::support::wait::{SOON, until, within};

#[test]
fn each_kind_of_failed_handshake_leaves_a_line_that_names_the_client_and_the_reason() {
    let appliance = Appliance::start(&Settings::both());
    let port = appliance.ports.https;
    let told = |reason: &str, does: &dyn Fn()| {
        let line = format!(" info 127.0.0.1: TLS handshake failed on port {port}: {reason}");
        let known = appliance.log().len();
        // Again where it was one of too many in its second.
        until(SOON, &line, || {
            does();
            let told = || appliance.log()[known..].contains(&line).then_some(());
            within(Duration::from_millis(500), told)
        });
    };
    let openssl = |arguments: &[&str]| {
        let output = appliance.s_client(arguments);
        assert_ne!(output.code, 0, "{output:?}");
    };
    told("the client seems to be older than TLS 1.2", &|| {
        openssl(&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
    });
    told("the client offers no supported cipher suite", &|| {
        openssl(&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"]);
    });
    told("the client offers no supported key exchange", &|| {
        openssl(&["-tls1_3", "-groups", "P-521"]);
    });
    told("the client offers (by ALPN) neither http/1.1 nor http/1.0", &|| {
        openssl(&["-alpn", "h2"]);
    });
    told("the client asks (by SNI) for an invalid host name", &|| {
        openssl(&["-servername", "-bad-"]);
    });
    for version in ["1.2", "1.3"] {
        told("the client does not trust the certificate: it doesn't know who signed it", &|| {
            let url = appliance.https("/");
            let output = appliance.curl(&["--no-insecure", "--tls-max", version, &url]);
            assert_eq!(output.code, 60, "{output:?}");
        });
    }
    told("the client speaks plain HTTP", &|| {
        let url = format!("http://127.0.0.1:{port}/");
        let output = appliance.curl(&[&url]);
        assert!(output.status == 400 && output.out.contains("speaks HTTPS"), "{output:?}");
    });
    told("the client does not speak TLS", &|| {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        client.write_all(b"\0\0\0\0garbage").unwrap();
        let _ = client.read_to_end(&mut Vec::new());
    });
    told("the client disconnected during the handshake", &|| {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        client.write_all(b"\x16\x03\x01").unwrap();
    });
    // What the operator of a machine without a shell can read, too.
    let logs = appliance.read(&appliance.management("/v1/management/logs/gate")).ok();
    assert!(logs.out.contains("TLS handshake failed on port"), "{logs:?}");
}

#[test]
fn a_client_that_says_nothing_leaves_no_line_and_a_flood_leaves_few() {
    let appliance = Appliance::start(&Settings::both());
    let port = appliance.ports.https;
    for _ in 0..20 {
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap());
    }
    let known = appliance.log().len();
    let lines = || {
        let log = appliance.log();
        let told = log[known..]
            .lines()
            .filter(|line| line.contains("TLS handshake failed on port"))
            .count();
        let left_out = log[known..].lines().filter_map(|line| {
            let (count, _) = line.split_once(" more TLS handshakes failed")?;
            count.rsplit(' ').next()?.parse::<usize>().ok()
        });
        (told, left_out.sum::<usize>())
    };
    assert_eq!(lines(), (0, 0));
    const FLOOD: usize = 400;
    for _ in 0..FLOOD {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        client.write_all(b"\0").unwrap();
    }
    // None is lost: each has a line or is counted.
    let (told, left_out) = until(SOON, "all are told of", || {
        let (told, left_out) = lines();
        (told + left_out == FLOOD).then_some((told, left_out))
    });
    assert!(told < FLOOD && left_out > 0, "{told} lines");
}
