//! Path to service: whose door a request knocks at.

use std::sync::Arc;

use super::policy::Area;
use crate::config::{Api, Auth, Config, Serves};
use crate::gate::limits;
use crate::gate::upstream::idle::Kept;
use crate::gate::upstream::pool::Service;
use crate::http::lenient;
use crate::http::target::{Target, encoded};

/// Where a request goes.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) area: Area,
    pub(crate) service: Arc<Service>,
    /// What stands before the path where the service gets it.
    pub(crate) prefix: &'static str,
    /// The request is a WebSocket and may be one here.
    pub(crate) websocket: bool,
    /// Bytes a body may have, where there is an end to it.
    pub(crate) body_ceiling: Option<u64>,
}

/// Every service, and what is mounted.
pub(crate) struct Routes {
    api: Api,
    /// The management API and monitoring, in this process, behind `control.sock`.
    own: Arc<Service>,
    speech: Arc<Service>,
    realtime: Arc<Service>,
    /// Longest prefix first.
    custom: Vec<Custom>,
    /// Rules differ between them.
    mixed: bool,
}

struct Custom {
    /// As in [`Target::path`].
    prefix: String,
    /// The same, read leniently.
    segments: Vec<String>,
    area: Area,
    websocket: bool,
    service: Arc<Service>,
}

impl Routes {
    pub(crate) fn new(config: &Config, own: Arc<Service>, kept: &Arc<Kept>) -> Routes {
        let mut routes = Routes {
            api: config.api,
            speech: Arc::clone(&own),
            realtime: Arc::clone(&own),
            own,
            custom: Vec::new(),
            mixed: false,
        };
        for (number, configured) in config.services.iter().enumerate() {
            let address = configured.address.clone();
            let mut service =
                Service::new(&configured.name, address, configured.timeout, number, kept);
            service.licensed.clone_from(&configured.licensed);
            let service = Arc::new(service);
            match configured.name.as_str() {
                "speech" => routes.speech = service,
                "realtime" => routes.realtime = service,
                _ => routes.custom.extend(configured.paths.iter().map(|path| Custom {
                    prefix: encoded(path).into_owned(),
                    segments: lenient::segments(path),
                    area: match configured.auth {
                        Auth::Admin => Area::CustomAdmin,
                        Auth::None => Area::CustomOpen,
                    },
                    websocket: configured.websocket,
                    service: Arc::clone(&service),
                })),
            }
        }
        routes.custom.sort_by_key(|custom| std::cmp::Reverse(custom.prefix.len()));
        routes.mixed = routes
            .custom
            .first()
            .is_some_and(|first| routes.custom.iter().any(|other| !same_rules(first, other)));
        routes
    }

    /// The service for a request on a port that `serves`, or `None`: 404.
    pub(crate) fn find(&self, serves: Serves, target: &Target, websocket: bool) -> Option<Route> {
        let path = target.path.as_str();
        match serves {
            Serves::Monitoring => {
                // As the path would be on a port that serves all.
                Some(Route { prefix: "/monitor", ..self.own_route(Area::Monitoring) })
            }
            Serves::Realtime if websocket && path == "/" => Some(self.realtime_route()),
            Serves::Realtime => self.realtime(path, websocket),
            Serves::Management => self.management(path),
            Serves::Speech => self.speech(path),
            Serves::All => self
                .management(path)
                .or_else(|| self.speech(path))
                .or_else(|| self.realtime(path, websocket))
                .or_else(|| self.monitoring(path))
                .or_else(|| self.custom(path, websocket)),
        }
    }

    fn management(&self, path: &str) -> Option<Route> {
        let (area, mounted) = if path == "/" || below(path, "/docs") {
            (Area::Page, true)
        } else if below(path, "/v1/management") || below(path, "/v1/security") {
            (Area::ManagementV1, self.api.v1)
        } else if below(path, "/v2/management") || below(path, "/v2/security") {
            (Area::ManagementV2, self.api.v2)
        } else {
            return None;
        };
        mounted.then(|| self.own_route(area))
    }

    fn monitoring(&self, path: &str) -> Option<Route> {
        below(path, "/monitor").then(|| self.own_route(Area::Monitoring))
    }

    /// Ours take small bodies only, and no WebSockets.
    fn own_route(&self, area: Area) -> Route {
        Route { body_ceiling: Some(limits::OWN_BODY_BYTES), ..route(area, &self.own, false) }
    }

    fn speech(&self, path: &str) -> Option<Route> {
        let v1 = path.starts_with("/v1.0/user/") || path.starts_with("/v1/user/");
        let area = match () {
            () if below(path, "/v2/jobs") => Area::Jobs,
            () if v1 && self.api.v1 => Area::SpeechV1,
            () => return None,
        };
        Some(route(area, &self.speech, false))
    }

    /// `/v2` and `/v2/<language>`, for WebSockets alone.
    fn realtime(&self, path: &str, websocket: bool) -> Option<Route> {
        let rest = path.strip_prefix("/v2").filter(|_| websocket)?;
        let language = rest.strip_prefix('/').unwrap_or(rest);
        let fits = below(path, "/v2") && !language.contains('/');
        fits.then(|| self.realtime_route())
    }

    fn realtime_route(&self) -> Route {
        route(Area::Realtime, &self.realtime, true)
    }

    fn custom(&self, path: &str, websocket: bool) -> Option<Route> {
        let fits = |custom: &&Custom| path.starts_with(&custom.prefix);
        let custom = self.custom.iter().find(fits)?;
        if self.mixed {
            // Both may be doors of one program, which would find the other's room behind this one.
            let read = lenient::segments(path);
            let other = self.custom.iter().find(|other| read.starts_with(&other.segments));
            if other.is_some_and(|other| !same_rules(custom, other)) {
                return None;
            }
        }
        let websocket = websocket && custom.websocket;
        Some(route(custom.area, &custom.service, websocket))
    }
}

/// Whether whoever may have what is behind one may have what is behind the other.
fn same_rules(one: &Custom, other: &Custom) -> bool {
    let licensed = &other.service.licensed;
    one.area == other.area && one.service.licensed.iter().eq(licensed.iter())
}

fn route(area: Area, service: &Arc<Service>, websocket: bool) -> Route {
    Route { area, service: Arc::clone(service), prefix: "", websocket, body_ceiling: None }
}

/// True for `prefix` itself and everything below it, but not for `prefixmore`.
fn below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::{Route, Routes};
    use crate::config::{Config, Serves, ServiceAddress};
    use crate::gate::request::policy::Area;
    use crate::gate::upstream::idle::Kept;
    use crate::gate::upstream::pool::Service;
    use crate::http::target::Target;

    const EXTRA: &str = r#"{"services": {
        "x": {"address": "127.0.0.1:1", "paths": ["/x/"], "auth": "none"},
        "deep": {"address": "127.0.0.1:2", "paths": ["/x/deep/"], "websocket": true}
    }}"#;

    fn find(settings: &str, serves: Serves, path: &str, websocket: bool) -> Option<Route> {
        let config = Config::parse(settings.as_bytes()).unwrap();
        let kept = Kept::new(config.services.len() + 1);
        let address = ServiceAddress::Unix("/control.sock".into());
        let own = Service::ours(address, config.services.len(), &kept);
        let target = Target { path: path.to_owned(), query: None, authority: None };
        Routes::new(&config, Arc::new(own), &kept).find(serves, &target, websocket)
    }

    fn told(settings: &str, serves: Serves, path: &str, websocket: bool) -> String {
        find(settings, serves, path, websocket)
            .map_or("nobody".to_owned(), |Route { service, prefix, .. }| {
                format!("{} {prefix}{path}", service.name)
            })
    }

    #[test]
    fn each_path_has_its_service_on_the_port_that_serves_all() {
        for (path, websocket, wanted) in [
            ("/", false, "management /"),
            ("/docs/openapi.json", false, "management /docs/openapi.json"),
            ("/v1/management/services", false, "management /v1/management/services"),
            ("/v2/security/reset", false, "management /v2/security/reset"),
            ("/v1/managementx", false, "nobody"),
            ("/monitor/api/3/mem", false, "management /monitor/api/3/mem"),
            ("/v1.0/user/1/jobs/", false, "speech /v1.0/user/1/jobs/"),
            ("/v1/user/1/jobs", false, "speech /v1/user/1/jobs"),
            ("/v2/jobs", false, "speech /v2/jobs"),
            ("/v2/jobs/7", false, "speech /v2/jobs/7"),
            ("/v2/jobs", true, "speech /v2/jobs"),
            ("/v2/jobsx", false, "nobody"),
            ("/v2", true, "realtime /v2"),
            ("/v2/", true, "realtime /v2/"),
            ("/v2/en", true, "realtime /v2/en"),
            ("/v2/en", false, "nobody"),
            ("/v2/en/more", true, "nobody"),
            ("/v2en", true, "nobody"),
            ("/x/1", false, "x /x/1"),
            ("/x/deep/1", false, "deep /x/deep/1"),
            ("/x", false, "nobody"),
            ("/V1/management/services", false, "nobody"),
        ] {
            assert_eq!(told(EXTRA, Serves::All, path, websocket), wanted, "{path} {websocket}");
        }
    }

    #[test]
    fn a_port_of_its_own_serves_its_own() {
        for (serves, path, websocket, wanted) in [
            (
                Serves::Management,
                "/v1/management/services",
                false,
                "management /v1/management/services",
            ),
            (Serves::Management, "/v2/jobs", false, "nobody"),
            (Serves::Management, "/monitor/api/3/mem", false, "nobody"),
            (Serves::Monitoring, "/api/3/mem", false, "management /monitor/api/3/mem"),
            (Serves::Speech, "/v2/jobs", false, "speech /v2/jobs"),
            (Serves::Speech, "/v1/management/services", false, "nobody"),
            (Serves::Realtime, "/", true, "realtime /"),
            (Serves::Realtime, "/", false, "nobody"),
            (Serves::Realtime, "/v2/en", true, "realtime /v2/en"),
            (Serves::Realtime, "/v1/management/services", false, "nobody"),
        ] {
            assert_eq!(told("{}", serves, path, websocket), wanted, "{serves:?} {path}");
        }
    }

    #[test]
    fn what_is_not_mounted_is_not_there() {
        let (v1, v2) = (r#"{"api": ["v1"]}"#, r#"{"api": ["v2"]}"#);
        assert_eq!(told(v1, Serves::All, "/v2/management/host/about", false), "nobody");
        assert_eq!(told(v2, Serves::All, "/v1/security/reset", false), "nobody");
        assert_eq!(told(v2, Serves::All, "/v1.0/user/1/jobs/", false), "nobody");
        assert_eq!(told(v1, Serves::All, "/v2/jobs", false), "speech /v2/jobs");
    }

    #[test]
    fn a_service_says_whether_it_takes_websockets_and_the_password() {
        let deep = find(EXTRA, Serves::All, "/x/deep/", true).unwrap();
        assert!(deep.websocket && deep.area == Area::CustomAdmin);
        let plain = find(EXTRA, Serves::All, "/x/", true).unwrap();
        assert!(!plain.websocket && plain.area == Area::CustomOpen);
    }
}
