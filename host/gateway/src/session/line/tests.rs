use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::session::wire::{WRITE, Wire};
use crate::tls::tests::pki::{self, Leaf};

async fn line() -> (Wire, Arc<Line>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (theirs, _) = listener.accept().await.unwrap();
    let mut wire = Wire::plain(ours);
    let line = wire.share();
    (wire, line, theirs)
}

#[tokio::test]
async fn words_go_before_stanzas_and_nothing_goes_after_the_closing_tag() {
    let (_wire, line, mut theirs) = line().await;
    line.say(b"<r/>").unwrap();
    assert!(line.has_words());
    line.send(b"<message/>", 1, &Arc::default()).await.unwrap();
    assert!(!line.has_words());
    line.shut();
    line.say(b"</stream:stream>").unwrap();
    let refused = line
        .send(b"<presence/>", 1, &Arc::default())
        .await
        .unwrap_err();
    assert_eq!(refused.accepted, 0);
    line.close().await.unwrap();
    let mut read = String::new();
    theirs.read_to_string(&mut read).await.unwrap();
    assert_eq!(read, "<r/><message/></stream:stream>");
}

/// How many TLS records begin in these bytes.
fn records(mut bytes: &[u8]) -> usize {
    let mut records = 0;
    while let [_, _, _, high, low, rest @ ..] = bytes {
        bytes = &rest[usize::from(u16::from_be_bytes([*high, *low]))..];
        records += 1;
    }
    records
}

#[tokio::test]
async fn the_closing_tag_leaves_in_one_piece_with_the_end_of_tls() {
    let leaf = Leaf::self_signed(&["org.test"]);
    let mut server = ServerConfig::builder_with_provider(pki::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(leaf.certified())));
    server.send_tls13_tickets = 0;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (ours, _) = listener.accept().await.unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let connector = TlsConnector::from(Arc::new(pki::client(None, &[])));
    let name = "org.test".try_into().unwrap();
    let (ours, theirs) = tokio::join!(acceptor.accept(ours), connector.connect(name, theirs));
    let (mut wire, mut theirs) = (Wire::tls(ours.unwrap().into()), theirs.unwrap());
    let line = wire.share();
    line.say(b"</stream:stream>").unwrap();
    line.close().await.unwrap();
    let mut raw = [0; 1024];
    let piece = theirs.get_ref().0.peek(&mut raw).await.unwrap();
    assert_eq!(records(&raw[..piece]), 2);
    let mut read = String::new();
    theirs.read_to_string(&mut read).await.unwrap();
    assert_eq!(read, "</stream:stream>");
}

#[tokio::test]
async fn a_cancelled_flush_loses_nothing_and_saying_never_waits() {
    let (_wire, line, mut theirs) = line().await;
    let stanza = vec![b'x'; 8 * 1024 * 1024];
    let sender = Arc::clone(&line);
    let length = stanza.len();
    let sending = tokio::spawn(async move { sender.send(&stanza, 1, &Arc::default()).await });
    // The peer reads nothing, so the writer is held until it does.
    while line.end.try_lock().is_ok() {
        tokio::task::yield_now().await;
    }
    line.say(b"<a h='1'/>").unwrap();
    tokio::select! {
        biased;
        _ = line.flush() => panic!("the peer has read nothing"),
        () = tokio::task::yield_now() => {}
    }
    let reading = tokio::spawn(async move {
        let mut read = Vec::new();
        theirs.read_to_end(&mut read).await.unwrap();
        read
    });
    sending.await.unwrap().unwrap();
    line.close().await.unwrap();
    let read = reading.await.unwrap();
    assert_eq!(read.len(), length + 10);
    assert!(read.ends_with(b"<a h='1'/>"));
}

#[tokio::test]
async fn sm_01_acknowledgements_go_to_the_pair_whose_stanza_it_was() {
    let (_wire, line, mut theirs) = line().await;
    let (one, two) = (
        Arc::<Acknowledged>::default(),
        Arc::<Acknowledged>::default(),
    );
    let before = line.send(b"<message/>", 1, &one).await.unwrap();
    assert_eq!(before, Written::Delivered);
    line.say_managed(b"<enable/>", Sent::default()).unwrap();
    for of in [&one, &two, &one] {
        let written = line.send(b"<message/>", 1, of).await.unwrap();
        assert_eq!(written, Written::Awaited);
    }
    line.acknowledged(2).unwrap();
    assert_eq!(
        (*one.subscribe().borrow(), *two.subscribe().borrow()),
        (1, 1)
    );
    assert!(line.acknowledged(4).is_err());
    line.acknowledged(3).unwrap();
    assert_eq!(*one.subscribe().borrow(), 2);
    line.close().await.unwrap();
    let mut read = String::new();
    theirs.read_to_string(&mut read).await.unwrap();
    assert!(
        read.starts_with("<message/><enable/><message/><r "),
        "{read}"
    );
}

#[tokio::test]
async fn who_takes_no_words_is_told_of_none_more() {
    let (_wire, line, _theirs) = line().await;
    line.say(&vec![b'x'; WORDS]).unwrap();
    assert!(line.say(b"y").is_err());
}

#[tokio::test]
async fn sm_01_what_is_unacknowledged_moves_to_the_next_connection_and_is_asked_about_there() {
    let (_wire, old, _theirs) = line().await;
    let of = Arc::<Acknowledged>::default();
    old.say_managed(b"<enable/>", Sent::default()).unwrap();
    for stanza in [
        "<message id='1'/>",
        "<message id='2'/>",
        "<message id='3'/>",
    ] {
        old.send(stanza.as_bytes(), 1, &of).await.unwrap();
    }
    old.acknowledged(1).unwrap();
    let mut sent = old.hand_over().unwrap();
    // Nobody can slip in behind: it would be lost, or count as delivered.
    let late = old.send(b"<message id='4'/>", 1, &of).await.unwrap_err();
    assert_eq!((late.accepted, late.counted), (0, Counted::No));
    assert!(old.hand_over().is_none());

    sent.acknowledge(2).unwrap();
    assert!(sent.acknowledge(4).is_err());
    let (_wire, new, mut theirs) = line().await;
    new.say_managed(b"<resumed/>", sent).unwrap();
    new.send_again(b"<message id='3'/>").await.unwrap();
    new.send(b"<message id='4'/>", 1, &of).await.unwrap();
    assert_eq!(*of.subscribe().borrow(), 2);
    new.acknowledged(4).unwrap();
    assert_eq!(*of.subscribe().borrow(), 4);
    assert!(new.acknowledged(5).is_err());
    new.close().await.unwrap();
    let mut read = String::new();
    theirs.read_to_string(&mut read).await.unwrap();
    let asked = std::str::from_utf8(REQUEST).unwrap();
    assert_eq!(
        read,
        format!("<resumed/><message id='3'/>{asked}<message id='4'/>{asked}")
    );
}

#[tokio::test]
async fn who_is_writing_on_a_connection_that_is_given_up_is_stopped_at_once() {
    let (_wire, line, _theirs) = line().await;
    line.say_managed(b"<enable/>", Sent::default()).unwrap();
    let stanza = vec![b'x'; 8 * 1024 * 1024];
    let sender = Arc::clone(&line);
    let sending = tokio::spawn(async move { sender.send(&stanza, 1, &Arc::default()).await });
    while line.end.try_lock().is_ok() {
        tokio::task::yield_now().await;
    }
    let deadline = Instant::now() + WRITE / 2;
    while !line.sent_something() {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    assert!(!line.hand_over().unwrap().is_empty());
    let failed = sending.await.unwrap().unwrap_err();
    assert_eq!(failed.counted, Counted::Yes);
    assert!(Instant::now() < deadline);
}

impl Line {
    fn sent_something(&self) -> bool {
        matches!(&*self.sent(), Count::On(sent) if !sent.is_empty())
    }
}
