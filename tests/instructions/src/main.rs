//! Counts the instructions that a stanza costs, by callgrind, and compares them with what they were.
//!
//! In: the cases of [`cases`], this program itself under valgrind. Out: instructions for one turn of
//! each: the difference of two runs that differ in nothing but the number of turns, so that neither
//! the start nor the clock is in it. Exit 0: nothing costs more than it did; 1: something does, or a
//! case fails; 3: there is no valgrind.

mod callgrind;
mod cases;
mod counts;
mod stanzas;
mod stream;
mod world;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::thread;

use clap::{Args, Parser, Subcommand};

use callgrind::{Failure, Missing, Part, Profile};
use cases::{CASES, Case, WARM};
use counts::{Baseline, Change, Counts};
use world::Components;

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Errand,
}

#[derive(Subcommand)]
enum Errand {
    /// Counts, and compares with what it was.
    Count(Count),
    /// Compiles the components, if that was not done before.
    Prepare { plugins: PathBuf, cache: PathBuf },
    /// Does one case so often; what `count` runs under valgrind.
    Run {
        case: String,
        turns: usize,
        plugins: PathBuf,
        cache: PathBuf,
    },
}

#[derive(Args)]
struct Count {
    /// Where the components are: `portcullis plugin build` leaves them in `target/plugins`.
    #[arg(long)]
    plugins: PathBuf,
    /// Where what is compiled of them is kept for the next time.
    #[arg(long)]
    cache: PathBuf,
    /// The file with what it was.
    #[arg(long)]
    baseline: PathBuf,
    /// Only the cases whose name has this in it.
    #[arg(long, default_value = "")]
    case: String,
    /// Makes what is counted what it is to be.
    #[arg(long)]
    accept: bool,
    /// Also tells the costliest functions, so many of each case.
    #[arg(long, default_value_t = 0)]
    top: usize,
    /// Keeps what callgrind writes there, for callgrind_annotate.
    #[arg(long)]
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Errand::Count(count) => count.carry_out(),
        Errand::Prepare { plugins, cache } => {
            cases::prepare(&Components { plugins, cache }).map(|()| ExitCode::SUCCESS)
        }
        Errand::Run {
            case,
            turns,
            plugins,
            cache,
        } => run(&case, turns, &Components { plugins, cache }).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("{error}");
        match error.is::<Missing>() {
            true => ExitCode::from(3),
            false => ExitCode::FAILURE,
        }
    })
}

fn run(case: &str, turns: usize, components: &Components) -> Result<(), Failure> {
    let case = CASES.iter().find(|known| known.name == case);
    case.ok_or("there is no such case")?.run(turns, components)
}

impl Count {
    fn carry_out(&self) -> Result<ExitCode, Failure> {
        let circumstances = circumstances();
        let mut baseline = Baseline::read(&self.baseline)?;
        let was = baseline.of(&circumstances);
        let counted = self.count()?;
        println!("{circumstances}");
        println!(
            "{:<38}{:>9}{:>9}{:>10}   was:",
            "instructions for one turn", "host", "guest", "observer"
        );
        let (mut more, mut less) = (0, 0);
        for (case, counts) in &counted {
            let before = was.and_then(|table| table.get(*case));
            let change = before.map_or(Change::None, |before| worst(*before, *counts));
            match change {
                Change::More => more += 1,
                Change::Less => less += 1,
                Change::None => {}
            }
            println!("{case:<38}{}", told(*counts, before.copied(), change));
        }
        if was.is_none() {
            println!("NOTE: nobody has counted under {circumstances} yet: nothing to compare with");
        }
        if self.accept {
            baseline.accept(&circumstances, &counted);
            baseline.write(&self.baseline)?;
            return Ok(ExitCode::SUCCESS);
        }
        if less > 0 {
            println!(
                "NOTE: {less} cases cost less than they did; --accept makes that what they are to cost"
            );
        }
        if more > 0 {
            println!(
                "{more} cases cost more than they did; --top 30 tells where, --accept permits it"
            );
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Two cases at a time: how loaded a machine is changes no count.
    fn count(&self) -> Result<Vec<(&'static str, Counts)>, Failure> {
        let temporary = tempfile::tempdir()?;
        let dir = self.keep.as_deref().unwrap_or(temporary.path());
        // Compiling under callgrind would take a minute.
        callgrind::prepare(&[&self.plugins, &self.cache])?;
        let chosen = CASES.iter().filter(|case| case.name.contains(&self.case));
        let waiting = Mutex::new(chosen.enumerate());
        let next = || {
            waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .next()
        };
        let work = || {
            let mut done = Vec::new();
            while let Some((place, case)) = next() {
                done.push((
                    place,
                    case,
                    self.profile(*case, &dir.join(place.to_string()))?,
                ));
            }
            Ok::<_, Failure>(done)
        };
        let done = thread::scope(|scope| {
            let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
            let ends = workers.into_iter().map(|worker| match worker.join() {
                Ok(outcome) => outcome,
                Err(_) => Err("a worker panicked".into()),
            });
            ends.collect::<Result<Vec<_>, _>>()
        })?;
        let mut done: Vec<_> = done.into_iter().flatten().collect();
        done.sort_by_key(|(place, ..)| *place);
        let counted = done.into_iter().map(|(_, case, profile)| {
            let counts = profile.counts(case.turns, case.observed());
            if self.top > 0 {
                print_top(*case, profile, self.top);
            }
            (case.name, counts)
        });
        Ok(counted.collect())
    }

    /// What the turns beyond the first few cost.
    fn profile(&self, case: Case, dir: &Path) -> Result<Profile, Failure> {
        let run = |turns: usize, to: &str| {
            callgrind::run(
                case.name,
                turns,
                &[&self.plugins, &self.cache],
                &dir.join(to),
            )
        };
        let few = run(WARM, "few")?;
        Ok(run(WARM + case.turns, "many")?.beyond(few))
    }
}

fn print_top(case: Case, profile: Profile, how_many: usize) {
    println!("{}", case.name);
    let turns = i64::try_from(case.turns).unwrap_or(i64::MAX);
    for (function, count) in profile.top(how_many) {
        let whose = match function.part {
            Part::Observer => "observer: ",
            Part::Host | Part::Guest => "",
        };
        println!("{:>9}  {whose}{}", count / turns, function.name);
    }
    println!();
}

/// What the figures depend on beside the code.
fn circumstances() -> String {
    let libc = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let libc = libc.ok().filter(|output| output.status.success());
    let libc = libc.and_then(|output| String::from_utf8(output.stdout).ok());
    let libc = libc.as_deref().map_or("another libc", str::trim);
    format!("{}, {libc}", env!("COMPILER"))
}

/// More of one outweighs less of another.
fn worst(was: Counts, is: Counts) -> Change {
    let parts = [
        Change::of(was.host, is.host),
        Change::of(was.guest, is.guest),
        Change::of(was.observer, is.observer),
    ];
    parts.into_iter().max().unwrap_or(Change::None)
}

fn told(is: Counts, was: Option<Counts>, change: Change) -> String {
    let now = format!("{:>9}{:>9}{:>10}", is.host, is.guest, is.observer);
    let word = match change {
        Change::None => "",
        Change::Less => "  LESS",
        Change::More => "  MORE",
    };
    match was {
        None => now,
        Some(was) => format!(
            "{now}   {:>8} {:>8} {:>9}{word}",
            was.host, was.guest, was.observer
        ),
    }
}
