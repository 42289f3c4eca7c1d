//! DANE: a certificate is good because the DNSSEC of its domain says so (RFC 6698, RFC 7671, RFC
//! 7673; RFC 7712 §5.1 for XMPP).
//!
//! In: a chain, the domain that it is to prove, and the TLSA records that count: those of the server
//! that we connected to, or, for a stream that came in, those of all servers of the domain. Out: a
//! proof, or that DANE has nothing to say here, or a refusal. What can fail: records that no
//! certificate of the chain matches, DNSSEC that is bogus, DNS that does not answer; then nothing
//! else may prove the domain, since who can forge a certificate can also keep an answer back. Not
//! supported: an authority that is neither in the chain nor whole in the record.

mod matching;

use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::jid::Domain;
use rustls::pki_types::UnixTime;
use tokio::time::timeout;

use crate::connect::{Association, Candidate, Dialer, Tlsa, Usage};
use crate::tls::{PeerChain, Unproven};

/// How long the records of a domain that connects in may be looked for: four questions in a row, to
/// servers of which one is silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the TLSA records say about a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dane {
    /// One of them matches.
    Proven,
    /// There are none that count, and DNSSEC has no objection; why. Other proofs are as good as
    /// ever.
    Silent(Arc<str>),
}

/// Judges a chain by DANE. `candidate` is where we connected to; without one, the peer came to us,
/// and what is asked then is asked too where nothing was on the way there.
/// `pkix` says whether PKIX proves a name by this chain, for the records that want both.
///
/// # Errors
/// There are records, or there should be, and they do not prove the domain: whatever else would,
/// must not.
pub(crate) async fn judge(
    dialer: &Dialer,
    chain: &PeerChain,
    domain: &Domain,
    candidate: Option<&Candidate>,
    pkix: impl Fn(&Domain) -> Result<(), Unproven> + Send + Sync,
) -> Result<Dane, Unproven> {
    let known = candidate.map(|candidate| &candidate.tlsa);
    let tlsa = match known.filter(|tlsa| **tlsa != Tlsa::NotAsked) {
        Some(tlsa) => tlsa.clone(),
        None => timeout(PATIENCE, dialer.associations(domain))
            .await
            .map_err(|_| Unproven::new(format!("DNS does not tell the TLSA records of {domain}")))?
            .map_err(|error| Unproven::new(error.to_string()))?,
    };
    match tlsa {
        Tlsa::Records(all) => {
            compare(&all, chain, domain, UnixTime::now(), pkix).map(|()| Dane::Proven)
        }
        Tlsa::Absent(why) => Ok(Dane::Silent(why)),
        Tlsa::NotAsked => Ok(Dane::Silent("no TLSA record was asked for".into())),
    }
}

/// Whether one of the records proves `domain` by `chain`.
fn compare(
    associations: &[Association],
    chain: &PeerChain,
    domain: &Domain,
    now: UnixTime,
    pkix: impl Fn(&Domain) -> Result<(), Unproven>,
) -> Result<(), Unproven> {
    if chain.is_empty() {
        return Err(Unproven::new("no certificate was presented"));
    }
    let mut nearly = None;
    for association in associations {
        match holds(association, chain, domain, now, &pkix) {
            Some(Ok(())) => return Ok(()),
            Some(Err(reason)) => nearly = Some(reason),
            None => {}
        }
    }
    Err(match nearly {
        Some(reason) => Unproven::new(format!(
            "the certificate matches a TLSA record that does not suffice by itself: {reason}"
        )),
        None => Unproven::new(format!(
            "the certificate matches none of the TLSA records of {domain} ({})",
            associations.len()
        )),
    })
}

/// What one record says; nothing if it is about other certificates.
fn holds(
    association: &Association,
    chain: &PeerChain,
    domain: &Domain,
    now: UnixTime,
    pkix: &impl Fn(&Domain) -> Result<(), Unproven>,
) -> Option<Result<(), Unproven>> {
    let end_entity = chain.end_entity()?;
    // RFC 7673 §4: the name of the server counts as much as that of the domain, for secure DNS leads
    // from one to the other.
    let names = || association.host.iter().chain([domain]);
    let by_pkix = || any(names(), pkix);
    let below = |authority| any(names(), |name| chain.proves_below(authority, name, now));
    match association.usage {
        Usage::DaneEe => matching::matches(association, end_entity).then_some(Ok(())),
        Usage::PkixEe => matching::matches(association, end_entity).then(by_pkix),
        Usage::DaneTa => {
            let authority = matching::authority(association, chain)?;
            Some(below(&authority))
        }
        Usage::PkixTa => {
            let authority = matching::authority(association, chain)?;
            Some(by_pkix().and_then(|()| below(&authority)))
        }
    }
}

/// The first name that is proven, or why the last, which is the domain itself, is not.
fn any<'n>(
    names: impl Iterator<Item = &'n Domain>,
    proven: impl Fn(&Domain) -> Result<(), Unproven>,
) -> Result<(), Unproven> {
    let mut last = Err(Unproven::new("there is no name to prove"));
    for name in names {
        last = proven(name);
        if last.is_ok() {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests;
