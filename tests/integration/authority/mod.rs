//! The vendor's program as it runs at the vendor: its commands, appliances that ask it, and power cuts.

mod commands;
mod fixture;
mod hostile;
mod load;
mod machine;
mod offline;
mod online;
mod power_cut;
