//! The policy changes while stanzas flow: none is lost, none doubled, none overtakes another.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portcullis_xmpp::stanza::Kind;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::Failed;
use super::server::{PATIENCE, Server};
use super::stage::{ALLOWED_FIRST, Stage};
use super::tour::{JULIET, LOOK, ROMEO, message};

const NURSE: &str = "nurse@beta.test/kitchen";
const STRANGER: &str = "stranger@gamma.test/street";

/// Time between two stanzas of the flow: some hundred a second each way, while a reload takes a
/// fraction of one.
const PACE: Duration = Duration::from_millis(3);
/// Stanzas that follow after the new policy judges, each way.
const AFTERWARDS: usize = 100;

/// Changes the allowlist on disk meanwhile, and waits until the gateway has noticed by itself.
pub(super) async fn reload(stage: &mut Stage) -> Result<(), Failed> {
    stage
        .terminal
        .heading("The policy changes while stanzas flow");
    let (outside, inside) = (stage.ports.federation, stage.ports.internal);
    let own = stage.org.domain.clone();
    let (alpha, beta) = (stage.alpha.domain.clone(), stage.beta.domain.clone());
    stage.beta.connect(&own, outside).await?;
    stage.org.connect(&beta, inside).await?;
    let before = stage.gateway.status().generation;

    let (stop, stopped) = watch::channel(false);
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
    in_order(&arrived)?;
    stage.ok(&format!(
        "{} messages were sent meanwhile, and {} arrived: none lost, none doubled, all in order",
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

/// Sends messages until it is told to stop and then [`AFTERWARDS`] more; the ids of all of them.
async fn flow(
    sender: mpsc::Sender<String>,
    from: &'static str,
    to: &'static str,
    name: &'static str,
    stopped: watch::Receiver<bool>,
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

/// Whether the messages of each flow came in the order in which they were sent.
fn in_order(arrived: &[String]) -> Result<(), Failed> {
    let mut next: BTreeMap<&str, usize> = BTreeMap::new();
    for id in arrived {
        let flow = flow_of(id);
        let expected = next.entry(flow).or_default();
        if *id != format!("{flow}:{expected}") {
            return Err(Failed::new(
                "the order of the flow",
                format!("{id} came before {expected}"),
            ));
        }
        *expected += 1;
    }
    Ok(())
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
