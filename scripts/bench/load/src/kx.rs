//! Key exchanges that reuse one key, so that the client is cheaper than any server.

use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::kem::{DecapsulationKey, ML_KEM_768};
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup};

/// Bytes of an ML-KEM-768 ciphertext, with which the server's share of the hybrid begins.
const CIPHERTEXT: usize = 1088;

/// X25519, behind ML-KEM-768 if `kem` is there: draft-ietf-tls-ecdhe-mlkem.
pub(crate) struct Fixed {
    group: NamedGroup,
    kem: Option<DecapsulationKey>,
    key: PrivateKey,
    public: Vec<u8>,
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.group.fmt(f)
    }
}

/// `name` is x25519 or x25519mlkem768.
pub(crate) fn fixed(name: &str) -> &'static Fixed {
    static CLASSICAL: OnceLock<Fixed> = OnceLock::new();
    static HYBRID: OnceLock<Fixed> = OnceLock::new();
    match name {
        "x25519" => CLASSICAL.get_or_init(|| Fixed::new(NamedGroup::X25519, None)),
        "x25519mlkem768" => HYBRID.get_or_init(|| {
            let kem = DecapsulationKey::generate(&ML_KEM_768).expect("a key");
            Fixed::new(NamedGroup::X25519MLKEM768, Some(kem))
        }),
        other => panic!("--group can't be {other}"),
    }
}

impl Fixed {
    fn new(group: NamedGroup, kem: Option<DecapsulationKey>) -> Fixed {
        let mut public = Vec::new();
        if let Some(kem) = &kem {
            let half = kem.encapsulation_key().expect("its public half");
            public.extend_from_slice(half.key_bytes().expect("its bytes").as_ref());
        }
        let key = PrivateKey::generate(&X25519).expect("a key");
        public.extend_from_slice(key.compute_public_key().expect("its public half").as_ref());
        Fixed { group, kem, key, public }
    }

    fn secret(&self, peer: &[u8]) -> Option<Vec<u8>> {
        let (mut secret, mut point) = (Vec::new(), peer);
        if let Some(kem) = &self.kem {
            let (ciphertext, rest) = peer.split_at_checked(CIPHERTEXT)?;
            secret.extend_from_slice(kem.decapsulate(ciphertext.into()).ok()?.as_ref());
            point = rest;
        }
        let point = UnparsedPublicKey::new(&X25519, point);
        agree(&self.key, point, (), |classical| {
            secret.extend_from_slice(classical);
            Ok(())
        })
        .ok()?;
        Some(secret)
    }
}

impl SupportedKxGroup for Fixed {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let all = match self.kem {
            Some(_) => fixed("x25519mlkem768"),
            None => fixed("x25519"),
        };
        Ok(Box::new(Exchange(all)))
    }

    fn name(&self) -> NamedGroup {
        self.group
    }
}

struct Exchange(&'static Fixed);

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let secret = self.0.secret(peer).ok_or(Error::General("key exchange".into()))?;
        Ok(SharedSecret::from(secret))
    }

    fn pub_key(&self) -> &[u8] {
        &self.0.public
    }

    fn group(&self) -> NamedGroup {
        self.0.group
    }
}
