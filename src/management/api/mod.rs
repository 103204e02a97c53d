//! The resources of the management API: one file for each, the table of paths and methods, and what
//! handlers share. A handler is a function of a `request::Request` to a `response::Response` and never
//! sees a socket.

mod body;
pub(crate) mod commands;
pub(crate) mod cpu_info;
pub(crate) mod free_storage;
pub(crate) mod health;
pub(crate) mod host;
pub(crate) mod license;
pub(crate) mod logs;
pub(crate) mod mem_info;
pub(crate) mod monitoring;
pub(crate) mod ping;
pub(crate) mod power;
pub(crate) mod query;
pub(crate) mod request;
pub(crate) mod resource;
pub(crate) mod response;
pub(crate) mod restart;
pub(crate) mod security;
pub(crate) mod services;
pub(crate) mod table;
pub(crate) mod usage;
