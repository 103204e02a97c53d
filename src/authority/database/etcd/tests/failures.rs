//! Members that are away, hang up, or have no leader.

use super::*;

const LEADERLESS: &str = "etcdserver: no leader";

#[test]
fn a_txn_without_an_answer_is_sent_once_and_its_work_runs_once() {
    let answers: [fn() -> Reply; 3] = [
        || Reply::Cut,
        || says(503, "etcdserver: request timed out, possibly due to previous leader failure"),
        || says(503, "etcdserver: leader changed"),
    ];
    for answer in answers {
        let member = || {
            Member::new(move |asked| match asked.path.as_str() {
                "/v3/kv/range" => found(1, None),
                _ => answer(),
            })
        };
        let members = [member(), member()];
        let store = store(&[&members[0], &members[1]]);
        let mut runs = 0;
        let error = transact(&store, |step| {
            runs += 1;
            grow(step)
        });
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("a change may have happened or not")
                && error.ends_with("before you repeat a command"),
            "{error}"
        );
        assert!(!error.contains(CODE), "{error}");
        let sent: usize = members.iter().map(|member| member.count("/v3/kv/txn")).sum();
        assert_eq!((runs, sent), (1, 1));
    }
}

#[test]
fn a_txn_that_certainly_did_nothing_goes_to_the_next_member() {
    let first = Member::new(|asked| match asked.path.as_str() {
        "/v3/kv/range" => found(1, None),
        _ => says(500, "raft proposal dropped"),
    });
    let second = Member::new(|_| decided(true));
    transact(&store(&[&first, &second]), grow).unwrap();
    assert_eq!((first.count("/v3/kv/txn"), second.count("/v3/kv/txn")), (1, 1));
}

#[test]
fn reads_go_on_at_the_next_member_which_is_asked_first_from_then_on() {
    let fails: [fn() -> Option<Reply>; 3] =
        [|| None, || Some(Reply::Cut), || Some(says(503, "etcdserver: leader changed"))];
    for fail in fails {
        let first = match fail() {
            None => Member::absent(),
            Some(_) => Member::new(move |_| fail().unwrap()),
        };
        let second = Member::new(|_| found(1, None));
        let store = store(&[&first, &second]);
        for _ in 0..3 {
            transact(&store, |step| step.read(&license()).map(drop)).unwrap();
        }
        assert!(first.asked().len() <= 1, "{:?}", first.asked());
        assert_eq!(second.asked().len(), 3);
    }
}

#[test]
fn an_election_is_waited_for() {
    let mut reads = 0;
    let member = Member::new(move |_| {
        reads += 1;
        if reads < 5 { says(503, LEADERLESS) } else { found(1, None) }
    });
    transact(&store(&[&member]), |step| step.read(&license()).map(drop)).unwrap();
    assert_eq!(member.asked().len(), 5);
}

#[test]
fn where_no_member_is_there_each_one_is_named_at_once() {
    let (first, second) = (Member::absent(), Member::absent());
    let begun = std::time::Instant::now();
    let error = store(&[&first, &second]).check().unwrap_err().to_string();
    assert!(begun.elapsed() < std::time::Duration::from_secs(2));
    for url in [&first.url, &second.url] {
        assert!(error.contains(&format!("{url}: Connection refused")), "{error}");
    }
}

#[test]
fn a_check_tells_in_words_what_is_wrong() {
    let check = |reply: fn() -> Reply| {
        let member = Member::new(move |_| reply());
        let checked = store(&[&member]).check().map_err(|error| error.to_string());
        (checked, member.asked())
    };
    let (checked, asked) = check(|| decided(true));
    assert_eq!(checked, Ok(()));
    assert_eq!((asked.len(), asked[0].path.as_str()), (1, "/v3/kv/txn"));
    for (reply, wanted) in [
        (
            (|| says(429, "etcdserver: mvcc: database space exceeded")) as fn() -> Reply,
            "alarm NOSPACE",
        ),
        (|| says(500, "etcdserver: corrupt cluster"), "alarm CORRUPT"),
        (|| says(400, "etcdserver: user name is empty"), "set --etcd-user"),
        (|| Reply::Answer(404, json!("page not found")), "check the URL"),
        (|| Reply::Answer(200, json!({})), "does not answer as etcd does"),
    ] {
        let error = check(reply).0.unwrap_err();
        assert!(error.starts_with("etcd can't be used: ") && error.contains(wanted), "{error}");
    }
}
