//! One attempt to get a certificate: account, order, challenges, certificate.
//!
//! Each step is on the disk before the authority hears of the next, so an attempt goes on where the last one was
//! interrupted: an account or an order that was made already is used.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;

use super::client::{
    self, Account, AccountKey, AcmeError, Authorization, AuthorizationStatus, Challenge, Client,
    Order, OrderStatus, Problem,
};
use super::record::{self, AcmeRecord};
use super::worker::{Stop, Wait};
use super::{AlpnChallenge, Challenges, HttpChallenge, renewal};
use crate::config::ChallengeType;
use crate::security::addresses::Host;
use crate::security::certificate;
use crate::security::certificate_request::PendingRequest;
use crate::security::{Identity, SecuritySettings, Wanted};
use crate::util::utc;

/// Longest time for one attempt; an order that is still processed then is looked at by the next one.
const LONGEST: Duration = Duration::from_secs(300);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// An attempt, with all that it needs.
pub(super) struct Attempt<'a> {
    pub(super) security: &'a SecuritySettings,
    pub(super) record: &'a mut Arc<AcmeRecord>,
    pub(super) client: Client,
    /// Whether http-01 can be answered here at all.
    pub(super) serves_http: bool,
    pub(super) wait: &'a Wait<'a>,
}

impl Attempt<'_> {
    /// Gets a certificate and puts it in service.
    pub(super) fn run(&mut self) -> Result<(), Stop> {
        let key = AccountKey::from_pem(&self.record.account_key).map_err(AcmeError::from)?;
        let account = self.account(&key)?;
        let account = Account { key: &key, url: &account };
        let pending = self.request()?;
        let url = self.placed(&account)?;
        let end = SystemTime::now() + LONGEST;
        let mut pauses = Pauses::default();
        loop {
            let order = self.client.order(&account, &url);
            let order = order.map_err(|error| self.forget_if_gone(error))?;
            let mut retry_after = order.retry_after;
            match order.status {
                OrderStatus::Pending => self.authorize(&account, &order, end)?,
                OrderStatus::Ready => {
                    let order = self.client.finalize(&account, &order.finalize, &pending.request);
                    retry_after = order.map_err(|error| self.forget_if_gone(error))?.retry_after;
                }
                OrderStatus::Processing => {}
                OrderStatus::Valid => return self.finish(&account, order.certificate, &pending),
                OrderStatus::Invalid => {
                    self.forget_order()?;
                    let why = order.error.map_or_else(
                        || "it gave no reason".to_owned(),
                        |problem| problem.to_string(),
                    );
                    return Err(AcmeError::from(format!(
                        "the certificate authority has refused the order: {why}"
                    ))
                    .into());
                }
            }
            self.pause(pauses.next(retry_after), end)?;
        }
    }

    /// The URL of our account, which is made if there is none.
    fn account(&mut self, key: &AccountKey) -> Result<String, Stop> {
        if let Some(url) = &self.record.account {
            return Ok(url.clone());
        }
        let config = &self.record.config;
        let external = config.external_account.as_ref();
        let url = self.client.new_account(key, &config.contact, external)?;
        self.save(|record| record.account = Some(url.clone()))?;
        Ok(url)
    }

    /// The key and the request for its certificate, which are made if there are none.
    fn request(&mut self) -> Result<PendingRequest, Stop> {
        let invalid = |error: String| AcmeError::from(error);
        if let Some(order) = &self.record.order {
            return Ok(PendingRequest::from_file(order.request.as_bytes()).map_err(invalid)?);
        }
        let wanted = Wanted::new(&self.names(), None, &[], self.record.config.key_type);
        let now = SystemTime::now();
        let made = wanted
            .and_then(|wanted| self.security.one_at_a_time(|| PendingRequest::make(wanted, now)));
        let (pending, request) = made.map_err(invalid)?;
        self.save(|record| record.order = Some(record::Order { request, url: None }))?;
        Ok(pending)
    }

    /// The URL of the order, which is placed if there is none.
    fn placed(&mut self, account: &Account<'_>) -> Result<String, Stop> {
        if let Some(url) = self.record.order.as_ref().and_then(|order| order.url.as_ref()) {
            return Ok(url.clone());
        }
        let names = self.names();
        let replaces = self.record.renewal.and_then(|_| self.certificate_id());
        let placed = self.client.new_order(account, &names, replaces.as_deref());
        let (url, _) = placed.map_err(|error| self.forget_account_if_gone(error))?;
        self.save(|record| {
            if let Some(order) = &mut record.order {
                order.url = Some(url.clone());
            }
        })?;
        Ok(url)
    }

    fn names(&self) -> Vec<String> {
        match self.record.config.names.as_slice() {
            [] => vec![Host::detect().common_name],
            names => names.to_vec(),
        }
    }

    /// Shows the authority that the names are ours, and waits until it has seen that.
    fn authorize(
        &mut self,
        account: &Account<'_>,
        order: &Order,
        end: SystemTime,
    ) -> Result<(), Stop> {
        let _published = Withdraw(self.security);
        let mut challenges = Challenges::default();
        let mut pending = Vec::new();
        for url in &order.authorizations {
            let authorization = self.client.authorization(account, url)?;
            if authorization.status == AuthorizationStatus::Pending {
                let challenge = self.choose(&authorization)?;
                add(&mut challenges, account.key, &authorization, challenge)?;
                pending.push((url, challenge.clone()));
            }
        }
        self.security.challenges().publish(challenges);
        for (_, challenge) in &pending {
            if challenge.is_pending {
                self.client.respond(account, &challenge.url)?;
            }
        }
        for (url, challenge) in &pending {
            self.await_validation(account, url, &challenge.kind, end)?;
        }
        Ok(())
    }

    /// The challenge that is answered.
    fn choose<'b>(&self, authorization: &'b Authorization) -> Result<&'b Challenge, Stop> {
        let offered = |kind: &ChallengeType| {
            authorization.challenges.iter().find(|challenge| challenge.kind == kind.name())
        };
        let possible = match (self.record.config.challenge, self.serves_http) {
            (Some(chosen), _) => vec![chosen],
            (None, true) => vec![ChallengeType::Http01, ChallengeType::TlsAlpn01],
            (None, false) => vec![ChallengeType::TlsAlpn01],
        };
        possible.iter().find_map(offered).ok_or_else(|| {
            let known: Vec<&str> = possible.iter().map(|kind| kind.name()).collect();
            let offered = authorization.challenges.iter().map(|challenge| challenge.kind.as_str());
            let offered: Vec<&str> = offered.collect();
            AcmeError::from(format!(
                "for {} the certificate authority offers the challenges {}, and the appliance can answer {} as it \
                 is set: set \"challenge\" to one that it offers, or ask the authority for one of these",
                authorization.name,
                offered.join(", "),
                known.join(", ")
            ))
            .into()
        })
    }

    fn await_validation(
        &mut self,
        account: &Account<'_>,
        url: &str,
        kind: &str,
        end: SystemTime,
    ) -> Result<(), Stop> {
        let mut pauses = Pauses::default();
        loop {
            let authorization = self.client.authorization(account, url)?;
            match authorization.status {
                AuthorizationStatus::Valid => return Ok(()),
                AuthorizationStatus::Pending => {}
                _ => {
                    self.forget_order()?;
                    return Err(refused(&authorization, kind).into());
                }
            }
            self.pause(pauses.next(authorization.retry_after), end)?;
        }
    }

    /// Fetches the certificate, checks it as an upload, and puts it in service.
    fn finish(
        &mut self,
        account: &Account<'_>,
        url: Option<String>,
        pending: &PendingRequest,
    ) -> Result<(), Stop> {
        let url = url.ok_or_else(|| {
            AcmeError::from(
                "the certificate authority calls the order valid and shows no certificate"
                    .to_owned(),
            )
        })?;
        let chain = self.client.certificate(account, &url);
        let chain = chain.map_err(|error| self.forget_if_gone(error))?;
        let (identity, text) = match self.check(&chain, pending) {
            Ok(checked) => checked,
            Err(what) => {
                self.forget_order()?;
                return Err(AcmeError::from(format!(
                    "the certificate that the authority has issued can't be used: {what}"
                ))
                .into());
            }
        };
        let summary = identity.summary.clone();
        let leaf = identity.certified.cert.first().cloned();
        if !self.security.apply_acme(self.record, identity, &text)? {
            return Err(Stop::Superseded);
        }
        let renewal = leaf.and_then(|leaf| self.suggested_renewal(&leaf)).unwrap_or_else(|| {
            renewal::two_thirds(summary.not_before, summary.not_after, random())
        });
        let renewal = renewal.max(now() + renewal::SOONEST_RETRY);
        self.save(|record| {
            record.order = None;
            record.failure = None;
            record.renewal = Some(renewal);
        })
    }

    fn check(
        &self,
        chain: &str,
        pending: &PendingRequest,
    ) -> Result<(Identity, zeroize::Zeroizing<String>), String> {
        let (identity, text) = certificate::for_issued(chain.as_bytes(), &pending.key, now())?;
        let missing = self.names().into_iter().find(|name| !identity.summary.names.contains(name));
        match missing {
            None => Ok((identity, text)),
            Some(name) => Err(format!(
                "it is for {}, and not for {name}: ask whoever runs the authority",
                identity.summary.names.join(", ")
            )),
        }
    }

    /// What the authority suggests for the renewal of `leaf` (RFC 9773).
    fn suggested_renewal(&mut self, leaf: &CertificateDer<'_>) -> Option<i64> {
        let id = client::certificate_id(leaf)?;
        let info = self.client.renewal_info(&id).ok().flatten()?;
        Some(renewal::in_window(info.start, info.end, random()))
    }

    /// The identifier of the certificate in force (RFC 9773 section 4.1).
    fn certificate_id(&self) -> Option<String> {
        let identity = self.security.identity().snapshot();
        identity.certified.cert.first().and_then(|leaf| client::certificate_id(leaf))
    }

    /// Begins anew with the next attempt, if the authority doesn't know the order any more.
    fn forget_if_gone(&mut self, error: AcmeError) -> Stop {
        if error.refused
            && let Err(stop) = self.forget_order()
        {
            return stop;
        }
        self.forget_account_if_gone(error)
    }

    fn forget_account_if_gone(&mut self, error: AcmeError) -> Stop {
        if error.kind.as_deref() == Some("accountDoesNotExist")
            && let Err(stop) = self.save(|record| record.account = None)
        {
            return stop;
        }
        error.into()
    }

    fn forget_order(&mut self) -> Result<(), Stop> {
        self.save(|record| record.order = None)
    }

    fn save(&mut self, change: impl FnOnce(&mut AcmeRecord)) -> Result<(), Stop> {
        let mut after = AcmeRecord::clone(self.record);
        change(&mut after);
        let saved = self.security.save_acme(self.record, after)?;
        *self.record = saved.ok_or(Stop::Superseded)?;
        Ok(())
    }

    fn pause(&self, pause: Duration, end: SystemTime) -> Result<(), Stop> {
        if SystemTime::now() > end {
            let minutes = LONGEST.as_secs() / 60;
            return Err(AcmeError::from(format!(
                "the certificate authority is still working on the order after {minutes} minutes; it goes on with \
                 the next attempt"
            ))
            .into());
        }
        (self.wait)(pause, self.record)
    }
}

/// Withdraws the challenges when an attempt has ended, however it did.
struct Withdraw<'a>(&'a SecuritySettings);

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.0.challenges().publish(Challenges::default());
    }
}

fn add(
    challenges: &mut Challenges,
    key: &AccountKey,
    authorization: &Authorization,
    challenge: &Challenge,
) -> Result<(), Stop> {
    let key_authorization = key.key_authorization(&challenge.token);
    if challenge.kind == ChallengeType::Http01.name() {
        challenges.http.push(HttpChallenge { token: challenge.token.clone(), key_authorization });
        return Ok(());
    }
    let alpn =
        AlpnChallenge::new(&authorization.name, &key_authorization).map_err(AcmeError::from)?;
    challenges.alpn.push(alpn);
    Ok(())
}

fn refused(authorization: &Authorization, kind: &str) -> AcmeError {
    let name = &authorization.name;
    let challenge = authorization.challenges.iter().find(|challenge| challenge.kind == kind);
    let problem = challenge.and_then(|challenge| challenge.error.as_ref());
    let why = problem.map_or_else(|| "it gave no reason".to_owned(), Problem::to_string);
    let port = if kind == ChallengeType::Http01.name() { 80 } else { 443 };
    let next = match problem.and_then(Problem::advice) {
        Some(_) => String::new(), // it is in the problem's words
        None => format!(
            "; check that {name} leads to this appliance in the authority's DNS, and that the authority reaches \
             its port {port}"
        ),
    };
    AcmeError::from(format!(
        "the certificate authority could not see that {name} is this appliance ({kind}): {why}{next}"
    ))
}

/// Pauses between two looks at what the authority is doing: as long as it asks for, or growing ones.
#[derive(Default)]
struct Pauses(u32);

impl Pauses {
    fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let growing = FIRST_PAUSE * 2_u32.pow(self.0.min(6));
        self.0 += 1;
        retry_after.unwrap_or(growing).clamp(FIRST_PAUSE, LONGEST_PAUSE)
    }
}

/// The clock in seconds since 1970.
pub(super) fn now() -> i64 {
    utc::unix_seconds(SystemTime::now())
}

/// A random number in `0.0..1.0`. Nothing secret depends on it.
pub(super) fn random() -> f64 {
    let mut bytes = [0; 4];
    // Without random bytes there is no spread, and nothing else is lost.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / 4_294_967_296.0
}
