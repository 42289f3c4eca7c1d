// What examples in the documentation begin with. A hidden line includes it:
//
//     # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
//
// The host is the mock: `org.test` is the organisation's domain, `alpha.test` a federated partner.

pub use portcullis_plugin::mock::{self, Host};
pub use portcullis_plugin::prelude::*;

/// A host as all examples have it.
pub fn host() -> Host {
    Host::new()
        .own("org.test")
        .partner("alpha.test", PartnerType::Federated)
}

/// Code that asks the host, as a plugin's does.
pub fn within<R>(call: impl FnOnce() -> R) -> R {
    host().within(call)
}

/// The header of a stanza that arrives.
pub fn header_of(xml: &str) -> Header {
    judged(xml, |header, _| header.clone()).0
}

/// A stanza that arrives, for a plugin that lets it pass; returns the XML that goes on.
pub fn arrives(xml: &str, look: impl FnOnce(&mut Stanza) + 'static) -> String {
    judged(xml, |_, stanza| look(stanza)).1
}

/// The other end of a stream, which has proven this domain.
pub fn proven(domain: &str) -> Peer<'static> {
    let xml = format!("<message from='{domain}' to='org.test'/>");
    judged(&xml, |_, stanza| stanza.peer()).0
}

/// The decision that a message from `alpha.test` may pass.
pub fn decided(hear: impl FnOnce(&Decision) + 'static) {
    hears(passed(), hear);
}

/// An observer that hears this decision.
pub fn hears(decision: mock::Decision, hear: impl FnOnce(&Decision) + 'static) {
    hears_on(host(), &[decision], |batch| hear(&batch[0]));
}

/// An observer that hears two decisions at once.
pub fn hears_all(hear: impl FnOnce(&[Decision]) + 'static) {
    hears_on(host(), &[passed(), passed()], hear);
}

/// The same, but the journal cannot be written.
pub fn hears_all_without_room(hear: impl FnOnce(&[Decision]) + 'static) {
    let mut host = host();
    host.fail_journal(Some(mock::JournalError::Full));
    hears_on(host, &[passed(), passed()], hear);
}

fn passed() -> mock::Decision {
    let json = serde_json::json!({
        "event": "stanza", "partner": "alpha.test", "direction": "inbound", "verdict": "pass",
    });
    let xml = "<message from='eve@alpha.test' to='a@org.test'><body>Hi</body></message>";
    mock::Decision::new(json).body("Hi").xml(xml)
}

fn hears_on(
    mut host: Host,
    batch: &[mock::Decision],
    hear: impl FnOnce(&[Decision]) + 'static,
) {
    struct Once<F>(Option<F>);

    impl<F: 'static> Plugin for Once<F> {
        type Config = NoConfig;

        fn new(_: NoConfig) -> Result<Self, String> {
            Ok(Self(None))
        }
    }

    impl<F: FnOnce(&[Decision]) + 'static> Observer for Once<F> {
        fn observe(&mut self, batch: &[Decision]) -> Result<(), String> {
            self.0.take().unwrap()(batch);
            Ok(())
        }
    }

    host.observe(&mut Once(Some(hear)), batch).unwrap();
}

/// Whether a filter with this subscription is shown a stanza that arrives.
pub fn is_shown(subscription: Subscription, xml: &str) -> bool {
    struct Reached(Subscription);

    impl Plugin for Reached {
        type Config = NoConfig;

        fn new(_: NoConfig) -> Result<Self, String> {
            Ok(Self(Subscription::everything()))
        }

        fn subscription(&self) -> Subscription {
            self.0.clone()
        }
    }

    impl Filter for Reached {
        fn decide(&mut self, _: &Header, _: &mut Stanza) -> Verdict {
            Verdict::drop("reached")
        }
    }

    let (verdict, _) = host().decide(&mut Reached(subscription), Direction::Inbound, xml);
    verdict.is_drop()
}

fn judged<R: 'static>(
    xml: &str,
    judge: impl FnOnce(&Header, &mut Stanza) -> R + 'static,
) -> (R, String) {
    struct Once<F, R>(Option<F>, Option<R>);

    impl<F: 'static, R: 'static> Plugin for Once<F, R> {
        type Config = NoConfig;

        fn new(_: NoConfig) -> Result<Self, String> {
            Ok(Self(None, None))
        }
    }

    impl<F, R: 'static> Filter for Once<F, R>
    where
        F: FnOnce(&Header, &mut Stanza) -> R + 'static,
    {
        fn decide(&mut self, header: &Header, stanza: &mut Stanza) -> Verdict {
            self.1 = Some(self.0.take().unwrap()(header, stanza));
            Verdict::pass()
        }
    }

    let mut once = Once(Some(judge), None);
    let (_, passed) = host().decide(&mut once, Direction::Inbound, xml);
    (once.1.unwrap(), passed.to_xml())
}

/// A plugin for the examples of the mock host: it refuses `spam.test`, lets no message without a body
/// pass, and writes down every decision.
pub struct Doorman;

impl Plugin for Doorman {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn subscription(&self) -> Subscription {
        Subscription::everything().kinds([Kind::Message])
    }

    fn started(&mut self) {
        log::info!("at the door");
    }
}

impl Gatekeeper for Doorman {
    fn knock(&mut self, knock: &Knock) -> Admission {
        match knock.domain.as_str() {
            "spam.test" => Admission::refuse("not you"),
            _ => Admission::Abstain,
        }
    }

    fn admit(&mut self, peer: &Peer) -> Admission {
        match partners::lookup(&peer.domain()) {
            Some(_) => Admission::Allow,
            None => Admission::Abstain,
        }
    }
}

impl Filter for Doorman {
    fn decide(&mut self, _: &Header, stanza: &mut Stanza) -> Verdict {
        match stanza.body() {
            Some(_) => Verdict::pass(),
            None => Verdict::drop("nothing said"),
        }
    }
}

impl Observer for Doorman {
    fn observe(&mut self, batch: &[Decision]) -> Result<(), String> {
        for decision in batch {
            journal::append(&decision.json()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
