//! The mock's side of the contract: the same modules, types and functions as the generated imports.

use std::cell::RefCell;
use std::rc::Rc;

use super::Emitted;
use super::world::World;
use crate::{Direction, Subtype};

pub(crate) use super::stanza::Stanza;

thread_local! {
    /// The host whose plugin is being called on this thread.
    static ACTIVE: RefCell<Option<Rc<RefCell<World>>>> = const { RefCell::new(None) };
}

/// Ends the call when it is dropped, in a failed test too.
pub(super) struct Active {
    before: Option<Rc<RefCell<World>>>,
}

pub(super) fn activate(world: &Rc<RefCell<World>>) -> Active {
    Active {
        before: ACTIVE.replace(Some(Rc::clone(world))),
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        ACTIVE.set(self.before.take());
    }
}

#[expect(clippy::panic, reason = "a mistake in the test itself")]
fn world<R>(call: impl FnOnce(&mut World) -> R) -> R {
    ACTIVE.with_borrow(|active| match active {
        Some(world) => call(&mut world.borrow_mut()),
        None => panic!("no host: call the plugin through mock::Host"),
    })
}

/// The other end of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    domain: String,
    local_domain: String,
    direction: Direction,
}

impl Peer {
    pub(super) fn new(domain: String, local_domain: String, direction: Direction) -> Self {
        Self {
            domain,
            local_domain,
            direction,
        }
    }

    pub(crate) fn domain(&self) -> String {
        self.domain.clone()
    }

    pub(crate) fn local_domain(&self) -> String {
        self.local_domain.clone()
    }

    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    pub(crate) fn address(&self) -> Option<String> {
        Some("192.0.2.1:40000".to_owned())
    }

    pub(crate) fn stream_id(&self) -> String {
        "mock-stream".to_owned()
    }

    pub(crate) fn method(&self) -> Option<String> {
        Some("external".to_owned())
    }

    pub(crate) fn tls_version(&self) -> Option<String> {
        Some("TLSv1.3".to_owned())
    }

    pub(crate) fn tls_cipher(&self) -> Option<String> {
        Some("TLS_AES_256_GCM_SHA384".to_owned())
    }

    pub(crate) fn certificate_sha256(&self) -> Option<String> {
        None
    }

    pub(crate) fn certificate(&self) -> Option<Vec<u8>> {
        None
    }
}

/// A batch for an observer.
pub(crate) struct Decisions(Vec<super::Decision>);

impl Decisions {
    pub(super) fn new(batch: Vec<super::Decision>) -> Self {
        Self(batch)
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn json(&self, index: u32) -> String {
        self.at(index).json.to_string()
    }

    pub(crate) fn partner(&self, index: u32) -> String {
        self.text(index, "partner").to_owned()
    }

    pub(crate) fn direction(&self, index: u32) -> Direction {
        match self.text(index, "direction") {
            "outbound" => Direction::Outbound,
            _ => Direction::Inbound,
        }
    }

    pub(crate) fn body(&self, index: u32) -> Option<String> {
        self.at(index).body.clone()
    }

    pub(crate) fn xml(&self, index: u32) -> Option<String> {
        self.at(index).xml.clone()
    }

    fn text(&self, index: u32, key: &str) -> &str {
        self.at(index)
            .json
            .get(key)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "as the gateway: a wrong index fails the plugin"
    )]
    fn at(&self, index: u32) -> &super::Decision {
        &self.0[index as usize]
    }
}

pub(crate) mod domains {
    use super::world;

    pub(crate) fn normalize(domain: &str) -> Result<String, String> {
        portcullis_xmpp::Domain::parse(domain)
            .map(|domain| domain.to_string())
            .map_err(|error| error.to_string())
    }

    pub(crate) fn is_own(domain: &str) -> bool {
        world(|world| world.is_own(domain))
    }
}

pub(crate) mod addresses {
    pub(crate) fn normalize(address: &str) -> Result<String, String> {
        portcullis_xmpp::Jid::parse(address)
            .map(|address| address.to_normal())
            .map_err(|error| error.to_string())
    }
}

pub(crate) mod clock {
    use std::time::Duration;

    use super::world;

    pub(crate) fn now() -> Duration {
        world(|world| world.began + world.now)
    }
}

pub(crate) mod files {
    use super::world;
    pub(crate) use crate::bindings::base::portcullis::policy::files::FileError;

    pub(crate) fn read(name: &str) -> Result<Vec<u8>, FileError> {
        world(|world| {
            world.files.get(name).cloned().ok_or_else(|| {
                let granted: Vec<_> = world.files.keys().map(String::as_str).collect();
                FileError::NotGranted(match granted.as_slice() {
                    [] => "[plugin.files] names no file".to_owned(),
                    names => format!("[plugin.files] names {}", names.join(", ")),
                })
            })
        })
    }

    pub(crate) fn names() -> Vec<String> {
        world(|world| world.files.keys().cloned().collect())
    }
}

pub(crate) mod partners {
    use super::world;
    use crate::PartnerType;

    pub(crate) fn lookup(domain: &str) -> Option<PartnerType> {
        world(|world| world.partners.get(domain).copied())
    }
}

pub(crate) mod log {
    use super::world;
    use crate::log::Level;

    pub(crate) fn write(level: Level, message: &str) {
        world(|world| world.log.push((level, message.to_owned())));
    }
}

pub(crate) mod hearing {
    use super::world;

    pub(crate) fn records_only() {
        world(|world| world.hears_records_only());
    }
}

pub(crate) mod journal {
    use super::world;
    pub(crate) use crate::journal::JournalError;

    /// The longest line in bytes (`wit/policy.wit`, interface `journal`).
    const LINE_BYTES: usize = 1024 * 1024;

    /// As the host counts it.
    pub(crate) struct CutShort {
        pub(crate) appended: u32,
        pub(crate) error: JournalError,
    }

    pub(crate) fn append_decisions(
        batch: &super::Decisions,
        first: u32,
        count: u32,
    ) -> Result<(), CutShort> {
        for appended in 0..count {
            append(&batch.json(first + appended)).map_err(|error| CutShort { appended, error })?;
        }
        Ok(())
    }

    pub(crate) fn append(line: &str) -> Result<(), JournalError> {
        world(|world| {
            if let Some(error) = &world.journal_error {
                return Err(error.clone());
            }
            if line.len() > LINE_BYTES || line.contains(['\r', '\n']) {
                return Err(JournalError::Malformed(
                    "too long, or more than one line".to_owned(),
                ));
            }
            match serde_json::from_str(line) {
                Ok(serde_json::Value::Object(_)) => world.journal.push(line.to_owned()),
                _ => return Err(JournalError::Malformed("no JSON object".to_owned())),
            }
            Ok(())
        })
    }
}

pub(crate) mod emit {
    use super::{Emitted, Subtype, World, world};
    use portcullis_xmpp::Jid;

    pub(crate) fn unavailable(from: &str, to: &str) -> Result<(), String> {
        send(Subtype::Unavailable, from, to)
    }

    pub(crate) fn unsubscribed(from: &str, to: &str) -> Result<(), String> {
        let bare = |address: &str| address.split('/').next().unwrap_or_default().to_owned();
        send(Subtype::Unsubscribed, &bare(from), &bare(to))
    }

    fn send(subtype: Subtype, from: &str, to: &str) -> Result<(), String> {
        world(|world| {
            if own(world, from)? == own(world, to)? {
                return Err("exactly one address must be the organisation's".to_owned());
            }
            world.emitted.push(Emitted {
                subtype,
                from: from.to_owned(),
                to: to.to_owned(),
            });
            Ok(())
        })
    }

    fn own(world: &World, address: &str) -> Result<bool, String> {
        let jid = Jid::parse(address).map_err(|error| format!("{address}: {error}"))?;
        Ok(world.is_own(jid.domain().as_str()))
    }
}

pub(crate) mod state {
    use super::{World, world};
    pub(crate) use crate::state::StateError;

    pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, StateError> {
        with(|world| Ok(world.get(key)))
    }

    pub(crate) fn set(key: &str, value: &[u8], ttl: Option<u64>) -> Result<(), StateError> {
        with(|world| world.set(key, value.to_vec(), ttl))
    }

    pub(crate) fn set_if_absent(
        key: &str,
        value: &[u8],
        ttl: Option<u64>,
    ) -> Result<bool, StateError> {
        with(|world| match world.get(key) {
            Some(_) => Ok(false),
            None => world.set(key, value.to_vec(), ttl).map(|()| true),
        })
    }

    pub(crate) fn increment(key: &str, by: i64, ttl: Option<u64>) -> Result<i64, StateError> {
        with(|world| world.increment(key, by, ttl))
    }

    pub(crate) fn delete(key: &str) -> Result<bool, StateError> {
        with(|world| Ok(world.delete(key)))
    }

    pub(crate) fn keys(
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, StateError> {
        with(|world| {
            Ok(world
                .live_keys()
                .into_iter()
                .filter(|key| {
                    key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)
                })
                .take(limit.clamp(1, 1000) as usize)
                .collect())
        })
    }

    #[expect(
        clippy::panic,
        reason = "as the gateway: a plugin that breaks its word fails"
    )]
    fn with<R>(call: impl FnOnce(&mut World) -> Result<R, StateError>) -> Result<R, StateError> {
        world(|world| {
            if world.memoised {
                panic!("a filter that declares a memo uses state");
            }
            match &world.state_error {
                Some(error) => Err(error.clone()),
                None => call(world),
            }
        })
    }
}
