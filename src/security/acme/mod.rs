//! Certificates that come by themselves, from an authority that speaks ACME (RFC 8555).
//!
//! In: the protocol ([`client`]), one attempt to get a certificate (`order`), when to try (`renewal`), what is on
//! the disk (`record`), and the thread that does it (`worker`). Out: what the gate answers to the authority
//! ([`Challenges`] are only published here), and the checks of a certificate, which are those of an upload.
//!
//! While ACME is off there is no thread, nothing is sent and nothing is published.

mod challenges;

mod client;

mod order;

mod record;

mod renewal;

mod worker;

pub(crate) use challenges::{AlpnChallenge, Challenges, HttpChallenge};
pub(in crate::security) use client::AccountKey;
pub(crate) use client::Proxy as AcmeProxy;
pub(in crate::security) use record::AcmeFile;
pub(crate) use record::AcmeRecord;
pub(crate) use renewal::is_urgent;
pub(crate) use worker::AcmeWorker;
