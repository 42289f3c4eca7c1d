//! The elements of XEP-0198, which count as no stanzas.

use crate::{error::StanzaCondition, ns, xml::Element};

/// The longest id of a resumable stream, in bytes (XEP-0198 §3).
const ID_BYTES: usize = 4000;

/// What `<resume/>` and `<resumed/>` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumption {
    /// The id that `<enabled/>` gave the stream that was lost.
    pub id: String,
    /// How many stanzas the sender of this has settled of that stream.
    pub handled: u32,
}

/// An element that manages a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nonza {
    /// The peer that opened the stream wants stanzas to be counted.
    Enable {
        /// Whether it wants to be able to take up the stream on another connection; the other side
        /// remembers it for so many seconds at most. None: no resumption.
        resume: Option<Option<u64>>,
    },
    /// The other one agrees.
    Enabled {
        /// The stream can be taken up under this id for so many seconds.
        resume: Option<(String, Option<u64>)>,
    },
    /// The peer that opened the stream wants to take up another one, which was lost.
    Resume(Resumption),
    /// The other one agrees.
    Resumed(Resumption),
    /// The other one does not: to `<enable/>` or `<resume/>`.
    Failed {
        /// Why; `item-not-found` for a stream that is not known any more.
        condition: StanzaCondition,
        /// How many stanzas were settled of the stream that cannot be taken up, if that is known.
        handled: Option<u32>,
    },
    /// Asks for an answer.
    Request,
    /// How many stanzas were settled.
    Answer {
        /// Modulo 2^32.
        handled: u32,
    },
}

impl Nonza {
    /// Reads an element in the namespace of stream management; none if it makes no sense.
    pub(crate) fn of(element: &Element) -> Option<Self> {
        let number = |name: &str| element.attribute(name).and_then(|value| value.parse().ok());
        let handled = || u32::try_from(number("h")?).ok();
        let id = |name: &str| {
            element
                .attribute(name)
                .filter(|id| !id.is_empty() && id.len() <= ID_BYTES)
                .map(str::to_owned)
        };
        let resume = matches!(element.attribute("resume"), Some("true" | "1"));
        let resumption = || {
            Some(Resumption {
                id: id("previd")?,
                handled: handled()?,
            })
        };
        Some(match element.name() {
            "enable" => Self::Enable {
                resume: resume.then(|| number("max")),
            },
            "enabled" => Self::Enabled {
                resume: id("id").filter(|_| resume).map(|id| (id, number("max"))),
            },
            "resume" => Self::Resume(resumption()?),
            "resumed" => Self::Resumed(resumption()?),
            "failed" => Self::Failed {
                condition: element
                    .children()
                    .find(|child| child.ns() == ns::STANZA_ERRORS)
                    .and_then(|child| {
                        StanzaCondition::ALL
                            .into_iter()
                            .find(|condition| condition.as_str() == child.name())
                    })
                    .unwrap_or(StanzaCondition::UndefinedCondition),
                handled: handled(),
            },
            "r" => Self::Request,
            "a" => Self::Answer {
                handled: handled()?,
            },
            _ => return None,
        })
    }

    /// The element.
    pub(crate) fn to_element(&self) -> Element {
        let named = |name: &str| Element::new(ns::MANAGEMENT, name);
        let lasting = |element: Element, seconds: &Option<u64>| match seconds {
            Some(seconds) => element.with_attribute("max", &seconds.to_string()),
            None => element,
        };
        let resumption = |element: Element, resumption: &Resumption| {
            element
                .with_attribute("previd", &resumption.id)
                .with_attribute("h", &resumption.handled.to_string())
        };
        match self {
            Self::Enable { resume: None } => named("enable"),
            Self::Enable {
                resume: Some(seconds),
            } => lasting(named("enable").with_attribute("resume", "true"), seconds),
            Self::Enabled { resume: None } => named("enabled"),
            Self::Enabled {
                resume: Some((id, seconds)),
            } => lasting(
                named("enabled")
                    .with_attribute("resume", "true")
                    .with_attribute("id", id),
                seconds,
            ),
            Self::Resume(what) => resumption(named("resume"), what),
            Self::Resumed(what) => resumption(named("resumed"), what),
            Self::Failed { condition, handled } => {
                let failed =
                    named("failed").with_child(Element::new(ns::STANZA_ERRORS, condition.as_str()));
                match handled {
                    Some(handled) => failed.with_attribute("h", &handled.to_string()),
                    None => failed,
                }
            }
            Self::Request => named("r"),
            Self::Answer { handled } => named("a").with_attribute("h", &handled.to_string()),
        }
    }
}
