//! The gate as a reverse proxy for speech: what it lets through, in which shape, and what it doesn't.

mod addressing;
mod broken_records;
mod cases;
mod disconnected_clients;
mod early_answers;
mod engine_settings;
mod fixture;
mod hanging_services;
mod http10;
mod keep_alive;
mod large_bodies;
mod lenient_services;
mod malformed;
mod malformed_answers;
mod manual;
mod misbehaving_services;
mod slow_clients;
mod streaming;
pub(crate) mod websocket;
mod websocket_many;
