//! Who is shown to whom: the contacts of partners that users inside see as available.
//!
//! In: presence from a contact's full address to a user, at its time. Out: whom to probe again and who
//! did not answer ([`Sweep`]). A contact is one bare address that one user sees, with every client of
//! it; each of them has to answer by itself. Bounded: for each partner, so that no partner that
//! invents addresses can use up what the others need. What is beyond is shown, but not looked after.

use std::collections::HashMap;
use std::time::Duration;

use portcullis_xmpp::jid::{Domain, Jid};
use tokio::time::Instant;

/// Contacts for each partner: as many as the presence filter remembers.
const PER_PARTNER: usize = 20_000;
/// Contacts of all partners: some hundred bytes each.
const ALL: usize = 100_000;
/// Clients of one contact. People have a handful.
const CLIENTS: usize = 16;
/// How long a contact's server may take to answer a probe: a connection, its authentication, and a
/// busy server.
const ANSWER: Duration = Duration::from_secs(120);
/// Probes that one sweep sends. What is due beyond waits for the next one.
const PROBES: usize = 200;
/// Users' own probes that are remembered, and for how long, so that their answers are known as such.
const PROBED: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Ledger {
    contacts: HashMap<Key, Contact>,
    /// Contacts of each partner.
    counts: HashMap<Domain, usize>,
    /// When users have probed contacts.
    probed: HashMap<Key, Instant>,
    /// A part of one, in 256ths: how much of the spread a refresh comes early.
    jitter: fn() -> u8,
}

/// User and contact, without resources.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    user: Jid,
    contact: Jid,
}

impl Key {
    fn new(contact: &Jid, user: &Jid) -> Self {
        Self {
            user: user.to_bare(),
            contact: contact.to_bare(),
        }
    }
}

#[derive(Debug)]
struct Contact {
    /// Each client with the time of its last presence.
    clients: Vec<(Jid, Instant)>,
    /// When the contact was last asked, or showed up first, and how much of the spread the next time
    /// comes early.
    asked: Instant,
    jitter: u8,
    /// Whether the answer is awaited.
    waiting: bool,
}

/// A presence that is to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The contact's full address.
    pub(crate) contact: Jid,
    /// The user, bare.
    pub(crate) user: Jid,
}

/// What one look at the ledger has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sweep {
    /// Users and their contacts, both bare, to be probed now.
    pub(crate) probes: Vec<(Jid, Jid)>,
    /// Who has not answered. Forgotten already.
    pub(crate) silent: Vec<Shown>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new(random)
    }
}

impl Ledger {
    fn new(jitter: fn() -> u8) -> Self {
        Self {
            contacts: HashMap::new(),
            counts: HashMap::new(),
            probed: HashMap::new(),
            jitter,
        }
    }

    /// A contact is available. To a bare address a server sends what subscribers get, and what a probe
    /// is answered with; to a full one only the latter, or else it is directed to that client.
    pub(crate) fn shown(&mut self, contact: &Jid, user: &Jid, now: Instant) {
        if contact.resource().is_none() {
            return;
        }
        let key = Key::new(contact, user);
        if let Some(known) = self.contacts.get_mut(&key) {
            known.heard(contact, now);
            return;
        }
        let probed = || {
            (self.probed.get(&key)).is_some_and(|at| now.saturating_duration_since(*at) < ANSWER)
        };
        if user.resource().is_some() && !probed() {
            return;
        }
        let count = self.counts.entry(contact.domain().clone()).or_default();
        if *count >= PER_PARTNER || self.contacts.len() >= ALL {
            return;
        }
        *count += 1;
        let shown = Contact {
            clients: vec![(contact.clone(), now)],
            asked: now,
            jitter: (self.jitter)(),
            waiting: false,
        };
        self.contacts.insert(key, shown);
    }

    /// A contact has gone: one client of it or, without a resource, all.
    pub(crate) fn gone(&mut self, contact: &Jid, user: &Jid) {
        let key = Key::new(contact, user);
        let Some(known) = self.contacts.get_mut(&key) else {
            return;
        };
        known
            .clients
            .retain(|(client, _)| contact.resource().is_some() && client != contact);
        if known.clients.is_empty() {
            self.forget(&key);
        }
    }

    /// A user's server asks for a contact's presence.
    pub(crate) fn probed(&mut self, user: &Jid, contact: &Jid, now: Instant) {
        if self.probed.len() >= PROBED {
            self.probed
                .retain(|_, at| now.saturating_duration_since(*at) < ANSWER);
        }
        if self.probed.len() < PROBED {
            self.probed.insert(Key::new(contact, user), now);
        }
    }

    /// Whom to ask, since the last time is `refresh` ago, and who was asked and has not answered. The
    /// times are spread over an eighth of the refresh, or everybody who came online in the
    /// morning would be asked in the same minute.
    pub(crate) fn sweep(&mut self, now: Instant, refresh: Duration) -> Sweep {
        let mut sweep = Sweep::default();
        let patience = ANSWER.min(refresh);
        let mut over = Vec::new();
        for (key, known) in &mut self.contacts {
            let since = now.saturating_duration_since(known.asked);
            if known.waiting && since >= patience {
                known.waiting = false;
                known.take_silent(&key.user, &mut sweep.silent);
                if known.clients.is_empty() {
                    over.push(key.clone());
                }
            } else if !known.waiting
                && since >= refresh - refresh / 8 * u32::from(known.jitter) / 256
                && sweep.probes.len() < PROBES
            {
                known.waiting = true;
                known.asked = now;
                known.jitter = (self.jitter)();
                sweep.probes.push((key.user.clone(), key.contact.clone()));
            }
        }
        for key in over {
            self.forget(&key);
        }
        self.probed
            .retain(|_, at| now.saturating_duration_since(*at) < ANSWER);
        sweep
    }

    /// The domains whose contacts are shown.
    pub(crate) fn partners(&self) -> Vec<Domain> {
        self.counts.keys().cloned().collect()
    }

    /// Forgets all contacts of a domain, and tells them.
    pub(crate) fn withdraw(&mut self, partner: &Domain) -> Vec<Shown> {
        let mut shown = Vec::new();
        self.counts.remove(partner);
        self.contacts.retain(|key, known| {
            let stays = key.contact.domain() != partner;
            if !stays {
                shown.extend(known.clients.drain(..).map(|(contact, _)| Shown {
                    contact,
                    user: key.user.clone(),
                }));
            }
            stays
        });
        shown
    }

    fn forget(&mut self, key: &Key) {
        if self.contacts.remove(key).is_none() {
            return;
        }
        let partner = key.contact.domain();
        if let Some(count) = self.counts.get_mut(partner) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(partner);
            }
        }
    }
}

impl Contact {
    fn heard(&mut self, contact: &Jid, now: Instant) {
        let room = self.clients.len() < CLIENTS;
        let known = (self.clients.iter_mut()).find(|(client, _)| client == contact);
        match known {
            Some((_, heard)) => *heard = now,
            None if room => self.clients.push((contact.clone(), now)),
            None => {}
        }
    }

    /// Takes out the clients that were not heard of since the contact was asked.
    fn take_silent(&mut self, user: &Jid, silent: &mut Vec<Shown>) {
        let Self { clients, asked, .. } = self;
        clients.retain(|(contact, heard)| {
            let answered = *heard >= *asked;
            if !answered {
                silent.push(Shown {
                    contact: contact.clone(),
                    user: user.clone(),
                });
            }
            answered
        });
    }
}

fn random() -> u8 {
    // Without random numbers everybody comes at the same time, which is no harm to anybody's safety.
    getrandom::u32().unwrap_or_default().to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFRESH: Duration = Duration::from_secs(28_800);

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    /// A ledger that is always on time.
    fn ledger() -> Ledger {
        Ledger::new(|| 0)
    }

    fn shown(ledger: &mut Ledger, contact: &str, user: &str, now: Instant) {
        ledger.shown(&jid(contact), &jid(user), now);
    }

    fn silent(contact: &str, user: &str) -> Shown {
        Shown {
            contact: jid(contact),
            user: jid(user),
        }
    }

    #[test]
    fn a_contact_is_probed_in_its_time_and_gone_if_it_does_not_answer() {
        let (mut ledger, began) = (ledger(), Instant::now());
        shown(&mut ledger, "b@alpha.test/x", "a@org.test", began);
        shown(&mut ledger, "B@alpha.test/y", "a@org.test", began);
        let early = began + REFRESH - Duration::from_secs(1);
        assert_eq!(ledger.sweep(early, REFRESH), Sweep::default());
        let due = began + REFRESH;
        let sweep = ledger.sweep(due, REFRESH);
        assert_eq!(sweep.probes, [(jid("a@org.test"), jid("b@alpha.test"))]);
        assert_eq!(ledger.sweep(due, REFRESH), Sweep::default());
        // One client answers, the other is gone.
        shown(&mut ledger, "b@alpha.test/x", "a@org.test", due);
        let sweep = ledger.sweep(due + ANSWER, REFRESH);
        assert_eq!(sweep.silent, [silent("B@alpha.test/y", "a@org.test")]);
        // The next time nobody answers.
        let sweep = ledger.sweep(due + REFRESH, REFRESH);
        assert_eq!(sweep.probes.len(), 1);
        let sweep = ledger.sweep(due + REFRESH + ANSWER, REFRESH);
        assert_eq!(sweep.silent, [silent("b@alpha.test/x", "a@org.test")]);
        assert!(ledger.contacts.is_empty() && ledger.counts.is_empty());
    }

    #[test]
    fn refreshes_are_spread() {
        let mut ledger = Ledger::new(random);
        let began = Instant::now();
        for nth in 0..1000 {
            let contact = format!("c{nth}@alpha.test/x");
            shown(&mut ledger, &contact, "a@org.test", began);
        }
        let mut asked = 0;
        let mut sweeps = 0;
        let mut now = began + REFRESH - REFRESH / 8;
        while now <= began + REFRESH {
            let probes = ledger.sweep(now, REFRESH).probes.len();
            asked += probes;
            sweeps += usize::from(probes > 0);
            now += Duration::from_secs(60);
        }
        assert_eq!(asked, 1000);
        assert!(sweeps > 30, "{sweeps}");
    }

    #[test]
    fn whoever_says_goodbye_is_not_asked() {
        for (gone, left) in [("b@alpha.test/x", 1), ("b@alpha.test", 0)] {
            let (mut ledger, began) = (ledger(), Instant::now());
            shown(&mut ledger, "b@alpha.test/x", "a@org.test", began);
            shown(&mut ledger, "b@alpha.test/y", "a@org.test", began);
            ledger.gone(&jid(gone), &jid("A@org.test/client"));
            let sweep = ledger.sweep(began + REFRESH, REFRESH);
            assert_eq!(sweep.probes.len(), left, "{gone}");
            assert_eq!(ledger.counts.len(), left);
        }
    }

    #[test]
    fn prs_06_directed_presence_is_not_looked_after() {
        let (mut ledger, began) = (ledger(), Instant::now());
        shown(&mut ledger, "b@alpha.test/x", "a@org.test/client", began);
        shown(&mut ledger, "b@alpha.test", "a@org.test", began);
        assert!(ledger.contacts.is_empty());
        // The answer to the client's own probe is a subscriber's presence.
        ledger.probed(&jid("a@org.test/client"), &jid("b@alpha.test"), began);
        shown(&mut ledger, "b@alpha.test/x", "a@org.test/client", began);
        let sweep = ledger.sweep(began + REFRESH, REFRESH);
        assert_eq!(sweep.probes, [(jid("a@org.test"), jid("b@alpha.test"))]);
        let later = began + ANSWER;
        shown(&mut ledger, "c@alpha.test/x", "a@org.test/client", later);
        assert_eq!(ledger.contacts.len(), 1);
    }

    #[test]
    fn prs_04_a_partner_that_is_gone_takes_its_contacts_along() {
        let (mut ledger, began) = (ledger(), Instant::now());
        shown(&mut ledger, "b@alpha.test/x", "a@org.test", began);
        shown(&mut ledger, "b@beta.test/x", "a@org.test", began);
        let alpha = Domain::parse("alpha.test").unwrap();
        assert_eq!(ledger.partners().len(), 2);
        let withdrawn = ledger.withdraw(&alpha);
        assert_eq!(withdrawn, [silent("b@alpha.test/x", "a@org.test")]);
        assert_eq!(ledger.withdraw(&alpha), []);
        assert_eq!(ledger.partners(), [Domain::parse("beta.test").unwrap()]);
    }

    #[test]
    fn one_partner_cannot_fill_the_ledger() {
        let (mut ledger, began) = (ledger(), Instant::now());
        for nth in 0..=PER_PARTNER {
            let contact = format!("c{nth}@alpha.test/x");
            shown(&mut ledger, &contact, "a@org.test", began);
        }
        assert_eq!(ledger.contacts.len(), PER_PARTNER);
        for nth in 0..=CLIENTS {
            let contact = format!("b@beta.test/{nth}");
            shown(&mut ledger, &contact, "a@org.test", began);
        }
        assert_eq!(ledger.contacts.len(), PER_PARTNER + 1);
        assert_eq!(
            ledger.withdraw(&Domain::parse("beta.test").unwrap()).len(),
            CLIENTS
        );
    }
}
