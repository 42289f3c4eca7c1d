"""The goals: which figure, of whom against whom, in which circumstances, and how much it may be."""

import dataclasses

from .places import PLUGINS

WITH_PLUGINS = ("--target", "gateway", "--plugins", str(PLUGINS))
TARGETS = {
    "gateway": WITH_PLUGINS,
    "gateway, no plugin": ("--target", "gateway"),
    "gateway, word filter too": (*WITH_PLUGINS, "--chain", "partner_allowlist,presence_filter,content_filter,audit_log"),
    "relay that frames": ("--target", "relay-frame-each"),
    "bare relay": ("--target", "relay-copy"),
    "bare accept loop": ("--target", "relay-accept"),
    "haproxy": ("--target", "haproxy"),
    "Prosody": ("--target", "prosody"),
    "Prosody, hook": ("--target", "prosody-policy"),
    "ejabberd": ("--target", "ejabberd"),
    "ejabberd, filter": ("--target", "ejabberd-policy"),
}


@dataclasses.dataclass(frozen=True)
class Load:
    """What is done to a target."""

    name: str
    arguments: tuple
    timed: bool = True  # takes --seconds


S4 = Load("400 B, 4 streams", ("run", "--streams", "4"))
S16 = Load("400 B, 16 streams", ("run", "--streams", "16"))
LARGE = Load("4 KB, 4 streams", ("run", "--streams", "4", "--stanzas", "large"))
PACED = Load("2,000/s", ("run", "--streams", "4", "--rate", "2000"))
# Always sixteen in one flush and no more underway on a stream: so each wake-up of the target brings the same work,
# however busy the generator is and however many streams there are.
EVEN = ("--window", "16", "--burst", "16")
ONE_CORE = Load("64 streams, one core", ("run", "--streams", "64", *EVEN))
TWO_CORES = Load("64 streams, two cores", ("run", "--streams", "64", *EVEN, "--processors", "2"))
STARTTLS = Load("STARTTLS", ("handshakes",))
DIRECT = Load("direct TLS", ("handshakes", "--tls", "direct"))
START = Load("start", ("start", "--times", "3", "--rest", "0"), timed=False)
REST = Load("at rest", ("start", "--times", "1"), timed=False)
IDLE = Load("10,000 idle streams", ("idle", "--streams", "10000"), timed=False)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One measurement of a round."""

    target: str
    load: Load

    def arguments(self):
        command, *rest = self.load.arguments
        return [command, *TARGETS[self.target], *rest]


@dataclasses.dataclass(frozen=True)
class Line:
    """A goal in one circumstance. Without `under` the figure itself counts."""

    label: str
    over: Cell
    under: Cell = None


@dataclasses.dataclass(frozen=True)
class Goal:
    key: str
    name: str
    figure: str
    must: float
    aim: float
    lines: tuple
    unit: str = ""          # of a figure that is no ratio
    more_is_better: bool = False

    def verdict(self, value):
        good = (lambda bound: value >= bound) if self.more_is_better else (lambda bound: value <= bound)
        return "aim" if good(self.aim) else "must" if good(self.must) else "behind"


def against(other, *loads, who="gateway"):
    return tuple(Line(load.name, Cell(who, load), Cell(other, load)) for load in loads)


GOALS = (
    Goal("prosody", "CPU per 400 B stanza: gateway / Prosody with its hook", "target_cpu_us", 1 / 10, 1 / 18, against("Prosody, hook", S4, S16)),
    Goal("ejabberd", "CPU per 400 B stanza: gateway / ejabberd with its filter", "target_cpu_us", 1 / 4, 1 / 7, against("ejabberd, filter", S4, S16)),
    Goal("frame", "CPU per 400 B stanza: gateway / relay that frames and sends singly", "target_cpu_us", 2.5, 1.3, against("relay that frames", S4, S16)),
    Goal("bare", "CPU per 400 B stanza: gateway / bare TLS relay", "target_cpu_us", 6, 4, against("bare relay", S4, S16)),
    Goal("plugins", "CPU per 400 B stanza: three plugins / none", "target_cpu_us", 1.6, 1.25, against("gateway, no plugin", S4, S16)),
    Goal("large", "CPU per 4 KB stanza: gateway / relay that frames", "target_cpu_us", 2.5, 1.5, against("relay that frames", LARGE)),
    Goal("p50", "p50 at 2,000 stanzas/s: gateway / relay that frames", "p50_us", 1.3, 1.1, against("relay that frames", PACED)),
    Goal("p99", "p99 at 2,000 stanzas/s: gateway / ejabberd with its filter", "p99_us", 1, 1 / 2, against("ejabberd, filter", PACED)),
    Goal("cores", "CPU per stanza: target on two cores / on one", "target_cpu_us", 1.15, 1.03,
         (Line("64 streams", Cell("gateway", TWO_CORES), Cell("gateway", ONE_CORE)),)),
    Goal("idle", "resident memory, idle: gateway with three plugins / ejabberd", "resident", 1 / 2, 1 / 4, against("ejabberd", REST)),
    Goal("streams", "resident memory per idle authenticated TLS stream", "each_kib", 40, 20, (Line(IDLE.name, Cell("gateway", IDLE)),), unit="KiB"),
    Goal("handshakes", "full handshakes per CPU second: gateway / bare accept loop", "per_cpu_second", 0.7, 0.9,
         (Line(DIRECT.name, Cell("gateway", DIRECT), Cell("bare accept loop", DIRECT)),
          Line(STARTTLS.name, Cell("gateway", STARTTLS), Cell("bare accept loop", DIRECT))), more_is_better=True),
    Goal("start", "cold start to ready, components cached: gateway / Prosody", "ready_ms", 1, 1 / 2, against("Prosody", START)),
)

# Measured beside them, so that the table of figures and the plot show everybody.
BESIDE = (
    *(Cell(target, S4) for target in ("gateway, word filter too", "haproxy", "Prosody", "ejabberd")),
    *(Cell(target, LARGE) for target in ("Prosody, hook", "ejabberd, filter")),
    *(Cell(target, PACED) for target in ("bare relay", "Prosody, hook")),
)
