//! Whose doing a failure may be: who can choose what the plugin was asked about.
//!
//! In: what a call is about. Out: a name to count by. Outside, a whole domain is one sender, since its
//! server writes what it likes in the name of any of its users; inside, each user is one, in whatever
//! spelling the address is written. A domain that is not proven yet is nobody's name: who knocks is known
//! by the network address.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use portcullis_xmpp::jid::{Domain, Jid};
use portcullis_xmpp::stanza::{Direction, Stanza};
use portcullis_xmpp::stream::{Party, Peer};

/// Who may be the cause of a failure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sender<'a> {
    /// A partner.
    Domain(&'a Domain),
    /// One of the organisation's users.
    User(&'a Jid),
    /// Somebody who has proven nothing.
    Address(SocketAddr),
    /// The plugin itself: nobody else had a part in it.
    Plugin,
}

impl<'a> Sender<'a> {
    pub(crate) fn of_stanza(stanza: &'a Stanza, peer: &'a Peer) -> Self {
        match peer.party {
            Party::Partner => Self::Domain(&peer.remote),
            Party::Internal => Self::User(stanza.from()),
        }
    }

    pub(crate) fn of_knock(
        domain: &'a Domain,
        direction: Direction,
        address: Option<SocketAddr>,
    ) -> Self {
        match (direction, address) {
            (Direction::Inbound, Some(address)) => Self::Address(address),
            _ => Self::Domain(domain),
        }
    }

    /// The name to count by; none if it is nobody's doing but the plugin's.
    pub(super) fn name(self) -> Option<Arc<str>> {
        match self {
            Self::Domain(domain) => Some(Arc::from(domain.as_str())),
            Self::User(jid) => Some(Arc::from(jid.to_bare().to_normal())),
            Self::Address(address) => Some(Arc::from(network(address.ip()).to_string())),
            Self::Plugin => None,
        }
    }
}

/// An IPv6 address stands for its /64: who has one has all of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_one_sender_whatever_the_spelling_of_the_address() {
        for spelling in [
            "mallory@org.test",
            "Mallory@org.test/phone",
            "MALLORY@ORG.TEST./desk",
            "\u{ff4d}allory@org.test",
        ] {
            let jid = Jid::parse(spelling).unwrap();
            let name = Sender::User(&jid).name();
            assert_eq!(name.as_deref(), Some("mallory@org.test"), "{spelling}");
        }
    }

    #[test]
    fn who_has_proven_nothing_is_known_by_the_network_and_not_by_the_name_that_is_claimed() {
        let domain = Domain::parse("claimed.test").unwrap();
        let name = |address: &str| {
            let address = Some(address.parse().unwrap());
            let sender = Sender::of_knock(&domain, Direction::Inbound, address);
            sender.name().unwrap().to_string()
        };
        assert_eq!(name("192.0.2.7:40000"), "192.0.2.7");
        assert_eq!(name("[::ffff:192.0.2.7]:40000"), "192.0.2.7");
        assert_eq!(name("[2001:db8::1:2:3:4]:5269"), "2001:db8::");
        assert_eq!(name("[2001:db8::9]:1"), "2001:db8::");
        let outbound = Sender::of_knock(&domain, Direction::Outbound, None);
        assert_eq!(outbound.name().as_deref(), Some("claimed.test"));
    }
}
