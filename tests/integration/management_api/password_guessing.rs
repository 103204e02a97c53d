//! Passwords guessed from one address.

use crate::support::appliance::Appliance;
use crate::support::settings::Settings;

#[test]
fn the_same_wrong_password_again_and_again_is_one_guess() {
    let appliance = Appliance::start(&Settings::v1());
    let set = appliance.https("/v1/security/adminpassword");
    appliance.post(&set, r#"{"password": "right"}"#).ok();
    let url = appliance.https("/v1/management/services");
    // A forgotten poller with the password of last year.
    for turn in 1..=30 {
        assert_eq!(appliance.read_as("old", &url).status, 401, "{turn}");
    }
    assert_eq!(appliance.read_as("right", &url).status, 200);

    // What was wrong is right as soon as it is the password.
    appliance.post_as("right", &set, r#"{"password": "old"}"#).ok();
    assert_eq!(appliance.read_as("old", &url).status, 200);
    assert_eq!(appliance.read_as("right", &url).status, 401);
}

#[test]
fn after_more_than_ten_wrong_passwords_an_address_must_wait_and_others_need_not() {
    let appliance = Appliance::start(&Settings::v1());
    let set = appliance.https("/v1/security/adminpassword");
    appliance.post(&set, r#"{"password": "right"}"#).ok();
    let url = appliance.https("/v1/management/services");
    for guess in 1..=10 {
        assert_eq!(appliance.read_as(&format!("guess {guess}"), &url).status, 401, "guess {guess}");
    }
    // The eleventh may be the last 401 or the first 429; the twelfth is a 429.
    appliance.read_as("guess 11", &url);
    let head = appliance.curl(&["-i", "-u", "admin:guess 12", &url]);
    assert_eq!(head.status, 429, "{head:?}");
    let seconds = head
        .out
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))
        .and_then(|(_, value)| value.trim().parse::<u32>().ok());
    assert!(matches!(seconds, Some(1..=60)), "{head:?}");

    let other = appliance.curl(&["--interface", "127.0.0.2", "-u", "admin:right", &url]);
    assert_eq!(other.status, 200, "{other:?}");
}
