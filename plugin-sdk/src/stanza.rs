//! The stanza under judgement: what a plugin may read of it, and how it may change it.
//!
//! Each call asks the host (about a microsecond), so look at the [`Header`](crate::Header) first. An
//! edit is made in full or not at all; it holds only if the verdict is to pass.

mod edit;

use crate::{Peer, host};

/// The stanza under judgement. Names and namespaces are compared exactly; in a pattern an empty name
/// or namespace means any. The elements of RFC 6121 (`body`, `show`, ...) are in [`Stanza::XMPP`].
///
/// In the examples of its methods `arrives` shows a stanza to a filter that lets it pass, and returns what
/// goes on.
///
/// ```
/// use portcullis_plugin::prelude::*;
/// # struct X;
/// # impl Plugin for X {
/// #     type Config = NoConfig;
/// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
/// # }
/// impl Filter for X {
///     fn decide(&mut self, header: &Header, stanza: &mut Stanza) -> Verdict {
///         // Reading.
///         assert_eq!(stanza.body().as_deref(), Some("Hi"));
///         assert_eq!(stanza.bodies().len(), 2);
///         assert_eq!(stanza.attribute("type").as_deref(), Some("chat"));
///         assert_eq!(stanza.count("body", Stanza::XMPP), 2);
///         assert!(stanza.has_payload("urn:x") && stanza.contains("y", "urn:x"));
///         assert_eq!(stanza.child_attribute("x", "urn:x", "a").as_deref(), Some("1"));
///         assert_eq!(stanza.child_text("subject", Stanza::XMPP).as_deref(), Some("S"));
///         assert!(stanza.child_xml("x", "urn:x").is_some_and(|xml| xml.starts_with("<x")));
///         assert_eq!(stanza.attributes(&[("x", "urn:x"), ("y", "")], "b"), ["2"]);
///         let french = Text { lang: Some("fr".into()), text: "Salut".into() };
///         assert!(stanza.texts(&[("body", "")]).contains(&french));
///         assert!(stanza.size() < 1000 && stanza.xml().starts_with("<message"));
///         assert_eq!(stanza.peer().domain(), header.partner());
///
///         // Changing.
///         let mut edit = || -> Result<(), EditError> {
///             stanza.strip("urn:x")?;
///             stanza.remove("subject", "")?;
///             stanza.retain(&[("body", Stanza::XMPP)])?;
///             stanza.set_text("body", Stanza::XMPP, "Hello")?;
///             stanza.inject(&Element::new("label", "urn:example:label").text("outside"))?;
///             stanza.insert("<mark xmlns='urn:example:mark'/>")?;
///             stanza.set_child_attribute("mark", "", "by", "X")?;
///             stanza.set_subtype(Subtype::Normal)
///         };
///         match edit() {
///             Ok(()) => Verdict::pass(),
///             Err(error) => Verdict::drop(error.message()),
///         }
///     }
/// }
/// # #[cfg(not(target_family = "wasm"))] {
/// # let mut host = portcullis_plugin::mock::Host::new().own("org.test");
/// # let mut plugin = host.load::<X>(serde_json::json!({}))?;
/// let (verdict, passed) = host.decide(
///     &mut plugin,
///     Direction::Inbound,
///         "<message from='e@alpha.test' to='a@org.test' type='chat'><subject>S</subject><body>Hi</body>\
///                  <body xml:lang='fr'>Salut</body><x xmlns='urn:x' a='1'><y b='2'/></x></message>",
///     );
/// assert!(verdict.is_pass(), "{verdict:?}");
/// let names: Vec<_> = passed.payloads().map(|(name, _)| name).collect();
/// assert_eq!(names, ["body", "body", "label", "mark"]);
/// assert_eq!(passed.body().as_deref(), Some("Hello"));
/// # }
/// # Ok::<(), String>(())
/// ```
pub struct Stanza<'a> {
    handle: &'a host::Stanza,
}

impl<'a> Stanza<'a> {
    /// The namespace of a stanza and of the elements that RFC 6120 and RFC 6121 define in it.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='e@alpha.test' to='a@org.test'><body>Hi</body></message>");
    /// assert!(header.has_payload(Stanza::XMPP));
    /// ```
    pub const XMPP: &'static str = "jabber:server";

    pub(crate) fn new(handle: &'a host::Stanza) -> Self {
        Self { handle }
    }

    /// The whole stanza as it would be sent now, edits included.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'/>";
    /// arrives(arrived, |stanza| assert!(stanza.xml().starts_with("<message")));
    /// ```
    #[must_use]
    pub fn xml(&self) -> String {
        self.handle.xml()
    }

    /// Its size in bytes when it arrived.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'/>";
    /// arrives(arrived, |stanza| assert_eq!(stanza.size(), 46));
    /// ```
    #[must_use]
    pub fn size(&self) -> u32 {
        self.handle.size()
    }

    /// The text of a message's first `<body/>`.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'><body>Hi</body></message>";
    /// arrives(arrived, |stanza| assert_eq!(stanza.body().as_deref(), Some("Hi")));
    /// ```
    #[must_use]
    pub fn body(&self) -> Option<String> {
        self.handle.body()
    }

    /// All texts of a message's bodies, in every language. What must not be overlooked has to be looked for
    /// in all of them: [`body`](Self::body) is the first only.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'>\
    ///      <body>Hi</body><body xml:lang='fr'>Salut</body></message>";
    /// arrives(arrived, |stanza| assert!(stanza.bodies().iter().any(|body| body.text == "Salut")));
    /// ```
    #[must_use]
    pub fn bodies(&self) -> Vec<Text> {
        self.texts(&[("body", Self::XMPP)])
    }

    /// An attribute of the stanza element that is in no namespace.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test' type='chat'/>";
    /// arrives(arrived, |stanza| assert_eq!(stanza.attribute("type").as_deref(), Some("chat")));
    /// ```
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        self.handle.attribute(name)
    }

    /// Whether there is a direct child in this namespace; unlike
    /// [`Header::has_payload`](crate::Header::has_payload) among all of them.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'><x xmlns='urn:x'/></message>";
    /// arrives(arrived, |stanza| assert!(stanza.has_payload("urn:x")));
    /// ```
    #[must_use]
    pub fn has_payload(&self, namespace: &str) -> bool {
        self.count("", namespace) > 0
    }

    /// How many direct children match.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'><body/><x xmlns='urn:x'/></message>";
    /// arrives(arrived, |stanza| assert_eq!((stanza.count("", ""), stanza.count("x", "")), (2, 1)));
    /// ```
    #[must_use]
    pub fn count(&self, name: &str, namespace: &str) -> u32 {
        self.handle.count(name, namespace)
    }

    /// The text of the first direct child that matches.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'><subject>S</subject></message>";
    /// arrives(arrived, |stanza| assert_eq!(stanza.child_text("subject", Stanza::XMPP), Some("S".into())));
    /// ```
    #[must_use]
    pub fn child_text(&self, name: &str, namespace: &str) -> Option<String> {
        self.handle.child_text(name, namespace)
    }

    /// An attribute (in no namespace) of the first direct child that matches.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'><x xmlns='urn:x' a='1'/></message>";
    /// arrives(arrived, |stanza| assert_eq!(stanza.child_attribute("x", "urn:x", "a"), Some("1".into())));
    /// ```
    #[must_use]
    pub fn child_attribute(&self, name: &str, namespace: &str, attribute: &str) -> Option<String> {
        self.handle.child_attribute(name, namespace, attribute)
    }

    /// The first direct child that matches, as XML.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'><x xmlns='urn:x'/></message>";
    /// arrives(arrived, |stanza| assert!(stanza.child_xml("x", "urn:x").unwrap().starts_with("<x")));
    /// ```
    #[must_use]
    pub fn child_xml(&self, name: &str, namespace: &str) -> Option<String> {
        self.handle.child_xml(name, namespace)
    }

    /// Whether an element that matches exists anywhere below the stanza element.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'><x xmlns='urn:x'><y/></x></message>";
    /// arrives(arrived, |stanza| assert!(stanza.contains("y", "urn:x")));
    /// ```
    #[must_use]
    pub fn contains(&self, name: &str, namespace: &str) -> bool {
        self.handle.contains(name, namespace)
    }

    /// Every text that a path reaches, in document order, with its language. A path is (name, namespace)
    /// of a direct child, then of a child of it, and so on; the empty path is the stanza itself. A text is
    /// all that stands inside its element, at any depth.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'><x xmlns='urn:x'><y>1</y></x></message>";
    /// arrives(arrived, |stanza| assert_eq!(stanza.texts(&[("x", "urn:x"), ("y", "")])[0].text, "1"));
    /// ```
    #[must_use]
    pub fn texts(&self, path: &[(&str, &str)]) -> Vec<Text> {
        let texts = self.handle.texts(&owned(path)).into_iter();
        let text = |(lang, text): (String, String)| Text {
            lang: Some(lang).filter(|lang| !lang.is_empty()),
            text,
        };
        texts.map(text).collect()
    }

    /// An attribute (in no namespace) of every element that a path reaches and that has it.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'><x xmlns='urn:x' a='1'/></message>";
    /// arrives(arrived, |stanza| assert_eq!(stanza.attributes(&[("x", "")], "a"), ["1"]));
    /// ```
    #[must_use]
    pub fn attributes(&self, path: &[(&str, &str)], attribute: &str) -> Vec<String> {
        self.handle.attributes(&owned(path), attribute)
    }

    /// The authenticated sender of the stream that the stanza came on.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'/>";
    /// arrives(arrived, |stanza| assert_eq!(stanza.peer().domain(), "alpha.test"));
    /// ```
    #[must_use]
    pub fn peer(&self) -> Peer<'static> {
        Peer::owned(self.handle.peer())
    }
}

/// A text of a stanza.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// let arrived = "<message from='e@alpha.test' to='a@org.test'><body xml:lang='fr'>Salut</body></message>";
/// let french = Text { lang: Some("fr".into()), text: "Salut".into() };
/// arrives(arrived, move |stanza| assert_eq!(stanza.bodies(), [french]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Its `xml:lang`, its own or inherited.
    pub lang: Option<String>,
    /// What a reader sees.
    pub text: String,
}

fn owned(path: &[(&str, &str)]) -> Vec<(String, String)> {
    path.iter()
        .map(|(name, namespace)| ((*name).to_owned(), (*namespace).to_owned()))
        .collect()
}
