//! Which key belongs where, and what a reader of a wrong key probably meant.

use portcullis_policy::schema::nearest;

/// One table of the file: how its header is written, and its keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) header: &'static str,
    pub(super) keys: &'static [&'static str],
}

pub(super) static ROOT: Shape = Shape {
    header: "the top level",
    keys: &[
        "gateway",
        "federation",
        "internal",
        "dns",
        "timeouts",
        "limits",
        "partner",
        "plugin",
        "admin",
    ],
};
/// The top level of a file of `partners_dir`.
pub(super) static PARTNERS: Shape = Shape {
    header: "the top level of a file of partners",
    keys: &["partner"],
};
pub(super) static GATEWAY: Shape = Shape {
    header: "[gateway]",
    keys: &[
        "domains",
        "data_dir",
        "plugins_dir",
        "partners_dir",
        "strict_jids",
        "plugin_keys",
        "generations_kept",
    ],
};
/// The top level of a policy that was kept.
pub(super) static POLICY: Shape = Shape {
    header: "the policy",
    keys: &["partner", "plugin", "plugin_keys", "trust"],
};
pub(super) static FEDERATION: Shape = Shape {
    header: "[federation]",
    keys: &[
        "listen",
        "source",
        "certificate",
        "key",
        "identity",
        "trust",
        "dialback_secret",
        "crls",
        "revocation",
        "proxy_protocol",
        "bidi",
        "stream_management",
    ],
};
pub(super) static IDENTITY: Shape = Shape {
    header: "[[federation.identity]]",
    keys: &["domains", "certificate", "key"],
};
pub(super) static INTERNAL: Shape = Shape {
    header: "[internal]",
    keys: &[
        "listen",
        "certificate",
        "key",
        "client_ca",
        "mint",
        "relay_internal",
        "crls",
        "revocation",
        "proxy_protocol",
        "bidi",
        "stream_management",
        "server",
    ],
};
pub(super) static MINT: Shape = Shape {
    header: "[internal] mint",
    keys: &["ca", "key"],
};
pub(super) static SERVER: Shape = Shape {
    header: "[[internal.server]]",
    keys: &["domains", "connect", "tls"],
};
pub(super) static DNS: Shape = Shape {
    header: "[dns]",
    keys: &["servers", "allow_private", "trust_anchors"],
};
pub(super) static TIMEOUTS: Shape = Shape {
    header: "[timeouts]",
    keys: &[
        "establish",
        "inactivity",
        "keepalive",
        "subscription_refresh",
        "resumption",
    ],
};
pub(super) static LIMITS: Shape = Shape {
    header: "[limits]",
    keys: &[
        "connections",
        "connections_per_partner",
        "connections_per_address",
        "attempts_per_minute",
        "stanza_bytes",
        "pairs_per_stream",
        "minimum_rate",
    ],
};
pub(super) static PARTNER: Shape = Shape {
    header: "[[partner]]",
    keys: &[
        "domain",
        "also",
        "type",
        "tls",
        "sasl",
        "dialback",
        "keep_alive",
        "connection_limit",
        "proxy",
        "description",
        "contact",
        "direction",
        "subdomains",
        "trust",
        "pins",
        "dane",
        "posh",
        "stanzas_in",
        "stanzas_out",
        "group_chat",
        "stanza_bytes",
        "rate_in",
        "rate_out",
        "valid_until",
        "bidi",
        "stream_management",
    ],
};
pub(super) static RATE: Shape = Shape {
    header: "a rate of [[partner]]",
    keys: &["stanzas", "bytes"],
};
pub(super) static PLUGIN: Shape = Shape {
    header: "[[plugin]]",
    keys: &[
        "name",
        "component",
        "on_failure",
        "mode",
        "budget",
        "memory",
        "grants",
        "config",
        "component_size",
        "state_bytes",
        "state_keys",
        "log_lines",
        "edits",
        "files",
        "sha256",
        "signature",
    ],
};
pub(super) static ADMIN: Shape = Shape {
    header: "[admin]",
    keys: &["listen"],
};

static ALL: &[&Shape] = &[
    &ROOT,
    &GATEWAY,
    &FEDERATION,
    &IDENTITY,
    &INTERNAL,
    &MINT,
    &SERVER,
    &DNS,
    &TIMEOUTS,
    &LIMITS,
    &PARTNER,
    &RATE,
    &PLUGIN,
    &ADMIN,
];

/// Words that people bring along from elsewhere (Lync's cmdlets first) and where we keep the thing.
static ELSEWHERE: &[(&str, &str)] = &[
    (
        "port",
        "the port is a part of `listen`, as in \"0.0.0.0:5269\"",
    ),
    ("xmpplisteningport", "that is `listen` of [federation]"),
    ("xmppinternalport", "that is `listen` of [internal]"),
    ("additionaldomains", "that is `also` of [[partner]]"),
    ("partnertype", "that is `type` of [[partner]]"),
    ("tlsnegotiation", "that is `tls` of [[partner]]"),
    ("saslnegotiation", "that is `sasl` of [[partner]]"),
    (
        "supportdialbacknegotiation",
        "that is `dialback` of [[partner]]",
    ),
    ("enablekeepalive", "that is `keep_alive` of [[partner]]"),
    (
        "subscriptionrefreshinterval",
        "that is `subscription_refresh` of [timeouts]",
    ),
    ("proxyfqdn", "that is `proxy` of [[partner]]"),
    (
        "connectionlimit",
        "that is `connections` of [limits] or `connection_limit` of [[partner]]",
    ),
    (
        "partnerconnectionlimit",
        "that is `connections_per_partner` of [limits]",
    ),
    (
        "dialbackpassphrase",
        "that is `dialback_secret` of [federation]",
    ),
    ("keepaliveinterval", "that is `keepalive` of [timeouts]"),
    (
        "streamestablishmenttimeout",
        "that is `establish` of [timeouts]",
    ),
    (
        "streaminactivitytimeout",
        "that is `inactivity` of [timeouts]",
    ),
    (
        "enableloggingallmessagebodies",
        "that is `bodies` in the [plugin.config] of the audit-log plugin",
    ),
];

/// What the writer of an unknown `key` in `shape` probably meant.
pub(super) fn suggestion(shape: &Shape, key: &str) -> String {
    if *shape == PARTNERS && ROOT.keys.contains(&key) {
        return format!("`{key}` belongs in the main file; here are only [[partner]] records");
    }
    let homes: Vec<_> = ALL
        .iter()
        .filter(|other| **other != shape && other.keys.contains(&key))
        .map(|other| other.header)
        .collect();
    if let Some(near) = nearest(key, shape.keys) {
        return format!("did you mean `{near}`?");
    }
    if !homes.is_empty() {
        return format!("`{key}` belongs in {}", homes.join(" or "));
    }
    let bare = key.replace(['_', '-'], "").to_lowercase();
    if let Some((_, home)) = ELSEWHERE.iter().find(|(word, _)| *word == bare) {
        return (*home).to_owned();
    }
    for other in ALL {
        if let Some(near) = nearest(key, other.keys) {
            return format!("did you mean `{near}` in {}?", other.header);
        }
    }
    format!("the keys here are {}", shape.keys.join(", "))
}
