//! The demo's DNS: SRV and A records of its partners on a loopback port, and nothing else.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

/// Seconds that an answer may be remembered. The demo's records never change.
const TTL: u32 = 60;
/// RFC 6891 §6.2.5: what resolvers of today send at most.
const MOST: usize = 4096;

/// Serves `_xmpp-server._tcp` and A records for each domain, until the runtime ends.
///
/// # Errors
/// No UDP port on loopback.
pub(super) async fn serve(ports: BTreeMap<String, u16>) -> io::Result<SocketAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    tokio::spawn(async move {
        let mut buffer = [0; MOST];
        while let Ok((size, from)) = socket.recv_from(&mut buffer).await {
            let question = buffer.get(..size).unwrap_or_default();
            if let Some(answer) = answer(question, &ports) {
                // A resolver that is gone asks again.
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    Ok(address)
}

fn answer(question: &[u8], ports: &BTreeMap<String, u16>) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?.clone();
    let mut response = Message::response(question.metadata.id, OpCode::Query);
    response.add_query(query.clone());
    let name = query.name().to_string().to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    let (service, domain) = match name.strip_prefix("_xmpp-server._tcp.") {
        Some(domain) => (true, domain),
        None => (false, name),
    };
    let Some(port) = ports.get(domain) else {
        response.metadata.response_code = ResponseCode::NXDomain;
        return response.to_vec().ok();
    };
    let data = match query.query_type() {
        RecordType::SRV if service => {
            let target = Name::from_ascii(format!("{domain}.")).ok()?;
            Some(RData::SRV(SRV::new(0, 0, *port, target)))
        }
        RecordType::A if !service => Some(RData::A(A(Ipv4Addr::LOCALHOST))),
        _ => None,
    };
    let record = data.map(|data| Record::from_rdata(query.name().clone(), TTL, data));
    response.add_answers(record);
    response.to_vec().ok()
}
