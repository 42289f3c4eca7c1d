//! A stream that org.test opens to alpha.test: what every script begins with, and how it is played.

mod authenticating;
mod ending;
mod opening;
mod starttls;

use super::*;
use crate::error::{ErrorType, StanzaCondition};

const FEATURES_TLS: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";
const FEATURES_EXTERNAL: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism></mechanisms><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>";
const FEATURES_LAST: &str = "<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const TLS_FAILURE: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";

fn alpha(id: &str) -> String {
    header(&format!(
        "from='alpha.test' to='org.test' id='{id}' version='1.0' xml:lang='en'"
    ))
}

fn error(condition: &str) -> String {
    format!(
        "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
    )
}

fn direct() -> Start {
    Start::Tls(tls(TlsMode::Direct, Some("alpha.test")))
}

pub(super) fn stream(start: Start) -> Outbound {
    let settings = OutboundSettings {
        limits: limits(),
        direction: Direction::Outbound,
        address: None,
        local: domain("org.test"),
        remote: domain("alpha.test"),
        terms: Terms::CERTIFICATE,
        secret: Secret::new("s3cr3t"),
        purpose: Purpose::Stanzas,
        idle_seconds: None,
    };
    Outbound::new(settings, start)
}

fn drain(
    stream: &mut Outbound,
    answers: &Answers,
    outcome: &mut Outcome,
    failure: &mut Option<OutboundFailure>,
) {
    while let Some(action) = stream.next() {
        match action {
            OutboundAction::Send(bytes) => outcome
                .sent
                .push_str(&brief(std::str::from_utf8(&bytes).unwrap())),
            OutboundAction::StartTls { server_name } => {
                outcome.sent.push_str("[TLS]");
                outcome.events.push(format!("tls {server_name}"));
                assert_eq!(stream.phase(), Phase::Handshake);
                stream.tls_established(tls(TlsMode::StartTls, Some("alpha.test")));
            }
            OutboundAction::Ask(question) => {
                outcome.events.push(describe(&question));
                assert!(stream.next().is_none(), "nothing happens before the answer");
                stream.answer(answers.to(&question));
            }
            OutboundAction::Established(peer) => {
                outcome.events.push(format!(
                    "established {} -> {} {}",
                    peer.local, peer.remote, peer.stream_id
                ));
                assert_eq!(stream.phase(), Phase::Established);
            }
            OutboundAction::Stanza(stanza) => outcome
                .events
                .push(format!("stanza {}", stanza.stanza().to_xml())),
            OutboundAction::BadStanza { fault, .. } => outcome
                .events
                .push(format!("bad {}", fault.error.condition)),
            OutboundAction::Management(nonza) => outcome.events.push(format!("{nonza:?}")),
            OutboundAction::FallingBack(why) => outcome.events.push(format!("falls back: {why}")),
            OutboundAction::Verified(verified) => outcome.events.push(format!("{verified:?}")),
            OutboundAction::Failed(why) => {
                outcome.events.push(format!("failed: {why}"));
                *failure = Some(why);
                assert_eq!(stream.phase(), Phase::Closed);
            }
            OutboundAction::Closed(end) => {
                outcome.events.push(format!("closed: {end}"));
                assert_eq!(stream.phase(), Phase::Closed);
            }
        }
    }
}

fn once(
    start: Start,
    answers: &Answers,
    script: &[In],
    pieces: Pieces,
) -> (Outcome, Option<OutboundFailure>) {
    let mut stream = stream(start);
    let mut outcome = Outcome::default();
    let mut failure = None;
    drain(&mut stream, answers, &mut outcome, &mut failure);
    for step in script {
        match step {
            In::Bytes(text) => {
                for piece in pieces.cut(text.as_bytes()) {
                    stream.receive(piece);
                    drain(&mut stream, answers, &mut outcome, &mut failure);
                }
            }
            In::Eof => stream.eof(),
            In::Close(error) => stream.close(error.clone()),
            In::TlsFailed => stream.tls_failed("alert"),
        }
        drain(&mut stream, answers, &mut outcome, &mut failure);
    }
    (outcome, failure)
}

#[track_caller]
fn play_with(start: Start, answers: &Answers, script: &[In]) -> (Outcome, Option<OutboundFailure>) {
    let whole = once(start.clone(), answers, script, Pieces::Whole);
    let bytes = once(start, answers, script, Pieces::Bytes);
    assert_eq!(whole, bytes, "how bytes are cut must not matter");
    whole
}

#[track_caller]
fn play(start: Start, script: &[In]) -> Outcome {
    play_with(start, &Answers::yes(), script).0
}

#[track_caller]
fn failure(start: Start, script: &[In]) -> (Outcome, OutboundFailure) {
    let (outcome, failure) = play_with(start, &Answers::yes(), script);
    let failure = failure.unwrap_or_else(|| panic!("it did not fail: {outcome:#?}"));
    (outcome, failure)
}

#[track_caller]
fn row(failure: &OutboundFailure, condition: StanzaCondition, error_type: ErrorType) {
    let error = failure.stanza_error();
    assert_eq!(
        (error.condition, error.error_type),
        (condition, error_type),
        "{failure}"
    );
    assert_eq!(error.text, Some(failure.to_string()));
}

/// Table 4b: something has to change before a second try makes sense.
#[track_caller]
fn row_refused(failure: &OutboundFailure) {
    row(
        failure,
        StanzaCondition::RemoteServerTimeout,
        ErrorType::Cancel,
    );
}

/// Everything up to the established stream, then the script.
#[track_caller]
fn established(script: &[In]) -> Outcome {
    let mut all = vec![
        bytes(&format!("{}{FEATURES_EXTERNAL}", alpha("p1"))),
        bytes(SUCCESS),
        bytes(&format!("{}{FEATURES_LAST}", alpha("p2"))),
    ];
    all.extend_from_slice(script);
    let outcome = play(direct(), &all);
    assert_eq!(
        outcome.events[2], "established org.test -> alpha.test p2",
        "{outcome:#?}"
    );
    outcome
}
