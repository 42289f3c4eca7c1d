//! A target as the system sees it.

use std::io::BufRead as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that is ended with its owner.
pub(crate) struct Process {
    child: Child,
}

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Time on processors, of the program and of the system for it.
    pub(crate) cpu: Duration,
    /// Bytes of memory that are resident.
    pub(crate) resident: u64,
}

impl Process {
    /// Starts it, on the first processor if there are more, with its messages in `log`; returns once it
    /// has printed a line.
    pub(crate) fn start(program: &Path, arguments: &[String], log: &Path) -> (Self, String) {
        let shared = std::thread::available_parallelism().map_or(1, usize::from) < 2;
        let mut command = match shared {
            true => Command::new(program),
            false => {
                let mut pinned = Command::new("taskset");
                pinned.args(["--cpu-list", "0"]).arg(program);
                pinned
            }
        };
        let child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut process = Self { child };
        let mut line = String::new();
        let output = process.child.stdout.take().unwrap();
        std::io::BufReader::new(output)
            .read_line(&mut line)
            .unwrap();
        if line.is_empty() {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            panic!("{} does not start:\n{said}", program.display());
        }
        (process, line.trim_end().to_owned())
    }

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

/// What this process has used up to now.
pub(crate) fn own_usage() -> Usage {
    usage(std::process::id())
}

fn usage(pid: u32) -> Usage {
    // The only file with nanoseconds, one for each thread.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let nanoseconds = |thread: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    Usage {
        cpu: Duration::from_nanos(threads.filter_map(nanoseconds).sum()),
        resident: kilobytes.unwrap_or(0) * 1024,
    }
}
