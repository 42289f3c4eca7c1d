//! `[[partner]]`.

use std::path::Path;

use portcullis_xmpp::jid::Domain;
use time::OffsetDateTime;

use super::{
    claims::Claims,
    matrix::Methods,
    model::Limits,
    problem::Finding,
    read::STANZA_LEAST,
    record::{Flow, Kinds, Need, Partner, PartnerType, Rate},
    section::{At, Section},
    shape, values,
};

const NEEDS: &[(&str, Need)] = &[
    ("required", Need::Required),
    ("optional", Need::Optional),
    ("not-supported", Need::NotSupported),
];

pub(super) fn read(
    section: &Section<'_>,
    base: &Path,
    limits: &Limits,
    served: &Claims<Domain>,
    partners: &mut Claims<Domain>,
) -> Option<Partner> {
    if !section.has("domain") {
        section.missing("domain", "domain = \"alpha.test\"");
    }
    let domain = section.parsed("domain", values::domain).map(|value| At {
        value,
        span: section.place("domain"),
    });
    let also = match section.parsed_list("also", values::domain) {
        None if section.has("also") => None,
        also => Some(also.unwrap_or_default()),
    };
    let holder = match &domain {
        Some(domain) => format!("the record of {}", domain.value),
        None => String::from("a record without a domain"),
    };
    for named in domain.iter().chain(also.iter().flatten()) {
        section.claim(partners, named, &holder);
        not_our_own(section, served, named);
    }
    let (tls, sasl, dialback) = proof(section);
    let partner_type = section.choice(
        "type",
        &[
            ("public-unverified", PartnerType::PublicUnverified),
            ("public-verified", PartnerType::PublicVerified),
            ("federated", PartnerType::Federated),
        ],
    );
    let keep_alive = section.flag("keep_alive", true);
    let all = limits.connections as u64;
    let default_limit = limits.connections_per_partner as u64;
    let connection_limit = section.number("connection_limit", default_limit, 1..=all);
    let stanza_most = limits.stanza_bytes as u64;
    let stanza_bytes = section.number("stanza_bytes", stanza_most, STANZA_LEAST..=stanza_most);
    let text = |key| section.string(key).map(|text| text.value.to_owned());
    let proxy = match section.parsed("proxy", values::host_port) {
        None if section.has("proxy") => None,
        proxy => Some(proxy),
    };
    let trust = section.optional_list("trust", |text| values::trust(text, base));
    let pins = section.optional_list("pins", values::pin);
    let direction = section.choice(
        "direction",
        &[
            ("both", Flow::Both),
            ("inbound", Flow::Inbound),
            ("outbound", Flow::Outbound),
        ],
    );
    let proves_by_certificate = tls != Need::NotSupported && sasl != Need::NotSupported;
    for key in ["trust", "pins", "dane", "posh"] {
        if section.has(key) && !proves_by_certificate {
            let message = format!("`{key}` in [[partner]] has no use without TLS and SASL");
            let help = "a certificate is looked at only where it may prove the partner's name";
            section.report(Finding::warning(section.place(key), message).help(help));
        }
    }
    Some(Partner {
        domain: domain?.value,
        also: also?.into_iter().map(|domain| domain.value).collect(),
        partner_type,
        tls,
        sasl,
        dialback,
        keep_alive,
        connection_limit: usize::try_from(connection_limit).ok()?,
        proxy: proxy?,
        description: text("description"),
        contact: text("contact"),
        direction,
        subdomains: section.flag("subdomains", false),
        trust: trust?,
        pins: pins?,
        dane: section.flag("dane", false),
        posh: section.flag("posh", false),
        stanzas_in: kinds(section, "stanzas_in"),
        stanzas_out: kinds(section, "stanzas_out"),
        group_chat: section.flag("group_chat", true),
        stanza_bytes: usize::try_from(stanza_bytes).ok()?,
        rate_in: rate(section, "rate_in"),
        rate_out: rate(section, "rate_out"),
        valid_until: valid_until(section),
        bidi: section.flag("bidi", true),
        stream_management: section.flag("stream_management", true),
    })
}

/// A list of the kinds that pass; all of them if the file leaves it out.
fn kinds(section: &Section<'_>, key: &str) -> Kinds {
    let Some(words) = section.strings(key) else {
        return Kinds::ALL;
    };
    let mut kinds = Kinds {
        message: false,
        presence: false,
        iq: false,
    };
    for word in words {
        match word.value {
            "message" => kinds.message = true,
            "presence" => kinds.presence = true,
            "iq" => kinds.iq = true,
            other => {
                let message = format!("`{key}` in [[partner]] cannot have \"{other}\"");
                let help = "the kinds are \"message\", \"presence\", \"iq\"";
                section.report(Finding::error(word.span, message).help(help));
            }
        }
    }
    kinds
}

/// `{ stanzas, bytes }` per second, either or both.
fn rate(section: &Section<'_>, key: &str) -> Rate {
    let Some(table) = section.table_at(key, &shape::RATE) else {
        return Rate::default();
    };
    if !table.has("stanzas") && !table.has("bytes") {
        table.missing("stanzas", "{ stanzas = 50, bytes = 100000 }");
    }
    let number = |key, most| {
        let written = table.has(key);
        written.then(|| table.number(key, most, 1..=most))
    };
    Rate {
        stanzas: number("stanzas", 1_000_000).and_then(|number| u32::try_from(number).ok()),
        bytes: number("bytes", 1 << 40),
    }
}

/// The end of the record. One that has passed is legal: the record is then as if it were not there.
fn valid_until(section: &Section<'_>) -> Option<OffsetDateTime> {
    let end = section.time("valid_until")?;
    if end <= OffsetDateTime::now_utc() {
        let message = "`valid_until` in [[partner]] has passed: the record counts as absent";
        section.report(Finding::warning(section.place("valid_until"), message));
    }
    Some(end)
}

/// A partner is somebody else. Below a served domain it is legal, but hard to serve inside.
fn not_our_own(section: &Section<'_>, served: &Claims<Domain>, named: &At<Domain>) {
    let domain = &named.value;
    if let Some(own) = served.place(domain) {
        let message = format!("the partner domain `{domain}` is a domain of the gateway itself");
        section.report(
            Finding::error(named.span.clone(), message).also_at(own.clone(), "it is served here"),
        );
    } else if let Some(above) = served.keys().find(|own| domain.is_subdomain_of(own)) {
        let message =
            format!("the partner domain `{domain}` lies below `{above}`, which the gateway serves");
        let help = "a minting CA that excludes the served domains makes no certificate for it";
        section.report(Finding::warning(named.span.clone(), message).help(help));
    }
}

/// The row of the negotiation matrix, which must leave the partner a way to prove its name.
fn proof(section: &Section<'_>) -> (Need, Need, bool) {
    let tls = section.choice("tls", NEEDS);
    let sasl = section.choice("sasl", NEEDS);
    let dialback = section.flag("dialback", true);
    let written = |keys: &[&'static str]| {
        let key = keys.iter().find(|key| section.has(key));
        section.place(key.unwrap_or(&"domain"))
    };
    let place = written(&["dialback", "sasl", "tls"]);
    match Methods::of(tls, sasl, dialback) {
        Err(invalid) => {
            let row = format!(
                "tls = \"{}\", sasl = \"{}\", dialback = {dialback}",
                tls.as_str(),
                sasl.as_str()
            );
            section.report(Finding::error(
                place,
                format!("[[partner]] with {row}: {invalid}"),
            ));
        }
        Ok(methods) => {
            // The defaults are such a row, and no record that says nothing of it is told off for that.
            let written = ["tls", "sasl", "dialback"]
                .iter()
                .any(|key| section.has(key));
            if let Some(remark) = methods.remark.filter(|_| written) {
                section.report(Finding::warning(place, format!("[[partner]]: {remark}")));
            }
        }
    }
    (tls, sasl, dialback)
}
