//! `sign`, `redeem` and `inspect`: certificates of appliances without a network.

use std::fs::File;
use std::io::{self, Read};

use serde_json::{Value, json};

use super::options::{Options, now};
use super::{Error, failed, listings};
use crate::authority::keyring::Keyring;
use crate::authority::service::Service;
use crate::license::protocol::certificate::{Certificate, LONGEST};
use crate::license::protocol::{claims, token, trust};
use crate::log::Log;
use crate::util::utc;

/// The text of FILE, or of standard input for `-`.
fn text(options: &Options) -> Result<String, Error> {
    let name = options.argument.as_str();
    let mut text = Vec::new();
    let most = LONGEST as u64 + 1;
    let read = match name {
        "-" => io::stdin().take(most).read_to_end(&mut text),
        _ => File::open(name).and_then(|file| file.take(most).read_to_end(&mut text)),
    };
    if let Err(error) = read {
        return failed(format!("cannot read {name}: {error}"));
    }
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        return failed(format!("{name} is UTF-16, as PowerShell writes it; save it as UTF-8"));
    }
    String::from_utf8(text).or_else(|_| failed(format!("{name} is not text")))
}

/// A service that logs nothing, because the command prints the outcome.
fn service(options: &Options) -> Result<Service, Error> {
    Ok(Service::open(options.database()?, &options.dir, Log::to(|_| {}))?)
}

pub(super) fn sign(options: &Options) -> Result<String, Error> {
    Ok(service(options)?.sign(&text(options)?, now())?)
}

pub(super) fn redeem(options: &Options) -> Result<String, Error> {
    let (seconds, moved) = service(options)?.redeem(&text(options)?, now())?;
    Ok(if moved {
        format!("{seconds} seconds were credited to the license")
    } else {
        format!(
            "this certificate was redeemed before, for {seconds} seconds; nothing was credited now"
        )
    })
}

pub(super) fn inspect(options: &Options) -> Result<String, Error> {
    let trust =
        Keyring::load(&*options.database()?, &options.dir).ok().and_then(|keys| keys.trust().ok());
    let shown = described(&text(options)?, trust.as_ref(), now())?;
    Ok(if options.json() { shown.to_string() } else { listings::text(&shown) })
}

/// Describes the content of a certificate or token. Checks the signature if `trust` is given, and nothing
/// else.
///
/// # Errors
/// When the text is neither.
fn described(text: &str, trust: Option<&trust::Trust>, now: i64) -> Result<Value, Error> {
    let as_token = text.trim();
    let certificate = match token::Unverified::parse(as_token) {
        Some(_) => Certificate::License(as_token.to_owned()),
        None => Certificate::read(text).map_err(|error| Error::Failed(error.to_string()))?,
    };
    let kind = certificate.kind().to_string();
    let text = match &certificate {
        Certificate::Activation(sealed) | Certificate::Return(sealed) => {
            let (kid, bytes) = (sealed.kid.as_str(), sealed.ct.len());
            return Ok(json!({"is": kind, "sealed_to": kid, "sealed_bytes": bytes}));
        }
        Certificate::License(text) => text,
    };
    let damaged = || Error::Failed("the token in it is damaged".to_owned());
    let token = token::Unverified::parse(text).ok_or_else(damaged)?;
    let payload = token.unverified_payload().ok_or_else(damaged)?;
    let genuine = match trust {
        None => "not checked: --dir holds no keys".to_owned(),
        Some(trust) => genuine(trust, text, now),
    };
    let mut shown = json!({
        "is": if as_token == text { "a token" } else { &kind },
        "signed_with": token.kid.as_str(),
        "genuine": genuine,
    });
    if let Ok(lease) = claims::Lease::from_json(&payload) {
        shown["seconds"] = lease.granted.into();
        shown["subscription_expiry"] = utc::format(lease.exp).into();
    }
    shown["says"] = payload;
    Ok(shown)
}

/// Whether a token was signed with a key that is valid at `now`.
fn genuine(trust: &trust::Trust, token: &str, now: i64) -> String {
    let verified = |kind: &&token::Type| trust.verify(**kind, token, trust::Dates::At(now)).is_ok();
    match token::Type::ALL.iter().find(verified) {
        Some(kind) => format!("yes, as a {}", kind.name()),
        None => "no: no key that is valid now made this signature".to_owned(),
    }
}
