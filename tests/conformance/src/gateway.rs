//! The program itself, in a process of its own.
//!
//! In: a configuration file. Out: where it listens, what it says of itself (`/metrics`, the admin
//! socket), what the system says of it (`/proc`). It is ended by its process id, at the latest when the
//! handle is dropped.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};

use crate::PATIENCE;

/// A running gateway. Whatever a test does to it, its handle is dropped with it having used no more
/// than `MEMORY` and `PROCESSOR`, or the test fails: an attack that is answered as it should be and
/// costs too much has succeeded.
pub struct Gateway {
    child: Owned,
    /// When it was ready.
    ready: Usage,
    /// Time on processors from then on; none: the test itself has it burn.
    processor: Option<Duration>,
    /// Bytes of memory from then on.
    memory: u64,
    /// Its process id.
    pub pid: u32,
    /// For partners.
    pub federation: SocketAddr,
    /// For internal servers.
    pub internal: SocketAddr,
    admin: SocketAddr,
    data_dir: PathBuf,
    log: PathBuf,
}

/// Bytes of memory beyond what a gateway has when it is ready.
const MEMORY: u64 = 32 * 1024 * 1024;
/// What the compiler needs beyond that. Measured: 12 MiB, and the allocator keeps some of each time.
const COMPILER: u64 = 64 * 1024 * 1024;
/// Time on processors from then on.
const PROCESSOR: Duration = Duration::from_secs(5);

/// How long a component may take to be compiled: the compiler steps back behind whatever else runs.
const COMPILED: Duration = Duration::from_secs(120);

/// A process that is ended with its owner.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _code = self.0.wait();
    }
}

/// What a process uses, as the system counts it.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Bytes of memory that are resident.
    pub resident: u64,
    /// The most that were resident, since [`Gateway::forget_peak`].
    pub peak: u64,
    /// Time on processors, of the program and of the system for it.
    pub cpu: Duration,
}

/// The program: beside the tests, in the directory that cargo builds into.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test
        .ancestors()
        .nth(2)
        .unwrap()
        .join("portcullis-under-test");
    assert!(built.exists(), "{} is not there", built.display());
    built
}

impl Gateway {
    /// Starts it, and waits until it is ready.
    pub async fn start(config: &Path, data_dir: &Path) -> Self {
        let log = config.with_extension("log");
        let mut child = Command::new(program())
            .arg("run")
            .arg("--config")
            .arg(config)
            .args(["--log", "portcullis=debug,portcullis_policy=debug"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        // From here on it is ended, whatever happens.
        let child = Owned(child);
        let first_line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            let read = std::io::BufReader::new(stdout).read_line(&mut line);
            read.map(|_| line)
        });
        let said = timeout(PATIENCE, first_line).await;
        if !matches!(&said, Ok(Ok(Ok(line))) if line.starts_with("portcullis is ready")) {
            let log = std::fs::read_to_string(&log).unwrap();
            panic!("the gateway does not start: {said:?}\n{log}");
        }
        let pid = child.0.id();
        let status = ask(data_dir, "status", PATIENCE).await;
        let address = |name: &str| {
            let listeners = status["listeners"].as_array().unwrap();
            let mut of_name = listeners.iter().filter(|listener| listener["name"] == name);
            let address = of_name.next().unwrap()["address"].as_str().unwrap();
            address.parse().unwrap()
        };
        Self {
            ready: usage(pid).unwrap(),
            processor: Some(PROCESSOR),
            memory: MEMORY,
            pid,
            federation: address("federation"),
            internal: address("internal"),
            admin: address("admin"),
            data_dir: data_dir.to_owned(),
            log,
            child,
        }
    }

    /// What the admin socket says of it.
    pub async fn status(&self) -> Value {
        ask(&self.data_dir, "status", PATIENCE).await
    }

    /// Lets it read its configuration again, and returns what became of that.
    pub async fn reload(&self) -> Value {
        ask(&self.data_dir, "reload", COMPILED).await
    }

    /// The value of each metric, by name and labels.
    pub async fn metrics(&self) -> BTreeMap<String, f64> {
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
        read.expect("metrics in time").unwrap();
        let lines = answer.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// The sum of a metric over all labels that contain `label`.
    pub async fn sum(&self, name: &str, label: &str) -> f64 {
        let metrics = self.metrics().await;
        let of = |key: &str| key.split('{').next() == Some(name) && key.contains(label);
        let values = metrics.iter().filter(|(key, _)| of(key));
        values.map(|(_, value)| value).sum()
    }

    /// What it uses now.
    pub fn usage(&self) -> Usage {
        usage(self.pid).unwrap()
    }

    /// Begins a new [`Usage::peak`].
    pub fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid), "5").unwrap();
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits for a line of the log that contains this.
    pub async fn logs(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "{text:?} is not logged:\n{log}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until this metric has this sum, over all labels that contain `label`.
    pub async fn until(&self, name: &str, label: &str, wanted: f64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let is = self.sum(name, label).await;
            if (is - wanted).abs() < 0.5 {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{name} {label} is {is}, not {wanted}\n{}",
                self.log()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it holds nothing of all that happened: no connection, no stream that somebody
    /// opened to it, and each stanza that was received has ended.
    pub async fn at_rest(&self) {
        self.until("portcullis_connections", "", 0.0).await;
        self.settled().await;
    }

    /// The same, once so many streams have been refused.
    pub async fn at_rest_after(&self, refused: u32) {
        self.until("portcullis_streams_refused_total", "", f64::from(refused))
            .await;
        self.at_rest().await;
    }

    /// Waits until each stanza that was received has ended, and returns how many there were.
    pub async fn settled(&self) -> f64 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let received = self.sum("portcullis_stanzas_received_total", "").await;
            let ended = self.sum("portcullis_stanzas_total", "").await;
            if (received - ended).abs() < 0.5 {
                return received;
            }
            let late = Instant::now() >= deadline;
            assert!(!late, "{ended} of {received} stanzas have ended");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Its plugin burns as long as the test lets it, which a slow machine makes longer.
    pub fn burns_by_design(&mut self) {
        self.processor = None;
    }

    /// The test has it compile components one after the other.
    pub fn compiles_by_design(&mut self) {
        self.processor = None;
        self.memory = MEMORY + COMPILER;
    }

    /// Asks it to end, waits for it, and returns its exit code.
    pub async fn end(self) -> Option<i32> {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid).unwrap());
        rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::TERM).unwrap();
        let waited = tokio::task::spawn_blocking(move || {
            let mut whole = self;
            whole.child.0.wait()
        });
        let ended = timeout(PATIENCE, waited).await;
        ended.expect("the gateway ends").unwrap().unwrap().code()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // None: it has ended before. A test that fails already says why.
        let Some(now) = usage(self.pid).filter(|_| !std::thread::panicking()) else {
            return;
        };
        let grown = now.peak.saturating_sub(self.ready.resident);
        let took = now.cpu.saturating_sub(self.ready.cpu);
        assert!(
            grown <= self.memory,
            "{grown} bytes more than when it was ready"
        );
        let bound = self.processor.unwrap_or(took);
        assert!(took <= bound, "{took:?} on the processor");
    }
}

/// What a process uses now; none if it has ended.
fn usage(pid: u32) -> Option<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kilobytes = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        let number = line.split_ascii_whitespace().nth(1)?;
        Some(number.parse::<u64>().ok()? * 1024)
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in the second field may hold anything.
    let fields = stat.rsplit_once(") ")?.1;
    let ticks = |n: usize| fields.split(' ').nth(n)?.parse::<u64>().ok();
    Some(Usage {
        resident: kilobytes("VmRSS:")?,
        peak: kilobytes("VmHWM:")?,
        // USER_HZ is 100 on every Linux that Rust runs on.
        cpu: Duration::from_millis((ticks(11)? + ticks(12)?) * 10),
    })
}

async fn ask(data_dir: &Path, command: &str, patience: Duration) -> Value {
    let stream = UnixStream::connect(data_dir.join("admin.sock")).await;
    let mut stream = BufReader::new(stream.unwrap());
    let request = format!("{{\"command\":\"{command}\"}}\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = String::new();
    let read = timeout(patience, stream.read_line(&mut line)).await;
    read.expect("the admin socket answers").unwrap();
    serde_json::from_str(&line).unwrap()
}
