//! TLS 1.3 cipher suites whose ciphers are the fastest at hand. Their hashes and keys are aws-lc's, as all else of TLS.
//!
//! AES-GCM is ring's: it uses the wide AES instructions (VAES) with AVX2, where aws-lc has them with AVX-512 alone, in
//! code of 700 kB. ChaCha20-Poly1305 is aws-lc's, with a decrypter that deciphers a
//! record where it lies: rustls's own calls `open_in_place`, after which aws-lc-rs moves the plaintext to where it is
//! already, and musl's `memmove` does that byte by byte. The call with a separate tag moves nothing.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use rustls::crypto::aws_lc_rs::cipher_suite;
use rustls::crypto::cipher::{
    self, AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter,
    MessageEncrypter, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::ring;
use rustls::{
    CipherSuiteCommon, ConnectionTrafficSecrets, Error, SupportedCipherSuite, Tls13CipherSuite,
};

pub(crate) const TLS13_AES_128_GCM_SHA256: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&AES_128);
pub(crate) const TLS13_AES_256_GCM_SHA384: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&AES_256);
pub(crate) const TLS13_CHACHA20_POLY1305_SHA256: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&CHACHA20);

static AES_128: Tls13CipherSuite = suite(
    tls13(&cipher_suite::TLS13_AES_128_GCM_SHA256),
    tls13(&ring::cipher_suite::TLS13_AES_128_GCM_SHA256).aead_alg,
);
static AES_256: Tls13CipherSuite = suite(
    tls13(&cipher_suite::TLS13_AES_256_GCM_SHA384),
    tls13(&ring::cipher_suite::TLS13_AES_256_GCM_SHA384).aead_alg,
);
static CHACHA20: Tls13CipherSuite =
    suite(tls13(&cipher_suite::TLS13_CHACHA20_POLY1305_SHA256), &InPlace);

/// Evaluated while compiling, for the statics above.
#[expect(clippy::panic, reason = "a program that would panic is not compiled")]
const fn tls13(suite: &SupportedCipherSuite) -> &'static Tls13CipherSuite {
    match suite {
        SupportedCipherSuite::Tls13(suite) => suite,
        SupportedCipherSuite::Tls12(_) => panic!("not a suite of TLS 1.3"),
    }
}

const fn suite(
    original: &'static Tls13CipherSuite,
    aead: &'static dyn Tls13AeadAlgorithm,
) -> Tls13CipherSuite {
    Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: original.common.suite,
            hash_provider: original.common.hash_provider,
            confidentiality_limit: original.common.confidentiality_limit,
        },
        hkdf_provider: original.hkdf_provider,
        aead_alg: aead,
        quic: None,
    }
}

/// ChaCha20-Poly1305 as rustls has it, with a decrypter of our own.
struct InPlace;

impl InPlace {
    fn original() -> &'static dyn Tls13AeadAlgorithm {
        tls13(&cipher_suite::TLS13_CHACHA20_POLY1305_SHA256).aead_alg
    }
}

impl Tls13AeadAlgorithm for InPlace {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        InPlace::original().encrypter(key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        match UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()) {
            Ok(unbound) => Box::new(Decrypter { key: LessSafeKey::new(unbound), iv }),
            Err(_) => InPlace::original().decrypter(key, iv), // never: `key_len` tells its length
        }
    }

    fn key_len(&self) -> usize {
        InPlace::original().key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        InPlace::original().extract_keys(key, iv)
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

    use super::{AES_256, CHACHA20};

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
        for suite in [&AES_256, &CHACHA20] {
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
