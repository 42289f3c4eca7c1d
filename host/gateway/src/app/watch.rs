//! Files that change by themselves.
//!
//! In: the directories of configuration, components, plugins' files and
//! certificates; more of them, once a configuration that was read names files elsewhere. Out: requests to look again, once a burst of
//! changes is over; the [reload](super::reload) compares contents and decides.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis_policy::watch::Watcher;

use super::gateway::Gateway;
use super::reload::Trigger;

/// Asks for a reload when a file may have changed: configuration, components, plugins' files,
/// certificates.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut watched = gateway.watched.subscribe();
    loop {
        let mut directories = watched.borrow_and_update().clone();
        let own = gateway.tls.files().into_iter();
        directories.extend(own.filter_map(|file| file.parent().map(PathBuf::from)));
        let watcher = match Watcher::new(directories) {
            Ok(watcher) => watcher,
            Err(error) => {
                tracing::warn!("{error}");
                return;
            }
        };
        loop {
            tokio::select! {
                () = gateway.phases.listening.cancelled() => return,
                () = watcher.changed() => {}
                more = watched.changed() => match more {
                    Ok(()) => break,
                    Err(_) => return,
                },
            }
            if gateway.reload(Trigger::Watch).await.is_none() {
                return;
            }
        }
    }
}
