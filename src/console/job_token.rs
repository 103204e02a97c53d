//! The job token: set, removed.

use serde_json::json;

use super::daemon::Daemon;
use super::screen::Screen;
use super::{Ended, tell};

const PATH: &str = "security/jobtoken";

pub(super) fn set(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    screen.blank()?;
    screen.say("Clients of jobs and realtime will need it: Authorization: Bearer TOKEN")?;
    let token = screen.password("New job token")?;
    tell(screen, &daemon.post(PATH, &json!({"user_token": token.as_str()}))?)
}

pub(super) fn remove(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    screen.confirm(&[
        "Choose OK to remove the job token.",
        "* Jobs and realtime will be open to whoever reaches this appliance.",
    ])?;
    tell(screen, &daemon.delete(PATH)?)
}
