//! Which authority may mint: one of its own, that cannot sign the organisation's names.

use std::collections::BTreeSet;
use std::path::Path;

use portcullis_xmpp::jid::Domain;
use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, GeneralSubtree, NameConstraints};

use crate::tls::problem::{Problem, Problems};

const REMEDY: &str =
    "`portcullis ca init DIR` makes a mint authority of its own with name constraints";

pub(super) fn key(file: &Path, pem: &[u8]) -> Result<KeyPair, Problem> {
    std::str::from_utf8(pem)
        .map_err(|error| error.to_string())
        .and_then(|pem| KeyPair::from_pem(pem).map_err(|error| error.to_string()))
        .map_err(|error| Problem::error(file, format!("holds no key that can sign: {error}")))
}

/// Whether subject and issuer are the same: a root.
pub(super) fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    x509_parser::parse_x509_certificate(certificate)
        .is_ok_and(|(_, certificate)| certificate.issuer() == certificate.subject())
}

/// All that is wrong with a mint authority. Its warnings are empty: it is fit, or it is not.
pub(super) fn check(
    file: &Path,
    certificate: &CertificateDer<'_>,
    key: &KeyPair,
    own: &BTreeSet<Domain>,
    client_ca: &[CertificateDer<'static>],
    now: OffsetDateTime,
) -> Result<(), Vec<Problem>> {
    let mut problems = Problems::default();
    let (_, parsed) = match x509_parser::parse_x509_certificate(certificate) {
        Ok(parsed) => parsed,
        Err(error) => {
            return Err(vec![Problem::error(
                file,
                format!("is no certificate: {error}"),
            )]);
        }
    };
    let mut refuse = |text: String| problems.push(Problem::error(file, text).with_help(REMEDY));

    if !parsed.is_ca() {
        refuse("the mint certificate is no authority (CA=false)".to_owned());
    }
    if let Ok(Some(usage)) = parsed.key_usage()
        && !usage.value.key_cert_sign()
    {
        refuse("the mint certificate may not sign certificates (key usage)".to_owned());
    }
    if parsed.validity().not_after.to_datetime() <= now {
        refuse(format!(
            "the mint certificate expired on {}",
            parsed.validity().not_after
        ));
    }
    if parsed.public_key().raw != key.subject_public_key_info() {
        refuse("the mint key is not the key of the mint certificate".to_owned());
    }
    if client_ca
        .iter()
        .any(|other| is_same_authority(&parsed, certificate, other))
    {
        refuse(
            "the mint authority is the client_ca too: whoever it signs could enter as an internal server"
                .to_owned(),
        );
    }
    match constraints_of(&parsed) {
        Ok(Some(constraints)) => {
            let open = own
                .iter()
                .filter(|domain| !excludes(constraints, domain))
                .collect::<Vec<_>>();
            for domain in open {
                refuse(format!(
                    "the name constraints of the mint certificate do not exclude {domain}, which is your own"
                ));
            }
        }
        Ok(None) => refuse(
            "the mint certificate has no critical name constraints: it could sign your own names"
                .to_owned(),
        ),
        Err(error) => refuse(format!(
            "the name constraints of the mint certificate cannot be read: {error}"
        )),
    }
    problems.into_result().map(drop)
}

/// The same certificate, or another one for the same key.
fn is_same_authority(
    mint: &X509Certificate<'_>,
    der: &CertificateDer<'_>,
    other: &CertificateDer<'static>,
) -> bool {
    der == other
        || x509_parser::parse_x509_certificate(other)
            .is_ok_and(|(_, other)| other.public_key().raw == mint.public_key().raw)
}

/// The name constraints, if verifiers have to obey them (critical, RFC 5280 §4.2.1.10).
fn constraints_of<'a>(
    certificate: &'a X509Certificate<'a>,
) -> Result<Option<&'a NameConstraints<'a>>, String> {
    let extension = certificate
        .name_constraints()
        .map_err(|error| error.to_string())?;
    Ok(extension
        .filter(|extension| extension.critical)
        .map(|extension| extension.value))
}

/// Whether a certificate for `domain` would violate the constraints: it lies in an excluded
/// subtree, or DNS names are permitted only in subtrees that it does not lie in.
fn excludes(constraints: &NameConstraints<'_>, domain: &Domain) -> bool {
    let excluded = dns_names(constraints.excluded_subtrees.as_deref());
    let permitted = dns_names(constraints.permitted_subtrees.as_deref());
    excluded
        .iter()
        .any(|base| place(base, domain) == Place::Inside)
        || (!permitted.is_empty()
            && permitted
                .iter()
                .all(|base| place(base, domain) == Place::Outside))
}

fn dns_names<'a>(subtrees: Option<&'a [GeneralSubtree<'a>]>) -> Vec<&'a str> {
    subtrees
        .unwrap_or_default()
        .iter()
        .filter_map(|subtree| match &subtree.base {
            GeneralName::DNSName(base) => Some(*base),
            _ => None,
        })
        .collect()
}

#[derive(PartialEq, Eq)]
enum Place {
    Inside,
    Outside,
    /// The name itself under a base with a leading dot: some tools write such bases, and verifiers
    /// disagree about them.
    Disputed,
}

/// RFC 5280 §4.2.1.10: a base holds itself and everything below it.
fn place(base: &str, domain: &Domain) -> Place {
    let base = base.to_ascii_lowercase();
    let name = base.strip_prefix('.').unwrap_or(&base);
    if name.is_empty() {
        return Place::Inside;
    }
    match domain.as_str().strip_suffix(name) {
        Some("") if base.starts_with('.') => Place::Disputed,
        Some(front) if front.is_empty() || front.ends_with('.') => Place::Inside,
        _ => Place::Outside,
    }
}
