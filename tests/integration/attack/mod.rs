//! What an attacker on the network may try.

mod addresses;
mod cases;
mod connection_limit;
mod credentials;
mod fixture;
mod job_token;
mod job_tokens;
mod known_failures;
mod requests;
mod rules;
mod unauthorized;
mod ways;
