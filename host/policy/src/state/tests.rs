//! The store's promises, on real files.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

struct Fixture {
    dir: tempfile::TempDir,
    time: Arc<AtomicU64>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            time: Arc::new(AtomicU64::new(1_000_000)),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state.redb")
    }

    fn open(&self) -> Store {
        let time = Arc::clone(&self.time);
        Store::with_clock(&self.path(), Box::new(move || time.load(Ordering::Relaxed))).unwrap()
    }

    fn pass(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.time.fetch_add(millis, Ordering::Relaxed);
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn listed(state: &dyn State, prefix: &str) -> Vec<String> {
    state.keys(prefix, None, 1000).unwrap()
}

#[test]
fn a_value_is_read_back_and_survives_a_restart() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let state = store.namespace("p");
    assert_eq!(state.get("k").unwrap(), None);
    state.set("k", b"one", None).unwrap();
    state.set("k", b"two", None).unwrap();
    state.set("gone", b"x", None).unwrap();
    assert!(state.delete("gone").unwrap());
    assert!(!state.delete("gone").unwrap());
    assert_eq!(state.get("k").unwrap().as_deref(), Some(&b"two"[..]));
    drop(store);
    let store = fixture.open();
    let state = store.namespace("p");
    assert_eq!(state.get("k").unwrap().as_deref(), Some(&b"two"[..]));
    assert_eq!(listed(&state, ""), ["k"]);
}

#[test]
fn plugins_do_not_see_each_other() {
    let fixture = Fixture::new();
    let store = fixture.open();
    store.namespace("a").set("k", b"a", None).unwrap();
    store.namespace("b").set("k", b"b", None).unwrap();
    assert_eq!(
        store.namespace("a").get("k").unwrap().as_deref(),
        Some(&b"a"[..])
    );
    drop(store);
    let store = fixture.open();
    assert_eq!(
        store.namespace("b").get("k").unwrap().as_deref(),
        Some(&b"b"[..])
    );
    assert_eq!(store.namespace("c").get("k").unwrap(), None);
}

#[test]
fn an_expired_entry_vanishes_from_reads_and_from_disk() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let state = store.namespace("p");
    state.set("short", b"x", Some(SECOND)).unwrap();
    state.set("long", b"x", Some(SECOND * 60)).unwrap();
    store.flush().unwrap();
    fixture.pass(SECOND);
    assert_eq!(state.get("short").unwrap(), None);
    assert_eq!(listed(&state, ""), ["long"]);
    assert!(!state.delete("short").unwrap());
    assert!(state.set_if_absent("short", b"y", Some(SECOND)).unwrap());
    fixture.pass(SECOND);
    store.flush().unwrap();
    drop(store);
    let disk = Disk::open(&fixture.path()).unwrap();
    let spaces = disk.load().unwrap();
    let space = lock(&spaces["p"]);
    assert_eq!(
        space.keys("", None, 10, 0),
        ["long"],
        "as if nothing expired"
    );
}

#[test]
fn an_expiry_survives_a_restart() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let state = store.namespace("p");
    state.set("k", b"x", Some(SECOND)).unwrap();
    state.increment("n", 1, Some(SECOND)).unwrap();
    drop(store);
    // To the millisecond, whatever time the gateway was down.
    fixture.pass(SECOND - Duration::from_millis(1));
    let store = fixture.open();
    let state = store.namespace("p");
    assert_eq!(state.get("k").unwrap().as_deref(), Some(&b"x"[..]));
    assert_eq!(state.increment("n", 1, Some(SECOND * 60)).unwrap(), 2);
    drop(store);
    fixture.pass(Duration::from_millis(1));
    let store = fixture.open();
    let state = store.namespace("p");
    assert_eq!(state.get("k").unwrap(), None);
    assert_eq!(state.increment("n", 1, None).unwrap(), 1, "it began anew");
}

#[test]
fn set_if_absent_lets_one_of_many_win() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let state = store.namespace("p");
    let winners: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u8)
            .map(|n| {
                let state = state.clone();
                scope.spawn(move || usize::from(state.set_if_absent("k", &[n], None).unwrap()))
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!(winners, 1);
}

#[test]
fn an_increment_is_atomic_and_keeps_its_first_ttl() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let state = store.namespace("p");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let state = state.clone();
            scope.spawn(move || {
                for _ in 0..250 {
                    state.increment("n", 2, Some(SECOND)).unwrap();
                }
            });
        }
    });
    assert_eq!(state.increment("n", -1, Some(SECOND * 9)).unwrap(), 1999);
    assert_eq!(
        state.get("n").unwrap().unwrap(),
        1999_i64.to_be_bytes(),
        "eight bytes, big-endian"
    );
    fixture.pass(SECOND);
    assert_eq!(state.increment("n", 1, None).unwrap(), 1);
    assert_eq!(state.increment("n", i64::MAX, None).unwrap(), i64::MAX);
    state.set("text", b"abc", None).unwrap();
    assert_eq!(
        state.increment("text", 1, None),
        Err(StateError::NotACounter(3))
    );
}

#[test]
fn keys_come_by_prefix_in_byte_order_and_in_pages() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let state = store.namespace("p");
    for key in ["b/2", "a/1", "b/1", "b/10", "c", "b", "ä"] {
        state.set(key, b"", None).unwrap();
    }
    assert_eq!(listed(&state, "b/"), ["b/1", "b/10", "b/2"]);
    assert_eq!(
        listed(&state, ""),
        ["a/1", "b", "b/1", "b/10", "b/2", "c", "ä"]
    );
    assert_eq!(state.keys("b/", None, 2).unwrap(), ["b/1", "b/10"]);
    assert_eq!(state.keys("b/", Some("b/10"), 2).unwrap(), ["b/2"]);
    assert_eq!(state.keys("b/", Some("a"), 1).unwrap(), ["b/1"]);
    assert_eq!(state.keys("b/", Some("c"), 1).unwrap(), [""; 0]);
    assert_eq!(state.keys("b/", None, 0).unwrap(), ["b/1"]);
}

#[test]
fn limits_hold_and_a_refused_write_changes_nothing() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let state = store.namespace("p");
    let long = "k".repeat(MAX_KEY + 1);
    assert_eq!(
        state.set(&long, b"", None),
        Err(StateError::KeyTooLarge(MAX_KEY + 1))
    );
    assert!(state.get(&long).is_err());
    assert_eq!(
        state.set("k", &vec![0; MAX_VALUE + 1], None),
        Err(StateError::ValueTooLarge(MAX_VALUE + 1))
    );
    let value = vec![0; MAX_VALUE];
    let mut written = 0;
    while state.set(&format!("{written:04}"), &value, None).is_ok() {
        written += 1;
    }
    assert_eq!(written, Share::default().bytes / (MAX_VALUE + 4));
    assert_eq!(
        state.set("next", &value, None),
        Err(StateError::Full(Share::default()))
    );
    assert_eq!(state.get("next").unwrap(), None);
    state.set("0000", &value, None).unwrap();
    assert!(state.delete("0000").unwrap());
    state.set("next", &value, Some(SECOND)).unwrap();
    fixture.pass(SECOND);
    state
        .set("more", &value, None)
        .expect("what has expired makes room");
    store
        .namespace("other")
        .set("k", &value, None)
        .expect("each plugin has its own share");
}

#[test]
fn the_number_of_keys_is_limited() {
    let share = Share::default();
    let mut space = Space::default();
    for n in 0..share.keys {
        space.put(&n.to_string(), b"", None, 0, share).unwrap();
    }
    assert_eq!(
        space.put("more", b"", None, 0, share),
        Err(StateError::Full(share))
    );
    space.put("0", b"x", None, 0, share).unwrap();
}

#[test]
fn a_share_that_was_cut_keeps_what_is_there_and_takes_no_more() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let wide = store.namespace("p");
    for key in ["a", "b", "c"] {
        wide.increment(key, 1, None).unwrap();
    }
    let share = Share { bytes: 20, keys: 2 };
    let narrow = store.namespace("p").limited(share);
    assert_eq!(narrow.used(), Share { bytes: 27, keys: 3 });
    assert_eq!(narrow.increment("d", 1, None), Err(StateError::Full(share)));
    assert_eq!(
        narrow.set("a", b"nine byte", None),
        Err(StateError::Full(share))
    );
    assert_eq!(
        narrow.increment("a", 1, None).unwrap(),
        2,
        "as large as it was"
    );
    assert!(narrow.delete("b").unwrap() && narrow.delete("c").unwrap());
    narrow.increment("d", 1, None).unwrap();
    assert_eq!(narrow.used(), Share { bytes: 18, keys: 2 });
}

#[test]
fn a_second_gateway_is_told_that_the_store_is_in_use() {
    let fixture = Fixture::new();
    let _store = fixture.open();
    let error = Store::open(&fixture.path()).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
}

#[test]
fn a_damaged_file_is_refused_with_a_way_out() {
    let fixture = Fixture::new();
    fs::write(fixture.path(), b"no database at all, but some bytes").unwrap();
    let error = Store::open(&fixture.path()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("move it away"), "{error}");
}

#[test]
fn the_file_is_for_the_gateway_alone() {
    let fixture = Fixture::new();
    let _store = fixture.open();
    let mode = fs::metadata(fixture.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_closed_store_takes_no_more_changes() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let state = store.namespace("p");
    drop(store);
    assert!(matches!(
        state.set("k", b"", None),
        Err(StateError::Unavailable(_))
    ));
}

/// Not a test by itself: the child that `kill_9_loses_at_most_a_second` kills.
#[test]
#[ignore = "a child process of kill_9_loses_at_most_a_second"]
fn child_that_counts() {
    let Some(path) = std::env::var_os("PORTCULLIS_TEST_STATE") else {
        return;
    };
    let store = Store::open(Path::new(&path)).unwrap();
    let state = store.namespace("p");
    loop {
        let count = state.increment("n", 1, None).unwrap();
        println!("count={count}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn kill_9_loses_at_most_a_second() {
    let fixture = Fixture::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "state::tests::child_that_counts",
            "--ignored",
            "--nocapture",
        ])
        .env("PORTCULLIS_TEST_STATE", fixture.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut counts = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .filter_map(|line| {
            let line = line.unwrap();
            let (_, count) = line.rsplit_once("count=")?;
            Some((count.parse::<i64>().unwrap(), std::time::Instant::now()))
        });
    let (first, begin) = counts.next().unwrap();
    assert_eq!(first, 1);
    let mut seen = Vec::new();
    // Long enough for a few batches; how many the machine manages does not matter.
    for (count, at) in counts.by_ref() {
        seen.push((count, at));
        if at - begin > SECOND * 3 {
            break;
        }
    }
    child.kill().unwrap();
    let killed = std::time::Instant::now();
    child.wait().unwrap();
    let store = Store::open(&fixture.path()).unwrap();
    let kept = store.namespace("p").increment("n", 0, None).unwrap();
    // The stated second, and one more for a machine on which other tests fight for the disk.
    let old = seen
        .iter()
        .filter(|(_, at)| killed - *at > SECOND * 2)
        .map(|(count, _)| *count)
        .max()
        .unwrap();
    assert!(
        kept >= old,
        "kept {kept} of {old} counted two seconds before"
    );
}

#[test]
fn a_disk_that_fails_stops_changes_and_a_disk_that_works_lets_them_go_on() {
    let fixture = Fixture::new();
    let mut disk = Disk::open(&fixture.path()).unwrap();
    let change = |value: &[u8]| {
        let entry = space::Entry {
            value: Arc::from(value),
            expires: None,
        };
        vec![(Arc::from("k"), Some(entry))]
    };
    disk.break_down();
    fs::rename(fixture.path(), fixture.dir.path().join("away")).unwrap();
    fs::create_dir(fixture.path()).unwrap();
    assert!(disk.write(&[("p", &change(b"1"))]).is_err());
    fs::remove_dir(fixture.path()).unwrap();
    fs::rename(fixture.dir.path().join("away"), fixture.path()).unwrap();
    disk.write(&[("p", &change(b"2"))]).unwrap();

    let mut space = Space::default();
    space.put("k", b"3", None, 0, Share::default()).unwrap();
    let changes = space.take_changes();
    assert!(!space.is_dirty());
    space.put_back(changes);
    assert!(
        space.is_dirty(),
        "what did not reach the disk is tried again"
    );

    let signal = writer::Signal::default();
    signal.finish_turn(0, Err("disk full".to_owned()));
    assert_eq!(
        signal.writable(),
        Err(StateError::Unavailable("disk full".to_owned()))
    );
    signal.finish_turn(0, Ok(()));
    signal.writable().unwrap();
}
