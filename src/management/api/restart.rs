//! `DELETE services`: restarts the services by the command of the settings, asks the authority for
//! changes of the license (the manual's way to receive them), and tells how they are.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::request::Request;
use super::response::{Code, Response};
use super::services::list;
use crate::helper::{CommandKind, STACK};
use crate::management::Context;

/// How long the answer waits for the command; a slower one goes on behind it. Less than the console
/// waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);

pub(crate) fn services(context: &Context, request: &mut Request<'_>) -> Response {
    match restart(context, request) {
        Ok(()) => {
            context.license.refresh();
            list(context, request)
        }
        Err(fault) => Response::error(Code::Internal, &fault),
    }
}

/// Nothing to do where no command is configured, or while it runs already.
fn restart(context: &Context, request: &Request<'_>) -> Result<(), String> {
    if CommandKind::RestartServices.argv(&context.config.commands).is_empty() {
        return Ok(());
    }
    let Some(permit) = context.running.try_start(CommandKind::RestartServices) else {
        return Ok(());
    };
    context.log.security(format_args!("{} restarts the services", request.actor()));
    let (ended, end) = mpsc::channel();
    let (helper, log) = (Arc::clone(&context.helper), context.log.clone());
    thread::Builder::new()
        .name("restart-services".to_owned())
        .stack_size(STACK)
        .spawn(move || ended.send(permit.run(&helper, &log)))
        .map_err(|fault| format!("no thread to restart the services: {fault}; try again"))?;
    end.recv_timeout(PATIENCE).unwrap_or(Ok(()))
}
