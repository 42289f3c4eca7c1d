//! Files that change by themselves.
//!
//! In: the directories of configuration, components and certificates. Out: requests to look again,
//! once a burst of changes is over; the [reload](super::reload) compares contents and decides.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_policy::watch::Watcher;

use super::gateway::Gateway;
use super::reload::Trigger;

/// Asks for a reload when a file may have changed: configuration, components, certificates.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let config = gateway.config();
    let mut files = gateway.tls.files();
    files.push(gateway.file.clone());
    files.extend(config.plugins.iter().map(|plugin| plugin.component.clone()));
    let mut directories: BTreeSet<PathBuf> = files
        .iter()
        .filter_map(|file| file.parent())
        .map(PathBuf::from)
        .collect();
    directories.insert(config.gateway.plugins_dir.clone());
    directories.extend(config.gateway.partners_dir.clone());
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
        }
        if gateway.reload(Trigger::Watch).await.is_none() {
            return;
        }
    }
}
