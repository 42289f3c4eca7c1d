//! The mock keeps the contract's promises, so that a test against it says something.

use serde_json::json;

use super::*;
use crate::prelude::*;

/// Does what the test's configuration says.
struct Puppet {
    act: String,
    memo: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    act: String,
    #[serde(default)]
    memo: bool,
}

impl Plugin for Puppet {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        log::info!("act: {}", config.act);
        Ok(Self {
            act: config.act,
            memo: config.memo,
        })
    }

    fn subscription(&self) -> Subscription {
        let subscription = Subscription::everything().kinds([Kind::Message, Kind::Presence]);
        if self.memo {
            subscription.memo(Duration::from_secs(1))
        } else {
            subscription
        }
    }
}

impl Filter for Puppet {
    fn decide(&mut self, header: &Header, stanza: &mut Stanza) -> Verdict {
        match self.act.as_str() {
            "strip" => {
                stanza.retain(&[("body", Stanza::XMPP)]).unwrap();
                stanza.insert("<mark xmlns='urn:test'/>").unwrap();
                Verdict::pass()
            }
            "strip and drop" => {
                stanza.remove("", "").unwrap();
                Verdict::drop("because")
            }
            "count" => match state::increment("count", 1, Some(Duration::from_secs(60))) {
                Ok(sum) => Verdict::drop(sum.to_string()),
                Err(error) => Verdict::drop(error.to_string()),
            },
            "endless edits" => {
                let error = (0..).find_map(|_| stanza.remove("none", "").err());
                Verdict::drop(format!("{error:?}"))
            }
            "header" => Verdict::drop(format!("{header:?}")),
            _ => Verdict::pass(),
        }
    }
}

impl Observer for Puppet {
    fn observe(&mut self, batch: &[crate::Decision]) -> Result<(), String> {
        for decision in batch {
            journal::append(&decision.json()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

crate::export!(Puppet: Filter + Observer);

const MESSAGE: &str = "<message from='a@org.test' to='b@alpha.test' id='1'><body>Hi</body><x xmlns='urn:x'/></message>";

fn puppet(host: &mut Host, act: &str) -> Puppet {
    host.load(json!({ "act": act })).unwrap()
}

#[test]
fn edits_hold_if_the_verdict_is_to_pass() {
    let mut host = Host::new().own("org.test");
    let mut plugin = puppet(&mut host, "strip");
    let (verdict, stanza) = host.decide(&mut plugin, Direction::Outbound, MESSAGE);
    assert!(verdict.is_pass());
    let names: Vec<_> = stanza.payloads().collect();
    assert_eq!(names, [("body", Stanza::XMPP), ("mark", "urn:test")]);

    let mut plugin = puppet(&mut host, "strip and drop");
    let (verdict, stanza) = host.decide(&mut plugin, Direction::Outbound, MESSAGE);
    assert_eq!(verdict, Verdict::drop("because"));
    assert_eq!(stanza.count("body", Stanza::XMPP), 1);
}

#[test]
fn what_the_subscription_leaves_out_is_not_shown() {
    let mut host = Host::new().own("org.test");
    let mut plugin = puppet(&mut host, "strip and drop");
    let iq = "<iq from='a@org.test' to='b@alpha.test' id='1' type='get'><q xmlns='urn:q'/></iq>";
    assert!(
        host.decide(&mut plugin, Direction::Outbound, iq)
            .0
            .is_pass()
    );
}

#[test]
fn instances_share_state_and_the_test_moves_its_clock() {
    let mut host = Host::new().own("org.test");
    let mut one = puppet(&mut host, "count");
    let mut two = puppet(&mut host, "count");
    let count = |host: &mut Host, plugin: &mut Puppet| {
        host.decide(plugin, Direction::Outbound, MESSAGE)
            .0
            .why()
            .to_owned()
    };
    assert_eq!(count(&mut host, &mut one), "1");
    host.advance(Duration::from_secs(59));
    assert_eq!(count(&mut host, &mut two), "2");
    // The lifetime holds from the first increment.
    host.advance(Duration::from_secs(1));
    assert_eq!(count(&mut host, &mut one), "1");
    host.fail_state(Some(state::StateError::TooLarge));
    assert!(count(&mut host, &mut one).contains("full"));
}

#[test]
#[should_panic(expected = "memo")]
fn a_filter_that_declares_a_memo_must_not_use_state() {
    let mut host = Host::new().own("org.test");
    let mut plugin: Puppet = host.load(json!({ "act": "count", "memo": true })).unwrap();
    let _ = host.decide(&mut plugin, Direction::Outbound, MESSAGE);
}

#[test]
fn a_call_has_256_edits() {
    let mut host = Host::new().own("org.test");
    let mut plugin = puppet(&mut host, "endless edits");
    let (verdict, _) = host.decide(&mut plugin, Direction::Outbound, MESSAGE);
    assert!(verdict.why().contains("TooLarge"), "{verdict:?}");
}

#[test]
fn the_journal_takes_objects_and_fails_when_it_is_told_to() {
    let mut host = Host::new();
    let mut plugin = puppet(&mut host, "");
    let batch = [super::Decision::new(json!({ "partner": "alpha.test" })).body("secret")];
    host.observe(&mut plugin, &batch).unwrap();
    assert_eq!(host.journal(), [r#"{"partner":"alpha.test"}"#]);
    host.fail_journal(Some(JournalError::Full));
    assert!(
        host.observe(&mut plugin, &batch)
            .unwrap_err()
            .contains("no space")
    );
    assert_eq!(host.log(), [(Level::Info, "act: ".to_owned())]);
}

#[test]
fn a_configuration_error_reaches_the_operator() {
    let error = Host::new()
        .load::<Puppet>(json!({ "act": "", "memmo": true }))
        .err()
        .unwrap();
    assert!(
        error.contains("unknown field `memmo`, expected `act` or `memo`"),
        "{error}"
    );
}
