use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::session::wire::Wire;

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
    line.say_managed(b"<enable/>").unwrap();
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
