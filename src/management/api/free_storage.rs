//! `freestorage`: the free bytes of each disk.

use serde_json::{Value, json};

use super::request::Request;
use super::response::{Answer, Response};
use crate::management::Context;
use crate::monitor::{Space, spaces};

pub(crate) fn show(_: &Context, _: &mut Request) -> Answer {
    Response::json_or_error(spaces().map(|spaces| json!({"items": items(spaces)})))
}

/// A disk that is mounted in several places is listed once, at the first.
fn items(mut spaces: Vec<Space>) -> Vec<Value> {
    let mut seen = Vec::new();
    spaces.retain(|space| {
        let is_new = !seen.contains(&space.mount.device);
        seen.push(space.mount.device.clone());
        is_new
    });
    let item = |space: Space| json!({"path": space.mount.point, "bytes": space.free.to_string()});
    spaces.into_iter().map(item).collect()
}
