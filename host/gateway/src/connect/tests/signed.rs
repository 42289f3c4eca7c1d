//! Dialers that ask a signed zone of our own, and trust its key.

use std::fs;

use portcullis_test_support::signed::Signed;
use tempfile::TempDir;

use crate::connect::{Dialer, Settings};

/// The zone is served until the test's runtime ends.
pub(crate) trait Dials {
    /// Whose partners are anywhere, on this machine too.
    async fn dialer(self) -> Dialer;

    /// Whose partners are on the public Internet.
    async fn public_dialer(self) -> Dialer;
}

impl Dials for Signed {
    async fn dialer(self) -> Dialer {
        let settings = Settings {
            allow_private: true,
            ..Settings::default()
        };
        dialer_with(self, settings).await
    }

    async fn public_dialer(self) -> Dialer {
        dialer_with(self, Settings::default()).await
    }
}

async fn dialer_with(zone: Signed, settings: Settings) -> Dialer {
    let (server, anchors) = zone.serve().await;
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("anchors");
    fs::write(&file, anchors).unwrap();
    Dialer::new(Settings {
        servers: vec![server],
        trust_anchors: Some(file),
        ..settings
    })
    .unwrap()
}
