//! Question and answer sealed, so that they may pass any network and any proxy in plain HTTP.
//!
//! The question is sealed to the authority's key with HPKE base mode (RFC 9180, suite
//! 0x0020/0x0001/0x0002) and signed by the device inside; the answer comes back under a fresh key that
//! lay inside the seal, bound to the bytes of the question. So an answer fits one question only, and
//! an old one can't be played again. What is not sealed is never believed: it is only shown.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use serde_json::json;
use zeroize::Zeroizing;

use super::fields::Fields;
use super::hex::{Digest, RequestId};
use super::key::{
    Broken, KeyId, PublicKey, RequestKey, RequestPublicKey, SigningKey, base64url, freshly,
    from_base64url, random,
};
use super::message::{Answer, Request};
use super::trust::Trust;
use crate::config::json;
use crate::license::protocol::PROTOCOL;

/// Where questions are posted.
pub const PATH: &str = "/v1/license";

/// The version of the envelope; another one is refused.
const VERSION: i64 = 1;

/// Largest question or answer that is looked at, in bytes.
pub const LARGEST: usize = 65_536;

/// The sealed text is filled up to a multiple of this many bytes, so that its length tells little.
const BLOCK: usize = 256;

/// A sealed question as its three parts; JSON and activation certificate are two ways to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which key of the authority opens it.
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

    fn from_body(body: &[u8]) -> Result<Sealed, String> {
        let value = json::parse(body)?;
        let fields = Fields::of(&value)?;
        version(&fields)?;
        Ok(Sealed {
            kid: fields.parsed("kid", "the name of a key", KeyId::parse)?,
            enc: fields.parsed("enc", "32 bytes in base64url", |text| {
                from_base64url(text)?.try_into().ok()
            })?,
            ct: fields.parsed("ct", "base64url", from_base64url)?,
        })
    }
}

fn version(fields: &Fields<'_>) -> Result<(), String> {
    match fields.count("v")? {
        VERSION => Ok(()),
        other => Err(format!("version {other} is not supported, only {VERSION}")),
    }
}

/// Why nothing could be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// The bundle in force has no key to seal to.
    NoKey,
    /// The library refused.
    Broken,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealError::NoKey => {
                f.write_str("the trust file names no key that requests can be sealed to")
            }
            SealError::Broken => Broken.fmt(f),
        }
    }
}

impl std::error::Error for SealError {}

impl From<Broken> for SealError {
    fn from(_: Broken) -> SealError {
        SealError::Broken
    }
}

/// A question ready to be sent, and what its answer will be opened with.
pub struct SealedRequest {
    /// The body to post to [`PATH`], `application/json`; every retry is sealed anew.
    pub body: Vec<u8>,
    /// The same for [`super::certificate`].
    pub sealed: Sealed,
    /// Opens the answer to exactly this body.
    pub opener: Opener,
}

/// Seals to the best key of the bundle in force; `now` in seconds since 1970 only helps to choose.
///
/// # Errors
/// When there is no key.
pub fn seal(
    request: &Request,
    trust: &Trust,
    now: i64,
    device: &SigningKey,
) -> Result<SealedRequest, SealError> {
    let keys = trust.request_keys(now);
    seal_to(request, keys.first().ok_or(SealError::NoKey)?, device)
}

/// Seals to `key`: for the second try with another one after [`OpenError::UnknownKey`].
///
/// # Errors
/// When the library refuses, as it does for a public key that is no point of the curve.
pub fn seal_to(
    request: &Request,
    key: &RequestPublicKey,
    device: &SigningKey,
) -> Result<SealedRequest, SealError> {
    let answer_key = Zeroizing::new(random::<32>()?);
    let text = request.to_json(&device.public(), &base64url(&answer_key[..])).to_string();
    let signature = base64url(&device.sign(&device_bytes(&text)));
    let mut plain = json!({"b": text, "s": signature}).to_string().into_bytes();
    plain.resize(plain.len().next_multiple_of(BLOCK), b' ');
    let public = HpkePublicKey(key.public.to_vec());
    let (enc, ct) =
        freshly(|| suite().seal(&info(&key.kid), b"", &plain, &public).map_err(|_| Broken))?;
    let enc = enc.0.try_into().map_err(|_| Broken)?;
    let sealed = Sealed { kid: key.kid.clone(), enc, ct };
    let body = sealed.to_body();
    let opener = Opener {
        answer_key: AnswerKey { key: answer_key, body: Digest::of(&body) },
        req_id: request.req_id,
    };
    Ok(SealedRequest { body, sealed, opener })
}

/// Why an answer says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// The authority can't open what was sealed to that key: seal to another one.
    UnknownKey,
    /// The authority says, unsealed, why it could not read the question; for display only.
    Unsealed(String),
    /// It is not from the authority: a proxy or a portal spoke.
    NotOurs,
    /// It has the right form and does not open: changed on its way, or to another question.
    NotGenuine,
    /// It opened and makes no sense: which member.
    Malformed(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::UnknownKey => {
                f.write_str("the license authority does not have the key asked for")
            }
            OpenError::Unsealed(text) => {
                write!(f, "the license authority could not read the request: {text}")
            }
            OpenError::NotOurs => f.write_str("the answer is not from the license authority"),
            OpenError::NotGenuine => {
                f.write_str("the answer was changed on its way or belongs to another request")
            }
            OpenError::Malformed(what) => {
                write!(f, "the answer of the license authority makes no sense: {what}")
            }
        }
    }
}

impl std::error::Error for OpenError {}

/// Opens the answer to one question.
pub struct Opener {
    answer_key: AnswerKey,
    req_id: RequestId,
}

impl Opener {
    /// The answer, which is from the authority and to this very question; its token is still to be verified.
    ///
    /// # Errors
    /// Why it says nothing; nothing may change because of it.
    pub fn open(&self, body: &[u8]) -> Result<Answer, OpenError> {
        if body.len() > LARGEST {
            return Err(OpenError::NotOurs);
        }
        let value = json::parse(body).map_err(|_| OpenError::NotOurs)?;
        let fields = Fields::of(&value).map_err(|_| OpenError::NotOurs)?;
        version(&fields).map_err(|_| OpenError::NotOurs)?;
        if let Ok(text) = fields.text("error", 256) {
            let unknown = text == UNKNOWN_KEY;
            return Err(if unknown { OpenError::UnknownKey } else { OpenError::Unsealed(text) });
        }
        let sealed =
            fields.parsed("ct", "base64url", from_base64url).map_err(|_| OpenError::NotOurs)?;
        let plain = self.answer_key.open(&sealed).ok_or(OpenError::NotGenuine)?;
        let value = json::parse(&plain).map_err(OpenError::Malformed)?;
        let answer = Answer::from_json(&value).map_err(OpenError::Malformed)?;
        if answer.req_id == self.req_id {
            Ok(answer)
        } else {
            Err(OpenError::Malformed("`req_id` is not that of the request".to_owned()))
        }
    }
}

/// A question that was opened; its device signature is good.
pub struct OpenedRequest {
    /// What is asked.
    pub request: Request,
    /// The device that signed it.
    pub device: PublicKey,
    /// Seals the answer.
    pub reply: Reply,
}

/// Why a question could not be opened; [`Unopened::to_body`] goes back with status 422.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unopened {
    /// Sealed to a key that is not here.
    UnknownKey,
    /// It does not have the form of a question: what is wrong.
    Malformed(String),
    /// It does not open, or the device signature is wrong.
    NotGenuine,
}

const UNKNOWN_KEY: &str = "unknown kid";

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unopened::UnknownKey => f.write_str(UNKNOWN_KEY),
            Unopened::Malformed(what) => f.write_str(what),
            Unopened::NotGenuine => f.write_str("the request was changed on its way"),
        }
    }
}

impl std::error::Error for Unopened {}

impl Unopened {
    /// `{"v":1,"error":"…"}`, which anybody could have written and nobody believes.
    pub fn to_body(&self) -> Vec<u8> {
        json!({"v": VERSION, "error": self.to_string()}).to_string().into_bytes()
    }
}

/// Opens a posted body with the authority's keys.
///
/// # Errors
/// Why it can't be opened; nothing may change because of it.
pub fn open(body: &[u8], keys: &[RequestKey]) -> Result<OpenedRequest, Unopened> {
    if body.len() > LARGEST {
        return Err(Unopened::Malformed(format!("more than {LARGEST} bytes")));
    }
    let sealed = Sealed::from_body(body).map_err(Unopened::Malformed)?;
    open_sealed(&sealed, Digest::of(body), keys)
}

/// The same for a question that came in a certificate. Its [`Reply`] is of no use.
///
/// # Errors
/// Why it can't be opened.
pub fn open_certificate(sealed: &Sealed, keys: &[RequestKey]) -> Result<OpenedRequest, Unopened> {
    open_sealed(sealed, Digest::NONE, keys)
}

fn open_sealed(
    sealed: &Sealed,
    body: Digest,
    keys: &[RequestKey],
) -> Result<OpenedRequest, Unopened> {
    let key = keys.iter().find(|key| key.kid == sealed.kid).ok_or(Unopened::UnknownKey)?;
    let private = HpkePrivateKey::from(key.secret().to_vec());
    let enc = EncapsulatedSecret(sealed.enc.to_vec());
    let plain = suite().open(&enc, &info(&sealed.kid), b"", &sealed.ct, &private);
    let plain = Zeroizing::new(plain.map_err(|_| Unopened::NotGenuine)?);
    let (text, signature) = signed_text(&plain).map_err(Unopened::Malformed)?;
    let value = json::parse(text.as_bytes()).map_err(Unopened::Malformed)?;
    let fields = Fields::of(&value).map_err(Unopened::Malformed)?;
    let device = fields.public_key("device_pub").map_err(Unopened::Malformed)?;
    if !device.verifies(&device_bytes(&text), &signature) {
        return Err(Unopened::NotGenuine);
    }
    let request = Request::from_fields(&fields).map_err(Unopened::Malformed)?;
    let answer_key = fields.parsed("rk", "32 bytes in base64url", |text| {
        from_base64url(text)?.try_into().ok().map(Zeroizing::new)
    });
    let key = answer_key.map_err(Unopened::Malformed)?;
    Ok(OpenedRequest { request, device, reply: Reply(AnswerKey { key, body }) })
}

fn signed_text(plain: &[u8]) -> Result<(String, Vec<u8>), String> {
    let value = json::parse(plain)?;
    let fields = Fields::of(&value)?;
    let signature = fields.parsed("s", "base64url", from_base64url)?;
    Ok((fields.text("b", LARGEST)?, signature))
}

/// Seals the answer to one question.
pub struct Reply(AnswerKey);

impl Reply {
    /// The body that goes back with status 200.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn seal(&self, answer: &Answer) -> Result<Vec<u8>, Broken> {
        let sealed = self.0.seal(answer.to_json().to_string().into_bytes())?;
        Ok(json!({"v": VERSION, "ct": base64url(&sealed)}).to_string().into_bytes())
    }
}

/// AES-256-GCM under a key that serves one question, bound to its body.
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

    /// `nonce | ciphertext | tag`. A replay of the question makes a second answer under the same key,
    /// so the nonce is random.
    fn seal(&self, mut text: Vec<u8>) -> Result<Vec<u8>, Broken> {
        let nonce = random::<NONCE_LEN>()?;
        let cipher = self.cipher().ok_or(Broken)?;
        let bound = Nonce::assume_unique_for_key(nonce);
        cipher.seal_in_place_append_tag(bound, self.binding(), &mut text).map_err(|_| Broken)?;
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
