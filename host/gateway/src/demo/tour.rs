//! The tour: what a gateway is for, shown step by step. Each step waits for its effect.

use std::time::Duration;

use portcullis_policy::journal;
use portcullis_xmpp::stanza::Subtype;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::server::PATIENCE;
use super::stage::Stage;
use super::{Failed, flow};
use crate::cli::terminal::Level;

pub(super) const ROMEO: &str = "romeo@org.test";
pub(super) const JULIET: &str = "juliet@alpha.test/balcony";
const SECRET: &str = "at Friar Laurence's cell until noon";

/// How often a file is looked at until it says what is expected.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// All of it.
pub(super) async fn tour(stage: &mut Stage) -> Result<(), Failed> {
    messages(stage).await?;
    presence(stage).await?;
    stranger(stage).await?;
    records(stage).await?;
    flow::reload(stage).await?;
    books(stage).await
}

async fn messages(stage: &mut Stage) -> Result<(), Failed> {
    stage.terminal.heading("A message each way");
    let (outside, inside) = (stage.ports.federation, stage.ports.internal);
    let (own, alpha) = (stage.org.domain.clone(), stage.alpha.domain.clone());
    stage.alpha.connect(&own, outside).await?;
    stage.ok("alpha.test connects in: STARTTLS, both certificates proven, SASL EXTERNAL, admitted by its partner record");
    stage
        .alpha
        .send(
            &own,
            message(JULIET, ROMEO, "m1", "Art thou not Romeo, and a Montague?"),
        )
        .await?;
    let arrived = stage.org.expect("m1").await?;
    stage.ok(&format!(
        "{JULIET} says to {ROMEO}: {}",
        arrived.body().unwrap_or_default()
    ));

    stage.org.connect(&alpha, inside).await?;
    stage.ok("org.test connects in from inside: mutual TLS, the gateway stands there as alpha.test with a minted certificate");
    stage
        .org
        .send(
            &alpha,
            message(
                ROMEO,
                JULIET,
                "m2",
                "Neither, fair maid, if either thee dislike.",
            ),
        )
        .await?;
    let arrived = stage.alpha.expect("m2").await?;
    stage.ok(&format!(
        "{ROMEO} answers: {}",
        arrived.body().unwrap_or_default()
    ));
    Ok(())
}

async fn presence(stage: &mut Stage) -> Result<(), Failed> {
    stage.terminal.heading("A presence loses its status text");
    let alpha = stage.alpha.domain.clone();
    let sent = format!(
        "<presence from='{ROMEO}/orchard' to='juliet@alpha.test' id='p1'><show>away</show><status>{SECRET}</status></presence>"
    );
    stage.org.send(&alpha, sent).await?;
    stage.say(&format!(
        "{ROMEO} is away, with the status text \"{SECRET}\""
    ));
    let arrived = stage.alpha.expect("p1").await?;
    let shown = arrived
        .child_text("show", "jabber:server")
        .unwrap_or_default();
    if arrived.to_xml().contains(SECRET) || shown != "away" {
        return Err(Failed::new("the presence at alpha.test", arrived.to_xml()));
    }
    stage.ok("alpha.test sees \"away\", and no text: the presence-filter plugin has taken it out");
    Ok(())
}

async fn stranger(stage: &mut Stage) -> Result<(), Failed> {
    stage.terminal.heading("A stranger is refused, both ways");
    let (outside, inside) = (stage.ports.federation, stage.ports.internal);
    let (own, gamma) = (stage.org.domain.clone(), stage.gamma.domain.clone());
    match stage.gamma.connect(&own, outside).await {
        Ok(()) => return Err(Failed::new("gamma.test", "it was let in")),
        Err(refused) if refused.to_string().contains("policy-violation") => {
            stage.ok(&format!("gamma.test connects in, and {}", refused.why));
        }
        Err(other) => return Err(other),
    }
    stage.org.connect(&gamma, inside).await?;
    stage
        .org
        .send(
            &gamma,
            message(ROMEO, "stranger@gamma.test", "m3", "Who art thou?"),
        )
        .await?;
    let answer = stage.org.expect("m3").await?;
    let refused = answer.subtype() == Subtype::Error
        && answer.contains("not-allowed", "urn:ietf:params:xml:ns:xmpp-stanzas");
    if !refused {
        return Err(Failed::new(
            "the answer to a message to gamma.test",
            answer.to_xml(),
        ));
    }
    stage.ok(&format!(
        "{ROMEO} writes to gamma.test and gets the error not-allowed, not a silence"
    ));
    Ok(())
}

async fn records(stage: &mut Stage) -> Result<(), Failed> {
    stage
        .terminal
        .heading("Each of it is in the audit journal, without a word of what was said");
    for (what, wanted) in [
        ("the message in", &[("id", "m1"), ("verdict", "pass")][..]),
        ("the message out", &[("id", "m2"), ("verdict", "pass")]),
        ("the presence", &[("id", "p1"), ("verdict", "pass")]),
        (
            "the stranger's stream",
            &[
                ("event", "stream"),
                ("partner", "gamma.test"),
                ("verdict", "refuse"),
            ],
        ),
        (
            "the message to the stranger",
            &[("id", "m3"), ("verdict", "reject")],
        ),
    ] {
        let record = stage.record(what, wanted).await?;
        stage.ok(&format!("{what}: {}", brief(&record)));
    }
    let text = std::fs::read_to_string(stage.journal().join("current.jsonl"))
        .map_err(|error| Failed::new("the journal", error))?;
    if text.contains("Montague") || text.contains(SECRET) {
        return Err(Failed::new("the journal", "it holds what was said"));
    }
    let report =
        journal::verify(&stage.journal()).map_err(|broken| Failed::new("the journal", broken))?;
    stage.ok(&format!(
        "{} records, each chained to the one before by its hash",
        report.records
    ));
    Ok(())
}

async fn books(stage: &mut Stage) -> Result<(), Failed> {
    stage.terminal.heading("The books balance");
    let settling = async {
        loop {
            let text = stage.gateway.metrics().unwrap_or_default();
            let received = total(&text, "portcullis_stanzas_received_total{");
            if received > 0 && received == total(&text, "portcullis_stanzas_total{") {
                return received;
            }
            sleep(LOOK).await;
        }
    };
    let received = timeout(PATIENCE, settling).await;
    let received =
        received.map_err(|_| Failed::new("the counters", "received and settled differ"))?;
    stage.ok(&format!(
        "{received} stanzas received = {received} delivered, bounced or dropped"
    ));
    Ok(())
}

impl Stage {
    pub(super) fn ok(&self, text: &str) {
        self.terminal.mark(Level::Ok, text, None);
    }

    pub(super) fn say(&self, text: &str) {
        self.terminal.line(&format!("    {text}"));
    }

    /// Waits for a record with these fields.
    async fn record(&self, what: &str, wanted: &[(&str, &str)]) -> Result<Value, Failed> {
        let file = self.journal().join("current.jsonl");
        let fits = |record: &Value| {
            wanted
                .iter()
                .all(|(key, value)| record.get(key).and_then(Value::as_str) == Some(value))
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let mut records = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            if let Some(record) = records.find(fits) {
                return Ok(record);
            }
            if Instant::now() > deadline {
                return Err(Failed::new(
                    format!("the audit record of {what}"),
                    "it is not there",
                ));
            }
            sleep(LOOK).await;
        }
    }
}

/// The sum of a counter over all its labels, in the text that `/metrics` serves.
fn total(metrics: &str, counter: &str) -> u64 {
    metrics
        .lines()
        .filter(|line| line.starts_with(counter))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

pub(super) fn message(from: &str, to: &str, id: &str, body: &str) -> String {
    format!("<message from='{from}' to='{to}' id='{id}' type='chat'><body>{body}</body></message>")
}

/// What a record says, without what never changes.
fn brief(record: &Value) -> String {
    [
        "verdict",
        "plugin",
        "reason",
        "tls",
        "method",
        "bytes",
        "elapsed_us",
    ]
    .iter()
    .filter_map(|key| match record.get(key)? {
        Value::String(text) => Some(format!("{key}={text}")),
        Value::Number(number) => Some(format!("{key}={number}")),
        _ => None,
    })
    .collect::<Vec<_>>()
    .join(" ")
}
