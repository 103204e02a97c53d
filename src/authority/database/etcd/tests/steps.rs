//! Steps and lost races.

use super::*;
use crate::authority::database::{MAX_BYTES, MAX_RECORDS};

#[test]
fn a_step_is_one_txn_on_what_was_read() {
    let member = Member::new(|asked| match asked.path.as_str() {
        "/v3/kv/range" => found(7, Some("a")),
        _ => decided(true),
    });
    transact(&store(&[&member]), grow).unwrap();
    let asked = member.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(put(&asked[1].body), "ax");
    assert_eq!(asked[1].body["compare"][0]["mod_revision"], "7");
}

#[test]
fn all_reads_of_a_step_are_of_one_revision() {
    let member = Member::new(|_| found(7, None));
    let seat = Key::within(Kind::Seat, CODE, "a");
    transact(&store(&[&member]), |step| {
        for key in [&license(), &seat, &license(), &seat] {
            assert_eq!(step.read(key)?, None);
        }
        Ok(())
    })
    .unwrap();
    let asked = member.asked();
    assert_eq!(asked.len(), 2, "read twice, or a step that only reads sent a txn: {asked:?}");
    assert_eq!(asked[0].body.get("revision"), None);
    assert_eq!(asked[1].body["revision"], "7");
}

#[test]
fn what_is_prefetched_takes_one_round_trip_and_counts_only_when_it_is_read() {
    let member = Member::new(|asked| {
        let header = json!({"revision": "7"});
        let ranges = json!([{"response_range": {}}, {"response_range": {}}]);
        let is_read = asked.body.get("compare").is_none();
        let responses = if is_read { ranges } else { json!([]) };
        Reply::Answer(200, json!({"header": header, "succeeded": true, "responses": responses}))
    });
    transact(&store(&[&member]), |step| {
        let seat = Key::within(Kind::Seat, CODE, "a");
        step.prefetch(&[license(), seat.clone(), license()])?;
        step.prefetch(&[seat])?;
        grow(step)
    })
    .unwrap();
    let asked = member.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[1].body["compare"].as_array().unwrap().len(), 1);
    assert_eq!(asked[1].body["compare"][0]["mod_revision"], "0");
}

#[test]
fn who_loses_a_race_works_with_what_is_there_now() {
    let (mut reads, mut txns) = (0, 0);
    let member = Member::new(move |asked| match asked.path.as_str() {
        "/v3/kv/range" => {
            reads += 1;
            found(reads, Some(&"y".repeat(reads as usize)))
        }
        _ => {
            txns += 1;
            decided(txns == 3)
        }
    });
    transact(&store(&[&member]), grow).unwrap();
    let puts: Vec<String> = member
        .asked()
        .iter()
        .filter(|asked| asked.path == "/v3/kv/txn")
        .map(|asked| put(&asked.body))
        .collect();
    assert_eq!(puts, ["yx", "yyx", "yyyx"]);
}

#[test]
fn who_loses_every_race_is_told_after_a_while() {
    let member = Member::new(|asked| match asked.path.as_str() {
        "/v3/kv/range" => found(1, None),
        _ => decided(false),
    });
    let error = transact(&store(&[&member]), grow).unwrap_err().to_string();
    assert!(error.contains("nothing was changed; try again"), "{error}");
    assert_eq!(member.count("/v3/kv/txn"), 64);
}

#[test]
fn an_error_of_the_work_writes_nothing() {
    let member = Member::new(|_| found(1, None));
    let stop = Error::new("enough");
    let stopped = transact(&store(&[&member]), |step| grow(step).and(Err(stop.clone())));
    assert_eq!(stopped, Err(stop));
    assert_eq!(member.count("/v3/kv/txn"), 0);
}

#[test]
fn work_that_hides_a_failed_read_is_not_committed() {
    let member = Member::new(|_| says(403, "etcdserver: permission denied"));
    let hidden = transact(&store(&[&member]), |step| {
        let _ = step.read(&license());
        step.write(license(), Some("x".to_owned()));
        Ok(())
    });
    assert!(hidden.unwrap_err().to_string().contains("grant a role"));
    assert_eq!(member.count("/v3/kv/txn"), 0);
}

#[test]
fn a_step_whose_revision_was_compacted_begins_again() {
    let mut reads = 0;
    let member = Member::new(move |asked| match asked.path.as_str() {
        "/v3/kv/range" => {
            reads += 1;
            let gone = "etcdserver: mvcc: required revision has been compacted";
            if reads == 2 { says(400, gone) } else { found(reads, None) }
        }
        _ => decided(true),
    });
    let mut runs = 0;
    transact(&store(&[&member]), |step| {
        runs += 1;
        step.read(&license())?;
        step.read(&Key::within(Kind::Seat, CODE, "a"))?;
        step.write(license(), Some("x".to_owned()));
        Ok(())
    })
    .unwrap();
    assert_eq!((runs, member.count("/v3/kv/txn")), (2, 1));
}

#[test]
fn what_is_too_large_is_refused_before_it_is_sent_and_the_code_is_not_told() {
    let member = Member::new(|_| found(1, None));
    let store = store(&[&member]);
    let large = transact(&store, |step| {
        step.write(license(), Some("x".repeat(MAX_BYTES + 1)));
        Ok(())
    });
    let error = large.unwrap_err().to_string();
    assert!(
        error.contains("the record `license` of license 4949…4933 would have 131073"),
        "{error}"
    );
    let many = transact(&store, |step| {
        for number in 0..=MAX_RECORDS {
            step.write(Key::within(Kind::Seat, CODE, number), Some(String::new()));
        }
        Ok(())
    });
    let error = many.unwrap_err().to_string();
    assert!(error.contains("writes 33 records, more than the limit of 32"), "{error}");
    assert_eq!(member.asked().len(), 0);
}

#[test]
fn a_record_that_is_no_text_is_named_without_its_code() {
    let member = Member::new(|_| {
        let kvs = json!([{"key": "Zm9v", "value": "/w==", "mod_revision": "1"}]);
        Reply::Answer(200, json!({"header": {"revision": "1"}, "kvs": kvs}))
    });
    let error = transact(&store(&[&member]), grow).unwrap_err().to_string();
    assert!(error.contains("the record `license` of license 4949…4933 is not text"), "{error}");
}
