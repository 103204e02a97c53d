//! The states of a license and what each allows, as a pure function of the state and the time.
//!
//! | state | licensed | status | may transcribe |
//! | --- | --- | --- | --- |
//! | none, activating | no | -113 | no |
//! | activation certificate made, license certificate pending | no | -9 | no |
//! | online, offline mode, activated with a certificate | yes | 3 (1 or 2 by kind) | yes |
//! | no seconds left | yes | as above | no |
//! | lease or offline time over | no | -1 | no |
//! | expired, within its grace | yes | as above | yes |
//! | expired | no | -116 | no |
//! | revoked or suspended | no | -114 | no |
//! | another computer uses it | no | -117 | no |
//! | return not yet confirmed | no | -6 | no |
//! | file damaged or not trusted, or signed with a key that was withdrawn | no | -5 | no |
//!
//! The numbers are those of MA-21; a positive one means valid. The words of 3 and -113 are those of
//! ML-9, the others are composed in their pattern.

use crate::util::utc;

/// Warnings begin this many seconds before the end.
const WARNING: i64 = 30 * 86_400;

/// The phase of a license.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// There is no license.
    #[default]
    Unlicensed,
    /// Requested online, and not answered yet.
    Activating,
    /// Activated online, and synchronized regularly.
    Online,
    /// Activated online, then switched to offline mode; nothing is sent.
    OfflineMode,
    /// Activated with a certificate; nothing is ever sent.
    OfflineCertificate,
    /// Returned, and not confirmed by the authority yet.
    Returning,
    /// Withdrawn by the authority with number -114, -116 or -117; or -5, if the authority withdrew the key
    /// that the license is signed with.
    Refused(i64),
    /// The file was not written by this appliance, and was set aside.
    Damaged,
    /// The file can't be read, or other users could have written it. The license may be usable again once
    /// that is repaired, so the file is not overwritten automatically.
    Unreadable,
}

impl Phase {
    /// Whether nothing may be sent.
    pub(crate) fn is_offline(&self) -> bool {
        matches!(self, Phase::OfflineMode | Phase::OfflineCertificate)
    }

    /// Whether there is a license, in force or not.
    pub(crate) fn has_license(&self) -> bool {
        !matches!(self, Phase::Unlicensed | Phase::Activating | Phase::Damaged | Phase::Unreadable)
    }
}

/// The terms of a token that decide about the entitlement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// 2 trial, 5 subscription, 6 concurrent subscription.
    pub(crate) kind: i64,
    /// End of the subscription, seconds since 1970.
    pub(crate) expires: i64,
    /// Seconds after the end in which it still works.
    pub(crate) grace: i64,
    /// When it ends unless renewed by the authority; if offline, the offline limit.
    pub(crate) holds_until: i64,
}

impl Terms {
    /// When it works no more unless it is renewed.
    pub(crate) fn end(&self) -> i64 {
        self.holds_until.min(self.expires.saturating_add(self.grace))
    }
}

/// The inputs of [`evaluate`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Inputs {
    /// The phase of the license.
    pub(crate) phase: Phase,
    /// An activation certificate waits for its answer.
    pub(crate) awaits_certificate: bool,
    /// The terms of the token, if there is a license.
    pub(crate) terms: Terms,
    /// Seconds that may still be reserved.
    pub(crate) allowed: u64,
    /// Effective time ([`super::clock`]).
    pub(crate) now: i64,
    /// The last contact with the authority, if it is too long ago to count as connected.
    pub(crate) silent_since: Option<i64>,
    /// The authority answered that it does not know the license.
    pub(crate) is_unknown: bool,
}

/// What the license allows.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entitlement {
    /// `licensed` of the status document (ML-9).
    pub(crate) licensed: bool,
    /// Whether the gate accepts transcription requests.
    pub(crate) may_transcribe: bool,
    /// `status` of the status document (ML-9).
    pub(crate) status: &'static str,
    /// `message` of the status document (ML-9): for an administrator; empty if there is nothing to report.
    pub(crate) message: String,
    /// When this may change by time alone, in seconds since 1970.
    pub(crate) next_change: Option<i64>,
}

impl Entitlement {
    /// Nothing is allowed.
    pub(crate) const NONE: Entitlement = Entitlement {
        licensed: false,
        may_transcribe: false,
        status: TRIAL_EXPIRED,
        message: String::new(),
        next_change: None,
    };
}

const TRIAL_EXPIRED: &str = "-113 License status server trial expired";
const UNKNOWN: &str = "the license service does not know this license; contact the vendor";
const AWAITING: &str = "-9 License status in midst of offline licensing";

/// Evaluates what the license allows.
pub(crate) fn evaluate(facts: &Inputs) -> Entitlement {
    let refused = |status, message: &str| Entitlement {
        status,
        message: message.to_owned(),
        ..Entitlement::NONE
    };
    match &facts.phase {
        Phase::Unlicensed if facts.awaits_certificate => refused(AWAITING, ""),
        Phase::Unlicensed => Entitlement::NONE,
        Phase::Activating => refused(
            if facts.awaits_certificate { AWAITING } else { TRIAL_EXPIRED },
            "activation not yet confirmed; it is retried automatically",
        ),
        Phase::Returning => refused(
            "-6 License status returned license to server",
            "return not yet confirmed; it is retried automatically",
        ),
        Phase::Refused(-117) => refused(
            "-117 License status duplicate device id",
            "another computer uses this license; post the license code again to use it here",
        ),
        Phase::Refused(-116) => refused(
            "-116 License status subscription expired",
            "the subscription has expired; it works again when the vendor extends it",
        ),
        Phase::Refused(-5) if facts.is_unknown => refused(
            "-5 License status license does not verify",
            &format!("the license authority has withdrawn the key it was signed with; {UNKNOWN}"),
        ),
        Phase::Refused(-5) => refused(
            "-5 License status license does not verify",
            "the license authority has withdrawn the key it was signed with; it is renewed when the \
             license service is reached, or when the license code is posted again",
        ),
        Phase::Refused(_) => refused(
            "-114 License status license code inactive",
            "the license was suspended or revoked by its vendor",
        ),
        Phase::Damaged => refused(
            "-5 License status license does not verify",
            "the license file was damaged and is kept aside; post the license code again",
        ),
        Phase::Unreadable => refused(
            "-5 License status license does not verify",
            "the license file cannot be read or trusted (see the log) and was left unchanged: repair it \
             and restart the appliance, or post the license code again",
        ),
        Phase::Online | Phase::OfflineMode | Phase::OfflineCertificate => granted(facts),
    }
}

fn granted(facts: &Inputs) -> Entitlement {
    let Terms { kind, expires, grace, holds_until } = facts.terms;
    let ends = expires.saturating_add(grace);
    let now = facts.now;
    if now >= ends {
        return Entitlement {
            status: "-116 License status subscription expired",
            message: format!("expired on {}", utc::format(expires)),
            ..Entitlement::NONE
        };
    }
    if now >= holds_until {
        let remedy = match facts.phase {
            Phase::OfflineCertificate => "renew it with a new activation certificate",
            Phase::OfflineMode => "leave offline mode to renew it",
            _ if facts.is_unknown => UNKNOWN,
            _ => "it is renewed when the license service is reached",
        };
        return Entitlement {
            status: "-1 License status lease expired",
            message: format!(
                "valid without the license service until {}; {remedy}",
                utc::format(holds_until)
            ),
            ..Entitlement::NONE
        };
    }
    let mut messages = Vec::new();
    if now >= expires {
        messages.push(format!(
            "expired on {}, stops on {}",
            utc::format(expires),
            utc::format(ends)
        ));
    } else if now >= expires.saturating_sub(WARNING) {
        messages.push(format!("expires on {}", utc::format(expires)));
    }
    if facts.phase.is_offline() && now >= holds_until.saturating_sub(WARNING) && holds_until < ends
    {
        messages.push(format!("may stay offline until {}", utc::format(holds_until)));
    }
    if let Some(since) = facts.silent_since.filter(|_| facts.phase == Phase::Online) {
        messages.push(format!(
            "last contact with the license service {}, works without until {}",
            utc::format(since),
            utc::format(holds_until)
        ));
    }
    if facts.is_unknown && facts.phase == Phase::Online {
        messages.push(format!("{UNKNOWN}; works until {}", utc::format(holds_until.min(ends))));
    }
    if facts.allowed == 0 {
        messages.push("no seconds left".to_owned());
    }
    let steps = [
        expires.saturating_sub(WARNING),
        expires,
        ends,
        holds_until.saturating_sub(WARNING),
        holds_until,
    ];
    Entitlement {
        licensed: true,
        may_transcribe: facts.allowed > 0,
        status: match kind {
            2 => "2 License status trial",
            5 => "1 License status authorized",
            _ => "3 License status concurrent license",
        },
        message: messages.join("; "),
        next_change: steps.into_iter().filter(|step| *step > now).min(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Entitlement, Inputs, Phase, Terms, evaluate};

    const DAY: i64 = 86_400;
    /// 2027-10-16T12:26:37Z
    const END: i64 = 1_823_862_397;

    fn facts(phase: Phase) -> Inputs {
        let terms = Terms { kind: 6, expires: END, grace: 7 * DAY, holds_until: END + 30 * DAY };
        Inputs { phase, terms, allowed: 3_600, now: END - 100 * DAY, ..Inputs::default() }
    }

    fn summary(entitlement: &Entitlement) -> (bool, bool, &str) {
        let number = entitlement.status.split(' ').next().unwrap_or_default();
        (entitlement.licensed, entitlement.may_transcribe, number)
    }

    #[test]
    fn every_state_is_what_the_table_says() {
        let table = [
            (facts(Phase::Unlicensed), (false, false, "-113")),
            (Inputs { awaits_certificate: true, ..facts(Phase::Unlicensed) }, (false, false, "-9")),
            (facts(Phase::Activating), (false, false, "-113")),
            (Inputs { awaits_certificate: true, ..facts(Phase::Activating) }, (false, false, "-9")),
            (facts(Phase::Online), (true, true, "3")),
            (
                Inputs { silent_since: Some(END - 101 * DAY), ..facts(Phase::Online) },
                (true, true, "3"),
            ),
            (facts(Phase::OfflineMode), (true, true, "3")),
            (facts(Phase::OfflineCertificate), (true, true, "3")),
            (
                Inputs { awaits_certificate: true, ..facts(Phase::OfflineCertificate) },
                (true, true, "3"),
            ),
            (Inputs { allowed: 0, ..facts(Phase::Online) }, (true, false, "3")),
            (Inputs { now: END + DAY, ..facts(Phase::Online) }, (true, true, "3")),
            (Inputs { now: END + 8 * DAY, ..facts(Phase::Online) }, (false, false, "-116")),
            (facts(Phase::Refused(-114)), (false, false, "-114")),
            (facts(Phase::Refused(-116)), (false, false, "-116")),
            (facts(Phase::Refused(-117)), (false, false, "-117")),
            (facts(Phase::Refused(-5)), (false, false, "-5")),
            (facts(Phase::Returning), (false, false, "-6")),
            (facts(Phase::Damaged), (false, false, "-5")),
            (facts(Phase::Unreadable), (false, false, "-5")),
        ];
        for (facts, wanted) in table {
            assert_eq!(summary(&evaluate(&facts)), wanted, "{facts:?}");
        }
    }

    #[test]
    fn kinds_have_their_own_number() {
        for (kind, number) in [(2, "2"), (5, "1"), (6, "3")] {
            let mut facts = facts(Phase::Online);
            facts.terms.kind = kind;
            assert_eq!(summary(&evaluate(&facts)), (true, true, number));
        }
    }

    #[test]
    fn expiry_is_announced_for_thirty_days_and_then_has_its_grace() {
        let message = |now| evaluate(&Inputs { now, ..facts(Phase::Online) }).message;
        assert_eq!(message(END - 30 * DAY - 1), "");
        assert!(message(END - 30 * DAY).starts_with("expires on 2027-1"));
        assert!(message(END).starts_with("expired on "), "{}", message(END));
        assert!(message(END).contains(", stops on "), "{}", message(END));
        let at = |now| summary(&evaluate(&Inputs { now, ..facts(Phase::Online) })).0;
        assert!(at(END + 7 * DAY - 1) && !at(END + 7 * DAY));
    }

    #[test]
    fn a_lease_ends_to_the_second_in_every_mode() {
        for phase in [Phase::Online, Phase::OfflineMode, Phase::OfflineCertificate] {
            let mut facts = facts(phase);
            facts.terms.holds_until = END - 50 * DAY;
            facts.now = END - 50 * DAY - 1;
            assert_eq!(summary(&evaluate(&facts)), (true, true, "3"));
            assert_eq!(evaluate(&facts).next_change, Some(END - 50 * DAY));
            facts.now += 1;
            assert_eq!(summary(&evaluate(&facts)), (false, false, "-1"));
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let exhausted = evaluate(&Inputs { allowed: 0, ..facts(Phase::OfflineMode) });
        assert!(exhausted.message.contains("no seconds left"));
        let silent =
            evaluate(&Inputs { silent_since: Some(END - 101 * DAY), ..facts(Phase::Online) });
        assert!(
            silent.message.starts_with("last contact with the license service 20"),
            "{silent:?}"
        );
        for (now, wanted) in [(END - 100 * DAY, (true, true, "3")), (END, (false, false, "-1"))] {
            let mut facts = Inputs { is_unknown: true, now, ..facts(Phase::Online) };
            facts.terms.holds_until = END - DAY;
            let unknown = evaluate(&facts);
            assert_eq!(summary(&unknown), wanted);
            assert!(unknown.message.contains("does not know this license"), "{unknown:?}");
            assert!(!unknown.message.contains("it comes back"), "{unknown:?}");
        }
    }
}
