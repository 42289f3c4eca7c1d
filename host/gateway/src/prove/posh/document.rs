//! What a POSH document says (RFC 7711 §3).

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Uri;
use portcullis_xmpp::jid::Domain;
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use sha2::{Digest, Sha256, Sha512};

/// More certificates than any host changes between; a longer list is no list of certificates.
const MOST_FINGERPRINTS: usize = 64;
/// However long a document claims to last, it is asked for again after a day: its owner may have
/// lost the key.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A document that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// The certificates of the servers.
    Fingerprints(Vec<Fingerprint>, Duration),
    /// Where they are instead.
    Elsewhere(Place, Duration),
}

/// An `https` URL whose host can be a partner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: Domain,
    pub(super) port: Option<u16>,
    /// Path and query.
    pub(super) path: String,
}

/// The digests of one certificate. At least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    sha256: Option<Vec<u8>>,
    sha512: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct Raw {
    fingerprints: Option<Vec<HashMap<String, String>>>,
    url: Option<String>,
    expires: u64,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// Why it is not to be used.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let raw: Raw = serde_json::from_slice(bytes)
            .map_err(|error| format!("it is no POSH document: {error}"))?;
        if raw.expires == 0 {
            return Err("it says that it must not be used (expires = 0)".to_owned());
        }
        let lifetime = Duration::from_secs(raw.expires).min(LONGEST);
        match (raw.fingerprints, raw.url) {
            (Some(_), Some(_)) => Err("it has both fingerprints and a URL".to_owned()),
            (None, None) => Err("it has neither fingerprints nor a URL".to_owned()),
            (None, Some(url)) => Ok(Self::Elsewhere(Place::parse(&url)?, lifetime)),
            (Some(all), None) => {
                let known: Vec<_> = (all.iter())
                    .take(MOST_FINGERPRINTS)
                    .filter_map(Fingerprint::of)
                    .collect();
                if known.is_empty() {
                    return Err("it has no fingerprint with sha-256 or sha-512".to_owned());
                }
                Ok(Self::Fingerprints(known, lifetime))
            }
        }
    }
}

impl Place {
    /// Where a domain's own document is, for servers (RFC 7712 §5.2).
    pub(super) fn of(domain: &Domain) -> Self {
        Self {
            host: domain.clone(),
            port: None,
            path: "/.well-known/posh/xmpp-server.json".to_owned(),
        }
    }

    fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url
            .parse()
            .map_err(|_| format!("its URL {url:?} is none"))?;
        if uri.scheme_str() != Some("https") {
            return Err(format!("its URL {url:?} is not https"));
        }
        let Some(authority) = uri.authority().filter(|all| !all.as_str().contains('@')) else {
            return Err(format!("its URL {url:?} has no plain host"));
        };
        let host = Domain::parse(authority.host())
            .map_err(|error| format!("its URL {url:?} has no usable host: {error}"))?;
        if authority.as_str().contains(':') && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(format!("its URL {url:?} has no usable port"));
        }
        Ok(Self {
            host,
            port: authority.port_u16(),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        })
    }
}

impl Fingerprint {
    /// `None` if no digest that is known here is in it. What cannot be read matches nothing.
    fn of(digests: &HashMap<String, String>) -> Option<Self> {
        let digest = |name| {
            let text: &String = digests.get(name)?;
            Some(BASE64_STANDARD.decode(text).unwrap_or_default())
        };
        let (sha256, sha512) = (digest("sha-256"), digest("sha-512"));
        (sha256.is_some() || sha512.is_some()).then_some(Self { sha256, sha512 })
    }

    /// Whether all digests are those of `certificate`.
    pub(super) fn matches(&self, certificate: &CertificateDer<'_>) -> bool {
        let sha256 = || Sha256::digest(certificate).to_vec();
        let sha512 = || Sha512::digest(certificate).to_vec();
        self.sha256.as_ref().is_none_or(|one| *one == sha256())
            && self.sha512.as_ref().is_none_or(|one| *one == sha512())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fingerprints(json: &str) -> Vec<Fingerprint> {
        match Document::parse(json.as_bytes()) {
            Ok(Document::Fingerprints(all, _)) => all,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn posh_01_a_fingerprint_matches_with_all_digests_that_are_known() {
        let certificate = CertificateDer::from(b"certificate".to_vec());
        let sha256 = BASE64_STANDARD.encode(Sha256::digest(&certificate));
        let sha512 = BASE64_STANDARD.encode(Sha512::digest(&certificate));
        let wrong = BASE64_STANDARD.encode([0; 32]);
        let cases = [
            (format!(r#"{{"sha-256":"{sha256}"}}"#), true),
            (format!(r#"{{"sha-512":"{sha512}"}}"#), true),
            (
                format!(r#"{{"sha-256":"{sha256}","sha-512":"{sha512}"}}"#),
                true,
            ),
            (format!(r#"{{"sha-256":"{sha256}","sha-3":"x"}}"#), true),
            (
                format!(r#"{{"sha-256":"{wrong}","sha-512":"{sha512}"}}"#),
                false,
            ),
            (format!(r#"{{"sha-256":"{wrong}"}}"#), false),
            (r#"{"sha-256":"not base64"}"#.to_owned(), false),
            (r#"{"sha-256":""}"#.to_owned(), false),
        ];
        for (one, expected) in cases {
            let json = format!(r#"{{"fingerprints":[{one}],"expires":60}}"#);
            let all = fingerprints(&json);
            assert_eq!(
                all.iter().any(|one| one.matches(&certificate)),
                expected,
                "{json}"
            );
        }
    }

    #[test]
    fn posh_01_documents_that_may_not_be_used_are_refused() {
        let one = r#"[{"sha-256":"AAAA"}]"#;
        let refused = [
            String::new(),
            "[]".to_owned(),
            format!(r#"{{"fingerprints":{one}}}"#),
            format!(r#"{{"fingerprints":{one},"expires":0}}"#),
            format!(r#"{{"fingerprints":{one},"expires":-1}}"#),
            format!(r#"{{"fingerprints":{one},"expires":1.5}}"#),
            format!(r#"{{"fingerprints":{one},"expires":"60"}}"#),
            format!(r#"{{"fingerprints":{one},"expires":60,"expires":70}}"#),
            format!(r#"{{"fingerprints":{one},"url":"https://a.test/","expires":60}}"#),
            r#"{"fingerprints":[],"expires":60}"#.to_owned(),
            r#"{"fingerprints":[{"sha-1":"AAAA"}],"expires":60}"#.to_owned(),
            r#"{"expires":60}"#.to_owned(),
        ];
        for json in refused {
            assert!(Document::parse(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn posh_01_only_https_urls_of_named_hosts_are_followed() {
        let parse =
            |url: &str| Document::parse(format!(r#"{{"url":"{url}","expires":60}}"#).as_bytes());
        let Ok(Document::Elsewhere(place, lifetime)) = parse("https://Host.test:8443/posh?a=b")
        else {
            panic!("not taken")
        };
        assert_eq!(place.host.as_str(), "host.test");
        assert_eq!((place.port, place.path.as_str()), (Some(8443), "/posh?a=b"));
        assert_eq!(lifetime, Duration::from_secs(60));
        let refused = [
            "",
            "/posh.json",
            "http://host.test/",
            "ftp://host.test/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://2130706433/",
            "https://user@host.test/",
            "https://host.test:0/",
            "https://host.test:99999/",
            "https:///posh",
        ];
        for url in refused {
            assert!(parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn posh_01_a_document_lasts_a_day_at_most() {
        let json = format!(r#"{{"url":"https://a.test/","expires":{}}}"#, u64::MAX);
        assert!(
            matches!(Document::parse(json.as_bytes()), Ok(Document::Elsewhere(_, for_)) if for_ == LONGEST)
        );
    }

    proptest! {
        #[test]
        fn posh_01_any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Document::parse(&bytes);
        }

        #[test]
        fn posh_01_any_text_where_a_url_is_expected_leads_to_a_named_host_or_nowhere(text in "(https?://)?[a-z0-9.:@/\\[\\]-]{0,30}") {
            if let Ok(place) = Place::parse(&text) {
                prop_assert!(text.starts_with("https://"));
                prop_assert!(place.path.starts_with('/'));
                prop_assert!(place.host.as_str().parse::<std::net::IpAddr>().is_err());
            }
        }
    }
}
