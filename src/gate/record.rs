//! One line a request, for a person and for a machine.
//!
//! `peer=192.0.2.7 tls=yes method=GET path=/v2/jobs status=200 in=0 out=512 ms=3 service=speech`: pairs
//! of a name and a value without spaces. The query is left out, for clients put tokens into it.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use super::head::RequestHead;

/// What is told of a request once it is over.
pub(crate) struct Record {
    peer: IpAddr,
    tls: bool,
    method: String,
    pub(super) path: String,
    /// 0 if there was no answer at all.
    pub(super) status: u16,
    /// Body bytes that the client sent, and that it was sent, without their framing.
    pub(super) received: u64,
    pub(super) sent: u64,
    since: Instant,
    /// Empty if none was asked.
    pub(super) service: String,
    /// Why it ended as it did, if not as it should.
    pub(super) remark: String,
}

impl Record {
    pub(super) fn new(peer: IpAddr, tls: bool, head: &RequestHead) -> Record {
        Record {
            peer: peer.to_canonical(),
            tls,
            method: head.method.clone(),
            path: String::new(),
            status: 0,
            received: 0,
            sent: 0,
            since: Instant::now(),
            service: String::new(),
            remark: String::new(),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { peer, method, path, status, received, sent, .. } = self;
        let tls = if self.tls { "yes" } else { "no" };
        let ms = self.since.elapsed().as_millis();
        let or_dash = |text| if str::is_empty(text) { "-" } else { text };
        let (path, service) = (or_dash(path), or_dash(&self.service));
        write!(
            f,
            "peer={peer} tls={tls} method={method} path={path} status={status} in={received} \
             out={sent} ms={ms} service={service}"
        )?;
        if !self.remark.is_empty() {
            write!(f, " remark={:?}", self.remark)?;
        }
        Ok(())
    }
}
