//! The command line of `license-authority`: one table of commands drives dispatch and `--help`.
//!
//! Exit codes: 0 success, 1 the command failed, 2 wrong usage. Errors are lines on standard error
//! that begin with the program's name. Codes go to standard output only, where they were asked for.

mod certificates;
mod copies;
mod events;
mod exchange;
mod keys;
mod listings;
mod options;
mod parse;
mod terms;

use std::ffi::OsString;
use std::fmt::Display;
use std::process::ExitCode;

use options::Options;
use parse::Parsed;

use crate::authority::license::Status;
use crate::util::terminal::{self, print};

const PROGRAM: &str = "license-authority";

/// Why a command failed.
enum Error {
    /// The command line is wrong: exit 2.
    Usage(String),
    /// The command failed: exit 1.
    Failed(String),
    /// A part failed; holds the output and the error: exit 1.
    Partial(String, String),
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Error {
        Error::Failed(error.to_string())
    }
}

fn failed<T>(sentence: impl Into<String>) -> Result<T, Error> {
    Err(Error::Failed(sentence.into()))
}

struct Command {
    word: &'static str,
    /// The argument, as the help writes it.
    argument: Option<&'static str>,
    /// Names of `parse::FLAGS` besides `--dir`.
    flags: &'static [&'static str],
    sentence: &'static str,
    /// Returns the text to print.
    run: fn(&Options) -> Result<String, Error>,
}

#[rustfmt::skip] // one command a line can be read as the table it is
const COMMANDS: &[Command] = &[
    Command { word: "init", argument: None, flags: &["customer"], run: keys::init,
        sentence: "Makes keys and trust.json, the file for the appliance's image." },
    Command { word: "create", argument: None, flags: &["secs", "cache", "expires", "product", "activations", "offline-mode", "offline-secs", "trial", "grace-days", "lease-days", "count", "code", "customer-name", "order", "note", "operator", "json"], run: terms::create,
        sentence: "Makes a license and prints its 18-digit code." },
    Command { word: "list", argument: None, flags: &["search", "state", "ends-before", "seen-before", "json"], run: listings::list,
        sentence: "Lists all licenses." },
    Command { word: "export", argument: None, flags: &["csv", "json"], run: exchange::export,
        sentence: "Writes everything that was sold, one license a line." },
    Command { word: "import", argument: Some("FILE|-"), flags: &["operator"], run: exchange::import,
        sentence: "Makes the licenses of an export that are missing, with all their seconds." },
    Command { word: "show", argument: Some("CODE"), flags: &["json"], run: listings::show,
        sentence: "Shows one license, who holds it, and whether its audit log is intact." },
    Command { word: "extend", argument: Some("CODE"), flags: &["expires", "secs", "activations", "cache", "lease-days", "grace-days", "offline-mode=yes|no", "offline-secs", "product", "customer-name", "order", "note", "operator", "yes"], run: terms::extend,
        sentence: "Adds seconds, moves the end or changes other terms; appliances learn of it at their next sync." },
    Command { word: "suspend", argument: Some("CODE"), flags: &["operator"], run: |options| terms::become_status(options, Status::Suspended),
        sentence: "Grants nothing more until `resume`." },
    Command { word: "resume", argument: Some("CODE"), flags: &["operator"], run: |options| terms::become_status(options, Status::Active),
        sentence: "Ends a suspension." },
    Command { word: "revoke", argument: Some("CODE"), flags: &["operator"], run: |options| terms::become_status(options, Status::Revoked),
        sentence: "Grants nothing more, for good." },
    Command { word: "release", argument: Some("CODE"), flags: &["computer", "operator"], run: terms::release,
        sentence: "Frees the seat of an appliance that is lost; what it held is charged." },
    Command { word: "credit", argument: Some("CODE"), flags: &["secs", "operator"], run: terms::credit,
        sentence: "Gives charged seconds back." },
    Command { word: "sign", argument: Some("FILE|-"), flags: &[], run: certificates::sign,
        sentence: "Answers an activation certificate with a license certificate." },
    Command { word: "redeem", argument: Some("FILE|-"), flags: &[], run: certificates::redeem,
        sentence: "Credits the seconds of a return certificate, once." },
    Command { word: "inspect", argument: Some("FILE|-"), flags: &["json"], run: certificates::inspect,
        sentence: "Says what is in a certificate or token; needs no key." },
    Command { word: "serve", argument: None, flags: &["listen", "trusted-proxy", "user", "clock-is-right", "free-seats-after"], run: keys::serve,
        sentence: "Answers appliances over HTTP until SIGTERM or SIGINT." },
    Command { word: "rotate", argument: Some("issuer|request-key"), flags: &["revoke"], run: keys::rotate,
        sentence: "Makes the next key of that kind; a running `serve` uses it at once." },
    Command { word: "report", argument: None, flags: &["json"], run: listings::report,
        sentence: "Totals of all licenses together." },
    Command { word: "events", argument: None, flags: &["after", "follow"], run: events::events,
        sentence: "Prints what happened to licenses, one line of JSON each." },
    Command { word: "backup", argument: Some("FILE"), flags: &[], run: copies::backup,
        sentence: "Writes everything but the root key into one file, while `serve` goes on." },
    Command { word: "restore", argument: Some("FILE"), flags: &[], run: copies::restore,
        sentence: "Puts a backup into an empty folder." },
    Command { word: "copy", argument: None, flags: &["from", "to"], run: copies::copy,
        sentence: "Copies everything but the root key to another place; what is there already is passed over." },
    Command { word: "upgrade", argument: None, flags: &[], run: copies::upgrade,
        sentence: "Brings the folder of an earlier release over." },
    Command { word: "archive", argument: Some("FILE"), flags: &["before"], run: copies::archive,
        sentence: "Moves old lines of the audit logs out of etcd into a file." },
    Command { word: "verify", argument: None, flags: &["archive"], run: listings::verify,
        sentence: "Checks all audit logs and all sums; what is not whole is named." },
];

/// Runs the command that `args`, without the program's name, ask for.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let done = match parse::parse(args) {
        Ok(Parsed::Command(command, options)) => (command.run)(&options),
        Ok(Parsed::Text(text)) => Ok(text),
        Err(fault) => Err(Error::Usage(fault)),
    };
    let (fault, code) = match done {
        Ok(text) => match print(&text) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(fault) => (fault, 1),
        },
        Err(Error::Failed(fault)) => (fault, 1),
        Err(Error::Usage(fault)) => (fault, 2),
        Err(Error::Partial(rest, fault)) => (print(&rest).err().unwrap_or(fault), 1),
    };
    complain(fault);
    ExitCode::from(code)
}

/// Prints one line on standard error.
fn complain(fault: impl Display) {
    terminal::complain(PROGRAM, fault);
}
