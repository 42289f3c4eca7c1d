//! Files that change while the gateway runs, and files that are wrong from the start.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustls::pki_types::UnixTime;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::handshakes::{handshake, shown, to};
use super::pki::{self, Ca, House, domain, write};
use crate::config::{Identity, Trust};
use crate::tls::revocation::Lists;
use crate::tls::{Problem, Severity, Side, Tls};

async fn outer_certificate(tls: &Tls) -> rustls::pki_types::CertificateDer<'static> {
    let client = pki::client(None, &[]);
    let (served, connected) = handshake(tls, Side::Federation, to("org.test"), client, None).await;
    served.unwrap();
    shown(connected)
}

fn texts(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(Problem::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_the_next_handshake_and_streams_run_on() {
    let house = House::new();
    let tls = house.tls();
    let client = pki::client(None, &[]);
    let (served, connected) = handshake(&tls, Side::Federation, to("org.test"), client, None).await;
    let (mut served, mut connected) = (served.unwrap().stream, connected.unwrap());
    let before = outer_certificate(&tls).await;
    assert!(tls.changed_files().is_empty());

    let files = house.settings.identities.first().unwrap();
    let renewed = house.public.leaf(&["org.test"]);
    write(&files.certificate, &renewed.pem);
    write(&files.key, &renewed.key.serialize_pem());
    assert_eq!(
        tls.changed_files(),
        [files.key.clone(), files.certificate.clone()]
    );
    assert_eq!(outer_certificate(&tls).await, before);

    assert_eq!(tls.reload().unwrap(), []);
    assert!(tls.changed_files().is_empty());
    assert_eq!(outer_certificate(&tls).await, renewed.certificate);
    connected.write_all(b"x").await.unwrap();
    connected.flush().await.unwrap();
    assert_eq!(served.read_u8().await.unwrap(), b'x');
}

#[tokio::test]
async fn a_reload_that_fails_keeps_the_old_certificates_and_says_why() {
    let house = House::new();
    let tls = house.tls();
    let before = outer_certificate(&tls).await;
    let files = house.settings.identities.first().unwrap();
    // Half of a renewal: the certificate without its key.
    write(&files.certificate, &house.public.leaf(&["org.test"]).pem);
    let problems = tls.reload().unwrap_err();
    assert!(
        texts(&problems).contains("is not the certificate of the key"),
        "{}",
        texts(&problems)
    );
    assert_eq!(outer_certificate(&tls).await, before);
    fs::remove_file(&files.key).unwrap();
    assert!(tls.changed_files().contains(&files.key));
    tls.reload().unwrap_err();
    assert_eq!(outer_certificate(&tls).await, before);
}

#[test]
fn trust_is_swapped_with_the_generation_and_not_before() {
    let house = House::new();
    let tls = house.tls();
    let newcomer = Ca::new("New CA");
    let chain = newcomer.leaf(&["alpha.test"]).chain();
    let mut settings = house.settings.clone();
    settings.trust.push(Trust::File(write(
        &house.dir.path().join("new.pem"),
        &newcomer.pem,
    )));
    let trust = Tls::load_trust(&settings).unwrap();
    tls.judge(Side::Federation, None, &chain, &domain("alpha.test"))
        .unwrap_err();
    tls.set_trust(trust);
    tls.judge(Side::Federation, None, &chain, &domain("alpha.test"))
        .unwrap();
    assert!(tls.trust().changed_files().is_empty());
    write(&house.dir.path().join("new.pem"), &Ca::new("Another").pem);
    assert_eq!(
        tls.trust().changed_files(),
        [house.dir.path().join("new.pem")]
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let mut house = House::new();
    let dir = house.dir.path().to_owned();
    house.settings.identities.push(Identity {
        domains: vec![domain("org.test")],
        certificate: dir.join("missing.pem"),
        key: dir.join("missing.key"),
    });
    house.settings.internal.key = write(&dir.join("empty.key"), "");
    house.settings.client_ca = write(&dir.join("empty.pem"), "no PEM here");
    house.settings.trust = vec![Trust::File(dir.join("nowhere.pem"))];
    let told = texts(&Tls::load(house.settings.clone()).unwrap_err());
    for part in [
        "missing.pem: cannot be read",
        "empty.key: holds no private key",
        "empty.pem: holds no certificate",
        "nowhere.pem: cannot be read",
    ] {
        assert!(told.contains(part), "{part:?} is not in:\n{told}");
    }
}

#[test]
fn a_certificate_without_the_name_it_is_shown_for_is_a_warning() {
    let mut house = House::new();
    house
        .settings
        .identities
        .first_mut()
        .unwrap()
        .domains
        .push(domain("conference.org.test"));
    let warnings = house.tls().warnings();
    assert_eq!(warnings.len(), 1, "{}", texts(&warnings));
    assert!(texts(&warnings).contains("not valid for conference.org.test"));
    assert_eq!(warnings.first().unwrap().severity, Severity::Warning);
}

#[test]
fn a_key_that_others_may_read_is_a_warning() {
    let house = House::new();
    let key = &house.settings.internal.key;
    fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
    let told = texts(&house.tls().warnings());
    assert!(
        told.contains("mode 644") && told.contains("chmod 600"),
        "{told}"
    );
    fs::set_permissions(key, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(house.tls().warnings(), []);
}

#[test]
fn what_ends_soon_is_known_before_it_ends() {
    let house = House::new();
    let now = OffsetDateTime::now_utc();
    let files = house.settings.identities.first().unwrap();
    let short = house.public.shaped_leaf(&["org.test"], |params| {
        params.not_after = now + Duration::days(7)
    });
    write(&files.certificate, &short.pem);
    write(&files.key, &short.key.serialize_pem());
    let tls = house.tls();
    let ending = |days| tls.expiring(now, Duration::days(days));
    assert_eq!(ending(6), []);
    let [one] = &ending(14)[..] else {
        panic!("not one")
    };
    assert_eq!(one.file, files.certificate);
    assert_eq!(ending(100).len(), 3);
    assert_eq!(ending(5000).len(), 4);
    assert_eq!(
        short.chain().not_after().map(|end| end.date()),
        Some((now + Duration::days(7)).date())
    );
    assert!(
        short
            .chain()
            .proves(
                &house.public.anchors(),
                &Lists::default(),
                &domain("org.test"),
                UnixTime::now()
            )
            .is_ok()
    );
}

#[test]
fn an_expired_certificate_of_ours_is_a_warning_that_says_so() {
    let house = House::new();
    let files = house.settings.identities.first().unwrap();
    let old = house.public.shaped_leaf(&["org.test"], |params| {
        params.not_after = OffsetDateTime::now_utc() - Duration::days(1)
    });
    write(&files.certificate, &old.pem);
    write(&files.key, &old.key.serialize_pem());
    assert!(texts(&house.tls().warnings()).contains("expired on"));
}
