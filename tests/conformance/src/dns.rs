//! A resolver on loopback that knows what it was told and counts what it is asked.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What is answered for one name and type.
#[derive(Debug, Clone)]
pub enum Answer {
    /// SRV: priority, weight, port, target.
    Srv(Vec<(u16, u16, u16, &'static str)>),
    /// A.
    A(Vec<Ipv4Addr>),
    /// RCODE 2.
    ServFail,
}

/// See the module. Names that it was not told of do not exist; other types of known names are empty.
pub struct Dns {
    /// Where it answers.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Dns {
    /// Starts with these answers, by name (lower case, no dot at the end).
    pub async fn start(answers: Vec<(&'static str, Answer)>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut zone: BTreeMap<&str, Vec<Answer>> = BTreeMap::new();
        for (name, answer) in answers {
            zone.entry(name).or_default().push(answer);
        }
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((size, from)) = socket.recv_from(&mut buffer).await {
                let Some((name, kind, question)) = question(&buffer[..size]) else {
                    continue;
                };
                log.lock().unwrap().push(name.clone());
                let reply = reply(&buffer[..2], zone.get(&name[..]), kind, question);
                let _gone = socket.send_to(&reply, from).await;
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    /// The names that it was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const A: u16 = 1;
const SRV: u16 = 33;

/// The name, the type, and the bytes of the question section's one entry.
fn question(message: &[u8]) -> Option<(String, u16, &[u8])> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]);
    Some((labels.join("."), kind, message.get(12..at + 4)?))
}

fn reply(id: &[u8], known: Option<&Vec<Answer>>, kind: u16, question: &[u8]) -> Vec<u8> {
    let mut records: Vec<Vec<u8>> = Vec::new();
    let mut code = if known.is_some() { 0 } else { 3 };
    for answer in known.into_iter().flatten() {
        match answer {
            Answer::ServFail => code = 2,
            Answer::A(addresses) if kind == A => {
                records.extend(addresses.iter().map(|address| address.octets().to_vec()));
            }
            Answer::Srv(targets) if kind == SRV => {
                for (priority, weight, port, target) in targets {
                    let mut data = Vec::new();
                    for number in [priority, weight, port] {
                        data.extend(number.to_be_bytes());
                    }
                    for label in target.split('.').filter(|label| !label.is_empty()) {
                        data.push(u8::try_from(label.len()).unwrap());
                        data.extend(label.as_bytes());
                    }
                    data.push(0);
                    records.push(data);
                }
            }
            Answer::A(_) | Answer::Srv(_) => {}
        }
    }
    let mut message = id.to_vec();
    // A response, recursion wanted and available; one question.
    message.extend([0x81, 0x80 | code, 0, 1]);
    message.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
    message.extend([0, 0, 0, 0]);
    message.extend(question);
    for data in records {
        // The name of the question, class IN, a minute.
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 60]);
        message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend(data);
    }
    message
}
