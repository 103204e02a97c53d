//! `logs/zip`: a report for support, which shows what the appliance and its machine look like now.
//!
//! Everything in it is told elsewhere without a secret, or is a public file of the kernel. What can't be had says
//! why in its place, and the rest is still there. A report is smaller than 5 MiB: it has fewer than 39 entries.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _};
use std::time::SystemTime;

use serde_json::Value;

use super::request::{Method, Request};
use super::response::{Answer, Code, Response};
use super::{health, host, metrics, query, table};
use crate::diagnosis::{check, screen, status};
use crate::license::last_digits;
use crate::log::Kind;
use crate::management::Context;
use crate::security::write_certificates;
use crate::util::utc;
use crate::util::zip::Zip;

/// Bytes of an entry; what is longer is cut there.
const MAX_ENTRY: usize = 128 * 1024;

/// How far back the log goes without a `limit`, in seconds.
const USUAL: i64 = 3600;

/// Files of the kernel and the image. None has a secret: `/proc/cmdline` may, so it is not here.
#[rustfmt::skip]
const FILES: &[&str] = &[
    "/proc/version", "/proc/uptime", "/proc/loadavg", "/proc/meminfo", "/proc/cpuinfo", "/proc/mounts",
    "/proc/diskstats", "/proc/net/dev", "/proc/net/route", "/proc/net/ipv6_route", "/proc/net/if_inet6",
    "/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6", "/proc/self/status", "/proc/self/limits",
    "/sys/class/dmi/id/product_name", "/etc/os-release", "/etc/resolv.conf",
];

/// 200 with the zip.
pub(crate) fn show(context: &Context, request: &mut Request) -> Answer {
    let asked = query::values(&request.query, "limit");
    let Some(seconds) = asked.last().map_or(Some(USUAL), |limit| limit_seconds(limit)) else {
        let text =
            "limit is how far back the log goes, as in 1h30m, 300s or 300: hours, minutes, seconds";
        return Err(Response::error(Code::InvalidArgument, text));
    };
    let now = utc::unix_seconds(SystemTime::now());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host = host.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-");
    let time = utc::format(now).replace(['-', ':'], "");
    let name = format!("applianced-report-{host}-{time}");
    let mut zip = Zip::new(name.clone(), now);
    let since = utc::format(now.saturating_sub(seconds).max(0));
    fill(&mut zip, context, &since);
    let mut answer = Response::text(200, "application/zip", String::new());
    answer
        .headers
        .push(("Content-Disposition", format!("attachment; filename=\"{name}.zip\"").into()));
    answer.body = zip.finish();
    Ok(answer)
}

fn fill(zip: &mut Zip, context: &Context, since: &str) {
    let license = context.license.status();
    let code = license["license_code"].as_str().unwrap_or_default();
    let mut add = |name: &str, contents: &[u8]| {
        let contents = without(contents, code);
        match contents.get(..MAX_ENTRY) {
            Some(start) => zip.add(name, &[start, b"\n[cut here]\n"].concat()),
            None => zip.add(name, &contents),
        }
    };
    for (name, kind) in [("log/management", Kind::Operation), ("log/gate", Kind::Access)] {
        // Each begins with its time, whose order is that of its text.
        let lines = context.log.recent(kind, usize::MAX, |line| line >= since);
        add(name, lines.concat().as_bytes());
    }
    let config = &context.config;
    add("version", format!("applianced {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
    add("settings.json", format!("{:#}\n", config.to_json()).as_bytes());
    let found = check::findings(config);
    add("check", [found.notes, found.faults].concat().join("\n").as_bytes());
    let told = status::of_daemon(config, |resource| member(context, resource));
    add("status", told.map_or_else(|error| error, |status| screen::text(&status)).as_bytes());
    let handlers: [(&str, table::Handler); 5] = [
        ("about.json", host::about_v2),
        ("health.json", health::show),
        ("license.json", super::license::online::show),
        ("certificate.json", super::security::certificate::show),
        ("metrics", metrics::show),
    ];
    for (name, handler) in handlers {
        let answer = handler(context, &mut from_here(""));
        add(name, &answer.unwrap_or_else(|refusal| refusal).body);
    }
    let mut chain = String::new();
    write_certificates(&mut chain, &context.security.identity().snapshot().certified.cert);
    add("certificate.pem", chain.as_bytes());
    add("usage", context.license.usage().as_bytes());
    let disks =
        context.monitor.stats("fs").map_or_else(|error| error, |disks| format!("{disks:#}"));
    add("disks.json", disks.as_bytes());
    for path in FILES {
        let contents = read(path).unwrap_or_else(|error| format!("{path}: {error}\n").into_bytes());
        add(path.trim_start_matches('/'), &contents);
    }
}

/// The text with the last digits of a license code in its place, as logs have it: who has a code can activate with it.
fn without<'a>(text: &'a [u8], code: &str) -> Cow<'a, [u8]> {
    match std::str::from_utf8(text) {
        Ok(text) if !code.is_empty() && text.contains(code) => {
            text.replace(code, &format!("…{}", last_digits(code))).into_bytes().into()
        }
        _ => text.into(),
    }
}

/// What the API answers to this machine.
fn member(context: &Context, resource: &str) -> Result<Value, String> {
    let generation = if context.config.api.v1 { "/v1/" } else { "/v2/" };
    let answer = table::dispatch(context, &mut from_here(&format!("{generation}{resource}")));
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(|error| error.to_string()),
        status => Err(format!("{resource}: {status}")),
    }
}

fn from_here(path: &str) -> Request {
    Request {
        method: Method::Get,
        path: path.to_owned(),
        query: String::new(),
        content_type: None,
        accept: None,
        peer: None,
        local: None,
        authority: None,
        body: Ok(Default::default()),
    }
}

/// At most one byte more than an entry has.
fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    File::open(path)?.take(MAX_ENTRY as u64 + 1).read_to_end(&mut contents)?;
    Ok(contents)
}

/// Of `8h5m3s`, parts left out or not, and of a number of seconds; `None` if it is neither, or 0.
fn limit_seconds(text: &str) -> Option<i64> {
    let (mut total, mut number, mut last) = (0_i64, None, i64::MAX);
    for byte in text.bytes() {
        let unit = match byte {
            b'0'..=b'9' => {
                let tens = number.unwrap_or(0_i64).checked_mul(10)?;
                number = Some(tens.checked_add((byte - b'0').into())?);
                continue;
            }
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        if unit >= last {
            return None;
        }
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
        last = unit;
    }
    match number {
        Some(_) if last != i64::MAX => None,
        bare => Some(bare.unwrap_or(total)).filter(|seconds| *seconds > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::limit_seconds;

    #[test]
    fn a_limit_is_hours_minutes_and_seconds_or_seconds_alone() {
        for (text, seconds) in [
            ("8h5m3s", 29_103),
            ("8h", 28_800),
            ("3h30m", 12_600),
            ("1h3s", 3603),
            ("300s", 300),
            ("300", 300),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(limit_seconds(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "0",
            "0h",
            "-1",
            "1d",
            "h",
            "1h30",
            "3m2h",
            "1h1h",
            " 1h",
            "1.5h",
            "1H",
            "9223372036854775808",
            "9223372036854775807h",
            "9223372036854775807m1s",
        ] {
            assert!(limit_seconds(text).is_none(), "{text}");
        }
    }
}
