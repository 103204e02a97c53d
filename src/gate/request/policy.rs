//! Who may do what, as one pure function: no clock, no socket, no lock.
//!
//! The rules are the manuals'. Where both generations are mounted and their rules disagree, the
//! stricter one wins. Everything the table in the tests does not open stays shut.

use crate::config::{Api, HttpDisabled, Serves};
use crate::http::authority::is_same;
use crate::http::head::RequestHead;
use crate::http::target::Target;
use crate::http::{lenient, method};

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
    /// Nobody serves it.
    Nowhere,
}

impl Area {
    /// What this process answers itself.
    pub(crate) fn is_own(self) -> bool {
        !matches!(
            self,
            Area::SpeechV1
                | Area::Jobs
                | Area::Realtime
                | Area::CustomAdmin
                | Area::CustomOpen
                | Area::Nowhere
        )
    }
}

/// What there is to know about a request, credentials apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    pub(crate) api: Api,
    /// What this listener serves.
    pub(crate) serves: Serves,
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
/// Asked before the path is looked at, so that a shut door tells nothing about the shared.
pub(crate) fn shut_door(situation: &Situation) -> Option<HttpDisabled> {
    (!situation.tls && !situation.plain_http).then_some(situation.http_disabled)
}

/// True for a change that another site makes a browser ask for. A form or script on a foreign page can
/// post to an appliance without credentials, or with those the browser remembers; it can't hide where it
/// comes from (Fetch Standard, "Origin" and "Sec-Fetch-Site"). Programs send neither field.
///
/// `Sec-Fetch-Site` is the browser's own judgement, and holds where a proxy rewrites `Host`; browsers send it
/// over HTTPS alone, so that else `Origin` has to name the host that was called.
pub(crate) fn is_foreign(head: &RequestHead, host: Option<&str>, area: Area) -> bool {
    // Monitoring has nothing to change, and tells everybody so in Glances' words.
    if !area.is_own() || area == Area::Monitoring || method::is_safe(&head.method) {
        return false;
    }
    let mut sites = head.fields.all("sec-fetch-site").peekable();
    if sites.peek().is_some() {
        return sites.any(|site| !matches!(site, b"same-origin" | b"none"));
    }
    let other_origin = |origin: &[u8]| {
        let origin = std::str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://"));
        origin.zip(host).is_none_or(|((scheme, theirs), ours)| !is_same(ours, theirs, scheme))
    };
    head.fields.all("origin").any(other_origin)
}

/// The rule for one request.
pub(crate) fn judge(situation: &Situation, area: Area) -> Judgement {
    let both = situation.api.v1 && situation.api.v2;
    let v1_alone = situation.api.v1 && !situation.api.v2;
    let hides = v1_alone || (both && situation.serves == Serves::All);
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

        // Both: where services of the image's own are, a path that nobody serves asks as theirs do, so
        // that nobody finds them by trying. Other ports have none, and v2 asks for what it names alone.
        (Area::Nowhere, _) if !hides => Judgement::Open,

        // v2: "all requests to management API endpoints" (v2 manual), never jobs and realtime.
        (Area::Jobs | Area::Realtime, _) => Judgement::Open,

        (_, PasswordKind::Locked) => Judgement::Basic(Against::Nobody),
        (_, PasswordKind::Set) => Judgement::Basic(Against::Stored),

        // Both mounted and no password yet: v1 is open as its manual says.
        (
            Area::ManagementV1 | Area::SpeechV1 | Area::Monitoring | Area::Nowhere,
            PasswordKind::Unset,
        ) if both => Judgement::Open,
        (_, PasswordKind::Unset) => Judgement::Basic(Against::Default),
    }
}

/// Whether a request would transcribe, and so needs a valid license with seconds left. Asked after
/// [`judge`]: who may not come in is not told about the license.
///
/// `licensed` are the methods that the settings name for a service of the image's own.
pub(crate) fn needs_license(
    area: Area,
    head: &RequestHead,
    target: &Target,
    websocket: bool,
    licensed: &[String],
) -> bool {
    let may_mean = |method: &str| method::may_mean(head, target.query.as_deref(), method);
    match area {
        Area::SpeechV1 | Area::Jobs => may_mean("POST") && creates_job(&target.path),
        Area::Realtime => websocket,
        Area::CustomAdmin | Area::CustomOpen => licensed.iter().any(|known| may_mean(known)),
        Area::ManagementV1 | Area::ManagementV2 | Area::Page | Area::Monitoring | Area::Nowhere => {
            false
        }
    }
}

/// `/v1.0/user/<n>/jobs`, `/v1/user/<n>/jobs` and `/v2/jobs`, with or without a slash at the end.
///
/// Read as the most forgiving engine might, for which also `jobs.json` is `jobs`, and any number of segments a
/// user. Too many refusals here cost an odd client a clear error, too few would cost the license.
fn creates_job(path: &str) -> bool {
    let segments = lenient::segments(path);
    let stems = segments.iter().map(|segment| segment.split('.').next().unwrap_or_default().trim());
    let stems: Vec<&str> = stems.filter(|stem| !stem.is_empty()).collect();
    matches!(stems.as_slice(), ["v2", "jobs"] | ["v1", "user", .., "jobs"])
}

fn stored_if(condition: bool) -> Judgement {
    if condition { Judgement::Basic(Against::Stored) } else { Judgement::Open }
}

#[cfg(test)]
mod tests {
    use super::{
        Against, Area, Judgement, PasswordKind, Situation, is_foreign, judge, needs_license,
        shut_door,
    };
    use crate::config::{Api, HttpDisabled, Serves};
    use crate::http::fields::Fields;
    use crate::http::head::RequestHead;
    use crate::http::target::Target;

    const V1: Api = Api { v1: true, v2: false };
    const V2: Api = Api { v1: false, v2: true };
    const BOTH: Api = Api { v1: true, v2: true };

    const OPEN: Judgement = Judgement::Open;
    const DEFAULT: Judgement = Judgement::Basic(Against::Default);
    const STORED: Judgement = Judgement::Basic(Against::Stored);
    const NOBODY: Judgement = Judgement::Basic(Against::Nobody);

    fn situation(api: Api, tls: bool, password: PasswordKind) -> Situation {
        Situation {
            api,
            serves: Serves::All,
            tls,
            plain_http: true,
            http_disabled: HttpDisabled::Close,
            password,
        }
    }

    fn head(method: &str, lines: &[(&str, &str)]) -> RequestHead {
        let mut fields = Fields::default();
        lines.iter().for_each(|(name, value)| fields.push(name, value));
        RequestHead { method: method.to_owned(), target: "/".to_owned(), minor: 1, fields }
    }

    /// The manuals' rules, row by row: per password state, on plain HTTP and on HTTPS.
    #[test]
    fn the_rules_are_the_manuals() {
        use Area::*;
        use PasswordKind::*;
        #[rustfmt::skip]
        let table: &[(Api, &[Area], PasswordKind, Judgement, Judgement)] = &[
            // api, areas, password, plain HTTP, HTTPS
            (V1, &[ManagementV1, Page, Monitoring, SpeechV1, Jobs, Realtime, CustomAdmin, Nowhere], Unset, OPEN, OPEN),
            (V1, &[ManagementV1, Page, Monitoring, SpeechV1, Jobs, Realtime, CustomAdmin, Nowhere], Set, OPEN, STORED),
            (V1, &[ManagementV1, Page, Monitoring, CustomAdmin, Nowhere], Locked, NOBODY, NOBODY),
            (V1, &[SpeechV1, Jobs, Realtime], Locked, OPEN, NOBODY),

            (V2, &[ManagementV2, Page, Monitoring, CustomAdmin], Unset, DEFAULT, DEFAULT),
            (V2, &[ManagementV2, Page, Monitoring, CustomAdmin], Set, STORED, STORED),
            (V2, &[ManagementV2, Page, Monitoring, CustomAdmin], Locked, NOBODY, NOBODY),
            (V2, &[ManagementV2, Page, Monitoring, CustomAdmin], Off, OPEN, OPEN),
            (V2, &[Jobs, Realtime, Nowhere], Unset, OPEN, OPEN),
            (V2, &[Jobs, Realtime, Nowhere], Set, OPEN, OPEN),
            (V2, &[Jobs, Realtime, Nowhere], Locked, OPEN, OPEN),

            (BOTH, &[ManagementV1, Monitoring, SpeechV1, Nowhere], Unset, OPEN, OPEN),
            (BOTH, &[ManagementV2, Page, CustomAdmin], Unset, DEFAULT, DEFAULT),
            (BOTH, &[ManagementV1, ManagementV2, Page, Monitoring, SpeechV1, CustomAdmin, Nowhere], Set, STORED, STORED),
            (BOTH, &[ManagementV1, ManagementV2, Page, Monitoring, SpeechV1, CustomAdmin, Nowhere], Locked, NOBODY, NOBODY),
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

    /// What is to be asked for where nothing can be found out is 404, but v1 alone asks everywhere.
    #[test]
    fn a_port_without_services_of_the_images_own_has_no_paths_to_hide() {
        for serves in [Serves::Management, Serves::Speech, Serves::Realtime] {
            let at = |api| Situation { serves, ..situation(api, true, PasswordKind::Set) };
            assert_eq!(judge(&at(BOTH), Area::Nowhere), OPEN);
            assert_eq!(judge(&at(V2), Area::Nowhere), OPEN);
            assert_eq!(judge(&at(V1), Area::Nowhere), STORED);
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
        for (method, fields, foreign) in [
            ("POST", &[("Origin", "http://box:8080")][..], false),
            ("POST", &[("Origin", "https://BOX:8080")], false),
            ("POST", &[("Origin", "http://box")], true),
            ("POST", &[("Origin", "https://evil.example")], true),
            ("POST", &[("Origin", "null")], true),
            ("DELETE", &[("Sec-Fetch-Site", "cross-site")], true),
            ("POST", &[("Sec-Fetch-Site", "same-site"), ("Origin", "http://box:8080")], true),
            ("POST", &[("Sec-Fetch-Site", "same-origin"), ("Origin", "https://outer")], false),
            ("POST", &[("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", "same-site")], true),
            ("POST", &[("Accept", "*/*")], false),
            ("GET", &[("Origin", "https://evil.example")], false),
            ("OPTIONS", &[("Origin", "https://evil.example")], false),
        ] {
            let head = head(method, fields);
            let judged = is_foreign(&head, Some("box:8080"), Area::ManagementV1);
            assert_eq!(judged, foreign, "{method} {fields:?}");
            for area in [Area::Jobs, Area::Monitoring] {
                assert!(!is_foreign(&head, Some("box:8080"), area));
            }
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

    /// What transcribes, and beside each row what passes without a license.
    #[test]
    fn work_that_transcribes_needs_a_license_and_nothing_else_does() {
        use Area::*;
        let licensed = ["POST".to_owned(), "PUT".to_owned()];
        #[rustfmt::skip]
        let table: &[(Area, &str, &str, bool, bool)] = &[
            // area, method, path, WebSocket, needs a license
            (SpeechV1, "POST", "/v1.0/user/1/jobs", false, true),
            (SpeechV1, "POST", "/v1.0/user/1/jobs/", false, true),
            (SpeechV1, "POST", "/v1/user/99/jobs", false, true),
            (SpeechV1, "POST", "/v1/user/99/jobs/", false, true),
            (SpeechV1, "POST", "/v1/user/1//jobs", false, true),
            (SpeechV1, "POST", "/v1/user/1/%6aobs", false, true),
            (SpeechV1, "POST", "/v1.0/user/1/jobs;a=b", false, true),
            (SpeechV1, "POST", "/v1.0;a/user;b/1;c/JOBS/;d", false, true),
            (SpeechV1, "POST", "/v1/user/;x/jobs", false, true),
            (SpeechV1, "POST", "/v1/user/1/jobs.json", false, true),
            (SpeechV1, "POST", "/v1/user/1/%256aobs", false, true),
            (SpeechV1, "GET", "/v1.0/user/1/jobs", false, false),
            (SpeechV1, "POST", "/v1.0/user/1/jobs/7", false, false),
            (SpeechV1, "DELETE", "/v1.0/user/1/jobs/7", false, false),
            (SpeechV1, "POST", "/v1.0/user/1/jobsmore", false, false),
            (Jobs, "POST", "/v2/jobs", false, true),
            (Jobs, "POST", "/v2/jobs/", false, true),
            (Jobs, "POST", "/v2/jobs//", false, true),
            (Jobs, "POST", "/v2/jobs;x", false, true),
            (Jobs, "POST", "/v2/jobs/;x", false, true),
            (Jobs, "POST", "/v2/Jobs%3bx", false, true),
            (Jobs, "POST", "/v2/;jobs", false, false),
            (Jobs, "GET", "/v2/jobs", false, false),
            (Jobs, "DELETE", "/v2/jobs/a", false, false),
            (Jobs, "POST", "/v2/jobs/a", false, false),
            (Realtime, "GET", "/v2", true, true),
            (Realtime, "GET", "/v2/en", true, true),
            (Realtime, "GET", "/", true, true),
            (Realtime, "GET", "/", false, false),
            (CustomOpen, "POST", "/x/", false, true),
            (CustomAdmin, "PUT", "/x/", false, true),
            (CustomOpen, "GET", "/x/", false, false),
            (CustomOpen, "GET", "/x/", true, false),
            (ManagementV1, "POST", "/v1/management/license", false, false),
            (ManagementV2, "POST", "/v2/management/license", false, false),
            (Monitoring, "POST", "/monitor/api/3/cpu", false, false),
            (Page, "POST", "/", false, false),
        ];
        for (area, method, path, websocket, needed) in table {
            let target = Target { path: (*path).to_owned(), query: None, authority: None };
            let judged = needs_license(*area, &head(method, &[]), &target, *websocket, &licensed);
            assert_eq!(judged, *needed, "{area:?} {method} {path} websocket: {websocket}");
        }
    }
}
