//! The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): a load balancer in front of a
//! listener says for whom it speaks.
//!
//! In: a connection from an address that the configuration names. Out: the address that the load
//! balancer speaks for, with nothing read beyond its header. The header must come whole within
//! [`PATIENCE`], and is at most [`MOST`] bytes. A named address that sends anything else is refused:
//! it is the load balancer's fault, and without the header nobody knows who connects. Nobody else is
//! ever asked: what they send is XML or nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// A load balancer sends its header at once, and stands near.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses take 52 bytes; what load balancers add in type-length-values fits in this.
const MOST: usize = 2048;
/// How version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The shortest header of version 1 is `PROXY UNKNOWN` with its line end; version 2 is longer.
const LEAST: usize = 15;
/// The longest line of version 1.
const LINE: usize = 107;

/// Why there is no header. The load balancer's fault.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoHeader {
    #[error("it did not come in time")]
    Late,
    #[error("the connection ended: {0}")]
    Ended(#[from] io::Error),
    #[error("what came instead is no PROXY header")]
    Other,
    #[error("it has {0} bytes")]
    TooLong(usize),
}

/// Whom a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// The load balancer speaks for this address.
    Remote(SocketAddr),
    /// It speaks for itself (a health check), or does not know.
    Itself,
}

/// Reads the header, and nothing behind it.
pub(super) async fn header(
    stream: &mut (impl AsyncRead + Unpin),
    patience: Duration,
) -> Result<Client, NoHeader> {
    timeout(patience, read(stream))
        .await
        .unwrap_or(Err(NoHeader::Late))
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Client, NoHeader> {
    let mut start = [0; LEAST];
    stream.read_exact(&mut start).await?;
    if start.starts_with(SIGNATURE) {
        let [.., command, family, high] = start;
        let length = usize::from(u16::from_be_bytes([high, stream.read_u8().await?]));
        if length > MOST {
            return Err(NoHeader::TooLong(length));
        }
        let mut rest = vec![0; length];
        stream.read_exact(&mut rest).await?;
        return binary(command, family, &rest).ok_or(NoHeader::Other);
    }
    if !start.starts_with(b"PROXY ") {
        return Err(NoHeader::Other);
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= LINE {
            return Err(NoHeader::TooLong(line.len()));
        }
        line.push(stream.read_u8().await?);
    }
    std::str::from_utf8(&line)
        .ok()
        .and_then(text)
        .ok_or(NoHeader::Other)
}

/// Version 1: one line.
fn text(line: &str) -> Option<Client> {
    let line = line.strip_prefix("PROXY ")?.strip_suffix("\r\n")?;
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Some(Client::Itself);
    }
    let words: Vec<&str> = line.split(' ').collect();
    let [family, source, destination, source_port, destination_port] = words.as_slice() else {
        return None;
    };
    let address = |text: &str| -> Option<IpAddr> {
        match *family {
            "TCP4" => text.parse().ok().map(IpAddr::V4),
            "TCP6" => text.parse().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let port = |text: &str| -> Option<u16> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    address(destination)?;
    port(destination_port)?;
    Some(Client::Remote(SocketAddr::new(
        address(source)?,
        port(source_port)?,
    )))
}

/// Version 2, behind its signature and length.
fn binary(command: u8, family: u8, rest: &[u8]) -> Option<Client> {
    match command {
        // LOCAL: what follows is to be skipped.
        0x20 => return Some(Client::Itself),
        0x21 => {}
        _ => return None,
    }
    let address = |at: usize, size: usize| rest.get(at..at + size);
    let port = |at: usize| {
        let bytes = rest.get(at..at + 2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    };
    match family {
        // UNSPEC
        0x00 => Some(Client::Itself),
        // TCP over IPv4: source, destination, ports.
        0x11 => {
            port(10)?;
            let source: [u8; 4] = address(0, 4)?.try_into().ok()?;
            let source = IpAddr::V4(Ipv4Addr::from(source));
            Some(Client::Remote(SocketAddr::new(source, port(8)?)))
        }
        // TCP over IPv6.
        0x21 => {
            port(34)?;
            let source: [u8; 16] = address(0, 16)?.try_into().ok()?;
            let source = IpAddr::V6(Ipv6Addr::from(source));
            Some(Client::Remote(SocketAddr::new(source, port(32)?)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::runtime::Builder;

    use super::*;

    /// What a header says, and what is left behind it.
    async fn told(bytes: &[u8]) -> Result<(Client, Vec<u8>), String> {
        let mut stream = bytes;
        let client = read(&mut stream).await.map_err(|error| error.to_string())?;
        Ok((client, stream.to_vec()))
    }

    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    #[tokio::test]
    async fn both_versions_name_the_client_and_leave_what_follows() {
        let four = Client::Remote("192.0.2.1:4711".parse().unwrap());
        let six = Client::Remote("[2001:db8::1]:4711".parse().unwrap());
        let ports = [0x12, 0x67, 0x14, 0x95];
        let addresses_4 = [&[192, 0, 2, 1, 10, 0, 0, 5][..], &ports].concat();
        let mut addresses_6 = [0; 36];
        addresses_6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        addresses_6[15] = 1;
        addresses_6[32..].copy_from_slice(&ports);
        let with_more = [&addresses_4[..], &[0x04, 0, 1, 0]].concat();
        for (header, client) in [
            (
                b"PROXY TCP4 192.0.2.1 10.0.0.5 4711 5269\r\n".to_vec(),
                four,
            ),
            (
                b"PROXY TCP6 2001:db8::1 fd00::5 4711 5269\r\n".to_vec(),
                six,
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Client::Itself),
            (
                b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
                Client::Itself,
            ),
            (version_2(0x21, 0x11, &addresses_4), four),
            (version_2(0x21, 0x11, &with_more), four),
            (version_2(0x21, 0x21, &addresses_6), six),
            (version_2(0x20, 0x00, &[]), Client::Itself),
            (version_2(0x21, 0x00, &[1, 2, 3]), Client::Itself),
        ] {
            let bytes = [&header[..], b"<?xml"].concat();
            assert_eq!(told(&bytes).await, Ok((client, b"<?xml".to_vec())));
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let cut = version_2(0x21, 0x11, &[192, 0, 2, 1]);
        let long = version_2(0x21, 0x11, &[0; MOST + 1]);
        for bytes in [
            &b"<?xml version='1.0'?>"[..],
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0\0\0\0\0",
            b"PROXY TCP4 192.0.2.1 10.0.0.5 4711\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.5 4711 5269 1\r\n",
            b"PROXY TCP4 2001:db8::1 10.0.0.5 4711 5269\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.5 +711 5269\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.5 65536 5269\r\n",
            b"PROXY UDP4 192.0.2.1 10.0.0.5 4711 5269\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.5 4711 5269",
            &[&b"PROXY UNKNOWN "[..], &[b'a'; 200]].concat(),
            &version_2(0x22, 0x11, &[0; 12]),
            &version_2(0x31, 0x11, &[0; 12]),
            &version_2(0x21, 0x12, &[0; 12]),
            &cut,
            &long,
        ] {
            assert!(told(bytes).await.is_err(), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_header_that_does_not_come_is_not_waited_for() {
        let (mut near, mut far) = tokio::io::duplex(64);
        tokio::io::AsyncWriteExt::write_all(&mut far, b"PROXY TCP4 192.0.2.1 ")
            .await
            .unwrap();
        let refused = header(&mut near, Duration::from_millis(1)).await;
        assert!(matches!(refused, Err(NoHeader::Late)), "{refused:?}");
    }

    /// As [`told`], outside of a runtime.
    fn tells(bytes: &[u8]) -> Result<(Client, Vec<u8>), String> {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(told(bytes))
    }

    proptest! {
        #[test]
        fn what_a_load_balancer_writes_is_read(
            source: SocketAddr,
            port: u16,
            more in prop::collection::vec(any::<u8>(), 0..64),
            behind in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            // Neither version carries a flow label or a scope.
            let source = SocketAddr::new(source.ip(), source.port());
            let (name, family, bytes) = match source.ip() {
                IpAddr::V4(ip) => ("TCP4", 0x11, ip.octets().to_vec()),
                IpAddr::V6(ip) => ("TCP6", 0x21, ip.octets().to_vec()),
            };
            let line = format!("PROXY {name} {0} {0} {1} {port}\r\n", source.ip(), source.port());
            let ports = [source.port().to_be_bytes(), port.to_be_bytes()].concat();
            let rest = [&bytes[..], &bytes, &ports, &more].concat();
            for header in [line.into_bytes(), version_2(0x21, family, &rest)] {
                let read = tells(&[&header[..], &behind].concat());
                prop_assert_eq!(read, Ok((Client::Remote(source), behind.clone())));
            }
        }

        #[test]
        fn no_bytes_are_read_beyond_the_bound(
            start in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", SIGNATURE]),
            rest in prop::collection::vec(any::<u8>(), 0..4096),
        ) {
            let bytes = [start, &rest[..]].concat();
            let mut stream = &bytes[..];
            let runtime = Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(read(&mut stream));
            prop_assert!(bytes.len() - stream.len() <= SIGNATURE.len() + 4 + MOST);
        }
    }
}
