//! The iq requests that the gateway itself has sent and that wait for their answers.
//!
//! In: two domains. Out: the ping to send, and a receiver that hears of its answer. An iq that comes
//! back is the answer only if everything fits: the id, which nobody can guess, the two addresses, and
//! that it is an answer. Anything else is somebody else's and goes its way (an answer that was matched
//! by its id alone was a hole elsewhere: CVE-2024-46957). The table is bounded, in number and by a
//! deadline for each entry.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_xmpp::jid::{Domain, Jid};
use portcullis_xmpp::stanza::{Kind, Stanza, Subtype};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::session::stream_id;

/// Questions that may be open at a time: some for each stream of a gateway with its default limits.
const OPEN: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Questions(Mutex<HashMap<String, Question>>);

#[derive(Debug)]
struct Question {
    from: Domain,
    to: Domain,
    until: Instant,
    answered: oneshot::Sender<()>,
}

impl Questions {
    /// A ping from one domain to the other, whose answer is taken for so long; none if too many are
    /// open.
    pub(crate) fn ping(
        &self,
        from: &Domain,
        to: &Domain,
        now: Instant,
        patience: Duration,
    ) -> Option<(Stanza, oneshot::Receiver<()>)> {
        let mut open = self.lock();
        if open.len() >= OPEN {
            open.retain(|_, question| now < question.until);
        }
        if open.len() >= OPEN {
            return None;
        }
        let id = stream_id();
        let ping = Stanza::ping(from.clone(), to.clone(), &id);
        let (answered, answer) = oneshot::channel();
        let question = Question {
            from: from.clone(),
            to: to.clone(),
            until: now + patience,
            answered,
        };
        open.insert(id, question);
        Some((ping, answer))
    }

    /// Whether this stanza, whose sender's domain is proven, answers a question of ours; then it is
    /// for nobody else. An error is an answer too: who refuses pings is there.
    pub(crate) fn take(&self, stanza: &Stanza, now: impl FnOnce() -> Instant) -> bool {
        let is_answer = stanza.kind() == Kind::Iq
            && matches!(stanza.subtype(), Subtype::Result | Subtype::Error);
        let Some(id) = stanza.id().filter(|_| is_answer) else {
            return false;
        };
        let now = now();
        let mut open = self.lock();
        let fits = open.get(id).is_some_and(|question| {
            now < question.until
                && is_domain(stanza.from(), &question.to)
                && is_domain(stanza.to(), &question.from)
        });
        if !fits {
            return false;
        }
        if let Some(question) = open.remove(id) {
            // The stream that asked may be gone.
            let _ = question.answered.send(());
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Question>> {
        // The lock's sections only move whole entries.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an address is the domain itself, nobody at it.
fn is_domain(address: &Jid, domain: &Domain) -> bool {
    address.domain() == domain && address.local().is_none() && address.resource().is_none()
}

#[cfg(test)]
mod tests {
    use portcullis_xmpp::frame::{Event, Framer, Limits};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn domain(name: &str) -> Domain {
        Domain::parse(name).unwrap()
    }

    fn stanza(text: &str) -> Stanza {
        let mut framer = Framer::new(Limits::default());
        framer.push(
            b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>",
        );
        framer.push(text.as_bytes());
        assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
        match framer.next() {
            Ok(Some(Event::Element(frame))) => Stanza::parse(frame).unwrap(),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn asked() -> (Questions, String, oneshot::Receiver<()>) {
        let questions = Questions::default();
        let asked = questions.ping(
            &domain("org.test"),
            &domain("alpha.test"),
            Instant::now(),
            MINUTE,
        );
        let (ping, answer) = asked.unwrap();
        let id = ping.id().unwrap().to_owned();
        (questions, id, answer)
    }

    #[tokio::test]
    async fn result_and_error_alike_are_answers() {
        for answer in [
            "type='result'/>",
            "type='error'><error type='cancel'>\
             <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        ] {
            let (questions, id, heard) = asked();
            let answer = stanza(&format!(
                "<iq from='alpha.test' to='org.test' id='{id}' {answer}"
            ));
            assert!(questions.take(&answer, Instant::now));
            heard.await.unwrap();
            assert!(!questions.take(&answer, Instant::now), "taken twice");
        }
    }

    #[tokio::test]
    async fn v17_what_does_not_fit_in_everything_is_not_ours() {
        let (questions, id, mut heard) = asked();
        let error = "<error type='cancel'/>";
        for foreign in [
            format!("<iq from='beta.test' to='org.test' id='{id}' type='result'/>"),
            format!("<iq from='a@alpha.test' to='org.test' id='{id}' type='result'/>"),
            format!("<iq from='alpha.test/x' to='org.test' id='{id}' type='result'/>"),
            format!("<iq from='alpha.test' to='a@org.test' id='{id}' type='result'/>"),
            format!("<iq from='alpha.test' to='second.test' id='{id}' type='result'/>"),
            format!("<iq from='alpha.test' to='org.test' id='{id}0' type='result'/>"),
            format!("<iq from='alpha.test' to='org.test' id='{id}' type='get'><q xmlns='u'/></iq>"),
            format!(
                "<message from='alpha.test' to='org.test' id='{id}' type='error'>{error}</message>"
            ),
        ] {
            assert!(
                !questions.take(&stanza(&foreign), Instant::now),
                "{foreign}"
            );
            assert!(heard.try_recv().is_err(), "{foreign}");
        }
        let ours = format!("<iq from='alpha.test' to='org.test' id='{id}' type='result'/>");
        assert!(questions.take(&stanza(&ours), Instant::now));
    }

    #[test]
    fn the_table_is_bounded_and_its_entries_end() {
        let questions = Questions::default();
        let began = Instant::now();
        let ask = |now| questions.ping(&domain("org.test"), &domain("alpha.test"), now, MINUTE);
        let (first, _) = ask(began).unwrap();
        for _ in 1..OPEN {
            assert!(ask(began).is_some());
        }
        assert!(ask(began).is_none());
        let late = format!(
            "<iq from='alpha.test' to='org.test' id='{}' type='result'/>",
            first.id().unwrap()
        );
        assert!(!questions.take(&stanza(&late), || began + MINUTE));
        assert!(ask(began + MINUTE).is_some());
        assert_eq!(questions.lock().len(), 1);
    }
}
