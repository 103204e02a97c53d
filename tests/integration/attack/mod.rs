//! What a stranger on the network may try, against the real binary.

mod cases;
mod connection_limit;
mod credentials;
mod fixture;
mod known_failures;
mod requests;
mod rules;
mod unauthorized;
