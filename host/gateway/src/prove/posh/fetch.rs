//! One document from a web server: one request, one answer, bounded in size.
//!
//! The connection goes where the gateway's own resolver and address rules allow, and the server
//! proves its name by PKIX. Redirects are not followed. The deadline is the caller's: dropping the
//! future drops the connection.

use std::sync::Arc;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::document::Place;
use crate::connect::Dialer;

/// A hundred fingerprints with three digests each are 20 KiB.
const MOST_BYTES: usize = 64 * 1024;
/// What hyper holds of an answer's head.
const HEAD_BYTES: usize = 16 * 1024;
/// RFC 9110 §4.2.2
const HTTPS: u16 = 443;

/// The document at `place`; `port` stands in where it names none.
///
/// # Errors
/// Why there is none, for the operator.
pub(super) async fn fetch(
    dialer: &Dialer,
    client: &Arc<ClientConfig>,
    place: &Place,
    port: Option<u16>,
) -> Result<Vec<u8>, String> {
    let port = place.port.or(port).unwrap_or(HTTPS);
    let mut candidates = dialer
        .web(&place.host, port)
        .map_err(|error| error.to_string())?;
    let stream = candidates
        .next()
        .await
        .map_err(|error| error.to_string())?
        .stream;
    request(stream, client, place, port)
        .await
        .map_err(|reason| format!("https://{}:{port}{}: {reason}", place.host, place.path))
}

async fn request(
    stream: TcpStream,
    client: &Arc<ClientConfig>,
    place: &Place,
    port: u16,
) -> Result<Vec<u8>, String> {
    let name =
        ServerName::try_from(place.host.as_str().to_owned()).map_err(|error| error.to_string())?;
    let stream = TlsConnector::from(Arc::clone(client))
        .connect(name, stream)
        .await
        .map_err(|error| format!("TLS failed: {error}"))?;
    let failed = |error: hyper::Error| format!("HTTP failed: {error}");
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    // Ends with this function, whatever happens.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let host = match port {
        HTTPS => place.host.to_string(),
        port => format!("{}:{port}", place.host),
    };
    let request = Request::get(&place.path)
        .header(HOST, host)
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(failed)?;
    if answer.status() != StatusCode::OK {
        return Err(format!("the server answers {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), MOST_BYTES);
    let body = body
        .collect()
        .await
        .map_err(|error| format!("the document cannot be read: {error}"))?;
    Ok(body.to_bytes().to_vec())
}
