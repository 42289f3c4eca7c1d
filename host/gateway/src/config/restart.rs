//! What of a configuration cannot change while the gateway runs.
//!
//! A reload replaces the partner records, the plugins and the trust anchors together, or nothing.

use super::model::Config;

impl Config {
    /// The keys in which `new` differs from `old` and that only a restart can apply, as messages
    /// name them. Empty: a reload can apply the whole of `new`.
    #[must_use]
    pub fn restart_needed(old: &Self, new: &Self) -> Vec<String> {
        let mut keys = Vec::new();
        let mut compare = |key: &str, same: bool| {
            if !same {
                keys.push(key.to_owned());
            }
        };
        let (a, b) = (&old.gateway, &new.gateway);
        compare("[gateway].domains", a.domains == b.domains);
        compare("[gateway].data_dir", a.data_dir == b.data_dir);
        compare("[gateway].plugins_dir", a.plugins_dir == b.plugins_dir);
        compare("[gateway].partners_dir", a.partners_dir == b.partners_dir);
        compare("[gateway].strict_jids", a.strict_jids == b.strict_jids);
        let (a, b) = (&old.federation, &new.federation);
        compare("[federation].listen", a.listen == b.listen);
        compare("[federation].source", a.source == b.source);
        compare(
            "the certificate files of [federation]",
            a.identities == b.identities,
        );
        compare(
            "[federation].dialback_secret",
            a.dialback_secret == b.dialback_secret,
        );
        compare(
            "[federation].proxy_protocol",
            a.proxy_protocol == b.proxy_protocol,
        );
        compare("[federation].bidi", a.bidi == b.bidi);
        compare(
            "[federation].stream_management",
            a.stream_management == b.stream_management,
        );
        let (a, b) = (&old.internal, &new.internal);
        compare("[internal].listen", a.listen == b.listen);
        compare(
            "the certificate files of [internal]",
            (&a.certificate, &a.key, &a.client_ca) == (&b.certificate, &b.key, &b.client_ca),
        );
        compare("[internal].mint", a.mint == b.mint);
        compare(
            "[internal].relay_internal",
            a.relay_internal == b.relay_internal,
        );
        compare(
            "[internal].proxy_protocol",
            a.proxy_protocol == b.proxy_protocol,
        );
        compare("[internal].bidi", a.bidi == b.bidi);
        compare(
            "[internal].stream_management",
            a.stream_management == b.stream_management,
        );
        compare("[[internal.server]]", a.servers == b.servers);
        compare("[dns]", old.dns == new.dns);
        compare("[timeouts]", old.timeouts == new.timeouts);
        compare("[limits]", old.limits == new.limits);
        compare("[admin]", old.admin == new.admin);
        keys
    }
}
