//! Users and their tokens.

use super::*;
use crate::store::Scratch;

const PASSWORD: &str = "a secret of the vendor";

fn with_user(member: &Member) -> Etcd {
    let scratch = Scratch::new();
    let file = scratch.0.join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).unwrap();
    let flags = [("etcd-user", "vendor"), ("etcd-password-file", file.to_str().unwrap())];
    Etcd::new(&Options::of(&member.url, &flags).unwrap()).unwrap()
}

/// Accepts the newest token alone; each is good for `uses` requests.
fn forgetful(uses: usize) -> Member {
    let (mut number, mut left) = (0, 0);
    Member::new(move |asked| {
        if asked.path == "/v3/auth/authenticate" {
            assert_eq!(asked.body, json!({"name": "vendor", "password": PASSWORD}));
            (number, left) = (number + 1, uses);
            return Reply::Answer(200, json!({"token": format!("token.{number}")}));
        }
        if asked.token != Some(format!("token.{number}")) || left == 0 {
            return says(401, "etcdserver: invalid auth token");
        }
        left -= 1;
        if asked.path == "/v3/kv/txn" { decided(true) } else { found(1, None) }
    })
}

#[test]
fn a_token_serves_until_the_member_has_forgotten_it() {
    let member = forgetful(3);
    let store = with_user(&member);
    for _ in 0..3 {
        transact(&store, grow).unwrap();
    }
    // Six requests, and the first and the fourth needed a token.
    assert_eq!(member.count("/v3/auth/authenticate"), 2);
    assert_eq!(member.count("/v3/kv/txn") + member.count("/v3/kv/range"), 7);
}

#[test]
fn threads_share_a_token() {
    let member = forgetful(1000);
    let store = with_user(&member);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| transact(&store, grow).unwrap());
        }
    });
    assert_eq!(member.count("/v3/auth/authenticate"), 1);
}

#[test]
fn what_keeps_a_user_out_is_told_without_the_password() {
    for (words, wanted) in [
        (
            "etcdserver: authentication failed, invalid user ID or password",
            "refused the name or the password",
        ),
        ("etcdserver: authentication is not enabled", "leave --etcd-user out"),
    ] {
        let member = Member::new(move |_| says(400, words));
        let error = with_user(&member).check().unwrap_err().to_string();
        assert!(error.contains(wanted) && !error.contains(PASSWORD), "{error}");
        assert_eq!(member.count("/v3/auth/authenticate"), 1, "a wrong password is not tried again");
    }
}

#[test]
fn a_member_that_accepts_none_of_its_tokens_is_not_asked_forever() {
    let error = with_user(&forgetful(0)).check().unwrap_err().to_string();
    assert!(error.contains("does not accept its own token"), "{error}");
}
