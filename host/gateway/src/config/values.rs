//! The strings of the file that mean something: addresses, domains, durations, sizes.
//!
//! Each error completes a sentence that begins with the string in quotes.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use portcullis_xmpp::jid::Domain;

use super::{
    model::{Host, HostPort, Trust},
    record::Pin,
};

/// The port of XMPP federation (RFC 6120 §14.7), for places that are written without one.
const XMPP_SERVER: u16 = 5269;

pub(super) fn domain(text: &str) -> Result<Domain, String> {
    Domain::parse(text).map_err(|error| format!("is not a domain: {error}"))
}

pub(super) fn listener(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        String::from("is not an address with a port, as in \"0.0.0.0:5269\" or \"[::]:5269\"")
    })
}

pub(super) fn resolver(text: &str) -> Result<SocketAddr, String> {
    /// The port of DNS (RFC 1035 §4.2).
    const DOMAIN: u16 = 53;
    text.parse()
        .or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, DOMAIN)))
        .map_err(|_| String::from("is not the address of a resolver, as in \"127.0.0.53:53\""))
}

pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| String::from("is not an IP address"))
}

/// One address, or a network with its prefix length.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(ip));
    }
    let network: IpNet = text.parse().map_err(|_| {
        String::from("is not an address or a network, as in \"10.0.0.1\" or \"10.1.0.0/16\"")
    })?;
    if network.addr() != network.network() {
        return Err(format!("has bits behind its prefix: {}", network.trunc()));
    }
    Ok(network)
}

/// The digest of a certificate or its key, as `openssl x509 -fingerprint -sha256` prints it or without colons.
pub(super) fn pin(text: &str) -> Result<Pin, String> {
    let digest = text.strip_prefix("sha256:").and_then(digest);
    digest
        .map(Pin)
        .ok_or_else(|| String::from("is not \"sha256:\" with 64 hexadecimal digits"))
}

/// The digest of a file, as `sha256sum` prints it; `sha256:` before it and colons in it are allowed.
pub(super) fn sha256(text: &str) -> Result<[u8; 32], String> {
    digest(text.strip_prefix("sha256:").unwrap_or(text)).ok_or_else(|| {
        String::from("is not 64 hexadecimal digits, as `sha256sum FILE` prints them")
    })
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| *byte != b':')
        .map(|byte| {
            char::from(byte)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        })
        .collect::<Option<_>>()?;
    if digits.len() != 64 {
        return None;
    }
    let digest: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    digest.try_into().ok()
}

/// Also what `<see-other-host/>` says is of this form (RFC 6120 §4.9.3.19).
pub(crate) fn host_port(text: &str) -> Result<HostPort, String> {
    if let Ok(ip) = text.parse() {
        return Ok(HostPort {
            host: Host::Address(ip),
            port: XMPP_SERVER,
        });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => match port.parse() {
            Ok(port) if port != 0 => (host, port),
            _ => return Err(String::from("has no port from 1 to 65535 after its colon")),
        },
        None => (text, XMPP_SERVER),
    };
    let unbracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let host = match unbracketed {
        Some(ip) => {
            Host::Address(IpAddr::V6(ip.parse().map_err(|_| {
                String::from("has no IPv6 address between its brackets")
            })?))
        }
        None => match host.parse() {
            Ok(IpAddr::V4(ip)) => Host::Address(ip.into()),
            Ok(IpAddr::V6(_)) => return Err(format!("needs brackets, as in \"[{host}]:{port}\"")),
            Err(_) => Host::Name(domain(host)?),
        },
    };
    Ok(HostPort { host, port })
}

/// A length of time with its unit, as in `10ms`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text)?;
    let of_unit = match unit {
        "us" | "µs" => Duration::from_micros,
        "ms" => Duration::from_millis,
        "s" => Duration::from_secs,
        _ => return Err(String::from("has no unit us, ms or s, as in \"10ms\"")),
    };
    Ok(of_unit(number))
}

/// A number of bytes with its unit, as in `16MiB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(String::from("has no unit KiB, MiB or GiB, as in \"16MiB\"")),
    };
    number
        .checked_mul(factor)
        .ok_or_else(|| String::from("is more than any machine has"))
}

/// The word `system`, or a file relative to `base`.
pub(super) fn trust(text: &str, base: &Path) -> Result<Trust, String> {
    match text {
        "system" => Ok(Trust::System),
        _ => path(text, base).map(Trust::File),
    }
}

/// A path; a relative one starts at `base`.
pub(super) fn path(text: &str, base: &Path) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err(String::from("is not a path"));
    }
    Ok(base.join(text))
}

fn split_unit(text: &str) -> Result<(u64, &str), String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number = number
        .parse()
        .map_err(|_| String::from("does not begin with a whole number"))?;
    Ok((number, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_connect_may_leave_its_port_out() {
        for (text, whole) in [
            ("10.0.0.7", "10.0.0.7:5269"),
            ("10.0.0.7:5222", "10.0.0.7:5222"),
            ("::1", "[::1]:5269"),
            ("[::1]:5270", "[::1]:5270"),
            ("XMPP.alpha.test", "xmpp.alpha.test:5269"),
            ("xmpp.alpha.test:7", "xmpp.alpha.test:7"),
        ] {
            assert_eq!(host_port(text).unwrap().to_string(), whole);
        }
        for text in [
            "",
            "a b:5",
            "alpha.test:",
            "alpha.test:0",
            "alpha.test:70000",
            "[::1",
            ":5269",
        ] {
            assert!(host_port(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        for (text, whole) in [
            ("10.0.0.1", "10.0.0.1/32"),
            ("10.1.0.0/16", "10.1.0.0/16"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("2001:db8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), whole);
        }
        for text in ["", "lb.test", "10.1.0.1/16", "10.0.0.0/33", "10.0.0.1:80"] {
            assert!(network(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pin_is_a_sha256_digest_with_or_without_colons() {
        let bare = format!("sha256:{}", "0a".repeat(32));
        let colons = format!("sha256:{}", ["0A"; 32].join(":"));
        assert_eq!(pin(&bare), Ok(Pin([0x0a; 32])));
        assert_eq!(pin(&colons), Ok(Pin([0x0a; 32])));
        for text in [
            String::new(),
            "0a".repeat(32),
            format!("sha256:{}", "0a".repeat(31)),
            format!("sha256:{}", "0a".repeat(33)),
            format!("sha256:{}", "0g".repeat(32)),
            format!("sha1:{}", "0a".repeat(32)),
        ] {
            assert!(pin(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_digest_of_a_component_is_what_sha256sum_prints() {
        assert_eq!(sha256(&"0A".repeat(32)), Ok([0x0a; 32]));
        assert_eq!(
            sha256(&format!("sha256:{}", "0a".repeat(32))),
            Ok([0x0a; 32])
        );
        for text in ["", "0a", &"0a".repeat(33), &"0g".repeat(32)] {
            assert!(sha256(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_and_sizes_need_their_unit() {
        assert_eq!(duration("10ms"), Ok(Duration::from_millis(10)));
        assert_eq!(duration("2 s"), Ok(Duration::from_secs(2)));
        assert_eq!(bytes("16MiB"), Ok(16 << 20));
        for text in ["10", "ms", "10m", "-1ms", "1.5s"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in [
            "16",
            "16MB",
            "16M",
            "MiB",
            "99999999999999999999GiB",
            "18446744073709551615KiB",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
