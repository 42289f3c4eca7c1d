//! A small world around the engine: services on a temporary directory, the scripted plugin, and
//! streams that authenticate stanzas.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portcullis_policy::journal::{Append, Journal};
use portcullis_policy::{
    BuildError, Emission, Engine, EngineSettings, Generation, GenerationSpec, Judged, Mode,
    OnFailure, PartnerRecord, PartnerType, Partners, PluginLimits, PluginSpec, PluginStatus,
    Services, Verdict, build, journal, state,
};
use portcullis_xmpp::frame::Limits;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::Direction;
use portcullis_xmpp::stream::{
    Answer, Authenticated, Inbound, InboundAction, InboundSettings, Peer, Proof, Question, Start,
    Terms, TlsFacts, TlsMode,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// The scripted plugin, built once.
pub(crate) fn scripted() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| guest("policy-guest-scripted")).clone()
}

/// Builds one of the components in `tests/guests`.
pub(crate) fn guest(package: &str) -> PathBuf {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests");
    let crate_dir = guests.join(package.trim_start_matches("policy-guest-"));
    let mut quiet = |_: &str| ();
    let builder = build::Builder::new(&crate_dir, &build::Options::default(), &mut quiet);
    let built = builder.and_then(|builder| builder.build(&mut quiet));
    built.unwrap_or_else(|failure| panic!("the test plugin must build: {failure}"))
}

/// One engine for all tests of a process; what it compiles is kept for the next process.
pub(crate) fn engine() -> Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    let start = || {
        let cache_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy-cache"));
        let settings = EngineSettings {
            cache_dir,
            ..EngineSettings::default()
        };
        Arc::new(Engine::new(settings).unwrap())
    };
    Arc::clone(ENGINE.get_or_init(start))
}

pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) services: Services,
    pub(crate) dir: TempDir,
    pub(crate) emitted: mpsc::Receiver<Emission>,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let state = Arc::new(state::Store::open(&dir.path().join("state.redb")).unwrap());
        let journal = Arc::new(
            Journal::open(&dir.path().join("audit"), journal::Settings::default()).unwrap(),
        );
        let (emit, emitted) = mpsc::channel(16);
        let own_domains = Arc::new(BTreeSet::from([domain("org.test")]));
        Self {
            engine: engine(),
            services: Services {
                state,
                journal,
                emit,
                own_domains,
            },
            dir,
            emitted,
        }
    }

    pub(crate) async fn build(&self, plugins: Vec<PluginSpec>) -> Result<Generation, BuildError> {
        self.build_number(1, plugins).await
    }

    pub(crate) async fn build_number(
        &self,
        number: u64,
        plugins: Vec<PluginSpec>,
    ) -> Result<Generation, BuildError> {
        let record = PartnerRecord {
            kind: PartnerType::PublicVerified,
            subdomains: false,
            valid_until: None,
        };
        let partners = Partners::from_iter([(domain("alpha.test"), record)]);
        let spec = GenerationSpec {
            number,
            plugins,
            partners,
            stanza_bytes: 64 * 1024,
            plugin_keys: Vec::new(),
        };
        Generation::build(&self.engine, &self.services, spec).await
    }

    /// A component file of one's own.
    pub(crate) fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("component.wasm");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// What the journal holds of quarantines. Generations must be gone, so that all of it is written.
    pub(crate) fn quarantines(self) -> Vec<Value> {
        let Self { services, dir, .. } = self;
        let journal = Arc::clone(&services.journal);
        drop(services);
        // The last one to let go of the journal waits until its notes are written.
        while Arc::strong_count(&journal) > 1 {
            std::thread::yield_now();
        }
        drop(journal);
        let text = std::fs::read_to_string(dir.path().join("audit/current.jsonl")).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|record| record["event"] == "quarantine")
            .map(|record| record["journal"].clone())
            .collect()
    }

    /// What scripted plugins have written to the journal.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let written = self.records().into_iter();
        written.filter(|line| line.get("tag").is_some()).collect()
    }

    /// What the journal holds, without the records that it writes about itself.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.services.journal.flush().unwrap();
        let text = std::fs::read_to_string(self.dir.path().join("audit/current.jsonl")).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line.get("journal").is_none()).collect()
    }
}

/// The scripted plugin under this tag, with more configuration.
pub(crate) fn plugin(tag: &str, config: Value) -> PluginSpec {
    let mut all = json!({ "tag": tag });
    all.as_object_mut()
        .unwrap()
        .extend(config.as_object().unwrap().clone());
    PluginSpec {
        name: format!("plugin-{tag}"),
        component: scripted(),
        on_failure: OnFailure::Closed,
        budget: Duration::from_millis(100),
        memory: 16 * 1024 * 1024,
        config: all,
        grants: Vec::new(),
        limits: PluginLimits::default(),
        files: BTreeMap::new(),
        content: None,
        sha256: None,
        signature: None,
        mode: Mode::Active,
    }
}

pub(crate) fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

/// An established stream.
pub(crate) struct Stream {
    inbound: Inbound,
    pub(crate) peer: Arc<Peer>,
}

impl Stream {
    /// From a partner to org.test.
    pub(crate) fn from_partner(partner: &str) -> Self {
        Self::open(partner, "org.test", Direction::Inbound)
    }

    /// From org.test's own server to a partner.
    pub(crate) fn from_inside(partner: &str) -> Self {
        Self::open("org.test", partner, Direction::Outbound)
    }

    fn open(remote: &str, local: &str, direction: Direction) -> Self {
        let facts = TlsFacts {
            version: "TLSv1.3",
            cipher: "TLS13_AES_256_GCM_SHA384",
            sni: None,
            mode: TlsMode::Direct,
            certificate: Some(Arc::from(&b"certificate"[..])),
        };
        let settings = InboundSettings {
            limits: Limits::default(),
            direction,
            address: Some("192.0.2.7:40000".parse().unwrap()),
            fallback: None,
            pairs: InboundSettings::PAIRS,
            idle_seconds: None,
        };
        let mut inbound = Inbound::new(
            settings,
            Box::new(|| "stream-1".to_owned()),
            Start::Tls(facts),
        );
        let header = format!(
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' from='{remote}' to='{local}' version='1.0'>"
        );
        inbound.receive(header.as_bytes());
        assert!(run(&mut inbound).is_none());
        inbound.receive(
            b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>",
        );
        assert!(run(&mut inbound).is_none());
        inbound.receive(header.as_bytes());
        let Some(InboundAction::Established(peer)) = run(&mut inbound) else {
            panic!("not established")
        };
        Self { inbound, peer }
    }

    pub(crate) fn receive(&mut self, xml: &str) -> Authenticated {
        self.inbound.receive(xml.as_bytes());
        match run(&mut self.inbound) {
            Some(InboundAction::Stanza(stanza)) => stanza,
            other => panic!("no stanza but {other:?}"),
        }
    }

    /// A message with this script as its body.
    pub(crate) fn message(&mut self, script: &str) -> Authenticated {
        self.message_of(&format!("<body>{script}</body>"))
    }

    /// A message of these children.
    pub(crate) fn message_of(&mut self, children: &str) -> Authenticated {
        let (remote, local) = (self.peer.remote.clone(), self.peer.local.clone());
        self.receive(&format!(
            "<message from='romeo@{remote}/orchard' to='juliet@{local}' type='chat' id='m1' xml:lang='en'>{children}</message>"
        ))
    }
}

/// Answers yes to everything, up to the first action that matters.
fn run(inbound: &mut Inbound) -> Option<InboundAction> {
    loop {
        match inbound.next()? {
            InboundAction::Send(_) => {}
            InboundAction::Ask(Question::Open { .. }) => {
                inbound.answer(Answer::Open(Ok(Terms::CERTIFICATE)));
            }
            InboundAction::Ask(Question::Prove { .. }) => {
                inbound.answer(Answer::Prove(Ok(Proof::Pkix)));
            }
            InboundAction::Ask(Question::Admit(_)) => inbound.answer(Answer::Admit(Ok(()))),
            action => return Some(action),
        }
    }
}

/// `pass`, `reject CONDITION: REASON` or `drop: REASON`.
pub(crate) fn told(judged: &Judged) -> String {
    match judged.verdict() {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Reject { error, reason } => {
            format!("reject {}: {reason}", error.condition.as_str())
        }
        Verdict::Drop { reason } => format!("drop: {reason}"),
    }
}

/// The status of the plugin with this tag.
pub(crate) fn status(generation: &Generation, tag: &str) -> PluginStatus {
    let name = format!("plugin-{tag}");
    generation
        .plugins()
        .into_iter()
        .find(|plugin| plugin.name == name)
        .unwrap()
}
