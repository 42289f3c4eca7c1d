//! What the operator sees and says: metrics, health, the admin socket, the audit journal.

use std::path::Path;

use portcullis::admin::protocol::{ReloadResult, Request, Response};
use portcullis_end_to_end::{Plan, prepare};
use portcullis_test_support::{Behaviour, Mode};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn ask(socket: &Path, requests: &[&str]) -> Vec<Response> {
    let mut stream = BufReader::new(UnixStream::connect(socket).await.unwrap());
    let mut answers = Vec::new();
    for request in requests {
        stream
            .write_all(format!("{request}\n").as_bytes())
            .await
            .unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        answers.push(serde_json::from_str(&line).unwrap());
    }
    answers
}

#[tokio::test]
async fn the_read_only_address_has_metrics_and_health() {
    let world = prepare().start(Plan::default()).await;
    let address = world.gateway.addresses().admin.unwrap();
    assert!(
        get(address, "/health/live")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        get(address, "/health/ready")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
    let metrics = get(address, "/metrics").await;
    for name in [
        "portcullis_generation 1",
        "portcullis_generations_alive 1",
        "portcullis_reloads_total{result=\"ok\"} 0",
        "portcullis_certificate_expiry_seconds{",
        "portcullis_build_info{version=",
    ] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
}

#[tokio::test]
async fn the_end_of_a_partners_certificate_can_be_watched() {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let world = prepared
        .start(Plan {
            partners: vec![("alpha.test", alpha.address)],
            ..Plan::default()
        })
        .await;
    const METRIC: &str = "portcullis_peer_certificate_expiry_seconds{domain=\"alpha.test\"}";
    assert!(!world.metrics().contains_key(METRIC));
    let outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    let known = || world.metrics().contains_key(METRIC);
    world
        .until(known, || format!("{:?}", world.metrics()))
        .await;
    assert!(world.metrics()[METRIC] > 0);
    drop(outside);
    world
        .until(|| !known(), || format!("{:?}", world.metrics()))
        .await;
}

#[tokio::test]
async fn the_admin_socket_answers_and_is_nobody_elses() {
    use std::os::unix::fs::PermissionsExt;
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let world = prepared
        .start(Plan {
            partners: vec![("alpha.test", alpha.address)],
            ..Plan::default()
        })
        .await;
    let _outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    let socket = world.data_dir().join("admin.sock");
    assert_eq!(
        std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let status = serde_json::to_string(&Request::Status).unwrap();
    let reload = serde_json::to_string(&Request::Reload).unwrap();
    let answers = ask(&socket, &[&status, &reload, "what?"]).await;
    let Response::Status(status) = &answers[0] else {
        panic!("{answers:?}")
    };
    assert_eq!((status.generation, status.phase.as_str()), (1, "running"));
    assert_eq!(status.streams.len(), 1);
    assert_eq!(status.streams[0].remote, "alpha.test");
    assert_eq!(status.listeners.len(), 3);
    let Response::Reload(reload) = &answers[1] else {
        panic!("{answers:?}")
    };
    assert_eq!(reload.result, ReloadResult::Unchanged);
    assert!(matches!(answers[2], Response::Error { .. }));
}

#[tokio::test]
async fn a_partner_has_no_more_streams_than_its_limit() {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let more = format!(
        "[[partner]]\ndomain = 'beta.test'\nproxy = '{}'\nconnection_limit = 2\n",
        alpha.address
    );
    let world = prepared
        .start(Plan {
            more,
            ..Plan::default()
        })
        .await;
    let first = world.outside("beta.test", Mode::StartTls).await.unwrap();
    let _second = world.outside("beta.test", Mode::StartTls).await.unwrap();
    let mut third = world.outside("beta.test", Mode::StartTls).await.unwrap();
    let seen = third.rest().await;
    assert!(
        format!("{seen:?}").contains("<resource-constraint"),
        "{seen:?}"
    );
    first.close().await;
    let streams = || {
        world.sum(
            "portcullis_streams",
            r#"direction="inbound",side="federation""#,
        )
    };
    world
        .until(|| streams() == 1, || streams().to_string())
        .await;
    assert!(world.outside("beta.test", Mode::StartTls).await.is_ok());
}

#[tokio::test]
async fn a_malformed_stanza_is_answered_and_the_stream_goes_on() {
    let prepared = prepare();
    let mut alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let world = prepared
        .start(Plan {
            partners: vec![("alpha.test", alpha.address)],
            ..Plan::default()
        })
        .await;
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    outside
        .send("<iq from='b@alpha.test' to='a@org.test' id='1' type='ask'><q xmlns='urn:q'/></iq>")
        .await;
    let error = alpha.stanza().await;
    assert!(error.contains("<bad-request"), "{error}");
    outside
        .send("<message from='b@alpha.test' to='a@org.test'><body>well</body></message>")
        .await;
    world.at_rest(2).await;
    assert_eq!(
        world.sum("portcullis_stanzas_total", r#"kind="iq",outcome="bounced""#),
        1
    );
    assert_eq!(
        world.sum("portcullis_stanzas_total", r#"outcome="delivered""#),
        1
    );
}
