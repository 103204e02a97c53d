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
