//! Lists of addresses and networks.

use super::section::Field;
use crate::util::networks::{Network, Networks, NotANetwork};

/// Most entries of a list, which is searched from its beginning.
const MOST_NETWORKS: usize = 256;

pub(super) fn networks(field: Field<'_>) -> Option<Networks> {
    if !(1..=MOST_NETWORKS).contains(&field.count()) {
        field.note(format_args!(
            "expected 1 to {MOST_NETWORKS} addresses or networks; leave it out to name none"
        ));
        return None;
    }
    field.items()?.iter().map(network).collect()
}

fn network(item: &Field<'_>) -> Option<Network> {
    let wanted =
        "an IP address or a network, such as \"192.0.2.7\", \"10.0.0.0/8\" or \"fd00::/8\"";
    let read = item.clone().text_as(wanted, |text| match Network::parse(text) {
        Err(NotANetwork::Malformed) => None,
        read => Some(read),
    })?;
    match read {
        Err(NotANetwork::BitsBeyond(meant)) => {
            item.note(format_args!("has bits beyond its length; say \"{meant}\""));
            None
        }
        read => read.ok(),
    }
}
