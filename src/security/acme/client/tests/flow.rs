//! What an authority is asked, and in which words.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};

use super::super::{
    Account, AccountKey, AuthorizationStatus, Client, OrderStatus, Proxy, RenewalInfo, Server,
};
use super::authority::{self, Asked, Authority, http};
use super::{directory, say};
use crate::config::ExternalAccount;

fn decoded(text: &Value) -> Vec<u8> {
    BASE64URL.decode(text.as_str().unwrap()).unwrap()
}

/// Header and payload of a signed request.
fn opened(asked: &Asked) -> (Value, String) {
    let signed: Value = serde_json::from_str(&asked.body).unwrap();
    let header = serde_json::from_slice(&decoded(&signed["protected"])).unwrap();
    (header, String::from_utf8(decoded(&signed["payload"])).unwrap())
}

fn verify(asked: &Asked, jwk: &Value) {
    let signed: Value = serde_json::from_str(&asked.body).unwrap();
    let part = |name: &str| signed[name].as_str().unwrap();
    let input = format!("{}.{}", part("protected"), part("payload"));
    let point = [vec![4], decoded(&jwk["x"]), decoded(&jwk["y"])].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(input.as_bytes(), &decoded(&signed["signature"])).unwrap();
}

/// Answers as an authority whose account, order and certificate are all there at once.
fn willing() -> Authority {
    let (nonces, chain) = (AtomicUsize::new(0), authority::root("root").0.pem());
    Authority::new(move |base, asked, to| {
        let nonce = format!("Replay-Nonce: nonce-{}\r\n", nonces.fetch_add(1, Ordering::Relaxed));
        let order = |status: &str| {
            let mut order = json!({
                "status": status,
                "authorizations": [format!("{base}/authorization/1")],
                "finalize": format!("{base}/finalize/1"),
            });
            if status == "valid" {
                order["certificate"] = json!(format!("{base}/certificate/1"));
            }
            order
        };
        let mut answer = |status: &str, fields: &str, body: &Value| {
            say(to, status, &format!("{nonce}{fields}"), body);
        };
        match asked.line.as_str() {
            "GET /directory" => say(to, "200 OK", "", &directory(base)),
            "HEAD /nonce" => {
                let _ = to.write_all(http("200 OK", &nonce, "").as_bytes());
            }
            "POST /account" => {
                let place = format!("Location: {base}/account/7\r\n");
                answer("200 OK", &place, &json!({"status": "valid"}));
            }
            "POST /order" => {
                let place = format!("Location: {base}/order/1\r\nRetry-After: 3\r\n");
                answer("201 Created", &place, &order("pending"));
            }
            "POST /order/1" => answer("200 OK", "", &order("ready")),
            "POST /finalize/1" => answer("200 OK", "", &order("valid")),
            "POST /authorization/1" => {
                let challenge = json!({
                    "type": "http-01",
                    "status": "pending",
                    "token": "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0",
                    "url": format!("{base}/challenge/1"),
                });
                let identifier = json!({"type": "dns", "value": "Box.example"});
                let body = json!({"status": "pending", "identifier": identifier, "challenges": [challenge]});
                answer("200 OK", "", &body);
            }
            "POST /challenge/1" => answer("200 OK", "", &json!({})),
            "POST /certificate/1" => {
                let kind = "Content-Type: application/pem-certificate-chain\r\n";
                let _ = to.write_all(http("200 OK", &format!("{nonce}{kind}"), &chain).as_bytes());
            }
            "GET /renewal/key.serial" => {
                let window =
                    json!({"start": "2025-01-02T04:00:00.5Z", "end": "2025-01-03T04:00:00+00:00"});
                let page = "https://ca.example/why";
                let body = json!({"suggestedWindow": window, "explanationURL": page});
                say(to, "200 OK", "Retry-After: 21600\r\n", &body);
            }
            other => panic!("{other}"),
        }
    })
}

#[test]
fn a_certificate_is_ordered_from_the_first_request_to_the_last() {
    let authority = willing();
    let directory = authority.directory();
    let mut client = Client::connect(&authority.server(&directory)).unwrap();

    let key = AccountKey::generate().unwrap();
    let external = ExternalAccount { kid: "k1".to_owned(), hmac_key: "c2VjcmV0".to_owned().into() };
    let contact = ["mailto:a@box.example".to_owned()];
    let url = client.new_account(&key, &contact, Some(&external)).unwrap();
    assert_eq!(url, format!("{}/account/7", authority.base));
    let account = Account { key: &key, url: &url };

    let names = ["box.example".to_owned(), "192.0.2.1".to_owned()];
    let (place, order) = client.new_order(&account, &names, Some("key.serial")).unwrap();
    assert_eq!(place, format!("{}/order/1", authority.base));
    assert_eq!(
        (order.status, order.retry_after),
        (OrderStatus::Pending, Some(Duration::from_secs(3)))
    );
    let authorization = client.authorization(&account, &order.authorizations[0]).unwrap();
    assert_eq!(authorization.status, AuthorizationStatus::Pending);
    assert_eq!(authorization.name, names[0]);
    let challenge = &authorization.challenges[0];
    assert_eq!((challenge.kind.as_str(), challenge.is_pending), ("http-01", true));
    client.respond(&account, &challenge.url).unwrap();
    assert_eq!(client.order(&account, &place).unwrap().status, OrderStatus::Ready);
    let order = client.finalize(&account, &order.finalize, b"request").unwrap();
    assert_eq!(order.status, OrderStatus::Valid);
    let chain = client.certificate(&account, &order.certificate.unwrap()).unwrap();
    assert!(chain.starts_with("-----BEGIN CERTIFICATE-----"), "{chain}");
    let info = client.renewal_info("key.serial").unwrap().unwrap();
    let expected = RenewalInfo {
        start: 1_735_790_400,
        end: 1_735_876_800,
        explanation_url: Some("https://ca.example/why".to_owned()),
        retry_after: Some(Duration::from_secs(21_600)),
    };
    assert_eq!(info, expected);
    look_at_what_was_asked(&authority, &url);
}

fn look_at_what_was_asked(authority: &Authority, account: &str) {
    let asked = authority.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "GET /directory",
            "HEAD /nonce", // once: each answer brings the next one
            "POST /account",
            "POST /order",
            "POST /authorization/1",
            "POST /challenge/1",
            "POST /order/1",
            "POST /finalize/1",
            "POST /certificate/1",
            "GET /renewal/key.serial",
        ]
    );
    let posts: Vec<&Asked> = asked.iter().filter(|asked| asked.line.starts_with("POST")).collect();
    let jwk = opened(posts[0]).0["jwk"].clone();
    let mut nonces = HashSet::new();
    for post in &posts {
        verify(post, &jwk);
        let (header, _) = opened(post);
        assert!(nonces.insert(header["nonce"].to_string()), "{header}");
        let path = post.line.trim_start_matches("POST ");
        assert_eq!(header["url"], format!("{}{path}", authority.base));
        if path != "/account" {
            assert_eq!((&header["kid"], header.get("jwk")), (&json!(account), None));
        }
        assert!(post.fields.contains("content-type: application/jose+json"), "{}", post.fields);
    }
    for asked in &asked {
        for field in ["user-agent: applianced", "accept-language: en", "accept-encoding: identity"]
        {
            assert!(asked.fields.contains(field), "{field}: {}", asked.fields);
        }
    }
    let payloads: Vec<String> = posts.iter().map(|post| opened(post).1).collect();
    let new_account: Value = serde_json::from_str(&payloads[0]).unwrap();
    assert_eq!(new_account["termsOfServiceAgreed"], true);
    assert_eq!(new_account["contact"], json!(["mailto:a@box.example"]));
    let bound = &new_account["externalAccountBinding"];
    assert_eq!(serde_json::from_slice::<Value>(&decoded(&bound["payload"])).unwrap(), jwk);
    let (dns, ip) =
        (r#"{"type":"dns","value":"box.example"}"#, r#"{"type":"ip","value":"192.0.2.1"}"#);
    let new_order = format!(r#"{{"identifiers":[{dns},{ip}],"replaces":"key.serial"}}"#);
    let csr = r#"{"csr":"cmVxdWVzdA"}"#;
    assert_eq!(payloads[1..], [new_order.as_str(), "", "{}", "", csr, ""]);
}

#[test]
fn a_nonce_that_is_not_known_any_more_is_replaced_three_times_and_no_more() {
    for (bad, tries) in [(0, 1), (1, 2), (3, 4), (4, 4), (100, 4)] {
        let left = Mutex::new(bad);
        let authority = Authority::new(move |base, asked, to| {
            let place = format!("Location: {base}/account/1\r\nReplay-Nonce: next\r\n");
            let mut left = left.lock().unwrap();
            match asked.line.as_str() {
                "GET /directory" => say(to, "200 OK", "Replay-Nonce: first\r\n", &directory(base)),
                "POST /account" if *left > 0 => {
                    *left -= 1;
                    let kind = "urn:ietf:params:acme:error:badNonce";
                    let problem = json!({"type": kind, "detail": "old"});
                    say(to, "400 Bad Request", "Replay-Nonce: fresh\r\n", &problem);
                }
                _ => say(to, "201 Created", &place, &json!({})),
            }
        });
        let directory = authority.directory();
        let mut client = Client::connect(&authority.server(&directory)).unwrap();
        let result = client.new_account(&AccountKey::generate().unwrap(), &[], None);
        let kind = result.err().and_then(|error| error.kind);
        assert_eq!(kind.as_deref(), (bad > 3).then_some("badNonce"), "{bad}");
        let asked = authority.asked();
        let nonces: Vec<Value> =
            asked[1..].iter().map(|asked| opened(asked).0["nonce"].clone()).collect();
        assert_eq!(nonces.len(), tries, "{bad}");
        assert_eq!(nonces[0], "first");
        assert!(nonces[1..].iter().all(|nonce| nonce == "fresh"), "{nonces:?}");
    }
}

#[test]
fn an_order_is_placed_without_what_it_replaces_where_that_was_replaced_before() {
    let authority = Authority::new(|base, asked, to| {
        let nonce = "Replay-Nonce: n\r\n";
        match asked.line.as_str() {
            "GET /directory" => say(to, "200 OK", nonce, &directory(base)),
            _ if opened(asked).1.contains("replaces") => {
                let kind = "urn:ietf:params:acme:error:alreadyReplaced";
                say(to, "409 Conflict", nonce, &json!({"type": kind}));
            }
            _ => {
                let finalize = format!("{base}/finalize");
                let order = json!({"status": "ready", "authorizations": [], "finalize": finalize});
                say(to, "201 Created", &format!("{nonce}Location: {base}/order/2\r\n"), &order);
            }
        }
    });
    let directory = authority.directory();
    let mut client = Client::connect(&authority.server(&directory)).unwrap();
    let key = AccountKey::generate().unwrap();
    let account = Account { key: &key, url: "https://ca.example/account/1" };
    let names = ["box.example".to_owned()];
    let (_, order) = client.new_order(&account, &names, Some("a.b")).unwrap();
    assert_eq!(order.status, OrderStatus::Ready);
    assert_eq!(authority.asked().len(), 3);
}

#[test]
fn an_authority_without_renewal_information_is_not_asked_for_it() {
    let authority = Authority::new(|base, _, to| {
        let mut short = directory(base);
        short.as_object_mut().unwrap().remove("renewalInfo");
        say(to, "200 OK", "", &short);
    });
    let directory = authority.directory();
    let mut client = Client::connect(&authority.server(&directory)).unwrap();
    assert_eq!(client.renewal_info("a.b"), Ok(None));
    assert_eq!(authority.asked().len(), 1);
}

#[test]
fn through_a_proxy_it_is_asked_in_a_tunnel_and_the_proxy_sees_no_more_than_its_name() {
    let authority = willing();
    let (address, asked) = authority::proxy("Basic YSB1c2VyOnBAc3M6dyVyZA==", "407 Required");
    let directory = authority.directory();
    let with = |credentials: Option<(&str, &str)>| {
        let secret = |(user, password): (&str, &str)| (user.to_owned(), password.to_owned().into());
        let proxy = Proxy { address: address.clone(), credentials: credentials.map(secret) };
        let server =
            Server { directory: &directory, root: Some(&authority.root), proxy: Some(proxy) };
        Client::connect(&server).map(drop)
    };
    assert_eq!(with(Some(("a user", "p@ss:w%rd"))), Ok(()));
    let asked = asked.lock().unwrap()[0].clone();
    assert_eq!(asked.line, format!("CONNECT 127.0.0.1:{}", authority.port));

    let error = with(Some(("a user", "geheim"))).unwrap_err().message;
    assert!(error.contains("refused the user name or password (407)"), "{error}");
    assert!(!error.contains("geheim") && !error.contains("a user"), "{error}");
    let error = with(None).unwrap_err().message;
    assert!(error.contains("requires a user name and password (407)"), "{error}");

    let (address, _) = authority::proxy("nobody", "403 Forbidden");
    let proxy = Proxy { address, credentials: None };
    let server = Server { directory: &directory, root: Some(&authority.root), proxy: Some(proxy) };
    let error = Client::connect(&server).map(drop).unwrap_err().message;
    let words = format!("let it pass CONNECT to 127.0.0.1:{}", authority.port);
    assert!(error.contains("403") && error.contains(&words), "{error}");
}
