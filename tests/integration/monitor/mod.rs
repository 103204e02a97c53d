//! What the machine does and what is done to it: the Glances view, and management beside security.

mod glances_view;
mod listeners;
mod logs;
mod network;
mod power;
mod resources;
