//! Requests and answers of etcd's JSON gateway: keys and values in base64, 64-bit numbers as strings, and no
//! member where a number is 0 or a text empty. Names are those of the protocol; the mapping of protobuf to
//! JSON would also allow `modRevision`, so both are read.
//!
//! An answer that etcd never gives is read as `None`.
//!
//! In: `RangeRequest`, `TxnRequest` and their answers, as etcd's `rpc.proto` names them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

/// A key, its text, and the revision of the store at its last change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: String,
    pub(super) text: String,
    pub(super) changed: i64,
}

/// What a range holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The revision of the store when it was read.
    pub(super) revision: i64,
    pub(super) records: Vec<Record>,
    /// Whether the limit left some out.
    pub(super) more: bool,
}

/// One key, at a revision or now.
///
/// A read at a revision needs no leader: what a member has of it never changes.
pub(super) fn get(key: &str, revision: Option<i64>) -> Value {
    let mut request = json!({"key": BASE64.encode(key)});
    if let Some(revision) = revision {
        request["revision"] = revision.to_string().into();
        request["serializable"] = true.into();
    }
    request
}

/// Several keys as [`get`] reads one, all of one moment.
pub(super) fn get_all(keys: &[String], revision: Option<i64>) -> Value {
    let reads = keys.iter().map(|key| json!({"request_range": get(key, revision)}));
    json!({"success": reads.collect::<Vec<Value>>()})
}

/// Keys from `first` up to and without `end`, in order.
pub(super) fn range(first: &str, end: &str, limit: usize, revision: Option<i64>) -> Value {
    let mut request = json!({
        "key": BASE64.encode(first),
        "range_end": BASE64.encode(end),
        "limit": limit.to_string(),
    });
    if let Some(revision) = revision {
        request["revision"] = revision.to_string().into();
    }
    request
}

/// How many keys there are from `first` up to and without `end`.
pub(super) fn count(first: &str, end: &str) -> Value {
    json!({"key": BASE64.encode(first), "range_end": BASE64.encode(end), "count_only": true})
}

/// Writes, or removes for `None`, if every key in `unchanged` was last changed at that revision; 0 is for
/// those that are absent.
pub(super) fn txn<'a>(
    unchanged: impl Iterator<Item = (String, i64)>,
    written: impl Iterator<Item = (String, Option<&'a str>)>,
) -> Value {
    let compare: Vec<Value> = unchanged
        .map(|(key, changed)| {
            json!({
                "key": BASE64.encode(key),
                "target": "MOD",
                "result": "EQUAL",
                "mod_revision": changed.to_string(),
            })
        })
        .collect();
    let success: Vec<Value> = written
        .map(|(key, text)| {
            let key = BASE64.encode(key);
            match text {
                Some(text) => json!({"request_put": {"key": key, "value": BASE64.encode(text)}}),
                None => json!({"request_delete_range": {"key": key}}),
            }
        })
        .collect();
    json!({"compare": compare, "success": success})
}

/// Writes a key and reads it, whatever it holds.
pub(super) fn write_and_read(key: &str, text: &str) -> Value {
    let key = BASE64.encode(key);
    json!({"success": [
        {"request_put": {"key": key, "value": BASE64.encode(text)}},
        {"request_range": {"key": key}},
    ]})
}

/// Whether the conditions of a txn held, so that it has written.
pub(super) fn succeeded(answer: &Value) -> Option<bool> {
    match &answer["succeeded"] {
        Value::Bool(succeeded) => Some(*succeeded),
        Value::Null if answer["header"].is_object() => Some(false),
        _ => None,
    }
}

/// The answer to [`get_all`]: the revision, and what each key has.
pub(super) fn all(answer: &Value, keys: usize) -> Option<(i64, Vec<Option<Record>>)> {
    let found = answer["responses"].as_array().filter(|found| found.len() == keys)?;
    let one = |answer: &Value| {
        let range = member(answer, "response_range", "responseRange");
        match range["kvs"].as_array().and_then(|kvs| kvs.first()) {
            Some(kv) => record(kv).map(Some),
            None => Some(None),
        }
    };
    let revision = number(&answer["header"]["revision"])?;
    Some((revision, found.iter().map(one).collect::<Option<_>>()?))
}

/// The answer to [`get`] and [`range`].
pub(super) fn page(answer: &Value) -> Option<Page> {
    let records = match &answer["kvs"] {
        Value::Null => Vec::new(),
        Value::Array(all) => all.iter().map(record).collect::<Option<_>>()?,
        _ => return None,
    };
    let revision = number(&answer["header"]["revision"])?;
    Some(Page { revision, records, more: answer["more"].as_bool().unwrap_or(false) })
}

/// The answer to [`count`].
pub(super) fn counted(answer: &Value) -> Option<i64> {
    number(&answer["count"])
}

fn record(value: &Value) -> Option<Record> {
    Some(Record {
        key: text(&value["key"])?,
        text: text(&value["value"])?,
        changed: number(member(value, "mod_revision", "modRevision"))?,
    })
}

fn member<'v>(value: &'v Value, name: &str, other: &str) -> &'v Value {
    value.get(name).unwrap_or(&value[other])
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Null => Some(0),
        Value::String(digits) => digits.parse().ok(),
        other => other.as_i64(),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => String::from_utf8(BASE64.decode(text).ok()?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Page, Record, all, get, get_all, page, range, succeeded, txn, write_and_read};

    #[test]
    fn requests_are_written_as_the_gateway_reads_them() {
        assert_eq!(get("foo", None), json!({"key": "Zm9v"}));
        let wanted = json!({"key": "Zm9v", "revision": "5", "serializable": true});
        assert_eq!(get("foo", Some(5)), wanted);
        let wanted = json!({"key": "Zm9v", "range_end": "Zm9w", "limit": "9"});
        assert_eq!(range("foo", "fop", 9, None), wanted);
        assert_eq!(range("foo", "fop", 9, Some(i64::MAX))["revision"], "9223372036854775807");

        let foo = || "foo".to_owned();
        let compared = [(foo(), 0), (foo(), 12)].into_iter();
        let written = [(foo(), Some("bar")), (foo(), None)].into_iter();
        let wanted = json!({
            "compare": [
                {"key": "Zm9v", "target": "MOD", "result": "EQUAL", "mod_revision": "0"},
                {"key": "Zm9v", "target": "MOD", "result": "EQUAL", "mod_revision": "12"},
            ],
            "success": [
                {"request_put": {"key": "Zm9v", "value": "YmFy"}},
                {"request_delete_range": {"key": "Zm9v"}},
            ],
        });
        assert_eq!(txn(compared, written), wanted);
        let reads = get_all(&["foo".to_owned()], Some(5));
        assert_eq!(reads, json!({"success": [{"request_range": get("foo", Some(5))}]}));
        assert_eq!(write_and_read("foo", "bar")["success"][1]["request_range"]["key"], "Zm9v");
    }

    /// As etcd 3.4 writes them.
    #[test]
    fn answers_of_etcd_are_read() {
        let header =
            json!({"cluster_id": "14841639068965178418", "revision": "7", "raft_term": "2"});
        let found = json!({
            "header": header,
            "kvs": [
                {"key": "Zm9v", "create_revision": "2", "mod_revision": "6", "version": "4", "value": "YmFy"},
                {"key": "Zm9w", "create_revision": "7", "mod_revision": "7", "version": "1"},
            ],
            "more": true,
            "count": "3",
        });
        let record = |key: &str, text: &str, changed| {
            let (key, text) = (key.to_owned(), text.to_owned());
            Record { key, text, changed }
        };
        let records = vec![record("foo", "bar", 6), record("fop", "", 7)];
        assert_eq!(page(&found), Some(Page { revision: 7, records, more: true }));
        let none = Page { revision: 7, records: Vec::new(), more: false };
        assert_eq!(page(&json!({"header": header})), Some(none));

        let kv = json!({"key": "Zm9v", "mod_revision": "6", "value": "YmFy"});
        let ranges = json!([
            {"response_range": {"header": {"revision": "7"}, "kvs": [kv], "count": "1"}},
            {"response_range": {"header": {"revision": "7"}}},
        ]);
        let answer = json!({"header": header, "succeeded": true, "responses": ranges});
        assert_eq!(all(&answer, 2), Some((7, vec![Some(record("foo", "bar", 6)), None])));
        assert_eq!(all(&answer, 3), None);
        let kv = json!({"key": "Zm9v", "modRevision": "6", "value": "YmFy"});
        let ranges = json!([{"responseRange": {"kvs": [kv]}}, {"responseRange": {"kvs": []}}]);
        let answer = json!({"header": header, "responses": ranges});
        assert_eq!(all(&answer, 2), Some((7, vec![Some(record("foo", "bar", 6)), None])));

        assert_eq!(succeeded(&json!({"header": header, "succeeded": true})), Some(true));
        assert_eq!(succeeded(&json!({"header": header})), Some(false));
    }

    #[test]
    fn other_answers_are_refused() {
        for answer in [
            json!({"kvs": 1}),
            json!({"kvs": [{"key": "!"}]}),
            json!({"kvs": [{"key": "Zm9v", "value": "/w=="}]}),
            json!({"kvs": [{"key": "Zm9v", "mod_revision": "x"}]}),
            json!({"header": {"revision": "99999999999999999999"}}),
        ] {
            assert_eq!(page(&answer), None, "{answer}");
        }
        assert_eq!(succeeded(&json!({"succeeded": "yes"})), None);
        assert_eq!(succeeded(&json!({})), None);
    }
}
