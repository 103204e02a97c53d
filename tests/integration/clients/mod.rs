//! Whom the appliance takes a client for, behind load balancers, and what comes of it.

mod console;
mod proxies;
mod proxy_protocol;
mod refusals;
mod settings;
