//! `logs/{name}`: the daemon's own last lines.

use crate::monitor::listeners::{ALL, Way, ask};
use crate::support::appliance::Appliance;
use crate::support::engine::Engine;
use crate::support::settings::Settings;
use crate::support::wait::{SOON, until};

fn lines(appliance: &Appliance, way: Way, name_and_count: &str) -> (String, Vec<String>) {
    let path = format!("/v1/management/logs/{name_and_count}");
    let told = ask(appliance, way, &[], &path).ok().json();
    let lines = told["log_lines"].as_str().unwrap().lines().map(str::to_owned).collect();
    (told["count"].as_str().unwrap().to_owned(), lines)
}

#[test]
fn management_tells_what_was_changed_by_every_way() {
    let appliance = Appliance::start(&Settings::both());
    let ports = appliance.https("/v1/security/insecureports");
    appliance.post(&ports, r#"{"enable_insecure_ports": true}"#).ok();
    for way in ALL {
        let (count, all) = lines(&appliance, way, "management");
        assert_eq!(count, "100", "{way:?}");
        assert!(all.iter().any(|line| line.contains(" security ")), "{way:?}: {all:?}");
        assert!(all.iter().all(|line| appliance.log().contains(line)), "{way:?}: {all:?}");
    }
}

#[test]
fn as_many_lines_are_told_as_are_asked_for_and_the_last_ones() {
    let appliance = Appliance::start(&Settings::both());
    for number in 0..120 {
        appliance.read(&appliance.http(&format!("/v1/management/ping/{number}")));
    }
    // A line is written behind its answer.
    let all = until(SOON, "all requests are in the log", || {
        let (count, all) = lines(&appliance, Way::ControlSocket, "gate?count=-1");
        (count == "-1" && all.len() == 120).then_some(all)
    });
    assert_eq!(lines(&appliance, Way::ControlSocket, "gate").1, all[20..]);
    let (count, few) = lines(&appliance, Way::ControlSocket, "gate?count=7");
    assert_eq!((count.as_str(), few.as_slice()), ("7", &all[113..]));
}

#[test]
fn a_service_has_the_requests_that_went_to_it() {
    let engine = Engine::start();
    let appliance = Appliance::start(&Settings::both().speech(engine.address));
    appliance.read(&appliance.http("/v2/jobs/")).ok();
    appliance.read(&appliance.http("/monitor/api/3/mem")).ok();
    let of = |name: &str, path: &str| {
        let found = until(SOON, "the request is in the log", || {
            Some(lines(&appliance, Way::ControlSocket, name).1).filter(|lines| !lines.is_empty())
        });
        assert!(found.iter().all(|line| line.contains(path)), "{name}: {found:?}");
    };
    of("speech", " path=/v2/jobs/ ");
    of("monitoring", " path=/monitor/api/3/mem ");
    assert!(lines(&appliance, Way::ControlSocket, "realtime").1.is_empty());
}
