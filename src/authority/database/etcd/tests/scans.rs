//! Scans, page by page.

use std::ops::ControlFlow;

use base64::Engine as _;

use super::*;
use crate::authority::database::Scope;

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn page(revision: u32, names: &[&str], more: bool) -> Reply {
    let kvs: Vec<Value> = names
        .iter()
        .map(|name| {
            let key = Key::within(Kind::Seat, CODE, name);
            let key = base64(&format!("license-authority/{}", key.as_str()));
            json!({"key": key, "value": base64(name), "mod_revision": "1"})
        })
        .collect();
    Reply::Answer(
        200,
        json!({"header": {"revision": revision.to_string()}, "kvs": kvs, "more": more}),
    )
}

fn scan(store: &Etcd) -> Result<Vec<String>, Error> {
    let mut texts = Vec::new();
    store.scan(Scope::License { kind: Kind::Seat, code: CODE }, &mut |_, text| {
        texts.push(text);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(texts)
}

#[test]
fn all_pages_are_of_the_revision_of_the_first() {
    let mut pages = 0;
    let member = Member::new(move |_| {
        pages += 1;
        match pages {
            1 => page(7, &["a", "b"], true),
            2 => page(9, &["c"], true),
            _ => page(11, &[], false),
        }
    });
    assert_eq!(scan(&store(&[&member])).unwrap(), ["a", "b", "c"]);
    let asked = member.asked();
    let seat = |name: &str| format!("license-authority/seat/933/{CODE}{name}");
    assert_eq!(asked[0].body["key"], base64(&seat("")));
    assert_eq!(asked[0].body["range_end"], base64(&seat("0")));
    assert_eq!(asked[0].body.get("revision"), None);
    assert_eq!(asked[1].body["key"], base64(&seat("/b\0")));
    assert_eq!(
        (&asked[1].body["revision"], &asked[2].body["revision"]),
        (&json!("7"), &json!("7"))
    );
}

#[test]
fn a_scan_whose_revision_was_compacted_goes_on_from_the_last_key() {
    let mut pages = 0;
    let member = Member::new(move |_| {
        pages += 1;
        match pages {
            1 => page(7, &["a"], true),
            2 => says(400, "etcdserver: mvcc: required revision has been compacted"),
            3 => page(9, &["b"], true),
            _ => page(12, &["c"], false),
        }
    });
    assert_eq!(scan(&store(&[&member])).unwrap(), ["a", "b", "c"]);
    let asked = member.asked();
    assert_eq!(asked[2].body["key"], asked[1].body["key"]);
    assert_eq!(asked[2].body.get("revision"), None);
    assert_eq!(asked[3].body["revision"], "9");
}

#[test]
fn a_key_of_another_program_is_not_taken_for_a_record() {
    let member = Member::new(|_| page(7, &["A"], false));
    let error = scan(&store(&[&member])).unwrap_err().to_string();
    assert!(error.contains("another program uses the same --etcd-prefix"), "{error}");
    assert!(!error.contains(CODE), "{error}");
}

#[test]
fn a_large_store_is_scanned_shard_by_shard() {
    let seat = |shard: &str| format!("license-authority/seat/{shard}");
    let (held, held_end) = (base64(&seat("933/")), base64(&seat("9330")));
    let member = Member::new(move |asked| match &asked.body["key"] {
        _ if asked.body["count_only"] == true => {
            Reply::Answer(200, json!({"header": {"revision": "7"}, "count": "4097"}))
        }
        key if *key == held => page(7, &["a", "b"], false),
        _ => page(9, &[], false),
    });
    let mut texts = Vec::new();
    store(&[&member])
        .scan(Scope::All { kind: Kind::Seat }, &mut |_, text| {
            texts.push(text);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(texts, ["a", "b"]);
    let asked = member.asked();
    assert_eq!(asked.len(), 1 + 1000);
    assert_eq!(asked[0].body["key"], base64(&seat("")));
    assert_eq!(asked[1].body["key"], base64(&seat("000/")));
    assert_eq!(asked[934].body["range_end"], held_end);
    assert!(asked[2..].iter().all(|asked| asked.body["revision"] == "9"), "of one revision");
}
