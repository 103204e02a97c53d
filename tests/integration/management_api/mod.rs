//! The appliance as its users meet it: over the network, through the control socket, with signals.

mod access_rules;
mod acme;
mod bad_uploads;
mod certificate_request;
mod control_socket;
mod cross_origin;
mod default_certificate;
mod failed_handshakes;
mod good_uploads;
mod hot_swap;
mod hsts;
mod inline_answers;
mod job_token;
mod manual_v1;
mod manual_v2;
mod password_guessing;
mod passwords;
mod request_bodies;
mod secrets;
mod signals;
mod slow_requests;
mod tickets;
mod tls;
mod warnings;
