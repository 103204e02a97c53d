//! An appliance of the exploration: the real plans and transitions, around them a worker without threads.

use crate::authority::model::{CODE, NOW, Vendor};
use crate::license::client::request_context::RequestContext;
use crate::license::error::ApiError;
use crate::license::protocol::claims::Lease;
use crate::license::protocol::hex::{Digest, RequestId};
use crate::license::protocol::message::{Answer, Mode, Request, User};
use crate::license::protocol::token::Type;
use crate::license::protocol::trust::Dates;
use crate::license::state::clock::ClockReading;
use crate::license::state::entitlement::Phase;
use crate::license::state::plan;
use crate::license::state::plan::{Action, Failure, NewRequest, Next, Plan};
use crate::license::state::record::State;
use crate::license::state::transition;
use crate::license::state::transition::{Identity, Outcome};

/// What happens to the writes of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Disk {
    Works,
    /// The first write fails and changes nothing.
    Fails,
    /// The power is cut after this many writes.
    CutAfter(usize),
}

/// A request that was sent and whose end is not known yet.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) answer: Option<Answer>,
    before: Option<State>,
    action: Option<Action>,
    next: Next,
}

#[derive(Debug, Clone)]
pub(super) struct Appliance {
    pub(super) device: Digest,
    computer_id: String,
    /// The state on disk, which is the worker's as well.
    pub(super) state: State,
    pub(super) call: Option<Call>,
    pub(super) wall: i64,
    /// Seconds that sessions used, or may have used.
    pub(super) used: u64,
    /// A person discarded a request that may have arrived, which costs what it granted.
    pub(super) discarded: bool,
    /// It asked for a seat by both routes at once: the later one takes the seat, and what the earlier one
    /// granted is charged.
    pub(super) both: bool,
    /// Number of its requests that left it.
    pub(super) seen: usize,
    /// The request of the last activation or return certificate.
    pub(super) certified: Option<Request>,
    /// The license certificate that the vendor signed for it.
    pub(super) signed: Option<String>,
    disk: Disk,
    writes: usize,
}

impl Appliance {
    pub(super) fn new(number: u8) -> Appliance {
        Appliance {
            device: Digest([number; 32]),
            computer_id: format!("00000000-0000-8000-8000-0000000000{number:02x}"),
            state: State::default(),
            call: None,
            wall: NOW,
            used: 0,
            discarded: false,
            both: false,
            seen: 0,
            certified: None,
            signed: None,
            disk: Disk::Works,
            writes: 0,
        }
    }

    pub(super) fn reading(&self) -> ClockReading {
        ClockReading { wall: self.wall, boot: 1, boot_id: String::new() }
    }

    pub(super) fn in_force(&self) -> bool {
        let phase = &self.state.phase;
        matches!(phase, Phase::Online | Phase::OfflineMode | Phase::OfflineCertificate)
    }

    /// What an administrator may ask for.
    pub(super) fn actions(&self) -> Vec<Action> {
        let (code, user) = (CODE.to_owned(), User::default());
        let mut actions = vec![
            Action::Activate { code: code.clone(), user: user.clone() },
            Action::Remove,
            Action::RequestCertificate { code, user },
            Action::ReturnCertificate,
            Action::EnterOfflineMode,
            Action::LeaveOfflineMode,
        ];
        actions.extend(self.signed.is_some().then(|| self.apply()));
        actions
    }

    /// Applies the license certificate that was signed.
    pub(super) fn apply(&self) -> Action {
        let certificate = self.signed.clone().unwrap_or_default();
        Action::ApplyCertificate { code: CODE.to_owned(), certificate }
    }

    /// What distinguishes it from others; times that nothing depends on are left out.
    pub(super) fn key(&self) -> String {
        let State { phase, epoch, grant, totals, pending, .. } = &self.state;
        let grant = grant.as_ref().map(|grant| (grant.kind, &grant.lease));
        let waits = self.state.pending_activation.as_ref().map(|waiting| waiting.request.req_id);
        let call = self.call.as_ref().map(|call| {
            let answer = call.answer.as_ref().map(|answer| (answer.kind, &answer.token));
            (call.request.req_id, answer, call.before.is_some(), &call.action, call.next)
        });
        format!(
            "{phase:?}{epoch}{grant:?}{totals:?}{:?}{waits:?}{:?}{:?}{call:?}{}{}{}{}{:?}{:?}",
            pending.as_ref().map(|pending| pending.req_id),
            self.state.abandoned_activation,
            self.state.returned,
            self.wall,
            self.used,
            self.discarded,
            self.both,
            self.certified.as_ref().map(|request| request.req_id),
            self.signed,
        )
    }

    pub(super) fn perform(&mut self, action: &Action, vendor: &Vendor, disk: Disk) {
        self.begin(disk);
        let plan = plan::plan(&self.state, action, &self.reading());
        let _ = self.carry_out(plan, Some(action.clone()), vendor);
        self.end();
    }

    /// The timer is due.
    pub(super) fn sync(&mut self, vendor: &Vendor) {
        self.begin(Disk::Works);
        let plan = plan::sync(&self.state, Mode::Online);
        let _ = self.carry_out(Ok(plan), None, vendor);
    }

    /// The answer has arrived.
    pub(super) fn hear(&mut self, vendor: &Vendor, disk: Disk) {
        let Some(Call { request, answer: Some(answer), action, next, .. }) = self.call.take()
        else {
            return;
        };
        self.begin(disk);
        let who = Identity { computer_id: &self.computer_id, device: self.device };
        let (state, outcome) = transition::on_answer(
            &self.state,
            &request,
            &answer,
            who,
            &vendor.trust,
            1,
            &self.reading(),
        )
        .unwrap();
        let result = self.commit(state).map(|()| outcome);
        let _ = self.finish(action, next, result, vendor);
        self.end();
    }

    /// The call has failed; `delivered` if the authority may have heard it.
    pub(super) fn fail(&mut self, vendor: &Vendor, delivered: bool) {
        let Some(Call { before, action, next, .. }) = self.call.take() else { return };
        self.begin(Disk::Works);
        if let Some(before) = before.filter(|_| !delivered) {
            self.commit(transition::not_delivered(&self.state, before)).unwrap();
        }
        let failure = Failure { unreachable: true, error: ApiError::busy() };
        let _ = self.finish(action, next, Err(failure), vendor);
    }

    /// A session uses a second, or reserves it.
    pub(super) fn use_second(&mut self, held: bool) {
        let totals = &mut self.state.totals;
        *(if held { &mut totals.held } else { &mut totals.consumed }) += 1;
        self.used += 1;
    }

    /// The power was cut, and is back.
    pub(super) fn restart(&mut self) {
        self.call = None;
        self.state.totals = self.state.totals.charge_held();
    }

    fn begin(&mut self, disk: Disk) {
        (self.disk, self.writes) = (disk, 0);
    }

    fn end(&mut self) {
        if matches!(self.disk, Disk::CutAfter(writes) if self.writes >= writes) {
            self.restart();
        }
        self.begin(Disk::Works);
    }

    fn commit(&mut self, state: State) -> Result<(), Failure> {
        let stopped = match self.disk {
            Disk::Works => false,
            Disk::Fails => self.writes == 0,
            Disk::CutAfter(writes) => self.writes >= writes,
        };
        if stopped {
            if self.disk == Disk::Fails {
                self.writes += 1;
            }
            return Err(Failure { unreachable: false, error: ApiError::busy() });
        }
        self.writes += 1;
        self.discarded |= self.discards(&state);
        self.both |= state.pending.is_some() && state.pending_activation.is_some();
        self.state = state;
        Ok(())
    }

    /// Whether `next` forgets a request that the authority may have heard or hear later, by either route: what
    /// it granted is charged when this computer takes its seat again.
    fn discards(&self, next: &State) -> bool {
        let abandons = next.abandoned_activation.is_some()
            && next.abandoned_activation != self.state.abandoned_activation;
        let answered = next.grant.as_ref().map(|grant| grant.lease.req_id);
        let waiting = self.state.pending_activation.as_ref();
        let certificate = next.pending_activation.as_ref() != waiting
            && waiting.is_some_and(|waiting| answered != Some(waiting.request.req_id));
        // The vendor may not have redeemed it.
        let returned = self.state.returned.is_some() && next.returned.is_none();
        abandons || certificate || returned
    }

    fn carry_out(
        &mut self,
        plan: Result<Plan, ApiError>,
        action: Option<Action>,
        vendor: &Vendor,
    ) -> Result<(), Failure> {
        let refused = |error| Failure { unreachable: false, error };
        match plan.map_err(refused)? {
            Plan::Answer(_) => Ok(()),
            Plan::Save { state, then, .. } => {
                self.commit(*state)?;
                self.carry_out(Ok(*then), action, vendor)
            }
            Plan::Repeat(next) => {
                let request = self.state.pending.clone().unwrap();
                self.call = Some(Call { request, answer: None, before: None, action, next });
                Ok(())
            }
            Plan::Ask { new, mut state, next, .. } => {
                let request = self.request(new, &state);
                state.pending = Some(request.clone());
                let before = Some(self.state.clone());
                match self.commit(*state) {
                    Ok(()) => {
                        self.call = Some(Call { request, answer: None, before, action, next });
                        Ok(())
                    }
                    Err(failure) => self.finish(action, next, Err(failure), vendor),
                }
            }
            Plan::Certify { new, state } => {
                let request = self.request(new, &state);
                let text = Some(format!("certificate {}", request.req_id));
                let plan = plan::certified(*state, request.clone(), text);
                self.carry_out(plan, action, vendor)?;
                (self.certified, self.signed) = (Some(request), None);
                Ok(())
            }
            Plan::Verify { token, code } => {
                let payload = vendor.trust.verify(Type::LicenseCertificate, &token, Dates::Ignored);
                let lease = Lease::from_json(&payload.unwrap()).unwrap();
                let who = Identity { computer_id: &self.computer_id, device: self.device };
                let plan = plan::verified(&self.state, token, lease, &code, who, &self.reading());
                self.carry_out(plan, action, vendor)
            }
        }
    }

    fn finish(
        &mut self,
        action: Option<Action>,
        next: Next,
        result: Result<Outcome, Failure>,
        vendor: &Vendor,
    ) -> Result<(), Failure> {
        let Some(action) = action else { return Ok(()) };
        let now = self.reading();
        let plan = plan::after(&self.state, &action, next, result, self.in_force(), &now);
        self.carry_out(plan, Some(action), vendor)
    }

    /// A request whose id depends on what it says, so that the same histories lead to the same world. A
    /// request that says the same as an earlier one is only made if nobody has seen that one.
    fn request(&self, new: NewRequest, state: &State) -> Request {
        let context = RequestContext {
            product: "103",
            version: "1",
            computer_id: &self.computer_id,
            bundle_seq: 1,
            wall: self.wall,
        };
        let NewRequest { op, code, mode, .. } = new;
        let request = context.request(RequestId([0; 16]), op, &code, mode, state);
        let said = format!("{request:?}{:?}{:?}{:?}", request.prev, mode, request.instead_of);
        let digest = Digest::of(format!("{said}{}{}", self.computer_id, self.seen).as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&digest.0[..16]);
        Request { req_id: RequestId(id), user: User::default(), ..request }
    }
}
