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
    let [a, b, c, _] = address.octets();
    let reason = match (a, b, c) {
        (0, ..) => "an unspecified address",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "a private address",
        (100, 64..=127, _) => "a carrier's private address",
        (127, ..) => "a loopback address",
        (169, 254, _) => "a link-local address",
        (192, 0, 0) => "an address of a protocol (RFC 6890)",
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "an address for documentation",
        (192, 88, 99) => "an address of a tunnel (6to4)",
        (198, 18..=19, _) => "a benchmarking address",
        (224..=239, ..) => "a multicast address",
        (240..=255, ..) => "a reserved address",
        _ => return None,
    };
    Some(reason)
}

fn v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(inner) = embedded(address) {
        return v4(inner);
    }
    let [first, second, ..] = address.segments();
    let reason = match (first, second) {
        _ if address.is_loopback() => "a loopback address",
        _ if address.is_unspecified() => "an unspecified address",
        (0, 0) => "an IPv4 address in disguise",
        (0xfc00..=0xfdff, _) => "a private (unique local) address",
        // fec0::/10 is deprecated (RFC 3879), but still routed inside some networks.
        (0xfe80..=0xfeff, _) => "a link-local address",
        (0xff00..=0xffff, _) => "a multicast address",
        (0x2001, 0x0db8) | (0x3fff, 0..=0x0fff) => "an address for documentation",
        (0x2001, 0..=0x01ff) => "an address of a protocol (RFC 6890)",
        // All that IANA has given out so far is below 2000::/3.
        (0x2000..=0x3fff, _) => return None,
        _ => "a reserved address",
    };
    Some(reason)
}

/// The IPv4 address that an IPv6 address stands for: translated (RFC 6052, well-known prefix) or
/// tunnelled (6to4, RFC 3056). A mapped one (RFC 4291) has no business in DNS.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let tail = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => tail(high, low),
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
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::10.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
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
            "192.0.1.1",
            "2001:200::1",
            "2606:4700::1",
            "2a00::1",
            "2002:808:808::1",
            "64:ff9b::808:808",
        ] {
            assert_eq!(not_public(address.parse().unwrap()), None, "{address}");
        }
    }
}
