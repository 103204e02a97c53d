//! Resources, storage, services, health, processor and memory.

use serde_json::json;

use crate::monitor::listeners::{ALL, Way, ask};
use crate::support::appliance::Appliance;
use crate::support::engine::Engine;
use crate::support::settings::Settings;

#[test]
fn resources_are_told_in_percent_by_every_way() {
    let appliance = Appliance::start(&Settings::both());
    for way in ALL {
        for name in ["mem", "cpu"] {
            let told = ask(&appliance, way, &[], &format!("/v1/management/resource/{name}")).ok();
            assert_eq!(told.json()["rId"], name, "{way:?}");
            let percentage = told.json()["percentage"].as_f64().unwrap();
            assert!((0.0..=100.0).contains(&percentage), "{way:?} {name}: {told:?}");
        }
    }
}

#[test]
fn free_storage_is_told_in_bytes_as_text() {
    let appliance = Appliance::start(&Settings::both());
    for way in ALL {
        let told = ask(&appliance, way, &[], "/v1/management/freestorage").ok().json();
        for item in told["items"].as_array().unwrap() {
            assert!(item["path"].as_str().unwrap().starts_with('/'), "{way:?}: {told}");
            item["bytes"].as_str().unwrap().parse::<u64>().unwrap();
        }
    }
}

#[test]
fn paths_and_methods_that_are_not_there_are_refused_by_every_way() {
    let appliance = Appliance::start(&Settings::both());
    for way in ALL {
        for (method, path, status, code) in [
            ("GET", "/v1/management/resource/disk", 404, 5),
            ("GET", "/v1/management/resource/", 404, 5),
            ("GET", "/v1/management/resource/mem/x", 404, 5),
            ("GET", "/v1/management/logs/nobody", 404, 5),
            ("GET", "/v1/management/logs/gate?count=many", 400, 3),
            ("GET", "/v1/management/logs/gate?count=-2", 400, 3),
            ("GET", "/v1/management/health", 404, 5),
            ("GET", "/v2/management/resource/mem", 404, 5),
            ("POST", "/v1/management/resource/mem", 405, 12),
            ("GET", "/v1/management/reboot", 405, 12),
            ("POST", "/v2/management/shutdown", 405, 12),
            ("DELETE", "/v2/management/health", 405, 12),
        ] {
            let answer = ask(&appliance, way, &["-X", method], path);
            let found = (answer.status, answer.json()["code"].clone());
            assert_eq!(found, (status, json!(code)), "{way:?} {method} {path}: {answer:?}");
            assert!(answer.json()["error"].is_string(), "{answer:?}");
        }
    }
}

#[test]
fn health_names_what_is_ill_and_answers_200_all_the_same() {
    let engine = Engine::start();
    let own = json!({
        "speech": {"address": engine.address.to_string()},
        "realtime": {"address": engine.address.to_string()},
        "own": {"address": "unix:/nowhere/own.sock", "paths": ["/own/"]},
    });
    let appliance = Appliance::start(&Settings::both().with("services", own));
    for way in ALL {
        let told = ask(&appliance, way, &[], "/v2/management/health").ok().json();
        assert_eq!(told["status"], "unhealthy", "{told}");
        for part in
            ["monitoring", "storage", "certificate", "batch_inference", "realtime_inference"]
        {
            assert_eq!(told[part], json!({"status": "healthy"}), "{part}: {told}");
        }
        assert_eq!(told["own"]["status"], "unhealthy", "{told}");
        let fault = told["own"]["errors"][0].as_str().unwrap();
        assert!(fault.contains("unix:/nowhere/own.sock"), "{told}");
    }
}

#[test]
fn all_is_well_where_every_service_answers() {
    let engine = Engine::start();
    let appliance =
        Appliance::start(&Settings::v2().speech(engine.address).realtime(engine.address));
    let told = ask(&appliance, Way::Https, &[], "/v2/management/health").ok().json();
    assert_eq!(told["status"], "healthy", "{told}");
}

#[test]
fn a_service_that_no_port_serves_is_disabled() {
    let mut appliance = Appliance::prepare(&Settings::v2());
    let listen = json!([{"address": format!("127.0.0.1:{}", appliance.ports.management), "serves": "management"}]);
    let path = appliance.config();
    let mut settings: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    settings["listen"] = listen;
    std::fs::write(&path, settings.to_string()).unwrap();
    appliance.launch();
    let told = ask(&appliance, Way::ControlSocket, &[], "/v2/management/health").ok().json();
    assert_eq!(told["realtime_inference"], json!({"status": "disabled"}), "{told}");
    assert_eq!(told["status"], "healthy", "{told}");
}

#[test]
fn processor_and_memory_are_told_in_the_shape_of_the_original() {
    let appliance = Appliance::start(&Settings::both());
    for way in ALL {
        let cpu = ask(&appliance, way, &[], "/v2/management/cpuinfo").ok().json();
        let members: Vec<&String> = cpu.as_object().unwrap().keys().collect();
        assert_eq!(
            members,
            [
                "usage_percentage",
                "architecture",
                "model_name",
                "cpus",
                "vendor",
                "hyperthreading",
                "flags"
            ]
        );
        assert_eq!(cpu["architecture"], std::env::consts::ARCH.to_uppercase());
        assert!(cpu["cpus"].as_str().unwrap().parse::<u32>().unwrap() > 0, "{cpu}");
        assert!(cpu["hyperthreading"].is_boolean(), "{cpu}");

        let mem = ask(&appliance, way, &[], "/v2/management/meminfo").ok().json();
        let kib = |member: &str| mem[member].as_u64().unwrap();
        assert!(kib("available_kb") <= kib("total_kb"), "{mem}");
        assert!((1..kib("total_kb")).contains(&kib("used_kb")), "{mem}");
        let share = kib("used_kb") as f64 / kib("total_kb") as f64 * 100.0;
        assert!((mem["usage_percentage"].as_f64().unwrap() - share).abs() < 0.001, "{mem}");
    }
}
