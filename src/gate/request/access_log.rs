//! The access log: one line for each request, readable by people and programs.
//!
//! `peer=192.0.2.7 tls=yes method=GET path=/v2/jobs status=200 in=0 out=512 ms=3 service=speech`: pairs
//! of a name and a value without spaces. The query is left out, because clients put tokens into it.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

/// What is logged about a request when it has ended.
pub(crate) struct Record {
    peer: IpAddr,
    tls: bool,
    /// 0 if there was no response.
    pub(crate) status: u16,
    /// Body bytes received from and sent to the client, without framing.
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) since: Instant,
    /// Why the request failed, if it did.
    pub(crate) remark: String,
}

impl Record {
    pub(crate) fn new(peer: IpAddr, tls: bool) -> Record {
        Record {
            peer: peer.to_canonical(),
            tls,
            status: 0,
            received: 0,
            sent: 0,
            since: Instant::now(),
            remark: String::new(),
        }
    }
}

/// The line, with what the request and its route add when it is written.
pub(crate) struct Line<'a> {
    pub(crate) record: &'a Record,
    pub(crate) method: &'a str,
    /// Empty if the target is malformed.
    pub(crate) path: &'a str,
    /// Empty if no service was used.
    pub(crate) service: &'a str,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { peer, tls, status, received, sent, since, remark } = self.record;
        let tls = if *tls { "yes" } else { "no" };
        let ms = since.elapsed().as_millis();
        let or_dash = |text| if str::is_empty(text) { "-" } else { text };
        let (method, path, service) = (self.method, or_dash(self.path), or_dash(self.service));
        write!(
            f,
            "peer={peer} tls={tls} method={method} path={path} status={status} in={received} \
             out={sent} ms={ms} service={service}"
        )?;
        if !remark.is_empty() {
            write!(f, " remark={remark:?}")?;
        }
        Ok(())
    }
}
