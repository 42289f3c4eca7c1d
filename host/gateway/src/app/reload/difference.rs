//! What differs between two generations.
//!
//! In: the [`Content`] that judges and the one that should. Out: [`Changes`], and the same in words.
//! A file that lies elsewhere but holds the same is no difference.

use std::collections::BTreeMap;

use crate::admin::protocol::{Build, Changes, Difference, PartnerChange, PluginChange};
use crate::app::content::{Content, hex};
use crate::config::{Config, Partner, Plugin, Trust};

impl Changes {
    /// Whether nothing differs.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What `new` has that `old` has not, and the other way round.
pub(super) fn between(old: &Content, new: &Content) -> Changes {
    Changes {
        plugins: plugins(old, new),
        order: order(&old.config, &new.config),
        partners: partners(old, new),
        trust: trust(old, new),
        settings: settings(&old.config, &new.config),
    }
}

fn plugins(old: &Content, new: &Content) -> Vec<PluginChange> {
    let by_name = |content: &'_ Content| -> BTreeMap<String, Plugin> {
        let plugins = content.config.plugins.iter();
        plugins
            .map(|plugin| (plugin.name.clone(), plugin.clone()))
            .collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let mut changes = Vec::new();
    for plugin in &new.config.plugins {
        let now = component(new, plugin);
        let Some(was) = before.get(&plugin.name) else {
            changes.push(PluginChange {
                name: plugin.name.clone(),
                difference: Difference::Added,
                before: None,
                after: now,
                replaced: false,
                settings: Vec::new(),
            });
            continue;
        };
        let earlier = component(old, was);
        let mut settings = plugin_settings(was, plugin);
        if granted(old, was) != granted(new, plugin) {
            settings.push("files".to_owned());
        }
        let replaced = earlier != now;
        if replaced || !settings.is_empty() {
            changes.push(PluginChange {
                name: plugin.name.clone(),
                difference: Difference::Changed,
                before: earlier,
                after: now,
                replaced,
                settings,
            });
        }
    }
    let gone = (old.config.plugins.iter()).filter(|plugin| !after.contains_key(&plugin.name));
    changes.extend(gone.map(|plugin| PluginChange {
        name: plugin.name.clone(),
        difference: Difference::Removed,
        before: component(old, plugin),
        after: None,
        replaced: false,
        settings: Vec::new(),
    }));
    changes
}

fn component(content: &Content, plugin: &Plugin) -> Option<Build> {
    content.digest(&plugin.component).map(|digest| Build {
        digest: hex(&digest),
        version: None,
    })
}

/// What a plugin may read, by its own names.
fn granted(content: &Content, plugin: &Plugin) -> Vec<(String, Option<[u8; 32]>)> {
    let files = plugin.files.iter();
    files
        .map(|(name, path)| (name.clone(), content.digest(path)))
        .collect()
}

/// Pushes the names of the fields that differ; whatever is not listed counts as `other settings`.
macro_rules! differing {
    ($old:expr, $new:expr, $($key:literal: $field:ident),+ $(,)?) => {{
        let (old, new) = ($old, $new);
        let mut keys: Vec<String> = Vec::new();
        let mut rest = new.clone();
        $(
            if old.$field != new.$field {
                keys.push($key.to_owned());
                rest.$field = old.$field.clone();
            }
        )+
        if rest != *old {
            keys.push("other settings".to_owned());
        }
        keys
    }};
}

fn plugin_settings(old: &Plugin, new: &Plugin) -> Vec<String> {
    // What these files hold is told by their digests.
    let new = &Plugin {
        component: old.component.clone(),
        files: old.files.clone(),
        ..new.clone()
    };
    differing!(old, new,
        "config": config,
        "on_failure": on_failure,
        "mode": mode,
        "budget": budget,
        "memory": memory,
        "grants": grants,
        "sha256": sha256,
        "signature": signature,
        "component_size": component_size,
        "state_bytes": state_bytes,
        "state_keys": state_keys,
        "log_lines": log_lines,
        "edits": edits,
    )
}

fn order(old: &Config, new: &Config) -> Option<Vec<String>> {
    let names = |of: &Config, other: &Config| -> Vec<String> {
        let stays = |plugin: &&Plugin| other.plugins.iter().any(|o| o.name == plugin.name);
        let stays = of.plugins.iter().filter(stays);
        stays.map(|plugin| plugin.name.clone()).collect()
    };
    let chain = || new.plugins.iter().map(|plugin| plugin.name.clone());
    (names(old, new) != names(new, old)).then(|| chain().collect())
}

fn partners(old: &Content, new: &Content) -> Vec<PartnerChange> {
    let by_domain = |content: &'_ Content| -> BTreeMap<String, Partner> {
        let partners = content.config.partners.iter();
        partners
            .map(|partner| (partner.domain.to_string(), partner.clone()))
            .collect()
    };
    let (before, after) = (by_domain(old), by_domain(new));
    let change = |domain: &String, difference, settings| PartnerChange {
        domain: domain.clone(),
        difference,
        settings,
    };
    let mut changes = Vec::new();
    for (domain, now) in &after {
        let Some(was) = before.get(domain) else {
            changes.push(change(domain, Difference::Added, Vec::new()));
            continue;
        };
        let mut settings = partner_settings(was, now);
        if sources(old, &was.trust) != sources(new, &now.trust) {
            settings.push("trust".to_owned());
        }
        if !settings.is_empty() {
            changes.push(change(domain, Difference::Changed, settings));
        }
    }
    let gone = before.keys().filter(|domain| !after.contains_key(*domain));
    changes.extend(gone.map(|domain| change(domain, Difference::Removed, Vec::new())));
    changes
}

fn partner_settings(old: &Partner, new: &Partner) -> Vec<String> {
    let new = &Partner {
        trust: old.trust.clone(),
        ..new.clone()
    };
    differing!(old, new,
        "also": also,
        "type": partner_type,
        "tls": tls,
        "sasl": sasl,
        "dialback": dialback,
        "keep_alive": keep_alive,
        "connection_limit": connection_limit,
        "proxy": proxy,
        "description": description,
        "contact": contact,
        "direction": direction,
        "subdomains": subdomains,
        "pins": pins,
        "dane": dane,
        "posh": posh,
        "stanzas_in": stanzas_in,
        "stanzas_out": stanzas_out,
        "group_chat": group_chat,
        "stanza_bytes": stanza_bytes,
        "rate_in": rate_in,
        "rate_out": rate_out,
        "valid_until": valid_until,
        "bidi": bidi,
        "stream_management": stream_management,
    )
}

/// What a list of trust says, wherever its files lie.
fn sources(content: &Content, list: &[Trust]) -> Vec<Option<[u8; 32]>> {
    let source = |trust: &Trust| match trust {
        // No file has this digest.
        Trust::System => Some([0; 32]),
        Trust::File(path) => content.digest(path),
    };
    list.iter().map(source).collect()
}

fn trust(old: &Content, new: &Content) -> Vec<String> {
    let mut changes = Vec::new();
    let (a, b) = (&old.config.federation, &new.config.federation);
    if sources(old, &a.trust) != sources(new, &b.trust) {
        changes.push("[federation].trust".to_owned());
    }
    let client_ca = |content: &Content| content.digest(&content.config.internal.client_ca);
    if client_ca(old) != client_ca(new) {
        changes.push("[internal].client_ca".to_owned());
    }
    let keys = |content: &Content| -> Vec<_> {
        let files = content.config.gateway.plugin_keys.iter();
        files.map(|file| content.digest(file)).collect()
    };
    if keys(old) != keys(new) {
        changes.push("[gateway].plugin_keys".to_owned());
    }
    let (i, j) = (&old.config.internal, &new.config.internal);
    for (key, same) in [
        ("[federation].crls", a.crls == b.crls),
        ("[federation].revocation", a.revocation == b.revocation),
        ("[internal].crls", i.crls == j.crls),
        ("[internal].revocation", i.revocation == j.revocation),
    ] {
        if !same {
            changes.push(key.to_owned());
        }
    }
    changes
}

fn settings(old: &Config, new: &Config) -> Vec<String> {
    let mut changes = Vec::new();
    if old.gateway.generations_kept != new.gateway.generations_kept {
        changes.push("[gateway].generations_kept".to_owned());
    }
    changes
}

/// What changed, one line each, for the log and for people.
pub(super) fn words(changes: &Changes) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(changes.plugins.iter().map(plugin_words));
    lines.extend(
        (changes.order.as_ref()).map(|chain| format!("the chain is now {}", chain.join(", "))),
    );
    lines.extend(changes.partners.iter().map(|partner| {
        let domain = &partner.domain;
        match partner.difference {
            Difference::Added => format!("partner {domain} added"),
            Difference::Removed => format!("partner {domain} removed"),
            Difference::Changed => {
                format!("partner {domain} changed: {}", partner.settings.join(", "))
            }
        }
    }));
    let more = changes.trust.iter().chain(&changes.settings);
    lines.extend(more.map(|key| format!("{key} has changed")));
    lines
}

fn plugin_words(change: &PluginChange) -> String {
    let shown = |component: &Option<Build>| match component {
        Some(component) => {
            let digest: String = component.digest.chars().take(12).collect();
            match &component.version {
                Some(version) => format!("{version} ({digest})"),
                None => digest,
            }
        }
        None => "a file that cannot be read".to_owned(),
    };
    let (name, before, after) = (&change.name, shown(&change.before), shown(&change.after));
    match change.difference {
        Difference::Added => format!("plugin {name} added: {after}"),
        Difference::Removed => format!("plugin {name} removed: {before}"),
        Difference::Changed => {
            let mut parts = Vec::new();
            if change.replaced {
                parts.push(format!("replaced: {before} -> {after}"));
            }
            if !change.settings.is_empty() {
                parts.push(format!("reconfigured: {}", change.settings.join(", ")));
            }
            format!("plugin {name} {}", parts.join("; "))
        }
    }
}
