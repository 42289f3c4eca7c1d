//! How much a partner, and each of its users, may send.
//!
//! What flows in: messages and presence. What flows out: those within the rates; the others go back with
//! `resource-constraint` (presence is dropped, since RFC 6120 lets nobody answer it). The counts are in
//! the host, so they are exact over all instances, reloads and restarts. What can fail: the state. Then
//! nothing can be counted and the stanza goes back. What is within the partner's rate is counted for its
//! sender, so a partner that invents senders fills no more keys than its own rate allows.

mod config;

use portcullis_plugin::prelude::*;

pub use crate::config::Config;
use crate::config::{Scope, What};

/// Joining a room brings presence of everybody in it, from one bare address.
const IN_ROOM: &str = "http://jabber.org/protocol/muc#user";

/// The plugin.
#[derive(Debug)]
pub struct RateLimiter {
    config: Config,
}

impl Plugin for RateLimiter {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        if config.limits_nothing() {
            return Err("no rate is set: set one in [plugin.config.partner] or \
                        [plugin.config.sender], as in messages = \"120/1m\""
                .to_owned());
        }
        Ok(Self { config })
    }

    fn subscription(&self) -> Subscription {
        Subscription::everything()
            .kinds([Kind::Message, Kind::Presence])
            .directions(self.config.directions())
    }
}

impl Filter for RateLimiter {
    fn decide(&mut self, header: &Header, _stanza: &mut Stanza) -> Verdict {
        let what = match (header.kind(), header.subtype()) {
            (Kind::Message, _) => What::Messages,
            (_, Subtype::Subscribe) => What::Subscriptions,
            (_, Subtype::Available | Subtype::Probe) => What::Presence,
            // The end of something always passes: who is told of no end sees a ghost.
            _ => return Verdict::pass(),
        };
        if self.config.is_exempt(header.partner()) {
            return Verdict::pass();
        }
        let partner = format!("{} {}", header.direction(), header.partner());
        let sender = format!("{} {}", header.direction(), sender(header));
        for (scope, whom) in [(Scope::Partner, &partner), (Scope::Sender, &sender)] {
            let Some(limit) = self.config.limit(scope, what) else {
                continue;
            };
            match limit.take(whom) {
                Ok(true) => {}
                Ok(false) => return too_many(scope, what, limit.rate()),
                Err(error) => {
                    log::error!("{what} of {partner} cannot be counted: {error}");
                    return Verdict::reject(Condition::ResourceConstraint)
                        .text("messages cannot be counted now, try again later");
                }
            }
        }
        Verdict::pass()
    }
}

/// Whoever can be told apart: a user, or somebody in a room.
fn sender(header: &Header) -> Address {
    let sender = header.sender();
    if header.subtype() == Subtype::Groupchat || header.has_payload(IN_ROOM) {
        sender
    } else {
        sender.to_bare()
    }
}

fn too_many(scope: Scope, what: What, rate: Rate) -> Verdict {
    let whose = match scope {
        Scope::Partner => "this domain",
        Scope::Sender => "you",
    };
    Verdict::reject(Condition::ResourceConstraint)
        .text(format!("{whose} may send {rate} {what}, try again later"))
        .reason(format!("more than {rate} {what} of one {scope}"))
}

export!(RateLimiter: Filter);

#[cfg(test)]
mod tests;
