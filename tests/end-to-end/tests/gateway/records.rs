//! Partner records: what they allow, from when to when, and which streams end when they change.

use portcullis::admin::protocol::ReloadResult;
use portcullis::app::Trigger;
use portcullis_end_to_end::{Plan, World, prepare};
use portcullis_test_support::{Behaviour, Client, Incoming, Mode, Server};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

fn record(server: &Server, domain: &str, more: &str) -> String {
    let address = server.address;
    format!("[[partner]]\ndomain = '{domain}'\nproxy = '{address}'\n{more}\n")
}

async fn send(stream: &mut Client, from: &str, to: &str, body: &str) {
    let message = format!("<message from='a@{from}' to='b@{to}'><body>{body}</body></message>");
    stream.send(&message).await;
}

/// Everything up to the end of a stream that must end for a reason of policy.
async fn ended(stream: &mut Client) -> String {
    let seen = format!("{:?}", stream.rest().await);
    assert!(seen.contains("<policy-violation"), "{seen}");
    seen
}

async fn reload(world: &World) {
    let reload = world.gateway.reload(Trigger::Call).await.unwrap();
    // The directory is watched: whoever notices first reads it.
    let done = matches!(reload.result, ReloadResult::Ok | ReloadResult::Unchanged);
    assert!(done, "{reload:?}");
}

#[tokio::test]
async fn a_narrowed_record_ends_the_streams_that_it_no_longer_allows_and_no_others() {
    let prepared = prepare();
    let mut alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let beta = prepared.partner("beta.test", Behaviour::StartTls).await;
    let records = |alphas: &str| {
        record(&alpha, "alpha.test", alphas) + &record(&beta, "beta.test", "bidi = false")
    };
    let (before, after) = (records("bidi = false"), records("direction = 'outbound'"));
    let mut world = prepared
        .start(Plan {
            more: before,
            ..Plan::default()
        })
        .await;
    let mut from_alpha = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    let mut from_beta = world.outside("beta.test", Mode::Direct).await.unwrap();
    let mut to_alpha = world.inside("alpha.test", Mode::StartTls).await;
    send(&mut to_alpha, "org.test", "alpha.test", "1").await;
    assert!(alpha.stanza().await.contains("<body>1</body>"));

    world.rewrite_end(&after);
    reload(&world).await;
    let seen = ended(&mut from_alpha).await;
    assert!(seen.contains("takes no stanzas from alpha.test"), "{seen}");

    send(&mut to_alpha, "org.test", "alpha.test", "2").await;
    assert!(alpha.stanza().await.contains("<body>2</body>"));
    assert_eq!(alpha.connections(), 1);
    send(&mut from_beta, "beta.test", "org.test", "3").await;
    assert!(world.org.stanza().await.contains("<body>3</body>"));
}

#[tokio::test]
async fn a_removed_method_ends_the_streams_that_it_proved() {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let records = [
        record(&alpha, "alpha.test", "sasl = 'optional'"),
        record(&alpha, "alpha.test", "sasl = 'not-supported'"),
    ];
    let mut world = prepared
        .start(Plan {
            more: records[0].clone(),
            ..Plan::default()
        })
        .await;
    let mut from_alpha = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    world.rewrite_end(&records[1]);
    reload(&world).await;
    let seen = ended(&mut from_alpha).await;
    assert!(
        seen.contains("external does not prove alpha.test here"),
        "{seen}"
    );
}

#[tokio::test]
async fn nothing_is_sent_to_a_partner_that_is_inbound_only() {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let more = record(&alpha, "alpha.test", "direction = 'inbound'");
    let mut world = prepared
        .start(Plan {
            more,
            ..Plan::default()
        })
        .await;
    let mut from_alpha = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    send(&mut from_alpha, "alpha.test", "org.test", "in").await;
    assert!(world.org.stanza().await.contains("<body>in</body>"));

    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    send(&mut inside, "org.test", "alpha.test", "out").await;
    let error = world.org.stanza().await;
    assert!(error.contains("<not-allowed"), "{error}");
    world.at_rest(2).await;
    assert_eq!(alpha.connections(), 0);
}

#[tokio::test]
async fn nothing_is_taken_from_a_partner_that_is_outbound_only() {
    for more in ["", "dialback = false"] {
        let prepared = prepare();
        let mut alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
        let more = record(
            &alpha,
            "alpha.test",
            &format!("direction = 'outbound'\n{more}"),
        );
        let world = prepared
            .start(Plan {
                more,
                ..Plan::default()
            })
            .await;
        let seen = world.outside("alpha.test", Mode::StartTls).await.err();
        let seen = format!("{:?}", seen.expect("alpha.test was let in"));
        assert!(seen.contains("takes no stanzas from alpha.test"), "{seen}");

        let mut inside = world.inside("alpha.test", Mode::StartTls).await;
        send(&mut inside, "org.test", "alpha.test", "out").await;
        assert!(alpha.stanza().await.contains("<body>out</body>"));
    }
}

#[tokio::test]
async fn a_record_ends_by_itself_at_its_time_with_its_streams() {
    let prepared = prepare();
    let mut alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let beta = prepared.partner("beta.test", Behaviour::StartTls).await;
    let end = OffsetDateTime::now_utc() + Duration::seconds(5);
    let more = record(
        &alpha,
        "alpha.test",
        &format!(
            "bidi = false\nvalid_until = {}",
            end.format(&Rfc3339).unwrap()
        ),
    ) + &record(&beta, "beta.test", "");
    let mut world = prepared
        .start(Plan {
            more,
            ..Plan::default()
        })
        .await;
    let mut from_alpha = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    let mut from_beta = world.outside("beta.test", Mode::StartTls).await.unwrap();
    let mut to_alpha = world.inside("alpha.test", Mode::StartTls).await;
    send(&mut to_alpha, "org.test", "alpha.test", "1").await;
    assert!(alpha.stanza().await.contains("<body>1</body>"));
    // A file that would be refused does not hold it up.
    world.rewrite_end("[[partner]]\nnonsense = true\n");

    let seen = ended(&mut from_alpha).await;
    assert!(OffsetDateTime::now_utc() >= end, "before its time");
    assert!(seen.contains("alpha.test is not a partner"), "{seen}");
    let error = alpha.next().await;
    assert!(
        matches!(&error, Incoming::Stanza(error) if error.contains("<policy-violation")),
        "{error:?}"
    );
    assert!(world.outside("alpha.test", Mode::StartTls).await.is_err());
    send(&mut from_beta, "beta.test", "org.test", "2").await;
    assert!(world.org.stanza().await.contains("<body>2</body>"));
    assert_eq!(world.gateway.status().generation, 1);
}

#[tokio::test]
async fn a_record_for_subdomains_covers_them_and_nobody_else() {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let more = record(&alpha, "alpha.test", "subdomains = true")
        + &record(
            &alpha,
            "no.alpha.test",
            "direction = 'outbound'\ndialback = false",
        );
    let world = prepared
        .start(Plan {
            more,
            ..Plan::default()
        })
        .await;
    for (domain, let_in) in [
        ("alpha.test", true),
        ("muc.alpha.test", true),
        ("a.b.alpha.test", true),
        ("no.alpha.test", false),
        ("xalpha.test", false),
    ] {
        let opened = world.outside(domain, Mode::Direct).await;
        assert_eq!(opened.is_ok(), let_in, "{domain}");
    }
}

#[tokio::test]
async fn files_of_partners_come_and_go() {
    let prepared = prepare();
    let directory = prepared.dir().join("partners.d");
    std::fs::create_dir(&directory).unwrap();
    let world = prepared
        .start(Plan {
            gateway: "partners_dir = 'partners.d'",
            ..Plan::default()
        })
        .await;
    let generation = || world.gateway.status().generation;
    let reaches = async |number| {
        let state = || format!("generation {}", generation());
        world.until(|| generation() == number, state).await;
    };
    assert!(world.outside("alpha.test", Mode::StartTls).await.is_err());

    let file = directory.join("alpha.toml");
    std::fs::write(&file, "[[partner]]\ndomain = 'alpha.test'\n").unwrap();
    reaches(2).await;
    let mut from_alpha = world.outside("alpha.test", Mode::StartTls).await.unwrap();

    let other = directory.join("beta.toml");
    std::fs::write(&other, "\n[[partner]]\ndomain = 'alpha.test'\n").unwrap();
    let reload = world.gateway.reload(Trigger::Admin).await.unwrap();
    assert_eq!(reload.result, ReloadResult::Failed);
    let told = reload.messages.join(" ");
    let expected = format!(
        "{} line 3: the domain `alpha.test` stands twice in the record of alpha.test; {} line 2: it stands here",
        other.display(),
        file.display()
    );
    assert!(told.contains(&expected), "{told}");
    std::fs::remove_file(&other).unwrap();
    send(&mut from_alpha, "alpha.test", "org.test", "still here").await;

    std::fs::remove_file(&file).unwrap();
    ended(&mut from_alpha).await;
    reaches(3).await;
}
