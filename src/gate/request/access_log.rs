//! The access log: one line for each request, readable by people and programs.
//!
//! `peer=192.0.2.7 tls=yes method=GET path=/v2/jobs status=200 in=0 out=512 ms=3 service=speech`: pairs
//! of a name and a value without spaces. The query is left out, because clients put tokens into it.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::policy;
use crate::gate::Gate;
use crate::log::{self, Object};
use crate::metrics::Area;

/// What is logged about a request when it has ended.
pub(crate) struct Record {
    peer: IpAddr,
    tls: bool,
    /// What it was about, for the metrics.
    pub(crate) area: Area,
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
            area: Area::default(),
            status: 0,
            received: 0,
            sent: 0,
            since: Instant::now(),
            remark: String::new(),
        }
    }
}

impl Gate {
    /// Counts a request that has ended, and writes its line of the access log.
    pub(crate) fn log_access(&self, record: &Record, method: &str, path: &str, service: &str) {
        let duration = record.since.elapsed();
        let bytes = (record.received, record.sent);
        self.metrics.request(record.area, record.status, duration, bytes);
        if self.config.access_log {
            self.log.access(&Line { record, duration, method, path, service });
        }
    }
}

impl From<policy::Area> for Area {
    fn from(area: policy::Area) -> Area {
        use policy::Area as Path;
        match area {
            Path::ManagementV1 | Path::ManagementV2 => Area::Management,
            Path::Page => Area::Page,
            Path::Health => Area::Health,
            Path::Monitoring => Area::Monitoring,
            Path::SpeechV1 | Path::Jobs => Area::Speech,
            Path::Realtime => Area::Realtime,
            Path::CustomAdmin | Path::CustomOpen => Area::Custom,
            Path::Unknown => Area::Unknown,
        }
    }
}

/// The line, with what the request and its route add when it is written.
pub(crate) struct Line<'a> {
    pub(crate) record: &'a Record,
    pub(crate) duration: Duration,
    pub(crate) method: &'a str,
    /// Empty if the target is malformed.
    pub(crate) path: &'a str,
    /// Empty if no service was used.
    pub(crate) service: &'a str,
}

impl log::Record for Line<'_> {
    fn write_fields(&self, object: &mut Object) {
        let Record { peer, tls, status, received, sent, remark, .. } = self.record;
        object.string("peer", peer, 64);
        object.flag("tls", *tls);
        object.string("method", self.method, 40);
        object.string("path", self.path, 1_000);
        object.number("status", *status);
        object.number("in", *received);
        object.number("out", *sent);
        object.number("ms", self.duration.as_millis());
        object.string("service", self.service, 64);
        object.string("remark", remark, 400);
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { peer, tls, status, received, sent, remark, .. } = self.record;
        let tls = if *tls { "yes" } else { "no" };
        let ms = self.duration.as_millis();
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
