//! `backup`, `restore`, `copy`, `upgrade` and `archive`: what moves from one place to another.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use super::options::{Options, now, required};
use super::{Error, failed};
use crate::authority::archive as old_lines;
use crate::authority::copy::{Copied, check_target};
use crate::authority::database::{Database, Key, read};
use crate::authority::keyring::Keyring;
use crate::authority::licenses::Licenses;
use crate::authority::{backup as file, copy as records, server, upgrade as old};
use crate::store;

/// Tells on a terminal how far a long command is.
pub(super) fn progress() -> impl FnMut(u64) {
    let terminal = io::stderr().is_terminal();
    move |count| {
        if terminal && count.is_multiple_of(1_000) {
            let _ = write!(io::stderr(), "\r{count} licenses\r");
        }
    }
}

pub(super) fn backup(options: &Options) -> Result<String, Error> {
    let licenses = options.licenses()?;
    Keyring::load(licenses.database(), &options.dir)?;
    let path = Path::new(&options.argument);
    let copied = file::backup(&licenses, path, now(), &mut progress())?;
    Ok(format!(
        "{} licenses and the keys are in {}: keep it as safe as the keys; the root key is not in it",
        copied.licenses,
        path.display()
    ))
}

pub(super) fn restore(options: &Options) -> Result<String, Error> {
    let mut licenses = options.licenses()?;
    // Damaged keys are keys too: what is there is not to be mixed with a backup.
    if read(licenses.database(), &Key::keys())?.is_some() {
        return failed(format!("{} holds a license authority already", options.place()));
    }
    store::make_folder(&options.dir)?;
    let copied = file::restore(Path::new(&options.argument), &mut licenses, &mut progress())?;
    Keyring::load(licenses.database(), &options.dir)?.write_trust(&options.dir)?;
    licenses.verify(&mut |_| {})?;
    Ok(said(&copied, "restored"))
}

pub(super) fn copy(options: &Options) -> Result<String, Error> {
    let from = Licenses::new(place(options, "from")?);
    let mut to = Licenses::new(place(options, "to")?);
    check_target(from.database(), to.database())?;
    let copied = records::copy(&from, &mut to, &mut progress())?;
    to.verify(&mut |_| {})?;
    Ok(said(&copied, "copied"))
}

pub(super) fn upgrade(options: &Options) -> Result<String, Error> {
    let _lock = server::lock_folder(&options.dir)?;
    let mut licenses = options.licenses()?;
    let copied = old::upgrade(&options.dir, &mut licenses, &mut progress())?;
    licenses.verify(&mut |_| {})?;
    Ok(said(&copied, "brought over"))
}

pub(super) fn archive(options: &Options) -> Result<String, Error> {
    let before = required("before", options.date("before")?)?;
    let licenses = options.licenses()?;
    let path = Path::new(&options.argument);
    let archived = old_lines::archive(&licenses, path, before, now(), &mut progress())?;
    Ok(match archived.lines {
        0 => "no audit log has lines of before: no file was made".to_owned(),
        lines => format!(
            "{lines} lines of {} audit logs are in {} and no longer in {}: keep the file, it is part of the proof",
            archived.licenses,
            path.display(),
            options.place()
        ),
    })
}

/// The place that a flag names.
fn place(options: &Options, flag: &'static str) -> Result<Arc<dyn Database>, Error> {
    let place = required(flag, options.words(flag)?)?;
    options.database_at(flag, &place)
}

fn said(copied: &Copied, what: &str) -> String {
    let Copied { licenses, unchanged } = copied;
    let rest = match unchanged {
        0 => String::new(),
        unchanged => format!(", {unchanged} were there already"),
    };
    format!("{licenses} licenses were {what}{rest}; everything there is whole")
}
