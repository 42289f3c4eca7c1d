//! A DNS server for tests whose zone `test.` is signed, with an unsigned `plain.test.` below it.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hickory_server::Server;
use hickory_server::dnssec::NxProofKind;
use hickory_server::net::runtime::{Time, TokioRuntimeProvider};
use hickory_server::proto::dnssec::crypto::EcdsaSigningKey;
use hickory_server::proto::dnssec::rdata::DNSKEY;
use hickory_server::proto::dnssec::{Algorithm, DnssecSigner, SigningKey};
use hickory_server::proto::rr::rdata::{A, CNAME, NS, SOA, SRV, TLSA};
use hickory_server::proto::rr::{Name, RData, Record, RecordType, RrKey};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType};
use tokio::net::UdpSocket;

const TTL: u32 = 60;

type Zone = InMemoryZoneHandler<TokioRuntimeProvider>;

/// What the server says.
pub struct Signed {
    parent: Zone,
    child: Zone,
    forged: Vec<(Name, RData)>,
}

impl Signed {
    /// Without any hosts.
    #[allow(clippy::new_without_default, reason = "a zone is made, not assumed")]
    pub fn new() -> Self {
        let mut parent = zone("test", Some(NxProofKind::Nsec));
        parent.upsert_mut(
            record("plain.test", RData::NS(NS(name("ns.plain.test")))),
            0,
        );
        Self {
            parent,
            child: zone("plain.test", None),
            forged: Vec::new(),
        }
    }

    /// This record, too.
    pub fn with(mut self, owner: &str, data: RData) -> Self {
        let zone = match name("plain.test").zone_of(&name(owner)) {
            true => &mut self.child,
            false => &mut self.parent,
        };
        assert!(zone.upsert_mut(record(owner, data), 0), "{owner}");
        self
    }

    /// Where the domain takes streams of servers.
    pub fn srv(self, domain: &str, port: u16, target: &str) -> Self {
        let service = format!("_xmpp-server._tcp.{domain}");
        self.with(&service, RData::SRV(SRV::new(0, 0, port, name(target))))
    }

    /// The address of a host.
    pub fn a(self, host: &str, address: &str) -> Self {
        self.with(host, RData::A(A(Ipv4Addr::from_str(address).unwrap())))
    }

    /// Another name of a host.
    pub fn cname(self, host: &str, target: &str) -> Self {
        self.with(host, RData::CNAME(CNAME(name(target))))
    }

    /// `kind`: usage, selector, matching.
    pub fn tlsa(self, host: &str, port: u16, kind: [u8; 3], data: &[u8]) -> Self {
        self.with(&format!("_{port}._tcp.{host}"), tlsa(kind, data))
    }

    /// After signing, the record of this name and type says something else.
    pub fn forged(mut self, owner: &str, data: RData) -> Self {
        self.forged.push((name(owner), data));
        self
    }

    /// Serves the zones until the test's runtime ends; returns where, and the zone's key as a file of
    /// trust anchors has it.
    pub async fn serve(mut self) -> (SocketAddr, String) {
        let algorithm = Algorithm::ECDSAP256SHA256;
        let pkcs8 = EcdsaSigningKey::generate_pkcs8(algorithm).unwrap();
        let key = EcdsaSigningKey::from_pkcs8(&pkcs8, algorithm).unwrap();
        let public = key.to_public_key().unwrap();
        let anchors = format!(
            "test. {TTL} IN DNSKEY 257 3 13 {}\n",
            BASE64_STANDARD.encode(hickory_server::proto::dnssec::PublicKey::public_bytes(
                &public
            ))
        );
        let signer = DnssecSigner::new(
            DNSKEY::from_key(&public),
            Box::new(key),
            name("test"),
            Duration::from_secs(3600),
        );
        self.parent.add_zone_signing_key_mut(signer).unwrap();
        self.parent.secure_zone_mut().unwrap();
        for (owner, data) in self.forged {
            let key = RrKey::new((&owner).into(), data.record_type());
            let records = self.parent.records_get_mut().get_mut(&key).unwrap();
            Arc::make_mut(records).set_records(vec![Record::from_rdata(owner, TTL, data)]);
        }
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut server = Server::new(Zones {
            parent: catalog("test", self.parent),
            child: catalog("plain.test", self.child),
        });
        server.register_socket(socket);
        tokio::spawn(async move { server.block_until_done().await });
        (address, anchors)
    }
}

/// The data of a TLSA record.
pub fn tlsa([usage, selector, matching]: [u8; 3], data: &[u8]) -> RData {
    RData::TLSA(TLSA::new(
        usage.into(),
        selector.into(),
        matching.into(),
        data.to_vec(),
    ))
}

fn zone(origin: &str, proof: Option<NxProofKind>) -> Zone {
    let mut zone = Zone::empty(name(origin), ZoneType::Primary, AxfrPolicy::Deny, proof);
    let soa = SOA::new(name("ns.test"), name("root.test"), 1, 60, 60, 60, TTL);
    zone.upsert_mut(record(origin, RData::SOA(soa)), 0);
    zone.upsert_mut(record(origin, RData::NS(NS(name("ns.test")))), 0);
    zone
}

fn catalog(origin: &str, zone: Zone) -> Catalog {
    let mut catalog = Catalog::new();
    let handler: Arc<dyn ZoneHandler> = Arc::new(zone);
    catalog.upsert(name(origin).into(), vec![handler]);
    catalog
}

fn record(owner: &str, data: RData) -> Record {
    Record::from_rdata(name(owner), TTL, data)
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{}.", text.trim_end_matches('.'))).unwrap()
}

/// As a resolver would, asks the parent for DS records and the child for everything else.
struct Zones {
    parent: Catalog,
    child: Catalog,
}

impl RequestHandler for Zones {
    fn handle_request<'s, 'r, 'f, R, T>(
        &'s self,
        request: &'r Request,
        response: R,
    ) -> Pin<Box<dyn Future<Output = ResponseInfo> + Send + 'f>>
    where
        R: 'f + ResponseHandler,
        T: 'f + Time,
        's: 'f,
        'r: 'f,
        Self: 'f,
    {
        let query = request.request_info().unwrap().query;
        let below = name("plain.test").zone_of(&query.name().into());
        let catalog = match below && query.query_type() != RecordType::DS {
            true => &self.child,
            false => &self.parent,
        };
        RequestHandler::handle_request::<R, T>(catalog, request, response)
    }
}
