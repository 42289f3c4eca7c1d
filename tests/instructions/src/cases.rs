//! What is counted: each case does one thing so often as it is told.

use std::hint::black_box;

use portcullis_policy::{Decision, Generation};
use portcullis_xmpp::frame::{Event, Framer, Limits};
use portcullis_xmpp::stanza::Stanza;

use crate::callgrind::{Failure, Observed};
use crate::stanzas;
use crate::stream::{HEADER, Stream};
use crate::world::{Components, Plugins, World};

type Outcome = Result<(), Failure>;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// How often it is done to be counted, beyond the first [`WARM`] times.
    pub(crate) turns: usize,
    work: Work,
}

/// So often everything is done before it counts: pools are filled, buffers have grown. As many as an
/// observer hears in one call; with the turns of a case, no more than may wait for it.
pub(crate) const WARM: usize = 256;

#[derive(Clone, Copy, Debug)]
enum Work {
    /// From bytes to an element.
    Parse(fn() -> String),
    /// From bytes to a stanza, from a sender who is proven.
    Receive(fn() -> String),
    /// From a stanza to bytes.
    Write(fn() -> String),
    /// From a stanza to a verdict.
    Judge(fn() -> String, Plugins),
    /// From bytes to bytes, and the decision to whoever hears it.
    Whole(fn() -> String, Plugins),
}

fn small() -> String {
    stanzas::message(400)
}

fn large() -> String {
    stanzas::message(4096)
}

/// All of them, in the order in which they are told.
pub(crate) const CASES: &[Case] = &[
    case("parse message 400 B", 512, Work::Parse(small)),
    case("parse message 4 KB", 256, Work::Parse(large)),
    case("parse iq", 512, Work::Parse(stanzas::iq)),
    case("parse presence", 512, Work::Parse(stanzas::presence)),
    case("receive message 400 B", 512, Work::Receive(small)),
    case("write message 400 B", 512, Work::Write(small)),
    case("write message 4 KB", 256, Work::Write(large)),
    case("judge, no plugin", 512, Work::Judge(small, Plugins::None)),
    case(
        "judge, 1 filter",
        512,
        Work::Judge(small, Plugins::Passing(1)),
    ),
    case(
        "judge, 5 filters",
        256,
        Work::Judge(small, Plugins::Passing(5)),
    ),
    case(
        "judge presence, default plugins",
        256,
        Work::Judge(stanzas::presence, Plugins::Default),
    ),
    case(
        "whole message 400 B, no plugin",
        512,
        Work::Whole(small, Plugins::None),
    ),
    case(
        "whole message 400 B, default plugins",
        512,
        Work::Whole(small, Plugins::Default),
    ),
    case(
        "whole message 4 KB, default plugins",
        512,
        Work::Whole(large, Plugins::Default),
    ),
];

const fn case(name: &'static str, turns: usize, work: Work) -> Case {
    Case { name, turns, work }
}

impl Case {
    /// Whether an observer hears of it.
    pub(crate) fn observed(self) -> Observed {
        match self.work {
            Work::Whole(_, Plugins::Default) => Observed::Yes,
            _ => Observed::No,
        }
    }

    /// Does it so often.
    pub(crate) fn run(self, turns: usize, components: &Components) -> Outcome {
        match self.work {
            Work::Parse(stanza) => parse(&stanza(), turns),
            Work::Receive(stanza) => receive(&stanza(), turns),
            Work::Write(stanza) => write(&stanza(), turns),
            Work::Judge(stanza, plugins) => block_on(judge(&stanza(), plugins, turns, components)),
            Work::Whole(stanza, plugins) => block_on(whole(&stanza(), plugins, turns, components)),
        }
    }
}

/// Compiles what the cases judge with, or finds it compiled.
pub(crate) fn prepare(components: &Components) -> Outcome {
    block_on(async {
        World::new(components, Plugins::Default).await?;
        World::new(components, Plugins::Passing(1)).await?;
        Ok(())
    })
}

/// On this thread alone, so that nothing but the work is counted on it.
fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

fn parse(stanza: &str, turns: usize) -> Outcome {
    let mut framer = Framer::new(Limits::default());
    framer.authenticated();
    framer.push(HEADER.as_bytes());
    if !matches!(framer.next()?, Some(Event::Open(_))) {
        return Err("the stream does not open".into());
    }
    for _ in 0..turns {
        framer.push(stanza.as_bytes());
        // The second look tells that there is no more: a stream's task looks so, too.
        while let Some(event) = framer.next()? {
            black_box(event);
        }
    }
    Ok(())
}

fn receive(stanza: &str, turns: usize) -> Outcome {
    let mut stream = Stream::open()?;
    for _ in 0..turns {
        drop(black_box(stream.receive(stanza.as_bytes())?));
    }
    Ok(())
}

fn write(stanza: &str, turns: usize) -> Outcome {
    let received = Stream::open()?.receive(stanza.as_bytes())?;
    let mut out = Vec::new();
    for _ in 0..turns {
        out.clear();
        received.stanza().write_to(&mut out);
        black_box(&out);
    }
    Ok(())
}

async fn judge(stanza: &str, plugins: Plugins, turns: usize, components: &Components) -> Outcome {
    let world = World::new(components, plugins).await?;
    let received = Stream::open()?.receive(stanza.as_bytes())?;
    for _ in 0..turns {
        let judged = world.generation.judge(received.clone()).await;
        passed(judged.verdict().as_str())?;
        drop(black_box(judged));
    }
    Ok(())
}

async fn whole(stanza: &str, plugins: Plugins, turns: usize, components: &Components) -> Outcome {
    let world = World::new(components, plugins).await?;
    let mut stream = Stream::open()?;
    let mut out = Vec::new();
    for _ in 0..turns {
        let received = stream.receive(stanza.as_bytes())?;
        let generation = &world.generation;
        let written = tell(generation, generation.judge(received).await).await?;
        out.clear();
        written.write_to(&mut out);
        black_box(&out);
    }
    world.observed().await;
    Ok(())
}

/// As the gateway does: the decision is told before the stanza goes on.
async fn tell(
    generation: &Generation,
    judged: portcullis_policy::Judged,
) -> Result<Stanza, Failure> {
    passed(judged.verdict().as_str())?;
    generation.observe(Decision::of_stanza(&judged)).await;
    Ok(judged.into_parts().0)
}

fn passed(verdict: &str) -> Outcome {
    match verdict {
        "pass" => Ok(()),
        other => Err(format!("the verdict is {other}").into()),
    }
}
