//! The vendor's program as it runs at the vendor: its commands, appliances that ask it, and power cuts.

mod cluster;
mod commands;
mod confined;
mod crowd;
mod drain;
mod events;
mod field;
mod fixture;
mod hostile;
mod listeners;
mod load;
mod machine;
mod monitoring;
mod moving;
mod offline;
mod online;
mod power_cut;
mod proxied;
mod speed;
mod vendor;
mod wrong_clock;
