//! `init`, `rotate` and `serve`: what is done with the keys.

use std::io::Write as _;

use super::options::{Options, now, required};
use super::{Error, failed};
use crate::authority::keyring::{self, KeyKind};
use crate::authority::server;
use crate::log::Log;

pub(super) fn init(options: &Options) -> Result<String, Error> {
    let customer = required("customer", options.digits("customer", 4)?)?;
    let number = customer.parse().ok().filter(|_| customer.len() == 4);
    let number = number.ok_or_else(|| Error::Usage("--customer takes four digits".to_owned()))?;
    let dir = options.dir.display();
    if !keyring::init(&options.dir, number, now())? {
        return failed(format!("{dir} holds a license authority already; nothing was changed"));
    }
    Ok(format!(
        "{dir}/trust.json is for the image of the appliance.\n\
         {dir}/root.key is needed for `rotate` alone: keep it elsewhere."
    ))
}

pub(super) fn rotate(options: &Options) -> Result<String, Error> {
    let which = match options.argument() {
        "issuer" => KeyKind::Issuer,
        "request-key" => KeyKind::Request,
        _ => return Err(Error::Usage("rotate takes issuer or request-key".to_owned())),
    };
    let kid = keyring::rotate(&options.dir, which, options.given("revoke"), now())?;
    Ok(format!("{kid} is in use; put the new {}/trust.json into new images", options.dir.display()))
}

pub(super) fn serve(options: &Options) -> Result<String, Error> {
    let address = required("listen", options.address()?)?;
    let announce = |line: &str| {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    };
    server::run(&options.dir, address, &Log::to_stderr(), announce)?;
    Ok(String::new())
}
