//! The license as the administrator, the speech engine and the vendor meet it: over the network, against
//! a running authority, through outages and power cuts.

mod bad_input;
mod captive_portal;
mod copies;
mod damage;
mod disk;
mod ending;
mod errors;
mod forgotten_license;
mod gate;
mod health;
mod manual;
mod offline;
mod old_image;
mod power_cut;
mod proxy;
mod returns;
mod unconfirmed;
mod unresponsive_authority;
mod usage;
mod wrong_clocks;
