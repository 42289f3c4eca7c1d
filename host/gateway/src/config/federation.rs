//! `[federation]` and `[[federation.identity]]`.

use std::path::Path;

use portcullis_xmpp::jid::Domain;

use super::{
    claims::{Claims, Listeners},
    model::{Federation, Identity, Secret, Trust},
    problem::Finding,
    section::Section,
    shape::IDENTITY,
    values,
};

pub(super) fn read(
    section: &Section<'_>,
    base: &Path,
    served: &Claims<Domain>,
    listeners: &mut Listeners,
) -> Option<Federation> {
    let listen = section.listeners(listeners, "listen = [\"0.0.0.0:5269\"]");
    let source = section.parsed("source", values::address);
    let identities = identities(section, base, served);
    let trust = match section.parsed_list("trust", |text| values::trust(text, base)) {
        Some(list) if list.is_empty() => {
            let message = "`trust` in [federation] is empty: no partner could prove its name";
            let finding = Finding::error(section.place("trust"), message);
            section.report(finding.help("for example: trust = [\"system\"]"));
            None
        }
        Some(list) => Some(list.into_iter().map(|trust| trust.value).collect()),
        None => Some(vec![Trust::System]),
    };
    let dialback_secret = secret(section);
    let (crls, revocation) = section.revocation(base);
    let proxy_protocol = section.proxies();
    Some(Federation {
        listen: listen?,
        source,
        identities: identities?,
        trust: trust?,
        dialback_secret,
        crls: crls?,
        revocation,
        proxy_protocol: proxy_protocol?,
        bidi: section.flag("bidi", true),
        stream_management: section.flag("stream_management", true),
    })
}

/// `dialback_secret`. No message shows it.
fn secret(section: &Section<'_>) -> Option<Secret> {
    /// Fewer characters can be guessed from one key that was seen on the wire.
    const LEAST: usize = 16;
    let text = section.string("dialback_secret")?;
    if text.value.len() < LEAST {
        let message =
            format!("`dialback_secret` in [federation] has fewer than {LEAST} characters");
        let help = "who guesses it speaks for our domains: openssl rand -hex 32 makes a good one";
        section.report(Finding::warning(text.span, message).help(help));
    }
    Some(Secret::new(text.value.to_owned()))
}

/// The identities of the file, then the one of `[federation]` itself for all other domains.
fn identities(
    section: &Section<'_>,
    base: &Path,
    served: &Claims<Domain>,
) -> Option<Vec<Identity>> {
    let mut claimed = Claims::new("domain");
    let named: Vec<_> = section
        .sections("identity", &IDENTITY)
        .iter()
        .map(|identity| named_identity(identity, base, served, &mut claimed))
        .collect();
    let pair = section.certificate_pair(base);
    let mut identities = named.into_iter().collect::<Option<Vec<_>>>()?;
    let rest: Vec<Domain> = served
        .keys()
        .filter(|domain| !claimed.contains(domain))
        .cloned()
        .collect();
    if !section.has("certificate") && !section.has("key") {
        if !rest.is_empty() || identities.is_empty() {
            let names: Vec<_> = rest.iter().map(Domain::as_str).collect();
            let mut message = String::from("[federation] needs `certificate` and `key`");
            if !names.is_empty() {
                message.push_str(&format!(" for {}", names.join(", ")));
            }
            let help = "for example: certificate = \"fullchain.pem\" and key = \"key.pem\"";
            section.report(Finding::error(section.span(), message).help(help));
        }
        return Some(identities);
    }
    if rest.is_empty() && !identities.is_empty() {
        let message = "`certificate` in [federation] is shown for no domain";
        let finding = Finding::warning(section.place("certificate"), message);
        section.report(finding.help("each domain has a [[federation.identity]] of its own"));
    }
    let (certificate, key) = pair?;
    identities.push(Identity {
        domains: rest,
        certificate,
        key,
    });
    Some(identities)
}

fn named_identity(
    section: &Section<'_>,
    base: &Path,
    served: &Claims<Domain>,
    claimed: &mut Claims<Domain>,
) -> Option<Identity> {
    let domains = section.served_domains(served, claimed);
    if !section.has("certificate") && !section.has("key") {
        section.missing("certificate", "certificate = \"fullchain.pem\"");
    }
    let (certificate, key) = section.certificate_pair(base)?;
    Some(Identity {
        domains: domains?,
        certificate,
        key,
    })
}
