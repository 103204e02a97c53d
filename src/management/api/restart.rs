//! `DELETE services`: runs the configured restart command, asks the license authority for changes (the
//! way of ML-30 to receive them), and answers with the services' states.

use std::time::Duration;

use super::request::Request;
use super::response::{Answer, Response};
use super::services::list;
use crate::helper::CommandKind;
use crate::management::Context;

/// How long the answer waits for the command; a slower command continues in the background. Less than
/// the console waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(4);

pub(crate) fn services(context: &Context, request: &mut Request) -> Answer {
    restart(context, request).map_err(Response::failed)?;
    context.license.refresh();
    list(context, request)
}

/// Does nothing if no command is configured or it is running already.
fn restart(context: &Context, request: &Request) -> Result<(), String> {
    if !context.config.commands.has(CommandKind::RestartServices) {
        return Ok(());
    }
    let Some(permit) = context.running.try_start(CommandKind::RestartServices) else {
        return Ok(());
    };
    let by = request.actor();
    let text = format_args!("restart of the services requested by {by}");
    context.log.security_by(by.address(), text);
    permit.start(context, Duration::ZERO)?.recv_timeout(TIMEOUT).unwrap_or(Ok(()))
}
