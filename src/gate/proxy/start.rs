//! The start of an exchange: its connection to the service.

use std::io;

use super::exchange::{Exchange, ExchangeEnd};
use super::http::HttpProxy;
use crate::gate::upstream::stream::UpstreamStream;

/// The result of connecting an exchange to its service.
pub(crate) enum Start {
    Started(Box<HttpProxy>),
    /// Connecting would block.
    WouldBlock(Box<Exchange>),
    Failed(Box<Exchange>, ExchangeEnd),
}

impl Start {
    /// Takes a pooled connection to the service, or opens a new one if that does not block.
    pub(crate) fn try_connect(exchange: Exchange) -> Start {
        // A pooled connection may be dead, so it is used only for a request that can be repeated.
        if exchange.is_repeatable()
            && !exchange.is_retry
            && let Some(upstream) = exchange.upstream.reuse()
        {
            return Start::Started(Box::new(HttpProxy::new(exchange, upstream, true)));
        }
        match exchange.upstream.try_connect().transpose() {
            Some(connected) => Start::of(exchange, connected),
            None => Start::WouldBlock(Box::new(exchange)),
        }
    }

    /// Opens a new connection to the service, however long it takes.
    pub(crate) fn connect(exchange: Exchange) -> Start {
        let connected = exchange.upstream.connect();
        Start::of(exchange, connected)
    }

    fn of(exchange: Exchange, connected: io::Result<UpstreamStream>) -> Start {
        match connected {
            Ok(upstream) => Start::Started(Box::new(HttpProxy::new(exchange, upstream, false))),
            Err(e) => {
                let why = format!("cannot connect to {}: {e}", exchange.upstream.name);
                Start::Failed(Box::new(exchange), ExchangeEnd::Failed(502, why))
            }
        }
    }
}
