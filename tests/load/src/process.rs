//! A target as the system sees it.

use std::io::BufRead as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The slowest that is measured needs a few seconds; a busy machine makes that many.
const MOST_TO_START: Duration = Duration::from_secs(120);
/// How often somebody is asked who does not say by himself that he is ready.
const PACE: Duration = Duration::from_millis(1);

/// A process that is ended with its owner.
pub(crate) struct Process {
    child: Child,
    /// From before it was started until it was ready.
    pub(crate) ready_after: Duration,
}

/// What is started, and how.
pub(crate) struct Program {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Where its messages go.
    pub(crate) log: PathBuf,
    /// How many processors it has, from the first on.
    pub(crate) processors: usize,
}

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Time on processors, of the program and of the system for it.
    pub(crate) cpu: Duration,
    /// Time in which it could have run but somebody else did, itself included.
    pub(crate) waiting: Duration,
    /// Bytes of memory that are resident.
    pub(crate) resident: u64,
}

impl Program {
    /// Starts it and waits for its first line, which it prints when it is ready.
    pub(crate) fn until_it_says_so(&self) -> (Process, String) {
        let mut process = self.spawn();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(process.output());
        output.read_line(&mut line).unwrap();
        if line.is_empty() {
            self.give_up("ends without a word");
        }
        process.0.ready_after = process.1.elapsed();
        (process.0, line.trim_end().to_owned())
    }

    /// Starts it and waits until all of these take connections.
    pub(crate) fn until_it_listens(&self, to: &[SocketAddr]) -> Process {
        let mut process = self.spawn();
        for address in to {
            while TcpStream::connect(address).is_err() {
                if matches!(process.0.child.try_wait(), Ok(Some(_)) | Err(_)) {
                    self.give_up("ends");
                }
                if process.1.elapsed() > MOST_TO_START {
                    self.give_up("does not listen");
                }
                std::thread::sleep(PACE);
            }
        }
        process.0.ready_after = process.1.elapsed();
        process.0
    }

    fn spawn(&self) -> Spawned {
        let available = available();
        let mut command = match available {
            1 => Command::new(&self.program),
            _ => {
                let mut pinned = Command::new("taskset");
                let last = self.processors.clamp(1, available) - 1;
                pinned.args(["--cpu-list", &format!("0-{last}")]);
                pinned.arg(&self.program);
                pinned
            }
        };
        let log = std::fs::File::create(&self.log).unwrap();
        command
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let begin = Instant::now();
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let ready_after = Duration::ZERO;
        Spawned(Process { child, ready_after }, begin)
    }

    fn give_up(&self, what: &str) -> ! {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        panic!("{} {what}:\n{said}", self.program.display());
    }
}

/// A process that is not ready, and since when.
struct Spawned(Process, Instant);

impl Spawned {
    fn output(&mut self) -> ChildStdout {
        self.0.child.stdout.take().unwrap()
    }
}

impl Process {
    /// What it has used up to now.
    pub(crate) fn usage(&self) -> Usage {
        usage(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Well-behaved targets have time to write down what they must; others are ended.
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().try_into().unwrap_or(0)) {
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ended = self.child.kill();
        let _code = self.child.wait();
    }
}

impl Usage {
    /// What was used since then; memory as it is now.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            waiting: self.waiting.saturating_sub(before.waiting),
            ..self
        }
    }
}

/// Leaves the target's processors alone where there are others, and else shares the last. To be called
/// before there are threads.
pub(crate) fn keep_off(processors: usize) {
    let available = available();
    if available < 2 {
        return;
    }
    let first = processors.min(available - 1);
    let list = format!("{first}-{}", available - 1);
    let own = std::process::id().to_string();
    let done = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", &list, &own])
        .stdout(Stdio::null())
        .status();
    assert!(done.is_ok_and(|code| code.success()), "taskset {list}");
}

/// As many open files as the system lets this process and those that it starts have.
pub(crate) fn open_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let have = getrlimit(Resource::Nofile);
    let limit = |most| Rlimit {
        current: Some(most),
        maximum: Some(have.maximum.map_or(most, |own| own.max(most))),
    };
    if setrlimit(Resource::Nofile, limit(100_000)).is_err() {
        let _as_many = setrlimit(Resource::Nofile, limit(have.maximum.unwrap_or(1024)));
    }
}

/// How many processors the machine has, whatever this process was confined to since.
pub(crate) fn available() -> usize {
    static AVAILABLE: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *AVAILABLE.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Where a program is that came with a package.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([Path::new("/usr/sbin").to_owned()])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

/// What this process has used up to now.
pub(crate) fn own_usage() -> Usage {
    usage(std::process::id())
}

fn usage(pid: u32) -> Usage {
    // The only file with nanoseconds, one for each thread: on a processor, and waiting for one.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let nanoseconds = |thread: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        let mut figures = text.split(' ').map(str::parse::<u64>);
        Some([figures.next()?.ok()?, figures.next()?.ok()?])
    };
    let [cpu, waiting] = threads
        .filter_map(nanoseconds)
        .fold([0, 0], |[cpu, waiting], [more, longer]| {
            [cpu + more, waiting + longer]
        })
        .map(Duration::from_nanos);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    Usage {
        cpu,
        waiting,
        resident: kilobytes.unwrap_or(0) * 1024,
    }
}
