//! Where `serve` listens: the value of `--listen`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// Reads `IP:port`, `[IPv6]:port` or `unix:` with an absolute path; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Listen> {
        match text.strip_prefix("unix:") {
            Some(path) => path.starts_with('/').then(|| Listen::Unix(path.into())),
            None => text.parse().ok().map(Listen::Tcp),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Listen;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in ["0.0.0.0:8100", "[::1]:8100", "unix:/run/license-authority/http.sock"] {
            assert_eq!(Listen::parse(text).map(|read| read.to_string()), Some(text.to_owned()));
        }
        for text in ["nowhere", "8100", "localhost:80", "unix:", "unix:relative.sock", "/run/x"] {
            assert_eq!(Listen::parse(text), None, "{text}");
        }
    }
}
