//! TLS 1.3 cipher suites that decipher a record where it lies.
//!
//! rustls's own suites call `open_in_place`, after which aws-lc-rs moves the plaintext to where it is already, and
//! musl's `memmove` does that byte by byte. The call with a separate tag moves nothing. All else is rustls's.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use rustls::crypto::aws_lc_rs::cipher_suite;
use rustls::crypto::cipher::{
    self, AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter,
    MessageEncrypter, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::{
    CipherSuiteCommon, ConnectionTrafficSecrets, Error, SupportedCipherSuite, Tls13CipherSuite,
};

pub(crate) const TLS13_AES_128_GCM_SHA256: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&AES_128_SUITE);
pub(crate) const TLS13_AES_256_GCM_SHA384: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&AES_256_SUITE);
pub(crate) const TLS13_CHACHA20_POLY1305_SHA256: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&CHACHA20_SUITE);

static AES_128: InPlace = InPlace::new(&cipher_suite::TLS13_AES_128_GCM_SHA256, &AES_128_GCM);
static AES_256: InPlace = InPlace::new(&cipher_suite::TLS13_AES_256_GCM_SHA384, &AES_256_GCM);
static CHACHA20: InPlace =
    InPlace::new(&cipher_suite::TLS13_CHACHA20_POLY1305_SHA256, &CHACHA20_POLY1305);

static AES_128_SUITE: Tls13CipherSuite = AES_128.suite();
static AES_256_SUITE: Tls13CipherSuite = AES_256.suite();
static CHACHA20_SUITE: Tls13CipherSuite = CHACHA20.suite();

/// The AEAD algorithm of a suite of rustls, with a decrypter of our own.
struct InPlace {
    original: &'static Tls13CipherSuite,
    algorithm: &'static Algorithm,
}

impl InPlace {
    #[expect(clippy::panic, reason = "evaluated while compiling, for the statics above")]
    const fn new(original: &SupportedCipherSuite, algorithm: &'static Algorithm) -> InPlace {
        match original {
            SupportedCipherSuite::Tls13(original) => InPlace { original, algorithm },
            SupportedCipherSuite::Tls12(_) => panic!("not a suite of TLS 1.3"),
        }
    }

    const fn suite(&'static self) -> Tls13CipherSuite {
        let common = &self.original.common;
        Tls13CipherSuite {
            common: CipherSuiteCommon {
                suite: common.suite,
                hash_provider: common.hash_provider,
                confidentiality_limit: common.confidentiality_limit,
            },
            hkdf_provider: self.original.hkdf_provider,
            aead_alg: self,
            quic: None,
        }
    }
}

impl Tls13AeadAlgorithm for InPlace {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        self.original.aead_alg.encrypter(key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        match UnboundKey::new(self.algorithm, key.as_ref()) {
            Ok(unbound) => Box::new(Decrypter { key: LessSafeKey::new(unbound), iv }),
            Err(_) => self.original.aead_alg.decrypter(key, iv), // never: `key_len` tells its length
        }
    }

    fn key_len(&self) -> usize {
        self.original.aead_alg.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.original.aead_alg.extract_keys(key, iv)
    }
}

struct Decrypter {
    key: LessSafeKey,
    iv: Iv,
}

impl MessageDecrypter for Decrypter {
    /// RFC 8446 section 5.2.
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let payload = &mut message.payload;
        let nonce = Nonce::assume_unique_for_key(cipher::Nonce::new(&self.iv, sequence).0);
        let aad = Aad::from(cipher::make_tls13_aad(payload.len()));
        let plain = payload.len().checked_sub(self.key.algorithm().tag_len());
        let plain = plain.ok_or(Error::DecryptError)?;
        let (text, tag) = payload.split_at_mut(plain);
        self.key
            .open_in_place_separate_tag(nonce, aad, tag, text)
            .map_err(|_| Error::DecryptError)?;
        payload.truncate(plain);
        message.into_tls13_unpadded_message()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rustls::crypto::cipher::{
        AeadKey, InboundOpaqueMessage, Iv, OutboundChunks, OutboundPlainMessage,
    };
    use rustls::{ContentType, Error, ProtocolVersion, Tls13CipherSuite};

    use super::{AES_256_SUITE, CHACHA20_SUITE};

    const TEXT: &[u8] = b"what was sent";
    const SEQUENCE: u64 = 7;

    fn secrets() -> (AeadKey, Iv) {
        (AeadKey::from([3; 32]), Iv::new([5; 12]))
    }

    /// A record without its header, as rustls's own encrypter makes it.
    fn sealed(suite: &Tls13CipherSuite) -> Vec<u8> {
        let (key, iv) = secrets();
        let plain = OutboundPlainMessage {
            typ: ContentType::ApplicationData,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(TEXT),
        };
        suite.aead_alg.encrypter(key, iv).encrypt(plain, SEQUENCE).unwrap().encode().split_off(5)
    }

    fn opened(
        suite: &Tls13CipherSuite,
        mut record: Vec<u8>,
        sequence: u64,
    ) -> Result<Vec<u8>, Error> {
        let (key, iv) = secrets();
        let (kind, version) = (ContentType::ApplicationData, ProtocolVersion::TLSv1_2);
        let message = InboundOpaqueMessage::new(kind, version, &mut record);
        let plain = suite.aead_alg.decrypter(key, iv).decrypt(message, sequence)?;
        Ok(plain.payload.to_vec())
    }

    // AES-128 takes the same way; rustls has no way to make a shorter key.
    #[test]
    fn a_record_is_read_as_it_was_sent_and_no_other_is() {
        for suite in [&AES_256_SUITE, &CHACHA20_SUITE] {
            let record = sealed(suite);
            assert_eq!(opened(suite, record.clone(), SEQUENCE).unwrap(), TEXT);
            assert_eq!(opened(suite, record.clone(), SEQUENCE + 1), Err(Error::DecryptError));
            for index in 0..record.len() {
                let mut other = record.clone();
                other[index] ^= 1;
                assert_eq!(opened(suite, other, SEQUENCE), Err(Error::DecryptError), "{index}");
                let start = record[..index].to_vec();
                assert_eq!(opened(suite, start, SEQUENCE), Err(Error::DecryptError), "{index}");
            }
        }
    }
}
