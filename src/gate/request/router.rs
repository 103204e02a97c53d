//! Routes: which service a request goes to.

use std::sync::Arc;

use super::policy::Area;
use crate::config::{Api, Auth, Config, Serves, Service};
use crate::gate::upstream::connect::Upstream;
use crate::gate::upstream::pool::IdlePool;
use crate::http::lenient;
use crate::http::target::{Target, encoded};

/// Where a request goes.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) area: Area,
    /// The service; `None` for the management API and monitoring, which this process answers.
    pub(crate) upstream: Option<Arc<Upstream>>,
    /// Added before the path that the service gets.
    pub(crate) prefix: &'static str,
    /// The request is a WebSocket, and the service accepts WebSockets.
    pub(crate) websocket: bool,
}

impl Route {
    /// Who answers, as the access log names it.
    pub(crate) fn service(&self) -> &str {
        self.upstream.as_ref().map_or("management", |upstream| &upstream.name)
    }
}

/// All services and their paths.
pub(crate) struct Routes {
    api: Api,
    speech: Option<Arc<Upstream>>,
    realtime: Option<Arc<Upstream>>,
    /// Longest prefix first.
    custom: Vec<Custom>,
    /// The services of `custom` have different rules.
    has_mixed_rules: bool,
}

struct Custom {
    /// Encoded as in [`Target::path`]; below management without the slash at its end.
    prefix: String,
    /// The prefix as [`lenient::segments`].
    segments: Vec<String>,
    area: Area,
    websocket: bool,
    upstream: Arc<Upstream>,
}

impl Custom {
    fn new(path: &str, service: &Service, upstream: &Arc<Upstream>) -> Custom {
        let area = match (Service::management(path), service.auth) {
            (Some("/v1/management/"), _) => Area::ManagementV1,
            (Some(_), _) => Area::ManagementV2,
            (None, Auth::Admin) => Area::CustomAdmin,
            (None, Auth::None) => Area::CustomOpen,
        };
        // Calls of the management API have no slash at their end.
        let prefix = if area.is_local() { path.trim_end_matches('/') } else { path };
        Custom {
            prefix: encoded(prefix).into_owned(),
            segments: lenient::segments(path),
            area,
            websocket: service.websocket,
            upstream: Arc::clone(upstream),
        }
    }

    fn matches(&self, path: &str) -> bool {
        if self.area.is_local() {
            below(path, &self.prefix)
        } else {
            path.starts_with(&self.prefix)
        }
    }
}

impl Routes {
    pub(crate) fn new(config: &Config, idle_pool: &Arc<IdlePool>) -> Routes {
        let mut routes = Routes {
            api: config.api,
            speech: None,
            realtime: None,
            custom: Vec::new(),
            has_mixed_rules: false,
        };
        for (number, configured) in config.services.iter().enumerate() {
            let address = configured.address.clone();
            let mut upstream =
                Upstream::new(&configured.name, address, configured.timeout, number, idle_pool);
            upstream.licensed.clone_from(&configured.licensed);
            let upstream = Arc::new(upstream);
            match configured.name.as_str() {
                "speech" => routes.speech = Some(upstream),
                "realtime" => routes.realtime = Some(upstream),
                _ => {
                    let custom = |path: &String| Custom::new(path, configured, &upstream);
                    let custom = configured.paths.iter().map(custom);
                    routes.custom.extend(custom.filter(|one| is_mounted(config.api, one.area)));
                }
            }
        }
        routes.custom.sort_by_key(|custom| std::cmp::Reverse(custom.prefix.len()));
        routes.has_mixed_rules = routes
            .custom
            .first()
            .is_some_and(|first| routes.custom.iter().any(|other| !same_rules(first, other)));
        routes
    }

    /// The route of a request on a listener that `serves`; `None` means 404.
    pub(crate) fn find(&self, serves: Serves, target: &Target, websocket: bool) -> Option<Route> {
        let path = target.path.as_str();
        match serves {
            Serves::Monitoring => {
                // The path as on a listener that serves all.
                Some(Route { prefix: "/monitor", ..route(Area::Monitoring, None, false) })
            }
            Serves::Realtime if websocket && path == "/" => self.realtime_route(),
            Serves::Realtime => self.realtime(path, websocket),
            Serves::Management => self.management(path, websocket),
            Serves::Speech => self.speech(path),
            Serves::All => self
                .management(path, websocket)
                .or_else(|| self.speech(path))
                .or_else(|| self.realtime(path, websocket))
                .or_else(|| monitoring(path))
                .or_else(|| self.custom(path, websocket)),
        }
    }

    /// The appliance's own, and what services own below it: the settings let no two of them overlap.
    fn management(&self, path: &str, websocket: bool) -> Option<Route> {
        let area = if path == "/" || below(path, "/docs") {
            Area::Page
        } else if path == "/healthz" {
            Area::Health
        } else if below(path, "/v1/management") || below(path, "/v1/security") {
            Area::ManagementV1
        } else if below(path, "/v2/management") || below(path, "/v2/security") {
            Area::ManagementV2
        } else {
            return None;
        };
        let own = || Some(route(area, None, false));
        if is_mounted(self.api, area) { self.custom(path, websocket).or_else(own) } else { None }
    }

    fn speech(&self, path: &str) -> Option<Route> {
        let v1 = path.starts_with("/v1.0/user/") || path.starts_with("/v1/user/");
        let area = match () {
            () if below(path, "/v2/jobs") => Area::Jobs,
            () if v1 && self.api.v1 => Area::SpeechV1,
            () => return None,
        };
        Some(route(area, Some(self.speech.as_ref()?), false))
    }

    /// `/v2` and `/v2/<language>`, for WebSockets only.
    fn realtime(&self, path: &str, websocket: bool) -> Option<Route> {
        let rest = path.strip_prefix("/v2").filter(|_| websocket)?;
        let language = rest.strip_prefix('/').unwrap_or(rest);
        let matches = below(path, "/v2") && !language.contains('/');
        if matches { self.realtime_route() } else { None }
    }

    fn realtime_route(&self) -> Option<Route> {
        Some(route(Area::Realtime, Some(self.realtime.as_ref()?), true))
    }

    fn custom(&self, path: &str, websocket: bool) -> Option<Route> {
        let custom = self.custom.iter().find(|custom| custom.matches(path))?;
        if self.has_mixed_rules {
            // Both prefixes may lead to one program, which might read this path as one of the other prefix.
            let read = lenient::Reading::of(path);
            let other = self.custom.iter().find(|other| read.starts_with(&other.segments));
            if other.is_some_and(|other| !same_rules(custom, other)) {
                return None;
            }
        }
        let websocket = websocket && custom.websocket;
        Some(route(custom.area, Some(&custom.upstream), websocket))
    }
}

/// True if the API version of an area is served.
fn is_mounted(api: Api, area: Area) -> bool {
    match area {
        Area::ManagementV1 => api.v1,
        Area::ManagementV2 => api.v2,
        _ => true,
    }
}

/// True if both paths need the same authorization and license.
fn same_rules(one: &Custom, other: &Custom) -> bool {
    let licensed = &other.upstream.licensed;
    one.area == other.area && one.upstream.licensed.iter().eq(licensed.iter())
}

fn monitoring(path: &str) -> Option<Route> {
    below(path, "/monitor").then(|| route(Area::Monitoring, None, false))
}

fn route(area: Area, upstream: Option<&Arc<Upstream>>, websocket: bool) -> Route {
    Route { area, upstream: upstream.cloned(), prefix: "", websocket }
}

/// True for `prefix` itself and everything below it, but not for `prefixmore`.
fn below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Route, Routes};
    use crate::config::{Config, Serves};
    use crate::gate::request::policy::Area;
    use crate::gate::upstream::pool::IdlePool;
    use crate::http::target::Target;

    const EXTRA: &str = r#"{"services": {
        "x": {"address": "127.0.0.1:1", "paths": ["/x/"], "auth": "none"},
        "deep": {"address": "127.0.0.1:2", "paths": ["/x/deep/"], "websocket": true}
    }}"#;

    fn find(settings: &str, serves: Serves, path: &str, websocket: bool) -> Option<Route> {
        let config = Config::parse(settings.as_bytes()).unwrap();
        let idle_pool = IdlePool::new(config.services.len());
        let target = Target { path: path.to_owned(), query: None, authority: None };
        Routes::new(&config, &idle_pool).find(serves, &target, websocket)
    }

    fn routed(settings: &str, serves: Serves, path: &str, websocket: bool) -> String {
        find(settings, serves, path, websocket).map_or("none".to_owned(), |route| {
            format!("{} {}{path}", route.service(), route.prefix)
        })
    }

    #[test]
    fn each_path_has_its_service_on_a_listener_that_serves_all() {
        for (path, websocket, wanted) in [
            ("/", false, "management /"),
            ("/docs/openapi.json", false, "management /docs/openapi.json"),
            ("/v1/management/services", false, "management /v1/management/services"),
            ("/v2/security/reset", false, "management /v2/security/reset"),
            ("/v1/managementx", false, "none"),
            ("/monitor/api/3/mem", false, "management /monitor/api/3/mem"),
            ("/v1.0/user/1/jobs/", false, "speech /v1.0/user/1/jobs/"),
            ("/v1/user/1/jobs", false, "speech /v1/user/1/jobs"),
            ("/v2/jobs", false, "speech /v2/jobs"),
            ("/v2/jobs/7", false, "speech /v2/jobs/7"),
            ("/v2/jobs", true, "speech /v2/jobs"),
            ("/v2/jobsx", false, "none"),
            ("/v2", true, "realtime /v2"),
            ("/v2/", true, "realtime /v2/"),
            ("/v2/en", true, "realtime /v2/en"),
            ("/v2/en", false, "none"),
            ("/v2/en/more", true, "none"),
            ("/v2en", true, "none"),
            ("/x/1", false, "x /x/1"),
            ("/x/deep/1", false, "deep /x/deep/1"),
            ("/x", false, "none"),
            ("/V1/management/services", false, "none"),
        ] {
            assert_eq!(routed(EXTRA, Serves::All, path, websocket), wanted, "{path} {websocket}");
        }
    }

    #[test]
    fn a_service_owns_a_part_of_management_on_the_listeners_of_management() {
        let settings = |api: &str| {
            let engine = r#"{"address": "127.0.0.1:1", "paths": ["/v1/management/maxworkers/", "/v2/management/host/gpu/"]}"#;
            format!(r#"{{"api": [{api}], "services": {{"engine": {engine}}}}}"#)
        };
        let both = settings(r#""v1", "v2""#);
        for (path, area) in [
            ("/v1/management/maxworkers", Area::ManagementV1),
            ("/v1/management/maxworkers/", Area::ManagementV1),
            ("/v2/management/host/gpu", Area::ManagementV2),
            ("/v2/management/host/gpu/config", Area::ManagementV2),
        ] {
            for serves in [Serves::All, Serves::Management] {
                let route = find(&both, serves, path, false).unwrap();
                assert_eq!((route.service(), route.area), ("engine", area), "{path}");
            }
            assert!(find(&both, Serves::Speech, path, false).is_none());
        }
        for path in [
            "/v1/management/maxworkersx",
            "/v1/management/%6daxworkers",
            "/v2/management/maxworkers",
            "/v2/management/host/about",
            "/v2/management/host/GPU",
        ] {
            assert_eq!(find(&both, Serves::All, path, false).unwrap().service(), "management");
        }
        let v2 = settings(r#""v2""#);
        assert!(find(&v2, Serves::All, "/v1/management/maxworkers", false).is_none());
        assert_eq!(
            find(&v2, Serves::All, "/v2/management/host/gpu", false).unwrap().service(),
            "engine"
        );
    }

    #[test]
    fn a_listener_serves_only_its_own_paths() {
        for (serves, path, websocket, wanted) in [
            (
                Serves::Management,
                "/v1/management/services",
                false,
                "management /v1/management/services",
            ),
            (Serves::Management, "/v2/jobs", false, "none"),
            (Serves::Management, "/monitor/api/3/mem", false, "none"),
            (Serves::Monitoring, "/api/3/mem", false, "management /monitor/api/3/mem"),
            (Serves::Speech, "/v2/jobs", false, "speech /v2/jobs"),
            (Serves::Speech, "/v1/management/services", false, "none"),
            (Serves::Realtime, "/", true, "realtime /"),
            (Serves::Realtime, "/", false, "none"),
            (Serves::Realtime, "/v2/en", true, "realtime /v2/en"),
            (Serves::Realtime, "/v1/management/services", false, "none"),
        ] {
            assert_eq!(routed("{}", serves, path, websocket), wanted, "{serves:?} {path}");
        }
    }

    #[test]
    fn an_api_version_that_is_not_mounted_has_no_paths() {
        let (v1, v2) = (r#"{"api": ["v1"]}"#, r#"{"api": ["v2"]}"#);
        assert_eq!(routed(v1, Serves::All, "/v2/management/host/about", false), "none");
        assert_eq!(routed(v2, Serves::All, "/v1/security/reset", false), "none");
        assert_eq!(routed(v2, Serves::All, "/v1.0/user/1/jobs/", false), "none");
        assert_eq!(routed(v1, Serves::All, "/v2/jobs", false), "speech /v2/jobs");
    }

    #[test]
    fn a_service_decides_about_websockets_and_the_password() {
        let deep = find(EXTRA, Serves::All, "/x/deep/", true).unwrap();
        assert!(deep.websocket && deep.area == Area::CustomAdmin);
        let plain = find(EXTRA, Serves::All, "/x/", true).unwrap();
        assert!(!plain.websocket && plain.area == Area::CustomOpen);
    }
}
