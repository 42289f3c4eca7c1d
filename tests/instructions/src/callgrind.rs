//! Runs one case of this program under callgrind, and reads what it counted.
//!
//! In: a case and how often. Out: instructions by function, of the thread that does the work and of all
//! others together: callgrind gives the number of a thread that has ended to the next one, and what else than
//! observing they do is the same however often the case is run. Code that wasmtime has compiled
//! belongs to no file: that is the guests' share. Fails where valgrind is not there ([`Missing`]), or
//! where the case fails.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::counts::Counts;

/// What goes wrong here is told, and nothing else.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// There is no valgrind.
#[derive(Debug)]
pub(crate) struct Missing;

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("valgrind cannot be run: install it (Debian: valgrind)")
    }
}

impl Error for Missing {}

/// What one run cost, by function.
#[derive(Debug, Default)]
pub(crate) struct Profile(HashMap<Function, i64>);

/// Where instructions were counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Function {
    pub(crate) part: Part,
    pub(crate) name: String,
}

/// Whether there is an observer to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    Yes,
    No,
}

/// Whose instructions they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Host,
    Guest,
    Observer,
}

impl Profile {
    /// What this one has more than that one.
    pub(crate) fn beyond(mut self, other: Self) -> Self {
        for (function, count) in other.0 {
            *self.0.entry(function).or_default() -= count;
        }
        self
    }

    /// For each of so many turns. What other threads do where nobody observes is done by the clock, and
    /// by no turn.
    pub(crate) fn counts(&self, turns: usize, observed: Observed) -> Counts {
        let turns = i64::try_from(turns).unwrap_or(i64::MAX);
        let of = |part: Part| {
            let own = self.0.iter().filter(|(function, _)| function.part == part);
            let sum: i64 = own.map(|(_, count)| count).sum();
            u64::try_from(sum / turns).unwrap_or(0)
        };
        Counts {
            host: of(Part::Host),
            guest: of(Part::Guest),
            observer: match observed {
                Observed::Yes => of(Part::Observer),
                Observed::No => 0,
            },
        }
    }

    /// The costliest functions, the most expensive first.
    pub(crate) fn top(self, how_many: usize) -> Vec<(Function, i64)> {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        all.truncate(how_many);
        all
    }
}

/// Lets this program compile the components, for the processor that valgrind imitates.
pub(crate) fn prepare(arguments: &[&Path]) -> Result<(), Failure> {
    let mut command = Command::new("valgrind");
    command.args([
        "--tool=none",
        "--max-stackframe=1000000000",
        "--log-file=/dev/null",
    ]);
    finish(
        command
            .arg(std::env::current_exe()?)
            .arg("prepare")
            .args(arguments),
    )
}

/// Runs a case under callgrind; the files that it leaves are in `dir`, which is made for them.
pub(crate) fn run(
    case: &str,
    turns: usize,
    arguments: &[&Path],
    dir: &Path,
) -> Result<Profile, Failure> {
    fs::create_dir_all(dir)?;
    let file = dir.join("callgrind.out");
    let mut command = Command::new("valgrind");
    command
        .args([
            "--tool=callgrind",
            "--separate-threads=yes",
            "--dump-line=no",
        ])
        // Fibers have stacks of their own, a few hundred kilobytes away.
        .args(["--max-stackframe=1000000000", "--log-file=/dev/null"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args(["run", case, &turns.to_string()])
        .args(arguments);
    finish(&mut command)?;
    let mut all = Profile::default();
    for entry in fs::read_dir(dir)? {
        let text = fs::read_to_string(entry?.path())?;
        let is_main = text.lines().any(|line| line == "thread: 1");
        read(&text, (!is_main).then_some(Part::Observer), &mut all);
    }
    Ok(all)
}

fn finish(command: &mut Command) -> Result<(), Failure> {
    let output = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Missing.into()),
        other => other?,
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} ends with {}: {said}", output.status).into())
}

/// Adds what a file of callgrind says of the functions themselves; what they call is told of those.
fn read(text: &str, part: Option<Part>, profile: &mut Profile) {
    let mut names = Names::default();
    let (mut object, mut function) = ("", "");
    let mut is_call = false;
    for line in text.lines() {
        if let Some((key, value)) = line.split_once('=').filter(|(key, _)| is_word(key)) {
            match key {
                "ob" => object = names.objects.name(value),
                "cob" => drop(names.objects.name(value)),
                "fn" => function = names.functions.name(value),
                "cfn" => drop(names.functions.name(value)),
                // The next line has the cost of what is called.
                "calls" => is_call = true,
                _ => {}
            }
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok());
            if !std::mem::take(&mut is_call) {
                let guest = match object {
                    "???" => Part::Guest,
                    _ => Part::Host,
                };
                let name = match guest {
                    Part::Guest => "(compiled WebAssembly)",
                    _ => function,
                };
                let function = Function {
                    part: part.unwrap_or(guest),
                    name: name.to_owned(),
                };
                *profile.0.entry(function).or_default() += cost.unwrap_or(0);
            }
        }
    }

    /// Names that are said once and then go by their number: `(7) name`, later `(7)`.
    #[derive(Default)]
    struct Names<'t> {
        objects: Compressed<'t>,
        functions: Compressed<'t>,
    }
    #[derive(Default)]
    struct Compressed<'t>(HashMap<&'t str, &'t str>);
    impl<'t> Compressed<'t> {
        fn name(&mut self, value: &'t str) -> &'t str {
            match value.split_once(' ') {
                Some((number, name)) => {
                    self.0.insert(number, name);
                    name
                }
                None => self.0.get(value).copied().unwrap_or(value),
            }
        }
    }
}

fn is_word(key: &str) -> bool {
    key.chars().all(|it| it.is_ascii_alphabetic())
}
