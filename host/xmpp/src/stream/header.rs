//! Stream headers (RFC 6120 §4.7): ours written, the peer's judged.

use crate::{
    error::{StreamCondition, StreamError},
    frame::StreamHeader,
    jid::Domain,
    ns,
};

/// What an initiator's header says of the two ends. Nothing of it is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) from: Option<Domain>,
    pub(super) to: Domain,
}

impl Claim {
    /// Reads an initiator's header. An empty address counts as none (RFC 6120 §4.7.1, §4.7.2: both
    /// may be missing before TLS, from old servers).
    pub(super) fn of(header: &StreamHeader) -> Result<Self, StreamError> {
        let from = match present(header.from.as_deref()).map(Domain::parse) {
            None => None,
            Some(Ok(from)) => Some(from),
            Some(Err(_)) => {
                return Err(StreamError::new(StreamCondition::ImproperAddressing)
                    .with_text("the header's 'from' is no domain"));
            }
        };
        let Some(Ok(to)) = present(header.to.as_deref()).map(Domain::parse) else {
            return Err(StreamError::new(StreamCondition::HostUnknown)
                .with_text("the header's 'to' is missing or no domain"));
        };
        if from.as_ref() == Some(&to) {
            return Err(StreamError::new(StreamCondition::InvalidFrom)
                .with_text("the header's 'from' and 'to' are the same domain"));
        }
        Ok(Self { from, to })
    }
}

/// The domain that a header comes from, if it says one.
pub(super) fn sender(header: &StreamHeader) -> Option<Domain> {
    present(header.from.as_deref()).and_then(|from| Domain::parse(from).ok())
}

/// Whether the peer speaks XMPP 1.0 or later: without that it has neither features nor TLS nor SASL
/// (RFC 6120 §4.7.5).
pub(super) fn is_modern(header: &StreamHeader) -> bool {
    header.version.is_some_and(|version| version.major >= 1)
}

fn present(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

/// The header with which we open a stream. It has no `xml:lang`: that would be the language of each
/// stanza that does not state its own, and we only pass stanzas on.
pub(super) fn initial(from: &Domain, to: &Domain) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' from='{from}' to='{to}' version='1.0'>",
        ns::SERVER,
        ns::STREAM,
    )
}

/// The header with which we answer. `from` is empty where the peer asked for a domain that is not
/// ours and there is none to show instead (RFC 6120 §4.9.1.3).
pub(super) fn response(id: &str, from: Option<&Domain>, to: Option<&Domain>) -> String {
    let from = from.map_or("", Domain::as_str);
    let to = to.map(|to| format!(" to='{to}'")).unwrap_or_default();
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' id='{id}' from='{from}'{to} version='1.0' xml:lang='en'>",
        ns::SERVER,
        ns::STREAM,
    )
}
