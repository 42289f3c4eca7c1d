//! `explain`: why something was refused.

use super::{
    args::{Explain, Format},
    ask::{asked, moment, unexpected},
    exit::Exit,
    terminal::{Level, Terminal, visible},
};
use crate::admin::protocol::{Explained, Refusal, Request, Response};

/// Asks the running gateway about a reference.
pub(crate) fn explain(arguments: &Explain) -> Exit {
    let terminal = Terminal::new();
    let request = Request::Explain {
        id: arguments.id.clone(),
    };
    match asked(&arguments.ask, &request) {
        Err(exit) => exit,
        Ok(Response::Explained(explained)) => {
            match arguments.ask.output.format() {
                Format::Json => terminal.json(&explained),
                Format::Human => show(terminal, &arguments.id, &explained),
            }
            match explained.refusal {
                Some(_) => Exit::Well,
                None => Exit::Problem,
            }
        }
        Ok(other) => unexpected(terminal, other),
    }
}

fn show(terminal: Terminal, id: &str, explained: &Explained) {
    let Some(refusal) = &explained.refusal else {
        let text = format!("no refusal {id} is remembered");
        let mut help = format!(
            "this gateway remembers what it refused since {}; older refusals are forgotten",
            moment(&explained.since)
        );
        if explained.lost > 0 {
            let lost = explained.lost;
            help += &format!("\n{lost} refusals since then were not remembered");
        }
        terminal.mark(Level::Problem, &text, Some(&help));
        return;
    };
    terminal.line(&format!("refusal {}", refusal.id));
    for (name, value) in facts(refusal) {
        terminal.line(&format!("  {name:<9} {}", visible(&value)));
    }
}

fn facts(refusal: &Refusal) -> Vec<(&'static str, String)> {
    let Refusal {
        event,
        verdict,
        by,
        generation,
        stream,
        direction,
        partner,
        local,
        ..
    } = refusal;
    let by = match &refusal.component {
        Some(component) => format!(
            "plugin {by}{}, generation {generation}, sha256 {} ({})",
            (component.version.as_ref()).map_or(String::new(), |version| format!(" {version}")),
            component.digest,
            component.exports.join(", ")
        ),
        None => format!("{by}, generation {generation}"),
    };
    let address = match &refusal.address {
        Some(address) => format!(", {address}"),
        None => String::new(),
    };
    let told = match (&refusal.told, &refusal.untold) {
        (Some(sent), _) => match &sent.text {
            Some(text) => format!("{}: {text}", sent.condition),
            None => sent.condition.clone(),
        },
        (None, Some(untold)) => format!("nothing: {untold}"),
        (None, None) => "nothing".to_owned(),
    };
    let mut facts = vec![
        ("when", moment(&refusal.time)),
        ("what", what(refusal)),
        ("verdict", format!("{verdict} (event {event})")),
        ("by", by),
        ("why", refusal.reason.clone().unwrap_or_default()),
        ("told", told),
        (
            "stream",
            format!("{stream}, {direction}, partner {partner}, ours {local}{address}"),
        ),
    ];
    if refusal.elapsed_us > 0 {
        let took = format!("{} µs in plugins", refusal.elapsed_us);
        facts.push(("took", took));
    }
    facts
}

/// The stanza, as far as it is known; or the stream.
fn what(refusal: &Refusal) -> String {
    let Some(kind) = &refusal.kind else {
        return "a stream".to_owned();
    };
    let (Some(from), Some(to)) = (&refusal.from, &refusal.to) else {
        return format!("a malformed {kind}");
    };
    let subtype = refusal.subtype.as_deref().unwrap_or_default();
    match &refusal.stanza_id {
        Some(id) => format!("{kind} ({subtype}) from {from} to {to}, its id {id:?}"),
        None => format!("{kind} ({subtype}) from {from} to {to}"),
    }
}
