//! `[internal]` and `[[internal.server]]`.

use std::path::Path;

use portcullis_xmpp::jid::Domain;

use super::{
    claims::{Claims, Listeners},
    model::{Internal, Mint, Server, ServerTls},
    problem::Finding,
    section::Section,
    shape::{MINT, SERVER},
    values,
};

pub(super) fn read(
    section: &Section<'_>,
    base: &Path,
    served: &Claims<Domain>,
    listeners: &mut Listeners,
) -> Option<Internal> {
    let listen = section.listeners(listeners, "listen = [\"10.0.0.5:23456\"]");
    let certificate = section.needed_file("certificate", base, "certificate = \"gateway.pem\"");
    let key = section.needed_file("key", base, "key = \"gateway.key\"");
    let client_ca = section.needed_file("client_ca", base, "client_ca = \"internal-ca.pem\"");
    let mint = section.table_at("mint", &MINT).map(|mint| {
        let ca = mint.needed_file("ca", base, "ca = \"mint-ca.pem\"");
        let key = mint.needed_file("key", base, "key = \"mint-ca.key\"");
        Some(Mint { ca: ca?, key: key? })
    });
    let relay_internal = section.flag("relay_internal", false);
    let (crls, revocation) = section.revocation(base);
    let proxy_protocol = section.proxies();
    let bidi = section.flag("bidi", true);
    let servers = servers(section, served, bidi);
    Some(Internal {
        listen: listen?,
        certificate: certificate?,
        key: key?,
        client_ca: client_ca?,
        mint: match mint {
            Some(mint) => Some(mint?),
            None => None,
        },
        relay_internal,
        crls: crls?,
        revocation,
        proxy_protocol: proxy_protocol?,
        bidi,
        stream_management: section.flag("stream_management", true),
        servers: servers?,
    })
}

fn servers(section: &Section<'_>, served: &Claims<Domain>, bidi: bool) -> Option<Vec<Server>> {
    let mut hosted = Claims::new("domain");
    let servers: Vec<_> = section
        .sections("server", &SERVER)
        .iter()
        .map(|server| {
            let domains = server.served_domains(served, &mut hosted);
            let connect = server.optional_list("connect", values::host_port)?;
            if connect.is_empty() && !bidi {
                let message = "[[internal.server]] needs `connect`, where the server takes stanzas";
                let finding = Finding::error(server.place("connect"), message).help(
                    "for example: connect = [\"10.0.0.7:5269\"]; without it, `bidi` in [internal] must be true and the server must speak XEP-0288",
                );
                server.report(finding);
            }
            let tls = server.choice("tls", &[
                ("starttls", ServerTls::StartTls),
                ("direct", ServerTls::Direct),
            ]);
            Some(Server {
                domains: domains?,
                connect,
                tls,
            })
        })
        .collect();
    let servers = servers.into_iter().collect::<Option<Vec<_>>>()?;
    for domain in served.keys().filter(|domain| !hosted.contains(domain)) {
        let message = format!("the domain `{domain}` belongs to no [[internal.server]]");
        let place = served.place(domain);
        let span = place.map_or_else(|| section.span(), |place| place.span.clone());
        section.report(
            Finding::error(span, message).help("add it to `domains` of the server that hosts it"),
        );
    }
    Some(servers)
}
