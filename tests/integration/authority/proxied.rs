//! Behind a reverse proxy: for whom it asks.

use applianced::protocol::message::{Answer, Denial, Op};
use applianced::protocol::wire;

use crate::authority::fixture::fixture;
use crate::authority::machine::{Machine, NOW, exchange};
use crate::support::vendor::Vendor;

/// Asks with header fields, as a proxy does.
fn ask(vendor: &Vendor, machine: &Machine, op: Op, fields: &str) -> Answer {
    let request = machine.request(op);
    let sealed = wire::seal(&request, &machine.trust, NOW, &machine.device).unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\n{fields}Content-Length: {}\r\n\r\n",
        wire::PATH,
        sealed.body.len()
    );
    let (_, body) = exchange(vendor.address(), &[head.as_bytes(), &sealed.body].concat()).unwrap();
    sealed.opener.open(&body).unwrap()
}

#[test]
fn the_log_and_the_guesses_know_the_client_behind_a_trusted_proxy() {
    let (mut vendor, _, _) = fixture(&[]);
    vendor.serve_with(&["--trusted-proxy", "127.0.0.0/8"]);
    let mut guesser = Machine::new("", vendor.trust());
    for guess in 0..11 {
        guesser.code = format!("4949{guess:014}");
        let spoofed = format!("X-Forwarded-For: 198.51.100.{guess}, 192.0.2.7\r\n");
        let told = ask(&vendor, &guesser, Op::Activate, &spoofed).denial;
        let wanted = if guess < 10 { Denial::UnknownLicense } else { Denial::TooManyTries };
        assert_eq!(told, Some(wanted), "{guess}");
    }
    let other = ask(&vendor, &guesser, Op::Activate, "Forwarded: for=\"[2001:db8::7]:4711\"\r\n");
    assert_eq!(other.denial, Some(Denial::UnknownLicense), "another client");
    let log = vendor.logged("from 2001:db8::7: unknown_license");
    assert!(
        log.contains("from 192.0.2.7: too_many_tries") && !log.contains("198.51.100."),
        "{log}"
    );
}

#[test]
fn what_a_stranger_writes_into_the_fields_is_ignored() {
    let (mut vendor, _, machine) = fixture(&[]);
    vendor.serve();
    ask(&vendor, &machine, Op::Activate, "X-Forwarded-For: 192.0.2.7\r\n");
    let log = vendor.logged("from 127.0.0.1: lease");
    assert!(!log.contains("192.0.2.7"), "{log}");
}

#[test]
fn a_proxy_that_is_none_is_refused_in_words() {
    let vendor = Vendor::init();
    for (value, word) in [("10.0.0.1/8", "say 10.0.0.0/8"), ("proxy", "is no address or network")] {
        let refused = vendor.run(&["serve", "--listen", "127.0.0.1:0", "--trusted-proxy", value]);
        assert!(refused.code == 2 && refused.err.contains(word), "{refused:?}");
    }
}
