//! The policy that is swapped, one thing at a time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use portcullis::admin::protocol::{Changes, Difference, PartnerChange, PluginChange};
use portcullis_end_to_end::build_plugin;

/// What a swap changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The file of a component.
    Component,
    /// A plugin's configuration.
    Config,
    /// One plugin more.
    Added,
    /// The plugins' order.
    Order,
    /// The same plugin less.
    Removed,
    /// A partner's record: of one whose streams carry the load, or of another one.
    Partners,
}

impl Kind {
    /// In the order in which they follow each other.
    pub(crate) const ALL: [Self; 6] = [
        Self::Component,
        Self::Config,
        Self::Added,
        Self::Order,
        Self::Removed,
        Self::Partners,
    ];
}

/// Contents of the component. Each is compiled once, while stanzas are judged.
const VARIANTS: u8 = 8;

/// Where components are.
pub(crate) struct Shelf {
    plugins: PathBuf,
    stamp: Vec<u8>,
}

impl Shelf {
    pub(crate) fn new(plugins: &Path) -> Self {
        std::fs::create_dir(plugins).unwrap();
        let audit = build_plugin("plugins/audit-log");
        std::fs::copy(audit, plugins.join("audit_log.wasm")).unwrap();
        let shelf = Self {
            plugins: plugins.to_owned(),
            stamp: std::fs::read(build_plugin("tests/end-to-end/stamp")).unwrap(),
        };
        std::fs::write(shelf.plugins.join("other.wasm"), &shelf.stamp).unwrap();
        shelf.put(0);
        shelf
    }

    pub(crate) fn plugins(&self) -> &Path {
        &self.plugins
    }

    /// Replaces the component of the plugin `one` whole, by a rename. A custom section behind it makes it
    /// another one.
    fn put(&self, variant: u8) {
        let content = [&self.stamp[..], &[0, 3, 1, b't', variant]].concat();
        let temporary = self.plugins.join(".new");
        std::fs::write(&temporary, content).unwrap();
        std::fs::rename(temporary, self.plugins.join("one.wasm")).unwrap();
    }
}

/// What stands in the configuration now.
pub(crate) struct Policy {
    alpha: SocketAddr,
    beta: SocketAddr,
    turns: usize,
    component: u8,
    word: u64,
    turned: bool,
    three: bool,
    records: u64,
}

impl Policy {
    pub(crate) fn new(alpha: SocketAddr, beta: SocketAddr) -> Self {
        Self {
            alpha,
            beta,
            turns: 0,
            component: 0,
            word: 0,
            turned: false,
            three: false,
            records: 0,
        }
    }

    /// Changes the next thing, and says which it is. A component is replaced at once; of everything else
    /// only [`text`](Self::text) is different.
    pub(crate) fn turn(&mut self, shelf: &Shelf) -> Kind {
        let kind = Kind::ALL[self.turns % Kind::ALL.len()];
        self.turns += 1;
        match kind {
            Kind::Component => {
                self.component = (self.component + 1) % VARIANTS;
                shelf.put(self.component);
            }
            Kind::Config => self.word += 1,
            Kind::Added => self.three = true,
            Kind::Order => self.turned = !self.turned,
            Kind::Removed => self.three = false,
            Kind::Partners => self.records += 1,
        }
        kind
    }

    /// Whether a reload has told this change, and nothing else.
    pub(crate) fn is_what(&self, changes: &Changes, kind: Kind) -> bool {
        let (mut plugin, mut partner) = (None, None);
        match (&changes.plugins[..], &changes.partners[..]) {
            ([one], []) => plugin = Some(one),
            ([], [one]) => partner = Some(one),
            ([], []) => {}
            _ => return false,
        }
        let named = |name: &str, difference| {
            plugin.is_some_and(|it: &PluginChange| it.name == name && it.difference == difference)
        };
        let set = |settings: &[&str]| plugin.is_some_and(|it| it.settings == settings);
        let replaced = plugin.is_some_and(|it| it.replaced);
        match kind {
            Kind::Component => named("one", Difference::Changed) && replaced && set(&[]),
            Kind::Config => named("two", Difference::Changed) && !replaced && set(&["config"]),
            Kind::Added => named("three", Difference::Added),
            Kind::Removed => named("three", Difference::Removed),
            Kind::Order => plugin.is_none() && partner.is_none() && changes.order.is_some(),
            Kind::Partners => partner.is_some_and(|it: &PartnerChange| {
                let name = if self.records % 2 == 1 {
                    "gamma.test"
                } else {
                    "alpha.test"
                };
                it.domain == name
            }),
        }
    }

    /// What the filters sign a message with, in their order.
    pub(crate) fn stamps(&self) -> String {
        let words = self.filters().into_iter().map(|name| self.word(name) + " ");
        words.collect()
    }

    fn filters(&self) -> Vec<&'static str> {
        let mut filters = vec!["one", "two"];
        if self.three {
            filters.push("three");
        }
        if self.turned {
            filters.reverse();
        }
        filters
    }

    fn word(&self, name: &str) -> String {
        match name {
            "two" => format!("two{}", self.word),
            name => name.to_owned(),
        }
    }

    /// The end of the configuration.
    pub(crate) fn text(&self) -> String {
        let mut plugins: Vec<_> = self
            .filters()
            .into_iter()
            .map(|name| {
                let component = if name == "one" { name } else { "other" };
                format!(
                    "[[plugin]]\nname = '{name}'\ncomponent = '{component}.wasm'\n\
                     [plugin.config]\nword = '{}'\n",
                    self.word(name)
                )
            })
            .collect();
        let audit = "[[plugin]]\nname = 'audit'\ncomponent = 'audit_log.wasm'\n".to_owned();
        let place = if self.turned { 0 } else { plugins.len() };
        plugins.insert(place, audit);
        plugins.concat() + &self.partners()
    }

    /// Gamma comes, alpha's record changes, gamma goes, alpha's is again what it was.
    fn partners(&self) -> String {
        let alpha_bytes = if self.records % 4 < 2 { 20_000 } else { 30_000 };
        let mut records = format!(
            "[[partner]]\ndomain = 'alpha.test'\nproxy = '{}'\nstanza_bytes = {alpha_bytes}\n\
             [[partner]]\ndomain = 'beta.test'\nproxy = '{}'\n",
            self.alpha, self.beta
        );
        if matches!(self.records % 4, 1 | 2) {
            records.push_str("[[partner]]\ndomain = 'gamma.test'\n");
        }
        records
    }
}
