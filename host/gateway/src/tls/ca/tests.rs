//! What `ca init` leaves behind, and what it leaves alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::{Identity, Mint, Revocation, Trust};
use crate::tls::revocation::Lists;
use crate::tls::tests::pki::domain;
use crate::tls::{PeerChain, Settings, Side, Tls};

fn plan(servers: &[&[&str]]) -> Plan {
    let servers: Vec<Vec<Domain>> = servers
        .iter()
        .map(|names| names.iter().map(|name| domain(name)).collect())
        .collect();
    Plan {
        domains: servers.iter().flatten().cloned().collect(),
        servers,
    }
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

fn chain(file: &Path) -> PeerChain {
    use rustls::pki_types::pem::PemObject;
    PeerChain::new(&[rustls::pki_types::CertificateDer::from_pem_file(file).unwrap()])
}

#[test]
fn ca_init_makes_all_that_the_inside_needs() {
    let home = tempfile::TempDir::new().unwrap();
    let dir = home.path().join("pki");
    let outcomes = init(
        &dir,
        &plan(&[&["org.test", "conference.org.test"], &["chat.example"]]),
    )
    .unwrap();
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.made && !outcome.purpose.is_empty())
    );
    assert_eq!(outcomes.len(), fs::read_dir(&dir).unwrap().count());
    assert_eq!(mode(&dir), 0o700);
    for outcome in &outcomes {
        let secret = outcome
            .file
            .extension()
            .is_some_and(|extension| extension == "key");
        assert_eq!(
            mode(&outcome.file),
            if secret { 0o600 } else { 0o644 },
            "{:?}",
            outcome.file
        );
    }

    let settings = Settings {
        own_domains: ["org.test", "conference.org.test", "chat.example"]
            .map(domain)
            .into(),
        identities: vec![Identity {
            domains: vec![domain("org.test"), domain("conference.org.test")],
            certificate: dir.join("org.test.pem"),
            key: dir.join("org.test.key"),
        }],
        trust: vec![Trust::File(dir.join("internal-servers-trust.pem"))],
        internal: Identity {
            domains: Vec::new(),
            certificate: dir.join("gateway.pem"),
            key: dir.join("gateway.key"),
        },
        client_ca: dir.join("internal-ca.pem"),
        partner_trust: Vec::new(),
        crls: Vec::new(),
        revocation: Revocation::default(),
        internal_crls: Vec::new(),
        internal_revocation: Revocation::default(),
        mint: Some(Mint {
            ca: dir.join("mint-ca.pem"),
            key: dir.join("mint-ca.key"),
        }),
    };
    let tls = Tls::load(settings).unwrap();
    assert_eq!(tls.warnings(), []);
    let proves = |file: &str, name: &str| {
        tls.judge(Side::Internal, None, &chain(&dir.join(file)), &domain(name))
    };
    proves("org.test.pem", "conference.org.test").unwrap();
    proves("chat.example.pem", "chat.example").unwrap();
    proves("gateway.pem", "gateway.org.test").unwrap();
    proves("chat.example.pem", "org.test").unwrap_err();
}

#[test]
fn the_internal_authority_cannot_speak_for_partners() {
    let authority = Authority::for_inside(&[domain("org.test")]).unwrap();
    let forged = authority.issue(&[domain("alpha.test")]).unwrap();
    let home = tempfile::TempDir::new().unwrap();
    let file = home.path().join("forged.pem");
    fs::write(&file, forged.certificate).unwrap();
    let mut anchors = rustls::RootCertStore::empty();
    let root = home.path().join("root.pem");
    fs::write(&root, authority.certificate()).unwrap();
    use rustls::pki_types::pem::PemObject;
    anchors
        .add(rustls::pki_types::CertificateDer::from_pem_file(&root).unwrap())
        .unwrap();
    let now = rustls::pki_types::UnixTime::now();
    let refusal = chain(&file)
        .proves(&anchors, &Lists::default(), &domain("alpha.test"), now)
        .unwrap_err();
    assert!(refusal.reason().contains("name constraints"), "{refusal}");
}

#[test]
fn ca_init_never_overwrites_and_makes_what_is_missing() {
    let home = tempfile::TempDir::new().unwrap();
    let dir = home.path();
    init(dir, &plan(&[&["org.test"]])).unwrap();
    let before: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|p| (fs::read(&p).unwrap(), p))
        .collect();

    let outcomes = init(dir, &plan(&[&["org.test"], &["b.org.test"]])).unwrap();
    let made: Vec<_> = outcomes
        .iter()
        .filter(|outcome| outcome.made)
        .map(|outcome| &outcome.file)
        .collect();
    assert_eq!(
        made,
        [&dir.join("b.org.test.key"), &dir.join("b.org.test.pem")]
    );
    for (content, file) in before {
        assert_eq!(fs::read(&file).unwrap(), content, "{}", file.display());
    }

    fs::remove_file(dir.join("gateway.key")).unwrap();
    let refusal = init(dir, &plan(&[&["org.test"]])).unwrap_err();
    assert!(matches!(refusal, CaError::HalfAPair { .. }), "{refusal}");
    fs::write(dir.join("mint-ca.pem"), "rubbish").unwrap();
    let refusal = init(dir, &plan(&[&["org.test"]])).unwrap_err();
    assert!(matches!(refusal, CaError::Unusable { .. }), "{refusal}");
}

#[test]
fn without_a_domain_there_is_nothing_to_constrain() {
    let home = tempfile::TempDir::new().unwrap();
    assert!(matches!(
        init(home.path(), &plan(&[])),
        Err(CaError::NoDomain)
    ));
}
