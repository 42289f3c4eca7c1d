//! What goes its own way: the gateway's own certificates, and revocation lists.
//!
//! In: their files. Out: what is shown from the next handshake on, and whom nobody believes any more;
//! and what to tell. A file that is faulty changes nothing.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::sleep;

use super::Reloader;
use crate::admin::protocol::ReloadResult;
use crate::app::gateway::{EXPIRES_SOON, Gateway};

/// How often certificates are looked at for their end: somebody who reads the log once a day sees it.
const EXPIRY_CHECK: Duration = Duration::from_secs(12 * 3600);

impl Reloader {
    /// Our own certificates, if their files have changed.
    pub(super) fn certificates(&self) -> Vec<String> {
        let changed = self.gateway.tls.changed_files();
        if changed.is_empty() {
            return Vec::new();
        }
        let files = changed
            .iter()
            .map(|file| file.display().to_string())
            .collect::<Vec<_>>()
            .join(", ");
        match self.gateway.tls.reload() {
            Ok(warnings) => {
                self.gateway.metrics.certificates_reloaded(ReloadResult::Ok);
                let warnings = warnings.iter().map(ToString::to_string);
                std::iter::once(format!("certificates read again: {files}"))
                    .chain(warnings)
                    .collect()
            }
            Err(problems) => {
                self.gateway
                    .metrics
                    .certificates_reloaded(ReloadResult::Failed);
                let problems = problems
                    .iter()
                    .map(|problem| format!("certificates stay as they were: {problem}"));
                for problem in problems.clone() {
                    tracing::error!("{problem}");
                }
                problems.collect()
            }
        }
    }

    /// The revocation lists, if their files have changed. Whom they revoke is closed at once.
    pub(super) fn revocations(&self) -> Vec<String> {
        let lists = self.gateway.tls.revocations();
        let changed = lists.changed_files();
        if changed.is_empty() {
            return Vec::new();
        }
        match lists.again() {
            Ok(lists) => {
                let expired = lists.expired(OffsetDateTime::now_utc());
                self.gateway.tls.set_revocations(lists);
                self.gateway.doubt();
                let read = (changed.iter()).map(|file| format!("{} read again", file.display()));
                read.chain(expired.iter().map(ToString::to_string))
                    .collect()
            }
            Err(problems) => problems
                .iter()
                .map(|problem| {
                    tracing::error!("{problem}");
                    format!("revocation lists stay as they were: {problem}")
                })
                .collect(),
        }
    }
}

/// Warns of our own certificates that end soon, and of revocation lists that have expired.
pub(in crate::app) async fn expiry(gateway: Arc<Gateway>) {
    loop {
        for certificate in gateway
            .tls
            .expiring(OffsetDateTime::now_utc(), EXPIRES_SOON)
        {
            tracing::warn!(
                file = %certificate.file.display(),
                not_after = certificate.not_after.format(&Rfc3339).unwrap_or_default(),
                "one of the gateway's certificates expires soon"
            );
        }
        for problem in (gateway.tls.revocations()).expired(OffsetDateTime::now_utc()) {
            tracing::warn!("{problem}");
        }
        tokio::select! {
            () = gateway.phases.listening.cancelled() => return,
            () = sleep(EXPIRY_CHECK) => {}
        }
    }
}
