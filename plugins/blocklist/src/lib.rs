//! Whom the organisation has nothing to do with: domains and addresses from files, each line with an end if
//! it has one, and local exceptions.
//!
//! What flows in: streams and stanzas. What flows out: refusals. What can fail: a line that means nothing
//! refuses the whole list when it is loaded, with file and line, and the list before it stays in force. A file
//! that changes is a reload. Not guaranteed: that who is blocked cannot come back under another name.

mod config;
mod list;

use portcullis_plugin::clock::Moment;
use portcullis_plugin::prelude::*;

pub use crate::config::Config;
use crate::list::List;

/// The plugin.
#[derive(Debug)]
pub struct Blocklist {
    blocked: List,
    excepted: List,
}

impl Plugin for Blocklist {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self {
            blocked: List::read(&config.block)?,
            excepted: List::read(&config.except)?,
        })
    }

    fn started(&mut self) {
        let now = Moment::now();
        let (entries, ended) = (self.blocked.len(), self.blocked.ended(now));
        log::info!("{entries} blocked domains and addresses, {ended} of them in the past");
        if entries == ended {
            log::warn!("nobody is blocked: the lists are empty or over");
        }
    }
}

impl Gatekeeper for Blocklist {
    fn knock(&mut self, knock: &Knock) -> Admission {
        self.admission(&knock.domain)
    }

    fn admit(&mut self, peer: &Peer) -> Admission {
        self.admission(&peer.domain())
    }
}

impl Filter for Blocklist {
    fn decide(&mut self, header: &Header, _stanza: &mut Stanza) -> Verdict {
        let contact = header.contact();
        if !self.is_blocked(&contact) {
            return Verdict::pass();
        }
        match header.direction() {
            // An answer would tell that there is somebody, and a room would throw the user out.
            Direction::Inbound => Verdict::drop(format!("{} is blocked", contact.bare())),
            Direction::Outbound => Verdict::reject(Condition::NotAllowed)
                .text(format!("{} is blocked here", contact.bare())),
        }
    }
}

impl Blocklist {
    /// A stream carries all users of a domain, so it is refused only if the whole domain is blocked, and
    /// nobody there is excepted.
    fn admission(&self, domain: &str) -> Admission {
        let now = Moment::now();
        let blocked = self.blocked.has_domain(domain, now)
            && !self.excepted.has_domain(domain, now)
            && !self.excepted.has_somebody_at(domain, now);
        if blocked {
            Admission::refuse(format!("{domain} is blocked here"))
        } else {
            Admission::Abstain
        }
    }

    fn is_blocked(&self, contact: &Address) -> bool {
        let now = Moment::now();
        self.blocked.has(contact, now) && !self.excepted.has(contact, now)
    }
}

export!(Blocklist: Gatekeeper + Filter);

#[cfg(test)]
mod tests;
