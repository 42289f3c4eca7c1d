//! Who outside may speak to whom inside: nobody whom the user did not write to, invite or accept first.
//!
//! What flows in: every stanza. What flows out: all that the organisation's users send, which is how
//! contacts become known; of what comes in, what known contacts send, and what the partner's type lets
//! strangers do. It carries the rule of partner types on from invitations to messages and iq stanzas. What
//! can fail: the state. Then nobody new is known.

mod config;

use portcullis_plugin::prelude::*;

pub use crate::config::Config;

/// Set on `user contact`, both bare: that user has turned to that contact.
const KNOWN: Mark = Mark::new("known");

/// The plugin.
#[derive(Debug)]
pub struct StrangerGuard {
    config: Config,
}

impl Plugin for StrangerGuard {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self { config })
    }
}

impl Filter for StrangerGuard {
    fn decide(&mut self, header: &Header, _stanza: &mut Stanza) -> Verdict {
        match header.direction() {
            Direction::Outbound => {
                self.learn(header);
                Verdict::pass()
            }
            Direction::Inbound => self.judge(header),
        }
    }
}

impl StrangerGuard {
    /// What a user sends tells whom they know. It passes, whatever becomes of that.
    fn learn(&self, header: &Header) {
        let pair = pair(header);
        let learned = match header.subtype() {
            // Answers of a client by itself, and farewells.
            Subtype::Error | Subtype::Result | Subtype::Unavailable | Subtype::Unsubscribe => {
                Ok(())
            }
            // The contact was taken off the list, or its request refused.
            Subtype::Unsubscribed => KNOWN.clear(&pair).map(drop),
            _ => match self.config.forget_after {
                Some(time) => KNOWN.set(&pair, time.duration()),
                None => KNOWN.set_for_good(&pair),
            },
        };
        if let Err(error) = learned {
            log::error!(
                "a contact at {} stays a stranger: {error}",
                header.partner()
            );
        }
    }

    fn judge(&self, header: &Header) -> Verdict {
        let partner_type = self.config.partner_type(header.partner());
        if partner_type == PartnerType::Federated || self.config.is_open(&header.recipient()) {
            return Verdict::pass();
        }
        match (header.kind(), header.subtype()) {
            (Kind::Presence, Subtype::Subscribe) => {
                if partner_type == PartnerType::PublicVerified || is_known(header) {
                    return Verdict::pass();
                }
                refuse_request(header)
            }
            // What a stranger may not ask for, a user has asked for; and ends must pass.
            (Kind::Presence, _) => Verdict::pass(),
            // To the server, not to a user: it answers for itself.
            (Kind::Iq, _) if header.recipient().local().is_none() => Verdict::pass(),
            (Kind::Message | Kind::Iq, _) => {
                if is_known(header) {
                    return Verdict::pass();
                }
                Verdict::reject(Condition::SubscriptionRequired)
                    .text("whom you write to must write to you or add you first")
                    .reason(format!("a stranger from a {partner_type} partner"))
            }
        }
    }
}

/// In doubt, a stranger.
fn is_known(header: &Header) -> bool {
    KNOWN.is_set(&pair(header)).unwrap_or_else(|error| {
        log::error!(
            "who at {} is known cannot be read: {error}",
            header.partner()
        );
        false
    })
}

fn pair(header: &Header) -> String {
    format!("{} {}", header.user().bare(), header.contact().bare())
}

/// Stops a request and answers it in the user's name, whether there is such a user or not: otherwise it
/// would show as "pending" for ever, and an error would tell who exists.
fn refuse_request(header: &Header) -> Verdict {
    if let Err(error) = emit::unsubscribed(header.to_bare(), header.from_bare()) {
        log::warn!(
            "a request from {} stays without an answer: {error}",
            header.partner()
        );
    }
    Verdict::drop(format!(
        "{} is public-unverified: invitations go out only",
        header.partner()
    ))
}

export!(StrangerGuard: Filter);

#[cfg(test)]
mod tests;
