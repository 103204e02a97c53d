//! One static binary that gives a virtual appliance its front door and its license.
//!
//! ```text
//! data     listener -> tls -> head -> policy -> route -> forward or tunnel -> service
//! control  curl/browser -> data flow -> control.sock -> management -> security | license -> store
//! ```
//!
//! What management has in memory the data flow asks it for without the socket.
//! The two flows meet in [`live`]: keepers on the control side publish whole immutable values, the
//! data side takes a snapshot per request and holds no lock while it waits for a socket.
//! The modules stand in the order a start-up meets them.

pub mod cli;

pub mod console;

pub mod config;

pub mod log;

pub mod live;

pub mod utc;

mod reason;

mod descriptors;

mod unix_connect;

mod names;

mod tally;

pub mod store;

pub mod security;

pub mod license;

pub mod management;

pub mod monitor;

pub mod gate;

pub mod confinement;

pub mod attendant;

pub mod wishes;

pub mod daemon;

pub mod authority;
