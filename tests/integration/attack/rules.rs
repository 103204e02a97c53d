//! Where a password is required: a table of its own, written from M1-21 to M1-28 and M2-14 to M2-19
//! (`src/manual.md`) and not from the program.

use crate::attack::fixture::Serves;

/// What is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    V1,
    V2,
    Both,
}

/// What the administrator has done about the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Password {
    Unset,
    Set,
    /// `DELETE adminpassword` with v2 alone: authentication off.
    Off,
    /// The password file is damaged: nobody gets in until the console resets it.
    Damaged,
}

/// What a path is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    /// `/v1/management/…`, `/v1/security/…`
    AdminV1,
    /// `/v2/management/…`, `/v2/security/…`
    AdminV2,
    /// `/`, `/docs…`
    Page,
    /// `/healthz`, which never asks: load balancers have no password.
    Health,
    Monitoring,
    SpeechV1,
    Jobs,
    Realtime,
    /// A service of the image's own, with `"auth": "admin"`.
    OwnAdmin,
    /// A service of the image's own, with `"auth": "none"`.
    OwnNone,
    /// Nobody serves it.
    Nowhere,
}

use Area::{AdminV1, AdminV2, Jobs, Monitoring, Nowhere, OwnAdmin, Page, Realtime, SpeechV1};

const PLAIN: bool = false;
const HTTPS: bool = true;

const EVERYTHING: &[Area] =
    &[AdminV1, AdminV2, Page, Monitoring, SpeechV1, Jobs, Realtime, OwnAdmin, Nowhere];

/// What v1 shuts with a damaged file, whoever asks over plain HTTP.
const V1_HOUSE: &[Area] = &[AdminV1, AdminV2, Page, Monitoring, OwnAdmin, Nowhere];

/// What a generation's administrator looks after.
const HOUSE: &[Area] = &[AdminV1, AdminV2, Page, Monitoring, OwnAdmin];

/// What both generations shut, and what v1 shuts with the rest: its speech, and whatever is not there, see [`hides`].
const HOUSE_AND_V1: &[Area] = &[AdminV1, AdminV2, Page, Monitoring, OwnAdmin, SpeechV1, Nowhere];

/// What v2 shuts from the first day on.
const V2_HOUSE: &[Area] = &[AdminV2, Page, OwnAdmin];

/// Areas that want a password; those not named are open.
#[rustfmt::skip]
const ASKED: &[(Api, bool, Password, &[Area])] = &[
    // v1: required over HTTPS alone (M1-25), and there for every request (M1-24).
    (Api::V1,   PLAIN, Password::Unset,   &[]),
    (Api::V1,   HTTPS, Password::Unset,   &[]),
    (Api::V1,   PLAIN, Password::Set,     &[]),
    (Api::V1,   HTTPS, Password::Set,     EVERYTHING),
    // A damaged file does not mean "no password": management is shut even where v1 never asks.
    (Api::V1,   PLAIN, Password::Damaged, V1_HOUSE),
    (Api::V1,   HTTPS, Password::Damaged, EVERYTHING),

    // v2: management requires it over plain HTTP too; jobs and realtime never do (M2-17).
    // Monitoring requires it as over HTTPS, which is the stricter reading of M2-17.
    (Api::V2,   PLAIN, Password::Unset,   HOUSE),
    (Api::V2,   HTTPS, Password::Unset,   HOUSE),
    (Api::V2,   PLAIN, Password::Set,     HOUSE),
    (Api::V2,   HTTPS, Password::Set,     HOUSE),
    (Api::V2,   PLAIN, Password::Damaged, HOUSE),
    (Api::V2,   HTTPS, Password::Damaged, HOUSE),
    (Api::V2,   PLAIN, Password::Off,     &[]),
    (Api::V2,   HTTPS, Password::Off,     &[]),

    // Both: v1 paths and monitoring are open until a password is set, v2 paths never.
    (Api::Both, PLAIN, Password::Unset,   V2_HOUSE),
    (Api::Both, HTTPS, Password::Unset,   V2_HOUSE),
    (Api::Both, PLAIN, Password::Set,     HOUSE_AND_V1),
    (Api::Both, HTTPS, Password::Set,     HOUSE_AND_V1),
    (Api::Both, PLAIN, Password::Damaged, HOUSE_AND_V1),
    (Api::Both, HTTPS, Password::Damaged, HOUSE_AND_V1),
];

/// Whether a password is asked for.
pub(crate) fn is_asked(api: Api, tls: bool, password: Password, area: Area) -> bool {
    let row = ASKED.iter().find(|row| (row.0, row.1, row.2) == (api, tls, password));
    row.expect("a row for every situation").3.contains(&area)
}

/// Whether what nobody serves asks like the rest. With v1 alone "all requests" do; with both mounted only
/// where services of the image's own can be, so that no one lists those by trying (M1-24).
pub(crate) fn hides(api: Api, serves: Serves) -> bool {
    match api {
        Api::V1 => true,
        Api::V2 => false,
        Api::Both => serves == Serves::All,
    }
}

/// The one that lets in where one is asked for.
pub(crate) fn right_password(password: Password) -> Option<&'static str> {
    match password {
        Password::Unset => Some("admin"),
        Password::Set => Some(SECRET),
        Password::Off | Password::Damaged => None,
    }
}

/// What the administrator has set.
pub(crate) const SECRET: &str = "correct horse: battery";

/// True if the 401 is v1's page; otherwise it is v2's line.
pub(crate) fn refusal_is_a_page(api: Api, area: Area) -> bool {
    match api {
        Api::V1 => true,
        Api::V2 => false,
        Api::Both => matches!(area, AdminV1 | SpeechV1 | Monitoring),
    }
}
