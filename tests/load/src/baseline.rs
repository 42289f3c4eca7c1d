//! The baselines: TLS from one side to the other, without any of a gateway's duties.
//!
//! In: connections with TLS. Out: what they carry, on connections with TLS of our own. As it comes, or
//! stanza by stanza, each checked to be between two domains and sent by itself: about the least that a
//! gateway can do which sends nothing late. Or nothing but one byte that says that the handshake is over.

use std::io;
use std::sync::Arc;

use memchr::memmem;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::arguments::{Duty, Relay};

const BUFFER: usize = 64 * 1024;

/// Says where it listens, and serves until it is ended.
pub(crate) async fn run(relay: &Relay) {
    let (acceptor, connector) = tls(relay);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        let (to, name, duty) = (relay.to, relay.name.clone(), relay.duty);
        tokio::spawn(async move {
            stream.set_nodelay(true)?;
            let near = acceptor.accept(stream).await?;
            if duty == Duty::Accept {
                return welcome(near).await;
            }
            let far = TcpStream::connect(to).await?;
            far.set_nodelay(true)?;
            let name = ServerName::try_from(name).map_err(io::Error::other)?;
            let far = connector.connect(name, far).await?;
            match duty {
                Duty::FrameEach => stanzas(near, far).await,
                Duty::Copy | Duty::Accept => copy(near, far).await,
            }
        });
    }
}

fn tls(relay: &Relay) -> (TlsAcceptor, TlsConnector) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let [certificate, key] = &relay.identity[..] else {
        panic!("a certificate and a key");
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&relay.trust).unwrap())
        .unwrap();
    let roots = Arc::new(roots);
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::clone(&roots),
        Arc::clone(&provider),
    );
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(chain.clone(), key.clone_key())
        .unwrap();
    // Nobody comes back with a ticket here, and the gateway hands none out either.
    server.send_tls13_tickets = 0;
    server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    (Arc::new(server).into(), Arc::new(client).into())
}

/// Says that the handshake is over and waits for the end.
async fn welcome(mut near: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    near.write_all(b" ").await?;
    near.flush().await?;
    while near.read(&mut [0; 64]).await? > 0 {}
    near.shutdown().await
}

async fn copy(
    mut near: impl AsyncRead + Unpin,
    mut far: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match near.read(&mut buffer).await? {
            0 => return far.shutdown().await,
            read => far.write_all(&buffer[..read]).await?,
        }
        far.flush().await?;
    }
}

async fn stanzas(
    mut near: impl AsyncRead + Unpin,
    mut far: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        if near.read_buf(&mut buffer).await? == 0 {
            return far.shutdown().await;
        }
        let mut done = 0;
        while let Some(length) = stanza(&buffer[done..]) {
            let stanza = &buffer[done..done + length];
            if !is_addressed(stanza) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            far.write_all(stanza).await?;
            far.flush().await?;
            done += length;
        }
        buffer.drain(..done);
    }
}

/// The length of the first whole stanza. Good for what the generator sends: no stanza in a stanza.
fn stanza(buffer: &[u8]) -> Option<usize> {
    let name = match buffer.get(1)? {
        b'm' => &b"</message>"[..],
        b'p' => b"</presence>",
        _ => b"</iq>",
    };
    memmem::find(buffer, name).map(|at| at + name.len())
}

/// Whether the first tag says between whom it is.
fn is_addressed(stanza: &[u8]) -> bool {
    let end = memchr::memchr(b'>', stanza).unwrap_or(0);
    let tag = &stanza[..end];
    std::str::from_utf8(stanza).is_ok()
        && memmem::find(tag, b" from='").is_some()
        && memmem::find(tag, b" to='").is_some()
}
