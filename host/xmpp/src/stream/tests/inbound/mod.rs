//! A stream that alpha.test opens to org.test: what every script begins with, and how it is played.

mod authenticating;
mod ending;
mod opening;
mod stanzas;
mod starttls;

use super::*;

const AUTH: &str =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>YWxwaGEudGVzdA==</auth>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const MESSAGE: &str =
    "<message from='romeo@alpha.test' to='juliet@org.test' type='chat'><body>hi</body></message>";

/// Prosody's, with its empty id.
fn alpha() -> String {
    header("from='alpha.test' to='org.test' id='' version='1.0' xml:lang='en'")
}

fn stream(start: Start) -> Inbound {
    let settings = InboundSettings {
        limits: limits(),
        direction: Direction::Inbound,
        address: None,
        fallback: Some(domain("org.test")),
        pairs: InboundSettings::PAIRS,
        idle_seconds: None,
    };
    let mut count = 0;
    let ids = Box::new(move || {
        count += 1;
        format!("s{count}")
    });
    Inbound::new(settings, ids, start)
}

fn direct() -> Start {
    Start::Tls(tls(TlsMode::Direct, Some("org.test")))
}

fn drain(stream: &mut Inbound, answers: &Answers, sni: Option<&str>, outcome: &mut Outcome) {
    while let Some(action) = stream.next() {
        match action {
            InboundAction::Send(bytes) => outcome
                .sent
                .push_str(&brief(std::str::from_utf8(&bytes).unwrap())),
            InboundAction::StartTls { to } => {
                outcome.sent.push_str("[TLS]");
                outcome.events.push(format!("tls {to}"));
                assert_eq!(stream.phase(), Phase::Handshake);
                stream.tls_established(tls(TlsMode::StartTls, sni));
            }
            InboundAction::Ask(question) => {
                outcome.events.push(describe(&question));
                assert!(stream.next().is_none(), "nothing happens before the answer");
                stream.answer(answers.to(&question));
            }
            InboundAction::Established(peer) => {
                outcome.events.push(format!(
                    "established {} -> {} {}",
                    peer.remote, peer.local, peer.stream_id
                ));
                assert_eq!(peer.method, Some(Method::External(Proof::Pkix)));
                assert_eq!(stream.phase(), Phase::Established);
            }
            InboundAction::Stanza(stanza) => outcome
                .events
                .push(format!("stanza {}", stanza.stanza().to_xml())),
            InboundAction::BadStanza { fault, .. } => {
                let reply = fault.reply.map_or("-".to_owned(), |reply| reply.to_xml());
                outcome
                    .events
                    .push(format!("bad {} {reply}", fault.error.condition));
            }
            InboundAction::Verify(asked) => outcome.events.push(format!(
                "verify {} -> {}",
                asked.originating, asked.receiving
            )),
            InboundAction::Management(nonza) => outcome.events.push(format!("{nonza:?}")),
            InboundAction::Close(end) => {
                outcome.events.push(format!("close: {end}"));
                assert_eq!(stream.phase(), Phase::Closed);
            }
        }
    }
}

fn once(
    start: Start,
    sni: Option<&str>,
    answers: &Answers,
    script: &[In],
    pieces: Pieces,
) -> Outcome {
    let mut stream = stream(start);
    let mut outcome = Outcome::default();
    for step in script {
        match step {
            In::Bytes(text) => {
                for piece in pieces.cut(text.as_bytes()) {
                    stream.receive(piece);
                    drain(&mut stream, answers, sni, &mut outcome);
                }
            }
            In::Eof => stream.eof(),
            In::Close(error) => stream.close(error.clone()),
            In::TlsFailed => stream.tls_failed("alert"),
        }
        drain(&mut stream, answers, sni, &mut outcome);
    }
    outcome
}

#[track_caller]
fn play_with(start: Start, sni: Option<&str>, answers: Answers, script: &[In]) -> Outcome {
    let whole = once(start.clone(), sni, &answers, script, Pieces::Whole);
    let bytes = once(start, sni, &answers, script, Pieces::Bytes);
    assert_eq!(whole, bytes, "how bytes are cut must not matter");
    whole
}

#[track_caller]
fn play(start: Start, script: &[In]) -> Outcome {
    play_with(start, None, Answers::yes(), script)
}

/// An established stream from alpha.test to org.test, then the script.
#[track_caller]
fn established(script: &[In]) -> Outcome {
    let mut all = vec![bytes(&alpha()), bytes(AUTH), bytes(&alpha())];
    all.extend_from_slice(script);
    let outcome = play(direct(), &all);
    assert_eq!(
        outcome.events[3], "established alpha.test -> org.test s2",
        "{outcome:#?}"
    );
    outcome
}
