//! What several tables share.

use portcullis_conformance::{At, Stage};

/// What a peer says at some point of a stream, and the error that it is closed with.
pub(crate) struct Refusal(
    pub(crate) At,
    pub(crate) &'static str,
    pub(crate) &'static str,
);

/// Tries each row as alpha.test on the outer port: header, error, closing tag and end have to be just
/// so, and nothing may be left behind.
pub(crate) async fn refused_outside(stage: &Stage, rows: &[Refusal]) {
    for Refusal(at, said, condition) in rows {
        let mut peer = stage.outside(*at).await;
        peer.send(said).await;
        peer.refused(condition).await;
    }
    stage.gateway.at_rest().await;
}

/// The same, as org.test on the inner port.
pub(crate) async fn refused_inside(stage: &Stage, rows: &[Refusal]) {
    for Refusal(at, said, condition) in rows {
        let mut peer = stage.inside(*at).await;
        peer.send(said).await;
        peer.refused(condition).await;
    }
    stage.gateway.at_rest().await;
}

/// Both.
pub(crate) async fn refused(stage: &Stage, rows: &[Refusal]) {
    refused_outside(stage, rows).await;
    let mirrored: Vec<Refusal> = rows
        .iter()
        .map(|Refusal(at, said, condition)| Refusal(*at, mirror(said), condition))
        .collect();
    refused_inside(stage, &mirrored).await;
}

/// The same from inside: alpha.test and org.test change places.
fn mirror(said: &str) -> &'static str {
    let said = said.replace("alpha.test", "\u{0}");
    let said = said.replace("org.test", "alpha.test");
    Box::leak(said.replace('\u{0}', "org.test").into_boxed_str())
}

/// A header with these attributes.
macro_rules! header {
    ($attributes:literal) => {
        concat!(
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' ",
            $attributes,
            ">"
        )
    };
}
pub(crate) use header;
