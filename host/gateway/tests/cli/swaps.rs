//! A thousand swaps in a row on the running program: what is replaced is gone.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{gateway, portcullis};

/// Ends the program with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["run", "--config", "p.toml", "--log", "error"])
            .current_dir(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut ready).unwrap();
        assert!(ready.contains("is ready"), "{ready}");
        Self(child)
    }

    /// Resident memory, in bytes.
    fn memory(&self) -> u64 {
        let sizes = fs::read_to_string(format!("/proc/{}/statm", self.0.id())).unwrap();
        let pages: u64 = sizes.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }
}

fn ask(socket: &Path, request: &str) -> Value {
    let mut stream = BufReader::new(UnixStream::connect(socket).unwrap());
    writeln!(stream.get_mut(), "{request}").unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap()
}

#[test]
fn a_thousand_swaps_leave_no_memory_and_no_generation_behind() {
    let dir = gateway();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/partner-allowlist");
    let built = portcullis(
        dir.path(),
        &["plugin", "build", source.to_str().unwrap(), "--json"],
    );
    let built: Value = serde_json::from_slice(&built.stdout).unwrap();
    let component = fs::read(built["component"].as_str().unwrap()).unwrap();
    fs::create_dir(dir.path().join("plugins")).unwrap();
    let base = fs::read_to_string(dir.path().join("p.toml")).unwrap();
    // Each differs from the one before in component, configuration and records.
    let write = |turn: u64| {
        let tag = u8::try_from(turn % 2).unwrap();
        let variant = [&component[..], &[0, 3, 1, b't', tag]].concat();
        fs::write(dir.path().join("plugins/a.wasm"), variant).unwrap();
        let more = format!(
            "[[partner]]\ndomain = 'turn{}.test'\n[[plugin]]\nname = 'a'\ncomponent = 'a.wasm'\n\
             [plugin.config]\nallow = ['turn{turn}.test']\n",
            turn % 7
        );
        fs::write(dir.path().join("p.toml"), format!("{base}{more}")).unwrap();
    };
    write(0);
    let program = Program::start(dir.path());
    let socket = dir.path().join("data/admin.sock");
    let status = || ask(&socket, r#"{"command":"status"}"#);
    let mut turn = 0;
    let mut swap_until = |generation: u64| {
        while status()["generation"].as_u64().unwrap() < generation {
            turn += 1;
            write(turn);
            let reload = ask(&socket, r#"{"command":"reload"}"#);
            // Files are watched, too: who comes second finds nothing to do.
            assert!(
                reload["result"] == "ok" || reload["result"] == "unchanged",
                "{reload}"
            );
        }
        let patience = Instant::now() + Duration::from_secs(30);
        while status()["generations_alive"] != json!(1) {
            assert!(
                Instant::now() < patience,
                "{}",
                status()["generations_alive"]
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        program.memory()
    };
    let early = swap_until(200);
    let late = swap_until(1000);
    println!("resident after 200 swaps: {early} bytes, after 1000: {late}");
    // A kilobyte for each swap would be 800 KiB; the allocator's own unrest is some megabytes.
    assert!(late < early + early / 10 + (4 << 20), "{early} -> {late}");

    let kept = ask(&socket, r#"{"command":"generations"}"#);
    assert_eq!(kept["kept"].as_array().unwrap().len(), 10);
    let objects = fs::read_dir(dir.path().join("data/generations/objects")).unwrap();
    // Two components and the authority of the internal servers.
    assert_eq!(objects.count(), 3);

    // The same from the command line, with an answer and an exit code for scripts.
    let asked = |words: &[&str]| {
        let arguments = [words, &["--json", "--config", "p.toml"]].concat();
        let output = portcullis(dir.path(), &arguments);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), answer)
    };
    let last = status()["generation"].as_u64().unwrap();
    let (code, back) = asked(&["rollback"]);
    assert_eq!((code, &back["result"]), (Some(0), &json!("ok")), "{back}");
    assert_eq!(
        (&back["generation"], &back["made_from"]),
        (&json!(last + 1), &json!(last - 1))
    );
    let (code, refused) = asked(&["rollback", "1"]);
    assert_eq!(
        (code, &refused["result"]),
        (Some(1), &json!("failed")),
        "{refused}"
    );
    let (code, dry) = asked(&["reload", "--dry-run"]);
    assert_eq!(
        (code, &dry["purpose"]),
        (Some(0), &json!("dry-run")),
        "{dry}"
    );
    assert_eq!(
        dry["changes"]["plugins"][0]["replaced"],
        json!(true),
        "{dry}"
    );
    assert_eq!(dry["generation"], json!(last + 1));
    let (code, listed) = asked(&["generations"]);
    assert_eq!(
        (code, &listed["kept"][0]["current"]),
        (Some(0), &json!(true)),
        "{listed}"
    );
    let (_, stands) = asked(&["status"]);
    assert_eq!(
        stands["rolled_back"]["files_differ"],
        json!(true),
        "{stands}"
    );
    let shown = portcullis(dir.path(), &["status", "--config", "p.toml"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("the files on disk say something else"),
        "{shown}"
    );
    let (code, ended) = asked(&["reload"]);
    assert_eq!(
        (code, &ended["generation"]),
        (Some(0), &json!(last + 2)),
        "{ended}"
    );
}
