//! Where the cluster is, and as whom it is asked: what the command line says, checked.

use std::path::PathBuf;

use ureq::http::Uri;
use ureq::http::uri::Scheme;

/// What every key begins with where nothing else is said.
const PREFIX: &str = "license-authority/";

/// Longest prefix, in bytes.
const LONGEST_PREFIX: usize = 200;

/// etcd's port for clients.
const PORT: u16 = 2379;

/// The flags beside `--store etcd:URL,URL…`, as they were given.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flags<'a> {
    /// `--etcd-ca FILE`
    pub(crate) ca: Option<&'a str>,
    /// `--etcd-cert FILE`
    pub(crate) cert: Option<&'a str>,
    /// `--etcd-key FILE`
    pub(crate) key: Option<&'a str>,
    /// `--etcd-user NAME`
    pub(crate) user: Option<&'a str>,
    /// `--etcd-password-file FILE`
    pub(crate) password_file: Option<&'a str>,
    /// `--etcd-prefix TEXT`
    pub(crate) prefix: Option<&'a str>,
}

/// A cluster of etcd. It holds names of files, and no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// `scheme://host:port`, at least one.
    pub(super) endpoints: Vec<String>,
    /// What every key begins with.
    pub(super) prefix: String,
    /// The certificates that sign those of the cluster.
    pub(super) ca: Option<PathBuf>,
    /// Our own certificate and its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
    /// The name of a user, and the file with the password.
    pub(super) user: Option<(String, PathBuf)>,
}

impl Options {
    /// Reads what follows `etcd:`, URLs with commas between, and the flags.
    ///
    /// # Errors
    /// Which of them is wrong.
    pub(crate) fn parse(urls: &str, flags: &Flags<'_>) -> Result<Options, String> {
        let endpoints: Vec<(bool, String)> =
            urls.split(',').map(|url| endpoint(url.trim())).collect::<Result<_, _>>()?;
        let secure = endpoints.iter().all(|(secure, _)| *secure);
        if !secure && endpoints.iter().any(|(secure, _)| *secure) {
            return Err(
                "the URLs of --store are of both kinds, http and https; all of a cluster are \
                        of one"
                    .to_owned(),
            );
        }
        let identity = both(flags.cert, flags.key, "--etcd-cert", "--etcd-key")?;
        match flags.ca {
            None if secure => return Err("https needs --etcd-ca FILE, the certificate that signs those \
                                          of the cluster; /etc/ssl/certs/ca-certificates.crt holds the \
                                          public ones"
                .to_owned()),
            Some(_) if !secure => return Err("--etcd-ca needs https in the URLs of --store".to_owned()),
            _ => {}
        }
        if identity.is_some() && !secure {
            return Err("--etcd-cert needs https in the URLs of --store".to_owned());
        }
        let user = both(flags.user, flags.password_file, "--etcd-user", "--etcd-password-file")?;
        if user.is_some() && !secure && !endpoints.iter().all(|(_, url)| is_loopback(url)) {
            return Err(
                "--etcd-user needs https in the URLs of --store: over http, everyone on the \
                        way can read the password"
                    .to_owned(),
            );
        }
        Ok(Options {
            endpoints: endpoints.into_iter().map(|(_, url)| url).collect(),
            prefix: prefix(flags.prefix.unwrap_or(PREFIX))?,
            ca: flags.ca.map(PathBuf::from),
            identity: identity.map(|(cert, key)| (cert.into(), key.into())),
            user: user.map(|(name, file)| (name.to_owned(), file.into())),
        })
    }
}

/// Two flags that are of no use alone.
fn both<'a>(
    one: Option<&'a str>,
    other: Option<&'a str>,
    name: &str,
    other_name: &str,
) -> Result<Option<(&'a str, &'a str)>, String> {
    match (one, other) {
        (Some(one), Some(other)) => Ok(Some((one, other))),
        (None, None) => Ok(None),
        _ => Err(format!("{name} and {other_name} belong together; one of them is missing")),
    }
}

fn prefix(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_graphic();
    if (1..=LONGEST_PREFIX).contains(&text.len()) && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(format!("--etcd-prefix is 1 to {LONGEST_PREFIX} characters of ASCII, without spaces"))
}

/// Whether it is https, and the URL without a path. The text is not repeated, because it may hold a password.
fn endpoint(text: &str) -> Result<(bool, String), String> {
    let wrong = || {
        "--store etcd: wants URLs as in etcd:https://10.0.0.1:2379,https://10.0.0.2:2379, without user, \
         password or path"
            .to_owned()
    };
    let url: Uri = text.parse().map_err(|_| wrong())?;
    let secure = match url.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP => false,
        _ => return Err(wrong()),
    };
    let authority = url.authority().ok_or_else(wrong)?;
    let bare = url.path() == "/" && url.query().is_none() && !authority.as_str().contains('@');
    if !bare || authority.host().is_empty() {
        return Err(wrong());
    }
    let port = match authority.as_str().strip_prefix(authority.host()) {
        Some("") => PORT,
        Some(port) => port.trim_start_matches(':').parse().map_err(|_| wrong())?,
        None => return Err(wrong()),
    };
    let scheme = if secure { "https" } else { "http" };
    Ok((secure, format!("{scheme}://{}:{port}", authority.host())))
}

fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.trim_start_matches("http://").rsplit_once(':').map_or("", |(host, _)| host);
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Flags, Options};

    const CA: Flags<'_> = Flags {
        ca: Some("ca"),
        cert: None,
        key: None,
        user: None,
        password_file: None,
        prefix: None,
    };

    #[test]
    fn urls_name_the_members_and_the_port_is_etcds() {
        let options =
            Options::parse("https://10.0.0.1:2379,https://etcd-2/, https://[fd00::1]", &CA)
                .unwrap();
        let wanted = ["https://10.0.0.1:2379", "https://etcd-2:2379", "https://[fd00::1]:2379"];
        assert_eq!(options.endpoints, wanted);
        assert_eq!(options.prefix, "license-authority/");
        let options = Options::parse("http://127.0.0.1:1", &Flags::default()).unwrap();
        assert_eq!(options.endpoints, ["http://127.0.0.1:1"]);
    }

    #[track_caller]
    fn refused(urls: &str, flags: Flags<'_>, wanted: &str) {
        let error = Options::parse(urls, &flags).unwrap_err();
        assert!(error.contains(wanted) && !error.contains("secret"), "{error}");
    }

    #[test]
    fn what_is_no_url_of_a_member_is_refused_and_not_repeated() {
        for urls in [
            "",
            "10.0.0.1:2379",
            "ftp://a",
            "http://a,",
            "http://a/path",
            "http://a?x=1",
            "http://user:secret@a:1",
            "http://a:99999",
            "http://:1",
            "http://secret /",
        ] {
            refused(urls, Flags::default(), "without user, password or path");
        }
        refused("http://a,https://b", CA, "both kinds");
    }

    #[test]
    fn flags_that_are_of_no_use_alone_are_refused() {
        let none = Flags::default();
        refused("https://a", none, "--etcd-ca FILE");
        refused("http://a", CA, "--etcd-ca needs https");
        refused("https://a", Flags { cert: Some("c"), ..CA }, "--etcd-key belong together");
        refused("https://a", Flags { password_file: Some("p"), ..CA }, "--etcd-user and");
        let cert = Flags { cert: Some("c"), key: Some("k"), ..none };
        refused("http://a", cert, "--etcd-cert needs https");
    }

    #[test]
    fn a_password_goes_over_plain_http_to_the_own_machine_alone() {
        let user = Flags { user: Some("u"), password_file: Some("p"), ..Flags::default() };
        refused("http://10.0.0.1,http://127.0.0.1", user, "can read the password");
        for urls in ["http://127.0.0.1:1,http://localhost", "http://[::1]:2"] {
            assert!(Options::parse(urls, &user).is_ok(), "{urls}");
        }
        let user = Flags { user: Some("u"), password_file: Some("p"), ..CA };
        let options = Options::parse("https://a", &user).unwrap();
        assert_eq!(options.user, Some(("u".to_owned(), "p".into())));
    }

    #[test]
    fn a_prefix_is_printable_text() {
        let long = "x".repeat(201);
        for prefix in ["", "a b", "ü", "a\n", &long] {
            let flags = Flags { prefix: Some(prefix), ..Flags::default() };
            refused("http://a", flags, "--etcd-prefix is 1 to 200");
        }
        let flags = Flags { prefix: Some("/vendor/"), ..Flags::default() };
        assert_eq!(Options::parse("http://a", &flags).unwrap().prefix, "/vendor/");
    }
}
