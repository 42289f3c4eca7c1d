//! What the service manager is told (systemd's `sd_notify(3)`).
//!
//! In: `$NOTIFY_SOCKET`, which systemd sets for units of `Type=notify`. Out: one datagram per
//! change. Nothing fails: without a service manager, or with one that does not listen, there is
//! nobody to tell.

use std::env;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// A change that a service manager waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Connections are accepted: what was ordered after this service may start.
    Ready,
    /// The drain has begun: the process is meant to end.
    Stopping,
}

/// Tells the service manager, if there is one.
pub fn tell(change: Change) {
    if let Some(socket) = env::var_os("NOTIFY_SOCKET") {
        send(&socket, change);
    }
}

fn send(socket: &OsStr, change: Change) {
    let message = match change {
        Change::Ready => "READY=1",
        Change::Stopping => "STOPPING=1",
    };
    // A leading `@` stands for the abstract namespace.
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(socket),
    };
    let sent = address
        .and_then(|address| UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address));
    if let Err(error) = sent {
        tracing::warn!(%error, ?change, "the service manager cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn the_service_manager_hears_of_both_changes_on_either_kind_of_socket() {
        let home = tempfile::TempDir::new().unwrap();
        let path = home.path().join("notify");
        let on_disk = UnixDatagram::bind(&path).unwrap();
        let name = format!("portcullis-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let abstract_one = UnixDatagram::bind_addr(&address).unwrap();
        for (socket, listener) in [
            (path.into_os_string(), on_disk),
            (OsString::from(format!("@{name}")), abstract_one),
        ] {
            for (change, expected) in [(Change::Ready, "READY=1"), (Change::Stopping, "STOPPING=1")]
            {
                send(&socket, change);
                let mut heard = [0; 64];
                let size = listener.recv(&mut heard).unwrap();
                assert_eq!(&heard[..size], expected.as_bytes());
            }
        }
    }

    #[test]
    fn a_service_manager_that_is_gone_is_no_failure() {
        send(OsStr::new("/nonexistent/notify"), Change::Ready);
    }
}
