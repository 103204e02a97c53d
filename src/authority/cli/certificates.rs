//! `sign`, `redeem` and `inspect`: certificates of appliances without a network.

use std::fs::File;
use std::io::{self, Read};

use super::options::{Options, now};
use super::{Error, failed, listings};
use crate::authority::keyring::Keyring;
use crate::authority::service::{self, Service};
use crate::license::protocol::certificate::LONGEST;
use crate::log::Log;

/// The text of FILE, or of standard input for `-`.
fn text(options: &Options) -> Result<String, Error> {
    let name = options.argument();
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
    Ok(Service::open(&options.dir, Log::to(|_| {}))?)
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
    let trust = Keyring::load(&options.dir).ok().and_then(|keys| keys.trust().ok());
    let shown = service::inspect(&text(options)?, trust.as_ref(), now())?;
    Ok(if options.json() { shown.to_string() } else { listings::text(&shown) })
}
