//! Who may do what, as one pure function: no clock, no socket, no lock.
//!
//! The rules are the manuals'. Where both generations are mounted and their rules disagree, the
//! stricter one wins. Everything the table in the tests does not open stays shut.

use super::head::RequestHead;
use crate::config::{Api, HttpDisabled};

/// What a path is about, which decides whose rule applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    /// `/v1/management/…`, `/v1/security/…`
    ManagementV1,
    /// `/v2/management/…`, `/v2/security/…`
    ManagementV2,
    /// The management page and the API's description: what they show and do belongs to no generation.
    Page,
    /// `/monitor/…`, or a monitoring port.
    Monitoring,
    /// `/v1.0/user/…`, `/v1/user/…`
    SpeechV1,
    /// `/v2/jobs…`
    Jobs,
    /// WebSockets of live transcription.
    Realtime,
    /// A service of the image's own that wants the administrator.
    CustomAdmin,
    /// A service of the image's own that looks after itself.
    CustomOpen,
}

/// What there is to know about a request, credentials apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    pub(crate) api: Api,
    pub(crate) tls: bool,
    /// What the administrator says of plain HTTP.
    pub(crate) plain_http: bool,
    /// What this listener does when that is off.
    pub(crate) http_disabled: HttpDisabled,
    pub(crate) password: PasswordKind,
}

/// [`crate::security::Password`] without its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordKind {
    Unset,
    Off,
    Locked,
    Set,
}

/// What must be true before a request goes on.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Nothing.
    Open,
    /// These credentials.
    Basic(Against),
}

/// What Basic credentials are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Against {
    /// `admin`:`admin`, as long as no password is set (v2).
    Default,
    /// The password file.
    Stored,
    /// Nothing fits: the password file is damaged.
    Nobody,
}

/// What happens to a plain connection while plain HTTP is off; `None`: it may go on to [`judge`].
///
/// Asked before the path is looked at, so that a shut door tells nothing about the house.
pub(crate) fn shut_door(situation: &Situation) -> Option<HttpDisabled> {
    (!situation.tls && !situation.plain_http).then_some(situation.http_disabled)
}

/// True for a change that another site makes a browser ask for. A form or script on a foreign page can
/// post to an appliance without credentials, or with those the browser remembers; it can't hide where it
/// comes from (Fetch Standard, "Origin" and "Sec-Fetch-Site"). Programs send neither field.
pub(crate) fn is_foreign(head: &RequestHead, authority: Option<&str>, area: Area) -> bool {
    let ours = !matches!(
        area,
        Area::SpeechV1 | Area::Jobs | Area::Realtime | Area::CustomAdmin | Area::CustomOpen
    );
    let changes = !matches!(head.method.as_str(), "GET" | "HEAD");
    let other_site = |site: &[u8]| !matches!(site, b"same-origin" | b"none");
    let other_origin = |origin: &[u8]| {
        let host = std::str::from_utf8(origin).ok().and_then(|o| o.split_once("://"));
        host.is_none_or(|(_, host)| !authority.is_some_and(|ours| ours.eq_ignore_ascii_case(host)))
    };
    ours && changes
        && (head.fields.all("sec-fetch-site").any(other_site)
            || head.fields.all("origin").any(other_origin))
}

/// The rule for one request.
pub(crate) fn judge(situation: &Situation, area: Area) -> Judgement {
    let both = situation.api.v1 && situation.api.v2;
    let v1_alone = situation.api.v1 && !situation.api.v2;
    match (area, situation.password) {
        (Area::CustomOpen, _) | (_, PasswordKind::Off) => Judgement::Open,

        // v1 alone: "authentication is only enforced when using HTTPS" (v1 manual), and there for
        // everything. A damaged password file shuts management on plain HTTP too: nobody knows
        // whether the person who set a password meant to let the network in.
        (_, PasswordKind::Set) if v1_alone => stored_if(situation.tls),
        (Area::SpeechV1 | Area::Jobs | Area::Realtime, PasswordKind::Locked) if v1_alone => {
            if situation.tls {
                Judgement::Basic(Against::Nobody)
            } else {
                Judgement::Open
            }
        }
        (_, PasswordKind::Unset) if v1_alone => Judgement::Open,

        // v2: "all requests to management API endpoints" (v2 manual), never jobs and realtime.
        (Area::Jobs | Area::Realtime, _) => Judgement::Open,

        (_, PasswordKind::Locked) => Judgement::Basic(Against::Nobody),
        (_, PasswordKind::Set) => Judgement::Basic(Against::Stored),

        // Both mounted and no password yet: v1 is open as its manual says.
        (Area::ManagementV1 | Area::SpeechV1 | Area::Monitoring, PasswordKind::Unset) if both => {
            Judgement::Open
        }
        (_, PasswordKind::Unset) => Judgement::Basic(Against::Default),
    }
}

fn stored_if(condition: bool) -> Judgement {
    if condition { Judgement::Basic(Against::Stored) } else { Judgement::Open }
}

#[cfg(test)]
mod tests {
    use super::{Against, Area, Judgement, PasswordKind, Situation, is_foreign, judge, shut_door};
    use crate::config::{Api, HttpDisabled};
    use crate::gate::fields::Fields;
    use crate::gate::head::RequestHead;

    const V1: Api = Api { v1: true, v2: false };
    const V2: Api = Api { v1: false, v2: true };
    const BOTH: Api = Api { v1: true, v2: true };

    const OPEN: Judgement = Judgement::Open;
    const DEFAULT: Judgement = Judgement::Basic(Against::Default);
    const STORED: Judgement = Judgement::Basic(Against::Stored);
    const NOBODY: Judgement = Judgement::Basic(Against::Nobody);

    fn situation(api: Api, tls: bool, password: PasswordKind) -> Situation {
        Situation { api, tls, plain_http: true, http_disabled: HttpDisabled::Close, password }
    }

    /// The manuals' rules, row by row: per password state, on plain HTTP and on HTTPS.
    #[test]
    fn the_rules_are_the_manuals() {
        use Area::*;
        use PasswordKind::*;
        #[rustfmt::skip]
        let table: &[(Api, &[Area], PasswordKind, Judgement, Judgement)] = &[
            // api, areas, password, plain HTTP, HTTPS
            (V1, &[ManagementV1, Page, Monitoring, SpeechV1, Jobs, Realtime, CustomAdmin], Unset, OPEN, OPEN),
            (V1, &[ManagementV1, Page, Monitoring, SpeechV1, Jobs, Realtime, CustomAdmin], Set, OPEN, STORED),
            (V1, &[ManagementV1, Page, Monitoring, CustomAdmin], Locked, NOBODY, NOBODY),
            (V1, &[SpeechV1, Jobs, Realtime], Locked, OPEN, NOBODY),

            (V2, &[ManagementV2, Page, Monitoring, CustomAdmin], Unset, DEFAULT, DEFAULT),
            (V2, &[ManagementV2, Page, Monitoring, CustomAdmin], Set, STORED, STORED),
            (V2, &[ManagementV2, Page, Monitoring, CustomAdmin], Locked, NOBODY, NOBODY),
            (V2, &[ManagementV2, Page, Monitoring, CustomAdmin], Off, OPEN, OPEN),
            (V2, &[Jobs, Realtime], Unset, OPEN, OPEN),
            (V2, &[Jobs, Realtime], Set, OPEN, OPEN),
            (V2, &[Jobs, Realtime], Locked, OPEN, OPEN),

            (BOTH, &[ManagementV1, Monitoring, SpeechV1], Unset, OPEN, OPEN),
            (BOTH, &[ManagementV2, Page, CustomAdmin], Unset, DEFAULT, DEFAULT),
            (BOTH, &[ManagementV1, ManagementV2, Page, Monitoring, SpeechV1, CustomAdmin], Set, STORED, STORED),
            (BOTH, &[ManagementV1, ManagementV2, Page, Monitoring, SpeechV1, CustomAdmin], Locked, NOBODY, NOBODY),
            (BOTH, &[Jobs, Realtime], Unset, OPEN, OPEN),
            (BOTH, &[Jobs, Realtime], Set, OPEN, OPEN),
            (BOTH, &[Jobs, Realtime], Locked, OPEN, OPEN),
        ];
        for (api, areas, password, plain, tls) in table {
            for area in *areas {
                let judged = |tls| judge(&situation(*api, tls, *password), *area);
                assert_eq!(judged(false), *plain, "{api:?} {area:?} {password:?} plain");
                assert_eq!(judged(true), *tls, "{api:?} {area:?} {password:?} tls");
            }
        }
    }

    #[test]
    fn a_service_that_looks_after_itself_is_never_asked_for_our_password() {
        for password in [PasswordKind::Unset, PasswordKind::Set, PasswordKind::Locked] {
            for api in [V1, V2, BOTH] {
                assert_eq!(judge(&situation(api, true, password), Area::CustomOpen), OPEN);
            }
        }
    }

    #[test]
    fn a_foreign_page_changes_nothing() {
        let head = |method: &str, name: &str, value: &str| {
            let mut fields = Fields::default();
            fields.push(name, value);
            RequestHead { method: method.to_owned(), target: "/".to_owned(), minor: 1, fields }
        };
        for (method, name, value, foreign) in [
            ("POST", "Origin", "http://box:8080", false),
            ("POST", "Origin", "https://BOX:8080", false),
            ("POST", "Origin", "http://box", true),
            ("POST", "Origin", "https://evil.example", true),
            ("POST", "Origin", "null", true),
            ("DELETE", "Sec-Fetch-Site", "cross-site", true),
            ("POST", "Sec-Fetch-Site", "same-site", true),
            ("POST", "Sec-Fetch-Site", "same-origin", false),
            ("POST", "Accept", "*/*", false),
            ("GET", "Origin", "https://evil.example", false),
        ] {
            let head = head(method, name, value);
            let judged = is_foreign(&head, Some("box:8080"), Area::ManagementV1);
            assert_eq!(judged, foreign, "{method} {name}: {value}");
            assert!(!is_foreign(&head, Some("box:8080"), Area::Jobs));
        }
    }

    #[test]
    fn the_door_is_shut_for_plain_http_alone() {
        let mut shut = situation(BOTH, false, PasswordKind::Unset);
        assert_eq!(shut_door(&shut), None);
        shut.plain_http = false;
        assert_eq!(shut_door(&shut), Some(HttpDisabled::Close));
        shut.tls = true;
        assert_eq!(shut_door(&shut), None);
    }
}
