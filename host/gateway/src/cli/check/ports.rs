//! Ports tried for real: bound, and let go at once.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr, TcpListener},
};

use super::report::Report;
use crate::{
    admin::protocol::{Request, Response, Status},
    cli::{ask, terminal::Level},
    config::Config,
};

/// Tries every listener and the source address.
pub(super) fn check(config: &Config, report: &mut Report) {
    report.about("Ports");
    let running = running(config);
    for (what, address) in listeners(config) {
        listener(what, address, running.as_ref(), report);
    }
    if let Some(source) = config.federation.source {
        source_address(source, report);
    }
}

fn listeners(config: &Config) -> impl Iterator<Item = (&'static str, SocketAddr)> {
    let outside = config
        .federation
        .listen
        .iter()
        .map(|address| ("federation", *address));
    let inside = config
        .internal
        .listen
        .iter()
        .map(|address| ("internal", *address));
    let admin = config.admin.iter().map(|admin| ("admin", admin.listen));
    outside.chain(inside).chain(admin)
}

/// The gateway that this configuration already runs as, if so.
fn running(config: &Config) -> Option<Status> {
    match ask::ask(&config.gateway.data_dir, &Request::Status) {
        Ok(Response::Status(status)) => Some(*status),
        _ => None,
    }
}

fn listener(what: &str, address: SocketAddr, running: Option<&Status>, report: &mut Report) {
    let error = match TcpListener::bind(address) {
        Ok(_) => return report.ok(format!("{what}: {address} is free")),
        Err(error) => error,
    };
    let text = address.to_string();
    let held = |status: &&Status| status.listeners.iter().any(|held| held.address == text);
    if let Some(status) = running.filter(held) {
        let pid = status.pid;
        return report.ok(format!(
            "{what}: {address} is held by the running gateway (process {pid})"
        ));
    }
    let help = match error.kind() {
        ErrorKind::AddrInUse => Some(format!(
            "another process listens there: ss -ltnp 'sport = :{}'",
            address.port()
        )),
        ErrorKind::AddrNotAvailable => {
            Some("no interface of this machine has the address: ip address".to_owned())
        }
        ErrorKind::PermissionDenied => {
            Some("ports below 1024 need root or CAP_NET_BIND_SERVICE".to_owned())
        }
        _ => None,
    };
    report.add(Level::Problem, format!("{what}: {address}: {error}"), help);
}

fn source_address(source: IpAddr, report: &mut Report) {
    match TcpListener::bind(SocketAddr::new(source, 0)) {
        Ok(_) => report.ok(format!("outgoing streams leave from {source}")),
        Err(error) => report.add(
            Level::Problem,
            format!("`source` {source} cannot be used: {error}"),
            Some("it must be an address of this machine: ip address".to_owned()),
        ),
    }
}
