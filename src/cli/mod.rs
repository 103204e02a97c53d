//! The command line: one table of commands drives dispatch and `--help`.
//!
//! Exit codes: 0 success, 1 the command failed, 2 wrong usage, 78 bad settings (`EX_CONFIG` of
//! sysexits(3)). Errors are lines on standard error that begin with the program's name.

mod check;
mod local;
mod serve;

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::Arg;

use crate::config::{Config, DEFAULT_FILE};
use crate::helper;
use crate::sandbox::User;
use crate::util::nearest::nearest;
use crate::util::terminal;

const PROGRAM: &str = "applianced";

struct Command {
    word: &'static str,
    /// A flag of its own, and its meaning.
    flag: Option<(&'static str, &'static str)>,
    sentence: &'static str,
    run: fn(&Options) -> Exit,
}

const COMMANDS: &[Command] = &[
    Command {
        word: "serve",
        flag: None,
        sentence: "Runs the daemon until SIGTERM or SIGINT.",
        run: serve::run,
    },
    Command {
        word: "check",
        flag: Some(("--settings", "looks at the settings alone, and not at the state")),
        sentence: "Prints the settings as understood and names every fault in settings and state.",
        run: check::run,
    },
    Command {
        word: "console",
        flag: None,
        sentence: "A menu for the machine's own screen or serial line.",
        run: local::console,
    },
    Command {
        word: "reset",
        flag: Some(("--new-certificate", "makes the default certificate anew too")),
        sentence: "Resets security: no password, plain HTTP on, default certificate.",
        run: local::reset,
    },
    Command {
        word: "status",
        flag: Some(("--json", "one JSON object instead of text")),
        sentence: "Shows the daemon, the certificate, access and services on one screen.",
        run: local::status,
    },
];

/// The flags of the command line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    config: Option<PathBuf>,
    json: bool,
    settings: bool,
    new_certificate: bool,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Fine = 0,
    Failed = 1,
    Usage = 2,
    Settings = 78,
}

/// Runs the command that `args`, without the program's name, ask for.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    if args.first().is_some_and(|word| word == helper::WORD) {
        return ExitCode::from(helper_process() as u8);
    }
    let exit = match parse(args) {
        Ok(Parsed::Command(command, options)) => (command.run)(&options),
        Ok(Parsed::Text(text)) => print(&text),
        Err(fault) => {
            complain(fault);
            Exit::Usage
        }
    };
    ExitCode::from(exit as u8)
}

/// Runs the daemon's helper process; not a command, so the help does not list it.
fn helper_process() -> Exit {
    match helper::serve() {
        Ok(()) => Exit::Fine,
        Err(fault) => {
            complain(fault);
            Exit::Usage
        }
    }
}

/// A parsed command line.
enum Parsed {
    Command(&'static Command, Options),
    Text(String),
}

fn parse(args: Vec<OsString>) -> Result<Parsed, String> {
    let mut words = lexopt::Parser::from_args(args);
    let mut command: Option<&Command> = None;
    let mut options = Options::default();
    while let Some(word) = words.next().map_err(|fault| fault.to_string())? {
        match word {
            Arg::Long("help") | Arg::Short('h') => return Ok(Parsed::Text(help(command))),
            Arg::Long("version") | Arg::Short('V') => {
                return Ok(Parsed::Text(format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION"))));
            }
            Arg::Long("config") if command.is_some() => {
                options.config = Some(words.value().map_err(|fault| fault.to_string())?.into());
            }
            Arg::Long("json") if takes(command, "--json") => options.json = true,
            Arg::Long("new-certificate") if takes(command, "--new-certificate") => {
                options.new_certificate = true;
            }
            Arg::Long("settings") if takes(command, "--settings") => options.settings = true,
            Arg::Value(word) if command.is_none() => command = Some(find(&word)?),
            Arg::Value(word) => {
                return Err(format!("unexpected argument {word:?}; see {PROGRAM} --help"));
            }
            Arg::Long(flag) => return Err(unknown_flag(&format!("--{flag}"), command)),
            Arg::Short(flag) => return Err(unknown_flag(&format!("-{flag}"), command)),
        }
    }
    match command {
        Some(command) => Ok(Parsed::Command(command, options)),
        None => Err(format!("no command; one of {}, or see {PROGRAM} --help", known_words())),
    }
}

fn takes(command: Option<&Command>, flag: &str) -> bool {
    command.and_then(|command| command.flag).is_some_and(|(own, _)| own == flag)
}

fn find(word: &OsString) -> Result<&'static Command, String> {
    let word = word.to_string_lossy();
    if let Some(command) = COMMANDS.iter().find(|command| command.word == word) {
        return Ok(command);
    }
    Err(match nearest(&word, COMMANDS.iter().map(|command| command.word)) {
        Some(known) => format!("unknown command {word:?}, did you mean {known:?}?"),
        None => format!("unknown command {word:?}; known are {}", known_words()),
    })
}

fn unknown_flag(flag: &str, command: Option<&Command>) -> String {
    let known = flags(command);
    match nearest(flag, known.iter().copied()) {
        Some(known) => format!("unknown flag {flag}, did you mean {known}?"),
        None if command.is_none() => {
            format!("unknown flag {flag} before a command; known here are {}", known.join(", "))
        }
        None => format!("unknown flag {flag}; known here are {}", known.join(", ")),
    }
}

fn flags(command: Option<&Command>) -> Vec<&'static str> {
    let mut flags = vec!["--help", "--version"];
    if let Some(command) = command {
        flags.push("--config");
        flags.extend(command.flag.map(|(flag, _)| flag));
    }
    flags
}

fn known_words() -> String {
    COMMANDS.iter().map(|command| command.word).collect::<Vec<_>>().join(", ")
}

fn help(command: Option<&Command>) -> String {
    let shared = format!(
        "  --config FILE  the settings; without it {DEFAULT_FILE} if it exists, else the defaults\n"
    );
    match command {
        Some(command) => {
            let own = command.flag;
            format!(
                "{}\n\nUsage: {PROGRAM} {} [--config FILE]{}\n\n{shared}{}",
                command.sentence,
                command.word,
                own.map(|(flag, _)| format!(" [{flag}]")).unwrap_or_default(),
                own.map(|(flag, does)| format!("  {flag:<13}  {does}\n")).unwrap_or_default(),
            )
        }
        None => {
            let mut text = format!(
                "The front door and the license of a virtual appliance.\n\n\
                 Usage: {PROGRAM} COMMAND [--config FILE]\n\n"
            );
            for command in COMMANDS {
                text.push_str(&format!("  {:<8} {}\n", command.word, command.sentence));
            }
            text.push_str(&format!("\n{shared}"));
            for (command, (flag, does)) in COMMANDS.iter().filter_map(|c| Some((c, c.flag?))) {
                text.push_str(&format!("  {flag:<13}  for {}: {does}\n", command.word));
            }
            text.push_str(
                "  --help, --version\n\n\
                 Exit codes: 0 fine, 1 failed, 2 wrong usage, 78 bad settings.\n",
            );
            text
        }
    }
}

/// Reads the settings and becomes the user that they name, because files written as root could not be read
/// by the daemon.
fn settings_as_user(options: &Options) -> Option<Config> {
    let config = settings(options)?;
    if let Some(name) = &config.user
        && rustix::process::geteuid().is_root()
        && let Err(fault) = User::find(name).and_then(|user| user.become_for_good(&[]))
    {
        complain(fault);
        return None;
    }
    Some(config)
}

/// Reads the settings; prints what is wrong with them.
fn settings(options: &Options) -> Option<Config> {
    match Config::load(options.config.as_deref()) {
        Ok(config) => Some(config),
        Err(faults) => {
            faults.iter().for_each(complain);
            None
        }
    }
}

/// Prints one line on standard error.
fn complain(fault: impl Display) {
    terminal::complain(PROGRAM, fault);
}

fn print(text: &str) -> Exit {
    match terminal::print(text) {
        Ok(()) => Exit::Fine,
        Err(fault) => {
            complain(fault);
            Exit::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{COMMANDS, Options, Parsed, parse};

    fn asked(line: &str) -> Result<Parsed, String> {
        parse(line.split_whitespace().map(Into::into).collect())
    }

    #[track_caller]
    fn fault(line: &str, wanted: &str) {
        match asked(line) {
            Err(fault) => assert_eq!(fault, wanted),
            Ok(_) => assert_eq!(line, "a fault"),
        }
    }

    #[test]
    fn flags_are_taken_in_either_form() {
        for line in ["status --config /x --json", "status --json --config=/x"] {
            let Ok(Parsed::Command(command, options)) = asked(line) else { unreachable!() };
            assert_eq!(command.word, "status");
            assert_eq!(
                options,
                Options { config: Some("/x".into()), json: true, ..Options::default() }
            );
        }
        let Ok(Parsed::Command(_, options)) = asked("check --settings") else { unreachable!() };
        assert_eq!(options, Options { settings: true, ..Options::default() });
    }

    #[test]
    fn what_is_unknown_names_the_nearest() {
        fault("statsu", "unknown command \"statsu\", did you mean \"status\"?");
        fault(
            "frobnicate",
            "unknown command \"frobnicate\"; known are serve, check, console, reset, status",
        );
        fault("serve --confg x", "unknown flag --confg, did you mean --config?");
        fault("serve --json", "unknown flag --json; known here are --help, --version, --config");
        fault("status --jsno", "unknown flag --jsno, did you mean --json?");
        fault(
            "--config x serve",
            "unknown flag --config before a command; known here are --help, --version",
        );
        fault("serve now", "unexpected argument \"now\"; see applianced --help");
        fault(
            "",
            "no command; one of serve, check, console, reset, status, or see applianced --help",
        );
        assert!(asked("serve --config").is_err());
        assert!(asked("status --json=yes").is_err());
    }

    #[test]
    fn help_and_version_are_everywhere() {
        for command in COMMANDS {
            for (flag, wanted) in [("--help", command.sentence), ("--version", "applianced 0")] {
                let line = format!("{} {flag}", command.word);
                let Ok(Parsed::Text(text)) = asked(&line) else { unreachable!() };
                assert!(text.starts_with(wanted), "{line}: {text}");
            }
        }
        let Ok(Parsed::Text(text)) = asked("--help") else { unreachable!() };
        assert!(COMMANDS.iter().all(|command| text.contains(command.sentence)), "{text}");
    }
}
