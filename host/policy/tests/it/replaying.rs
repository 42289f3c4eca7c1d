//! Recorded stanzas before another chain.

use portcullis_policy::capture::{Captured, Line, PeerFacts};
use portcullis_policy::replay::{Known, Outcome, Reader, Replay};
use portcullis_policy::{
    Decision, Generation, GenerationSpec, PartnerRecord, PartnerType, Partners, PluginSpec,
};
use portcullis_xmpp::stream::Authenticated;
use serde_json::{Value, json};

use crate::support::{Stream, World, domain, plugin};

async fn replay(world: &World, plugins: Vec<PluginSpec>) -> Replay {
    let record = PartnerRecord {
        kind: PartnerType::Federated,
        subdomains: false,
        valid_until: None,
    };
    let spec = GenerationSpec {
        number: 1,
        plugins,
        partners: Partners::from_iter([(domain("alpha.test"), record)]),
        stanza_bytes: 64 * 1024,
        plugin_keys: Vec::new(),
    };
    let built = Replay::build(&world.engine, world.services.clone(), spec).await;
    built.unwrap()
}

/// The lines of a capture of these stanzas, as this generation judges them.
async fn captured(generation: &Generation, stanzas: Vec<Authenticated>) -> Vec<String> {
    let mut lines = Vec::new();
    for stanza in stanzas {
        let judged = generation.judge(stanza).await;
        let decision = Decision::of_stanza(&judged);
        if lines.is_empty() {
            lines.push(r#"{"capture":{"version":1,"gateway":"0","began":"","until":"","max_bytes":1,"partner":null}}"#.to_owned());
            let facts = PeerFacts::of(judged.peer(), 1);
            lines.push(serde_json::to_string(&Line::Peer(Box::new(facts))).unwrap());
        }
        let captured = Captured::of(&decision, 1).unwrap();
        lines.push(serde_json::to_string(&Line::Stanza(Box::new(captured))).unwrap());
    }
    lines
}

/// The records of an audit journal about the same.
async fn journalled(generation: &Generation, stanzas: Vec<Authenticated>) -> Vec<String> {
    let mut lines = Vec::new();
    for stanza in stanzas {
        let judged = generation.judge(stanza).await;
        lines.push(Decision::of_stanza(&judged).json());
    }
    lines
}

/// `same`, `not decidable by PLUGIN`, `edits` or the verdict that there would be.
async fn outcomes(replay: &mut Replay, lines: &[String]) -> Vec<String> {
    let mut reader = Reader::default();
    let mut outcomes = Vec::new();
    for line in lines {
        let Some(case) = reader.read(line).unwrap() else {
            continue;
        };
        outcomes.push(match replay.judge(&case).await {
            Outcome::Same => "same".to_owned(),
            Outcome::Different {
                passed: Some(_), ..
            } => "edits".to_owned(),
            Outcome::Different { would, .. } => would.verdict,
            Outcome::NotDecidable { by } => format!("not decidable by {by}"),
        });
    }
    outcomes
}

const SCRIPTS: [&str; 6] = [
    "plain",
    "a:edit",
    "a:reject:no",
    "b:reject:no",
    "b:edit",
    "b:drop:no",
];

fn traffic() -> Vec<Authenticated> {
    let mut stream = Stream::from_partner("alpha.test");
    SCRIPTS
        .iter()
        .map(|script| stream.message(script))
        .collect()
}

#[tokio::test]
async fn the_same_chain_ends_everything_as_it_did() {
    let world = World::new();
    let chain = || vec![plugin("a", json!({})), plugin("b", json!({}))];
    let generation = world.build(chain()).await.unwrap();
    let lines = captured(&generation, traffic()).await;
    let mut again = replay(&world, chain()).await;
    assert_eq!(outcomes(&mut again, &lines).await, ["same"; 6]);
}

#[tokio::test]
async fn another_chain_ends_otherwise_what_it_has_something_against() {
    let mut world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let lines = captured(&generation, traffic()).await;
    let mut other = replay(&world, vec![plugin("b", json!({}))]).await;
    assert_eq!(
        outcomes(&mut other, &lines).await,
        ["same", "edits", "pass", "reject", "edits", "drop"]
    );
    let closed = vec![plugin("a", json!({"refuse": ["alpha.test"]}))];
    let mut closed = replay(&world, closed).await;
    let ends = outcomes(&mut closed, &lines).await;
    assert_eq!(ends, ["drop"; 6], "its stream would be refused");
    assert!(world.emitted.try_recv().is_err());
}

#[tokio::test]
async fn without_content_a_plugin_that_reads_it_decides_nothing() {
    let world = World::new();
    let generation = world.build(Vec::new()).await.unwrap();
    let lines = journalled(&generation, traffic()).await;
    let mut reading = replay(&world, vec![plugin("a", json!({}))]).await;
    assert_eq!(
        outcomes(&mut reading, &lines).await,
        ["not decidable by plugin-a"; 6]
    );
    let mut blind = replay(&world, Vec::new()).await;
    assert_eq!(outcomes(&mut blind, &lines).await, ["same"; 6]);

    // Addresses alone suffice a gatekeeper.
    let closed = vec![plugin("a", json!({"refuse": ["alpha.test"]}))];
    let mut closed = replay(&world, closed).await;
    assert_eq!(outcomes(&mut closed, &lines).await, ["drop"; 6]);
}

#[tokio::test]
async fn without_content_a_header_is_decided_by() {
    let world = World::new();
    let generation = world.build(Vec::new()).await.unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    let iq = "<iq from='romeo@alpha.test/x' to='juliet@org.test' type='get' id='i'><ping xmlns='urn:xmpp:ping'/></iq>";
    let lines = journalled(&generation, vec![stream.receive(iq)]).await;
    let dropping = vec![plugin("a", json!({"drop_iq": true}))];
    let mut dropping = replay(&world, dropping).await;
    // A request is answered even if a plugin drops it.
    assert_eq!(outcomes(&mut dropping, &lines).await, ["reject"]);
}

#[tokio::test]
async fn a_record_that_does_not_tell_what_a_header_holds_decides_nothing() {
    let world = World::new();
    let generation = world.build(Vec::new()).await.unwrap();
    let lines = journalled(&generation, traffic()).await;
    let older = |line: &String| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        record.as_object_mut().unwrap().remove("payloads");
        record.to_string()
    };
    let lines: Vec<_> = lines.iter().map(older).collect();
    let case = Reader::default().read(&lines[0]).unwrap().unwrap();
    assert_eq!(case.known, Known::Nothing);
    let dropping = vec![plugin("a", json!({"drop_iq": true}))];
    let mut replayed = replay(&world, dropping).await;
    assert_eq!(
        outcomes(&mut replayed, &lines).await,
        ["not decidable by plugin-a"; 6]
    );
}

#[test]
fn a_line_that_is_no_record_is_named() {
    let mut reader = Reader::default();
    assert_eq!(reader.read("{}").unwrap_err().line, 1);
    let mut reader = Reader::default();
    let newer = r#"{"capture":{"version":2,"gateway":"0","began":"","until":"","max_bytes":1,"partner":null}}"#;
    let error = reader.read(newer).unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
}
