//! A host for `cargo test`: the plugin's own code, run natively, with a host that a test can look
//! into. Stanzas are parsed and edited by the gateway's own code; state has a clock that only the test
//! moves; nothing is sent or written anywhere.
//!
//! ```
//! use portcullis_plugin::mock::Host;
//! use portcullis_plugin::prelude::*;
//! # struct X;
//! # impl Plugin for X {
//! #     type Config = NoConfig;
//! #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
//! # }
//! # impl Filter for X {
//! #     fn decide(&mut self, _: &Header, stanza: &mut Stanza) -> Verdict {
//! #         match stanza.remove("status", Stanza::XMPP) {
//! #             Ok(_) => Verdict::pass(),
//! #             Err(error) => Verdict::drop(error.message()),
//! #         }
//! #     }
//! # }
//!
//! # fn main() -> Result<(), String> {
//! let mut host = Host::new().own("org.test").partner("alpha.test", PartnerType::Federated);
//! let mut plugin = host.load::<X>(serde_json::json!({}))?;
//! let (verdict, stanza) = host.decide(
//!     &mut plugin,
//!     Direction::Outbound,
//!     "<presence from='a@org.test/x' to='b@alpha.test'><status>gone fishing</status></presence>",
//! );
//! assert!(verdict.is_pass());
//! assert_eq!(stanza.count("status", Stanza::XMPP), 0);
//! # Ok(())
//! # }
//! ```
//!
//! Not imitated: budgets, memory limits, several threads, the remembering of verdicts (a plugin that
//! declares it and reads state fails here as it does there).

mod decision;
mod header;
mod look;
pub(crate) mod side;
mod stanza;
mod world;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::{
    Admission, Direction, Filter, Gatekeeper, Header, Knock, Observer, PartnerType, Peer, Plugin,
    Verdict, config,
};
use world::World;

pub use crate::journal::JournalError;
pub use crate::log::Level;
pub use decision::Decision;
pub use look::Emitted;

/// The host of one test. Its plugins share its state, as the instances and the generations of one
/// plugin do in the gateway.
///
/// ```
/// use portcullis_plugin::{mock::Host, prelude::*};
/// let mut host = Host::new().own("org.test").at("2026-11-22T18:30:00Z");
/// assert_eq!(host.within(|| clock::Moment::now().hour()), 18);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Host {
    world: Rc<RefCell<World>>,
}

impl Host {
    /// A host without domains and partners.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// assert!(Host::new().within(files::names).is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this domain as one of the organisation's; domains below it are domains of their own.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new().own("org.test");
    /// assert!(host.within(|| domains::is_own("org.test") && !domains::is_own("muc.org.test")));
    /// ```
    #[must_use]
    pub fn own(self, domain: &str) -> Self {
        self.world.borrow_mut().own.push(domain.to_owned());
        self
    }

    /// With a partner record.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new().partner("alpha.test", PartnerType::Federated);
    /// assert_eq!(host.within(|| partners::lookup("alpha.test")), Some(PartnerType::Federated));
    /// ```
    #[must_use]
    pub fn partner(self, domain: &str, partner_type: PartnerType) -> Self {
        self.world
            .borrow_mut()
            .partners
            .insert(domain.to_owned(), partner_type);
        self
    }

    /// With a file that the operator grants under this name.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new().file("blocked", "spam.test\n");
    /// assert_eq!(host.within(|| files::text("blocked")).as_deref(), Ok("spam.test\n"));
    /// ```
    #[must_use]
    pub fn file(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.set_file(name, content);
        self
    }

    /// With this time in UTC on the clock, as [`Moment::parse`](crate::clock::Moment::parse) reads it;
    /// without it the test begins in 1970.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new().at("2026-11-22");
    /// assert_eq!(host.within(|| clock::Moment::now().weekday()), clock::Weekday::Sunday);
    /// ```
    ///
    /// # Panics
    /// If it is no time.
    #[must_use]
    #[expect(clippy::panic, reason = "a mistake in the test itself")]
    pub fn at(self, time: &str) -> Self {
        match crate::clock::Moment::parse(time) {
            Ok(moment) => self.world.borrow_mut().began = Duration::from_secs(moment.unix()),
            Err(error) => panic!("{error}"),
        }
        self
    }

    /// Changes a file. As in the gateway, only a plugin that is loaded afterwards sees it; one that reads
    /// its files in `new` does not notice.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new().file("blocked", "");
    /// host.set_file("blocked", "spam.test\n");
    /// assert_eq!(host.within(|| files::text("blocked")).as_deref(), Ok("spam.test\n"));
    /// ```
    pub fn set_file(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        let mut world = self.world.borrow_mut();
        world.files.insert(name.to_owned(), content.into());
    }

    /// Runs code that uses the host's services outside of any plugin, to prepare or look at something.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new();
    /// host.within(|| state::set("greeted", b"yes", None))?;
    /// assert_eq!(host.state_keys(), ["greeted"]);
    /// # Ok::<(), state::StateError>(())
    /// ```
    pub fn within<R>(&mut self, call: impl FnOnce() -> R) -> R {
        let _active = side::activate(&self.world);
        call()
    }

    /// Takes a partner record away, as a change of the configuration does.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new().partner("alpha.test", PartnerType::Federated);
    /// host.forget_partner("alpha.test");
    /// assert_eq!(host.within(|| partners::lookup("alpha.test")), None);
    /// ```
    pub fn forget_partner(&mut self, domain: &str) {
        self.world.borrow_mut().partners.remove(domain);
    }

    /// Makes an instance, as the host does: reads the configuration, calls [`Plugin::new`].
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// // A plugin without configuration:
    /// assert!(Host::new().load::<Doorman>(serde_json::json!({})).is_ok());
    /// let error = Host::new().load::<Doorman>(serde_json::json!({ "key": 1 })).err().unwrap();
    /// assert!(error.contains("unknown field `key`"));
    /// ```
    ///
    /// # Errors
    /// What the operator would read.
    pub fn load<P: Plugin>(&mut self, config: Value) -> Result<P, String> {
        let _active = side::activate(&self.world);
        let config = config::read(&config.to_string())?;
        {
            let mut world = self.world.borrow_mut();
            world.records_only = false;
            world.making = true;
        }
        let made = P::new(config);
        self.world.borrow_mut().making = false;
        made
    }

    /// Calls [`Plugin::started`].
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new();
    /// let mut plugin = host.load::<Doorman>(serde_json::json!({}))?;
    /// host.start(&mut plugin); // It logs a line.
    /// assert_eq!(host.log(), [(log::Level::Info, "at the door".to_owned())]);
    /// # Ok::<(), String>(())
    /// ```
    pub fn start<P: Plugin>(&mut self, plugin: &mut P) {
        let _active = side::activate(&self.world);
        plugin.started();
    }

    /// Lets a domain knock.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let mut host = host();
    /// let mut plugin = host.load::<Doorman>(serde_json::json!({}))?;
    /// let answer = host.knock(&mut plugin, "spam.test", Direction::Inbound);
    /// assert_eq!(answer, Admission::refuse("not you"));
    /// # Ok::<(), String>(())
    /// ```
    pub fn knock<P: Gatekeeper>(
        &mut self,
        plugin: &mut P,
        domain: &str,
        direction: Direction,
    ) -> Admission {
        let _active = side::activate(&self.world);
        let domain = normalized(domain);
        let address = match direction {
            Direction::Inbound => Some("192.0.2.1:40000".to_owned()),
            Direction::Outbound => None,
        };
        plugin.knock(&Knock {
            domain,
            direction,
            address,
        })
    }

    /// Shows a peer that has proven this domain.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new().own("org.test").partner("alpha.test", PartnerType::Federated);
    /// let mut plugin = host.load::<Doorman>(serde_json::json!({}))?;
    /// assert_eq!(host.admit(&mut plugin, "alpha.test", Direction::Inbound), Admission::Allow);
    /// # Ok::<(), String>(())
    /// ```
    pub fn admit<P: Gatekeeper>(
        &mut self,
        plugin: &mut P,
        domain: &str,
        direction: Direction,
    ) -> Admission {
        let _active = side::activate(&self.world);
        let local = self.world.borrow().own.first().cloned().unwrap_or_default();
        plugin.admit(&Peer::owned(side::Peer::new(
            normalized(domain),
            local,
            direction,
        )))
    }

    /// Has a stanza judged. `xml` is one stanza as it stands in a stream of `jabber:server`. Returns
    /// the verdict and the stanza that would go on; if it does not, the stanza as it came. What the
    /// plugin's subscription leaves out passes without a call.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let mut host = host();
    /// let mut plugin = host.load::<Doorman>(serde_json::json!({}))?;
    /// let silent = "<message from='eve@alpha.test' to='a@org.test'/>";
    /// let (verdict, _) = host.decide(&mut plugin, Direction::Inbound, silent);
    /// assert_eq!(verdict.why(), "nothing said");
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Panics
    /// If `xml` is no stanza that the gateway would take, and where the gateway would fail the
    /// plugin.
    pub fn decide<P: Filter>(
        &mut self,
        plugin: &mut P,
        direction: Direction,
        xml: &str,
    ) -> (Verdict, portcullis_xmpp::Stanza) {
        let stanza = stanza::parse(xml);
        let wire = header::pack(&stanza, direction);
        let subscription = plugin.subscription();
        let namespaces = stanza.payloads().map(|(_, namespace)| namespace);
        if !subscription.covers(wire.kind, direction, namespaces) {
            return (Verdict::pass(), stanza);
        }
        let _active = side::activate(&self.world);
        self.world.borrow_mut().memoised = subscription.is_memoised();
        let handle = side::Stanza::new(stanza.clone());
        let verdict = plugin.decide(&Header::from_wire(wire), &mut crate::Stanza::new(&handle));
        self.world.borrow_mut().memoised = false;
        let stanza = if verdict.is_pass() {
            handle.into_inner()
        } else {
            stanza
        };
        (verdict, stanza)
    }

    /// Whether the plugin that was loaded last said [`records_only`](crate::hearing::records_only).
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new();
    /// host.load::<Doorman>(serde_json::json!({}))?;
    /// assert!(!host.hears_records_only());
    /// # Ok::<(), String>(())
    /// ```
    #[must_use]
    pub fn hears_records_only(&self) -> bool {
        self.world.borrow().records_only
    }

    /// Has a batch observed. Without its stanzas, if the plugin that was loaded last said
    /// [`records_only`](crate::hearing::records_only).
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let mut host = host();
    /// let mut plugin = host.load::<Doorman>(serde_json::json!({}))?;
    /// let decision = mock::Decision::new(serde_json::json!({ "verdict": "pass" }));
    /// host.observe(&mut plugin, &[decision])?;
    /// assert_eq!(host.journal(), [r#"{"verdict":"pass"}"#]);
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    /// What the plugin says.
    pub fn observe<P: Observer>(
        &mut self,
        plugin: &mut P,
        batch: &[Decision],
    ) -> Result<(), String> {
        let _active = side::activate(&self.world);
        let mut batch = batch.to_vec();
        if self.world.borrow().records_only {
            batch.iter_mut().for_each(Decision::forget_stanza);
        }
        let batch = side::Decisions::new(batch);
        plugin.observe(&crate::Decision::all(&batch))
    }
}

/// The gateway shows normalised domains only.
#[expect(clippy::panic, reason = "a mistake in the test itself")]
fn normalized(domain: &str) -> String {
    side::domains::normalize(domain).unwrap_or_else(|error| panic!("{domain}: {error}"))
}

#[cfg(test)]
mod tests;
