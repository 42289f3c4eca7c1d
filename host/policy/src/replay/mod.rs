//! What would another policy have decided? Recorded stanzas before a chain that leads nowhere.
//!
//! In: a configuration's plugins and partner records, and what was recorded, in order: captures
//! ([`crate::capture`]) with whole stanzas, or audit records without their content. Out: for each
//! stanza whether it would end otherwise. State begins empty and is thrown away; `journal` and `emit`
//! accept what plugins say and keep nothing; the clock is today's.
//!
//! Of an audit record the addresses, kind, type, id, language and the names of the payloads are
//! known, nothing else. A plugin that reads or edits more of the stanza, or reads the certificate,
//! has decided nothing then: the stanza is *not decidable*, and so is every later one for which that
//! plugin, or one after it that did not see the stanza, reads its `state`.
//!
//! What is not replayed: the gateway's own rules about kinds, sizes and rates of a partner record.

mod record;
mod unknown;

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_xmpp::error::{StanzaCondition, StanzaError};
use portcullis_xmpp::stanza::{Direction, Stanza};
use portcullis_xmpp::stream::{Party, Peer};

pub use record::{BadRecord, Case, Known, Reader};
pub(crate) use unknown::Unknowns;

use crate::engine::Engine;
use crate::generation::{self, BuildError, Generation};
use crate::judged::{Ruling, Verdict};
use crate::plugin::{Answer, Opinion, Plugin, Round};
use crate::shadow::Said;
use crate::spec::{GenerationSpec, Mode, Services};

/// A chain that judges what was recorded.
pub struct Replay {
    generation: Generation,
    services: Services,
    /// What the gatekeepers said of each stream and pair of domains.
    rulings: HashMap<Pair, Ruled>,
}

/// Stream, direction, and both domains.
type Pair = (Arc<str>, Direction, String, String);
/// The ruling, or which plugin had to know more than was recorded.
type Ruled = Result<Ruling, Arc<str>>;

/// How a recorded stanza would end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it did.
    Same,
    /// Otherwise.
    Different {
        /// What would be decided.
        would: Said,
        /// The stanza as it would go on, if both policies let it pass and it would be another.
        passed: Option<String>,
    },
    /// This plugin has to know more than was recorded.
    NotDecidable {
        /// Its name.
        by: Arc<str>,
    },
}

impl Replay {
    /// Builds the chain of a configuration; its shadows are left out.
    ///
    /// # Errors
    /// As [`Generation::build`].
    pub async fn build(
        engine: &Arc<Engine>,
        services: Services,
        mut spec: GenerationSpec,
    ) -> Result<Self, BuildError> {
        spec.plugins.retain(|plugin| plugin.mode == Mode::Active);
        let generation = Generation::build_for_replay(engine, &services, spec).await?;
        generation.started().await;
        Ok(Self {
            generation,
            services,
            rulings: HashMap::new(),
        })
    }

    /// Judges what was recorded, and compares.
    pub async fn judge(&mut self, case: &Case) -> Outcome {
        let verdict = match self.ruling(case).await {
            Err(by) => return Outcome::NotDecidable { by },
            Ok(Ruling::Admitted { .. }) => None,
            Ok(Ruling::Refused { by, text }) => Some((self.refused(case, text), Some(by))),
        };
        let (verdict, by, stanza) = match verdict {
            Some((verdict, by)) => (verdict, by, case.stanza.clone()),
            None => match self.filtered(case).await {
                Ok(judged) => judged,
                Err(by) => return Outcome::NotDecidable { by },
            },
        };
        compare(case, &verdict, by.as_deref(), &stanza)
    }

    /// May the stream exist? As the gateway asks: a partner's stream by both questions, and for an
    /// internal server's whether it may speak to the partner.
    async fn ruling(&mut self, case: &Case) -> Ruled {
        let peer = &case.peer;
        let (remote, local) = (peer.remote.to_string(), peer.local.to_string());
        let pair = (Arc::clone(&peer.stream_id), peer.direction, remote, local);
        if let Some(known) = self.rulings.get(&pair) {
            return known.clone();
        }
        let ruled = self.ask(peer, case.known).await;
        if self.rulings.len() >= RULINGS {
            self.rulings.clear();
        }
        self.rulings.insert(pair, ruled.clone());
        ruled
    }

    async fn ask(&self, peer: &Arc<Peer>, known: Known) -> Ruled {
        let own = &self.services.own_domains;
        let (domain, direction) = match peer.party {
            Party::Internal if own.contains(&peer.local) => {
                let by = Arc::from("gateway:internal-server");
                return Ok(Ruling::Admitted { by });
            }
            Party::Internal => (&peer.local, Direction::Outbound),
            Party::Partner => (&peer.remote, peer.direction),
        };
        let address = (peer.address)
            .filter(|_| peer.party == Party::Partner && direction == Direction::Inbound);
        let mut allowed = None;
        let questions: &[Question] = match peer.party {
            Party::Internal => &[Question::Knock],
            Party::Partner => &[Question::Knock, Question::Admit],
        };
        for question in questions {
            allowed = None;
            for plugin in self
                .generation
                .active()
                .iter()
                .filter(|it| it.is_gatekeeper())
            {
                let unknowns = plugin.unknowns();
                unknowns.begin(known);
                let opinion = match question {
                    Question::Knock => plugin.knock(domain, direction, address).await,
                    Question::Admit => plugin.admit(peer).await,
                };
                if unknowns.end() {
                    return Err(Arc::clone(plugin.name()));
                }
                match opinion {
                    Opinion::Allow => allowed = allowed.or(Some(plugin.name())),
                    Opinion::Abstain => {}
                    Opinion::Refuse(text) => {
                        let by = Arc::clone(plugin.name());
                        return Ok(Ruling::Refused { by, text });
                    }
                }
            }
            let ruling = self.generation.ruling(domain, allowed);
            if !ruling.is_admitted() {
                return Ok(ruling);
            }
        }
        Ok(self.generation.ruling(domain, allowed))
    }

    /// What becomes of a stanza of a stream that may not exist.
    fn refused(&self, case: &Case, text: String) -> Verdict {
        match case.peer.party {
            // Its stream ends, and the stanza with it.
            Party::Partner => Verdict::Drop { reason: text },
            Party::Internal => {
                let error = StanzaError::new(StanzaCondition::NotAllowed).with_text(text.clone());
                generation::rejected(&case.stanza, error, text)
            }
        }
    }

    async fn filtered(&self, case: &Case) -> Result<(Verdict, Option<Arc<str>>, Stanza), Arc<str>> {
        let (arrived, peer) = (&case.stanza, &case.peer);
        let mut stanza = arrived.clone();
        let mut round = Round::new();
        let mut plugins = self.generation.active().iter().filter(|it| it.is_filter());
        while let Some(plugin) = plugins.next() {
            if case.known == Known::Nothing && plugin.may_want(arrived, peer.direction) {
                self.cloud(plugin, plugins);
                return Err(Arc::clone(plugin.name()));
            }
            if !plugin.wants(&stanza, peer.direction) {
                continue;
            }
            let unknowns = plugin.unknowns();
            unknowns.begin(case.known);
            let answer = plugin.answer(plugin.decide(&mut round, &stanza, peer).await);
            if unknowns.end() {
                self.cloud(plugin, plugins);
                return Err(Arc::clone(plugin.name()));
            }
            let verdict = match answer {
                Answer::Pass(None) => continue,
                Answer::Pass(Some(edited)) => {
                    stanza = edited;
                    round.edited();
                    continue;
                }
                Answer::Reject(error, reason) => generation::rejected(arrived, error, reason),
                Answer::Drop(reason) => generation::dropped(arrived, reason),
            };
            return Ok((verdict, Some(Arc::clone(plugin.name())), arrived.clone()));
        }
        Ok((Verdict::Pass, None, stanza))
    }

    /// What these plugins remember is not what they would remember.
    fn cloud<'a>(&self, first: &Arc<Plugin>, rest: impl Iterator<Item = &'a Arc<Plugin>>) {
        first.unknowns().cloud();
        for plugin in rest {
            plugin.unknowns().cloud();
        }
    }
}

#[derive(Clone, Copy)]
enum Question {
    Knock,
    Admit,
}

/// Pairs of domains on streams that are remembered: more than a gateway has at a time.
const RULINGS: usize = 100_000;

fn compare(case: &Case, verdict: &Verdict, by: Option<&str>, stanza: &Stanza) -> Outcome {
    let stood = &case.stood;
    let alike = verdict.as_str() == stood.verdict
        && match verdict {
            Verdict::Reject { error, .. } => {
                stood.condition.as_deref() == Some(error.condition.as_str())
            }
            Verdict::Pass | Verdict::Drop { .. } => true,
        };
    let passes = matches!(verdict, Verdict::Pass) && alike && case.known == Known::Whole;
    let edited = passes && stanza.to_xml() != case.passed;
    if alike && !edited {
        return Outcome::Same;
    }
    Outcome::Different {
        would: Said::of_verdict(verdict, by),
        passed: edited.then(|| stanza.to_xml()),
    }
}
