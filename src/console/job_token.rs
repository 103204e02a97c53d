//! The job token: set, removed.

use serde_json::{Value, json};

use super::daemon::{Daemon, Error, sentence};
use super::screen::Screen;
use super::{Closed, show_outcome};

const PATH: &str = "security/jobtoken";

pub(super) fn set(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Closed> {
    screen.blank()?;
    screen.say("Clients of jobs and realtime will need it: Authorization: Bearer TOKEN")?;
    let Some(token) = screen.password("New job token")? else {
        return screen.pause();
    };
    tell(daemon.post(PATH, &json!({"user_token": token.as_str()})), screen)
}

pub(super) fn remove(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Closed> {
    let sure = screen.confirm(&[
        "Choose OK to remove the job token.",
        "* Jobs and realtime will be open to whoever reaches this appliance.",
    ])?;
    if sure { tell(daemon.delete(PATH), screen) } else { Ok(()) }
}

fn tell(done: Result<Value, Error>, screen: &mut Screen) -> Result<(), Closed> {
    let told = done.map(|answer| {
        let mut lines = vec![sentence(answer["message"].as_str().unwrap_or("done"))];
        let warnings = answer["warnings"].as_array().into_iter().flatten();
        lines.extend(
            warnings.filter_map(Value::as_str).map(|text| sentence(&format!("warning: {text}"))),
        );
        lines.join("\n")
    });
    show_outcome(screen, told)
}
