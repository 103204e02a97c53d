//! `reboot` and `shutdown`: run the configured commands after the answer is sent.

use std::time::Duration;

use serde_json::json;

use super::request::Request;
use super::response::{Answer, Code, Response};
use crate::helper::CommandKind;
use crate::management::Context;

/// Time for users to finish (MA-10).
const REBOOT_DELAY: Duration = Duration::from_secs(60);

/// Just enough time to send the answer.
const SHUTDOWN_DELAY: Duration = Duration::from_secs(1);

pub(crate) fn reboot(context: &Context, request: &mut Request) -> Answer {
    let confirmation = "the system restarts in 1 minute";
    run_later(context, request, CommandKind::Reboot, REBOOT_DELAY, confirmation)
}

pub(crate) fn shutdown(context: &Context, request: &mut Request) -> Answer {
    run_later(context, request, CommandKind::Shutdown, SHUTDOWN_DELAY, "the system shuts down now")
}

fn run_later(
    context: &Context,
    request: &Request,
    kind: CommandKind,
    delay: Duration,
    confirmation: &str,
) -> Answer {
    let name = kind.name();
    configured(context, kind)?;
    let Some(permit) = context.running.try_start(kind) else {
        return Ok(confirmed(&format!("a {name} is under way already")));
    };
    let seconds = delay.as_secs();
    let by = request.actor();
    let text = format_args!("{name} requested by {by}, scheduled in {seconds} s");
    context.log.security_by(by.address(), text);
    permit.start(context, delay).map_err(Response::failed)?;
    Ok(confirmed(confirmation))
}

/// Goes on if the image has a command for it.
pub(crate) fn configured(context: &Context, kind: CommandKind) -> Result<(), Response> {
    if context.config.commands.has(kind) {
        return Ok(());
    }
    let text = format!(
        "this appliance has no command for that; its settings have no \"commands.{}\"",
        kind.name()
    );
    Err(Response::error(Code::Unimplemented, &text))
}

/// The answer to what is done, or will be.
pub(crate) fn confirmed(confirmation: &str) -> Response {
    Response::json(&json!({"confirmation": confirmation}))
}
