#![allow(clippy::unwrap_used, clippy::panic)]

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData,
    SignatureAlgorithm, SigningKey, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{from_file, from_upload};
use crate::security::{Source, pem};

mod chain;

/// 2026-11-21, when every certificate made here is valid.
const NOW: i64 = 1_795_219_200;

/// A certificate with the key it was made for.
pub(crate) struct Made<K = KeyPair> {
    pub(crate) key: K,
    params: CertificateParams,
    der: CertificateDer<'static>,
}

impl Made {
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

impl<K> Made<K> {
    pub(crate) fn pem(&self) -> String {
        block("CERTIFICATE", &self.der)
    }
}

pub(crate) fn block(label: &str, der: &[u8]) -> String {
    let none = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.to_vec()));
    pem::write(&[], &none).replace("PRIVATE KEY", label)
}

fn params(name: &str, ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(vec![format!("{name}.example.com")]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params.use_authority_key_identifier_extension = true;
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

fn alone<K: SigningKey>(params: CertificateParams, key: K) -> Made<K> {
    let der = params.self_signed(&key).unwrap().der().clone();
    Made { key, params, der }
}

impl Made {
    /// Signed by itself with `key`.
    pub(crate) fn of(name: &str, key: KeyPair) -> Made {
        alone(params(name, false), key)
    }
}

pub(crate) fn root(name: &str) -> Made {
    alone(params(name, true), KeyPair::generate().unwrap())
}

pub(crate) fn issue(name: &str, ca: bool, by: &Made) -> Made {
    issue_with(params(name, ca), KeyPair::generate().unwrap(), by)
}

fn issue_with<K: SigningKey>(params: CertificateParams, key: K, by: &Made) -> Made<K> {
    let issuer = Issuer::from_params(&by.params, &by.key);
    let der = params.signed_by(&key, &issuer).unwrap().der().clone();
    Made { key, params, der }
}

/// Leaf, intermediate, root.
fn family() -> (Made, Made, Made) {
    let root = root("Root");
    let intermediate = issue("Intermediate", true, &root);
    let leaf = issue("leaf", false, &intermediate);
    (leaf, intermediate, root)
}

#[track_caller]
fn refused(keyfile: impl AsRef<[u8]>, certfile: impl AsRef<[u8]>, parts: &[&str]) {
    match from_upload(keyfile.as_ref(), certfile.as_ref(), NOW) {
        Ok(_) => panic!("taken, and it should say {parts:?}"),
        Err(sentence) => {
            for part in parts {
                assert!(sentence.contains(part), "{sentence:?} lacks {part:?}");
            }
        }
    }
}

#[test]
fn a_chain_is_taken_with_its_root_and_without() {
    let (leaf, intermediate, root) = family();
    let key = leaf.key_pem();
    for (chain, length) in [
        (leaf.pem(), 1),
        (leaf.pem() + &intermediate.pem(), 2),
        (leaf.pem() + &intermediate.pem() + &root.pem(), 3),
    ] {
        let (identity, stored) = from_upload(key.as_bytes(), chain.as_bytes(), NOW).unwrap();
        let summary = identity.summary;
        assert_eq!((summary.chain_length, identity.certified.cert.len()), (length, length));
        assert_eq!(summary.subject, "CN=leaf");
        assert_eq!(summary.issuer, "CN=Intermediate");
        assert_eq!(summary.names, ["leaf.example.com"]);
        assert_eq!((summary.not_before, summary.not_after), (1_577_836_800, 4_733_510_400));
        assert_eq!(summary.key_type, "ECDSA-P256");
        assert_eq!((summary.sha256.len(), summary.sha256.matches(':').count()), (95, 31));
        let again = from_file(stored.as_bytes(), Source::Uploaded).unwrap().summary;
        assert_eq!(again, summary);
    }
}

#[test]
fn every_kind_and_encoding_of_key_in_the_contract_is_taken() {
    for (algorithm, kind) in [
        (&rcgen::PKCS_RSA_SHA256, "RSA-2048"),
        (&rcgen::PKCS_ECDSA_P256_SHA256, "ECDSA-P256"),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "ECDSA-P384"),
        (&rcgen::PKCS_ED25519, "Ed25519"),
    ] {
        let made = alone(params("x", false), KeyPair::generate_for(algorithm).unwrap());
        let pkcs8 = made.key.serialize_der();
        let mut keys = vec![block("PRIVATE KEY", &pkcs8)];
        match kind {
            // PKCS#8 wraps PKCS#1 in 26 bytes of header at this length.
            "RSA-2048" => keys.push(block("RSA PRIVATE KEY", &pkcs8[26..])),
            "ECDSA-P256" => keys.push(block("EC PRIVATE KEY", &sec1(&pkcs8))),
            _ => {}
        }
        for key in keys {
            let taken = from_upload(key.as_bytes(), made.pem().as_bytes(), NOW);
            let (identity, stored) = taken.unwrap_or_else(|why| panic!("{kind}: {why}"));
            assert_eq!(identity.summary.key_type, kind);
            from_file(stored.as_bytes(), Source::Uploaded).unwrap();
        }
    }
}

/// RFC 5915: version 1, the 32 secret bytes, the curve.
fn sec1(pkcs8: &[u8]) -> Vec<u8> {
    let mark = [2, 1, 1, 4, 32];
    let at = pkcs8.windows(5).position(|bytes| bytes == mark).unwrap() + 5;
    let mut der = vec![0x30, 49, 2, 1, 1, 4, 32];
    der.extend(&pkcs8[at..at + 32]);
    der.extend([0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
    der
}

#[test]
fn windows_line_ends_bag_attributes_and_ec_parameters_do_no_harm() {
    let (leaf, intermediate, _) = family();
    let parameters = block("EC PARAMETERS", &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
    let key = format!("Bag Attributes\n  friendlyName: x\n{parameters}{}", leaf.key_pem());
    let chain = format!("subject=CN = leaf\n{}\nissuer=x\n{}", leaf.pem(), intermediate.pem());
    let (key, chain) = (key.replace('\n', "\r\n"), chain.replace('\n', "\r\n"));
    let (identity, stored) = from_upload(key.as_bytes(), chain.as_bytes(), NOW).unwrap();
    assert_eq!(identity.summary.chain_length, 2);
    assert!(!stored.contains("Bag") && !stored.contains("PARAMETERS") && !stored.contains('\r'));
}

#[test]
fn an_empty_file_is_named() {
    let made = root("x");
    refused("", made.pem(), &["keyfile is empty"]);
    refused(made.key_pem(), " \n", &["certfile is empty"]);
}

#[test]
fn what_is_not_pem_is_refused() {
    let made = root("x");
    refused("hello", made.pem(), &["keyfile is not PEM"]);
    refused(made.key_pem(), "hello", &["certfile is not PEM"]);
    let utf16: Vec<u8> = "\u{feff}-----".encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused(made.key_pem(), utf16, &["UTF-16"]);
}

#[test]
fn der_is_refused_with_the_command_that_converts_it() {
    let made = root("x");
    refused(made.key_pem(), &made.der, &["certfile is DER", "`openssl x509 -inform DER"]);
    let key = made.key.serialize_der();
    refused(key, made.pem(), &["keyfile is DER", "`openssl pkey -inform DER"]);
    let pkcs12 = [0x30, 0x82, 9, 9, 2, 1, 3, 0x30];
    refused(made.key_pem(), pkcs12, &["PKCS#12", "`openssl pkcs12"]);
}

#[test]
fn a_file_without_certificate_is_refused_by_what_it_holds_instead() {
    let made = root("x");
    let key = made.key_pem();
    refused(&key, &key, &["no certificate in certfile", "only a private key"]);
    refused(&key, block("CERTIFICATE REQUEST", &[0]), &["only a request for one"]);
    refused(&key, block("PKCS7", &[0]), &["PKCS#7", "openssl pkcs7"]);
    refused(&key, block("TRUSTED CERTIFICATE", &[0]), &["openssl x509"]);
    for other in ["PKCS7", "TRUSTED CERTIFICATE"] {
        refused(&key, made.pem() + &block(other, &[0]), &["part of certfile is", "convert it"]);
    }
    refused(&key, block("X509 CRL", &[0]), &["BEGIN CERTIFICATE"]);
}

#[test]
fn a_file_without_key_is_refused_by_what_it_holds_instead() {
    let made = root("x");
    refused(made.pem(), made.pem(), &["no private key in keyfile", "only a certificate"]);
    refused(made.key.public_key_pem(), made.pem(), &["only a public one"]);
    refused(block("DSA PRIVATE KEY", &[0]), made.pem(), &["DSA", "taken are RSA"]);
    refused(block("OPENSSH PRIVATE KEY", &[0]), made.pem(), &["SSH key"]);
    refused(block("X509 CRL", &[0]), made.pem(), &["BEGIN PRIVATE KEY"]);
}

#[test]
fn swapped_files_are_called_swapped() {
    let made = root("x");
    refused(made.pem(), made.key_pem(), &["swapped"]);
    refused(made.pem(), block("ENCRYPTED PRIVATE KEY", &[0]), &["swapped"]);
}

#[test]
fn two_keys_are_refused() {
    let made = root("x");
    refused(made.key_pem() + &made.key_pem(), made.pem(), &["2 private keys in keyfile"]);
    let encrypted = block("ENCRYPTED PRIVATE KEY", &[0]);
    refused(made.key_pem() + &encrypted, made.pem(), &["2 private keys"]);
}

#[test]
fn an_encrypted_key_is_refused_with_the_command_that_removes_the_passphrase() {
    let made = root("x");
    let old = block("RSA PRIVATE KEY", &[0])
        .replace("KEY-----\nA", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,0\n\nA");
    for key in [block("ENCRYPTED PRIVATE KEY", &[0]), old] {
        refused(
            key,
            made.pem(),
            &["encrypted private keys are not supported: remove the passphrase with `openssl pkey"],
        );
    }
}

#[test]
fn damaged_content_is_refused() {
    let made = root("x");
    let key = made.key_pem();
    refused(&key, block("CERTIFICATE", &[0x30, 0]), &["certificate 1 in certfile is damaged"]);
    refused(block("PRIVATE KEY", &[0x30, 0]), made.pem(), &["the key in keyfile is damaged"]);
    refused(&key, &made.pem()[..200], &["certfile is damaged", "no END line"]);
    refused(&key[..100], made.pem(), &["keyfile is damaged", "no END line"]);
    let mut trailing = made.der.to_vec();
    trailing.push(0);
    refused(&key, block("CERTIFICATE", &trailing), &["certificate 1 in certfile is damaged"]);
}

#[test]
fn an_rsa_key_under_2048_bits_is_refused() {
    let weak = alone(params("weak", false), WeakRsa::of_bits(1024));
    let words =
        ["certificate 1 (CN=weak) in certfile has an RSA key of 1024 bits", "taken are RSA"];
    refused(root("x").key_pem(), weak.pem(), &words);
    let weak = alone(params("weak", false), WeakRsa::of_bits(2040));
    refused(root("x").key_pem(), weak.pem(), &["2040 bits", "too short"]);
    let huge = alone(params("huge", false), WeakRsa::of_bits(8200));
    refused(root("x").key_pem(), huge.pem(), &["8200 bits", "too long"]);
}

/// A public key of any size with a signature that nobody looks at.
struct WeakRsa(Vec<u8>);

impl WeakRsa {
    fn of_bits(bits: usize) -> WeakRsa {
        let modulus = vec![0xff; bits / 8];
        let length = |bytes: usize| [0x82, (bytes >> 8) as u8, bytes as u8];
        let mut der = vec![0x30];
        der.extend(length(modulus.len() + 5 + 5));
        der.push(2);
        der.extend(length(modulus.len() + 1));
        der.push(0);
        der.extend(modulus);
        der.extend([2, 3, 1, 0, 1]);
        WeakRsa(der)
    }
}

impl PublicKeyData for WeakRsa {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl SigningKey for WeakRsa {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(vec![0; 128])
    }
}

#[test]
fn kinds_of_key_that_are_not_supported_are_named() {
    let p521 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let p521 = alone(params("p521", false), p521);
    refused(p521.key_pem(), p521.pem(), &["ECDSA-P521, which is not supported", "taken are RSA"]);
    // Only the name of the algorithm counts, so any key will do with another name written over it.
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let made = alone(params("ed448", false), ed25519);
    let mut der = made.der.to_vec();
    for at in 0..der.len() - 5 {
        if der[at..at + 5] == [6, 3, 0x2b, 0x65, 0x70] {
            der[at + 4] = 0x71;
        }
    }
    refused(made.key_pem(), block("CERTIFICATE", &der), &["Ed448, which is not supported"]);
    // Explicit curve parameters, which are no object identifier.
    let made = root("explicit");
    let mut der = made.der.to_vec();
    let named = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let at = der.windows(10).position(|bytes| bytes == named).unwrap();
    der[at] = 4;
    refused(made.key_pem(), block("CERTIFICATE", &der), &["ECDSA on a curve without a name"]);
    let key = KeyPair::generate_for(&rcgen::PKCS_ML_DSA_44);
    let key = key.map(|key| alone(params("pq", false), key)).unwrap();
    refused(key.key_pem(), key.pem(), &["which is not supported"]);
}

#[test]
fn no_refusal_quotes_the_key() {
    let made = root("x");
    let secret = made.key_pem();
    let line = secret.lines().nth(1).unwrap();
    for keyfile in [secret.replace("-----END", "----END"), secret.replace('\n', "\n!")] {
        let error = from_upload(keyfile.as_bytes(), made.pem().as_bytes(), NOW).unwrap_err();
        assert!(!error.contains(line), "{error}");
    }
}
