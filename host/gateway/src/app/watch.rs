//! Files that change by themselves.
//!
//! In: the directories of configuration, components, plugins' files and certificates. Out: requests to look again,
//! once a burst of changes is over; the [reload](super::reload) compares contents and decides.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_policy::watch::Watcher;

use super::gateway::Gateway;
use super::reload::Trigger;

/// Asks for a reload when a file may have changed: configuration, components, plugins' files, certificates.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut generations = gateway.generations.subscribe();
    let mut watched = BTreeSet::new();
    let mut watcher = None;
    loop {
        // A new configuration may name files elsewhere.
        let directories = directories(&gateway);
        let watcher = match &mut watcher {
            Some(watcher) if watched == directories => watcher,
            place => match Watcher::new(directories.clone()) {
                Ok(watcher) => {
                    watched = directories;
                    place.insert(watcher)
                }
                Err(error) => {
                    tracing::warn!("{error}");
                    return;
                }
            },
        };
        tokio::select! {
            () = gateway.phases.listening.cancelled() => return,
            changed = generations.changed() => {
                if changed.is_err() {
                    return;
                }
                continue;
            }
            () = watcher.changed() => {}
        }
        if gateway.reload(Trigger::Watch).await.is_none() {
            return;
        }
    }
}

fn directories(gateway: &Gateway) -> BTreeSet<PathBuf> {
    let config = gateway.config();
    let mut files = gateway.tls.files();
    files.push(gateway.file.clone());
    files.extend(config.plugins.iter().map(|plugin| plugin.component.clone()));
    let granted = config
        .plugins
        .iter()
        .flat_map(|plugin| plugin.files.values());
    files.extend(granted.cloned());
    let mut directories: BTreeSet<PathBuf> = files
        .iter()
        .filter_map(|file| file.parent())
        .map(PathBuf::from)
        .collect();
    directories.insert(config.gateway.plugins_dir.clone());
    directories.extend(config.gateway.partners_dir.clone());
    directories
}
