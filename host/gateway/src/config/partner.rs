//! `[[partner]]`.

use portcullis_xmpp::jid::Domain;

use super::{
    claims::Claims,
    matrix::Methods,
    model::{Limits, Need, Partner, PartnerType},
    problem::Finding,
    section::{At, Section},
    values,
};

const NEEDS: &[(&str, Need)] = &[
    ("required", Need::Required),
    ("optional", Need::Optional),
    ("not-supported", Need::NotSupported),
];

pub(super) fn read(
    section: &Section<'_>,
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
    let proxy = section.parsed("proxy", values::host_port);
    let description = section.string("description");
    Some(Partner {
        domain: domain?.value,
        also: also?.into_iter().map(|domain| domain.value).collect(),
        partner_type,
        tls,
        sasl,
        dialback,
        keep_alive,
        connection_limit: usize::try_from(connection_limit).ok()?,
        proxy,
        description: description.map(|text| text.value.to_owned()),
    })
}

/// A partner is somebody else. Below a served domain it is legal, but hard to serve inside.
fn not_our_own(section: &Section<'_>, served: &Claims<Domain>, named: &At<Domain>) {
    let domain = &named.value;
    if let Some(own) = served.place(domain) {
        let message = format!("the partner domain `{domain}` is a domain of the gateway itself");
        section.report(Finding::error(named.span.clone(), message).also(own, "it is served here"));
    } else if let Some(above) = served.keys().find(|own| domain.is_subdomain_of(own)) {
        let message =
            format!("the partner domain `{domain}` lies below `{above}`, which the gateway serves");
        let help = "a minting CA that excludes the served domains makes no certificate for it";
        section.report(Finding::warning(named.span.clone(), message).help(help));
    }
}

/// The row of the negotiation matrix: valid, and possible in this version.
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
        Ok(_) if tls != Need::Required => {
            let message = format!("`tls` = \"{}\" is not implemented yet", tls.as_str());
            let help = "streams without TLS are refused; only \"required\" works today";
            section.report(Finding::error(written(&["tls"]), message).help(help));
        }
        Ok(methods) if methods.tls_dialback => {
            let message = format!(
                "`sasl` = \"{}\" with dialback is not implemented yet",
                sasl.as_str()
            );
            let help = "dialback does not exist in this version: write sasl = \"required\", or dialback = false";
            section.report(Finding::error(written(&["sasl"]), message).help(help));
        }
        Ok(methods) => {
            if let Some(remark) = methods.remark.filter(|_| section.has("dialback")) {
                section.report(Finding::warning(place, format!("[[partner]]: {remark}")));
            }
        }
    }
    (tls, sasl, dialback)
}
