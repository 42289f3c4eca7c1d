//! What an author implements: [`Plugin`] always, and one trait per capability.

use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::bindings::base::portcullis::policy::types;
use crate::{Admission, Decision, Direction, Header, Kind, Knock, Peer, Stanza, Verdict};

/// What every plugin has: a configuration and a beginning.
///
/// ```
/// use portcullis_plugin::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     /// How often somebody may knock.
///     rate: Rate,
/// }
///
/// struct Patient(RateLimit);
///
/// impl Plugin for Patient {
///     type Config = Config;
///
///     fn new(config: Config) -> Result<Self, String> {
///         Ok(Self(RateLimit::new("knocks", config.rate)))
///     }
/// }
/// ```
pub trait Plugin: Sized + 'static {
    /// The plugin's `[plugin.config]`. With `#[serde(deny_unknown_fields)]` a misspelt key is an
    /// error that names the key and lists the known ones. Derive `JsonSchema` beside `Deserialize`: the
    /// component then carries the schema, its doc comments included, and `portcullis check` shows a
    /// mistake in the operator's own file. [`NoConfig`](crate::NoConfig) if there is nothing to
    /// configure.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// #[derive(Deserialize, JsonSchema)]
    /// #[serde(deny_unknown_fields)]
    /// struct Config {
    ///     /// Whom to let in.
    ///     allow: Vec<DomainPattern>,
    /// }
    /// ```
    type Config: DeserializeOwned + JsonSchema;

    /// Called once per instance, before anything else. An error refuses the whole configuration and
    /// is shown to the operator: name the key and the way out.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// # #[derive(Deserialize, JsonSchema)]
    /// # struct Config { allow: Vec<DomainPattern> }
    /// # struct X(Vec<DomainPattern>);
    /// # impl Plugin for X {
    /// #     type Config = Config;
    /// fn new(config: Config) -> Result<Self, String> {
    ///     if config.allow.is_empty() {
    ///         return Err("`allow` is empty: name a domain, or `*`".to_owned());
    ///     }
    ///     Ok(Self(config.allow))
    /// }
    /// # }
    /// # let error = portcullis_plugin::mock::Host::new().load::<X>(serde_json::json!({ "allow": [] }));
    /// # assert!(error.err().unwrap().starts_with("`allow` is empty"));
    /// ```
    ///
    /// # Errors
    /// Whatever the plugin cannot work with.
    fn new(config: Self::Config) -> Result<Self, String>;

    /// Which stanzas a [`Filter`] wants to see. What is outside is never passed to the plugin and
    /// counts as passed. Default: everything, remembering nothing.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// # struct X;
    /// # impl Plugin for X {
    /// #     type Config = NoConfig;
    /// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
    /// fn subscription(&self) -> Subscription {
    ///     Subscription::everything().kinds([Kind::Message])
    /// }
    /// # }
    /// ```
    fn subscription(&self) -> Subscription {
        Subscription::everything()
    }

    /// Called on one instance when the configuration has taken effect, at start and after a reload:
    /// the place to act on what has changed. [`state`](crate::state) and [`emit`](crate::emit) work.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// # struct X;
    /// # impl Plugin for X {
    /// #     type Config = NoConfig;
    /// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
    /// fn started(&mut self) {
    ///     log::info!("{} files are granted", files::names().len());
    /// }
    /// # }
    /// # let mut host = portcullis_plugin::mock::Host::new();
    /// # host.start(&mut X);
    /// # assert_eq!(host.log().len(), 1);
    /// ```
    fn started(&mut self) {}
}

/// May this stream exist? A stream exists if no gatekeeper refuses it, and a partner record names the
/// domain or at least one gatekeeper allows it.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # struct X;
/// # impl Plugin for X {
/// #     type Config = NoConfig;
/// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
/// # }
/// impl Gatekeeper for X {
///     fn knock(&mut self, knock: &Knock) -> Admission {
///         match partners::lookup(&knock.domain) {
///             Some(_) => Admission::Allow,
///             None => Admission::refuse("partners only"),
///         }
///     }
/// }
/// # assert_eq!(host().knock(&mut X, "alpha.test", Direction::Inbound), Admission::Allow);
/// ```
pub trait Gatekeeper: Plugin {
    /// Asked before DNS, TLS or any stanza. The domain is not proven yet.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # struct X;
    /// # impl Plugin for X {
    /// #     type Config = NoConfig;
    /// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
    /// # }
    /// # impl Gatekeeper for X {
    /// fn knock(&mut self, knock: &Knock) -> Admission {
    ///     if knock.domain.ends_with(".spam.test") {
    ///         return Admission::refuse("not you");
    ///     }
    ///     Admission::Abstain
    /// }
    /// # }
    /// # let refused = host().knock(&mut X, "a.spam.test", Direction::Inbound);
    /// # assert_eq!(refused, Admission::refuse("not you"));
    /// ```
    fn knock(&mut self, knock: &Knock) -> Admission;

    /// Asked once per pair of domains, after authentication and before the first stanza. Default: no
    /// opinion, so what [`knock`](Self::knock) said stands.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # struct X;
    /// # impl Plugin for X {
    /// #     type Config = NoConfig;
    /// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
    /// # }
    /// # impl Gatekeeper for X {
    /// #     fn knock(&mut self, _: &Knock) -> Admission { Admission::Abstain }
    /// fn admit(&mut self, peer: &Peer) -> Admission {
    ///     match peer.tls_version().as_deref() {
    ///         Some("TLSv1.3") => Admission::Allow,
    ///         _ => Admission::refuse("TLS 1.3 only"),
    ///     }
    /// }
    /// # }
    /// # assert_eq!(host().admit(&mut X, "alpha.test", Direction::Inbound), Admission::Allow);
    /// ```
    fn admit(&mut self, peer: &Peer) -> Admission {
        let _ = peer;
        Admission::Abstain
    }
}

/// May this stanza pass, and as what?
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # struct X;
/// # impl Plugin for X {
/// #     type Config = NoConfig;
/// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
/// # }
/// impl Filter for X {
///     fn decide(&mut self, header: &Header, _: &mut Stanza) -> Verdict {
///         match header.subtype() {
///             Subtype::Groupchat => Verdict::reject(Condition::NotAllowed).text("no rooms here"),
///             _ => Verdict::pass(),
///         }
///     }
/// }
/// # let xml = "<message from='a@alpha.test' to='a@org.test' type='groupchat'/>";
/// # assert!(host().decide(&mut X, Direction::Inbound, xml).0.is_reject());
/// ```
pub trait Filter: Plugin {
    /// Called for each stanza that the subscription covers, in the order of its stream. Edits are
    /// made through `stanza` and hold if the verdict is to pass.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # struct X;
    /// # impl Plugin for X {
    /// #     type Config = NoConfig;
    /// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
    /// # }
    /// # impl Filter for X {
    /// fn decide(&mut self, _: &Header, stanza: &mut Stanza) -> Verdict {
    ///     match stanza.strip("urn:example:secret") {
    ///         Ok(_) => Verdict::pass(),
    ///         Err(error) => Verdict::drop(error.message()),
    ///     }
    /// }
    /// # }
    /// # let xml = "<message from='a@alpha.test' to='a@org.test'><x xmlns='urn:example:secret'/></message>";
    /// # assert_eq!(host().decide(&mut X, Direction::Inbound, xml).1.count("", ""), 0);
    /// ```
    fn decide(&mut self, header: &Header, stanza: &mut Stanza) -> Verdict;
}

/// What was decided?
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # struct X;
/// # impl Plugin for X {
/// #     type Config = NoConfig;
/// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
/// # }
/// impl Observer for X {
///     fn observe(&mut self, batch: &[Decision]) -> Result<(), String> {
///         log::debug!("{} decisions", batch.len());
///         Ok(())
///     }
/// }
/// # let decision = mock::Decision::new(serde_json::json!({}));
/// # assert_eq!(host().observe(&mut X, &[decision]), Ok(()));
/// ```
pub trait Observer: Plugin {
    /// Called with 1 to 256 decisions in the order in which they fell, always on the same instance.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # struct X;
    /// # impl Plugin for X {
    /// #     type Config = NoConfig;
    /// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
    /// # }
    /// # impl Observer for X {
    /// fn observe(&mut self, batch: &[Decision]) -> Result<(), String> {
    ///     for decision in batch {
    ///         journal::append(&decision.json()).map_err(|error| error.to_string())?;
    ///     }
    ///     Ok(())
    /// }
    /// # }
    /// # let mut host = host();
    /// # host.observe(&mut X, &[mock::Decision::new(serde_json::json!({}))])?;
    /// # assert_eq!(host.journal(), ["{}"]);
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    /// The text goes to the log; the host offers the same batch again (see `on_failure`).
    fn observe(&mut self, batch: &[Decision]) -> Result<(), String>;
}

/// Which stanzas a filter wants to see.
///
/// ```
/// use portcullis_plugin::prelude::*;
/// let presence_out = Subscription::everything()
///     .kinds([Kind::Presence])
///     .directions([Direction::Outbound]);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Subscription(types::Subscription);

impl Subscription {
    /// All kinds, both directions, all payloads; every stanza is judged.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// assert!(is_shown(Subscription::everything(), "<message from='e@alpha.test' to='a@org.test'/>"));
    /// ```
    pub fn everything() -> Self {
        Self(types::Subscription {
            kinds: types::Kinds::MESSAGE | types::Kinds::PRESENCE | types::Kinds::IQ,
            directions: types::Directions::INBOUND | types::Directions::OUTBOUND,
            payloads: Vec::new(),
            memo_ms: None,
        })
    }

    /// Only these kinds.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let talk = Subscription::everything().kinds([Kind::Message]);
    /// assert!(!is_shown(talk, "<presence from='e@alpha.test' to='a@org.test'/>"));
    /// ```
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.0.kinds = kinds
            .into_iter()
            .fold(types::Kinds::empty(), |set, kind| set | flag_of_kind(kind));
        self
    }

    /// Only these directions.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let leaving = Subscription::everything().directions([Direction::Outbound]);
    /// // A stanza that arrives:
    /// assert!(!is_shown(leaving, "<message from='e@alpha.test' to='a@org.test'/>"));
    /// ```
    pub fn directions(mut self, directions: impl IntoIterator<Item = Direction>) -> Self {
        self.0.directions = directions
            .into_iter()
            .fold(types::Directions::empty(), |set, direction| {
                set | flag_of_direction(direction)
            });
        self
    }

    /// Only stanzas with a direct child in one of these namespaces. An empty list means all.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let receipts = Subscription::everything().payloads(["urn:xmpp:receipts"]);
    /// assert!(!is_shown(receipts, "<message from='e@alpha.test' to='a@org.test'/>"));
    /// ```
    pub fn payloads<S: Into<String>>(mut self, namespaces: impl IntoIterator<Item = S>) -> Self {
        self.0.payloads = namespaces.into_iter().map(Into::into).collect();
        self
    }

    /// The verdict depends on kind, direction and the two domains alone, and one without edits may be
    /// remembered for so long (whole milliseconds, at most 49 days). A filter that says so and reads
    /// [`state`](crate::state) fails.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let remembered = Subscription::everything().memo(std::time::Duration::from_secs(60));
    /// ```
    pub fn memo(mut self, lifetime: Duration) -> Self {
        self.0.memo_ms = Some(u32::try_from(lifetime.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// What the host is told.
    #[cfg(target_family = "wasm")]
    pub(crate) fn into_wire(self) -> types::Subscription {
        self.0
    }

    /// Whether the host would show this stanza to the plugin.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn covers<'a>(
        &self,
        kind: Kind,
        direction: Direction,
        mut namespaces: impl Iterator<Item = &'a str>,
    ) -> bool {
        (self.0.kinds & flag_of_kind(kind)) == flag_of_kind(kind)
            && (self.0.directions & flag_of_direction(direction)) == flag_of_direction(direction)
            && (self.0.payloads.is_empty()
                || namespaces.any(|one| self.0.payloads.iter().any(|wanted| wanted == one)))
    }

    /// Whether verdicts may be remembered.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn is_memoised(&self) -> bool {
        self.0.memo_ms.is_some()
    }
}

fn flag_of_kind(kind: Kind) -> types::Kinds {
    match kind {
        Kind::Message => types::Kinds::MESSAGE,
        Kind::Presence => types::Kinds::PRESENCE,
        Kind::Iq => types::Kinds::IQ,
    }
}

fn flag_of_direction(direction: Direction) -> types::Directions {
    match direction {
        Direction::Inbound => types::Directions::INBOUND,
        Direction::Outbound => types::Directions::OUTBOUND,
    }
}
