//! Swaps under load: no stanza notices.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis::app::Trigger;
use portcullis_end_to_end::{Plan, World, build_plugin, prepare_quietly};
use portcullis_test_support::{Behaviour, Client, Mode, Server};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Stanzas on each of the four streams.
const EACH: u64 = 8_000;
/// How many are sent at once, and how often: 1,500 in a second on each stream, 6,000 on all.
const BURST: u64 = 30;
const PAUSE: Duration = Duration::from_millis(20);

/// Offers its stanzas at the rate above, or as fast as they are taken.
async fn offer(mut client: Client, from: &str, to: &str) -> Client {
    let mut tick = interval(PAUSE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for first in (0..EACH).step_by(usize::try_from(BURST).unwrap()) {
        tick.tick().await;
        let mut text = String::new();
        for n in first..(first + BURST).min(EACH) {
            write!(
                text,
                "<message from='{from}' to='{to}' id='{from}-{to}-{n}'><body>n{n}n</body></message>"
            )
            .unwrap();
        }
        client.send(&text).await;
    }
    client
}

/// Takes what these senders have sent, each one's stanzas in their order and once.
async fn take(mut server: Server, senders: &[&str]) -> Server {
    let mut next: BTreeMap<&str, u64> = senders.iter().map(|sender| (*sender, 0)).collect();
    for _ in 0..EACH * senders.len() as u64 {
        let stanza = server.stanza().await;
        let sender = senders
            .iter()
            .find(|sender| stanza.contains(&format!("from='{sender}'")));
        let sender = sender.unwrap_or_else(|| panic!("nobody sent {stanza}"));
        let n = next.get_mut(sender).unwrap();
        assert!(
            stanza.contains(&format!("<body>n{n}n</body>")),
            "{sender} {n}: {stanza}"
        );
        *n += 1;
    }
    server
}

/// The policy's plugins at one turn: another component, configuration, order or number of them.
fn chain(turn: u64) -> String {
    let allowlist = |name: &str| {
        format!(
            "[[plugin]]\nname = '{name}'\ncomponent = 'allowlist{}.wasm'\n[plugin.config]\nallow = ['turn{}.test']\n",
            turn % 2,
            turn / 2
        )
    };
    let audit = "[[plugin]]\nname = 'audit'\ncomponent = 'audit_log.wasm'\n".to_owned();
    match turn % 3 {
        0 => [allowlist("one"), audit].concat(),
        1 => [audit, allowlist("one"), allowlist("two")].concat(),
        _ => [allowlist("two"), audit, allowlist("one")].concat(),
    }
}

/// Every record of stanzas in the audit journal, its older files included.
fn stanzas(data_dir: &Path) -> Vec<serde_json::Value> {
    let mut records = Vec::new();
    for file in std::fs::read_dir(data_dir.join("audit")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|found| found == "jsonl") {
            let text = std::fs::read_to_string(path).unwrap();
            let all = text.lines().map(|line| serde_json::from_str(line).unwrap());
            records.extend(all.filter(|record: &serde_json::Value| record["event"] == "stanza"));
        }
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_lose_double_reorder_and_drop_nothing() {
    let prepared = prepare_quietly();
    let plugins = prepared.dir().join("shelf");
    std::fs::create_dir(&plugins).unwrap();
    let allowlist = std::fs::read(build_plugin("plugins/partner-allowlist")).unwrap();
    for tag in 0..2 {
        let variant = [&allowlist[..], &[0, 3, 1, b't', tag]].concat();
        std::fs::write(plugins.join(format!("allowlist{tag}.wasm")), variant).unwrap();
    }
    std::fs::copy(
        build_plugin("plugins/audit-log"),
        plugins.join("audit_log.wasm"),
    )
    .unwrap();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let beta = prepared.partner("beta.test", Behaviour::StartTls).await;
    let partners = vec![("alpha.test", alpha.address), ("beta.test", beta.address)];
    let mut world = prepared
        .start(Plan {
            partners: partners.clone(),
            plugins: Some(plugins),
            gateway: "generations_kept = 1000",
            more: chain(0),
            ..Plan::default()
        })
        .await;
    let since = Instant::now();
    let to_alpha = world.inside("alpha.test", Mode::StartTls).await;
    let to_beta = world.inside("beta.test", Mode::StartTls).await;
    let from_alpha = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    let from_beta = world.outside("beta.test", Mode::StartTls).await.unwrap();
    let org = world.take_org().await;
    let gamma = ("gamma.test", org.address);

    let done = Arc::new(AtomicBool::new(false));
    let traffic = {
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            let all = tokio::join!(
                offer(to_alpha, "a@org.test", "x@alpha.test"),
                offer(to_beta, "b@org.test", "x@beta.test"),
                offer(from_alpha, "c@alpha.test", "x@org.test"),
                offer(from_beta, "d@beta.test", "x@org.test"),
                take(alpha, &["a@org.test"]),
                take(beta, &["b@org.test"]),
                take(org, &["c@alpha.test", "d@beta.test"]),
            );
            done.store(true, Ordering::SeqCst);
            all
        })
    };
    let mut turn = 0;
    while !done.load(Ordering::SeqCst) && !traffic.is_finished() {
        turn += 1;
        let gamma = (turn % 5 == 0).then_some(gamma);
        world.rewrite_with(
            &chain(turn),
            partners.iter().copied().chain(gamma).collect(),
        );
        world.gateway.reload(Trigger::Admin).await.unwrap();
    }
    let (mut to_alpha, mut to_beta, mut from_alpha, mut from_beta, mut alpha, mut beta, mut org) =
        traffic.await.unwrap();
    let took = since.elapsed();
    let last = world.gateway.status().generation;

    // Every stream is still the one that it was.
    let hello = |from: &str, to: &str| {
        format!("<message from='{from}' to='{to}' id='last-{from}'><body>last</body></message>")
    };
    to_alpha.send(&hello("a@org.test", "x@alpha.test")).await;
    to_beta.send(&hello("b@org.test", "x@beta.test")).await;
    from_alpha.send(&hello("c@alpha.test", "x@org.test")).await;
    from_beta.send(&hello("d@beta.test", "x@org.test")).await;
    for server in [&mut alpha, &mut beta, &mut org] {
        let stanza = server.stanza().await;
        assert!(stanza.contains("<body>last</body>"), "{stanza}");
    }
    assert_eq!(
        (alpha.connections(), beta.connections(), org.connections()),
        (1, 1, 2)
    );

    let total = 4 * EACH + 4;
    world.at_rest(total).await;
    let alive = || world.gateway.status().generations_alive;
    world
        .until(|| alive() == 1, || format!("{} alive", alive()))
        .await;
    let recorded = || stanzas(&world.data_dir()).len() as u64;
    world
        .until(
            || recorded() >= total,
            || format!("{} recorded", recorded()),
        )
        .await;
    judged_once_by_a_generation_of_its_time(&world, total);

    let rate = 4.0 * EACH as f64 / took.as_secs_f64();
    println!(
        "{rate:.0} stanzas per second through {} swaps in {took:?}",
        last - 1
    );
    assert!(last > 10, "only {last} generations");
    // A machine that does many other things at once; what it does alone is in the documents.
    assert!(rate > 300.0, "{rate:.0} stanzas per second");
}

/// Reads the audit journal: each stanza was judged once, by a generation that had begun and that no
/// later one had replaced long ago; and no stream went back to an older one.
fn judged_once_by_a_generation_of_its_time(world: &World, total: u64) {
    let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).unwrap();
    let began: BTreeMap<u64, OffsetDateTime> = (world.gateway.generations().kept.iter())
        .map(|kept| (kept.number, time(&kept.time)))
        .collect();
    let mut ids = HashSet::new();
    let mut latest: BTreeMap<String, u64> = BTreeMap::new();
    let mut records = stanzas(&world.data_dir());
    records.sort_by_key(|record| record["seq"].as_u64());
    for record in &records {
        let id = record["id"].as_str().unwrap().to_owned();
        assert!(ids.insert(id), "judged twice: {record}");
        assert_eq!(record["verdict"], "pass", "{record}");
        let generation = record["generation"].as_u64().unwrap();
        let decided = time(record["time"].as_str().unwrap());
        assert!(began[&generation] <= decided, "before its time: {record}");
        if let Some(next) = began.get(&(generation + 1)) {
            assert!(
                decided - *next < time::Duration::seconds(10),
                "after its time: {record}"
            );
        }
        let stream = record["stream"].as_str().unwrap().to_owned();
        let before = latest.entry(stream).or_insert(0);
        assert!(
            *before <= generation,
            "back to an older generation: {record}"
        );
        *before = generation;
    }
    assert_eq!(ids.len() as u64, total);
}
