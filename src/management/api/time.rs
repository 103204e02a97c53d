//! `host/time`: the clock of the machine, by the image's own command, and what another time would mean.

use std::time::{Duration, SystemTime};

use serde_json::{Map, json};

use super::body::{Body, Fault};
use super::power::configured;
use super::query;
use super::request::Request;
use super::response::{Answer, Code, Response};
use crate::helper::CommandKind;
use crate::management::Context;
use crate::util::utc;

const EXAMPLE: &str = r#"{"time": "2027-01-31T12:00:00Z"}"#;

/// The default certificate is valid from then on; no image is older.
const EARLIEST: &str = "2020-01-01T00:00:00Z";
/// Before the numbers of some file systems and clocks end.
const LATEST: &str = "2099-12-31T23:59:59Z";

/// Longest run of the command that is waited for.
const COMMAND: Duration = Duration::from_secs(20);

/// A difference in seconds that means nothing.
const SLIGHT: i64 = 5;

/// The time; with `?set=TIME` also what setting the clock to that would mean.
pub(crate) fn show(context: &Context, request: &mut Request) -> Answer {
    let now = now();
    let mut answer = json!({"time": utc::format(now)});
    if let Some(wanted) = query::values(&request.query, "set").first() {
        let wanted = parse(wanted).map_err(|what| Response::error(Code::InvalidArgument, &what))?;
        answer["consequences"] = json!(consequences(context, now, wanted));
    }
    Ok(Response::json(&answer))
}

/// Sets the clock; the answer repeats what that means.
pub(crate) fn set(context: &Context, request: &mut Request) -> Answer {
    configured(context, CommandKind::Clock)?;
    let read = Body::read(request, &["time"], EXAMPLE).and_then(|mut body| {
        let text = body.string("time")?;
        parse(&text).map_err(|what| body.wrong(what))
    });
    let wanted = read.map_err(Fault::management_answer)?;
    let Some(_permit) = context.running.try_start(CommandKind::Clock) else {
        let text = "the clock is being set already; look at it then";
        return Err(Response::error(Code::Aborted, text));
    };
    let now = now();
    let consequences = consequences(context, now, wanted);
    let (from, to) = (utc::format(now), utc::format(wanted));
    context.log.security(format_args!(
        "the clock is to be set from {from} to {to}, requested by {}",
        request.actor()
    ));
    let mut document = Map::new();
    document.insert("time".to_owned(), json!(to));
    document.insert("unix_seconds".to_owned(), json!(wanted));
    context.helper.run_with(CommandKind::Clock, &document, COMMAND).map_err(|error| {
        let error = format!("the command \"commands.clock\" failed: {error}");
        context.log.error(&error);
        Response::failed(error)
    })?;
    Ok(Response::json(&json!({
        "confirmation": format!("the clock was set to {to}"),
        "consequences": consequences,
    })))
}

fn now() -> i64 {
    utc::unix_seconds(SystemTime::now())
}

fn parse(text: &str) -> Result<i64, String> {
    let allowed = utc::parse(EARLIEST).zip(utc::parse(LATEST));
    match utc::parse(text.trim()) {
        None => Err("the time is not one like 2027-01-31T12:00:00Z, in UTC".to_owned()),
        Some(time) if allowed.is_some_and(|(first, last)| (first..=last).contains(&time)) => {
            Ok(time)
        }
        Some(_) => Err(format!("the time is not between {EARLIEST} and {LATEST}")),
    }
}

/// What it means for certificate and license, as sentences.
fn consequences(context: &Context, now: i64, wanted: i64) -> Vec<String> {
    let mut told = certificate(context, now, wanted);
    if let Some(end) = context.license.lease_end() {
        told.extend(license(now, wanted, end));
    }
    told
}

fn certificate(context: &Context, now: i64, wanted: i64) -> Vec<String> {
    let summary = &context.security.identity().snapshot().summary;
    let (begin, end) = (utc::format(summary.not_before), utc::format(summary.not_after));
    let mut told = Vec::new();
    if summary.not_after <= wanted && now < summary.not_after {
        told.push(format!("The certificate counts as expired then: it ends at {end}."));
    } else if wanted < summary.not_before {
        told.push(format!("The certificate is not valid yet then: it begins at {begin}."));
    } else if now >= summary.not_after {
        told.push("The certificate is valid again then.".to_owned());
    }
    told
}

/// `end` is that of the license, or of the lease it has of its service.
fn license(now: i64, wanted: i64, end: i64) -> Option<String> {
    let told = if wanted >= end && now < end {
        format!(
            "The license counts as expired then, for it ends or must be renewed by {}: new speech is refused. Setting \
             the clock back does not bring it back: that takes an answer of the license service, or a new license \
             certificate.",
            utc::format(end)
        )
    } else if wanted > now + SLIGHT {
        "The license remembers the latest time it has seen: if this one is too late, its time is lost until the \
         license service answers or a new license certificate is applied."
            .to_owned()
    } else if wanted < now - SLIGHT {
        "The license does not get longer: it goes on counting from the latest time it has seen."
            .to_owned()
    } else {
        return None;
    };
    Some(told)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{license, parse};

    #[test]
    fn a_time_is_in_utc_and_of_this_century() {
        assert_eq!(parse(" 2027-01-31T12:00:00Z "), Ok(1_801_396_800));
        for odd in ["", "2027-01-31", "2027-02-30T12:00:00Z", "2027-01-31T12:00:00+01:00", "now"] {
            assert!(parse(odd).unwrap_err().contains("in UTC"), "{odd}");
        }
        for far in ["2019-12-31T23:59:59Z", "2100-01-01T00:00:00Z"] {
            assert!(parse(far).unwrap_err().contains("between"), "{far}");
        }
    }

    #[test]
    fn what_it_means_for_a_license_depends_on_the_direction() {
        assert!(license(1_000, 5_000, 4_000).unwrap().contains("counts as expired"));
        assert!(license(1_000, 2_000, 4_000).unwrap().contains("remembers the latest time"));
        assert!(license(1_000, 500, 4_000).unwrap().contains("does not get longer"));
        assert_eq!(license(1_000, 1_002, 4_000), None);
    }
}
