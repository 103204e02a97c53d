//! Parses the command line: one table of flags, "did you mean" for unknown words, and `--help`.

use std::ffi::OsString;

use lexopt::Arg;

use super::options::Options;
use super::{COMMANDS, Command, PROGRAM};
use crate::util::nearest::nearest;

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
    Flag { name: "store", value: Some("etcd:URLS"), sentence: "keeps the records on etcd instead, as in etcd:https://10.0.0.1:2379,https://10.0.0.2:2379" },
    Flag { name: "etcd-ca", value: Some("FILE"), sentence: "certificates (PEM) that sign those of etcd" },
    Flag { name: "etcd-cert", value: Some("FILE"), sentence: "certificate (PEM) to show to etcd; with --etcd-key" },
    Flag { name: "etcd-key", value: Some("FILE"), sentence: "its key (PEM)" },
    Flag { name: "etcd-user", value: Some("NAME"), sentence: "user of etcd; with --etcd-password-file" },
    Flag { name: "etcd-password-file", value: Some("FILE"), sentence: "file with the password, for its owner alone" },
    Flag { name: "etcd-prefix", value: Some("TEXT"), sentence: "what all keys begin with; default license-authority/" },
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
    Flag { name: "listen", value: Some("ADDRESS"), sentence: "IP:port, or unix:/path; may be repeated" },
    Flag { name: "trusted-proxy", value: Some("NETWORK"), sentence: "a reverse proxy that tells its clients' addresses, as in 10.0.0.0/8, or unix; may be repeated" },
    Flag { name: "user", value: Some("NAME"), sentence: "whom root becomes after binding: a name, or uid:gid" },
    Flag { name: "clock-is-right", value: None, sentence: "believes the clock at this start, however far it went since the last" },
    Flag { name: "free-seats-after", value: Some("DAYS"), sentence: "an appliance silent so long after its lease ended gives its seat to one that needs it; default 30, or `never`" },
    Flag { name: "revoke", value: None, sentence: "withdraws all older keys of the kind: they were stolen" },
    Flag { name: "code", value: Some("CODE"), sentence: "this code in place of a random one, to put a lost license back" },
    Flag { name: "customer-name", value: Some("TEXT"), sentence: "who bought it, for searches; appliances never see it" },
    Flag { name: "order", value: Some("TEXT"), sentence: "number of the order, likewise" },
    Flag { name: "note", value: Some("TEXT"), sentence: "anything else, likewise" },
    Flag { name: "operator", value: Some("NAME"), sentence: "who does this, for the audit log; default the login name" },
    Flag { name: "offline-mode", value: Some("yes|no"), sentence: "whether offline mode and activation without a network are allowed" },
    Flag { name: "yes", value: None, sentence: "does what would need a second look" },
    Flag { name: "search", value: Some("TEXT"), sentence: "only licenses with this text in code, customer name, order or note" },
    Flag { name: "state", value: Some("STATE"), sentence: "only active, \"in grace\", expired, suspended or revoked licenses" },
    Flag { name: "ends-before", value: Some("DATE"), sentence: "only licenses whose subscription ends before" },
    Flag { name: "seen-before", value: Some("DATE"), sentence: "only licenses of which no appliance has asked since" },
    Flag { name: "csv", value: None, sentence: "comma-separated values with a header line (RFC 4180)" },
    Flag { name: "after", value: Some("DATE"), sentence: "only what happened from then on; with --follow the default is now" },
    Flag { name: "follow", value: None, sentence: "goes on with what happens, within a second or two" },
    Flag { name: "before", value: Some("DATE"), sentence: "only what happened before" },
    Flag { name: "archive", value: Some("FILE"), sentence: "checks this archive too, and that the audit logs go on where it ends" },
    Flag { name: "from", value: Some("PLACE"), sentence: "where to read, as in dir:/var/lib/license-authority" },
    Flag { name: "to", value: Some("PLACE"), sentence: "where to write, likewise" },
    Flag { name: "json", value: None, sentence: "JSON instead of text" },
];

/// Flags that may be given more than once.
const REPEATABLE: [&str; 2] = ["listen", "trusted-proxy"];

/// A parsed command line.
pub(super) enum Parsed {
    Command(&'static Command, Options),
    Text(String),
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
        let text = value.to_string_lossy().into_owned();
        let values = options.values.entry(known.name).or_default();
        if !values.is_empty() && !REPEATABLE.contains(&known.name) {
            return Err(format!("--{flag} is given twice; give it once"));
        }
        values.push(text);
        if known.name == "dir" {
            options.dir = value.into();
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
    // A command names the value where another one has a flag of the same name without.
    let takes = move |flag: &&Flag| {
        let named = |word: &&str| match word.split_once('=') {
            Some((name, value)) => flag.name == name && flag.value == Some(value),
            None => flag.name == *word && flag.value != Some("yes|no"),
        };
        flag.name == "dir" || is_store(flag.name) || flags.iter().any(named)
    };
    FLAGS.iter().filter(takes)
}

/// Whether a flag says where the records are, which every command takes.
fn is_store(flag: &str) -> bool {
    flag == "store" || flag.starts_with("etcd-")
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
    let usage = |word: &str, value: Option<&str>| match value {
        Some(value) => format!("{word} {value}"),
        None => word.to_owned(),
    };
    let mut text = match command {
        Some(command) => format!(
            "{}\n\nUsage: {PROGRAM} {} [FLAGS]\n\n",
            command.sentence,
            usage(command.word, command.argument)
        ),
        None => {
            let mut text = format!(
                "The vendor's side of the license: makes licenses and answers appliances.\n\n\
                 Usage: {PROGRAM} COMMAND [FLAGS]; {PROGRAM} COMMAND --help tells its flags\n\n"
            );
            for command in COMMANDS {
                let usage = usage(command.word, command.argument);
                text.push_str(&format!("  {usage:<26} {}\n", command.sentence));
            }
            text.push('\n');
            text
        }
    };
    for flag in known(command) {
        let usage = usage(flag.name, flag.value);
        text.push_str(&format!("  --{usage:<20} {}\n", flag.sentence));
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
    fn every_value_of_a_flag_that_may_be_repeated_is_kept() {
        let line = "serve --listen 127.0.0.1:80 --trusted-proxy unix --listen unix:/run/x";
        let Ok(Parsed::Command(_, options)) = asked(line) else { unreachable!() };
        assert_eq!(options.all("listen"), ["127.0.0.1:80", "unix:/run/x"]);
        assert_eq!(options.all("trusted-proxy"), ["unix"]);
    }

    #[test]
    fn what_is_unknown_names_the_nearest() {
        fault("creat", "unknown command \"creat\", did you mean \"create\"?");
        fault("create --seks 1", "unknown flag --seks, did you mean --secs?");
        fault("show", "CODE is missing");
        fault("list --json --json", "--json is given twice; give it once");
        fault("create --secs 1 --secs=2", "--secs is given twice; give it once");
        fault("list --dir /x --dir /x", "--dir is given twice; give it once");
        fault(
            "report --secs 1",
            "unknown flag --secs; known here are --dir, --store, --etcd-ca, --etcd-cert, --etcd-key, --etcd-user, \
             --etcd-password-file, --etcd-prefix, --json, --help, --version",
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
                let flag = flag.replace('=', " ");
                let name = flag.split(' ').next();
                assert!(FLAGS.iter().any(|known| Some(known.name) == name), "{flag}");
                assert!(text.contains(&format!("--{flag}")), "{text}");
            }
        }
        let Ok(Parsed::Text(text)) = asked("--help") else { unreachable!() };
        assert!(COMMANDS.iter().all(|command| text.contains(command.sentence)), "{text}");
    }
}
