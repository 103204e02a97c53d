//! What most of these tests begin with: a speech service that plays a part, and an appliance in front of it.

use crate::support::appliance::Appliance;
use crate::support::client::Listener;
use crate::support::settings::Settings;
use crate::support::stub::{Stub, Visit};

/// A speech service that plays `part`, and an appliance in front of it with both generations of the API.
pub(crate) fn fixture(part: impl Fn(&mut Visit) + Send + Sync + 'static) -> (Stub, Appliance) {
    in_front_of(Stub::start(part))
}

/// A speech service that answers every request with `body`, and an appliance in front of it.
pub(crate) fn answering(body: &'static str) -> (Stub, Appliance) {
    in_front_of(Stub::answering(body))
}

fn in_front_of(service: Stub) -> (Stub, Appliance) {
    let appliance = Appliance::start(&Settings::both().speech(service.address));
    (service, appliance)
}

/// The plain port for speech, and HTTPS.
pub(crate) fn listeners(appliance: &Appliance) -> [Listener; 2] {
    [
        Listener { name: "plain", port: appliance.ports.speech, tls: false },
        Listener { name: "TLS", port: appliance.ports.https, tls: true },
    ]
}
