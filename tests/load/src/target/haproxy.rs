//! haproxy as a relay: TLS with client certificates on both sides, bytes as they come.

use std::net::SocketAddr;

use super::{Certificates, OWN, RELAY, Target, free};
use crate::arguments::Subject;
use crate::process::{Program, installed};

pub(super) fn start(subject: &Subject, certificates: &Certificates, to: SocketAddr) -> Target {
    let dir = certificates.path();
    let identity = certificates.pki.partner(&[OWN, RELAY]);
    // It wants both in one file.
    let bundle = dir.join("haproxy.pem");
    let parts = [&identity.file, &identity.key_file].map(|file| std::fs::read(file).unwrap());
    std::fs::write(&bundle, parts.concat()).unwrap();
    let (listen, bundle) = (free(), bundle.display());
    let trust = certificates.pki.public.file.display();
    let config = dir.join("haproxy.cfg");
    let text = format!(
        "global\n  nbthread {threads}\n  maxconn 5000\n\
         defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n\
         frontend partners\n  bind {listen} ssl crt {bundle} ca-file {trust} verify required\n  default_backend own\n\
         backend own\n  server own {to} ssl crt {bundle} ca-file {trust} verify required sni str(end.load.test) verifyhost end.load.test\n",
        threads = subject.processors,
    );
    std::fs::write(&config, text).unwrap();
    let haproxy = Program {
        program: installed("haproxy").unwrap(),
        arguments: vec!["-db".into(), "-f".into(), config.display().to_string()],
        environment: Vec::new(),
        log: dir.join("haproxy.log"),
        processors: subject.processors,
    };
    Target {
        process: haproxy.until_it_listens(&[listen]),
        outside: listen,
        inside: listen,
        component: None,
    }
}
