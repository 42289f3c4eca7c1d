//! What stanzas may carry: sizes by kind, payloads by namespace, plain text alone, no such words.
//!
//! What flows in: every stanza of the directions that the configuration names. What flows out: the stanza,
//! perhaps with fewer payloads; or an error that says what may not pass. Every text in every language and
//! at any depth is looked at, and a payload that hides inside another one is refused, not overlooked. What
//! can fail: an edit. Then the stanza goes back.

mod config;
mod words;

use portcullis_plugin::prelude::*;

pub use crate::config::Config;
use crate::config::Rules;

/// What remains of a message as plain text, with `keep`.
const PLAIN: [&str; 4] = ["body", "subject", "thread", "error"];

/// The plugin.
#[derive(Debug)]
pub struct ContentFilter {
    config: Config,
}

impl Plugin for ContentFilter {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self { config })
    }

    fn subscription(&self) -> Subscription {
        Subscription::everything().directions(self.config.directions())
    }
}

impl Filter for ContentFilter {
    fn decide(&mut self, header: &Header, stanza: &mut Stanza) -> Verdict {
        let rules = self.config.rules(header.partner());
        let judged = size(rules, header, stanza)
            .and_then(|()| payloads(rules, header, stanza))
            .and_then(|()| plain_text(rules, header, stanza))
            .and_then(|()| words::look(rules, header, stanza));
        match judged {
            Ok(()) => Verdict::pass(),
            Err(verdict) => verdict,
        }
    }
}

/// An error that names what is wrong.
fn refuse(condition: Condition, text: String) -> Verdict {
    Verdict::reject(condition).text(text)
}

/// The edit was not made, so what should go is still there.
fn failed(error: &EditError) -> Verdict {
    Verdict::reject(Condition::NotAcceptable).reason(error.message())
}

fn size(rules: &Rules, header: &Header, stanza: &Stanza) -> Result<(), Verdict> {
    match rules.size.of(header.kind()) {
        Some(most) if u64::from(stanza.size()) > most.bytes() => Err(refuse(
            Condition::PolicyViolation,
            format!("a {} may have {} bytes here", header.kind(), most.bytes()),
        )),
        _ => Ok(()),
    }
}

/// Refuses or takes away what may not pass by its namespace.
fn payloads(rules: &Rules, header: &Header, stanza: &mut Stanza) -> Result<(), Verdict> {
    let refused = |namespace: &str| {
        refuse(
            Condition::NotAcceptable,
            format!("{namespace} may not pass here"),
        )
    };
    if let Some(namespace) = rules.refuse.iter().find(|one| stanza.contains("", one)) {
        return Err(refused(namespace));
    }
    for namespace in &rules.strip {
        if !stanza.contains("", namespace) {
            continue;
        }
        // A request is nothing without its payload.
        if header.is_request() {
            return Err(refused(namespace));
        }
        stanza.strip(namespace).map_err(|error| failed(&error))?;
        // Inside something that may pass: taking that away would be a guess at what is meant.
        if stanza.contains("", namespace) {
            return Err(refused(namespace));
        }
    }
    Ok(())
}

/// Reduces a message to what a reader reads.
fn plain_text(rules: &Rules, header: &Header, stanza: &mut Stanza) -> Result<(), Verdict> {
    if !rules.plain_text || header.kind() != Kind::Message {
        return Ok(());
    }
    let mut keep: Vec<_> = PLAIN.map(|name| (name, Stanza::XMPP)).to_vec();
    keep.extend(rules.keep.iter().map(|namespace| ("", namespace.as_str())));
    stanza.retain(&keep).map_err(|error| failed(&error))?;
    for name in ["body", "subject", "thread"] {
        if !stanza.texts(&[(name, Stanza::XMPP), ("", "")]).is_empty() {
            return Err(refuse(
                Condition::NotAcceptable,
                format!("only plain text may pass here, and the {name} has markup in it"),
            ));
        }
    }
    if stanza.count("", "") == 0 {
        return Err(Verdict::drop("nothing is left of it as plain text"));
    }
    Ok(())
}

export!(ContentFilter: Filter);

#[cfg(test)]
mod tests;
