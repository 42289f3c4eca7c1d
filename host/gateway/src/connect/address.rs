//! Which addresses a partner's DNS may send us to (DNS-09).
//!
//! A domain's owner decides where its records point. Without this check anybody could make the
//! gateway open connections into the organisation's own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not one of the public Internet; `None` if it is.
pub(super) fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

fn v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, ..] = address.octets();
    let reason = match (a, b) {
        (0, _) => "an unspecified address",
        (10, _) | (172, 16..=31) | (192, 168) => "a private address",
        (100, 64..=127) => "a carrier's private address",
        (127, _) => "a loopback address",
        (169, 254) => "a link-local address",
        (198, 18..=19) => "a benchmarking address",
        (224..=239, _) => "a multicast address",
        (240..=255, _) => "a reserved address",
        _ => return None,
    };
    Some(reason)
}

fn v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(inner) = embedded(address) {
        return v4(inner);
    }
    if address.is_loopback() {
        Some("a loopback address")
    } else if address.is_unspecified() {
        Some("an unspecified address")
    } else if address.is_unique_local() {
        Some("a private (unique local) address")
    } else if address.is_unicast_link_local() || is_site_local(address) {
        Some("a link-local address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else {
        None
    }
}

/// fec0::/10, deprecated by RFC 3879 but still routed inside some networks.
fn is_site_local(address: Ipv6Addr) -> bool {
    let [first, ..] = address.segments();
    first & 0xffc0 == 0xfec0
}

/// The IPv4 address that an IPv6 address stands for: mapped (RFC 4291), translated (RFC 6052,
/// well-known prefix) or tunnelled (6to4, RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let tail = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            tail(high, low)
        }
        [0x2002, high, low, ..] => tail(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_09_addresses_of_inner_networks_are_not_public() {
        let inner = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:a00:1::1",
        ];
        for address in inner {
            assert!(not_public(address.parse().unwrap()).is_some(), "{address}");
        }
    }

    #[test]
    fn dns_09_public_addresses_pass() {
        for address in [
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "2a00::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert_eq!(not_public(address.parse().unwrap()), None, "{address}");
        }
    }
}
