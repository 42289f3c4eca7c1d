//! Available, unavailable, probes and errors.

use portcullis_plugin::prelude::*;

use crate::config::{Level, Terms};
use crate::memory::{self, Failure, Table};
use crate::reduce;
use crate::room::{self, Context};

/// Passes what the level leaves of it, and remembers that it was shown.
pub(crate) fn available(
    terms: &Terms,
    header: &Header,
    stanza: &mut Stanza,
) -> Result<Verdict, Failure> {
    let level = terms.level(header.direction());
    let context = room::context(terms, header)?;
    match (context, level) {
        (Context::Room, _) => room::remember(header)?,
        (Context::Plain, Level::None) => return Ok(hidden(header)),
        (Context::Plain, _) => {
            let direction = header.direction();
            // Taking it back must reach all that saw it, not only the client that probed.
            memory::remember(
                Table::Shown,
                direction,
                header,
                header.from(),
                header.to_bare(),
            )?;
        }
    }
    reduce::to_level(stanza, level, context)?;
    Ok(Verdict::pass())
}

/// Always passes, unless nothing was ever shown: whoever saw someone come must see them go (PRS-04).
/// In doubt, when the state cannot be read, it passes.
pub(crate) fn unavailable(
    terms: &Terms,
    header: &Header,
    stanza: &mut Stanza,
) -> Result<Verdict, Failure> {
    let (direction, from, to) = (header.direction(), header.from(), header.to());
    let level = terms.level(direction);
    let context = room::context(terms, header).unwrap_or(Context::Room);
    let passes = context == Context::Room
        || level != Level::None
        || memory::knows(Table::Shown, direction, from, to).unwrap_or(true);
    if !passes {
        return Ok(hidden(header));
    }
    reduce::to_level(stanza, level, context)?;
    let forgotten =
        memory::forget(Table::Shown, direction, from, to).and_then(|()| room::forget(header));
    if let Err(failure) = forgotten {
        log::warn!(
            "a presence of {} stays remembered: {failure}",
            header.partner()
        );
    }
    Ok(Verdict::pass())
}

/// A probe asks for presence that would go the other way. At `none` the question is not even put: the
/// answer could be `unsubscribed`, which tells something too (PRS-05).
pub(crate) fn probe(terms: &Terms, header: &Header) -> Verdict {
    let answer = match header.direction() {
        Direction::Inbound => Direction::Outbound,
        Direction::Outbound => Direction::Inbound,
    };
    match terms.level(answer) {
        Level::None => Verdict::drop(format!(
            "presence {answer} is `none` for {}",
            header.partner()
        )),
        Level::Full | Level::Show | Level::Online => Verdict::pass(),
    }
}

/// An error is an answer: it ends a wait, and at `none` it would tell whether someone is there
/// (PRS-05). A room's errors say why joining failed.
pub(crate) fn error(terms: &Terms, header: &Header) -> Result<Verdict, Failure> {
    match (
        room::context(terms, header)?,
        terms.level(header.direction()),
    ) {
        (Context::Plain, Level::None) => Ok(hidden(header)),
        _ => Ok(Verdict::pass()),
    }
}

/// Dropped, not rejected: an error in answer to presence tells what it was to hide.
fn hidden(header: &Header) -> Verdict {
    let direction = header.direction();
    Verdict::drop(format!(
        "presence {direction} is `none` for {}",
        header.partner()
    ))
}
