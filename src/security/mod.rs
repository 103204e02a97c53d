//! STUB of the signatures; the security room replaces every body and may split files.
use crate::config::Api;
use crate::live::Live;
use crate::log::Log;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The access rules in force, as one value: what the gate reads per request.
pub struct Rules {
    pub plain_http: bool,
    pub password: Password,
}
/// What the administrator's password is.
pub enum Password {
    /// None set: v1 paths open, v2 paths `admin`:`admin`.
    Unset,
    /// Authentication switched off (v2 alone).
    Off,
    /// The file is damaged: nobody gets in from the network until it is reset on the console.
    Locked,
    /// Kept as a bcrypt hash.
    Set(PasswordHash),
}
pub struct PasswordHash(());
impl PasswordHash {
    /// Compares at bcrypt's own pace (CPU bound; cost 12 takes about a quarter of a second).
    pub fn matches(&self, _password: &[u8]) -> bool {
        unimplemented!()
    }
    /// Changes whenever the line in the file changes; what a verified credential is remembered under.
    pub fn fingerprint(&self) -> &[u8] {
        unimplemented!()
    }
}
/// Where the certificate in use comes from.
pub enum Source {
    Default,
    Uploaded,
}
/// The certificate in use, with its key in a form rustls signs with.
pub struct Identity {
    pub certified: Arc<rustls::sign::CertifiedKey>,
    pub summary: Summary,
}
/// What `GET sslcertificate` tells.
pub struct Summary {
    pub source: Source,
    pub subject: String,
    pub issuer: String,
    pub names: Vec<String>,
    pub not_before: i64,
    pub not_after: i64,
    pub sha256: String,
    pub chain_length: usize,
    pub key_type: String,
}
/// Who asked for a change, for the security log.
pub enum Actor {
    Local,
    Remote(IpAddr),
}
/// Why a change was not made; nothing has changed.
pub enum Fault {
    /// The input is at fault: what is wrong and what to do, for the person (400).
    Refused(String),
    /// The disk or we are at fault: for the person and the log (500).
    Failed(String),
}
pub struct Keeper(());
impl Keeper {
    /// Reads the state folder (made with mode 0700 if absent), makes the default certificate at the first start.
    pub fn open(_state_dir: &Path, _api: Api, _log: Log) -> Result<Keeper, String> {
        unimplemented!()
    }
    pub fn rules(&self) -> &Arc<Live<Rules>> {
        unimplemented!()
    }
    pub fn identity(&self) -> &Arc<Live<Identity>> {
        unimplemented!()
    }
    pub fn replace_certificate(
        &self,
        _by: &Actor,
        _keyfile: &[u8],
        _certfile: &[u8],
        _now: SystemTime,
    ) -> Result<(), Fault> {
        unimplemented!()
    }
    pub fn set_plain_http(&self, _by: &Actor, _enabled: bool) -> Result<(), Fault> {
        unimplemented!()
    }
    pub fn set_password(&self, _by: &Actor, _password: &str) -> Result<(), Fault> {
        unimplemented!()
    }
    pub fn unset_password(&self, _by: &Actor) -> Result<(), Fault> {
        unimplemented!()
    }
    pub fn reset(&self, _by: &Actor) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Takes in files changed by hand.
    pub fn reload(&self) {
        unimplemented!()
    }
}
