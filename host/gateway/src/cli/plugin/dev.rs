//! `plugin dev`: from a saved file to what it does.
//!
//! In: a crate. Out, at each change of its sources or fixtures: what cargo says if it does not build,
//! else its fixtures as `plugin test` shows them, and for a filter what becomes of sample stanzas. With
//! a gateway, each build is put into its plugins_dir as one file, and its answer told. Ends when it is
//! interrupted. Can fail: the crate, in every way; the next change is another chance.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use portcullis_policy::{Engine, build, watch::Watcher};
use tokio::runtime::Runtime;

use super::{
    diff, log,
    test::{self, FileResult},
};
use crate::{
    admin::protocol::{Request, Response},
    cli::{
        args::Format,
        ask, change,
        exit::Exit,
        problems,
        terminal::{Level, Terminal},
    },
    config::Config,
    workbench::{
        compare,
        fixture::{self, Case, Fixture},
        machinery,
        run::{Done, Tried},
        samples,
    },
};

/// The files of a crate, with what tells a change.
type Print = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// How deep sources are looked for.
const DEPTH: usize = 8;

/// One author's session.
struct Session<'a> {
    terminal: Terminal,
    crate_dir: &'a Path,
    gateway: Option<Config>,
    builder: build::Builder,
    runtime: Runtime,
    engine: Arc<Engine>,
    log: log::Captured,
}

/// Until when it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounds {
    /// One.
    One,
    /// Until it is interrupted.
    Endless,
}

/// Goes on until it is interrupted, or for one round.
pub(super) fn dev(
    crate_dir: &Path,
    gateway: Option<&Path>,
    rounds: Rounds,
    options: &build::Options,
) -> Exit {
    let terminal = Terminal::new();
    let gateway = match gateway.map(Config::load).transpose() {
        Ok(gateway) => gateway,
        Err(rejected) => return problems::refused(&rejected, Format::Human),
    };
    let session = match Session::new(terminal, crate_dir, gateway, options) {
        Ok(session) => session,
        Err(error) => {
            terminal.mark(Level::Problem, &error, None);
            return Exit::Problem;
        }
    };
    match session.go_on(rounds) {
        Ok(true) => Exit::Well,
        Ok(false) => Exit::Problem,
        Err(error) => {
            terminal.mark(Level::Problem, &error, None);
            Exit::Problem
        }
    }
}

impl<'a> Session<'a> {
    fn new(
        terminal: Terminal,
        crate_dir: &'a Path,
        gateway: Option<Config>,
        options: &build::Options,
    ) -> Result<Self, String> {
        let mut progress = |line: &str| terminal.line(&format!("    {line}"));
        let builder = build::Builder::new(crate_dir, options, &mut progress);
        let (runtime, engine) = machinery().map_err(|error| error.to_string())?;
        Ok(Self {
            terminal,
            crate_dir,
            gateway,
            builder: builder.map_err(|failure| failure.to_string())?,
            runtime,
            engine,
            log: log::Captured::install(),
        })
    }

    /// Whether all was as expected in the last round.
    fn go_on(&self, rounds: Rounds) -> Result<bool, String> {
        let mut seen = print(self.crate_dir);
        let mut well = self.round(None);
        if rounds == Rounds::One {
            return Ok(well);
        }
        let _in_runtime = self.runtime.enter();
        let mut watched = directories(&seen, self.crate_dir);
        let watch = |all: &BTreeSet<PathBuf>| {
            Watcher::new(all.iter().cloned()).map_err(|error| error.to_string())
        };
        let mut watcher = watch(&watched)?;
        loop {
            // What was saved while the round went on is seen here.
            let now = print(self.crate_dir);
            if now == seen {
                let shown = self.crate_dir.display();
                let text = format!("\nwatching {shown}; Ctrl-C ends");
                self.terminal.line(&self.terminal.painted("2", &text));
                while print(self.crate_dir) == seen {
                    self.runtime.block_on(watcher.changed());
                }
            }
            seen = print(self.crate_dir);
            let directories = directories(&seen, self.crate_dir);
            if directories != watched {
                watcher = watch(&directories)?;
                watched = directories;
            }
            let saved = seen.values().filter_map(|(time, _)| *time).max();
            well = self.round(saved);
            tracing::debug!(well, "a round is over");
        }
    }

    /// Builds, tries, tells. `saved`: when the change was saved that it is about.
    fn round(&self, saved: Option<SystemTime>) -> bool {
        let begun = Instant::now();
        let mut quiet = |_: &str| ();
        let component = match self.builder.build(&mut quiet) {
            Ok(component) => component,
            Err(failure) => {
                // cargo's own words, as it formats them.
                self.terminal.heading("it does not build");
                for line in failure.to_string().lines() {
                    self.terminal.line(line);
                }
                return false;
            }
        };
        let built = begun.elapsed();
        // The engine forgets a component that nobody holds, and would compile it for each fixture.
        let held = self.hold(&component);
        let fixtures = self.fixtures(&component);
        let first = fixtures.first().map(|result| result.file.clone());
        let well = fixtures.iter().all(|file| file.error.is_none())
            && fixtures
                .iter()
                .flat_map(|file| &file.cases)
                .all(test::CaseResult::passed);
        for file in &fixtures {
            test::show(self.terminal, file);
        }
        let sampled = self.samples(&component, first.as_deref());
        drop(held);
        let tried = begun.elapsed().saturating_sub(built);
        let mut times = format!("\nbuilt in {}, tried in {}", seconds(built), seconds(tried));
        if let Some(since) = saved.and_then(|saved| saved.elapsed().ok()) {
            times.push_str(&format!("; {} from saving to here", seconds(since)));
        }
        self.terminal.line(&self.terminal.painted("2", &times));
        let swapped = self
            .gateway
            .as_ref()
            .is_none_or(|config| self.swap(config, &component));
        well && sampled && swapped
    }

    /// Starts it once more, if it starts; why it does not, the fixtures tell.
    fn hold(&self, component: &Path) -> Option<Tried> {
        let files = fixture::files(&self.crate_dir.join("fixtures")).unwrap_or_default();
        let fixture = files.first().and_then(|file| Fixture::read(file).ok());
        let fixture = fixture.unwrap_or_default();
        let started = Tried::start(&self.engine, component, &fixture);
        let started = self.runtime.block_on(started);
        self.log.take();
        started.ok().map(|(tried, _)| tried)
    }

    fn fixtures(&self, component: &Path) -> Vec<FileResult> {
        let place = self.crate_dir.join("fixtures");
        if !place.is_dir() {
            return Vec::new();
        }
        let files = match fixture::files(&place) {
            Ok(files) => files,
            Err(error) => {
                return vec![FileResult {
                    file: place,
                    error: Some(error.to_string()),
                    cases: Vec::new(),
                }];
            }
        };
        let ran = files.into_iter().map(|file| {
            let ran = test::run(&self.engine, component, &file, &self.log);
            let (error, cases) = match self.runtime.block_on(ran) {
                Ok(cases) => (None, cases),
                Err(error) => (Some(error), Vec::new()),
            };
            FileResult { file, error, cases }
        });
        ran.collect()
    }

    /// What becomes of the samples, with the configuration of the first fixture.
    fn samples(&self, component: &Path, fixture: Option<&Path>) -> bool {
        let fixture = fixture.and_then(|file| Fixture::read(file).ok());
        let fixture = fixture.unwrap_or_default();
        let own = fixture.own.first().cloned().unwrap_or_default();
        let outcome = self.runtime.block_on(async {
            let (mut tried, _) = Tried::start(&self.engine, component, &fixture)
                .await
                .map_err(|error| error.to_string())?;
            self.log.take();
            if !tried.is_filter() {
                return Ok(());
            }
            self.terminal.heading("samples");
            for (name, xml) in samples::stanzas(&own) {
                let case = Case {
                    stanza: Some(xml),
                    ..Case::default()
                };
                let done = tried.meet(&case).await?;
                self.sample(&name, &done);
            }
            Ok::<(), String>(())
        });
        if let Err(error) = &outcome {
            self.terminal.mark(Level::Problem, error, None);
            for line in self.log.take() {
                self.terminal.mark(Level::Problem, &line, None);
            }
        }
        outcome.is_ok()
    }

    /// One sample: its verdict, its edits, what the plugin said.
    fn sample(&self, name: &str, done: &Done) {
        let verdict = done.verdict.unwrap_or_default();
        let style = match verdict {
            "pass" => "32",
            _ => "31",
        };
        let verdict = self.terminal.painted(style, &format!("{verdict:7}"));
        let told = [done.condition, done.text.as_deref(), done.reason.as_deref()];
        let told: BTreeSet<_> = told.into_iter().flatten().collect();
        let told: Vec<_> = told.into_iter().collect();
        let time = format!("{} µs", done.elapsed.as_micros());
        let line = format!("  {verdict} {name:22} {time:>8}  {}", told.join(": "));
        self.terminal.line(line.trim_end());
        if let Some((arrived, Some(passed))) = &done.stanza
            && arrived.to_xml() != passed.to_xml()
        {
            let lines = |stanza: &portcullis_xmpp::Stanza| compare::lines(&stanza.to_xml());
            diff::show(self.terminal, &lines(arrived), &lines(passed));
        }
        if let Some(failure) = &done.failure {
            self.terminal.mark(Level::Problem, failure, None);
        }
        for line in self.log.take() {
            let line = format!("          log: {}", crate::cli::terminal::visible(&line));
            self.terminal.line(&self.terminal.painted("2", &line));
        }
    }

    /// Puts the component where the gateway looks, and says what the gateway makes of it.
    fn swap(&self, config: &Config, component: &Path) -> bool {
        self.terminal.heading("the gateway");
        let place = config.gateway.plugins_dir.join(self.builder.file_name());
        if let Err(failure) = build::replace(component, &place) {
            self.terminal
                .mark(Level::Problem, &failure.to_string(), None);
            return false;
        }
        if !config
            .plugins
            .iter()
            .any(|plugin| plugin.component == place)
        {
            let text = format!("no [[plugin]] of it is {}", place.display());
            let help = format!("component = \"{}\"", self.builder.file_name().display());
            self.terminal.mark(Level::Warning, &text, Some(&help));
        }
        match ask::ask(&config.gateway.data_dir, &Request::Reload) {
            Ok(Response::Reload(reload)) => {
                change::show_reload(self.terminal, &reload);
                true
            }
            Ok(other) => {
                let text = format!("the gateway's answer is not understood: {other:?}");
                self.terminal.mark(Level::Problem, &text, None);
                false
            }
            Err(error) => {
                self.terminal.mark(Level::Problem, &error.to_string(), None);
                false
            }
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// The crate's own files.
fn print(crate_dir: &Path) -> Print {
    let mut print = Print::new();
    for name in ["Cargo.toml", "build.rs"] {
        note(&crate_dir.join(name), &mut print);
    }
    for name in ["src", "fixtures"] {
        gather(&crate_dir.join(name), DEPTH, &mut print);
    }
    print
}

fn gather(dir: &Path, depth: usize, print: &mut Print) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => gather(&path, depth, print),
            Ok(_) => note(&path, print),
            // Gone meanwhile.
            Err(_) => {}
        }
    }
}

fn note(file: &Path, print: &mut Print) {
    if let Ok(metadata) = fs::metadata(file) {
        print.insert(file.to_owned(), (metadata.modified().ok(), metadata.len()));
    }
}

/// The directories that these files are in, and the crate's own.
fn directories(print: &Print, crate_dir: &Path) -> BTreeSet<PathBuf> {
    let parents = print.keys().filter_map(|file| file.parent());
    let own = [crate_dir.to_owned(), crate_dir.join("src")];
    parents.map(Path::to_owned).chain(own).collect()
}
