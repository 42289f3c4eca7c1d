use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::app::content::hex;

fn record(number: u64, policy: &str, files: &[(&str, &str)]) -> (Record, Bytes) {
    let kept = Kept {
        number,
        first: number,
        time: "2026-11-22T10:00:00Z".to_owned(),
        trigger: "admin".to_owned(),
        made_from: None,
        plugins: Vec::new(),
        partners: 0,
        current: false,
    };
    let digest = |content: &str| hex(&Sha256::digest(content));
    let name = |(path, content): &(&str, &str)| (PathBuf::from(path), digest(content));
    let record = Record {
        kept,
        policy: policy.to_owned(),
        base: PathBuf::from("/etc"),
        plugins_dir: PathBuf::from("/plugins"),
        files: files.iter().map(name).collect(),
        identity: digest(policy),
    };
    let bytes =
        |(path, content): &(&str, &str)| (PathBuf::from(path), Arc::from(content.as_bytes()));
    (record, files.iter().map(bytes).collect())
}

fn keep(history: &History, number: u64, policy: &str, component: &str) {
    let (record, bytes) = record(number, policy, &[("/plugins/a.wasm", component)]);
    history.keep(record, &bytes, 3).unwrap();
}

fn numbers(history: &History) -> Vec<u64> {
    let kept = history.list(0).kept;
    kept.iter().map(|kept| kept.number).collect()
}

fn objects(dir: &TempDir) -> usize {
    std::fs::read_dir(dir.path().join("generations/objects"))
        .unwrap()
        .count()
}

#[test]
fn numbers_go_on_over_a_restart_and_the_last_generations_are_kept_with_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path());
    assert_eq!(history.next_number(), 1);
    for number in 1..=5 {
        let component = if number < 4 { "old" } else { "new" };
        keep(&history, number, &format!("policy {number}"), component);
    }
    assert_eq!(numbers(&history), [5, 4, 3]);
    assert_eq!(objects(&dir), 2, "each content once");

    let history = History::open(dir.path());
    assert_eq!(history.next_number(), 6);
    assert_eq!(numbers(&history), [5, 4, 3]);
    let (record, bytes) = history.load(3).unwrap();
    assert_eq!(record.policy, "policy 3");
    assert_eq!(*bytes[&PathBuf::from("/plugins/a.wasm")], *b"old");
    keep(&history, 6, "policy 6", "new");
    assert_eq!(objects(&dir), 1, "nobody needs the old one any more");
    assert!(matches!(history.load(3), Err(HistoryError::NotKept(3))));
}

#[test]
fn only_the_owner_can_read_what_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    keep(&History::open(dir.path()), 1, "policy", "component");
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let generations = dir.path().join("generations");
    assert_eq!(mode(generations.clone()), 0o700);
    assert_eq!(mode(generations.join("objects")), 0o700);
    assert_eq!(mode(generations.join("00000001.generation")), 0o600);
    for object in std::fs::read_dir(generations.join("objects")).unwrap() {
        assert_eq!(mode(object.unwrap().path()), 0o600);
    }
}

#[test]
fn a_gateway_that_starts_again_and_again_forgets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    keep(&History::open(dir.path()), 1, "first", "a");
    for number in 2..=20 {
        let history = History::open(dir.path());
        assert_eq!(history.next_number(), number);
        keep(&history, number, "second", "a");
    }
    let history = History::open(dir.path());
    assert_eq!(numbers(&history), [20, 1]);
    assert_eq!(history.list(0).kept[0].first, 2);
    // Each of its numbers means the same policy.
    assert_eq!(history.load(7).unwrap().0.policy, "second");
    assert_eq!(history.before(20).unwrap(), 1);
}

#[test]
fn one_goes_back_to_what_said_something_else_and_then_further() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path());
    keep(&history, 1, "a", "x");
    assert!(matches!(history.before(1), Err(HistoryError::NoneBefore)));
    keep(&history, 2, "b", "x");
    keep(&history, 3, "c", "x");
    let back = |number, policy, made_from| {
        let (mut record, bytes) = record(number, policy, &[("/plugins/a.wasm", "x")]);
        record.kept.made_from = Some(made_from);
        history.keep(record, &bytes, 10).unwrap();
    };
    assert_eq!(history.before(3).unwrap(), 2);
    back(4, "b", 2);
    assert_eq!(history.before(4).unwrap(), 1, "not 3, which was taken back");
    back(5, "a", 1);
    assert!(matches!(history.before(5), Err(HistoryError::NoneBefore)));
}

#[test]
fn what_is_damaged_is_said_and_never_used() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path());
    keep(&history, 1, "a", "x");
    keep(&history, 2, "b", "y");
    let file = dir.path().join("generations/00000002.generation");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"b\"", "\"c\"")).unwrap();
    let history = History::open(dir.path());
    assert_eq!(numbers(&history), [1]);
    assert_eq!(history.next_number(), 3, "its number was used");
    let problems = history.list(0).problems.join(" ");
    assert!(problems.contains("generation 2 is damaged"), "{problems}");

    let object = history.directory.object(&hex(&Sha256::digest("x")));
    std::fs::write(object, "z").unwrap();
    let error = history.load(1).unwrap_err().to_string();
    assert!(error.contains("not what was stored"), "{error}");
    // The next generation that has the file stores it anew.
    keep(&history, 3, "d", "x");
    history.load(3).unwrap();
}

#[test]
fn a_disk_that_takes_nothing_is_said_and_the_number_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("generations"), "no directory").unwrap();
    let history = History::open(dir.path());
    let (record, bytes) = record(1, "a", &[("/plugins/a.wasm", "x")]);
    assert!(history.keep(record, &bytes, 3).is_err());
    assert_eq!(history.next_number(), 2);
    let problems = history.list(1).problems.join(" ");
    assert!(
        problems.contains("generation 1 could not be kept"),
        "{problems}"
    );
}

#[test]
fn what_a_killed_process_left_behind_is_swept_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    keep(&History::open(dir.path()), 1, "a", "x");
    let generations = dir.path().join("generations");
    for left in ["objects/.new-1", "objects/0123", ".new-2"] {
        std::fs::write(generations.join(left), "half").unwrap();
    }
    let history = History::open(dir.path());
    assert_eq!(objects(&dir), 1);
    assert!(!generations.join(".new-2").exists());
    history.load(1).unwrap();
}

#[test]
fn from_a_generation_that_the_disk_did_not_take_one_goes_back_to_the_last_that_it_took() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path());
    keep(&history, 1, "a", "x");
    keep(&history, 2, "b", "x");
    history.take(3);
    assert_eq!(history.before(3).unwrap(), 2);
}
