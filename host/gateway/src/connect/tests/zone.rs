//! A DNS server for tests: one zone, UDP, on a loopback port.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

use crate::connect::{Dialer, Settings};

const TTL: u32 = 60;

/// What the test DNS server says about one name; everything else does not exist.
#[derive(Default)]
pub(super) struct Zone {
    records: HashMap<(Name, RecordType), Vec<RData>>,
    broken: Vec<Name>,
    silent: Vec<(Name, RecordType)>,
}

impl Zone {
    pub(super) fn srv(mut self, service: &str, priority: u16, port: u16, target: &str) -> Self {
        let record = RData::SRV(SRV::new(priority, 0, port, name(target)));
        self.records
            .entry((name(service), RecordType::SRV))
            .or_default()
            .push(record);
        self
    }

    pub(super) fn a(mut self, host: &str, address: &str) -> Self {
        let record = RData::A(A(Ipv4Addr::from_str(address).unwrap()));
        self.records
            .entry((name(host), RecordType::A))
            .or_default()
            .push(record);
        self
    }

    pub(super) fn aaaa(mut self, host: &str, address: &str) -> Self {
        let record = RData::AAAA(AAAA(Ipv6Addr::from_str(address).unwrap()));
        self.records
            .entry((name(host), RecordType::AAAA))
            .or_default()
            .push(record);
        self
    }

    pub(super) fn cname(mut self, host: &str, target: &str) -> Self {
        let record = RData::CNAME(CNAME(name(target)));
        self.records
            .insert((name(host), RecordType::CNAME), vec![record]);
        self
    }

    /// Never answers this question.
    pub(super) fn silent(mut self, host: &str, kind: RecordType) -> Self {
        self.silent.push((name(host), kind));
        self
    }

    pub(super) fn broken(mut self, host: &str) -> Self {
        self.broken.push(name(host));
        self
    }

    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).unwrap();
        let query = question.queries.first().unwrap().clone();
        let mut response = Message::response(question.metadata.id, OpCode::Query);
        response.add_query(query.clone());
        let key = Name::from_str(&query.name().to_string().to_ascii_lowercase()).unwrap();
        if self.silent.contains(&(key.clone(), query.query_type())) {
            return None;
        }
        // As resolvers do, an alias comes with what it stands for.
        let alias = self.records.get(&(key.clone(), RecordType::CNAME));
        let key = match alias.and_then(|records| records.first()) {
            Some(RData::CNAME(target)) => {
                let record = RData::CNAME(target.clone());
                response.add_answer(Record::from_rdata(query.name().clone(), TTL, record));
                target.0.clone()
            }
            _ => key,
        };
        response.metadata.response_code = if self.broken.contains(&key) {
            ResponseCode::ServFail
        } else if let Some(found) = self.records.get(&(key.clone(), query.query_type())) {
            let records = found
                .iter()
                .map(|data| Record::from_rdata(key.clone(), TTL, data.clone()));
            response.add_answers(records);
            ResponseCode::NoError
        } else if self.records.keys().any(|(name, _)| *name == key) {
            ResponseCode::NoError
        } else {
            ResponseCode::NXDomain
        };
        Some(response.to_vec().unwrap())
    }

    /// Serves this zone on a loopback port until the test's runtime ends.
    pub(super) async fn serve(self) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((size, from)) = socket.recv_from(&mut buffer).await {
                if let Some(answer) = self.answer(buffer.get(..size).unwrap()) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        address
    }

    pub(super) async fn dialer(self) -> Dialer {
        let servers = vec![self.serve().await];
        Dialer::new(Settings {
            servers,
            allow_private: true,
            ..Settings::default()
        })
        .unwrap()
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{}.", text.trim_end_matches('.'))).unwrap()
}
