//! V08: each kind of certificate, shown in a real handshake by a partner that connects in, by a
//! partner that we connect to and by an internal server, in both versions of TLS.

use std::sync::Arc;

use portcullis_xmpp::stream::{Proof, TlsMode};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose as Eku,
    GeneralSubtree, IsCa, NameConstraints, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use time::{Duration, OffsetDateTime};
use tokio::io::duplex;

use super::handshakes::{handshake, to};
use super::pki::{
    self, Ca, House, Leaf, alternative_names, dns_name, domain, srv_name, write, xmpp_addr,
};
use crate::tls::{PeerChain, Side, Tls};

/// The serial number that is on the lists of both authorities.
const REVOKED: u64 = 4711;

/// How a certificate comes to the gateway.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// A partner connects in.
    In,
    /// We connect to a partner.
    Out,
    /// An internal server connects in.
    Internal,
}

/// What a peer shows, and what is expected of it.
struct Row {
    name: &'static str,
    domain: &'static str,
    issue: fn(&Ca) -> Shown,
    /// What the reason has to say; none if the certificate is good. A reason that is empty may be
    /// any: the handshake itself may be what refuses.
    refused: Option<&'static str>,
}

struct Shown(Vec<CertificateDer<'static>>, CertifiedKey);

impl From<Leaf> for Shown {
    fn from(leaf: Leaf) -> Self {
        Self(vec![leaf.certificate.clone()], leaf.certified())
    }
}

/// A leaf below an intermediate, with that.
fn below(middle: Ca, leaf: Leaf) -> Shown {
    let mut certified = leaf.certified();
    let chain = vec![leaf.certificate, middle.certificate];
    certified.cert.clone_from(&chain);
    Shown(chain, certified)
}

/// An authority that may sign only this name and those below it.
fn constrained(ca: &Ca, name: &str) -> Ca {
    ca.intermediate("Middle", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName(name.to_owned())],
            excluded_subtrees: vec![],
        });
    })
}

/// Names written byte by byte.
fn named(ca: &Ca, names: &[Vec<u8>]) -> Shown {
    let extension = alternative_names(names);
    ca.shaped_leaf(&[], |params| params.custom_extensions = vec![extension])
        .into()
}

/// A certificate for alpha.test with something else about it.
fn shaped(ca: &Ca, shape: impl FnOnce(&mut CertificateParams)) -> Shown {
    ca.shaped_leaf(&["alpha.test"], shape).into()
}

/// A certificate without alternative names.
fn common_name(ca: &Ca, name: &str) -> Shown {
    ca.shaped_leaf(&[], |params| {
        params.distinguished_name.push(DnType::CommonName, name);
    })
    .into()
}

const fn good(name: &'static str, issue: fn(&Ca) -> Shown) -> Row {
    Row {
        name,
        domain: "alpha.test",
        issue,
        refused: None,
    }
}

const fn bad(name: &'static str, because: &'static str, issue: fn(&Ca) -> Shown) -> Row {
    Row {
        name,
        domain: "alpha.test",
        issue,
        refused: Some(because),
    }
}

const ROWS: &[Row] = &[
    good("valid", |ca| ca.leaf(&["alpha.test"]).into()),
    good("valid, with an intermediate", |ca| {
        let middle = ca.intermediate("Middle", |_| {});
        let leaf = middle.leaf(&["alpha.test"]);
        below(middle, leaf)
    }),
    bad("self-signed", "self-signed", |_| {
        Leaf::self_signed(&["alpha.test"]).into()
    }),
    bad("unknown authority", "authority is unknown here", |_| {
        Ca::new("Stranger").leaf(&["alpha.test"]).into()
    }),
    bad("expired", "expired on", |ca| {
        shaped(ca, |params| {
            params.not_after = OffsetDateTime::now_utc() - Duration::minutes(1);
        })
    }),
    bad("not valid yet", "not valid before", |ca| {
        shaped(ca, |params| {
            params.not_before = OffsetDateTime::now_utc() + Duration::days(1);
        })
    }),
    bad("another name", "it names beta.test", |ca| {
        ca.leaf(&["beta.test"]).into()
    }),
    good("SRVName of servers", |ca| {
        named(ca, &[srv_name("_xmpp-server.alpha.test")])
    }),
    bad("SRVName of clients only", "it names no domain", |ca| {
        named(ca, &[srv_name("_xmpp-client.alpha.test")])
    }),
    good("XmppAddr", |ca| named(ca, &[xmpp_addr("alpha.test")])),
    Row {
        name: "wildcard for one label",
        domain: "conference.alpha.test",
        issue: |ca| ca.leaf(&["*.alpha.test"]).into(),
        refused: None,
    },
    Row {
        name: "wildcard for two labels",
        domain: "a.b.alpha.test",
        issue: |ca| ca.leaf(&["*.alpha.test"]).into(),
        refused: Some("it names *.alpha.test"),
    },
    bad("wildcard for none", "it names *.alpha.test", |ca| {
        ca.leaf(&["*.alpha.test"]).into()
    }),
    Row {
        name: "IDN as an A-label",
        domain: "bücher.test",
        issue: |ca| named(ca, &[dns_name("xn--bcher-kva.test")]),
        refused: None,
    },
    Row {
        name: "IDN as a U-label",
        domain: "bücher.test",
        issue: |ca| named(ca, &[dns_name("bücher.test")]),
        refused: Some(""),
    },
    bad("common name only", "it names no domain", |ca| {
        common_name(ca, "alpha.test")
    }),
    bad("a second name in the common name", "no domain", |ca| {
        common_name(ca, "beta.test,CN=alpha.test")
    }),
    bad("NUL in the common name", "no domain", |ca| {
        common_name(ca, "alpha.test\0.evil.test")
    }),
    bad("NUL in a dNSName", "no domain", |ca| {
        named(ca, &[dns_name("alpha.test\0.evil.test")])
    }),
    bad("an authority's own", "CA=true", |ca| {
        shaped(ca, |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        })
    }),
    bad("below a leaf", "", |ca| {
        let middle = ca.intermediate("Middle", |params| params.is_ca = IsCa::ExplicitNoCa);
        let leaf = middle.leaf(&["alpha.test"]);
        below(middle, leaf)
    }),
    bad("outside of name constraints", "name constraints", |ca| {
        let middle = constrained(ca, "beta.test");
        let leaf = middle.leaf(&["alpha.test"]);
        below(middle, leaf)
    }),
    bad(
        "outside of name constraints, by SRVName",
        "no domain",
        |ca| {
            let middle = constrained(ca, "beta.test");
            let names = alternative_names(&[srv_name("_xmpp-server.alpha.test")]);
            let leaf = middle.shaped_leaf(&[], |params| params.custom_extensions = vec![names]);
            below(middle, leaf)
        },
    ),
    bad(
        "outside of name constraints, by XmppAddr",
        "no domain",
        |ca| {
            let middle = constrained(ca, "beta.test");
            let names = alternative_names(&[xmpp_addr("alpha.test")]);
            let leaf = middle.shaped_leaf(&[], |params| params.custom_extensions = vec![names]);
            below(middle, leaf)
        },
    ),
    good("within name constraints", |ca| {
        let middle = constrained(ca, "alpha.test");
        let leaf = middle.leaf(&["alpha.test"]);
        below(middle, leaf)
    }),
    bad("revoked", "revoked", |ca| {
        shaped(ca, |params| {
            params.serial_number = Some(SerialNumber::from(REVOKED));
        })
    }),
    bad("below a revoked authority", "revoked", |ca| {
        let middle = ca.intermediate("Middle", |params| {
            params.serial_number = Some(SerialNumber::from(REVOKED));
        });
        let leaf = middle.leaf(&["alpha.test"]);
        below(middle, leaf)
    }),
    good("for servers only", |ca| {
        shaped(ca, |params| {
            params.extended_key_usages = vec![Eku::ServerAuth]
        })
    }),
    good("for clients only", |ca| {
        shaped(ca, |params| {
            params.extended_key_usages = vec![Eku::ClientAuth]
        })
    }),
    good("for no stated use", |ca| {
        shaped(ca, |params| params.extended_key_usages = vec![])
    }),
    bad("for mail only", "neither servers nor clients", |ca| {
        shaped(ca, |params| {
            params.extended_key_usages = vec![Eku::EmailProtection];
        })
    }),
    bad("unknown critical extension", "", |ca| {
        shaped(ca, |params| {
            let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions = vec![extension];
        })
    }),
];

/// The chain as the gateway got it, or why the handshake failed.
async fn present(
    tls: &Tls,
    way: Way,
    version: &'static SupportedProtocolVersion,
    name: &str,
    shown: Shown,
) -> Result<PeerChain, String> {
    let Shown(chain, certified) = shown;
    let side = match way {
        Way::Out => {
            let (near, far) = duplex(64 * 1024);
            let server = ServerConfig::builder_with_provider(pki::provider())
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
            let (local, remote) = (domain("org.test"), domain(name));
            let mode = TlsMode::StartTls;
            let (connected, _) = tokio::join!(
                tls.connect(Side::Federation, near, mode, &local, &remote),
                acceptor.accept(far)
            );
            let secured = connected.map_err(|error| error.to_string())?;
            assert_eq!(secured.chain, PeerChain::new(&chain));
            return Ok(secured.chain);
        }
        Way::In => Side::Federation,
        Way::Internal => Side::Internal,
    };
    let client = pki::client_speaking(&[version], Some(certified), &[]);
    let (served, _) = handshake(tls, side, to("org.test"), client, None).await;
    let secured = served.map_err(|error| error.to_string())?;
    assert_eq!(secured.chain, PeerChain::new(&chain));
    Ok(secured.chain)
}

#[tokio::test]
async fn v08_every_kind_of_certificate_on_every_way_in() {
    let mut house = House::new();
    let list = |ca: &Ca, name: &str| {
        let pem = ca.list(&[REVOKED]).pem().unwrap();
        vec![write(&house.dir.path().join(name), &pem)]
    };
    house.settings.crls = list(&house.public, "public.crl.pem");
    house.settings.internal_crls = list(&house.internal, "internal.crl.pem");
    let tls = house.tls();
    for row in ROWS {
        for way in [Way::In, Way::Out, Way::Internal] {
            let (ca, side) = match way {
                Way::In | Way::Out => (&house.public, Side::Federation),
                Way::Internal => (&house.internal, Side::Internal),
            };
            for version in [&TLS12, &TLS13] {
                let shown = (row.issue)(ca);
                let judged = present(&tls, way, version, row.domain, shown)
                    .await
                    .and_then(|chain| {
                        tls.judge(side, None, &chain, &domain(row.domain))
                            .map_err(|unproven| unproven.to_string())
                    });
                let told = format!("{}, {way:?}, {:?}: {judged:?}", row.name, version.version);
                match (row.refused, judged) {
                    (None, judged) => assert_eq!(judged, Ok(Proof::Pkix), "{told}"),
                    (Some(because), Err(reason)) => assert!(reason.contains(because), "{told}"),
                    (Some(_), Ok(_)) => panic!("{told}"),
                }
            }
        }
    }
}

/// Every authority of one name could have issued every other, and none leads to a root.
#[tokio::test]
async fn v09_a_chain_made_to_explode_costs_a_partner_that_connects_in_nothing_of_ours() {
    let house = House::new();
    let tls = house.tls();
    for names in [
        ["A"; 9],
        ["A", "A", "A", "B", "B", "B", "C", "C", "C"],
        ["A", "B", "C", "A", "B", "C", "A", "B", "C"],
    ] {
        let mut twins = names
            .iter()
            .zip(names.iter().cycle().skip(1))
            .map(|(name, issuer)| Ca::new(issuer).intermediate(name, |_| {}));
        let first = twins.next().unwrap();
        let leaf = first.leaf(&["alpha.test"]);
        let mut certified = leaf.certified();
        certified.cert.push(first.certificate);
        certified.cert.extend(twins.map(|twin| twin.certificate));
        let shown = Shown(certified.cert.clone(), certified);
        let chain = present(&tls, Way::In, &TLS13, "alpha.test", shown).await;
        let chain = chain.unwrap();
        // Of this thread's processor, so that a busy machine is no failure.
        let clock = || {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            std::time::Duration::try_from(time).unwrap()
        };
        let began = clock();
        tls.judge(Side::Federation, None, &chain, &domain("alpha.test"))
            .unwrap_err();
        let spent = clock() - began;
        assert!(
            spent < std::time::Duration::from_millis(100),
            "{names:?}: {spent:?}"
        );
    }
}
