//! `init`, `rotate` and `serve`: what is done with the keys.

use std::io::Write as _;

use super::options::{Options, needed, now};
use super::{Fault, failed};
use crate::authority::keyring::{self, KeyKind};
use crate::authority::server;
use crate::log::Log;

pub(super) fn init(options: &Options) -> Result<String, Fault> {
    let customer = needed("customer", options.digits("customer", 4)?)?;
    let number = customer.parse().ok().filter(|_| customer.len() == 4);
    let number = number.ok_or_else(|| Fault::Usage("--customer takes four digits".to_owned()))?;
    let dir = options.dir.display();
    if !keyring::init(&options.dir, number, now())? {
        return failed(format!("{dir} holds a license authority already; nothing was changed"));
    }
    Ok(format!(
        "{dir}/trust.json is for the image of the appliance.\n\
         {dir}/root.key is needed for `rotate` alone: keep it elsewhere."
    ))
}

pub(super) fn rotate(options: &Options) -> Result<String, Fault> {
    let which = match options.argument() {
        "issuer" => KeyKind::Issuer,
        "request-key" => KeyKind::Request,
        _ => return Err(Fault::Usage("rotate takes issuer or request-key".to_owned())),
    };
    let kid = keyring::rotate(&options.dir, which, options.given("revoke"), now())?;
    Ok(format!("{kid} is in use; new images get the new {}/trust.json", options.dir.display()))
}

pub(super) fn serve(options: &Options) -> Result<String, Fault> {
    let address = needed("listen", options.address()?)?;
    let announce = |line: &str| {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    };
    server::run(&options.dir, address, &Log::to_stderr(), announce)?;
    Ok(String::new())
}
