#![allow(clippy::unwrap_used, clippy::panic)]

use super::{Error, read};

const BLOCK: &str = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";

fn broken(text: &[u8]) -> Error {
    read(text).err().unwrap()
}

#[test]
fn text_around_blocks_line_ends_and_unknown_blocks_are_fine() {
    let parameters = "-----BEGIN EC PARAMETERS-----\nBgg=\n-----END EC PARAMETERS-----\n";
    let text = format!("\u{feff}Bag Attributes\n  x: 1\n{parameters}{BLOCK}\ntext\n{BLOCK}");
    for ends in ["\n", "\r\n", "\r"] {
        let blocks = read(text.replace('\n', ends).as_bytes()).unwrap();
        assert_eq!(blocks.certificates.len(), 2);
        assert_eq!(blocks.certificates[0].as_ref(), [1, 2, 3]);
        assert_eq!(blocks.others, ["EC PARAMETERS"]);
    }
    assert_eq!(read(BLOCK.trim_end().as_bytes()).unwrap().certificates.len(), 1);
}

#[test]
fn a_file_without_blocks_is_told_by_what_it_is() {
    assert_eq!(broken(b""), Error::Empty);
    assert_eq!(broken(b" \r\n"), Error::Empty);
    assert_eq!(broken(b"hello"), Error::NotPem);
    assert_eq!(broken(&[0x30, 0x82, 1, 2, 0x30, 0x82]), Error::Der);
    assert_eq!(broken(&[0x30, 3, 2, 1, 0]), Error::Der);
    assert_eq!(broken(b"0 is no DER"), Error::NotPem);
    assert_eq!(broken(&[0x30, 0x82, 1, 2, 2, 1, 3, 0x30]), Error::Pkcs12);
    assert_eq!(broken(&[0xff, 0xfe, b'-', 0]), Error::Utf16);
}

#[test]
fn a_block_that_goes_wrong_is_named() {
    let cut = BLOCK.replace("-----END CERTIFICATE-----", "");
    for text in [cut.clone(), cut + BLOCK, BLOCK.replace("END CERT", "END OTHER CERT")] {
        assert!(matches!(broken(text.as_bytes()), Error::Block(why) if why.contains("no END")));
    }
    let damaged = BLOCK.replace("AQID", "AQ!D");
    assert!(matches!(broken(damaged.as_bytes()), Error::Block(why) if why.contains("damaged")));
}

#[test]
fn keys_under_a_passphrase_are_counted_not_read() {
    let old = "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n\
               DEK-Info: AES-256-CBC,00\r\n\r\nAQID\r\n-----END RSA PRIVATE KEY-----\r\n";
    let new = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAQID\n-----END ENCRYPTED PRIVATE KEY-----";
    let blocks = read(format!("{old}{new}").as_bytes()).unwrap();
    assert_eq!((blocks.encrypted_keys, blocks.keys.len()), (2, 0));
}

fn certificates(text: &[u8]) -> usize {
    read(text).unwrap_or_else(|why| panic!("{why:?}")).certificates.len()
}

#[test]
fn lost_line_breaks_do_no_harm() {
    let joined = format!("{}{BLOCK}", BLOCK.trim_end());
    assert!(joined.contains("----------BEGIN"));
    let no_break_before_end = BLOCK.replace("AQID\n", "AQID");
    let two = BLOCK.repeat(2);
    for text in [
        joined,
        two.replace('\n', " "),
        two.replace('\n', ""),
        two.replace("-----\n", "-----\t\r\n"),
        format!("{BLOCK}{no_break_before_end}"),
        format!("{BLOCK}{}", BLOCK.replace("CERTIFICATE", "X509 CERTIFICATE")),
    ] {
        assert_eq!(certificates(text.as_bytes()), 2, "{text}");
    }
}

#[test]
fn blanks_and_marks_before_a_block_are_skipped_and_anything_else_is_told_by_its_line() {
    for before in [" ", "\t ", "\u{feff}", "\u{a0}", "\u{200b}\u{3000}"] {
        assert_eq!(certificates(format!("{BLOCK}{before}{BLOCK}").as_bytes()), 2, "{before:?}");
    }
    let ends = |text: &str, ends: &str| text.replace('\n', ends).into_bytes();
    for before in ["> ", "Intermediate: ", "\"", "\\n"] {
        for line_end in ["\n", "\r\n", "\r"] {
            let text = ends(&format!("{BLOCK}text\n{before}{BLOCK}"), line_end);
            let Error::Block(why) = broken(&text) else { panic!("{before}") };
            assert!(why.contains("in line 5 ") && !why.contains(before), "{why}");
        }
    }
    let latin1 = [BLOCK.as_bytes(), b"\xa0", BLOCK.as_bytes()].concat();
    assert!(matches!(broken(&latin1), Error::Block(why) if why.contains("in line 4 ")));
}

#[test]
fn a_second_certificate_is_never_passed_over() {
    for second in [
        BLOCK.replace("-----BEGIN", "----BEGIN"),
        BLOCK.replace("CERTIFICATE-----\nAQID", "CERTIFICATE----\nAQID"),
        BLOCK.replace("-----", "\u{2013}\u{2013}"),
        BLOCK.replace("CERTIFICATE", "CERTIFCATE"),
        BLOCK.replace("-----BEGIN ", "----- BEGIN "),
    ] {
        let text = format!("{BLOCK}{second}");
        assert!(
            matches!(broken(text.as_bytes()), Error::Block(why) if why.contains("line 4 ")),
            "{second}"
        );
    }
    let wide: Vec<u8> = BLOCK.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(broken(&[BLOCK.as_bytes(), &wide].concat()), Error::Mixed);
}

#[test]
fn nothing_of_a_file_is_repeated() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIIESECRET\nMIIESECRET\n-----END PRIVATE KEY-----\n";
    for text in [
        key.replace("KEY-----\n", "KEY----\n"),
        key.replace("KEY-----\n", "KEY---- "),
        key.replace("KEY-----\n", "KEY"),
        key.replace("-----END", "----END"),
        key.replace("END PRIVATE KEY", "END MIIESECRET"),
        key.replace("BEGIN PRIVATE KEY-----\n", "BEGIN "),
        key.replace("PRIVATE KEY", "MIIESECRET").replace("-----END", ""),
        key.replace("PRIVATE KEY", "MIIESECRET CERT"),
        key.replace('\n', "\\n"),
        format!("MIIESECRET{key}"),
        key.replace("MIIE", "MI\u{e9}E"),
        key.replace('\n', " ").replace("-----END", ""),
    ] {
        let Error::Block(why) = broken(text.as_bytes()) else { panic!("{text}") };
        assert!(!why.contains("SECRET"), "{why}");
    }
}

#[test]
fn pkcs7_is_known_in_every_form() {
    let der = b"\x30\x82\x01\x00\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0";
    assert_eq!(broken(der), Error::Pkcs7);
    let by_ad_cs = super::write(&[rustls::pki_types::CertificateDer::from(&der[..])], &key());
    assert_eq!(read(by_ad_cs.as_bytes()).unwrap().others, ["PKCS7"]);
}

fn key() -> rustls::pki_types::PrivateKeyDer<'static> {
    rustls::pki_types::PrivatePkcs8KeyDer::from(vec![1, 2, 3]).into()
}
