//! Parses the command line: one table of flags, checked values, "did you mean" for unknown words.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::SystemTime;

use lexopt::Arg;

use super::{COMMANDS, Command, Error, PROGRAM};
use crate::license::protocol::fields::{computer_id, license_code, normalize_code};
use crate::util::nearest::nearest;
use crate::util::utc;

/// A flag, what it takes if anything, and what it means.
pub(super) struct Flag {
    name: &'static str,
    value: Option<&'static str>,
    sentence: &'static str,
}

const DEFAULT_DIR: &str = "/var/lib/license-authority";

#[rustfmt::skip]
const FLAGS: &[Flag] = &[
    Flag { name: "dir", value: Some("FOLDER"), sentence: "everything the authority keeps; default /var/lib/license-authority" },
    Flag { name: "customer", value: Some("DIGITS"), sentence: "customer id, the first four digits of every code" },
    Flag { name: "secs", value: Some("N"), sentence: "seconds; for create also `unlimited`" },
    Flag { name: "cache", value: Some("N"), sentence: "seconds an appliance that is online holds at most" },
    Flag { name: "expires", value: Some("DATE"), sentence: "end of the subscription, as in 2027-10-16T12:26:37Z" },
    Flag { name: "product", value: Some("DIGITS"), sentence: "product number, up to 5 digits; default 103" },
    Flag { name: "activations", value: Some("N"), sentence: "appliances at a time; default 1" },
    Flag { name: "offline-mode", value: None, sentence: "allows offline mode and activation without a network" },
    Flag { name: "offline-secs", value: Some("N"), sentence: "seconds an appliance that is offline holds at most; default an equal share of --secs" },
    Flag { name: "trial", value: None, sentence: "a trial license" },
    Flag { name: "grace-days", value: Some("N"), sentence: "days of work with a warning after the end; default 7" },
    Flag { name: "lease-days", value: Some("N"), sentence: "days of work without contact; default 30" },
    Flag { name: "count", value: Some("N"), sentence: "so many licenses alike, one code a line" },
    Flag { name: "computer", value: Some("ID"), sentence: "computer id of the seat; required where there are several" },
    Flag { name: "listen", value: Some("ADDRESS"), sentence: "IP:port" },
    Flag { name: "revoke", value: None, sentence: "withdraws all older keys of the kind: they were stolen" },
    Flag { name: "json", value: None, sentence: "JSON instead of text" },
];

/// The flags and the argument of a command.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) dir: PathBuf,
    argument: String,
    values: BTreeMap<&'static str, String>,
}

/// A parsed command line.
pub(super) enum Parsed {
    Command(&'static Command, Options),
    Text(String),
}

/// The current time, in seconds since 1970.
pub(super) fn now() -> i64 {
    utc::unix_seconds(SystemTime::now())
}

impl Options {
    /// Whether a flag was given.
    pub(super) fn given(&self, flag: &str) -> bool {
        self.values.contains_key(flag)
    }

    pub(super) fn json(&self) -> bool {
        self.given("json")
    }

    pub(super) fn argument(&self) -> &str {
        &self.argument
    }

    /// The argument as a license code, with or without spaces and dashes.
    pub(super) fn code(&self) -> Result<String, Error> {
        license_code(&normalize_code(&self.argument))
            .ok_or_else(|| Error::Usage("CODE is the 18 digits of a license".to_owned()))
    }

    fn read<T>(
        &self,
        flag: &str,
        kind: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.values.get(flag) else { return Ok(None) };
        let read = read(text).map(Some);
        read.ok_or_else(|| Error::Usage(format!("--{flag} {text:?} is not {kind}")))
    }

    /// A whole number from `least` to `most`.
    pub(super) fn number(&self, flag: &str, least: i64, most: i64) -> Result<Option<i64>, Error> {
        self.read(flag, &format!("a whole number from {least} to {most}"), |text| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number| digits && (least..=most).contains(number))
        })
    }

    /// Seconds since 1970.
    pub(super) fn date(&self, flag: &str) -> Result<Option<i64>, Error> {
        self.read(flag, "a date as in 2027-10-16T12:26:37Z", utc::parse)
    }

    pub(super) fn digits(&self, flag: &str, most: usize) -> Result<Option<&str>, Error> {
        self.read(flag, &format!("1 to {most} digits"), |_| {
            let text = self.values.get(flag)?.as_str();
            let fine = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            fine.then_some(text)
        })
    }

    pub(super) fn computer(&self) -> Result<Option<String>, Error> {
        self.read("computer", "a computer id as `show` writes it", computer_id)
    }

    pub(super) fn address(&self) -> Result<Option<std::net::SocketAddr>, Error> {
        self.read("listen", "an address as in 127.0.0.1:8100", |text| text.parse().ok())
    }

    /// Whether the value of `flag` is `word`.
    pub(super) fn is(&self, flag: &str, word: &str) -> bool {
        self.values.get(flag).is_some_and(|value| value == word)
    }
}

/// The value of a flag that must be given.
pub(super) fn required<T>(flag: &str, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| Error::Usage(format!("--{flag} is missing")))
}

pub(super) fn parse(args: Vec<OsString>) -> Result<Parsed, String> {
    let mut words = lexopt::Parser::from_args(args);
    let mut command: Option<&'static Command> = None;
    let mut options = Options { dir: DEFAULT_DIR.into(), ..Options::default() };
    while let Some(word) = words.next().map_err(|fault| fault.to_string())? {
        let flag = match word {
            Arg::Long("help") | Arg::Short('h') => return Ok(Parsed::Text(help(command))),
            Arg::Long("version") | Arg::Short('V') => {
                return Ok(Parsed::Text(format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION"))));
            }
            Arg::Value(word) => {
                let word = word.to_string_lossy().into_owned();
                match command {
                    None => command = Some(find(&word)?),
                    Some(Command { argument: Some(_), .. }) if options.argument.is_empty() => {
                        options.argument = word;
                    }
                    Some(_) => return Err(format!("unexpected argument; see {PROGRAM} --help")),
                }
                continue;
            }
            Arg::Long(flag) => flag.to_owned(),
            Arg::Short(flag) => return Err(unknown(&format!("-{flag}"), command)),
        };
        let known = known(command).find(|known| known.name == flag);
        let known = known.ok_or_else(|| unknown(&format!("--{flag}"), command))?;
        let value = match known.value {
            Some(_) => words.value().map_err(|fault| fault.to_string())?,
            None => OsString::new(),
        };
        if known.name == "dir" {
            options.dir = value.into();
        } else {
            options.values.insert(known.name, value.to_string_lossy().into_owned());
        }
    }
    let command = command.ok_or_else(|| {
        format!("no command; one of {}, or see {PROGRAM} --help", words_of_commands())
    })?;
    match command.argument {
        Some(argument) if options.argument.is_empty() => Err(format!("{argument} is missing")),
        _ => Ok(Parsed::Command(command, options)),
    }
}

/// The flags that a command takes; before a command only `--dir`.
fn known(command: Option<&Command>) -> impl Iterator<Item = &'static Flag> {
    let flags = command.map_or(&[][..], |command| command.flags);
    FLAGS.iter().filter(move |flag| flag.name == "dir" || flags.contains(&flag.name))
}

fn find(word: &str) -> Result<&'static Command, String> {
    if let Some(command) = COMMANDS.iter().find(|command| command.word == word) {
        return Ok(command);
    }
    Err(match nearest(word, COMMANDS.iter().map(|command| command.word)) {
        Some(known) => format!("unknown command {word:?}, did you mean {known:?}?"),
        None => format!("unknown command {word:?}; known are {}", words_of_commands()),
    })
}

fn unknown(flag: &str, command: Option<&Command>) -> String {
    let mut names: Vec<String> = known(command).map(|flag| format!("--{}", flag.name)).collect();
    names.extend(["--help".to_owned(), "--version".to_owned()]);
    match nearest(flag, names.iter().map(String::as_str)) {
        Some(known) => format!("unknown flag {flag}, did you mean {known}?"),
        None => format!("unknown flag {flag}; known here are {}", names.join(", ")),
    }
}

fn words_of_commands() -> String {
    COMMANDS.iter().map(|command| command.word).collect::<Vec<_>>().join(", ")
}

fn help(command: Option<&Command>) -> String {
    let written = |flag: &Flag| match flag.value {
        Some(value) => format!("--{} {value}", flag.name),
        None => format!("--{}", flag.name),
    };
    let mut text = match command {
        Some(command) => {
            let argument =
                command.argument.map_or(String::new(), |argument| format!(" {argument}"));
            format!(
                "{}\n\nUsage: {PROGRAM} {}{argument} [FLAGS]\n\n",
                command.sentence, command.word
            )
        }
        None => {
            let mut text = format!(
                "The vendor's side of the license: makes licenses and answers appliances.\n\n\
                 Usage: {PROGRAM} COMMAND [FLAGS]; {PROGRAM} COMMAND --help tells its flags\n\n"
            );
            for command in COMMANDS {
                let argument =
                    command.argument.map_or(String::new(), |argument| format!(" {argument}"));
                let usage = format!("{}{argument}", command.word);
                text.push_str(&format!("  {usage:<26} {}\n", command.sentence));
            }
            text.push('\n');
            text
        }
    };
    for flag in known(command) {
        text.push_str(&format!("  {:<22} {}\n", written(flag), flag.sentence));
    }
    text.push_str("  --help, --version\n\nExit codes: 0 fine, 1 failed, 2 wrong usage.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, FLAGS, Parsed, parse};

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
    fn flags_stand_where_they_like() {
        for line in
            ["show --dir /x 494953679762904933 --json", "--dir=/x show --json 494953679762904933"]
        {
            let Ok(Parsed::Command(command, options)) = asked(line) else { unreachable!() };
            assert_eq!((command.word, options.dir.as_os_str()), ("show", "/x".as_ref()));
            assert!(options.json() && options.code().is_ok());
        }
    }

    #[test]
    fn what_is_unknown_names_the_nearest() {
        fault("creat", "unknown command \"creat\", did you mean \"create\"?");
        fault("create --seks 1", "unknown flag --seks, did you mean --secs?");
        fault("show", "CODE is missing");
        fault(
            "list --secs 1",
            "unknown flag --secs; known here are --dir, --json, --help, --version",
        );
        fault("list it", "unexpected argument; see license-authority --help");
        assert!(asked("").is_err_and(|fault| fault.starts_with("no command; one of init, create")));
    }

    #[test]
    fn help_is_everywhere_and_names_every_flag() {
        for command in COMMANDS {
            let Ok(Parsed::Text(text)) = asked(&format!("{} --help", command.word)) else {
                unreachable!()
            };
            assert!(text.starts_with(command.sentence), "{text}");
            for flag in command.flags {
                assert!(FLAGS.iter().any(|known| known.name == *flag), "{flag}");
                assert!(text.contains(&format!("--{flag}")), "{text}");
            }
        }
        let Ok(Parsed::Text(text)) = asked("--help") else { unreachable!() };
        assert!(COMMANDS.iter().all(|command| text.contains(command.sentence)), "{text}");
    }
}
