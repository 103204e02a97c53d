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

/// The values of the flags beside `--store etcd:URL,URL…`, by their names.
pub(crate) type Flags<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

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
    /// Reads what follows `etcd:`, URLs with commas between, and the values that `flag` gives by name.
    ///
    /// # Errors
    /// Which of them is wrong.
    pub(crate) fn parse(urls: &str, flag: Flags<'_>) -> Result<Options, String> {
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
        let identity = both(flag, "etcd-cert", "etcd-key")?;
        let ca = flag("etcd-ca");
        match ca {
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
        let user = both(flag, "etcd-user", "etcd-password-file")?;
        if user.is_some() && !secure && !endpoints.iter().all(|(_, url)| is_loopback(url)) {
            return Err(
                "--etcd-user needs https in the URLs of --store: over http, everyone on the \
                        way can read the password"
                    .to_owned(),
            );
        }
        Ok(Options {
            endpoints: endpoints.into_iter().map(|(_, url)| url).collect(),
            prefix: prefix(flag("etcd-prefix").unwrap_or(PREFIX))?,
            ca: ca.map(PathBuf::from),
            identity: identity.map(|(cert, key)| (cert.into(), key.into())),
            user: user.map(|(name, file)| (name.to_owned(), file.into())),
        })
    }
}

/// Two flags that are of no use alone.
fn both<'a>(flag: Flags<'a>, one: &str, other: &str) -> Result<Option<(&'a str, &'a str)>, String> {
    match (flag(one), flag(other)) {
        (Some(first), Some(second)) => Ok(Some((first, second))),
        (None, None) => Ok(None),
        _ => Err(format!("--{one} and --{other} belong together; one of them is missing")),
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
impl Options {
    /// The same from a list of flags.
    pub(super) fn of(urls: &str, flags: &[(&str, &str)]) -> Result<Options, String> {
        let flag = |name: &str| flags.iter().find(|flag| flag.0 == name).map(|flag| flag.1);
        Options::parse(urls, &flag)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Options;

    const CA: (&str, &str) = ("etcd-ca", "ca");

    #[test]
    fn urls_name_the_members_and_the_port_is_etcds() {
        let options =
            Options::of("https://10.0.0.1:2379,https://etcd-2/, https://[fd00::1]", &[CA]).unwrap();
        let wanted = ["https://10.0.0.1:2379", "https://etcd-2:2379", "https://[fd00::1]:2379"];
        assert_eq!(options.endpoints, wanted);
        assert_eq!(options.prefix, "license-authority/");
        let options = Options::of("http://127.0.0.1:1", &[]).unwrap();
        assert_eq!(options.endpoints, ["http://127.0.0.1:1"]);
    }

    #[track_caller]
    fn refused(urls: &str, flags: &[(&str, &str)], wanted: &str) {
        let error = Options::of(urls, flags).unwrap_err();
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
            refused(urls, &[], "without user, password or path");
        }
        refused("http://a,https://b", &[CA], "both kinds");
    }

    #[test]
    fn flags_that_are_of_no_use_alone_are_refused() {
        refused("https://a", &[], "--etcd-ca FILE");
        refused("http://a", &[CA], "--etcd-ca needs https");
        refused("https://a", &[CA, ("etcd-cert", "c")], "--etcd-key belong together");
        refused("https://a", &[CA, ("etcd-password-file", "p")], "--etcd-user and");
        refused("http://a", &[("etcd-cert", "c"), ("etcd-key", "k")], "--etcd-cert needs https");
    }

    #[test]
    fn a_password_goes_over_plain_http_to_the_own_machine_alone() {
        let user = [("etcd-user", "u"), ("etcd-password-file", "p"), CA];
        let over_http = &user[..2];
        refused("http://10.0.0.1,http://127.0.0.1", over_http, "can read the password");
        for urls in ["http://127.0.0.1:1,http://localhost", "http://[::1]:2"] {
            assert!(Options::of(urls, over_http).is_ok(), "{urls}");
        }
        let options = Options::of("https://a", &user).unwrap();
        assert_eq!(options.user, Some(("u".to_owned(), "p".into())));
    }

    #[test]
    fn a_prefix_is_printable_text() {
        let long = "x".repeat(201);
        for prefix in ["", "a b", "ü", "a\n", &long] {
            refused("http://a", &[("etcd-prefix", prefix)], "--etcd-prefix is 1 to 200");
        }
        let options = Options::of("http://a", &[("etcd-prefix", "/vendor/")]).unwrap();
        assert_eq!(options.prefix, "/vendor/");
    }
}
