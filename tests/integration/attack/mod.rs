//! What an attacker on the network may try.

mod addresses;
mod cases;
mod connection_limit;
mod credentials;
mod fixture;
mod known_failures;
mod requests;
mod rules;
mod unauthorized;
mod ways;
