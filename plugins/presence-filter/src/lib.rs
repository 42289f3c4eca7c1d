//! How much presence each partner sees of the organisation and the other way round, and who may
//! invite whom.
//!
//! What flows in: presence, both ways. What flows out: presence reduced to a level, or nothing. It
//! never leaves a ghost: what was shown is remembered in the plugin's state, is taken back when a
//! level becomes `none`, and `unavailable` passes for whatever was shown. It never answers presence
//! with an error, which would tell what the level hides, or throw a user out of a room; a request that
//! it stops is answered with `unsubscribed`. What can fail: the state. Then nothing new is shown.
//!
//! - `config`: the operator's rules, and the terms for one partner
//! - `availability`: available, unavailable, probes, errors
//! - `room`: directed presence, which must not be stopped
//! - `reduce`: what each level keeps
//! - `invitation`: subscription traffic
//! - `narrow`: what happens when a new configuration shows less
//! - `memory`: what is remembered, and how

mod availability;
mod config;
mod invitation;
mod memory;
mod narrow;
mod reduce;
mod room;

use portcullis_plugin::prelude::*;

pub use crate::config::Config;

/// The plugin.
#[derive(Debug)]
pub struct PresenceFilter {
    config: Config,
}

impl Plugin for PresenceFilter {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self { config })
    }

    fn subscription(&self) -> Subscription {
        Subscription::everything().kinds([Kind::Presence])
    }

    fn started(&mut self) {
        narrow::take_back(&self.config);
    }
}

impl Filter for PresenceFilter {
    fn decide(&mut self, header: &Header, stanza: &mut Stanza) -> Verdict {
        let terms = self.config.terms(header.partner());
        let judged = match header.subtype() {
            Subtype::Available => availability::available(&terms, header, stanza),
            Subtype::Unavailable => availability::unavailable(&terms, header, stanza),
            Subtype::Probe => Ok(availability::probe(&terms, header)),
            Subtype::Error => availability::error(&terms, header),
            Subtype::Subscribe
            | Subtype::Subscribed
            | Subtype::Unsubscribe
            | Subtype::Unsubscribed => Ok(invitation::decide(&terms, header)),
            // No presence has these types (PRS-01): the gateway answers others with bad-request.
            Subtype::Normal
            | Subtype::Chat
            | Subtype::Groupchat
            | Subtype::Headline
            | Subtype::Get
            | Subtype::Set
            | Subtype::Result => Ok(Verdict::drop("not a type of presence")),
        };
        judged.unwrap_or_else(|failure| {
            log::error!("presence of {} was stopped: {failure}", header.partner());
            Verdict::drop(failure.to_string())
        })
    }
}

export!(PresenceFilter: Filter);

#[cfg(test)]
mod tests;
