//! Errors of license calls, as the management API reports them.

use std::fmt;

/// A failed call: its text, a stable word, and what to do next (ML-31).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// Which of the three shapes it has (ML-32, ML-39, ML-40).
    pub(crate) kind: Kind,
    /// A text of ML-34 to ML-39, or one in their style.
    pub(crate) detail: String,
    /// A stable word for programs.
    pub(crate) reason: &'static str,
    /// What to do next, for the administrator. Contains no secret.
    pub(crate) hint: String,
}

/// The three shapes of an error (ML-32, ML-39, ML-40).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `Input exception: …`, code 3, HTTP 400.
    Input,
    /// An error behind its management service: code 13, HTTP 500.
    Unknown,
    /// An error of the network behind its management service: code 13, HTTP 500.
    Cancelled,
}

/// The license code is not accepted (ML-34).
const NOT_ACTIVATED: &str = "Input exception: Not activated";
/// An activation did not reach the license service (ML-35).
const OFFLINE: &str = "Input exception: Not activated - Cannot activate when offline";
/// A firewall blocks the port (ML-39).
const BLOCKED: &str = "Received RST_STREAM with error code 8";

impl ApiError {
    /// The request is not valid; nothing has changed.
    pub(crate) fn input(
        reason: &'static str,
        detail: impl fmt::Display,
        hint: impl Into<String>,
    ) -> ApiError {
        let detail = format!("Input exception: {detail}");
        ApiError { kind: Kind::Input, detail, reason, hint: hint.into() }
    }

    /// The authority refused a license code.
    pub(crate) fn not_activated(reason: &'static str, hint: impl Into<String>) -> ApiError {
        let detail = NOT_ACTIVATED.to_owned();
        ApiError { kind: Kind::Input, detail, reason, hint: hint.into() }
    }

    /// An activation did not reach the authority.
    pub(crate) fn offline(reason: &'static str, hint: impl Into<String>) -> ApiError {
        ApiError { kind: Kind::Input, detail: OFFLINE.to_owned(), reason, hint: hint.into() }
    }

    /// Another call did not reach the authority, or packets to its port are dropped.
    pub(crate) fn blocked(reason: &'static str, hint: impl Into<String>) -> ApiError {
        ApiError { kind: Kind::Cancelled, detail: BLOCKED.to_owned(), reason, hint: hint.into() }
    }

    /// An internal error: code 13 with `detail` (ML-32).
    pub(crate) fn internal(
        reason: &'static str,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> ApiError {
        ApiError { kind: Kind::Unknown, detail: detail.into(), reason, hint: hint.into() }
    }

    /// The state could not be written to disk.
    pub(crate) fn disk(error: &impl fmt::Display) -> ApiError {
        ApiError::internal(
            "storage",
            format!("The license could not be saved: {error}"),
            "the state on disk stays in force; repair the disk and try again",
        )
    }

    /// The worker did not answer in time, or has ended.
    pub(crate) fn busy() -> ApiError {
        ApiError::internal(
            "busy",
            "The license service is busy",
            "another license call is in progress; see its result with GET license",
        )
    }

    /// The gRPC status code that clients read (ML-31, ML-40).
    pub(crate) fn code(&self) -> u8 {
        if self.kind == Kind::Input { 3 } else { 13 }
    }

    /// The text of v1 without its gRPC internals: a script that searches for `details = "…"` finds it.
    pub(crate) fn v1_text(&self) -> String {
        let word = match self.kind {
            Kind::Input => return self.detail.clone(),
            Kind::Unknown => "UNKNOWN",
            Kind::Cancelled => "CANCELLED",
        };
        format!(
            "Error happened in the license_management service: ModelException: Unknown Rpc Error. \
             Status code=StatusCode.{word}: <_Rendezvous of RPC that terminated with:\n\tstatus = \
             StatusCode.{word}\n\tdetails = \"{}\"\n>",
            self.detail
        )
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.detail, self.reason, self.hint)
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::ApiError;

    #[test]
    fn the_v1_text_is_the_manuals_without_its_plumbing() {
        let error = ApiError::internal(
            "offline_mode_not_enabled",
            "Offline mode not enabled for this license",
            "",
        );
        assert_eq!(
            error.v1_text(),
            "Error happened in the license_management service: ModelException: Unknown Rpc Error. Status \
             code=StatusCode.UNKNOWN: <_Rendezvous of RPC that terminated with:\n\tstatus = \
             StatusCode.UNKNOWN\n\tdetails = \"Offline mode not enabled for this license\"\n>"
        );
        assert_eq!(error.code(), 13);
        assert!(ApiError::blocked("x", "").v1_text().contains(
            "StatusCode.CANCELLED\n\tdetails = \"Received RST_STREAM with error code 8\""
        ));
        assert_eq!(ApiError::not_activated("x", "").v1_text(), "Input exception: Not activated");
    }
}
