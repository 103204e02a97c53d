//! Forwards an authorized request to its service and the response back: HTTP messages and WebSockets.

pub(crate) mod exchange;
pub(crate) mod http;
pub(crate) mod request_body;
pub(crate) mod response_body;
pub(crate) mod start;
pub(crate) mod websocket;
