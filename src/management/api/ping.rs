//! `ping`: a reply that shows the daemon is up. The wording is ours; only its shape is public.

use super::request::Request;
use super::response::{Answer, Response};
use crate::management::Context;

pub(crate) fn management(_: &Context, _: &mut Request) -> Answer {
    Ok(reply("management is running"))
}

pub(crate) fn license(_: &Context, _: &mut Request) -> Answer {
    Ok(reply("license management is running"))
}

/// Written as it is, because load balancers ask often.
fn reply(words: &str) -> Response {
    Response::text(200, "application/json", format!("{{\"reply\": \"{words}\"}}"))
}
