//! Whom the organisation federates with. Default deny: a domain that no list and no partner record
//! names is refused, as a stream before DNS, dialback or any stanza, and as the recipient of a stanza
//! from inside.
//!
//! What flows in: domains, already normalised by the gateway. What flows out: admissions, and
//! verdicts that depend on direction and domains alone, so that the gateway may remember them. What
//! can fail: a pattern that is no domain, when the configuration loads.

mod list;

use std::time::Duration;

use portcullis_plugin::prelude::*;

pub use crate::list::Config;
use crate::list::{List, Standing};

/// A verdict holds as long as the configuration does, and a new configuration starts with nothing
/// remembered. The limit only keeps domains that nobody speaks to any more out of the memo.
const MEMO: Duration = Duration::from_secs(3600);

/// The plugin.
#[derive(Debug)]
pub struct PartnerAllowlist {
    list: List,
}

impl Plugin for PartnerAllowlist {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self {
            list: List::new(config),
        })
    }

    fn subscription(&self) -> Subscription {
        Subscription::everything().memo(MEMO)
    }
}

impl Gatekeeper for PartnerAllowlist {
    fn knock(&mut self, knock: &Knock) -> Admission {
        self.admission(&knock.domain)
    }

    fn admit(&mut self, peer: &Peer) -> Admission {
        self.admission(&peer.domain())
    }
}

impl Filter for PartnerAllowlist {
    fn decide(&mut self, header: &Header, _stanza: &mut Stanza) -> Verdict {
        let partner = header.partner();
        match (
            refusal(partner, self.list.standing(partner)),
            header.direction(),
        ) {
            (None, _) => Verdict::pass(),
            (Some(why), Direction::Outbound) => Verdict::reject(Condition::NotAllowed).text(why),
            // Nothing could carry an answer: a stream to this domain is refused like one from it.
            // What still arrives came on a stream from before the list changed. And an error sent
            // back to a room would throw the user out (MSG-01).
            (Some(why), Direction::Inbound) => Verdict::drop(why),
        }
    }
}

impl PartnerAllowlist {
    fn admission(&self, domain: &str) -> Admission {
        let standing = self.list.standing(domain);
        match (refusal(domain, standing), standing) {
            (Some(why), _) => Admission::Refuse(why),
            // The record itself opens the door.
            (None, Standing::Partner) => Admission::Abstain,
            (None, _) => Admission::Allow,
        }
    }
}

/// What the other side is told; none if there is nothing to refuse. Names the domain, since whoever
/// reads it may serve many.
fn refusal(domain: &str, standing: Standing) -> Option<String> {
    match standing {
        Standing::Allowed | Standing::Partner => None,
        Standing::Denied => Some(format!("federation with {domain} is denied")),
        Standing::Unlisted => Some(format!(
            "{domain} is not on the list of federation partners"
        )),
    }
}

export!(PartnerAllowlist: Gatekeeper + Filter);

#[cfg(test)]
mod tests;
