"""Whether cost grows with the work and with nothing else.

Each series changes one thing that should not matter, or should matter in proportion, and measures what a stanza costs.
"""

import dataclasses
import itertools
import statistics

from .goals import EVEN, TARGETS, WITH_PLUGINS, Cell, Load
from .table import aligned, markdown

FLAT = 1.25         # most of what a step may cost, over any step before it
STEEPER = 1.25      # most of what one more may cost, over what the first costs
GROWTH = 1.05       # of memory from the first half of the run to the end
HOUR = 3600 * 2000  # stanzas: an hour at 2,000 a second
ROUNDS = 3


@dataclasses.dataclass(frozen=True)
class Series:
    name: str
    steps: tuple        # (count, cell)
    proportional: bool = False


def with_plugins(component, count):
    """A target of `count` plugins of one kind beside the default ones."""
    name = f"gateway, {count} x {component}"
    chain = {"partner_allowlist": 1, "presence_filter": 1, "audit_log": 1}
    chain[component] = chain.get(component, 0) + count
    TARGETS[name] = (*WITH_PLUGINS, "--chain", ",".join(f"{one}:{many}" for one, many in chain.items()))
    return name


def streams(count):
    return Cell("gateway", Load(f"{count} partners", ("run", "--streams", str(count), *EVEN)))


def idle(count):
    return Cell("gateway", Load(f"{count} idle", ("run", "--streams", "4", "--idle", str(count))))


def plugins(component, count):
    return Cell(with_plugins(component, count), Load("400 B, 4 streams", ("run", "--streams", "4")))


def every():
    return (
        Series("partners, all busy", tuple((n, streams(n)) for n in (1, 10, 100, 1000))),
        Series("idle streams beside 4 busy ones", tuple((n, idle(n)) for n in (1, 100, 1000, 10000))),
        Series("plugins that are not called", tuple((n, plugins("presence_filter", n)) for n in (0, 4, 16))),
        Series("plugins that are called", tuple((n, plugins("content_filter", n)) for n in (0, 1, 2, 4, 8, 16)), proportional=True),
    )


def verdict(series, points):
    costs = [cost for _, cost in points]
    if not series.proportional:
        growth = max(later / earlier for earlier, later in itertools.combinations(costs, 2))
        return f"{'flat' if growth <= FLAT else 'NOT FLAT'}: a step / a smaller one {growth:.2f} at most"
    each = [(after - before) / (more - fewer) for (fewer, before), (more, after) in itertools.pairwise(points)]
    steepest = max(each) / each[0]
    return (f"{'in proportion at most' if steepest <= STEEPER else 'NOT IN PROPORTION'}: {each[0]:.1f} µs for the first, "
            f"{max(each[1:]):.1f} to {min(each[1:]):.1f} for each further one")


def memory(runner, minutes):
    """An hour's worth of mixed traffic both ways, as fast as it goes."""
    seconds = minutes * 60
    report = runner.ask(["run", *WITH_PLUGINS, "--streams", "16", "--ways", "both", "--stanzas", "mix", "--seconds", str(seconds)])
    seen = report["target_resident"]
    middle, end = seen[len(seen) // 2], statistics.median(seen[-3:])
    growth = end / middle
    said = f"{'flat' if growth <= GROWTH else 'NOT FLAT'}: {middle / 2**20:.1f} MiB half way, {end / 2**20:.1f} MiB at the end"
    hours = report["measured"] / HOUR
    return ["memory under traffic", f"{report['measured']:,} stanzas in {seconds:.0f} s: {hours:.1f} hours at 2,000/s",
            " ".join(f"{value / 2**20:.0f}" for value in seen[::4]) + " MiB", said]


def run(runner, minutes):
    series = every()
    runner.rounds([cell for one in series for _, cell in one.steps], ROUNDS)
    rows = []
    for one in series:
        points = [(count, statistics.median(runner.figures(cell, "target_cpu_us"))) for count, cell in one.steps]
        rows.append([one.name, ", ".join(f"{count:,}" for count, _ in points),
                     ", ".join(f"{cost:.2f}" for _, cost in points) + " µs", verdict(one, points)])
    rows.append(memory(runner, minutes))
    heads = ["what grows", "steps", "CPU per stanza", "verdict"]
    return aligned(heads, rows), markdown(heads, rows), not any("NOT " in row[-1] for row in rows)
