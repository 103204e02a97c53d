//! Paths of the appliance itself, which no service may take.

/// The two areas of which a service may own what the appliance leaves free, so that an engine's own settings are where
/// clients look for them.
const MANAGEMENT: [&str; 2] = ["/v1/management/", "/v2/management/"];

/// What is the appliance's own, with everything below it. What begins with one of [`MANAGEMENT`] is the table of the
/// API, whose unit test finds a row that is missing here.
const OWN: &[&str] = &[
    "/v1/management/freestorage/",
    "/v1/management/host/about/",
    "/v1/management/host/confirmnetwork/",
    "/v1/management/host/setdhcp/",
    "/v1/management/host/setipaddress/",
    "/v1/management/host/time/",
    "/v1/management/license/",
    "/v1/management/logs/",
    "/v1/management/ping/",
    "/v1/management/reboot/",
    "/v1/management/resource/",
    "/v1/management/services/",
    "/v1/management/shutdown/",
    "/v2/management/cpuinfo/",
    "/v2/management/health/",
    "/v2/management/host/about/",
    "/v2/management/host/confirmnetwork/",
    "/v2/management/host/setdhcp/",
    "/v2/management/host/setipaddress/",
    "/v2/management/host/time/",
    "/v2/management/license/",
    "/v2/management/logs/",
    "/v2/management/meminfo/",
    "/v2/management/reboot/",
    "/v2/management/shutdown/",
    "/v1/security/",
    "/v2/security/",
    "/docs/",
    "/healthz/",
    "/monitor/",
    "/v1.0/user/",
    "/v1/user/",
    "/v2/jobs",
];

/// The path of the appliance that a service's `prefix` contains or lies below, whichever versions of the API are
/// served.
pub(crate) fn overlap(prefix: &str) -> Option<&'static str> {
    OWN.iter().copied().find(|own| own.starts_with(prefix) || prefix.starts_with(own))
}

/// The area of management that a service's `prefix` lies in.
pub(crate) fn management(prefix: &str) -> Option<&'static str> {
    MANAGEMENT.into_iter().find(|area| prefix.starts_with(area))
}
