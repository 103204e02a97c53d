//! `logs/zip`: the report for support.

use std::fs;
use std::path::{Path, PathBuf};

use crate::monitor::listeners::{ALL, Way, ask};
use crate::support::appliance::{Appliance, program};
use crate::support::certificates::{Authority, Key, form};
use crate::support::license::Licensed as _;
use crate::support::prerequisites::Namespace;
use crate::support::settings::Settings;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

/// Stands for every secret that is somebody's to choose.
const WORD: &str = "hush-hush-4711";

/// Saves a report as `report.zip` in the appliance's folder.
fn save(appliance: &Appliance, limit: &str) {
    let path = format!("/v1/management/logs/zip{limit}");
    let answer = ask(appliance, Way::ControlSocket, &["-o", "report.zip"], &path);
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The text of the entries whose names match.
fn entry(appliance: &Appliance, pattern: &str) -> String {
    appliance.shell(&format!("unzip -p report.zip '*/{pattern}'")).ok().out
}

#[test]
fn a_report_is_a_zip_with_what_support_asks_for_by_every_way() {
    let appliance = Appliance::start(&Settings::both());
    for way in ALL {
        for generation in ["v1", "v2"] {
            let path = format!("/{generation}/management/logs/zip");
            let arguments = ["-D", "head", "-o", "report.zip"];
            assert_eq!(ask(&appliance, way, &arguments, &path).status, 200, "{way:?} {path}");
            let head = fs::read_to_string(appliance.folder().join("head")).unwrap();
            let name = head.split("attachment; filename=\"applianced-report-").nth(1).unwrap();
            assert!(name.contains(".zip\""), "{head}");
            assert!(head.contains("application/zip") && head.contains("no-store"), "{head}");
            let tested = appliance.shell("unzip -t report.zip").ok();
            assert!(tested.out.contains("No errors detected"), "{tested:?}");
        }
    }
    for (name, wanted) in [
        ("log/management", " info "),
        ("version", env!("CARGO_PKG_VERSION")),
        ("settings.json", "\"state_dir\""),
        ("check", "does not exist, so no license can be checked"),
        ("status", "Insecure     plain HTTP is on"),
        ("about.json", "appliance_version"),
        ("health.json", "\"storage\": {\"status\": \"healthy\"}"),
        ("license.json", "\"licensed\": false"),
        ("usage", "0 granted, 0 used, 0 reserved"),
        ("certificate.json", "\"sha256\""),
        ("certificate.pem", "-----END CERTIFICATE-----"),
        ("metrics", "applianced_build_info"),
        ("disks.json", "mnt_point"),
        ("proc/version", "Linux version"),
        ("proc/meminfo", "MemTotal"),
        ("proc/mounts", "/proc"),
        ("proc/net/tcp", "local_address"),
        ("proc/self/limits", "Max open files"),
        ("etc/os-release", "NAME="),
    ] {
        let text = entry(&appliance, name);
        assert!(text.contains(wanted), "{name}: {text}");
    }
    let read = appliance.shell("unzip -p report.zip '*/certificate.pem' | openssl x509 -noout");
    read.ok();
}

#[test]
fn the_log_in_a_report_goes_as_far_back_as_is_asked() {
    let appliance = Appliance::start(&Settings::both());
    save(&appliance, "?limit=1h5m3s");
    assert!(entry(&appliance, "log/management").contains(" info "));
    until(SOON, "the lines of the start are older than a second", || {
        save(&appliance, "?limit=1");
        entry(&appliance, "log/management").is_empty().then_some(())
    });
    save(&appliance, "?limit=300s");
    assert!(entry(&appliance, "log/management").contains(" info "));
    for limit in ["", "0", "1d", "1h1h", "99999999999999999999", "x"] {
        for way in ALL {
            let path = format!("/v2/management/logs/zip?limit={limit}");
            let refused = ask(&appliance, way, &[], &path);
            assert_eq!(refused.status, 400, "{limit}: {refused:?}");
            assert!(refused.json()["error"].as_str().unwrap().starts_with("limit is "));
        }
    }
}

#[test]
fn no_secret_is_in_a_report() {
    let appliance = Appliance::start(&Settings::both());
    let authority = Authority::new(appliance.folder());
    let pair = authority.issue("one", Key::Ec("P-256"));
    let [a, b, c, d] = form(&pair.key, &pair.cert);
    let upload = appliance.https("/v2/security/sslcertificate");
    let login = || ["-u".to_owned(), "admin:admin".to_owned()];
    appliance.curl(&[&login()[..], &[a, b, c, d, upload]].concat()).ok();
    let proxy = format!(
        r#"{{"http_configuration": {{"ip": "127.0.0.1", "port": "1", "user": "u", "password": "{WORD}"}}}}"#
    );
    for (path, body) in [
        ("/v2/management/license/network", proxy),
        ("/v2/security/jobtoken", format!(r#"{{"user_token": "{WORD}"}}"#)),
        ("/v2/security/adminpassword", format!(r#"{{"password": "{WORD}"}}"#)),
    ] {
        appliance.post_as("admin", &appliance.https(path), &body).ok();
    }
    // What comes with requests, in the wrong places too.
    for url in [format!("/v2/jobs?token={WORD}"), format!("/?password={WORD}")] {
        appliance.read_as(WORD, &appliance.https(&url));
        let bearer = format!("Authorization: Bearer {WORD}");
        appliance.curl(&["-H", &bearer, "-H", &format!("Cookie: {WORD}"), &appliance.https(&url)]);
    }
    let url = appliance.https("/v2/management/logs/zip");
    assert_eq!(appliance.read(&url).status, 401);
    assert_eq!(appliance.read_as("wrong", &url).status, 401);
    save(&appliance, "");
    let all = appliance.shell("unzip -p report.zip").ok().out.replace(['\n', ' '], "");
    assert!(!all.contains(WORD) && !all.contains("PRIVATEKEY"), "{all}");
    // A certificate has the public part of its key, which the key's file has too.
    let all = appliance.shell("unzip -p report.zip -x '*/certificate.pem'").ok().out;
    let all = all.replace(['\n', ' '], "");
    let mut tried = 0;
    let state = files(&appliance.state(""));
    // Has the computer id, which every answer about the license tells.
    for file in state.iter().filter(|file| !file.ends_with("identity.json")) {
        let text = String::from_utf8_lossy(&fs::read(file).unwrap()).replace("\\n", "\n");
        for secret in secrets(&text) {
            assert!(!all.contains(secret), "{} is in the report: {secret}", file.display());
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn a_license_code_is_in_a_report_by_its_last_digits_alone() {
    let vendor = Vendor::new();
    let (network, code) = (vendor.network(), vendor.sell(&[]));
    let appliance = Appliance::start(&vendor.settings_over(&network));
    appliance.apply(&code).ok();
    save(&appliance, "");
    let shown = format!("…{}", &code[code.len() - 4..]);
    assert!(entry(&appliance, "license.json").contains(&format!("\"license_code\": \"{shown}\"")));
    let all = appliance.shell("unzip -p report.zip").ok().out;
    assert!(!all.contains(&code) && !all.contains(&code.replace('-', "")), "{all}");
}

#[test]
fn a_report_comes_from_a_full_disk_too() {
    let Some(mut command) = Namespace::Mount.unshare() else { return };
    let mut appliance = Appliance::prepare(&Settings::both());
    fs::create_dir_all(appliance.state("")).unwrap();
    let script = "mount -t tmpfs -o size=256k,mode=700 none \"$1\" && shift && exec \"$@\"";
    command.args(["sh", "-c", script, "sh"]).arg(appliance.state(""));
    command.arg(program()).arg("serve").arg("--config").arg(appliance.config());
    appliance.launch_as(&mut command).unwrap();
    let pid = appliance.pid().as_raw_nonzero();
    let state = appliance.state("");
    // The daemon's own view of its state folder, which others do not have.
    let filled =
        appliance.shell(&format!("cat /dev/zero >/proc/{pid}/root{}/full", state.display()));
    assert!(filled.err.contains("No space left"), "{filled:?}");
    save(&appliance, "");
    appliance.shell("unzip -tqq report.zip").ok();
    assert!(entry(&appliance, "version").contains("applianced"));
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Whatever looks like a key, a hash or a random number in a file, apart from certificates.
fn secrets(text: &str) -> Vec<&str> {
    let kept = text.split("-----BEGIN CERTIFICATE-----").map(|piece| {
        piece.split_once("-----END CERTIFICATE-----").map_or(piece, |(_, behind)| behind)
    });
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+/=_$.-".contains(c);
    kept.flat_map(|piece| piece.split(move |c: char| !is_part(c)))
        .filter(|word| word.len() >= 20)
        .collect()
}

#[test]
fn many_clients_get_a_report_each_while_others_ask() {
    let appliance = Appliance::start(&Settings::both());
    let url = appliance.https("/v2/management/logs/zip");
    let others = appliance.https("/v1/management/ping");
    let files: Vec<String> = (0..12).map(|number| format!("report-{number}.zip")).collect();
    let get = |file: &String| {
        appliance.curl_in_background(&["-u", "admin:admin", "--fail", "-o", file, &url])
    };
    let saving: Vec<_> = files.iter().map(get).collect();
    for _ in 0..20 {
        appliance.read(&others).ok();
    }
    for (mut child, file) in saving.into_iter().zip(&files) {
        assert!(child.wait().unwrap().success(), "{file}");
        appliance.shell(&format!("unzip -tqq {file}")).ok();
    }
}
