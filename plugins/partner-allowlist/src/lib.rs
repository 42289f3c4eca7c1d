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

use crate::list::{Config, List, Standing};

/// A verdict holds as long as the configuration does: a new one starts with nothing remembered. The
/// limit only keeps domains that are no longer spoken to from staying in the memo.
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
        let Some(why) = refusal(partner, self.list.standing(partner)) else {
            return Verdict::pass();
        };
        Verdict::reject(Condition::NotAllowed).text(why)
    }
}

impl PartnerAllowlist {
    fn admission(&self, domain: &str) -> Admission {
        let standing = self.list.standing(domain);
        match (refusal(domain, standing), standing) {
            (Some(why), _) => Admission::Refuse(why),
            // The record itself opens the door; a plugin that allowed it too would open it for good.
            (None, Standing::Partner) => Admission::Abstain,
            (None, _) => Admission::Allow,
        }
    }
}

/// What the other side is told; none if there is nothing to refuse. The two refusals differ only
/// for the reader: both end the same way.
fn refusal(domain: &str, standing: Standing) -> Option<String> {
    match standing {
        Standing::Allowed | Standing::Partner => None,
        Standing::Denied => Some(format!("federation with {domain} is denied here")),
        Standing::Unlisted => Some(format!(
            "{domain} is not on this organisation's list of partners"
        )),
    }
}

portcullis_plugin::export!(PartnerAllowlist: Gatekeeper + Filter);
