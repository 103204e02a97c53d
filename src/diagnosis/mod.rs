//! What the appliance tells of itself, for `check`, `status`, the console and the report for support: what its files
//! would do at the next start (`check`), its status (`status`) as a screen of text (`screen`), and which services
//! accept connections.
//!
//! Nothing here changes anything, or asks a daemon by itself.

pub(crate) mod check;
pub(crate) mod screen;
pub(crate) mod services;
pub(crate) mod status;
