//! Builds requests from the state: each reports the appliance's accounts as they are on disk.

use crate::license::protocol::hex::{Digest, RequestId};
use crate::license::protocol::message::{Mode, Op, ReportedClock, Request, User};
use crate::license::state::record::State;

/// The value of `want` for as many seconds as allowed; the authority has its own limit.
const WANT_MAXIMUM: i64 = 2_147_483_647;

/// What identifies the appliance in a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestContext<'a> {
    pub(crate) product: &'a str,
    pub(crate) version: &'a str,
    pub(crate) computer_id: &'a str,
    pub(crate) bundle_seq: i64,
    /// The machine's own clock; for information only.
    pub(crate) wall: i64,
}

impl RequestContext<'_> {
    /// The request `id` for the license `code`.
    pub(crate) fn request(
        &self,
        id: RequestId,
        op: Op,
        code: &str,
        mode: Mode,
        state: &State,
    ) -> Request {
        let grant = state.grant.as_ref();
        // If the machine has changed, the authority knows the computer of the last grant.
        let granted_to = grant.map(|grant| &grant.lease.computer_id);
        let previous = granted_to.filter(|known| *known != self.computer_id);
        let unanswered = state.pending.as_ref().filter(|pending| pending.op == Op::Activate);
        let unanswered = unanswered.map(|pending| pending.req_id).or(state.abandoned_activation);
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Request {
            op,
            req_id: id,
            ts: self.wall,
            license: code.to_owned(),
            product: self.product.to_owned(),
            version: self.version.to_owned(),
            computer_id: self.computer_id.to_owned(),
            prev_computer_id: previous.cloned(),
            epoch: state.epoch,
            seq: grant.map_or(0, |grant| grant.lease.seq),
            prev: grant.map_or(Digest::NONE, |grant| grant.digest()),
            consumed: signed(state.totals.consumed),
            granted: signed(state.totals.granted),
            want: WANT_MAXIMUM,
            mode,
            log_head: state.log.hash,
            clock: ReportedClock { wall: self.wall, regressions: signed(state.clock.regressions) },
            bundle_seq: self.bundle_seq,
            instead_of: unanswered.filter(|_| op == Op::Activate),
            user: User::default(),
        }
    }
}
