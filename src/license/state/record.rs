//! `license.json`: the whole state of the license in one file, which is replaced atomically.
//!
//! `{"v", "gen", "body", "mac"}`: the body is a text, so that the seal covers its exact bytes. The seal is
//! made with the device's secret: it detects damage, edits and copies. Root can forge it; the authority's
//! own accounting limits what that gains. The file contains the authority's newest keys, which an older
//! image doesn't know: a grant and the keys that verify it are replaced in one write.

use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::clock::Clock;
use super::entitlement::Phase;
use super::sessions::Totals;
use super::usage_log::Head;
use crate::license::device::Device;
use crate::license::protocol::certificate;
use crate::license::protocol::claims::Lease;
use crate::license::protocol::fields;
use crate::license::protocol::fields::{Fields, text};
use crate::license::protocol::hex::{Digest, RequestId};
use crate::license::protocol::message::Request;
use crate::license::protocol::object::object;
use crate::license::protocol::token::Type;
use crate::license::protocol::trust::{self, Dates, Trust};
use crate::log::Log;
use crate::store;
use crate::store::{Folder, View};

pub(crate) const NAME: &str = "license.json";
const VERSION: u64 = 1;

/// Largest file in bytes: enough for two certificates, a grant and a bundle of 64 KiB each and two requests.
const LARGEST: u64 = 1 << 20;

/// The state of the license.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// Counts the writes, for a person who compares files.
    pub(crate) generation: u64,
    /// The epoch of the last token or receipt.
    pub(crate) epoch: i64,
    /// The last grant, while there is a license.
    pub(crate) grant: Option<Grant>,
    pub(crate) totals: Totals,
    /// A request that may have been sent and is not answered.
    pub(crate) pending: Option<Request>,
    /// An activation that was discarded unanswered; the authority may still receive it.
    pub(crate) abandoned_activation: Option<RequestId>,
    /// An activation certificate that waits for its answer.
    pub(crate) pending_activation: Option<PendingActivation>,
    /// The certificate that the last license was returned with.
    pub(crate) returned: Option<ReturnCertificate>,
    pub(crate) clock: Clock,
    /// When the authority last answered, in seconds since 1970; 0 if never.
    pub(crate) last_contact: i64,
    /// Whether the authority last answered that it does not know this license.
    pub(crate) is_unknown: bool,
    /// Credentials that the proxy rejected, and that are not sent to it again.
    pub(crate) rejected_credentials: Option<RejectedCredentials>,
    pub(crate) log: Head,
    /// The newest keys of the authority, as their token.
    pub(crate) bundle: Option<String>,
}

/// A token and its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) kind: Type,
    pub(crate) token: String,
    pub(crate) lease: Lease,
}

impl Grant {
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.token.as_bytes())
    }
}

/// Credentials that a proxy rejected, as the device's seal over them, which does not reveal them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RejectedCredentials {
    pub(crate) seal: String,
    pub(crate) message: String,
}

/// The request of an activation certificate, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PendingActivation {
    pub(crate) request: Request,
    pub(crate) certificate: String,
}

object! {
    /// A return certificate and the seconds that it returns.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct ReturnCertificate {
        pub(crate) certificate: String = text(certificate::LONGEST),
        pub(crate) seconds: u64 = unsigned,
    }
}

/// Reads the state, and accepts its keys into `trust`. A damaged file or one of another appliance is set
/// aside. A file that can't be read or trusted may still be valid and is left in place.
pub(crate) fn load(
    folder: &Folder,
    device: &Device,
    trust: Option<&mut Trust>,
    log: &Log,
) -> State {
    let contents = match folder.view().read(NAME, LARGEST) {
        Ok(None) => return State::default(),
        Ok(Some(contents)) => contents,
        Err(error) => {
            log.error(unreadable_message(&error));
            return empty(Phase::Unreadable);
        }
    };
    match read(&contents, device, trust) {
        Ok(state) => state,
        Err(why) => {
            let (kept, phase) = match folder.set_aside(NAME, SystemTime::now()) {
                Ok(aside) => (format!("kept as {}", aside.display()), Phase::Damaged),
                Err(error) => (error.to_string(), Phase::Unreadable),
            };
            log.security(format_args!("{NAME} does not verify ({why}); {kept}"));
            empty(phase)
        }
    }
}

/// Reads the state without changing a file: the state as the daemon would load it, and what is wrong with
/// the file.
pub(crate) fn inspect(
    view: &View,
    device: &Device,
    trust: Option<&mut Trust>,
) -> (State, Option<String>) {
    match view.read(NAME, LARGEST) {
        Ok(None) => (State::default(), None),
        Err(error) => (empty(Phase::Unreadable), Some(unreadable_message(&error))),
        Ok(Some(contents)) => match read(&contents, device, trust) {
            Ok(state) => (state, None),
            Err(why) => {
                let path = view.path(NAME);
                let error = format!("{} does not verify: {why}", path.display());
                (empty(Phase::Damaged), Some(format!("{error}; post the license code again")))
            }
        },
    }
}

fn empty(phase: Phase) -> State {
    State { phase, ..State::default() }
}

fn unreadable_message(error: &store::Error) -> String {
    format!(
        "{error}; the license file is left unchanged: repair it and restart applianced, or post the license \
         code again, which sets the file aside"
    )
}

/// Sets aside a file that could not be used; `None` if it no longer exists, or if it is a symbolic link,
/// whose target will not be overwritten.
///
/// # Errors
/// When the system fails; the file stays in place.
pub(crate) fn set_aside(folder: &Folder) -> Result<Option<PathBuf>, store::Error> {
    let is_gone = matches!(folder.view().read(NAME, LARGEST), Ok(None));
    if is_gone || folder.view().path(NAME).is_symlink() {
        return Ok(None);
    }
    folder.set_aside(NAME, SystemTime::now()).map(Some)
}

/// Writes the state; it is durable when this returns.
///
/// # Errors
/// As [`Folder::replace`]: the file must then be read again.
pub(crate) fn save(folder: &Folder, device: &Device, state: &State) -> Result<(), store::Error> {
    folder.replace(NAME, file(device, state).as_bytes())
}

/// Whether exactly this state is on disk, after a failed save.
pub(crate) fn is_on_disk(folder: &Folder, device: &Device, state: &State) -> bool {
    let found = folder.view().read(NAME, LARGEST);
    found.is_ok_and(|found| found.is_some_and(|found| *found == *file(device, state).as_bytes()))
}

fn file(device: &Device, state: &State) -> String {
    let body = state.to_json(device).to_string();
    let mac = device.seal(&body);
    let file = json!({"v": VERSION, "gen": state.generation, "body": body, "mac": mac});
    format!("{file:#}\n")
}

fn read(
    contents: &[u8],
    device: &Device,
    trust: Option<&mut Trust>,
) -> Result<State, fields::Error> {
    let file: Value = serde_json::from_slice(contents).map_err(|_| "it is not JSON")?;
    if file["v"].as_u64() != Some(VERSION) {
        return Err(format!("its version is not {VERSION}").into());
    }
    let body = file["body"].as_str().ok_or("it has no body")?;
    if !device.is_sealed(body, file["mac"].as_str().unwrap_or_default()) {
        return Err("it was not sealed by this appliance".into());
    }
    let body: Value = serde_json::from_str(body).map_err(|_| "its body is not JSON")?;
    let generation = file["gen"].as_u64().unwrap_or_default();
    State::from_json(&body, generation, trust)
}

impl State {
    fn to_json(&self, device: &Device) -> Value {
        let request = |request: &Request| request.to_json(&device.key.public(), "");
        let grant =
            self.grant.as_ref().map(|grant| json!({"kind": grant.kind, "token": grant.token}));
        let awaited = self.pending_activation.as_ref().map(|awaited| {
            json!({"request": request(&awaited.request), "certificate": awaited.certificate})
        });
        json!({
            "phase": phase_name(&self.phase),
            "epoch": self.epoch,
            "grant": grant,
            "granted": self.totals.granted,
            "consumed": self.totals.consumed,
            "held": self.totals.held,
            "pending": self.pending.as_ref().map(request),
            "dropped": self.abandoned_activation,
            "awaited": awaited,
            "returned": self.returned,
            "clock": self.clock,
            "last_contact": self.last_contact,
            "unknown": self.is_unknown,
            "refused": self.rejected_credentials.as_ref().map(|r| json!({"seal": r.seal, "sentence": r.message})),
            "log": self.log,
            "bundle": self.bundle,
        })
    }

    pub(crate) fn from_json(
        body: &Value,
        generation: u64,
        trust: Option<&mut Trust>,
    ) -> Result<State, fields::Error> {
        let fields = Fields::of(body)?;
        let bundle = fields.optional("bundle", "a token", text)?;
        // A bundle that is older than that of the image, or of an unknown root, is ignored.
        let trust = trust.map(|trust| {
            let _ = bundle.as_ref().map(|bundle| trust.accept(bundle));
            &*trust
        });
        let phase = fields.parsed("phase", "a known phase", phase_from)?;
        let (grant, withdrawn) = match &body["grant"] {
            Value::Null => (None, false),
            value => grant_from(value, trust).map(|(grant, withdrawn)| (Some(grant), withdrawn))?,
        };
        let phase = match phase {
            Phase::Online if withdrawn => Phase::Refused(-5),
            // An offline appliance cannot request another grant.
            phase if withdrawn && phase.is_offline() => {
                return Err("it is signed with a key that was withdrawn".into());
            }
            phase => phase,
        };
        if grant.is_none()
            && matches!(phase, Phase::Online | Phase::OfflineMode | Phase::OfflineCertificate)
        {
            return Err("it contains no grant".into());
        }
        let pending_activation = fields.present("awaited", |awaited| {
            Ok(PendingActivation {
                request: awaited.object("request", Request::from_fields)?,
                certificate: awaited.text("certificate", certificate::LONGEST)?,
            })
        })?;
        Ok(State {
            phase,
            generation,
            epoch: fields.count("epoch")?,
            grant,
            totals: Totals::read(&fields)?,
            pending: fields.present("pending", Request::from_fields)?,
            abandoned_activation: fields.optional("dropped", "32 hex digits", RequestId::parse)?,
            pending_activation,
            returned: fields.present("returned", ReturnCertificate::read)?,
            clock: fields.object("clock", Clock::read)?,
            last_contact: fields.number("last_contact")?,
            // Older images did not write these two.
            is_unknown: body["unknown"] == true,
            rejected_credentials: rejected_from(&body["refused"]),
            log: fields.object("log", Head::read)?,
            bundle,
        })
    }
}

/// Reads the grant, and whether its key was withdrawn. The token is verified again if the authority's keys
/// are known. A token with a withdrawn key grants nothing, but its totals are still valid. Without a trust
/// file the device's own seal suffices, so that a lost trust file does not stop the appliance.
fn grant_from(value: &Value, trust: Option<&Trust>) -> Result<(Grant, bool), fields::Error> {
    let kind = value["kind"].as_str().and_then(Type::parse);
    let kind = kind
        .filter(|kind| matches!(kind, Type::Lease | Type::LicenseCertificate))
        .ok_or("`kind` is not a known kind")?;
    let token = value["token"].as_str().ok_or("`token`")?;
    let verified = trust.map(|trust| trust.verify(kind, token, Dates::Ignored));
    let (payload, withdrawn) = match verified {
        Some(Ok(payload)) => (payload, false),
        Some(Err(error)) if !matches!(error, trust::Error::Revoked(_)) => {
            return Err(error.to_string().into());
        }
        sealed => {
            let token = crate::license::protocol::token::Unverified::parse(token);
            let payload = token.and_then(|token| token.unverified_payload());
            (payload.ok_or("`token`")?, sealed.is_some())
        }
    };
    let lease = Lease::from_json(&payload)?;
    Ok((Grant { kind, token: token.to_owned(), lease }, withdrawn))
}

fn rejected_from(value: &Value) -> Option<RejectedCredentials> {
    Some(RejectedCredentials {
        seal: value["seal"].as_str()?.to_owned(),
        message: value["sentence"].as_str()?.to_owned(),
    })
}

fn phase_name(phase: &Phase) -> String {
    match phase {
        Phase::Unlicensed => "unlicensed".to_owned(),
        Phase::Activating => "activating".to_owned(),
        Phase::Online => "online".to_owned(),
        Phase::OfflineMode => "offline_mode".to_owned(),
        Phase::OfflineCertificate => "offline_certificate".to_owned(),
        Phase::Returning => "returning".to_owned(),
        // The file before this one was set aside.
        Phase::Damaged | Phase::Unreadable => "damaged".to_owned(),
        Phase::Refused(number) => format!("refused {number}"),
    }
}

fn phase_from(word: &str) -> Option<Phase> {
    Some(match word {
        "unlicensed" => Phase::Unlicensed,
        "activating" => Phase::Activating,
        "online" => Phase::Online,
        "offline_mode" => Phase::OfflineMode,
        "offline_certificate" => Phase::OfflineCertificate,
        "returning" => Phase::Returning,
        "damaged" => Phase::Damaged,
        other => Phase::Refused(other.strip_prefix("refused ")?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests;
