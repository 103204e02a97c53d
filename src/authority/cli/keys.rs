//! `init`, `rotate` and `serve`: what is done with the keys.

use std::io::Write as _;

use super::options::{Options, now, required};
use super::{Error, failed};
use crate::authority::keyring::{self, KeyKind};
use crate::authority::server::{self, Listen, Proxies, Settings};
use crate::log::Log;

pub(super) fn init(options: &Options) -> Result<String, Error> {
    let customer = required("customer", options.digits("customer", 4)?)?;
    let number = customer.parse().ok().filter(|_| customer.len() == 4);
    let number = number.ok_or_else(|| Error::Usage("--customer takes four digits".to_owned()))?;
    let dir = options.dir.display();
    if !keyring::init(&*options.database()?, &options.dir, number, now())? {
        return failed(format!("{dir} holds a license authority already; nothing was changed"));
    }
    Ok(format!(
        "{dir}/trust.json is for the image of the appliance.\n\
         {dir}/root.key is needed for `rotate` alone: keep it elsewhere."
    ))
}

pub(super) fn rotate(options: &Options) -> Result<String, Error> {
    let which = match options.argument.as_str() {
        "issuer" => KeyKind::Issuer,
        "request-key" => KeyKind::Request,
        _ => return Err(Error::Usage("rotate takes issuer or request-key".to_owned())),
    };
    let kid = keyring::rotate(
        &*options.database()?,
        &options.dir,
        which,
        options.given("revoke"),
        now(),
    )?;
    Ok(format!("{kid} is in use; put the new {}/trust.json into new images", options.dir.display()))
}

pub(super) fn serve(options: &Options) -> Result<String, Error> {
    let usage = |flag: &str, fault: String| Error::Usage(format!("--{flag} {fault}"));
    let listen = options.all("listen").iter().map(|text| {
        let read = Listen::parse(text);
        let wanted = "an address as in 127.0.0.1:8100, [::1]:8100 or unix:/run/authority.sock";
        read.ok_or_else(|| usage("listen", format!("{text:?} is not {wanted}")))
    });
    let settings = Settings {
        listen: listen.collect::<Result<_, _>>()?,
        proxies: Proxies::parse(options.all("trusted-proxy"))
            .map_err(|fault| usage("trusted-proxy", fault))?,
        user: options.value("user").map(str::to_owned),
        clock_is_right: options.given("clock-is-right"),
        free_seats_after: options.days_or_never("free-seats-after", 30)?,
    };
    if settings.listen.is_empty() && std::env::var_os("LISTEN_FDS").is_none() {
        required("listen", None::<()>)?;
    }
    let announce = |line: &str| {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    };
    let (database, log) = (options.database()?, Log::to_stderr());
    server::run(&database, &options.dir, settings, &log, announce)?;
    Ok(String::new())
}
