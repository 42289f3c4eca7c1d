//! The journal's promises, on real files.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::*;

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn dir(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    fn open(&self) -> Journal {
        Journal::open(&self.dir(), Settings::default()).unwrap()
    }

    fn current(&self) -> PathBuf {
        self.dir().join(CURRENT)
    }

    fn lines(&self) -> Vec<serde_json::Value> {
        fs::read_to_string(self.current())
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Records 2 to 4 in the first file, 5 to 7 in the second, 8 to 10 in the current one; the first
    /// record of each is the journal's own.
    fn three_files() -> Self {
        let fixture = Self::new();
        let journal = fixture.open();
        for file in 0..3 {
            if file > 0 {
                journal.rotate().unwrap();
            }
            for n in 0..2 {
                journal
                    .append(&format!(r#"{{"file":{file},"n":{n}}}"#))
                    .unwrap();
            }
        }
        drop(journal);
        fixture
    }

    fn change(&self, file: &str, change: impl FnOnce(String) -> String) {
        let path = self.dir().join(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, change(text)).unwrap();
    }

    fn broken(&self) -> Broken {
        let broken = verify(&self.dir()).unwrap_err();
        assert!(
            broken.to_string().contains(&*broken.file.to_string_lossy()),
            "{broken}"
        );
        broken
    }
}

fn without_line(text: &str, line: usize) -> String {
    text.lines()
        .enumerate()
        .filter(|(n, _)| *n != line)
        .fold(String::new(), |text, (_, line)| text + line + "\n")
}

#[test]
fn a_record_is_the_object_with_three_more_keys_and_a_chain() {
    let fixture = Fixture::new();
    let journal = fixture.open();
    journal.append(r#"{"a":1.50,"b":"x"}"#).unwrap();
    journal.append(" {} ").unwrap();
    let text = fs::read_to_string(fixture.current()).unwrap();
    let second = text.lines().nth(1).unwrap();
    assert!(
        second.starts_with(r#"{"a":1.50,"b":"x","seq":2,"prev":""#),
        "{second}"
    );
    let lines = fixture.lines();
    assert_eq!(lines[0]["journal"]["action"], "created");
    assert_eq!(lines[0]["prev"], record::GENESIS);
    assert_eq!(lines[2]["seq"], 3);
    assert_eq!(lines[2]["prev"], lines[1]["hash"]);
    assert_eq!(
        journal.head(),
        (3, lines[2]["hash"].as_str().unwrap().to_owned())
    );

    // The recipe of the documentation, by hand.
    let prev = lines[1]["prev"].as_str().unwrap();
    let hash = lines[1]["hash"].as_str().unwrap();
    let plain = second.replace(&format!(r#","hash":"{hash}""#), "");
    use sha2::Digest as _;
    let mine = record::hex(sha2::Sha256::new().chain_update(prev).chain_update(plain));
    assert_eq!(mine, hash);
}

#[test]
fn only_one_json_object_on_one_line_is_taken() {
    let fixture = Fixture::new();
    let journal = fixture.open();
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_LINE));
    for line in [
        "",
        "no json",
        "[1]",
        "1",
        r#"{"a":1"#,
        r#"{"a":1} {"b":2}"#,
        "{\"a\":\n1}",
        "{\"a\":1}\r",
        r#"{"seq":1}"#,
        r#"{"a":1,"h\u0061sh":"x"}"#,
        r#"{"journal":{"action":"created"}}"#,
        &long,
    ] {
        let error = journal.append(line).unwrap_err();
        assert!(matches!(error, JournalError::Malformed(_)), "{line}");
    }
    journal.append(r#"{"inner":{"seq":1}}"#).unwrap();
    assert_eq!(fixture.lines().len(), 2);
}

#[test]
fn files_are_for_the_gateway_alone() {
    let fixture = Fixture::three_files();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&fixture.dir()), 0o700);
    for entry in fs::read_dir(fixture.dir()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn a_second_gateway_is_refused() {
    let fixture = Fixture::new();
    let _journal = fixture.open();
    let error = Journal::open(&fixture.dir(), Settings::default()).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
}

#[test]
fn a_restart_continues_the_chain() {
    let fixture = Fixture::new();
    for n in 0..3 {
        fixture.open().append(&format!(r#"{{"n":{n}}}"#)).unwrap();
    }
    let report = verify(&fixture.dir()).unwrap();
    assert_eq!((report.files, report.records, report.last_seq), (1, 4, 4));
    assert_eq!(report.recoveries, []);
}

#[test]
fn a_file_that_would_grow_too_large_is_rotated_and_the_next_names_it() {
    let fixture = Fixture::new();
    let journal = Journal::open(&fixture.dir(), Settings { max_bytes: 2000 }).unwrap();
    for n in 0..40 {
        journal.append(&format!(r#"{{"n":{n}}}"#)).unwrap();
    }
    drop(journal);
    let report = verify(&fixture.dir()).unwrap();
    assert!(report.files > 3, "{report:?}");
    let rotated = recover::rotated(&fixture.dir()).unwrap();
    for file in &rotated {
        assert!(fs::metadata(&file.path).unwrap().len() <= 2000);
    }
    let last = recover::contents(&rotated.last().unwrap().path).unwrap();
    let begin = &fixture.lines()[0];
    assert_eq!(begin["journal"]["action"], "rotated");
    assert_eq!(begin["journal"]["head"], last.last.unwrap().hash);
    assert_eq!(
        begin["journal"]["after"],
        rotated
            .last()
            .unwrap()
            .path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
    );
}

#[test]
fn records_that_are_written_together_are_the_same_as_one_after_the_other() {
    let object = |n: u32| format!(r#"{{"n":{n}}}"#);
    let (one, many) = (Fixture::new(), Fixture::new());
    // Rotated within what is written together, too.
    let settings = || Settings { max_bytes: 2000 };
    let journal = Journal::open(&one.dir(), settings()).unwrap();
    (0..40).for_each(|n| journal.append(&object(n)).unwrap());
    drop(journal);
    let journal = Journal::open(&many.dir(), settings()).unwrap();
    let objects: Vec<_> = (0..40).map(object).collect();
    let objects: Vec<_> = objects.iter().map(String::as_str).collect();
    journal.append_own(&objects[..1]).unwrap();
    journal.append_own(&objects[1..]).unwrap();
    journal.append_own(&[]).unwrap();
    drop(journal);
    let told = |fixture: &Fixture| {
        let report = verify(&fixture.dir()).unwrap();
        (
            report.files,
            report.records,
            fixture.lines().last().unwrap()["n"].clone(),
        )
    };
    assert_eq!(told(&many), told(&one));
}

#[test]
fn rotation_on_demand_leaves_an_empty_file_alone() {
    let fixture = Fixture::three_files();
    assert!(fixture.dir().join("audit-000000000001.jsonl").exists());
    assert!(fixture.dir().join("audit-000000000004.jsonl").exists());
    let journal = fixture.open();
    journal.rotate().unwrap();
    journal.rotate().unwrap();
    drop(journal);
    let report = verify(&fixture.dir()).unwrap();
    assert_eq!((report.files, report.records), (4, 10));
}

#[test]
fn a_crash_between_the_two_steps_of_a_rotation_is_made_good() {
    let fixture = Fixture::three_files();
    fs::rename(
        fixture.current(),
        fixture.dir().join("audit-000000000007.jsonl"),
    )
    .unwrap();
    assert!(matches!(fixture.broken().fault, Fault::NoCurrent));
    drop(fixture.open());
    assert_eq!(verify(&fixture.dir()).unwrap().records, 10);
    fs::write(fixture.current(), "").unwrap();
    drop(fixture.open());
    assert_eq!(verify(&fixture.dir()).unwrap().records, 10);
}

#[test]
fn a_torn_last_line_is_closed_by_a_recovery_record() {
    for torn in [&b"{\"a\":1,\"se"[..], b"\0\0\0\0", b"half\nand half", b"\n"] {
        let fixture = Fixture::three_files();
        let mut file = OpenOptions::new()
            .append(true)
            .open(fixture.current())
            .unwrap();
        file.write_all(torn).unwrap();
        let journal = fixture.open();
        journal.append(r#"{"after":true}"#).unwrap();
        drop(journal);
        let report = verify(&fixture.dir()).unwrap();
        assert_eq!(report.recoveries.len(), 1);
        let recovery = &report.recoveries[0];
        assert_eq!((recovery.line, recovery.seq), (4, 10));
        assert_eq!(recovery.bytes, torn.len() as u64);
        assert_eq!(report.records, 11);
    }
}

#[test]
fn a_record_that_lacks_only_its_line_break_is_kept() {
    let fixture = Fixture::three_files();
    fixture.change(CURRENT, |text| text.trim_end().to_owned());
    let journal = fixture.open();
    journal.append(r#"{"after":true}"#).unwrap();
    drop(journal);
    let report = verify(&fixture.dir()).unwrap();
    assert_eq!((report.records, report.recoveries.len()), (10, 0));
}

#[test]
fn a_journal_torn_in_its_very_first_line_goes_on() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.dir()).unwrap();
    fs::write(fixture.current(), "{\"time\"").unwrap();
    fixture.open().append("{}").unwrap();
    let report = verify(&fixture.dir()).unwrap();
    assert_eq!((report.records, report.recoveries.len()), (2, 1));
}

#[test]
fn a_line_that_is_being_written_is_no_damage() {
    let fixture = Fixture::three_files();
    fixture.change(CURRENT, |text| text + "{\"a\":");
    assert_eq!(verify(&fixture.dir()).unwrap().unfinished_bytes, 5);
}

#[test]
fn an_edited_record_is_named() {
    let fixture = Fixture::three_files();
    fixture.change("audit-000000000004.jsonl", |text| {
        text.replace(r#""n":0"#, r#""n":7"#)
    });
    let broken = fixture.broken();
    assert!(matches!(broken.fault, Fault::Edited), "{broken}");
    assert_eq!((broken.line, broken.seq), (2, 5));
    assert!(broken.file.ends_with("audit-000000000004.jsonl"));
}

#[test]
fn an_edit_is_not_excused_by_a_restart() {
    let fixture = Fixture::three_files();
    fixture.change(CURRENT, |text| text.replace(r#""n":0"#, r#""n":7"#));
    fixture.open().append("{}").unwrap();
    let broken = fixture.broken();
    assert_eq!((broken.line, broken.seq), (2, 8));
}

#[test]
fn a_record_that_was_replaced_with_a_right_hash_of_its_own_is_found() {
    let fixture = Fixture::three_files();
    fixture.change(CURRENT, |text| {
        let lines: Vec<_> = text.lines().collect();
        let first = record::read(lines[0].as_bytes()).unwrap().link();
        let mut forged = Vec::new();
        record::seal(&mut forged, r#"{"forged":true}"#, &first);
        format!(
            "{}\n{}{}\n",
            lines[0],
            String::from_utf8(forged).unwrap(),
            lines[2]
        )
    });
    let broken = fixture.broken();
    assert!(matches!(broken.fault, Fault::Unlinked), "{broken}");
    assert_eq!((broken.line, broken.seq), (3, 9));
}

#[test]
fn a_removed_record_is_a_gap() {
    let fixture = Fixture::three_files();
    fixture.change("audit-000000000001.jsonl", |text| without_line(&text, 1));
    let broken = fixture.broken();
    assert!(matches!(broken.fault, Fault::Gap(2)), "{broken}");
    assert_eq!((broken.line, broken.seq), (2, 3));
}

#[test]
fn a_copied_record_is_out_of_order() {
    let fixture = Fixture::three_files();
    fixture.change(CURRENT, |text| {
        let second = text.lines().nth(1).unwrap().to_owned();
        text + &second + "\n"
    });
    let broken = fixture.broken();
    assert!(matches!(broken.fault, Fault::OutOfOrder), "{broken}");
}

#[test]
fn an_inserted_line_is_no_record() {
    let fixture = Fixture::three_files();
    fixture.change(CURRENT, |text| {
        text.replacen('\n', "\n{\"inserted\":1}\n", 1)
    });
    let broken = fixture.broken();
    assert!(matches!(broken.fault, Fault::NoRecord), "{broken}");
    assert_eq!(broken.line, 2);
}

#[test]
fn a_missing_file_is_named() {
    let fixture = Fixture::three_files();
    fs::remove_file(fixture.dir().join("audit-000000000004.jsonl")).unwrap();
    let broken = fixture.broken();
    assert!(matches!(broken.fault, Fault::MissingFile(4)), "{broken}");
    assert!(
        broken
            .to_string()
            .contains("audit-000000000004.jsonl is gone"),
        "{broken}"
    );
    let fixture = Fixture::three_files();
    fs::remove_file(fixture.current()).unwrap();
    assert!(matches!(fixture.broken().fault, Fault::NoCurrent));
}

#[test]
fn a_renamed_file_is_found() {
    let fixture = Fixture::three_files();
    fs::rename(
        fixture.dir().join("audit-000000000004.jsonl"),
        fixture.dir().join("audit-000000000005.jsonl"),
    )
    .unwrap();
    assert!(matches!(fixture.broken().fault, Fault::Misnamed));
}

#[test]
fn older_files_may_be_archived_and_the_report_says_where_it_begins() {
    let fixture = Fixture::three_files();
    fs::remove_file(fixture.dir().join("audit-000000000001.jsonl")).unwrap();
    assert_eq!(verify(&fixture.dir()).unwrap().first_seq, 4);
}

#[test]
fn no_journal_is_no_intact_journal() {
    let fixture = Fixture::new();
    assert!(matches!(fixture.broken().fault, Fault::NoJournal));
    fs::create_dir(fixture.dir()).unwrap();
    assert!(matches!(fixture.broken().fault, Fault::NoJournal));
}

#[test]
fn a_current_file_that_is_taken_away_does_not_swallow_records() {
    let fixture = Fixture::three_files();
    let journal = fixture.open();
    fs::remove_file(fixture.current()).unwrap();
    journal.flush().unwrap();
    journal.append(r#"{"after":true}"#).unwrap();
    let lines = fixture.lines();
    assert_eq!(lines[0]["journal"]["action"], "replaced");
    assert_eq!(lines[1]["seq"], 11);

    fs::remove_file(fixture.current()).unwrap();
    fs::write(fixture.current(), "something else\n").unwrap();
    journal.flush().unwrap();
    let error = journal.append("{}").unwrap_err();
    assert!(error.to_string().contains("move it away"), "{error}");
    fs::remove_file(fixture.current()).unwrap();
    journal.append("{}").unwrap();
}

#[test]
fn records_of_many_threads_make_one_chain() {
    let fixture = Fixture::new();
    let journal = Journal::open(&fixture.dir(), Settings { max_bytes: 20_000 }).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let journal = &journal;
            scope.spawn(move || {
                for n in 0..100 {
                    journal
                        .append(&format!(r#"{{"thread":{thread},"n":{n}}}"#))
                        .unwrap();
                }
            });
        }
    });
    drop(journal);
    let report = verify(&fixture.dir()).unwrap();
    assert!(report.records > 400, "{report:?}");
}

/// Needs a file system that can be full: mounted in a namespace of its own, so that nothing of it is
/// seen outside.
#[test]
#[ignore = "needs user and mount namespaces: run with --run-ignored all where there are some"]
fn a_full_disk_is_said_and_nothing_is_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-ec"])
        .arg(
            r#"mount -t tmpfs -o size=64k tmpfs "$1"; PORTCULLIS_TEST_FULL="$1" exec "$2" --exact journal::tests::child_on_a_small_disk --ignored"#,
        )
        .arg("sh")
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "a child process of a_full_disk_is_said_and_nothing_is_half_written"]
fn child_on_a_small_disk() {
    let Some(disk) = std::env::var_os("PORTCULLIS_TEST_FULL") else {
        return;
    };
    let disk = PathBuf::from(disk);
    let dir = disk.join("audit");
    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![0; 20_000]).unwrap();
    let settings = Settings { max_bytes: 12_000 };
    let journal = Journal::open(&dir, settings).unwrap();
    let line = format!(r#"{{"filler":"{}"}}"#, "x".repeat(1000));
    let mut appended = 0;
    let error = loop {
        match journal.append(&line) {
            Ok(()) => appended += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, JournalError::Full);
    let error = journal.append_own(&[&line, &line]).unwrap_err();
    assert_eq!((error.appended, error.error), (0, JournalError::Full));
    assert_eq!(journal.append(&line), Err(JournalError::Full));
    let report = verify(&dir).unwrap();
    assert_eq!(report.unfinished_bytes, 0, "nothing half-written");
    fs::remove_file(ballast).unwrap();
    journal.append(&line).unwrap();
    drop(journal);
    let report = verify(&dir).unwrap();
    let own = report.files as u64;
    assert_eq!(report.records, appended + 1 + own);
    assert_eq!(report.recoveries, []);
}
