//! What the appliance makes of its own files: after a power cut, after damage, at a start that must fail.

mod damage;
mod earlier_version;
mod power_cut;
mod security_settings;
mod start;
