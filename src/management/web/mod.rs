//! Pages for a browser: the management page, and the description of the API.

mod compact;
pub(crate) mod docs;
pub(crate) mod html;
pub(crate) mod page;
