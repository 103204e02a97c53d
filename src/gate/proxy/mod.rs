//! An admitted request to its service and the answer back: HTTP messages and WebSocket tunnels.

pub(crate) mod exchange;
pub(crate) mod http;
pub(crate) mod request_body;
pub(crate) mod response_body;
pub(crate) mod websocket;
