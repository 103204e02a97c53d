#![allow(clippy::unwrap_used)]

use super::{Settings, Static, parse_hostname};

fn parse(address: &str, mask: &str, gateway: &str) -> Result<Static, String> {
    Static::parse(address, mask, gateway, &[])
}

#[test]
fn a_mask_is_written_as_one_or_as_a_prefix_length() {
    for (mask, prefix) in [
        ("255.255.255.0", 24),
        ("24", 24),
        ("/24", 24),
        (" 255.255.254.0 ", 23),
        ("255.0.0.0", 8),
        ("255.255.255.254", 31),
    ] {
        assert_eq!(parse("192.0.2.7", mask, "").unwrap().prefix, prefix, "{mask}");
    }
    for (mask, words) in [
        ("", "missing"),
        ("255.255.0.255", "gap"),
        ("0.0.0.255", "gap"),
        ("0.0.0.0", "0 bits"),
        ("255.255.255.255", "32 bits"),
        ("7", "7 bits"),
        ("33", "33 bits"),
        ("255.255.255", "neither"),
        ("ffffff00", "neither"),
        ("-1", "neither"),
    ] {
        let refused = parse("192.0.2.7", mask, "").unwrap_err();
        assert!(refused.contains(words), "{mask}: {refused}");
    }
}

#[test]
fn an_address_is_that_of_a_machine_on_the_network() {
    for (address, words) in [
        ("", "missing"),
        ("192.0.2", "not an IPv4 address"),
        ("192.0.2.07", "not an IPv4 address"),
        ("192.0.2.256", "not an IPv4 address"),
        ("192.0.2.7/24", "not an IPv4 address"),
        ("appliance", "not an IPv4 address"),
        ("2001:db8::7", "only an IPv4 address"),
        ("0.0.0.0", "this network"),
        ("127.0.0.1", "loopback"),
        ("169.254.1.1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "the broadcast address"),
        ("192.0.2.0", "the network 192.0.2.0/24 itself"),
        ("192.0.2.255", "the broadcast address of the network 192.0.2.0/24"),
    ] {
        let refused = parse(address, "255.255.255.0", "").unwrap_err();
        assert!(refused.contains("the address") && refused.contains(words), "{address}: {refused}");
    }
    assert!(parse("192.0.3.255", "255.255.254.0", "").is_err());
    assert!(parse("192.0.2.255", "255.255.254.0", "").is_ok(), "in the middle of its network");
    assert!(parse("192.0.2.0", "31", "192.0.2.1").is_ok(), "RFC 3021");
}

#[test]
fn a_gateway_is_another_machine_on_the_same_network() {
    assert_eq!(parse("192.0.2.7", "24", "192.0.2.1").unwrap().gateway, Some([192, 0, 2, 1].into()));
    assert_eq!(parse("192.0.2.7", "24", "").unwrap().gateway, None);
    for (gateway, words) in [
        ("192.0.3.1", "outside of the appliance's network, 192.0.2.0 to 192.0.2.255"),
        ("192.0.2.7", "own address"),
        ("192.0.2.0", "itself"),
        ("192.0.2.255", "broadcast"),
        ("router", "not an IPv4 address"),
        ("fe80::1", "IPv6"),
    ] {
        let refused = parse("192.0.2.7", "24", gateway).unwrap_err();
        assert!(refused.contains("the gateway") && refused.contains(words), "{gateway}: {refused}");
    }
}

#[test]
fn name_servers_are_addresses_and_at_most_three() {
    let servers = |texts: &[&str]| {
        Static::parse("192.0.2.7", "24", "", texts).map(|fixed| fixed.nameservers.len())
    };
    assert_eq!(servers(&["192.0.2.53", " 2001:db8::53 ", "", "192.0.2.53"]), Ok(2));
    assert!(servers(&["ns.example.com"]).unwrap_err().contains("not an address"));
    assert!(servers(&["255.255.255.255"]).unwrap_err().contains("not the address of one machine"));
    assert!(
        servers(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"])
            .unwrap_err()
            .contains("4 name")
    );
}

#[test]
fn a_host_name_has_the_characters_of_one() {
    assert_eq!(parse_hostname(" Appliance-1.Example.com ").unwrap(), "appliance-1.example.com");
    let long = "a".repeat(65);
    for name in
        ["", "a_b", "a b", "-a", "a-", "a..b", "192.0.2.7", "12", "localhost", "ü", "a;b", &long]
    {
        assert!(parse_hostname(name).is_err(), "{name}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let fixed =
        Static::parse("192.0.2.7", "24", "192.0.2.1", &["192.0.2.53", "2001:db8::53"]).unwrap();
    let alone = Static::parse("10.0.0.7", "8", "", &[]).unwrap();
    for settings in [
        Settings { fixed: Some(fixed), hostname: Some("a.example".to_owned()) },
        Settings { fixed: Some(alone), hostname: None },
        Settings { fixed: None, hostname: Some("b".to_owned()) },
        Settings { fixed: None, hostname: None },
    ] {
        assert_eq!(Settings::from_members(&settings.to_members()), Ok(settings));
    }
}
