//! What another site can make a browser ask for, and what it can't.

use crate::support::appliance::Appliance;
use crate::support::settings::Settings;

const OFF: &str = r#"{"enable_insecure_ports": true}"#;

#[test]
fn a_browser_that_says_which_site_asks_is_believed_before_its_origin() {
    let appliance = Appliance::start(&Settings::v1());
    let url = appliance.https("/v1/security/insecureports");
    let refusal = "another site asked the browser for this change";
    let own = format!("Origin: {}", appliance.https(""));
    for (fields, status) in [
        (&[][..], 200),
        (&["Sec-Fetch-Site: same-origin", "Origin: https://outer.example"][..], 200),
        (&["Sec-Fetch-Site: none", "Origin: null"], 200),
        (&["Sec-Fetch-Site: cross-site", own.as_str()], 403),
        (&["Sec-Fetch-Site: same-site", own.as_str()], 403),
        (&["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"], 403),
        (&["Sec-Fetch-Site;"], 403),
        (&["Origin: https://evil.example"], 403),
        (&["Origin: null"], 403),
        (&[own.as_str()], 200),
        (&["Host: box:443", "Origin: https://box"], 200),
        (&["Host: box", "Origin: https://box:443"], 200),
        (&["Host: box:80", "Origin: http://BOX"], 200),
        (&["Host: box", "Origin: https://box:8443"], 403),
    ] {
        let lines = fields.iter().flat_map(|field| ["-H", field]);
        let asked: Vec<&str> = lines.chain(["-d", OFF, url.as_str()]).collect();
        let answer = appliance.curl(&asked);
        assert_eq!(answer.status, status, "{fields:?}: {answer:?}");
        assert_eq!(answer.out.contains(refusal), status == 403, "{fields:?}: {answer:?}");
    }
}

#[test]
fn a_question_is_no_change_whoever_asks() {
    let appliance = Appliance::start(&Settings::v1());
    let foreign = ["-H", "Origin: http://dash.example", "-H", "Sec-Fetch-Site: cross-site"];
    for (method, path) in [
        ("OPTIONS", "/v1/management/ping"),
        ("OPTIONS", "/v1/security/reset"),
        ("OPTIONS", "/monitor/api/3/mem"),
        // Monitoring has nothing to change, and Glances says so to everybody.
        ("POST", "/monitor/api/3/mem"),
        ("PUT", "/monitor/api/3/cpu"),
        ("DELETE", "/monitor/api/3/all"),
    ] {
        let url = appliance.http(path);
        let asked = |more: &[&str]| {
            let whole = [&["--include", "-X", method], more, &[url.as_str()]].concat();
            let answer = appliance.curl(&whole);
            let lines = answer.out.lines().filter(|line| !line.starts_with("Date: "));
            (answer.status, lines.map(str::to_owned).collect::<Vec<_>>())
        };
        let (own, others) = (asked(&[]), asked(&foreign));
        assert_eq!((own.0, &own), (405, &others), "{method} {path}");
        assert!(own.1.iter().any(|line| line.starts_with("Allow: ")), "{own:?}");
    }
    let url = format!("http://127.0.0.1:{}/api/3/mem", appliance.ports.v1_monitoring);
    let page = appliance.curl(&[&foreign[..], &["-i", "-X", "OPTIONS", url.as_str()]].concat());
    assert!(page.out.contains("\nAllow: GET\r") && page.out.contains("<html"), "{page:?}");
}
