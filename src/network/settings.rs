//! What an administrator may set: DHCP or a static IPv4 address, and the host name. Checked strictly, because a
//! typing error may cut the appliance off.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Map, Value, json};

use crate::util::host_name::is_host_name;

/// Most name servers that resolvers use: `MAXNS` in resolv.conf(5).
const MOST_NAMESERVERS: usize = 3;

/// Longest host name that the kernel takes: `HOST_NAME_MAX` in gethostname(2).
const LONGEST_HOST_NAME: usize = 64;

/// Prefix lengths of a network that can hold this machine and a gateway: from the largest private network
/// (RFC 1918) to two addresses (RFC 3021).
const SHORTEST_PREFIX: u8 = 8;
const LONGEST_PREFIX: u8 = 31;

/// The network settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Absent: by DHCP.
    pub(crate) fixed: Option<Static>,
    /// Absent: as it is.
    pub(crate) hostname: Option<String>,
}

/// A static address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Static {
    pub(crate) address: Ipv4Addr,
    /// Bits of the network, 8 to 31.
    pub(crate) prefix: u8,
    /// Absent: nothing outside of the network is reached.
    pub(crate) gateway: Option<Ipv4Addr>,
    /// At most 3.
    pub(crate) nameservers: Vec<IpAddr>,
}

impl Settings {
    /// The address that will be in use, if it is known before.
    pub(crate) fn address(&self) -> Option<Ipv4Addr> {
        self.fixed.as_ref().map(|fixed| fixed.address)
    }

    /// As members of a document or a file.
    pub(crate) fn to_members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
        match &self.fixed {
            None => put("method", json!("dhcp")),
            Some(fixed) => {
                put("method", json!("static"));
                put("address", json!(fixed.address));
                put("netmask", json!(netmask(fixed.prefix)));
                put("prefix", json!(fixed.prefix));
                if let Some(gateway) = fixed.gateway {
                    put("gateway", json!(gateway));
                }
                put("nameservers", json!(fixed.nameservers));
            }
        }
        if let Some(name) = &self.hostname {
            put("hostname", json!(name));
        }
        members
    }

    /// Reads what [`Settings::to_members`] wrote, with the checks of a new setting.
    pub(crate) fn from_members(members: &Map<String, Value>) -> Result<Settings, String> {
        let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
        let fixed = match text("method") {
            "dhcp" => None,
            "static" => {
                let servers = members.get("nameservers").and_then(Value::as_array);
                let servers: Vec<&str> =
                    servers.into_iter().flatten().filter_map(Value::as_str).collect();
                let (address, mask) = (text("address"), text("netmask"));
                Some(Static::parse(address, mask, text("gateway"), &servers)?)
            }
            _ => return Err("its method is neither \"dhcp\" nor \"static\"".to_owned()),
        };
        let hostname = Some(text("hostname")).filter(|name| !name.is_empty());
        Ok(Settings { fixed, hostname: hostname.map(parse_hostname).transpose()? })
    }
}

impl Static {
    /// Reads addresses as a person writes them: `mask` as `255.255.255.0` or as `24`, and no gateway if that is
    /// empty.
    ///
    /// # Errors
    /// Which part is wrong and why.
    pub(crate) fn parse(
        address: &str,
        mask: &str,
        gateway: &str,
        nameservers: &[&str],
    ) -> Result<Static, String> {
        let prefix = prefix(mask)?;
        let address = host("the address", address)?;
        let network = Network { address, prefix };
        network.can_be_host("the address", address)?;
        let gateway = match gateway.trim() {
            "" => None,
            gateway => Some(network.gateway(host("the gateway", gateway)?)?),
        };
        Ok(Static { address, prefix, gateway, nameservers: servers(nameservers)? })
    }
}

/// The network of an address.
struct Network {
    address: Ipv4Addr,
    prefix: u8,
}

impl Network {
    fn first(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() & netmask(self.prefix).to_bits())
    }

    fn last(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !netmask(self.prefix).to_bits())
    }

    /// RFC 1122 section 3.2.1.3: neither the first nor the last address of a network is a host's, but where there
    /// are only two (RFC 3021).
    fn can_be_host(&self, what: &str, address: Ipv4Addr) -> Result<(), String> {
        let name = format!("{}/{}", self.first(), self.prefix);
        if self.prefix == LONGEST_PREFIX {
            return Ok(());
        }
        if address == self.first() {
            return Err(format!(
                "{what} {address} is the network {name} itself, not a machine in it"
            ));
        }
        if address == self.last() {
            return Err(format!("{what} {address} is the broadcast address of the network {name}"));
        }
        Ok(())
    }

    fn gateway(&self, gateway: Ipv4Addr) -> Result<Ipv4Addr, String> {
        if !(self.first()..=self.last()).contains(&gateway) {
            let (first, last) = (self.first(), self.last());
            return Err(format!(
                "the gateway {gateway} is outside of the appliance's network, {first} to {last}, so it can't be \
                 reached; look at the address, the mask and the gateway"
            ));
        }
        if gateway == self.address {
            return Err(format!("the gateway {gateway} is the appliance's own address"));
        }
        self.can_be_host("the gateway", gateway)?;
        Ok(gateway)
    }
}

fn netmask(prefix: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0))
}

/// Reads a mask or a prefix length.
fn prefix(mask: &str) -> Result<u8, String> {
    let mask = mask.trim();
    let text = mask.strip_prefix('/').unwrap_or(mask);
    let prefix = match (text.parse::<u8>(), text.parse::<Ipv4Addr>()) {
        (Ok(prefix), _) => prefix,
        (_, Ok(mask)) => {
            let prefix = mask.to_bits().leading_ones();
            if prefix + mask.to_bits().trailing_zeros() < 32 {
                return Err(format!("the netmask {mask} has a gap, so it is no netmask"));
            }
            u8::try_from(prefix).unwrap_or(0)
        }
        _ if text.is_empty() => return Err("the netmask is missing".to_owned()),
        _ => {
            return Err(format!(
                "the netmask {text:?} is neither one like 255.255.255.0 nor a prefix length like 24"
            ));
        }
    };
    if (SHORTEST_PREFIX..=LONGEST_PREFIX).contains(&prefix) {
        return Ok(prefix);
    }
    Err(format!(
        "a netmask of {prefix} bits is not that of a network; it has {SHORTEST_PREFIX} (255.0.0.0) to \
         {LONGEST_PREFIX} (255.255.255.254)"
    ))
}

/// An address that a machine on a network can have.
fn host(what: &str, text: &str) -> Result<Ipv4Addr, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("{what} is missing"));
    }
    let Ok(address) = text.parse::<Ipv4Addr>() else {
        return Err(match text.parse::<IpAddr>() {
            Ok(_) => format!("{what} {text} is IPv6; only an IPv4 address can be set"),
            Err(_) => format!("{what} {text:?} is not an IPv4 address like 192.0.2.7"),
        });
    };
    match unusable(address) {
        Some(why) => Err(format!("{what} {address} is {why}")),
        None => Ok(address),
    }
}

/// Why no machine can have an address (RFC 6890).
fn unusable(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("in 0.0.0.0/8, which means \"this network\""),
        [127, ..] => Some("a loopback address, which no other machine reaches"),
        [169, 254, ..] => Some("a link-local address, which machines choose by themselves"),
        [224..=239, ..] => Some("a multicast address, not that of one machine"),
        [255, 255, 255, 255] => Some("the broadcast address"),
        [240..=255, ..] => Some("in 240.0.0.0/4, which is reserved"),
        _ => None,
    }
}

fn servers(texts: &[&str]) -> Result<Vec<IpAddr>, String> {
    let mut servers: Vec<IpAddr> = Vec::new();
    for text in texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
        let Ok(server) = text.parse::<IpAddr>() else {
            return Err(format!(
                "the name server {text:?} is not an address; names can't be looked up by a name"
            ));
        };
        let not_a_machine = match server {
            IpAddr::V4(v4) => !v4.is_loopback() && unusable(v4).is_some(),
            IpAddr::V6(v6) => {
                v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local()
            }
        };
        if not_a_machine {
            return Err(format!("the name server {server} is not the address of one machine"));
        }
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    if servers.len() > MOST_NAMESERVERS {
        return Err(format!(
            "there are {} name servers, and {MOST_NAMESERVERS} can be used",
            servers.len()
        ));
    }
    Ok(servers)
}

/// Reads a host name (RFC 1123 section 2.1), in any case.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_hostname(text: &str) -> Result<String, String> {
    let name = text.trim().to_ascii_lowercase();
    // The address of a machine is not its name.
    let has_letter =
        name.rsplit('.').next().is_some_and(|last| last.bytes().any(|b| !b.is_ascii_digit()));
    if name.len() <= LONGEST_HOST_NAME && is_host_name(&name) && has_letter && name != "localhost" {
        return Ok(name);
    }
    Err(format!(
        "the host name is not one of up to {LONGEST_HOST_NAME} letters, digits, hyphens and dots, like \
         appliance or appliance.example.com"
    ))
}

#[cfg(test)]
mod tests;
