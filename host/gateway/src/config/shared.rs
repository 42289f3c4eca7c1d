//! What several sections have in common: listeners, files, domains that are ours.

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use portcullis_xmpp::jid::Domain;

use super::{
    claims::{Claims, Listeners},
    model::Revocation,
    problem::Finding,
    section::Section,
    values,
};

impl Section<'_> {
    /// A file that must be named; `example` shows how.
    pub(super) fn needed_file(&self, key: &str, base: &Path, example: &str) -> Option<PathBuf> {
        if !self.has(key) {
            self.missing(key, example);
        }
        self.parsed(key, |text| values::path(text, base))
    }

    /// `certificate` and `key`: both or neither.
    pub(super) fn certificate_pair(&self, base: &Path) -> Option<(PathBuf, PathBuf)> {
        match (self.has("certificate"), self.has("key")) {
            (true, false) => self.missing("key", "key = \"key.pem\""),
            (false, true) => self.missing("certificate", "certificate = \"fullchain.pem\""),
            _ => {}
        }
        let certificate = self.parsed("certificate", |text| values::path(text, base));
        let key = self.parsed("key", |text| values::path(text, base));
        certificate.zip(key)
    }

    /// A list that may be left out; none if it cannot be read, which is reported.
    pub(super) fn optional_list<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        match self.parsed_list(key, parse) {
            None if self.has(key) => None,
            list => Some(
                list.unwrap_or_default()
                    .into_iter()
                    .map(|at| at.value)
                    .collect(),
            ),
        }
    }

    /// `crls` and `revocation`: the lists, and what doubt means.
    pub(super) fn revocation(&self, base: &Path) -> (Option<Vec<PathBuf>>, Revocation) {
        let crls = self.optional_list("crls", |text| values::path(text, base));
        let revocation = self.choice(
            "revocation",
            &[("soft", Revocation::Soft), ("hard", Revocation::Hard)],
        );
        if revocation == Revocation::Hard && crls.as_ref().is_some_and(Vec::is_empty) {
            let header = self.header();
            let message = format!(
                "`revocation` = \"hard\" in {header} without `crls`: every certificate is refused"
            );
            let finding = Finding::error(self.place("revocation"), message);
            self.report(finding.help("name the files of the lists: crls = [\"ca.crl.pem\"]"));
        }
        (crls, revocation)
    }

    /// `proxy_protocol`: who may say for whom it speaks.
    pub(super) fn proxies(&self) -> Option<Vec<IpNet>> {
        let proxies = self.optional_list("proxy_protocol", values::network)?;
        if proxies.iter().any(|network| network.prefix_len() == 0) {
            let header = self.header();
            let message = format!("`proxy_protocol` in {header} names every address there is");
            let help = "anybody could claim any address: name the load balancers one by one";
            self.report(Finding::error(self.place("proxy_protocol"), message).help(help));
        }
        Some(proxies)
    }

    /// `listen`: at least one address, overlapping no other listener.
    pub(super) fn listeners(
        &self,
        all: &mut Listeners,
        example: &str,
    ) -> Option<Vec<std::net::SocketAddr>> {
        let list = self.parsed_list("listen", values::listener);
        if !self.has("listen") || list.as_ref().is_some_and(Vec::is_empty) {
            self.missing("listen", example);
            return None;
        }
        let list = list?;
        for address in &list {
            self.add_listener(all, address);
        }
        Some(list.into_iter().map(|address| address.value).collect())
    }

    /// `domains`: at least one, each served by the gateway and held by nobody else in `holders`.
    pub(super) fn served_domains(
        &self,
        served: &Claims<Domain>,
        holders: &mut Claims<Domain>,
    ) -> Option<Vec<Domain>> {
        let domains = self.parsed_list("domains", values::domain);
        if !self.has("domains") || domains.as_ref().is_some_and(Vec::is_empty) {
            self.missing("domains", "domains = [\"org.test\"]");
            return None;
        }
        let domains = domains?;
        for domain in &domains {
            let name = &domain.value;
            if !served.contains(name) {
                let message = format!("the domain `{name}` is not served by the gateway");
                let help = "add it to `domains` of [gateway], or take it away here";
                self.report(Finding::error(domain.span.clone(), message).help(help));
            }
            self.claim(holders, domain, self.header());
        }
        Some(domains.into_iter().map(|domain| domain.value).collect())
    }
}
