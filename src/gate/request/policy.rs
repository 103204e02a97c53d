//! Who may do what, as pure functions: no clock, no socket, no lock.
//!
//! The rules are M1-18 to M1-28 and M2-12 to M2-19. If both API versions are mounted and their rules differ, the stricter one
//! applies. Everything that the table in the tests does not open stays closed.

use crate::config::{Api, HttpDisabled, Serves};
use crate::http::authority::is_same;
use crate::http::head::RequestHead;
use crate::http::target::Target;
use crate::http::{lenient, method};

/// The area of a path, which decides about the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    /// `/v1/management/…`, of which services may own a part, and `/v1/security/…`
    ManagementV1,
    /// `/v2/management/…`, of which services may own a part, and `/v2/security/…`
    ManagementV2,
    /// The management page and the description of the API, which belong to no API version.
    Page,
    /// `/healthz`
    Health,
    /// `/monitor/…`, or a monitoring listener.
    Monitoring,
    /// `/v1.0/user/…`, `/v1/user/…`
    SpeechV1,
    /// `/v2/jobs…`
    Jobs,
    /// WebSockets of live transcription.
    Realtime,
    /// A custom service of the image that needs the administrator's password.
    CustomAdmin,
    /// A custom service of the image that checks its clients itself.
    CustomOpen,
    /// A path without a service.
    Unknown,
}

impl Area {
    /// True for the areas that this process serves itself, or a service under its rules.
    pub(crate) fn is_local(self) -> bool {
        !matches!(
            self,
            Area::SpeechV1
                | Area::Jobs
                | Area::Realtime
                | Area::CustomAdmin
                | Area::CustomOpen
                | Area::Unknown
        )
    }
}

/// What the rules need to know about a request, except its credentials.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    pub(crate) api: Api,
    /// What this listener serves.
    pub(crate) serves: Serves,
    pub(crate) tls: bool,
    /// The administrator has enabled plain HTTP.
    pub(crate) plain_http: bool,
    /// What this listener does when plain HTTP is disabled.
    pub(crate) http_disabled: HttpDisabled,
    pub(crate) password: PasswordKind,
}

/// [`crate::security::Password`] without the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordKind {
    Unset,
    Off,
    Locked,
    Set,
}

/// What a request needs before it is forwarded.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// No credentials.
    Open,
    /// Basic credentials.
    Basic(PasswordSource),
}

/// What Basic credentials are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordSource {
    /// `admin`:`admin`, while no password is set (v2).
    Default,
    /// The password file.
    Stored,
    /// Nothing matches, because the password file is damaged.
    Damaged,
}

/// What happens to a request over plain HTTP while that is disabled; `None`: [`required_access`] decides.
///
/// Checked before the path, so that the response tells nothing about the paths.
pub(crate) fn disabled_http(situation: &Situation) -> Option<HttpDisabled> {
    (!situation.tls && !situation.plain_http).then_some(situation.http_disabled)
}

/// True for a change that another site causes in a browser. A form or script on another site can post to an appliance
/// without credentials, or with those that the browser remembers; it cannot hide its origin (Fetch Standard,
/// "Origin" and "Sec-Fetch-Site"). Programs send neither field.
///
/// `Sec-Fetch-Site` is the browser's own decision, and holds if a proxy rewrites `Host`; browsers send it over HTTPS
/// only, so otherwise `Origin` has to name the host of the request.
pub(crate) fn is_cross_site(head: &RequestHead, host: Option<&str>, area: Area) -> bool {
    // Monitoring changes nothing, and says so in the format of Glances.
    if !area.is_local() || area == Area::Monitoring || method::is_safe(&head.method) {
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

/// The access rule for a request.
pub(crate) fn required_access(situation: &Situation, area: Area) -> Access {
    let both = situation.api.v1 && situation.api.v2;
    let v1_alone = situation.api.v1 && !situation.api.v2;
    let hides_paths = v1_alone || (both && situation.serves == Serves::All);
    match (area, situation.password) {
        (Area::CustomOpen | Area::Health, _) | (_, PasswordKind::Off) => Access::Open,

        // v1 alone: authentication is enforced over HTTPS only, and there for everything (M1-24, M1-25). A
        // damaged password file closes management on plain HTTP too, because a password may have been set.
        (_, PasswordKind::Set) if v1_alone => stored_if(situation.tls),
        (Area::SpeechV1 | Area::Jobs | Area::Realtime, PasswordKind::Locked) if v1_alone => {
            if situation.tls {
                Access::Basic(PasswordSource::Damaged)
            } else {
                Access::Open
            }
        }
        (_, PasswordKind::Unset) if v1_alone => Access::Open,

        // Both: on a listener with custom services, a path without a service needs the password too, so that paths
        // cannot be found by trying. Other listeners have none, and v2 protects only the paths that it names.
        (Area::Unknown, _) if !hides_paths => Access::Open,

        // v2: management requires the password, jobs and realtime never do (M2-17).
        (Area::Jobs | Area::Realtime, _) => Access::Open,

        (_, PasswordKind::Locked) => Access::Basic(PasswordSource::Damaged),
        (_, PasswordKind::Set) => Access::Basic(PasswordSource::Stored),

        // Both mounted and no password set: v1 is open (M1-21).
        (
            Area::ManagementV1 | Area::SpeechV1 | Area::Monitoring | Area::Unknown,
            PasswordKind::Unset,
        ) if both => Access::Open,
        (_, PasswordKind::Unset) => Access::Basic(PasswordSource::Default),
    }
}

/// True if a request would transcribe and so needs a valid license with seconds left. Checked after
/// [`required_access`], so that an unauthorized client learns nothing about the license.
///
/// `licensed` are the methods that the settings name for a custom service.
pub(crate) fn needs_license(
    area: Area,
    head: &RequestHead,
    target: &Target,
    websocket: bool,
    licensed: &[String],
) -> bool {
    let may_mean = |method: &str| {
        method::may_mean(&head.method, &head.fields, target.query.as_deref(), method)
    };
    match area {
        Area::SpeechV1 | Area::Jobs => may_mean("POST") && creates_job(&target.path),
        Area::Realtime => websocket,
        Area::ManagementV1 | Area::ManagementV2 | Area::CustomAdmin | Area::CustomOpen => {
            licensed.iter().any(|known| may_mean(known))
        }
        Area::Page | Area::Health | Area::Monitoring | Area::Unknown => false,
    }
}

/// True for `/v1.0/user/<n>/jobs`, `/v1/user/<n>/jobs` and `/v2/jobs`, with or without a slash at the end.
///
/// The path is read as the most lenient engine might read it: `jobs.json` is `jobs`, and a user may have any number of
/// segments. A false positive costs an unusual client an error, a false negative would bypass the license.
fn creates_job(path: &str) -> bool {
    let segments = lenient::segments(path);
    let stems = segments.iter().map(|segment| segment.split('.').next().unwrap_or_default().trim());
    let stems: Vec<&str> = stems.filter(|stem| !stem.is_empty()).collect();
    matches!(stems.as_slice(), ["v2", "jobs"] | ["v1", "user", .., "jobs"])
}

fn stored_if(condition: bool) -> Access {
    if condition { Access::Basic(PasswordSource::Stored) } else { Access::Open }
}

#[cfg(test)]
mod tests {
    use super::{
        Access, Area, PasswordKind, PasswordSource, Situation, disabled_http, is_cross_site,
        needs_license, required_access,
    };
    use crate::config::{Api, HttpDisabled, Serves};
    use crate::http::fields::Fields;
    use crate::http::head::RequestHead;
    use crate::http::target::Target;

    const V1: Api = Api { v1: true, v2: false };
    const V2: Api = Api { v1: false, v2: true };
    const BOTH: Api = Api { v1: true, v2: true };

    const OPEN: Access = Access::Open;
    const DEFAULT: Access = Access::Basic(PasswordSource::Default);
    const STORED: Access = Access::Basic(PasswordSource::Stored);
    const DAMAGED: Access = Access::Basic(PasswordSource::Damaged);

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
        RequestHead { method: method.to_owned().into(), target: "/".to_owned(), minor: 1, fields }
    }

    /// M1-21 to M1-28 and M2-14 to M2-17, for each state of the password, on plain HTTP and on HTTPS.
    #[test]
    fn the_rules_are_those_of_the_manuals() {
        use Area::*;
        use PasswordKind::*;
        #[rustfmt::skip]
        let table: &[(Api, &[Area], PasswordKind, Access, Access)] = &[
            // api, areas, password, plain HTTP, HTTPS
            (V1, &[ManagementV1, Page, Monitoring, SpeechV1, Jobs, Realtime, CustomAdmin, Unknown], Unset, OPEN, OPEN),
            (V1, &[ManagementV1, Page, Monitoring, SpeechV1, Jobs, Realtime, CustomAdmin, Unknown], Set, OPEN, STORED),
            (V1, &[ManagementV1, Page, Monitoring, CustomAdmin, Unknown], Locked, DAMAGED, DAMAGED),
            (V1, &[SpeechV1, Jobs, Realtime], Locked, OPEN, DAMAGED),

            (V2, &[ManagementV2, Page, Monitoring, CustomAdmin], Unset, DEFAULT, DEFAULT),
            (V2, &[ManagementV2, Page, Monitoring, CustomAdmin], Set, STORED, STORED),
            (V2, &[ManagementV2, Page, Monitoring, CustomAdmin], Locked, DAMAGED, DAMAGED),
            (V2, &[ManagementV2, Page, Monitoring, CustomAdmin], Off, OPEN, OPEN),
            (V2, &[Jobs, Realtime, Unknown], Unset, OPEN, OPEN),
            (V2, &[Jobs, Realtime, Unknown], Set, OPEN, OPEN),
            (V2, &[Jobs, Realtime, Unknown], Locked, OPEN, OPEN),

            (BOTH, &[ManagementV1, Monitoring, SpeechV1, Unknown], Unset, OPEN, OPEN),
            (BOTH, &[ManagementV2, Page, CustomAdmin], Unset, DEFAULT, DEFAULT),
            (BOTH, &[ManagementV1, ManagementV2, Page, Monitoring, SpeechV1, CustomAdmin, Unknown], Set, STORED, STORED),
            (BOTH, &[ManagementV1, ManagementV2, Page, Monitoring, SpeechV1, CustomAdmin, Unknown], Locked, DAMAGED, DAMAGED),
            (BOTH, &[Jobs, Realtime], Unset, OPEN, OPEN),
            (BOTH, &[Jobs, Realtime], Set, OPEN, OPEN),
            (BOTH, &[Jobs, Realtime], Locked, OPEN, OPEN),
        ];
        for (api, areas, password, plain, tls) in table {
            for area in *areas {
                let result = |tls| required_access(&situation(*api, tls, *password), *area);
                assert_eq!(result(false), *plain, "{api:?} {area:?} {password:?} plain");
                assert_eq!(result(true), *tls, "{api:?} {area:?} {password:?} tls");
            }
        }
    }

    /// A path without a service is a 404 without a password, but v1 alone asks for the password everywhere.
    #[test]
    fn a_listener_without_custom_services_has_no_paths_to_hide() {
        for serves in [Serves::Management, Serves::Speech, Serves::Realtime] {
            let at = |api| Situation { serves, ..situation(api, true, PasswordKind::Set) };
            assert_eq!(required_access(&at(BOTH), Area::Unknown), OPEN);
            assert_eq!(required_access(&at(V2), Area::Unknown), OPEN);
            assert_eq!(required_access(&at(V1), Area::Unknown), STORED);
        }
    }

    #[test]
    fn a_custom_service_without_our_password_is_always_open() {
        for password in [PasswordKind::Unset, PasswordKind::Set, PasswordKind::Locked] {
            for api in [V1, V2, BOTH] {
                assert_eq!(
                    required_access(&situation(api, true, password), Area::CustomOpen),
                    OPEN
                );
            }
        }
    }

    #[test]
    fn another_site_changes_nothing() {
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
            let result = is_cross_site(&head, Some("box:8080"), Area::ManagementV1);
            assert_eq!(result, foreign, "{method} {fields:?}");
            for area in [Area::Jobs, Area::Monitoring] {
                assert!(!is_cross_site(&head, Some("box:8080"), area));
            }
        }
    }

    #[test]
    fn only_plain_http_can_be_disabled() {
        let mut disabled = situation(BOTH, false, PasswordKind::Unset);
        assert_eq!(disabled_http(&disabled), None);
        disabled.plain_http = false;
        assert_eq!(disabled_http(&disabled), Some(HttpDisabled::Close));
        disabled.tls = true;
        assert_eq!(disabled_http(&disabled), None);
    }

    /// Which requests transcribe, and which similar ones need no license.
    #[test]
    fn only_requests_that_transcribe_need_a_license() {
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
            (ManagementV1, "PUT", "/v1/management/x", false, true),
            (CustomOpen, "GET", "/x/", true, false),
            (Page, "POST", "/", false, false),
            (Monitoring, "POST", "/monitor/api/3/cpu", false, false),
            (Page, "POST", "/", false, false),
        ];
        for (area, method, path, websocket, needed) in table {
            let target = Target { path: (*path).to_owned(), query: None, authority: None };
            let result = needs_license(*area, &head(method, &[]), &target, *websocket, &licensed);
            assert_eq!(result, *needed, "{area:?} {method} {path} websocket: {websocket}");
        }
    }
}
