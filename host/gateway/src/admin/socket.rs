//! The admin socket: everything that changes something or reveals traffic.
//!
//! In: connections to `<data_dir>/admin.sock`. Out: answers of [`super::protocol`]. Only the user
//! that the gateway runs as can open it: the file has mode 0600 from its first moment. A socket that
//! a dead gateway left behind is replaced; one that a living gateway serves is an error.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::protocol::{self, Request, Response};
use crate::app::{Action, Gateway, Trigger};
use crate::capture;

/// Name of the socket below the data directory.
pub const SOCKET: &str = "admin.sock";
/// Longest request; the longest that exists has 20 bytes.
const MAX_REQUEST: u64 = 4096;
/// Connections at a time: an operator and some scripts.
const CONNECTIONS: usize = 16;
/// How long a connection may be silent, and how long it may take to read an answer.
const SILENCE: Duration = Duration::from_secs(60);

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The operator started a second gateway on one data directory.
    #[error("another gateway is running on this data directory: it answers at {}", .0.display())]
    AlreadyRunning(PathBuf),
    /// The operator's directory does not allow it.
    #[error("cannot make the admin socket {}: {error}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The bound socket; its file goes when it is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Binds `<data_dir>/admin.sock`.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub fn bind(data_dir: &Path) -> Result<Self, SocketError> {
        let path = data_dir.join(SOCKET);
        let fail = |error| SocketError::Io {
            path: path.clone(),
            error,
        };
        match std::os::unix::net::UnixStream::connect(&path) {
            Ok(_) => return Err(SocketError::AlreadyRunning(path)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            // A dead gateway's: nobody listens any more.
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(&path).map_err(fail)?;
            }
            Err(error) => return Err(fail(error)),
        }
        // Made under another name first, so that nobody finds it before its mode is set.
        let temporary = data_dir.join(format!(".{SOCKET}.{}", std::process::id()));
        drop(std::fs::remove_file(&temporary));
        let listener = UnixListener::bind(&temporary).map_err(fail)?;
        std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o600))
            .map_err(fail)?;
        std::fs::rename(&temporary, &path).map_err(fail)?;
        Ok(Self { listener, path })
    }

    /// Answers until the gateway has ended its streams.
    pub(crate) async fn serve(self, gateway: Arc<Gateway>) {
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        let stop = gateway.phases.ended.clone();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
                continue;
            };
            match accepted {
                Ok((stream, _)) => {
                    let gateway = Arc::clone(&gateway);
                    let stop = stop.clone();
                    gateway.tasks.clone().spawn(async move {
                        tokio::select! {
                            () = stop.cancelled() => {}
                            ended = serve_one(&gateway, stream) => if let Err(error) = ended {
                                tracing::debug!(%error, "an admin connection broke");
                            },
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::error!(%error, "cannot accept admin connections");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "the admin socket was gone already");
        }
    }
}

async fn serve_one(gateway: &Arc<Gateway>, stream: UnixStream) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut read).take(MAX_REQUEST);
        if timeout(SILENCE, limited.read_until(b'\n', &mut line)).await?? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_slice(&line) {
            Ok(Request::Status) => Response::Status(Box::new(gateway.status())),
            Ok(Request::Generations) => Response::Generations(gateway.history()),
            Ok(Request::Reload) => change(gateway, Action::Reload).await,
            Ok(Request::DryRun) => change(gateway, Action::DryRun).await,
            Ok(Request::Rollback { number }) => change(gateway, Action::Rollback(number)).await,
            Ok(Request::Capture {
                output,
                seconds,
                bytes,
                partner,
            }) => {
                let wanted = capture::Wanted {
                    output,
                    seconds,
                    bytes,
                    partner,
                };
                capturing(capture::start(gateway, wanted).await)
            }
            Ok(Request::StopCapture) => capturing(gateway.captures.stop().await),
            Ok(Request::Shadow) => Response::Shadow {
                plugins: gateway.shadows(),
            },
            Ok(Request::Explain { id }) => explain(gateway, &id).await,
            Err(error) => Response::Error {
                message: format!("not a request: {error}"),
            },
        };
        let mut text = serde_json::to_vec(&answer)?;
        text.push(b'\n');
        timeout(SILENCE, write.write_all(&text)).await??;
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
    }
}

fn capturing(outcome: Result<protocol::Capturing, String>) -> Response {
    match outcome {
        Ok(capturing) => Response::Capture(capturing),
        Err(message) => Response::Error { message },
    }
}

async fn explain(gateway: &Gateway, id: &str) -> Response {
    let message = match id.parse() {
        Err(error) => format!("{id:?}: {error}"),
        Ok(reference) => match gateway.refusals.explain(reference).await {
            Some(Ok(explained)) => return Response::Explained(Box::new(explained)),
            Some(Err(error)) => format!("what was refused cannot be read: {error}"),
            None => "the gateway is shutting down".to_owned(),
        },
    };
    Response::Error { message }
}

async fn change(gateway: &Gateway, action: Action) -> Response {
    match gateway.change(Trigger::Admin, action).await {
        Some(reload) => Response::Reload(reload),
        None => Response::Error {
            message: "the gateway is shutting down".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_gateways_socket_is_replaced_and_a_living_ones_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SOCKET);
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let first = Socket::bind(dir.path()).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(matches!(
            Socket::bind(dir.path()),
            Err(SocketError::AlreadyRunning(_))
        ));
        drop(first);
        assert!(!path.exists());
    }
}
