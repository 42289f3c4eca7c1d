//! Connections that break.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// When connections break.
#[derive(Clone, Copy)]
pub(crate) struct Breaks {
    /// After so many bytes one way or the other, with what is under way then.
    pub(crate) after: u64,
    /// After so many connections there is nobody any more.
    pub(crate) connections: usize,
}

/// Passes connections on, and breaks them.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    /// How many there were.
    pub(crate) connections: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn start(to: SocketAddr, breaks: Breaks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (count, connections) = watch::channel(0);
        let task = tokio::spawn(async move {
            while *count.borrow() < breaks.connections {
                let Ok((mut near, _)) = listener.accept().await else {
                    return;
                };
                count.send_modify(|count| *count += 1);
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(to).await else {
                        return;
                    };
                    let ((from_near, to_near), (from_far, to_far)) = (near.split(), far.split());
                    tokio::select! {
                        () = pass(from_near, to_far, breaks.after) => {}
                        () = pass(from_far, to_near, breaks.after) => {}
                    }
                });
            }
            drop(listener);
            // As long as somebody looks at the count.
            count.closed().await;
        });
        Self {
            address,
            connections,
            task,
        }
    }
}

async fn pass(from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, bytes: u64) {
    let mut some = from.take(bytes);
    let _ = copy(&mut some, &mut to).await;
    // What comes now is lost.
    let _ = some.get_mut().read(&mut [0; 1024]).await;
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
