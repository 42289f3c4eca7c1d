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

/// What a peer understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    /// XMPP 1.0 or later.
    Modern,
    /// Neither features nor TLS nor SASL (RFC 6120 §4.7.5): dialback is all that is left.
    Legacy,
}

/// What the peer says that it understands.
pub(super) fn speech(header: &StreamHeader) -> Speech {
    match header.version {
        Some(version) if version.major >= 1 => Speech::Modern,
        _ => Speech::Legacy,
    }
}

fn present(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

/// The header with which we open a stream. It has no `xml:lang`: that would be the language of each
/// stanza that does not state its own, and we only pass stanzas on.
pub(super) fn initial(from: &Domain, to: &Domain) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' xmlns:db='{}' from='{from}' to='{to}' version='1.0'>",
        ns::SERVER,
        ns::STREAM,
        ns::DIALBACK,
    )
}

/// The header with which we answer. `from` is empty where the peer asked for a domain that is not
/// ours and there is none to show instead (RFC 6120 §4.9.1.3).
pub(super) fn response(
    id: &str,
    from: Option<&Domain>,
    to: Option<&Domain>,
    speech: Speech,
) -> String {
    let version = match speech {
        Speech::Modern => " version='1.0'",
        Speech::Legacy => "",
    };
    let from = from.map_or("", Domain::as_str);
    let to = to.map(|to| format!(" to='{to}'")).unwrap_or_default();
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' xmlns:db='{}' id='{id}' from='{from}'{to}{version} xml:lang='en'>",
        ns::SERVER,
        ns::STREAM,
        ns::DIALBACK,
    )
}
