//! Security events about clients that are refused by their address: one for each in a minute, however often
//! it comes.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::http::forwarded::Identity;
use crate::log::Log;
use crate::util::client_prefix::client_prefix;

/// Lines in one [`WINDOW`], so that many addresses do not fill the disk either.
const LINES: usize = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// Why somebody is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is not in this setting.
    NotIn(&'static str, Identity),
    /// It is no trusted proxy, and others are not expected.
    NoProxy,
    /// It has sent no valid PROXY protocol header.
    Header(&'static str),
}

/// Limits the lines and counts the suppressed ones.
pub(crate) struct Refusals {
    log: Log,
    recent: Mutex<Recent>,
}

struct Recent {
    since: Instant,
    logged: Vec<(IpAddr, Reason)>,
    suppressed: u64,
}

impl Refusals {
    pub(crate) fn new(log: Log) -> Refusals {
        Refusals { log, recent: Mutex::new(Recent::new()) }
    }

    /// Logs that a client at `address` was refused on `port`.
    pub(crate) fn record(&self, address: IpAddr, port: u16, reason: Reason) {
        self.report_suppressed();
        let key = (client_prefix(address), reason);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.logged.len() >= LINES || recent.logged.contains(&key) {
            recent.suppressed += 1;
            return;
        }
        if recent.logged.is_empty() {
            recent.since = Instant::now();
        }
        recent.logged.push(key);
        let address = address.to_canonical();
        self.log.security_by(
            Some(address),
            format_args!("{address}: refused on port {port}: {reason}"),
        );
    }

    /// Logs how many lines were suppressed, once a minute is over. To be called regularly.
    pub(crate) fn report_suppressed(&self) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.logged.is_empty() || recent.since.elapsed() < WINDOW {
            return;
        }
        let suppressed = std::mem::replace(&mut *recent, Recent::new()).suppressed;
        if suppressed > 0 {
            self.log.security(format_args!(
                "{suppressed} more were refused by their address in the same minute and are not logged"
            ));
        }
    }
}

impl Recent {
    fn new() -> Recent {
        Recent { since: Instant::now(), logged: Vec::new(), suppressed: 0 }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NotIn(setting, Identity::Known) => write!(f, "it is not in {setting:?}"),
            Reason::NotIn(setting, Identity::Proxy) => {
                write!(f, "this proxy names no client, and {setting:?} does not name the proxy")
            }
            Reason::NotIn(setting, Identity::Hidden) => {
                write!(f, "this proxy does not tell for which client it asks, as {setting:?} needs")
            }
            Reason::NoProxy => f.write_str("it is not in \"trusted_proxies\""),
            Reason::Header(why) => write!(f, "no valid PROXY protocol header: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::{Arc, Mutex};

    use super::{LINES, Reason, Refusals, WINDOW};
    use crate::log::Log;

    #[test]
    fn who_comes_again_and_again_is_logged_once_a_minute() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let refusals =
            Refusals::new(Log::to(move |line| sink.lock().unwrap().push(line.to_owned())));
        let logged = || std::mem::take(&mut *lines.lock().unwrap());
        let next_minute = || {
            let mut recent = refusals.recent.lock().unwrap();
            recent.since = recent.since.checked_sub(WINDOW).unwrap();
        };
        let v6 = |host: &str| format!("2001:db8:0:7::{host}").parse().unwrap();

        (0..1_000).for_each(|_| refusals.record(v6("1"), 443, Reason::NoProxy));
        // The other addresses of its network are the same host.
        refusals.record(v6("2"), 443, Reason::NoProxy);
        refusals.record(v6("1"), 443, Reason::Header("x"));
        let found = logged();
        assert_eq!(found.len(), 2, "{found:?}");
        let wanted =
            " security 2001:db8:0:7::1: refused on port 443: it is not in \"trusted_proxies\"\n";
        assert!(found[0].ends_with(wanted), "{found:?}");

        refusals.report_suppressed();
        assert!(logged().is_empty());
        next_minute();
        refusals.report_suppressed();
        assert!(logged()[0].contains(" security 1000 more were refused"));

        for host in 0..=u8::MAX {
            let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, host));
            refusals.record(address, 80, Reason::NoProxy);
        }
        assert_eq!(logged().len(), LINES);
        next_minute();
        refusals.record(v6("1"), 443, Reason::NoProxy);
        let found = logged();
        assert!(found.len() == 2 && found[0].contains(" 236 more were refused"), "{found:?}");
    }
}
