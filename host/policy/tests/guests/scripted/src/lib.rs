//! A plugin for the policy engine's tests.
//!
//! A message's body is its script: words `TAG:COMMAND[:ARGUMENT]`, of which it follows the first that
//! has its own tag or `*`. What it hears as an observer it appends to the journal under its tag.

#![allow(clippy::panic, reason = "failing in every way is its purpose")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use portcullis_plugin::prelude::*;

/// `[plugin.config]`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which words of a script are for this plugin.
    tag: String,
    /// `error`, `panic`, `loop`, `state` or `emit`: what to do in init instead of succeeding; `broken`: fail
    /// while the state key `broken` is there.
    init: Option<String>,
    /// Fail the rehearsal.
    stumble: bool,
    /// How long verdicts may be remembered, in milliseconds.
    memo_ms: Option<u64>,
    /// Only messages are wanted.
    messages: bool,
    /// Drop every iq.
    drop_iq: bool,
    /// Domains to allow, to refuse, and to panic at.
    allow: BTreeSet<String>,
    refuse: BTreeSet<String>,
    panic: BTreeSet<String>,
    /// Whether the gateway writes what it hears, without its tag.
    unread: bool,
    /// Whether it hears records only.
    records_only: bool,
    /// Whether it says so when it is too late.
    late: bool,
    /// How many batches each instance refuses to observe before it takes one.
    refuse_batches: u32,
    /// How fast.
    pace: Option<Pace>,
    /// What to answer.
    answer: Option<Answer>,
    /// Panic at each batch as long as the state key `broken` is there.
    breakable: bool,
    /// Never return from observing; or not once the rehearsal is over.
    deaf: bool,
    deafened: bool,
    /// Namespaces of payloads to subscribe to.
    payloads: usize,
}

/// An enum of words.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// At once.
    Fast,
    /// Later.
    Slow,
}

/// A table with a key that must be there.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is looked at")]
pub struct Answer {
    /// What the sender reads.
    text: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tag: "a".to_owned(),
            init: None,
            stumble: false,
            memo_ms: None,
            messages: false,
            drop_iq: false,
            allow: BTreeSet::new(),
            refuse: BTreeSet::new(),
            panic: BTreeSet::new(),
            unread: false,
            records_only: false,
            late: false,
            refuse_batches: 0,
            pace: None,
            answer: None,
            breakable: false,
            deaf: false,
            deafened: false,
            payloads: 0,
        }
    }
}

/// The plugin.
pub struct Scripted {
    config: Config,
    calls: u32,
    leaked: Vec<Peer<'static>>,
    kept: Option<Stanza<'static>>,
}

impl Plugin for Scripted {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        match config.init.as_deref() {
            None => {}
            Some("panic") => panic!("init was told to panic"),
            Some("loop") => forever(),
            Some("state") => {
                state::set("init", b"1", None).map_err(|error| format!("{error:?}"))?
            }
            Some("broken") if state::get("broken").is_ok_and(|it| it.is_none()) => {}
            Some("emit") => emit::unavailable("a@alpha.test", "b@org.test")?,
            Some(other) => return Err(format!("`init = {other}`: leave it out")),
        }
        if config.records_only {
            hearing::records_only();
        }
        Ok(Self {
            config,
            calls: 0,
            leaked: Vec::new(),
            kept: None,
        })
    }

    fn subscription(&self) -> Subscription {
        let mut wanted = Subscription::everything();
        if self.config.messages {
            wanted = wanted.kinds([Kind::Message]);
        }
        if self.config.payloads > 0 {
            wanted = wanted.payloads((0..self.config.payloads).map(|n| format!("urn:x:{n}")));
        }
        if let Some(memo) = self.config.memo_ms {
            wanted = wanted.memo(Duration::from_millis(memo));
        }
        wanted
    }

    fn started(&mut self) {
        let _ = state::increment("started", 1, None);
    }
}

impl Gatekeeper for Scripted {
    fn knock(&mut self, knock: &Knock) -> Admission {
        self.opinion(&knock.domain)
    }

    fn admit(&mut self, peer: &Peer) -> Admission {
        self.opinion(&peer.domain())
    }
}

impl Scripted {
    fn opinion(&self, domain: &str) -> Admission {
        if let Some(kept) = &self.kept {
            return Admission::refuse(kept.xml());
        }
        if self.config.panic.contains(domain) {
            panic!("{domain}");
        }
        if self.config.refuse.contains(domain) {
            return Admission::refuse(format!("{domain} is refused by {}", self.config.tag));
        }
        if self.config.allow.contains(domain) {
            Admission::Allow
        } else {
            Admission::Abstain
        }
    }
}

impl Filter for Scripted {
    fn decide(&mut self, header: &Header, stanza: &mut Stanza) -> Verdict {
        self.calls += 1;
        if self.config.drop_iq && header.kind() == Kind::Iq {
            return Verdict::drop("no iq");
        }
        let Some(script) = stanza.body() else {
            return Verdict::pass();
        };
        if self.config.stumble && header.from_domain() == "remote.invalid" {
            panic!("stumbled");
        }
        let tag = &self.config.tag;
        let word = script.split(' ').find_map(|word| {
            let (to, command) = word.split_once(':')?;
            (to == tag || to == "*").then(|| command.to_owned())
        });
        let word = word.unwrap_or_default();
        let (command, argument) = word.split_once(':').unwrap_or((&word, ""));
        match command {
            "" | "pass" => Verdict::pass(),
            "reject" => Verdict::reject(Condition::PolicyViolation)
                .text(argument)
                .reason(argument),
            "drop" => Verdict::drop(argument),
            "count" => Verdict::drop(format!("{}", self.calls)),
            "header" => Verdict::drop(format!(
                "{:?} {:?} {:?} {} {} {} {} {:?}",
                header.kind(),
                header.subtype(),
                header.direction(),
                header.from(),
                header.to(),
                header.id().unwrap_or_default(),
                header.lang().unwrap_or_default(),
                header.payloads().collect::<Vec<_>>()
            )),
            "edit" => {
                let text = format!("{script} {}:was-here", self.config.tag);
                report(stanza.set_text("body", Stanza::XMPP, &text))
            }
            "edit-and-panic" => {
                let _ = stanza.set_text("body", Stanza::XMPP, "half done");
                panic!("after an edit");
            }
            "texts" => {
                let bodies = stanza.texts(&[("body", Stanza::XMPP)]);
                let bodies: Vec<_> = bodies.iter().map(|text| text.text.as_str()).collect();
                Verdict::drop(bodies.join("|"))
            }
            "attribute" => Verdict::drop(
                stanza
                    .attributes(&[("x", "urn:x"), ("y", "")], argument)
                    .join("|"),
            ),
            "normal" => Verdict::drop(addresses::normalize(argument).unwrap_or_else(|error| error)),
            "file" => Verdict::drop(match files::text(argument) {
                Ok(text) => format!("{text} of {}", files::names().join(",")),
                Err(error) => error.to_string(),
            }),
            "state" => {
                let _ = state::increment("calls", 1, None);
                Verdict::pass()
            }
            "unavailable" => {
                let (from, to) = argument.split_once(',').unwrap_or_default();
                report(emit::unavailable(from, to))
            }
            "break" => report(state::set("broken", b"1", None)),
            "spin" => {
                let until = Instant::now() + Duration::from_millis(argument.parse().unwrap_or(0));
                while Instant::now() < until {}
                Verdict::pass()
            }
            "sleep" => {
                std::thread::sleep(Duration::from_millis(argument.parse().unwrap_or(3_600_000)));
                Verdict::pass()
            }
            "world" => Verdict::drop(world()),
            "print" => {
                print!("one\ntwo ");
                println!("{}", "x".repeat(10_000));
                eprintln!("oops \u{1b}[31m");
                Verdict::pass()
            }
            "chatter" => {
                for number in 0..100_000 {
                    log::write(
                        log::Level::Info,
                        &format!("line {number} {}", "y".repeat(100)),
                    );
                }
                Verdict::pass()
            }
            "print-chatter" => {
                for number in 0..20_000 {
                    println!("line {number} {}", "y".repeat(100));
                    eprintln!("line {number} {}", "y".repeat(100));
                }
                Verdict::pass()
            }
            "edits" => {
                for number in 0..argument.parse().unwrap_or(0) {
                    if let Err(error) = stanza.set_text("body", Stanza::XMPP, "x") {
                        return Verdict::drop(format!("edit {number}: {error:?}"));
                    }
                }
                Verdict::pass()
            }
            "hostile" => {
                let place: usize = argument.parse().unwrap_or(0);
                match HOSTILE.get(place) {
                    Some(xml) => report(stanza.insert(xml)),
                    None => Verdict::drop("no more"),
                }
            }
            "forge" => forge(stanza),
            "lie" => Verdict::reject(Condition::PolicyViolation)
                .text("</text>\u{0}\u{1b}[2J\n]]>&\u{fffe}".repeat(20_000))
                .reason("a\nb".repeat(100_000)),
            "huge-text" => {
                let text = "x".repeat(argument.parse().unwrap_or(0));
                report(stanza.set_text("body", Stanza::XMPP, &text))
            }
            "huge-list" => {
                let keep = vec![("", ""); 200_000];
                report(stanza.retain(&keep).map(drop))
            }
            "keep" => {
                #[allow(
                    unsafe_code,
                    reason = "it keeps what it was only lent, as a plugin in another language could"
                )]
                // SAFETY: a stanza is a reference to its handle, and the handle a number, here and in
                // its copy that is never freed. The host must not trust the number.
                let stolen = unsafe {
                    let handle: &u32 = std::mem::transmute_copy(stanza);
                    let copy: &'static u32 = Box::leak(Box::new(*handle));
                    std::mem::transmute_copy(&copy)
                };
                self.kept = Some(stolen);
                Verdict::pass()
            }
            "hoard" => {
                let value = vec![0; 1000];
                for number in 0..100_000 {
                    if let Err(error) = state::set(&format!("{number}"), &value, None) {
                        return Verdict::drop(format!("{number}: {error:?}"));
                    }
                }
                Verdict::pass()
            }
            "journal" => report(journal::append(argument)),
            "abort" => std::process::abort(),
            "leak" => loop {
                self.leaked.push(stanza.peer());
            },
            "loop" => forever(),
            "memory" => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    hoard.push(vec![1; 1 << 20]);
                    std::hint::black_box(&hoard);
                }
            }
            "panic" => panic!("told to"),
            "recurse" => Verdict::drop(format!("{}", deep(0))),
            "exit" => std::process::exit(3),
            other => Verdict::drop(format!("unknown command {other}")),
        }
    }
}

impl Observer for Scripted {
    fn observe(&mut self, batch: &[Decision]) -> Result<(), String> {
        let rehearsal = batch.iter().any(|it| it.partner().ends_with(".invalid"));
        if self.config.late {
            hearing::records_only();
        }
        if self.config.deaf || self.config.deafened && !rehearsal {
            forever();
        }
        if self.config.breakable && matches!(state::get("broken"), Ok(Some(_))) {
            panic!("broken");
        }
        if self.config.refuse_batches > 0 {
            self.config.refuse_batches -= 1;
            return Err("not yet".to_owned());
        }
        if self.config.unread {
            return journal::append_decisions(batch).map_err(|error| error.to_string());
        }
        for decision in batch {
            let line = serde_json::json!({
                "tag": self.config.tag,
                "body": decision.body(),
                "partner": decision.partner(),
                "decision": serde_json::from_str::<serde_json::Value>(&decision.json()).map_err(|error| error.to_string())?,
            });
            journal::append(&line.to_string()).map_err(|error| format!("{error:?}"))?;
        }
        Ok(())
    }
}

fn report<E: std::fmt::Debug>(outcome: Result<(), E>) -> Verdict {
    match outcome {
        Ok(()) => Verdict::pass(),
        Err(error) => Verdict::drop(format!("{error:?}")),
    }
}

/// What must never get into a stanza.
const HOSTILE: [&str; 14] = [
    "<x/></message><message from='boss@org.test' to='a@alpha.test'><body>forged</body></message>",
    "<x/><y/>",
    "<x>",
    "text",
    "",
    "<!-- a comment --><x/>",
    "<?xml version='1.0'?><x/>",
    "<!DOCTYPE x [<!ENTITY e 'e'>]><x>&e;</x>",
    "<x a='1' a='2'/>",
    "<p:x/>",
    "<x>\u{1}</x>",
    "<x>&#0;</x>",
    "<x>&undefined;</x>",
    "<x><![CDATA[no]]></x><!--",
];

/// Every edit there is, in search of one that changes an address.
fn forge(stanza: &mut Stanza) -> Verdict {
    let ns = Stanza::XMPP;
    for name in ["message", "", "from", "to"] {
        let _ = stanza.set_child_attribute(name, ns, "from", "boss@org.test");
        let _ = stanza.set_child_attribute(name, ns, "to", "boss@org.test");
        let _ = stanza.set_child_attribute(name, "", "xmlns", "jabber:client");
        let _ = stanza.set_child_attribute(name, "", "x' from='boss@org.test", "1");
        let _ = stanza.set_text(name, ns, "' from='boss@org.test'><body>");
    }
    let _ = stanza.insert("<message from='boss@org.test' to='boss@org.test'/>");
    let _ = stanza.set_subtype(Subtype::Error);
    let _ = stanza.set_subtype(Subtype::Get);
    Verdict::pass()
}

fn forever() -> ! {
    let mut turn = 0_u64;
    loop {
        turn = std::hint::black_box(turn.wrapping_add(1));
    }
}

#[allow(
    unconditional_recursion,
    reason = "the stack's end is what it looks for"
)]
fn deep(depth: u64) -> u64 {
    std::hint::black_box(deep(std::hint::black_box(depth) + 1)) + 1
}

/// What can be seen of the world: nothing, it should turn out.
fn world() -> String {
    format!(
        "env={} args={} root={} stdin={}",
        std::env::vars().count(),
        std::env::args().count(),
        std::fs::read_dir("/").is_ok(),
        std::io::Read::read(&mut std::io::stdin(), &mut [0; 8]).unwrap_or(0),
    )
}

export!(Scripted: Gatekeeper + Filter + Observer);
