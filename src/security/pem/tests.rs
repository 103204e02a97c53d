#![allow(clippy::unwrap_used)]

use super::{Broken, read};

const BLOCK: &str = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";

fn broken(text: &[u8]) -> Broken {
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
    assert_eq!(broken(b""), Broken::Empty);
    assert_eq!(broken(b" \r\n"), Broken::Empty);
    assert_eq!(broken(b"hello"), Broken::NotPem);
    assert_eq!(broken(&[0x30, 0x82, 1, 2, 0x30, 0x82]), Broken::Der);
    assert_eq!(broken(&[0x30, 3, 2, 1, 0]), Broken::Der);
    assert_eq!(broken(b"0 is no DER"), Broken::NotPem);
    assert_eq!(broken(&[0x30, 0x82, 1, 2, 2, 1, 3, 0x30]), Broken::Pkcs12);
    assert_eq!(broken(&[0xff, 0xfe, b'-', 0]), Broken::Utf16);
}

#[test]
fn a_block_that_goes_wrong_is_named() {
    let cut = BLOCK.replace("-----END CERTIFICATE-----", "");
    for text in [cut.clone(), cut + BLOCK, BLOCK.replace("END CERT", "END OTHER CERT")] {
        assert!(matches!(broken(text.as_bytes()), Broken::Block(why) if why.contains("no END")));
    }
    let damaged = BLOCK.replace("AQID", "AQ!D");
    assert!(matches!(broken(damaged.as_bytes()), Broken::Block(why) if why.contains("damaged")));
}

#[test]
fn keys_under_a_passphrase_are_counted_not_read() {
    let old = "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n\
               DEK-Info: AES-256-CBC,00\r\n\r\nAQID\r\n-----END RSA PRIVATE KEY-----\r\n";
    let new = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAQID\n-----END ENCRYPTED PRIVATE KEY-----";
    let blocks = read(format!("{old}{new}").as_bytes()).unwrap();
    assert_eq!((blocks.encrypted_keys, blocks.keys.len()), (2, 0));
}
