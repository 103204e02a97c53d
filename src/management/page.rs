//! The management page.

use super::Context;
use super::answer::Answer;
use super::html;
use super::request::Request;

pub(super) fn show(_context: &Context, _request: &mut Request<'_>) -> Answer {
    html::page(include_str!("page.html"))
}
