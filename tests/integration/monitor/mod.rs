//! What the machine does and what is done to it: the Glances view, metrics, health, and management beside security.

mod glances_view;
mod healthz;
mod listeners;
mod logs;
mod metrics;
mod network;
mod power;
mod report;
mod resources;
