#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::{Error, Proxy};

fn read(settings: impl serde::Serialize) -> Result<Option<Proxy>, Error> {
    let settings = serde_json::to_value(settings).unwrap();
    Proxy::from_body(json!({ "http_configuration": settings }), None)
}

#[test]
fn a_port_is_a_string_or_a_number() {
    let text = read(json!({"ip": "proxy.example", "port": "3128"})).unwrap().unwrap();
    assert_eq!(Some(text.clone()), read(json!({"ip": "proxy.example", "port": 3128})).unwrap());
    assert_eq!(text.address(), "proxy.example:3128");
    assert_eq!(read(json!({"ip": "[::1]", "port": 1})).unwrap().unwrap().address(), "[::1]:1");
    for port in [
        json!(0),
        json!(70000),
        json!("x"),
        json!("+1"),
        json!("0"),
        json!(-1),
        json!(1.5),
        json!(true),
    ] {
        assert!(read(json!({"ip": "a", "port": port})).is_err(), "{port}");
    }
}

#[test]
fn what_copying_adds_is_dropped_and_an_address_in_one_piece_is_told_how_to_be_split() {
    let proxy = read(json!({"ip": " 10.0.0.1\n", "port": "3128 \u{a0}"})).unwrap().unwrap();
    assert_eq!(proxy.address(), "10.0.0.1:3128");
    for host in ["proxy", "proxy.", "my_proxy.example", "10.0.0.1.example", "2001:db8::1"] {
        assert!(read(json!({"ip": host, "port": 1})).is_ok(), "{host}");
    }
    for (whole, words) in [
        ("http://amy:geheim@proxy:3128/", "is a URL: give the host alone"),
        ("proxy.example/path", "is a URL"),
        ("amy:geheim@proxy", "user, password"),
        ("proxy:3128", "contains the port too: move it to port"),
        ("10.0.0.1:3128", "contains the port too"),
        ("[2001:db8::1]:3128", "contains the port too"),
    ] {
        let error = read(json!({"ip": whole, "port": "3128"})).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains("geheim"), "{whole}: {error}");
    }
}

#[test]
fn nothing_clears_the_proxy() {
    for body in [
        json!({}),
        json!({"http_configuration": {}}),
        json!({"http_configuration": {"ip": "", "port": "", "user": "", "password": ""}}),
        json!({"http_configuration": {"ip": " ", "port": " "}}),
        json!({"http_configuration": null, "relay_configuration": {"ip": "", "port": 0, "user": "", "password": ""}}),
    ] {
        assert_eq!(Proxy::from_body(body.clone(), None), Ok(None), "{body}");
    }
}

#[test]
fn what_is_not_understood_is_refused_without_being_repeated() {
    for settings in [
        json!([]),
        json!({"ip": "a"}),
        json!({"port": 1}),
        json!({"ip": "a b", "port": 1}),
        json!({"ip": "a/b", "port": 1}),
        json!({"ip": "300.1.1.1", "port": 1}),
        json!({"ip": "10.0.0", "port": 1}),
        json!({"ip": "..", "port": 1}),
        json!({"ip": "-x", "port": 1}),
        json!({"ip": "a..b", "port": 1}),
        json!({"ip": 1, "port": 1}),
        json!({"ip": "a", "port": 1, "password": "geheim"}),
        json!({"ip": "a", "port": 1, "user": "x:y", "password": "geheim"}),
        json!({"ip": "a", "port": 1, "user": "x\r\nY: z", "password": "geheim"}),
        json!({"ip": "a", "port": 1, "user": "x".repeat(300)}),
        json!({"ip": "a", "port": 1, "pasword": "geheim"}),
    ] {
        let error = read(settings.clone()).unwrap_err().to_string();
        assert!(!error.contains("geheim"), "{error}");
    }
    let relay = json!({"relay_configuration": {"ip": "a", "port": 1}});
    assert!(Proxy::from_body(relay, None).is_err());
}

#[test]
fn the_password_is_kept_and_never_shown() {
    let settings = json!({"ip": "a", "port": 1, "user": "a user", "password": "p@ss:w%rd"});
    let proxy = read(settings).unwrap().unwrap();
    assert_eq!(proxy.credentials().unwrap().as_str(), "Basic YSB1c2VyOnBAc3M6dyVyZA==");
    let shown = format!("{} {proxy:?}", Proxy::to_body(Some(&proxy)));
    assert!(shown.contains("********") && !shown.contains("p@ss"), "{shown}");
    let again = |ip, user| {
        let settings = json!({"ip": ip, "port": 2, "user": user, "password": "********"});
        Proxy::from_body(json!({ "http_configuration": settings }), Some(&proxy))
    };
    let same = again("a", "a user").unwrap().unwrap();
    assert_eq!((same.port, &same.password), (2, &proxy.password));
    for other in [again("b", "a user"), again("a", "another")] {
        assert!(other.unwrap_err().to_string().contains("give the password itself"));
    }
    let kept = Proxy::from_file(&Proxy::to_file(Some(&proxy))).unwrap().unwrap();
    assert_eq!(kept, proxy);
    // Posting back what GET showed leaves the password as it is.
    assert_eq!(Proxy::from_body(Proxy::to_body(Some(&proxy)), Some(&proxy)), Ok(Some(proxy)));
    assert_eq!(Proxy::from_file(&Proxy::to_file(None)), Ok(None));
    assert!(Proxy::from_file(b"{}").is_err());
}
