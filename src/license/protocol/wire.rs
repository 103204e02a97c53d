//! Sealed requests and answers, which may cross any network and any proxy in plain HTTP.
//! Their form is in [the specification](super#request). Unsealed text is never trusted, only shown.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use serde_json::json;
use zeroize::Zeroizing;

use super::fields;
use super::fields::Fields;
use super::hex::{Digest, RequestId};
use super::key::{
    KeyId, PublicKey, RequestKey, RequestPublicKey, SigningKey, base64url, from_base64url,
};
use super::message::{Answer, Request};
use super::random::{CryptoError, on_new_thread, random};
use super::trust::Trust;
use crate::license::protocol::PROTOCOL;
use crate::util::json;

/// The path that requests are posted to.
pub const PATH: &str = "/v1/license";

/// The version of the envelope; any other is refused.
const VERSION: i64 = 1;

/// Largest request or answer that is read, in bytes.
pub const LARGEST: usize = 65_536;

/// The sealed text is padded to a multiple of this many bytes, so that its length reveals little.
const BLOCK: usize = 256;

/// The three parts of a sealed request; JSON and activation certificate are two ways to write them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The key of the authority that opens it.
    pub kid: KeyId,
    /// HPKE's encapsulated key.
    pub enc: [u8; 32],
    /// The ciphertext.
    pub ct: Vec<u8>,
}

impl Sealed {
    fn to_body(&self) -> Vec<u8> {
        let (enc, ct) = (base64url(&self.enc), base64url(&self.ct));
        json!({"v": VERSION, "kid": self.kid.as_str(), "enc": enc, "ct": ct})
            .to_string()
            .into_bytes()
    }

    fn from_body(body: &[u8]) -> Result<Sealed, fields::Error> {
        let value = json::parse(body)?;
        let fields = Fields::of(&value)?;
        fields.version(VERSION)?;
        Ok(Sealed {
            kid: fields.parsed("kid", "the name of a key", KeyId::parse)?,
            enc: fields.parsed("enc", "32 bytes in base64url", |text| {
                from_base64url(text)?.try_into().ok()
            })?,
            ct: fields.parsed("ct", "base64url", from_base64url)?,
        })
    }
}

/// A request ready to be sent, and the key that opens its answer.
pub struct SealedRequest {
    /// The body to post to [`PATH`], `application/json`; each retry is sealed again.
    pub body: Vec<u8>,
    /// The parts of the body, for a [`super::certificate`].
    pub sealed: Sealed,
    /// Opens the answer to exactly this body.
    pub opener: AnswerOpener,
}

/// Seals to the best key of the bundle in force; `now`, in seconds since 1970, only helps to choose it.
///
/// # Errors
/// When there is no key.
pub fn seal(
    request: &Request,
    trust: &Trust,
    now: i64,
    device: &SigningKey,
) -> Result<SealedRequest, fields::Error> {
    let keys = trust.request_keys(now);
    seal_to(request, keys.first().ok_or("the trust file names no key to seal requests to")?, device)
}

/// Seals to `key`, for another attempt after [`AnswerError::UnknownKey`].
///
/// # Errors
/// When the library fails, as for a public key that is not a point of the curve.
pub fn seal_to(
    request: &Request,
    key: &RequestPublicKey,
    device: &SigningKey,
) -> Result<SealedRequest, fields::Error> {
    let answer_key = Zeroizing::new(random::<32>()?);
    let text = request.to_json(&device.public(), &base64url(&answer_key[..])).to_string();
    let signature = base64url(&device.sign(&device_bytes(&text)));
    let mut plain = json!({"b": text, "s": signature}).to_string().into_bytes();
    plain.resize(plain.len().next_multiple_of(BLOCK), b' ');
    let public = HpkePublicKey(key.public.to_vec());
    let (enc, ct) = on_new_thread(|| {
        suite().seal(&info(&key.kid), b"", &plain, &public).map_err(|_| CryptoError)
    })?;
    let enc = enc.0.try_into().map_err(|_| CryptoError)?;
    let sealed = Sealed { kid: key.kid.clone(), enc, ct };
    let body = sealed.to_body();
    let opener = AnswerOpener {
        answer_key: AnswerKey { key: answer_key, body: Digest::of(&body) },
        req_id: request.req_id,
    };
    Ok(SealedRequest { body, sealed, opener })
}

/// Why an answer is not usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerError {
    /// The authority does not have the key that the request was sealed to: seal to another one.
    UnknownKey,
    /// The unsealed reason why the authority could not read the request; for display only.
    Unsealed(String),
    /// It does not have the form of an answer: a proxy or a captive portal sent it.
    WrongServer,
    /// It has the right form but does not open: it was changed, or answers another request.
    NotGenuine,
    /// It opened but its content is wrong: which member.
    Malformed(String),
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnswerError::UnknownKey => f.write_str(
                "the license authority does not have the key that the request was sealed to",
            ),
            AnswerError::Unsealed(text) => {
                write!(f, "the license authority could not read the request: {text}")
            }
            AnswerError::WrongServer => f.write_str("the answer is not from the license authority"),
            AnswerError::NotGenuine => {
                f.write_str("the answer was changed in transit or belongs to another request")
            }
            AnswerError::Malformed(what) => {
                write!(f, "the answer of the license authority is not valid: {what}")
            }
        }
    }
}

impl std::error::Error for AnswerError {}

/// Opens the answer to one request.
pub struct AnswerOpener {
    answer_key: AnswerKey,
    req_id: RequestId,
}

impl AnswerOpener {
    /// The answer, which comes from the authority and belongs to this request; its token is not verified yet.
    ///
    /// # Errors
    /// Why it is not usable; it must have no effect.
    pub fn open(&self, body: &[u8]) -> Result<Answer, AnswerError> {
        if body.len() > LARGEST {
            return Err(AnswerError::WrongServer);
        }
        let value = json::parse(body).map_err(|_| AnswerError::WrongServer)?;
        let fields = Fields::of(&value).map_err(|_| AnswerError::WrongServer)?;
        fields.version(VERSION).map_err(|_| AnswerError::WrongServer)?;
        if let Ok(text) = fields.text("error", 256) {
            return Err(match text.as_str() {
                UNKNOWN_KEY => AnswerError::UnknownKey,
                _ => AnswerError::Unsealed(text),
            });
        }
        let sealed = fields.parsed("ct", "base64url", from_base64url);
        let sealed = sealed.map_err(|_| AnswerError::WrongServer)?;
        let plain = self.answer_key.open(&sealed).ok_or(AnswerError::NotGenuine)?;
        let malformed = |error: fields::Error| AnswerError::Malformed(error.to_string());
        let value = json::parse(&plain).map_err(|error| malformed(error.into()))?;
        let answer = Answer::from_json(&value).map_err(malformed)?;
        if answer.req_id == self.req_id {
            Ok(answer)
        } else {
            Err(AnswerError::Malformed("`req_id` is not that of the request".to_owned()))
        }
    }
}

/// An opened request whose device signature is valid.
pub struct OpenedRequest {
    /// The request.
    pub request: Request,
    /// The device that signed it.
    pub device: PublicKey,
    /// Seals the answer.
    pub reply: AnswerSealer,
}

/// Why a request could not be opened; [`RequestError::to_body`] is the body of the answer, with status 422.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestError {
    /// It is sealed to a key that the authority does not have.
    UnknownKey,
    /// It does not have the form of a request: what is wrong.
    Malformed(String),
    /// It does not open, or the device signature is wrong.
    NotGenuine,
}

const UNKNOWN_KEY: &str = "unknown kid";

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::UnknownKey => f.write_str(UNKNOWN_KEY),
            RequestError::Malformed(what) => f.write_str(what),
            RequestError::NotGenuine => f.write_str("the request was changed in transit"),
        }
    }
}

impl std::error::Error for RequestError {}

impl From<fields::Error> for RequestError {
    fn from(error: fields::Error) -> RequestError {
        RequestError::Malformed(error.to_string())
    }
}

impl RequestError {
    /// `{"v":1,"error":"…"}`, which is not authenticated and so never trusted.
    pub fn to_body(&self) -> Vec<u8> {
        json!({"v": VERSION, "error": self.to_string()}).to_string().into_bytes()
    }
}

/// Opens a posted body with the authority's keys.
///
/// # Errors
/// Why it can't be opened; it must have no effect.
pub fn open(body: &[u8], keys: &[RequestKey]) -> Result<OpenedRequest, RequestError> {
    if body.len() > LARGEST {
        return Err(RequestError::Malformed(format!("more than {LARGEST} bytes")));
    }
    let sealed = Sealed::from_body(body)?;
    open_sealed(&sealed, Digest::of(body), keys)
}

/// Opens a request that came in a certificate. Its [`AnswerSealer`] is of no use.
///
/// # Errors
/// Why it can't be opened.
pub fn open_certificate(
    sealed: &Sealed,
    keys: &[RequestKey],
) -> Result<OpenedRequest, RequestError> {
    open_sealed(sealed, Digest::NONE, keys)
}

fn open_sealed(
    sealed: &Sealed,
    body: Digest,
    keys: &[RequestKey],
) -> Result<OpenedRequest, RequestError> {
    let key = keys.iter().find(|key| key.kid == sealed.kid).ok_or(RequestError::UnknownKey)?;
    let private = HpkePrivateKey::from(key.secret().to_vec());
    let enc = EncapsulatedSecret(sealed.enc.to_vec());
    let plain = suite().open(&enc, &info(&sealed.kid), b"", &sealed.ct, &private);
    let plain = Zeroizing::new(plain.map_err(|_| RequestError::NotGenuine)?);
    let (text, signature) = signed_text(&plain)?;
    let value = json::parse(text.as_bytes()).map_err(fields::Error::from)?;
    let fields = Fields::of(&value)?;
    let device = fields.public_key("device_pub")?;
    if !device.verifies(&device_bytes(&text), &signature) {
        return Err(RequestError::NotGenuine);
    }
    let request = Request::from_fields(&fields)?;
    let key = fields.parsed("rk", "32 bytes in base64url", |text| {
        from_base64url(text)?.try_into().ok().map(Zeroizing::new)
    })?;
    Ok(OpenedRequest { request, device, reply: AnswerSealer(AnswerKey { key, body }) })
}

fn signed_text(plain: &[u8]) -> Result<(String, Vec<u8>), fields::Error> {
    let value = json::parse(plain)?;
    let fields = Fields::of(&value)?;
    let signature = fields.parsed("s", "base64url", from_base64url)?;
    Ok((fields.text("b", LARGEST)?, signature))
}

/// Seals the answer to one request.
pub struct AnswerSealer(AnswerKey);

impl AnswerSealer {
    /// The body that goes back with status 200.
    ///
    /// # Errors
    /// When the library fails.
    pub fn seal(&self, answer: &Answer) -> Result<Vec<u8>, CryptoError> {
        let sealed = self.0.seal(answer.to_json().to_string().into_bytes())?;
        Ok(json!({"v": VERSION, "ct": base64url(&sealed)}).to_string().into_bytes())
    }
}

/// AES-256-GCM with a key that is used for one request, bound to its body.
struct AnswerKey {
    key: Zeroizing<[u8; 32]>,
    body: Digest,
}

impl AnswerKey {
    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.key[..]).ok().map(LessSafeKey::new)
    }

    fn binding(&self) -> Aad<Vec<u8>> {
        let mut bytes = format!("{PROTOCOL} response\0").into_bytes();
        bytes.extend_from_slice(&self.body.0);
        Aad::from(bytes)
    }

    /// `nonce | ciphertext | tag`. A replayed request gets a second answer with the same key, so the
    /// nonce is random.
    fn seal(&self, mut text: Vec<u8>) -> Result<Vec<u8>, CryptoError> {
        let nonce = random::<NONCE_LEN>()?;
        let cipher = self.cipher().ok_or(CryptoError)?;
        let bound = Nonce::assume_unique_for_key(nonce);
        cipher
            .seal_in_place_append_tag(bound, self.binding(), &mut text)
            .map_err(|_| CryptoError)?;
        Ok([&nonce[..], &text].concat())
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let plain = self.cipher()?.open_in_place(nonce, self.binding(), &mut text).ok()?;
        Some(plain.to_vec())
    }
}

fn suite() -> &'static dyn Hpke {
    DH_KEM_X25519_HKDF_SHA256_AES_256
}

fn info(kid: &KeyId) -> Vec<u8> {
    format!("{PROTOCOL} request\0v={VERSION};kid={kid};suite=0020-0001-0002").into_bytes()
}

fn device_bytes(text: &str) -> Vec<u8> {
    format!("{PROTOCOL}/device\0{text}").into_bytes()
}

#[cfg(test)]
pub(crate) mod tests;
