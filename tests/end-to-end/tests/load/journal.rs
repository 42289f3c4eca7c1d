//! What the audit journal says of each stanza, beside what its addressee got.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};

use portcullis_end_to_end::World;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::Swap;
use crate::traffic::{Arrived, MORE, STREAMS};

/// A generation may have begun to judge a stanza when the next one took over; it has not begun one since.
const IN_BETWEEN: Duration = Duration::seconds(5);

/// Each stanza has one record: it was judged once, by a generation that ruled at that time, whose plugins
/// all have signed it in their order; and no stream went back to an older one. `first`: what the first
/// generation signs with.
pub(crate) async fn judged_once_by_the_generation_that_is_named(
    world: &World,
    first: &str,
    swaps: &[Swap],
    arrived: &Arrived,
) {
    // These are the last of their streams: what came before them was written before.
    let more = || lines(world).filter(|line| line.contains(MORE)).count();
    world
        .until(
            || more() == STREAMS.len(),
            || format!("{} streams recorded to their end", more()),
        )
        .await;
    let mut seen = HashSet::new();
    let mut latest: BTreeMap<String, usize> = BTreeMap::new();
    for record in records(world) {
        let id = record["id"].as_str().unwrap().to_owned();
        assert_eq!(record["verdict"], "pass", "{record}");
        let generation = usize::try_from(record["generation"].as_u64().unwrap()).unwrap();
        let time = OffsetDateTime::parse(record["time"].as_str().unwrap(), &Rfc3339).unwrap();
        // The first generation has the number 1.
        let own = generation.checked_sub(2).map(|at| &swaps[at]);
        assert!(
            own.is_none_or(|swap| swap.asked <= time),
            "too early: {record}"
        );
        let next = swaps.get(generation - 1);
        assert!(
            next.is_none_or(|swap| time <= swap.told + IN_BETWEEN),
            "too late: {record}"
        );
        if let Some(stamps) = arrived.stamps(&id) {
            let expected = own.map_or(first, |swap| &swap.stamps);
            assert_eq!(
                stamps, expected,
                "not what that generation signs with: {record}"
            );
        }
        let stream = record["stream"].as_str().unwrap().to_owned();
        let before = latest.insert(stream, generation).unwrap_or_default();
        assert!(
            before <= generation,
            "back to an older generation: {record}"
        );
        assert!(seen.insert(id), "judged twice: {record}");
    }
    // One more of each stream, after the traffic.
    assert_eq!(seen.len() as u64, arrived.total() + latest.len() as u64);
}

/// The records of stanzas, in their order.
fn records(world: &World) -> impl Iterator<Item = Value> {
    let all = lines(world).map(|line| serde_json::from_str::<Value>(&line).unwrap());
    all.filter(|record| record["event"] == "stanza")
}

fn lines(world: &World) -> impl Iterator<Item = String> {
    let files = std::fs::read_dir(world.data_dir().join("audit")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|found| found == "jsonl"))
        .collect();
    // The older ones are called `audit-` and their first number, the newest `current`.
    paths.sort();
    paths
        .into_iter()
        .flat_map(|path| BufReader::new(File::open(path).unwrap()).lines())
        .map(Result::unwrap)
}
