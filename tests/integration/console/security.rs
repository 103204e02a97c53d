//! The Security menu: locked out and let in again, passwords, plain HTTP.

use crate::console::session::Console;
use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, fingerprint, text};
use crate::support::settings::Settings;
use crate::support::tls::handshake;

const PING: &str = "/v1/management/ping";

fn set_password(console: &mut Console, first: &str, second: &str) -> String {
    console.choose("Set the admin password");
    console.answer("(not shown): ", first);
    if !first.is_empty() {
        console.answer("The same again: ", second);
    }
    console.go_on()
}

#[test]
fn whoever_is_locked_out_gets_in_again_by_the_menu() {
    let appliance = Appliance::start(&Settings::both());
    let authority = Authority::new(appliance.folder());
    let pair = authority.issue("site", Key::Ec("P-256"));
    let (key, cert) =
        (format!("keyfile=@{}", text(&pair.key)), format!("certfile=@{}", text(&pair.cert)));
    let upload = appliance.https("/v1/security/sslcertificate");
    appliance.curl(&["-X", "POST", &upload, "-F", &key, "-F", &cert]).ok();

    let mut console = Console::terminal(&appliance);
    console.choose("Security");
    assert!(
        set_password(&mut console, "forgotten", "forgotten").contains("The admin password is set.")
    );
    assert!(console.choose("Disable plain HTTP").contains("Password     set"));
    assert!(console.go_on().contains("Plain HTTP access disabled."));
    assert_eq!(appliance.read(&appliance.management(PING)).code, 52);
    assert_eq!(appliance.read(&appliance.https(PING)).status, 401);
    assert_eq!(appliance.read_as("forgotten", &appliance.https(PING)).status, 200);

    let piece = console.choose("Reset security");
    assert!(
        piece.contains("off: HTTPS alone answers") && piece.contains("uploaded, CN="),
        "{piece}"
    );
    let asked = console.choose("Cancel");
    let words = "Choose OK to reset security settings.\n* The admin password will be unset.\n\
                 * The job token will be removed.\n* Plain HTTP will be re-enabled.\n* Uploaded certificates will be removed.\n* ACME will be ended.\n";
    assert!(asked.contains(words), "{asked}");
    assert_eq!(appliance.read(&appliance.https(PING)).status, 401, "nothing was changed");

    console.choose("Reset security");
    console.choose("OK");
    let told = console.go_on();
    assert!(told.contains("Security was reset.\n") && told.contains("Plain HTTP is on."), "{told}");
    assert_eq!(appliance.read(&appliance.management(PING)).status, 200);
    assert_eq!(appliance.read(&appliance.https(PING)).status, 200);
    let piece = console.choose("Back");
    assert!(piece.contains("the appliance's own, CN="), "{piece}");
    console.leave();
}

#[test]
fn a_password_is_shown_nowhere_and_typed_twice() {
    let appliance = Appliance::start(&Settings::both());
    let mut console = Console::terminal(&appliance);
    console.choose("Security");
    console.choose("Set the admin password");
    console.shows("(not shown): ");
    assert!(!console.is_usual());
    console.press("Tr0ub4dor&3\n");
    console.answer("The same again: ", "Tr0ub4dor&3");
    let told = console.go_on();
    assert!(told.contains("still on and carries the password in clear"), "{told}");
    assert!(console.is_usual());
    assert!(!console.all().contains("Tr0ub"), "{}", console.all());
    assert_eq!(appliance.read_as("Tr0ub4dor&3", &appliance.https(PING)).status, 200);

    let told = set_password(&mut console, "one", "another");
    assert!(told.contains("The two are not the same. Nothing was changed."), "{told}");
    assert!(set_password(&mut console, "", "").contains("nothing was changed"));
    let told = set_password(&mut console, &"x".repeat(73), &"x".repeat(73));
    assert!(told.contains("The password has 73 bytes"), "{told}");
    assert_eq!(appliance.read_as("Tr0ub4dor&3", &appliance.https(PING)).status, 200);
    assert!(!appliance.log().contains("Tr0ub"));
}

#[test]
fn a_job_token_is_set_told_and_removed() {
    const TOKEN: &str = "Tr0ub4dor.3-of-16";
    let appliance = Appliance::start(&Settings::both());
    let told = |console: &mut Console, token: &str| {
        console.choose("Set the job token");
        console.answer("(not shown): ", token);
        console.answer("The same again: ", token);
        console.go_on()
    };
    let state = || appliance.read(&appliance.https("/v1/security/jobtoken")).ok().json();
    let mut console = Console::terminal(&appliance);
    let piece = console.choose("Security");
    assert!(
        piece.contains("Job token    not set: speech is open to whoever reaches it"),
        "{piece}"
    );
    assert!(told(&mut console, "two words").contains("can't carry"));
    let answer = told(&mut console, TOKEN);
    assert!(answer.contains("Job token set: jobs and realtime need it now."), "{answer}");
    assert!(answer.contains("Warning: plain HTTP access is still enabled"), "{answer}");
    assert_eq!(state()["job_token"], "set");
    let piece = console.choose("Remove the job token");
    assert!(piece.contains("Job token    set; jobs and realtime need it"), "{piece}");
    console.choose("Cancel");
    assert_eq!(state()["job_token"], "set");
    console.choose("Remove the job token");
    console.choose("OK");
    assert!(console.go_on().contains("Job token removed: speech is open"));
    assert_eq!(state()["job_token"], "unset");
    assert!(!console.all().contains(TOKEN) && !appliance.log().contains(TOKEN));
}

#[test]
fn a_line_without_a_terminal_takes_passwords_too() {
    let appliance = Appliance::start(&Settings::v1());
    let mut console = Console::dumb(&appliance);
    console.choose("Security");
    let told = set_password(&mut console, "over a pipe", "over a pipe");
    assert!(told.contains("asks for no password, so any client can replace it"), "{told}");
    console.choose("Disable plain HTTP");
    console.go_on();
    assert_eq!(appliance.read_as("over a pipe", &appliance.https(PING)).status, 200);
    console.choose("Enable plain HTTP");
    assert!(console.go_on().contains("Plain HTTP access enabled."));
    console.choose("Back");
    console.leave();
}

#[test]
fn a_damaged_password_file_is_told_and_the_reset_mends_it() {
    let mut appliance = Appliance::start(&Settings::v2());
    appliance.stop();
    std::fs::write(appliance.state("admin.htpasswd"), "damaged").unwrap();
    appliance.launch();
    let mut console = Console::terminal(&appliance);
    let piece = console.choose("Security");
    assert!(piece.contains("damaged: reset security to log in"), "{piece}");
    console.choose("Reset security");
    console.choose("OK");
    console.go_on();
    assert_eq!(appliance.read_as("admin", &appliance.https("/v2/management/health")).status, 200);
}

#[test]
fn a_certificate_is_requested_and_applied_over_a_serial_line() {
    let appliance = Appliance::start(&Settings::both());
    let authority = Authority::new(appliance.folder());
    let mut console = Console::terminal(&appliance);
    console.choose("Security");
    console.choose("Certificate");
    let piece = console.choose("Make a certificate request");
    assert!(piece.contains("Request      none"), "{piece}");
    console.answer("those of this appliance):", "box.example, 192.0.2.7");
    console.answer("leaves it out):", "Example Ltd");
    let shown = console.go_on();
    let (from, until) = (shown.find("-----BEGIN").unwrap(), shown.find("-----END").unwrap());
    let request = format!("{}-----END CERTIFICATE REQUEST-----\n", &shown[from..until]);
    let cert = authority.sign("signed", &request);
    let piece = console.choose("Show the certificate request");
    assert!(piece.contains("for box.example, 192.0.2.7"), "{piece}");
    assert!(console.go_on().contains(request.trim()));

    console.choose("Apply a certificate");
    console.shows("with an empty line.");
    console.press(&format!("{}\n\n", std::fs::read_to_string(&cert).unwrap()));
    let told = console.go_on();
    assert!(told.contains("Certificate and private_key applied successfully."), "{told}");
    let piece = console.choose("Make a certificate request");
    assert!(piece.contains("uploaded, O=Example Ltd, CN=box.example"), "{piece}");
    assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, fingerprint(&cert));
    console.answer("those of this appliance):", "");
    console.answer("leaves it out):", "");
    console.go_on();
    console.choose("Drop the certificate request");
    console.choose("OK");
    assert!(console.go_on().contains("dropped"));
    assert!(!console.all().contains("PRIVATE KEY"));
}

#[test]
fn an_authority_is_set_shown_and_ended() {
    const SECRET: &str = "aHVzaC1odXNoLTQ3MTE";
    let appliance = Appliance::start(&Settings::both());
    let mut console = Console::terminal(&appliance);
    console.choose("Security");
    console.choose("Certificate");
    let piece = console.choose("Have it issued and renewed (ACME)");
    assert!(piece.contains("ACME         off"), "{piece}");
    console.answer("(Enter changes nothing):", "https://127.0.0.1:1/directory");
    console.answer("the name of this appliance):", "box.example, 192.0.2.7");
    console.answer("leaves it out):", "admin@example.com");
    console.answer("(Enter: none):", "kid-7");
    console.answer("(not shown): ", SECRET);
    console.answer("The same again: ", SECRET);
    console.shows("an empty line alone.");
    console.press("\n");
    assert!(console.go_on().contains("ACME is on"));
    let acme = appliance.read(&appliance.https("/v1/security/acme")).ok().json();
    assert_eq!(acme["names"], serde_json::json!(["box.example", "192.0.2.7"]), "{acme}");
    assert_eq!(acme["external_account"]["kid"], "kid-7", "{acme}");
    assert!(!console.all().contains(SECRET));
    let piece = console.choose("End ACME");
    assert!(piece.contains("https://127.0.0.1:1/directory"), "{piece}");
    console.choose("OK");
    assert!(console.go_on().contains("ACME has ended"));
    let acme = appliance.read(&appliance.https("/v1/security/acme")).ok().json();
    assert_eq!(acme, serde_json::json!({"enabled": false}));
    console.choose("Have it issued and renewed (ACME)");
    console.answer("(Enter changes nothing):", "");
    assert!(console.go_on().contains("Nothing was changed."));
}
