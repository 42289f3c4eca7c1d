//! The tour: what a gateway is for, shown step by step. Each step waits for its effect.

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis_policy::journal;
use portcullis_xmpp::stanza::{Kind, Subtype};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::Failed;
use super::server::{PATIENCE, Server};
use super::stage::{ALLOWED_FIRST, Stage};
use crate::cli::terminal::Level;

const ROMEO: &str = "romeo@org.test";
const JULIET: &str = "juliet@alpha.test/balcony";
const NURSE: &str = "nurse@beta.test/kitchen";
const STRANGER: &str = "stranger@gamma.test/street";
const SECRET: &str = "at Friar Laurence's cell until noon";

/// Time between two stanzas of the flow: some hundred a second each way, while a reload takes a
/// fraction of one.
const PACE: Duration = Duration::from_millis(3);
/// Stanzas that follow after the new policy judges, each way.
const AFTERWARDS: usize = 100;
/// How often a file is looked at until it says what is expected.
const LOOK: Duration = Duration::from_millis(50);

/// All of it.
pub(super) async fn tour(stage: &mut Stage) -> Result<(), Failed> {
    messages(stage).await?;
    presence(stage).await?;
    stranger(stage).await?;
    records(stage).await?;
    reload(stage).await?;
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

async fn reload(stage: &mut Stage) -> Result<(), Failed> {
    stage
        .terminal
        .heading("The policy changes while stanzas flow");
    let (outside, inside) = (stage.ports.federation, stage.ports.internal);
    let own = stage.org.domain.clone();
    let (alpha, beta) = (stage.alpha.domain.clone(), stage.beta.domain.clone());
    stage.beta.connect(&own, outside).await?;
    stage.org.connect(&beta, inside).await?;
    let before = stage.gateway.status().generation;

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let flow = |sender: mpsc::Sender<String>, from, to, name| {
        tokio::spawn(flow(sender, from, to, name, stopped.clone()))
    };
    let flows = [
        flow(stage.alpha.sender(&own)?, JULIET, ROMEO, "alpha-in"),
        flow(stage.beta.sender(&own)?, NURSE, ROMEO, "beta-in"),
        flow(stage.org.sender(&alpha)?, ROMEO, JULIET, "alpha-out"),
        flow(stage.org.sender(&beta)?, ROMEO, NURSE, "beta-out"),
    ];
    stage.say("alpha.test, beta.test and org.test send messages without a pause");
    let mut allowed = ALLOWED_FIRST.to_vec();
    allowed.push("gamma.test");
    stage.allow(&allowed)?;
    stage.say("the allowlist on disk now has gamma.test too; nobody tells the gateway");
    let changed = timeout(PATIENCE, async {
        loop {
            let status = stage.gateway.status();
            if status.generation > before && status.generations_alive == 1 {
                return;
            }
            sleep(LOOK).await;
        }
    });
    let changed = changed.await;
    stop.send_replace(true);
    changed.map_err(|_| {
        let last = stage.gateway.status().last_reload;
        Failed::new(
            "the reload",
            format!("it did not come; the last one: {last:?}"),
        )
    })?;
    stage.ok(&format!(
        "generation {} judges, {before} has retired",
        stage.gateway.status().generation
    ));

    let mut sent = BTreeSet::new();
    for flow in flows {
        sent.extend(
            flow.await
                .map_err(|error| Failed::new("the flow", error))??,
        );
    }
    let mut arrived = Vec::new();
    for (server, ending) in [
        (&mut stage.org, "-in"),
        (&mut stage.alpha, "alpha-out"),
        (&mut stage.beta, "beta-out"),
    ] {
        let expected = sent
            .iter()
            .filter(|id| flow_of(id).ends_with(ending))
            .count();
        arrived.extend(collect(server, expected).await?);
    }
    let once: BTreeSet<_> = arrived.iter().cloned().collect();
    if once != sent || once.len() != arrived.len() {
        let text = format!(
            "{} sent, {} arrived, {} different ones",
            sent.len(),
            arrived.len(),
            once.len()
        );
        return Err(Failed::new("the flow", text));
    }
    stage.ok(&format!(
        "{} messages were sent meanwhile, and {} arrived: none lost, none doubled",
        sent.len(),
        arrived.len()
    ));

    stage.gamma.connect(&own, outside).await?;
    stage
        .gamma
        .send(&own, message(STRANGER, ROMEO, "m4", "A stranger no more."))
        .await?;
    let welcome = stage.org.expect("m4").await?;
    stage.ok(&format!(
        "gamma.test is let in: {}",
        welcome.body().unwrap_or_default()
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
    fn ok(&self, text: &str) {
        self.terminal.mark(Level::Ok, text, None);
    }

    fn say(&self, text: &str) {
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

fn message(from: &str, to: &str, id: &str, body: &str) -> String {
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

/// Sends messages until it is told to stop and then [`AFTERWARDS`] more; the ids of all of them.
async fn flow(
    sender: mpsc::Sender<String>,
    from: &'static str,
    to: &'static str,
    name: &'static str,
    stopped: tokio::sync::watch::Receiver<bool>,
) -> Result<BTreeSet<String>, Failed> {
    let mut ids = BTreeSet::new();
    let mut left = AFTERWARDS;
    while left > 0 {
        let id = format!("{name}:{}", ids.len());
        let sent = sender.send(message(from, to, &id, "word upon word")).await;
        sent.map_err(|_| Failed::new(format!("the flow {name}"), "its stream has ended"))?;
        ids.insert(id);
        left -= usize::from(*stopped.borrow());
        sleep(PACE).await;
    }
    Ok(ids)
}

fn flow_of(id: &str) -> &str {
    id.split(':').next().unwrap_or(id)
}

/// The ids of so many messages of the flow, in the order in which they arrive.
async fn collect(server: &mut Server, expected: usize) -> Result<Vec<String>, Failed> {
    let mut ids = Vec::new();
    let collecting = async {
        while ids.len() < expected {
            let Some(stanza) = server.next().await else {
                break;
            };
            if let Some(id) = stanza
                .id()
                .filter(|id| stanza.kind() == Kind::Message && id.contains(':'))
            {
                ids.push(id.to_owned());
            }
        }
    };
    let ended = timeout(PATIENCE, collecting).await;
    if ended.is_err() {
        let text = format!("{} of {expected} messages arrived", ids.len());
        return Err(Failed::new(format!("the flow to {}", server.domain), text));
    }
    Ok(ids)
}
