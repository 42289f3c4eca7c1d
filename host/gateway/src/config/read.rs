//! From text to [`Config`]: every section, then what must hold between them.

use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use portcullis_xmpp::jid::Domain;
use toml::de::DeTable;

use super::{
    claims::{Claims, Listeners},
    federation, internal, masked,
    model::{Admin, Config, Dns, Gateway, Limits, Timeouts},
    partner, plugin, policy,
    problem::{Finding, Problem, Rejected, Severity, Sink, Source},
    section::Section,
    shape,
    sources::{self, Unreadable},
    values,
};

/// One is the current one; above, nobody remembers what they were.
const GENERATIONS_KEPT: RangeInclusive<u64> = 1..=1000;
/// Where the gateway keeps its things if the file does not say.
const DATA_DIR: &str = "/var/lib/portcullis";

/// A configuration that may be used, and what the operator should know about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings only, in the order of the file.
    pub warnings: Vec<Problem>,
    /// The text of the file with every secret masked, for showing the places of the warnings.
    pub text: String,
    /// The files of `partners_dir` that belong to it.
    pub sources: Vec<Source>,
}

impl Config {
    /// Reads `file`. Warnings go to the log.
    ///
    /// # Errors
    /// [`Rejected`] holds every problem of the file, each with its line.
    pub fn load(file: &Path) -> Result<Self, Rejected> {
        let loaded = Self::read(file)?;
        for warning in &loaded.warnings {
            tracing::warn!(file = %file.display(), "{warning}");
        }
        Ok(loaded.config)
    }

    /// Reads `file`; the warnings are the caller's to tell.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn read(file: &Path) -> Result<Loaded, Rejected> {
        Self::parse_with(&text_of(file)?, file, sources::read)
    }

    /// Only `[gateway].data_dir` of `file`, whatever else is wrong with it: how to find the gateway
    /// that runs while its file is being edited.
    ///
    /// # Errors
    /// [`Rejected`] if the file cannot be read.
    pub fn data_dir(file: &Path) -> Result<PathBuf, Rejected> {
        let text = text_of(file)?;
        let (document, _) = DeTable::parse_recoverable(&text);
        let named = document
            .get_ref()
            .get("gateway")
            .and_then(|gateway| gateway.get_ref().get("data_dir"))
            .and_then(|value| value.get_ref().as_str());
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        Ok(base_of(&file).join(named.unwrap_or(DATA_DIR)))
    }

    /// Reads `text` as if it stood in `file`: relative paths start at its directory. Nothing is
    /// opened, so there are no records of `partners_dir`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, file: &Path) -> Result<Loaded, Rejected> {
        Self::parse_with(text, file, |_| Ok(Vec::new()))
    }

    fn parse_with(
        text: &str,
        file: &Path,
        partners: impl FnOnce(&Path) -> Result<Vec<Source>, Unreadable>,
    ) -> Result<Loaded, Rejected> {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let sink = Sink::new(text);
        let (document, syntax) = DeTable::parse_recoverable(text);
        for error in &syntax {
            sink.report(Finding::syntax(error));
        }
        let root = Section::open(&shape::ROOT, document.get_ref(), 0..0, &sink);
        let mut others = Others::default();
        let config = whole(&root, &file, partners, &mut others);
        let config = config.map(|config| Config {
            policy: policy::extract(text, &others.sources),
            ..config
        });
        let mut problems = sink.into_problems();
        problems.append(&mut others.problems);
        let text = masked(text);
        let mut sources = others.sources;
        for source in &mut sources {
            source.text = masked(&source.text);
        }
        let failed = problems.iter().any(|p| p.severity == Severity::Error);
        match config {
            Some(config) if !failed => Ok(Loaded {
                config,
                warnings: problems,
                text,
                sources,
            }),
            _ => Err(Rejected {
                file,
                text,
                sources,
                problems,
            }),
        }
    }
}

/// The files beside the main one, and what is wrong with them.
#[derive(Default)]
struct Others {
    sources: Vec<Source>,
    problems: Vec<Problem>,
}

fn text_of(file: &Path) -> Result<String, Rejected> {
    fs::read_to_string(file).map_err(|error| Rejected {
        file: file.to_owned(),
        text: String::new(),
        sources: Vec::new(),
        problems: vec![Problem {
            severity: Severity::Error,
            message: format!("cannot read {}: {error}", file.display()),
            place: None,
            also: Vec::new(),
            help: None,
        }],
    })
}

/// Where relative paths of `file` start; `file` is absolute.
fn base_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

fn whole(
    root: &Section<'_>,
    file: &Path,
    directory: impl FnOnce(&Path) -> Result<Vec<Source>, Unreadable>,
    others: &mut Others,
) -> Option<Config> {
    let base = base_of(file);
    let mut served = Claims::new("domain");
    let mut listeners = Listeners::default();
    let gateway = root
        .needed_section("gateway", &shape::GATEWAY)
        .and_then(|section| gateway(&section, base, &mut served));
    let federation = root
        .needed_section("federation", &shape::FEDERATION)
        .and_then(|section| federation::read(&section, base, &served, &mut listeners));
    let internal = root
        .needed_section("internal", &shape::INTERNAL)
        .and_then(|section| internal::read(&section, base, &served, &mut listeners));
    let admin = admin(root, &mut listeners);
    let dns = dns(&root.section("dns", &shape::DNS), base);
    let timeouts = timeouts(&root.section("timeouts", &shape::TIMEOUTS));
    let limits = limits(&root.section("limits", &shape::LIMITS));
    let mut partner_domains = Claims::new("domain");
    let mut partners: Vec<_> = root
        .sections("partner", &shape::PARTNER)
        .iter()
        .map(|section| partner::read(section, base, &limits, &served, &mut partner_domains))
        .collect();
    let partners_dir = gateway
        .as_ref()
        .and_then(|gateway| gateway.partners_dir.as_ref());
    match partners_dir.map(|dir| directory(dir)) {
        Some(Ok(sources)) => others.sources = sources,
        Some(Err(unreadable)) => {
            let message = format!("`partners_dir` in [gateway]: {unreadable}");
            root.report(Finding::of_the_whole_file(message));
        }
        None => {}
    }
    for source in &others.sources {
        let (records, mut problems) =
            sources::partners(source, base, &limits, &served, &mut partner_domains);
        partners.extend(records.map_or_else(
            || vec![None],
            |records| records.into_iter().map(Some).collect(),
        ));
        others.problems.append(&mut problems);
    }
    let shared = plugin::Shared {
        plugins_dir: (gateway.as_ref()).map_or(base, |gateway| &gateway.plugins_dir),
        base,
        keys: (gateway.as_ref()).map_or(&[], |gateway| &gateway.plugin_keys),
    };
    let mut names = Claims::new("plugin name");
    let plugins: Vec<_> = root
        .sections("plugin", &shape::PLUGIN)
        .iter()
        .map(|section| plugin::read(section, &shared, &mut names))
        .collect();
    Some(Config {
        file: file.to_owned(),
        gateway: gateway?,
        federation: federation?,
        internal: internal?,
        dns: dns?,
        timeouts,
        limits,
        partners: partners.into_iter().collect::<Option<_>>()?,
        plugins: plugins.into_iter().collect::<Option<_>>()?,
        admin: match admin {
            Some(admin) => Some(admin?),
            None => None,
        },
        // Made from the text of all files, when they are read.
        policy: String::new(),
    })
}

fn gateway(section: &Section<'_>, base: &Path, served: &mut Claims<Domain>) -> Option<Gateway> {
    let directory = |key, default: &str| match section.parsed(key, |text| values::path(text, base))
    {
        None if section.has(key) => None,
        path => Some(path.unwrap_or_else(|| base.join(default))),
    };
    let data_dir = directory("data_dir", DATA_DIR);
    let plugins_dir = directory("plugins_dir", "/usr/lib/portcullis/plugins");
    let partners_dir = match section.parsed("partners_dir", |text| values::path(text, base)) {
        None if section.has("partners_dir") => None,
        path => Some(path),
    };
    let strict_jids = section.flag("strict_jids", false);
    let kept = section.number("generations_kept", 10, GENERATIONS_KEPT);
    let plugin_keys = section.optional_list("plugin_keys", |text| values::path(text, base));
    let domains = section.parsed_list("domains", values::domain);
    if !section.has("domains") || domains.as_ref().is_some_and(Vec::is_empty) {
        section.missing("domains", "domains = [\"org.test\"]");
        return None;
    }
    let domains = domains?;
    for domain in &domains {
        section.claim(served, domain, section.header());
    }
    Some(Gateway {
        domains: domains.into_iter().map(|domain| domain.value).collect(),
        data_dir: data_dir?,
        plugins_dir: plugins_dir?,
        partners_dir: partners_dir?,
        strict_jids,
        generations_kept: usize::try_from(kept).ok()?,
        plugin_keys: plugin_keys?,
    })
}

fn admin(root: &Section<'_>, listeners: &mut Listeners) -> Option<Option<Admin>> {
    let section = root.table_at("admin", &shape::ADMIN)?;
    if !section.has("listen") {
        section.missing("listen", "listen = \"127.0.0.1:9269\"");
    }
    let listen = section.parsed("listen", values::listener);
    if let Some(listen) = listen {
        let at = super::section::At {
            value: listen,
            span: section.place("listen"),
        };
        section.add_listener(listeners, &at);
        if !listen.ip().is_loopback() {
            let message = format!("`listen` in [admin]: {listen} is not a loopback address");
            let help =
                "whoever reaches it can read metrics and partner names; no password is asked";
            section.report(Finding::warning(section.place("listen"), message).help(help));
        }
    }
    Some(listen.map(|listen| Admin { listen }))
}

fn dns(section: &Section<'_>, base: &Path) -> Option<Dns> {
    let servers = section.optional_list("servers", values::resolver);
    let trust_anchors = match section.parsed("trust_anchors", |text| values::path(text, base)) {
        None if section.has("trust_anchors") => None,
        path => Some(path),
    };
    Some(Dns {
        servers: servers?,
        allow_private: section.flag("allow_private", false),
        trust_anchors: trust_anchors?,
    })
}

fn timeouts(section: &Section<'_>) -> Timeouts {
    /// A day: beyond it a timeout is no timeout.
    const MOST: u64 = 86_400;
    /// As long, stanzas of unknown fate wait, and nothing goes before them.
    const RESUMPTION_MOST: u64 = 3600;
    let seconds = |key, default| Duration::from_secs(section.number(key, default, 1..=MOST));
    // Lync's StreamEstablishmentTimeout, StreamInactivityTimeout, KeepAliveInterval and
    // SubscriptionRefreshInterval.
    let timeouts = Timeouts {
        establish: seconds("establish", 60),
        inactivity: seconds("inactivity", 600),
        keepalive: seconds("keepalive", 300),
        subscription_refresh: seconds("subscription_refresh", 28_800),
        resumption: Duration::from_secs(section.number("resumption", 60, 0..=RESUMPTION_MOST)),
    };
    if timeouts.keepalive >= timeouts.inactivity {
        let message = "`keepalive` in [timeouts] is not shorter than `inactivity`";
        let help = "quiet streams are closed before a keep-alive is ever sent";
        section.report(Finding::warning(section.place("keepalive"), message).help(help));
    }
    timeouts
}

/// RFC 6120 §13.12: a server MUST NOT refuse stanzas of 10000 bytes and less.
pub(super) const STANZA_LEAST: u64 = 10_000;

fn limits(section: &Section<'_>) -> Limits {
    /// Two sockets each: more than one process can usefully hold.
    const CONNECTIONS: u64 = 100_000;
    /// One stanza is held whole while it is judged.
    const STANZA_MOST: u64 = 16 << 20;
    /// A partner with several servers behind one address must get in.
    const ADDRESS_LEAST: u64 = 10;
    /// Ten in a second: a server that starts again and opens all its streams is not turned away.
    const ATTEMPTS: u64 = 600;
    /// A hoster has so many domains, and each pair costs memory and a queue.
    const PAIRS: u64 = 100;
    /// A telephone line of the last century has more.
    const RATE: u64 = 1000;
    // Lync's ConnectionLimit and PartnerConnectionLimit.
    let connections = section.number("connections", 1000, 1..=CONNECTIONS);
    let each = section.number(
        "connections_per_partner",
        20.min(connections),
        1..=connections,
    );
    let tenth = (connections / 10).max(ADDRESS_LEAST);
    let address = section.number("connections_per_address", tenth, 1..=CONNECTIONS);
    let attempts = section.number("attempts_per_minute", ATTEMPTS, 1..=1_000_000);
    let stanza_bytes = section.number("stanza_bytes", 262_144, STANZA_LEAST..=STANZA_MOST);
    let pairs = section.number("pairs_per_stream", PAIRS, 1..=10_000);
    let rate = section.number("minimum_rate", RATE, 1..=1_000_000);
    let whole = |number| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        connections: whole(connections),
        connections_per_partner: whole(each),
        connections_per_address: whole(address),
        attempts_per_minute: u32::try_from(attempts).unwrap_or(u32::MAX),
        stanza_bytes: whole(stanza_bytes),
        pairs_per_stream: whole(pairs),
        minimum_rate: whole(rate),
    }
}
