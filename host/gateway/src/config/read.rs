//! From text to [`Config`]: every section, then what must hold between them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use portcullis_xmpp::jid::Domain;
use toml::de::DeTable;

use super::{
    claims::{Claims, Listeners},
    federation, internal, masked,
    model::{Admin, Config, Dns, Gateway, Limits, Timeouts},
    partner, plugin,
    problem::{Finding, Problem, Rejected, Severity, Sink},
    section::Section,
    shape, values,
};

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
        Self::parse(&text_of(file)?, file)
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

    /// Reads `text` as if it stood in `file`: relative paths start at its directory.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, file: &Path) -> Result<Loaded, Rejected> {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let sink = Sink::new(text);
        let (document, syntax) = DeTable::parse_recoverable(text);
        for error in &syntax {
            let span = error.span().unwrap_or_default();
            sink.report(Finding::error(
                span,
                format!("not TOML: {}", error.message()),
            ));
        }
        let root = Section::open(&shape::ROOT, document.get_ref(), 0..0, &sink);
        let config = whole(&root, &file);
        let problems = sink.into_problems();
        let text = masked(text);
        let failed = problems.iter().any(|p| p.severity == Severity::Error);
        match config {
            Some(config) if !failed => Ok(Loaded {
                config,
                warnings: problems,
                text,
            }),
            _ => Err(Rejected {
                file,
                text,
                problems,
            }),
        }
    }
}

fn text_of(file: &Path) -> Result<String, Rejected> {
    fs::read_to_string(file).map_err(|error| Rejected {
        file: file.to_owned(),
        text: String::new(),
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

fn whole(root: &Section<'_>, file: &Path) -> Option<Config> {
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
    let dns = dns(&root.section("dns", &shape::DNS));
    let timeouts = timeouts(&root.section("timeouts", &shape::TIMEOUTS));
    let limits = limits(&root.section("limits", &shape::LIMITS));
    let mut partner_domains = Claims::new("domain");
    let partners: Vec<_> = root
        .sections("partner", &shape::PARTNER)
        .iter()
        .map(|section| partner::read(section, &limits, &served, &mut partner_domains))
        .collect();
    let plugins_dir = gateway
        .as_ref()
        .map_or_else(PathBuf::new, |gateway| gateway.plugins_dir.clone());
    let mut names = Claims::new("plugin name");
    let plugins: Vec<_> = root
        .sections("plugin", &shape::PLUGIN)
        .iter()
        .map(|section| plugin::read(section, &plugins_dir, &mut names))
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

fn dns(section: &Section<'_>) -> Option<Dns> {
    let servers = match section.parsed_list("servers", values::resolver) {
        None if section.has("servers") => return None,
        servers => servers.unwrap_or_default(),
    };
    Some(Dns {
        servers: servers.into_iter().map(|server| server.value).collect(),
        allow_private: section.flag("allow_private", false),
    })
}

fn timeouts(section: &Section<'_>) -> Timeouts {
    /// A day: beyond it a timeout is no timeout.
    const MOST: u64 = 86_400;
    let seconds = |key, default| Duration::from_secs(section.number(key, default, 1..=MOST));
    // Lync's StreamEstablishmentTimeout, StreamInactivityTimeout and KeepAliveInterval.
    let timeouts = Timeouts {
        establish: seconds("establish", 60),
        inactivity: seconds("inactivity", 600),
        keepalive: seconds("keepalive", 300),
    };
    if timeouts.keepalive >= timeouts.inactivity {
        let message = "`keepalive` in [timeouts] is not shorter than `inactivity`";
        let help = "quiet streams are closed before a keep-alive is ever sent";
        section.report(Finding::warning(section.place("keepalive"), message).help(help));
    }
    timeouts
}

fn limits(section: &Section<'_>) -> Limits {
    /// Two sockets each: more than one process can usefully hold.
    const CONNECTIONS: u64 = 100_000;
    /// RFC 6120 §13.12: a server MUST NOT refuse stanzas of 10000 bytes and less.
    const STANZA_LEAST: u64 = 10_000;
    /// One stanza is held whole while it is judged.
    const STANZA_MOST: u64 = 16 << 20;
    // Lync's ConnectionLimit and PartnerConnectionLimit.
    let connections = section.number("connections", 1000, 1..=CONNECTIONS);
    let each = section.number(
        "connections_per_partner",
        20.min(connections),
        1..=connections,
    );
    let stanza_bytes = section.number("stanza_bytes", 262_144, STANZA_LEAST..=STANZA_MOST);
    let whole = |number| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        connections: whole(connections),
        connections_per_partner: whole(each),
        stanza_bytes: whole(stanza_bytes),
    }
}
