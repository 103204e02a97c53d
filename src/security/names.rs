//! Names of the state files, relative to the state folder.

pub(super) const SETTINGS: &str = "security.json";
pub(super) const PASSWORD: &str = "admin.htpasswd";
pub(super) const JOB_TOKEN: &str = "job-token.json";
pub(super) const UPLOADED: &str = "tls/uploaded.pem";
pub(super) const REQUEST: &str = "tls/request.pem";
pub(super) const ACME: &str = "acme.json";
pub(super) const DEFAULT: &str = "tls/default.pem";

/// Subfolders that are created together with the state folder.
pub(super) const SUBFOLDERS: [&str; 1] = ["tls"];

/// Files that a reset removes.
pub(super) const DISCARDABLE: [&str; 5] = [UPLOADED, REQUEST, ACME, PASSWORD, JOB_TOKEN];
