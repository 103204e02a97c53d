//! Path to service: whose door a request knocks at.

use std::sync::Arc;

use super::policy::Area;
use super::service::Service;
use super::target::Target;
use crate::config::{Api, Auth, Config, Serves};

/// Where a request goes.
pub(crate) struct Route {
    pub(crate) area: Area,
    pub(crate) service: Arc<Service>,
    /// The path as the service gets it; the query follows it unchanged.
    pub(crate) path: String,
}

/// Every service, and what is mounted.
pub(crate) struct Routes {
    api: Api,
    /// The management API and monitoring, in this process, behind `control.sock`.
    own: Arc<Service>,
    speech: Arc<Service>,
    realtime: Arc<Service>,
    /// Prefix and service, longest prefix first.
    custom: Vec<(String, Area, Arc<Service>)>,
}

impl Routes {
    pub(crate) fn new(config: &Config, own: Arc<Service>) -> Routes {
        let mut routes = Routes {
            api: config.api,
            speech: Arc::clone(&own),
            realtime: Arc::clone(&own),
            own,
            custom: Vec::new(),
        };
        for configured in &config.services {
            let service = Service::new(&configured.name, configured.address.clone());
            let service = Arc::new(service.licensed(&configured.licensed));
            match configured.name.as_str() {
                "speech" => routes.speech = service,
                "realtime" => routes.realtime = service,
                _ => {
                    let area = match configured.auth {
                        Auth::Admin => Area::CustomAdmin,
                        Auth::None => Area::CustomOpen,
                    };
                    let entry = |path: &String| (path.clone(), area, Arc::clone(&service));
                    routes.custom.extend(configured.paths.iter().map(entry));
                }
            }
        }
        routes.custom.sort_by_key(|(prefix, ..)| std::cmp::Reverse(prefix.len()));
        routes
    }

    /// The service for a request on a port that `serves`, or `None`: 404.
    pub(crate) fn find(&self, serves: Serves, target: &Target, websocket: bool) -> Option<Route> {
        let path = target.path.as_str();
        let (area, service) = match serves {
            Serves::Monitoring => {
                let path = format!("/monitor{path}");
                return Some(Route {
                    area: Area::Monitoring,
                    service: Arc::clone(&self.own),
                    path,
                });
            }
            Serves::Realtime if websocket && path == "/" => (Area::Realtime, &self.realtime),
            Serves::Realtime => self.realtime(path, websocket)?,
            Serves::Management => self.management(path)?,
            Serves::Speech => self.speech(path)?,
            Serves::All => self
                .management(path)
                .or_else(|| self.speech(path))
                .or_else(|| self.realtime(path, websocket))
                .or_else(|| self.monitoring(path))
                .or_else(|| self.custom(path))?,
        };
        Some(Route { area, service: Arc::clone(service), path: path.to_owned() })
    }

    fn management(&self, path: &str) -> Option<(Area, &Arc<Service>)> {
        let (area, mounted) = if path == "/" || below(path, "/docs") {
            (Area::Page, true)
        } else if below(path, "/v1/management") || below(path, "/v1/security") {
            (Area::ManagementV1, self.api.v1)
        } else if below(path, "/v2/management") || below(path, "/v2/security") {
            (Area::ManagementV2, self.api.v2)
        } else {
            return None;
        };
        mounted.then_some((area, &self.own))
    }

    fn speech(&self, path: &str) -> Option<(Area, &Arc<Service>)> {
        if below(path, "/v2/jobs") {
            return Some((Area::Jobs, &self.speech));
        }
        let v1 = path.starts_with("/v1.0/user/") || path.starts_with("/v1/user/");
        (v1 && self.api.v1).then_some((Area::SpeechV1, &self.speech))
    }

    /// `/v2` and `/v2/<language>`, for WebSockets alone.
    fn realtime(&self, path: &str, websocket: bool) -> Option<(Area, &Arc<Service>)> {
        let language = path.strip_prefix("/v2").map(|rest| rest.strip_prefix('/').unwrap_or(rest));
        let found = websocket && below(path, "/v2") && !language?.contains('/');
        found.then_some((Area::Realtime, &self.realtime))
    }

    fn monitoring(&self, path: &str) -> Option<(Area, &Arc<Service>)> {
        below(path, "/monitor").then_some((Area::Monitoring, &self.own))
    }

    fn custom(&self, path: &str) -> Option<(Area, &Arc<Service>)> {
        let (_, area, service) =
            self.custom.iter().find(|(prefix, ..)| path.starts_with(prefix.as_str()))?;
        Some((*area, service))
    }
}

/// True for `prefix` itself and everything below it, but not for `prefixmore`.
fn below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
